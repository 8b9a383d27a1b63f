"""The report: notebooks run afresh, or a journal recorded before, as one page that needs no network, with its data."""

import json
import sqlite3
import tempfile
from collections.abc import Collection, Mapping, Sequence
from importlib.resources import files
from itertools import takewhile
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment
from markupsafe import Markup
from pygments.formatters import HtmlFormatter
from tqdm import tqdm

from giftlib.analysis import FulfilmentCurve, dinars, refund_totals, time_to_fulfilment
from giftlib.report.html import Chapter, chapter_of
from giftlib.api.errors import GiftlibError
from giftlib.journal.store import Journal
from giftlib.report.provenance import provenance, sha256, source_revision
from giftlib.report.notebooks import parameters_of, run_notebook
from giftlib.report.archive import copy_journal, note_of, record
from giftlib.sandbox import Settings
from giftlib.report.sources import World, worlds_of

_JOURNAL_NOTEBOOK = Path(str(files("giftlib.report") / "journal.ipynb"))

# Runs in each notebook's own kernel, after its last cell.
_KEEP = """
import json, pathlib
from giftlib.connection import environment
journal.save({journal!r})
pathlib.Path({environment!r}).write_text(
    json.dumps(environment() or {{"environment": "emulator", "settings": None}})
)
"""


def find_notebooks(folder: Path) -> list[Path]:
    """The numbered notebooks of a folder, in reading order. Raises ValueError if there are none."""
    notebooks = sorted(folder.glob("[0-9]*.ipynb"), key=lambda path: (_number(path), path.name))
    if not notebooks:
        raise ValueError(f"no numbered notebooks in {folder}")
    return notebooks


def choose_notebooks(notebooks: Sequence[Path], numbers: Collection[int]) -> list[Path]:
    """Those whose names begin with one of the numbers. Raises ValueError for a number that no notebook has."""
    there = {_number(path) for path in notebooks}
    if unknown := sorted(set(numbers) - there):
        raise ValueError(f"there is no notebook {unknown[0]}, only {', '.join(map(str, sorted(there)))}")
    return [path for path in notebooks if _number(path) in numbers]


def _number(path: Path) -> int:
    return int("".join(takewhile(str.isdecimal, path.name)))


def write_report(
    notebooks: Sequence[Path],
    out: Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    settings: Path | None = None,
) -> Path:
    """Run the notebooks and write the report of them into the folder `out`; gives the page's path.

    `index.html` is the page; `orders.csv`, `polls.csv` and `journal.sqlite` hold every order and every look,
    `figures/` the pictures; `manifest.json` tells what all was made from. Two runs write the same bytes, but for the
    manifest's `provenance`. Each notebook keeps its orders in a variable `journal`. `parameters` are set in the
    notebooks that have them; `settings` is a file of settings for the emulators that their `connect()` starts.

    Raises NotebookError when a cell fails, GiftlibError if there is no order, and ValueError for a parameter that no
    notebook has and for a file that holds no settings; then nothing is written.
    """
    parameters = parameters or {}
    _require_parameters(notebooks, parameters)
    surroundings = {}
    if settings is not None:
        Settings.read(settings)
        surroundings["GIFTLIB_SANDBOX_SETTINGS"] = str(settings.resolve())
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder)
        journals = {path.stem: kept / f"{path.stem}.sqlite" for path in notebooks}
        environment = kept / "environment.json"
        chapters, made_from = [], []
        for path in tqdm(notebooks, desc="report", unit="notebook", disable=None):
            keep = _KEEP.format(journal=str(journals[path.stem]), environment=str(environment))
            run = run_notebook(path, parameters=parameters, surroundings=surroundings, then=keep)
            chapters.append(chapter_of(path.stem, run))
            made_from.append(
                _described_notebook(path, parameters)
                | json.loads(environment.read_text())
                | {"orders": _count_orders(journals[path.stem])}
            )
        journal = kept / "journal.sqlite"
        record(journals, made_from, journal)
        data = _Data.of(journal)
        return _write(
            out,
            data,
            chapters,
            worlds=worlds_of(made_from, data.orders),
            manifest={"notebooks": made_from, "parameters": dict(parameters)},
        )


