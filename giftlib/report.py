"""The report: all notebooks run afresh, as one page that needs no network, with the data beside it."""

import hashlib
import json
import platform
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from importlib.metadata import version
from importlib.resources import files
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pandas as pd
from jinja2 import Environment
from markupsafe import Markup
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter
from tqdm import tqdm

from giftlib.analysis import FulfilmentCurve, time_to_fulfilment
from giftlib.journal import Journal
from giftlib.notebooks import run_notebook
from giftlib.totals import refund_totals

_PACKAGES = ("giftlib", "jupyterlab", "matplotlib", "nbconvert", "numpy", "pandas", "requests", "scipy", "tornado")

# Runs in each notebook's own kernel, after its last cell.
_KEEP = """
import json, pathlib
from giftlib.connection import environment
journal.save({journal!r})
pathlib.Path({environment!r}).write_text(json.dumps(environment() or {{"environment": "emulator"}}, default=str))
"""


class _Chapter(NamedTuple):
    name: str
    title: str
    body: Markup
    environment: dict[str, Any]
    orders: pd.DataFrame
    polls: pd.DataFrame


def write_report(notebooks: Sequence[Path], out: Path) -> Path:
    """Run the notebooks and write `index.html`, `orders.csv`, `polls.csv` and `manifest.json` into `out`.

    Each notebook keeps its orders in a variable `journal`. Gives the page's path. Raises
    nbclient.exceptions.CellExecutionError when a cell fails; then nothing is written.
    """
    with tempfile.TemporaryDirectory() as kept:
        bar = tqdm(notebooks, desc="report", unit="notebook")
        chapters = [_chapter(path, Path(kept)) for path in bar if not bar.set_postfix_str(path.stem)]
    orders = pd.concat([chapter.orders for chapter in chapters], ignore_index=True)
    polls = pd.concat([chapter.polls for chapter in chapters], ignore_index=True)

    out.mkdir(parents=True, exist_ok=True)
    written = {
        "index.html": _page(chapters, orders, polls),
        "orders.csv": _csv(orders),
        "polls.csv": _csv(polls),
    }
    for name, text in written.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    manifest = {
        "what": "sandbox report of gift-card orders on the OneClickDZ API v3",
        "notebooks": [
            {"name": path.name, "sha256": _sha256(path.read_bytes()), **chapter.environment}
            for path, chapter in zip(notebooks, chapters, strict=True)
        ],
        "files": {name: _sha256(text.encode()) for name, text in written.items()},
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8", newline="\n")
    return out / "index.html"


def _chapter(path: Path, kept: Path) -> _Chapter:
    journal_file, environment_file = kept / f"{path.stem}.sqlite", kept / f"{path.stem}.json"
    notebook = run_notebook(
        path, then=_KEEP.format(journal=str(journal_file), environment=str(environment_file))
    )
    journal = Journal(journal_file)
    frames = [frame.assign(notebook=path.stem) for frame in (journal.orders(), journal.polls())]
    journal.close()
    orders, polls = (frame[["notebook", *frame.columns.drop("notebook")]] for frame in frames)
    environment = json.loads(environment_file.read_text())
    return _Chapter(path.stem, _title(notebook), _body(notebook), environment, orders, polls)


def _title(notebook: nbformat.NotebookNode) -> str:
    return notebook.cells[0].source.splitlines()[0].lstrip("# ")


def _body(notebook: nbformat.NotebookNode) -> Markup:
    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    body, _ = exporter.from_notebook_node(notebook)
    return Markup(body)


def _page(chapters: Sequence[_Chapter], orders: pd.DataFrame, polls: pd.DataFrame) -> str:
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files("giftlib").joinpath("report.html.jinja").read_text(encoding="utf-8")
    )
    outcomes = refund_totals(orders, by="status")
    return template.render(
        chapters=chapters,
        environments=sorted({_described(chapter.environment) for chapter in chapters}),
        orders=len(orders),
        outcomes=outcomes["orders"].to_dict(),
        totals=refund_totals(orders).iloc[0],
        times=_times(time_to_fulfilment(orders)),
        dinars=_dinars,
        highlighting=Markup(HtmlFormatter(style="default").get_style_defs(".highlight")),
    )


def _times(curve: FulfilmentCurve) -> list[dict[str, str]]:
    """The median and the 95 % quantile: what the data allow, and the band over other samples."""
    return [
        {
            "name": name,
            "allowed": _between(*curve.quantile(p)),
            "band": _between(*curve.quantile_band(p)),
        }
        for name, p in (("median time to fulfilment", 0.5), ("95 % time to fulfilment", 0.95))
    ]


def _between(low: float, high: float) -> str:
    if high == inf:
        return f"more than {low:.1f} s"
    return f"{low:.1f} to {high:.1f} s" if f"{low:.1f}" != f"{high:.1f}" else f"{low:.1f} s"


def _described(environment: dict[str, Any]) -> str:
    if environment["environment"] == "emulator":
        return "the embedded emulator, on a simulated clock: no figure here is the vendor's"
    return f"the vendor's API at {environment['base_url']} with a {environment['key_type']} key"


def _dinars(amount: Decimal) -> str:
    return f"{amount:,} DA"


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, float_format="%.6f", lineterminator="\n", date_format="%Y-%m-%dT%H:%M:%S.%fZ")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def find_notebooks(folder: Path) -> list[Path]:
    """The numbered notebooks of a folder, in reading order. Raises ValueError if there are none."""
    notebooks = sorted(folder.glob("[0-9]*.ipynb"))
    if not notebooks:
        raise ValueError(f"no numbered notebooks in {folder}")
    return notebooks
