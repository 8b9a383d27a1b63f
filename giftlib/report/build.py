"""The report: notebooks run afresh, or a journal recorded before, as one page that needs no network, with its data."""

import json
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from giftlib.api import JournalError
from giftlib.journal import copy_journal
from giftlib.report.archive import record
from giftlib.report.changes import changes_between, in_one_line
from giftlib.report.compared import UNREADABLE, Compared, compared_of, read_compared
from giftlib.report.explorer import explorer_of
from giftlib.report.html import Section, Style, page_of, section_of, section_of_changes
from giftlib.report.keeping import working_folder
from giftlib.report.notebooks import run_notebook
from giftlib.report.placing import as_csv, place
from giftlib.report.progress import with_progress
from giftlib.report.provenance import provenance, sha256, source_revision
from giftlib.report.recorded import Recorded, brief, read_account, read_recorded
from giftlib.report.requirements import read_requirements
from giftlib.report.selection import as_json, described, require_parameters
from giftlib.sandbox import Settings

_PLAIN = Style()
_JOURNAL_NOTEBOOK = Path(str(files("giftlib.report") / "journal.ipynb"))


# Runs in each notebook's own kernel, after its last cell. A variable `transactions` without any is not for us.
_KEEP = """
import contextlib, json, pathlib
from giftlib.analysis import read_transactions
from giftlib.connection import environment
journal.save({journal!r})
about = environment() or {{"environment": "emulator", "settings": None}}
with contextlib.suppress(AttributeError, TypeError, ValueError):
    if (rows := globals().get("transactions")) is not None:
        about = about | {{"transactions": read_transactions(rows).to_csv(index=False)}}
pathlib.Path({about!r}).write_text(json.dumps({{**about, "orders": len(journal.orders())}}))
"""


def write_report(
    notebooks: Sequence[Path],
    out: Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    settings: Path | None = None,
    require: Sequence[str] = (),
    style: Style = _PLAIN,
    compare: Path | None = None,
) -> Path:
    """Run the notebooks, write their report into the folder `out`, and return the page's path.

    `index.html` is the page; `orders.csv`, `polls.csv` and `journal.sqlite` hold every order and every poll, `figures/`
    the pictures; `manifest.json` lists what the report was made from. Two runs write the same bytes, but for the
    manifest's `provenance`. Each notebook keeps its orders in a variable `journal`, and may keep the account's
    transactions in a variable `transactions`, with which the refunds are reconciled. `parameters` are set in the
    notebooks that have them; `settings` is a file of settings for the emulators that their `connect()` starts.
    `require` names thresholds, such as "median<=15s"; the page and `unmet` say which of them are not met. With
    `compare`, another report or journal, the page shows what changed since. What it cannot show is named there and on
    stderr.

    Raises NotebookError when a cell fails, GiftlibError if there are no orders, and ValueError for a parameter that no
    notebook has and for a file that holds no settings; no page is written then. Whatever ends the report, its orders
    are kept in a journal that a note of the error names.

    >>> from giftlib.report import find_notebooks
    >>> from nbformat import v4, write
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write(v4.new_notebook(), f"{folder}/1_one.ipynb")
    ...     write_report(find_notebooks(Path(folder)), Path(folder, "report"), parameters={"n_orders": 500})
    Traceback (most recent call last):
    ValueError: no parameter n_orders in 1_one.ipynb: no cell is tagged 'parameters'
    """
    parameters, requirements = dict(parameters or {}), read_requirements(require)
    require_parameters(notebooks, parameters)
    environment = {}
    if settings is not None:
        Settings.read(settings)
        environment["GIFTLIB_SANDBOX_SETTINGS"] = str(settings.resolve())
    earlier = None if compare is None else read_compared(compare)
    with working_folder(out) as work:
        environment["GIFTLIB_JOURNAL_DIR"] = str(work / "journals")
        journals = {path.stem: work / f"{path.stem}.sqlite" for path in notebooks}
        about = work / "about.json"
        sections, metadata = [], []
        for path in with_progress(notebooks, work / "journals"):
            keep = _KEEP.format(journal=str(journals[path.stem]), about=str(about))
            notebook = run_notebook(path, parameters=parameters, environment=environment, then=keep)
            sections.append(section_of(path.stem, notebook, folder=path.parent, code=style.code))
            metadata.append(described(path, as_json(parameters)) | json.loads(about.read_text()))
        journal = work / "report.sqlite"
        record(journals, metadata, journal)
        manifest = {"notebooks": brief(metadata), "parameters": as_json(parameters)}
        return _write(out, work, read_recorded(journal, requirements), sections, manifest, style, earlier)