def rebuild_report(journal: Path, out: Path) -> Path:
    """Write the report of a recorded journal into the folder `out`, as `write_report` does, and buy nothing.

    The journal's file stays as it is. Raises GiftlibError for a file that is no journal or holds no order.
    """
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "journal.sqlite"
        copy_journal(journal, kept)
        try:
            data, recorded = _Data.of(kept), note_of(kept)
            worlds = worlds_of(recorded or [], data.orders)
        except (sqlite3.Error, ArithmeticError, LookupError, TypeError, ValueError):
            raise GiftlibError(f"{journal} is not a journal that can be read") from None
        there = out / "journal.sqlite"
        if there.exists() and there.samefile(journal) and journal.read_bytes() != data.journal:
            raise GiftlibError(f"{journal} is not all in one file; a report of it must go to another folder")
        digest = sha256(data.journal)
        run = run_notebook(_JOURNAL_NOTEBOOK, folder=kept.parent)
        return _write(
            out,
            data,
            [chapter_of(_JOURNAL_NOTEBOOK.stem, run)],
            worlds=worlds,
            journal=f"Journal: rebuilt from what was recorded before (SHA-256 {digest[:12]}…).",
            manifest={
                "notebooks": [_described_notebook(_JOURNAL_NOTEBOOK, {}) | {"environment": "journal"}],
                "journal": {"sha256": digest, "recorded": recorded},
            },
        )


def _require_parameters(notebooks: Sequence[Path], parameters: Mapping[str, Any]) -> None:
    known = {name for path in notebooks for name in parameters_of(path)}
    for name in parameters:
        if name not in known:
            chosen = ", ".join(path.stem for path in notebooks)
            raise ValueError(f"no parameter {name} in {chosen}, only {', '.join(sorted(known)) or 'none at all'}")


def _described_notebook(path: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    taken = {name: parameters.get(name, default) for name, default in parameters_of(path).items()}
    return {"name": path.name, "sha256": sha256(path.read_bytes()), "parameters": taken}


def _count_orders(path: Path) -> int:
    journal = Journal(path)
    orders = len(journal.orders())
    journal.close()
    return orders


class _Data(NamedTuple):
    journal: bytes
    orders: pd.DataFrame
    polls: pd.DataFrame

    @classmethod
    def of(cls, path: Path) -> "_Data":
        journal = Journal(path)
        orders, polls = journal.orders(), journal.polls()
        journal.close()
        if orders.empty:
            raise GiftlibError("there is no order to report")
        return cls(path.read_bytes(), orders, polls)


def _write(
    out: Path,
    data: _Data,
    chapters: Sequence[Chapter],
    *,
    worlds: Sequence[World],
    manifest: Mapping[str, Any],
    journal: str = "",
) -> Path:
    content = {
        "index.html": _page(chapters, worlds, journal).encode(),
        "orders.csv": _csv(data.orders).encode(),
        "polls.csv": _csv(data.polls).encode(),
        "journal.sqlite": data.journal,
        **{f"figures/{figure.name}": figure.content for chapter in chapters for figure in chapter.figures},
    }
    (out / "figures").mkdir(parents=True, exist_ok=True)
    _remove_figures(out)
    for end in ("-wal", "-shm"):  # of a journal that was there before, which SQLite would take for the new one's
        (out / f"journal.sqlite{end}").unlink(missing_ok=True)
    for name, written in content.items():
        if not (out / name).exists() or (out / name).read_bytes() != written:
            (out / name).write_bytes(written)
    about = {
        "what": "sandbox report of gift-card orders on the OneClickDZ API v3",
        "environment": " ".join(filter(None, [journal, *(world.told for world in worlds)])),
        **manifest,
        "source": source_revision(),
        "files": {name: sha256(written) for name, written in content.items()},
        "provenance": provenance(),
    }
    (out / "manifest.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8", newline="\n")
    return out / "index.html"


def _remove_figures(out: Path) -> None:
    """Those of the report that was there before."""
    try:
        before = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        return
    for figure in (out / "figures").iterdir():
        if f"figures/{figure.name}" in before:
            figure.unlink()


def _page(chapters: Sequence[Chapter], worlds: Sequence[World], journal: str) -> str:
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files("giftlib.report").joinpath("page.html.jinja").read_text(encoding="utf-8")
    )
    return template.render(
        chapters=chapters,
        journal=journal,
        worlds=[
            {
                "told": world.told,
                "orders": len(world.orders),
                "outcomes": refund_totals(world.orders, by="status")["orders"].to_dict(),
                "totals": refund_totals(world.orders).iloc[0],
                "times": _times(time_to_fulfilment(world.orders)),
            }
            for world in worlds
        ],
        dinars=dinars,
        light=_highlighting("default"),
        dark=_highlighting("github-dark"),
    )


def _highlighting(style: str) -> Markup:
    return Markup(HtmlFormatter(style=style).get_style_defs(".highlight"))  # type: ignore[no-untyped-call]


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


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, float_format="%.6f", lineterminator="\n", date_format="%Y-%m-%dT%H:%M:%S.%fZ")