def rebuild_report(
    journal: Path,
    out: Path,
    *,
    transactions: Path | None = None,
    require: Sequence[str] = (),
    style: Style = _PLAIN,
    compare: Path | None = None,
) -> Path:
    """Write the report of a recorded journal into the folder `out`, as `write_report` does; no order is placed.

    The journal's file stays as it is. `transactions` is a CSV file of the account's transactions, with the fields of
    `Transaction` as its columns; those that a report before recorded are in its journal. `require` is as there. Raises
    JournalError for a file that is no journal, GiftlibError for one without orders, ValueError for a wrong threshold.

    >>> from giftlib import Journal, Sandbox, place_order
    >>> from tempfile import TemporaryDirectory
    >>> with Sandbox(seed=1) as sandbox, TemporaryDirectory() as folder:
    ...     with Journal(f"{folder}/orders.sqlite") as journal:
    ...         _ = place_order("507f1f77bcf86cd799439011", "type_001", 1, client=sandbox.client(), journal=journal)
    ...     rebuild_report(Path(folder, "orders.sqlite"), Path(folder, "report")).name
    'index.html'
    """
    requirements = read_requirements(require)
    account = None if transactions is None else read_account(transactions)
    earlier = None if compare is None else read_compared(compare)
    with working_folder(out) as work:
        copy = work / "journal.sqlite"
        copy_journal(journal, copy)
        try:
            recorded = read_recorded(copy, requirements, account)
        except UNREADABLE:
            raise JournalError(f"{journal} is not a journal that can be read") from None
        there = out / "journal.sqlite"
        if there.exists() and there.samefile(journal) and journal.read_bytes() != recorded.journal:
            raise JournalError(f"{journal} has rows that are still in {journal.name}-wal; write to another folder")
        digest = sha256(recorded.journal)
        manifest = {
            "notebooks": [described(_JOURNAL_NOTEBOOK, {}) | {"environment": "journal"}],
            "journal": {"sha256": digest, "recorded": brief(recorded.metadata)},
        }
        section = section_of(_JOURNAL_NOTEBOOK.stem, run_notebook(_JOURNAL_NOTEBOOK, folder=work), code=style.code)
        origin = f"Journal: rebuilt from orders and polls recorded before (SHA-256 {digest[:12]}…)."
        return _write(out, work, recorded, [section], manifest, style, earlier, origin)


def _write(
    out: Path,
    work: Path,
    recorded: Recorded,
    sections: Sequence[Section],
    manifest: Mapping[str, Any],
    style: Style,
    earlier: Compared | None,
    origin: str = "",
) -> Path:
    for problem in (problem for section in sections for problem in section.missing):
        print(f"giftlib: {problem}", file=sys.stderr)
    revision, explorer = source_revision(), explorer_of(recorded.orders, recorded.polls)
    accounts = [frame.assign(source=name) for name, frame in recorded.transactions.items()]
    first = recorded.heads[0]
    content = {
        "orders.csv": as_csv(recorded.orders),
        "polls.csv": as_csv(recorded.polls),
        "journal.sqlite": recorded.journal,
        **({"transactions.csv": as_csv(pd.concat(accounts))} if accounts else {}),
        **{f"figures/{figure.name}": figure.content for section in sections for figure in section.figures},
    }
    compared = ""
    if earlier is not None:
        files = {name: sha256(written) for name, written in content.items()}
        changes = changes_between(earlier.as_on_page(), compared_of(recorded.path, {"source": revision}, files))
        sections, compared = [section_of_changes(changes), *sections], in_one_line(changes)
        manifest = {**manifest, "compared": {"sha256": earlier.files["journal.sqlite"]}}
    page = page_of(sections, recorded.heads, explorer, revision, origin, style, compared)
    content["index.html"] = page.encode()
    about = {
        "what": "report of gift-card orders on the OneClickDZ API v3",
        "environment": " ".join(filter(None, [origin, *(head["description"] for head in recorded.heads)])),
        "verdict": str(first["verdict"]),
        "checks": [check._asdict() for check in first["checks"]],
        "required": [result._asdict() for result in first["required"]],
        **manifest,
        "source": revision,
        "files": {name: sha256(written) for name, written in content.items()},
        "provenance": provenance(),
    }
    content["manifest.json"] = (json.dumps(about, indent=2) + "\n").encode()
    place(content, work / "new", out)
    return out / "index.html"
