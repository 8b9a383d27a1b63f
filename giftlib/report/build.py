"""The report: notebooks run afresh, or a journal recorded before, as one page that needs no network, with its data."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from giftlib.api import GiftlibError, JournalError
from giftlib.journal import copy_journal
from giftlib.report.changes import changes_between, in_one_line
from giftlib.report.checks import Requirement, heads_of
from giftlib.report.compared import compared_of, read_compared
from giftlib.report.folder import as_csv, place, require_ours, working_folder
from giftlib.report.manifest import DATA, provenance, sha256, source_revision
from giftlib.report.notebooks import run_notebook, with_progress
from giftlib.report.page import Style, page_of
from giftlib.report.recorded import (
    UNREADABLE,
    Recorded,
    read_account,
    read_recorded,
    record,
    record_account,
    transactions_of,
)  # fmt: skip
from giftlib.report.section import Section, section_of
from giftlib.report.selection import as_json, described, require_parameters
from giftlib.sandbox import Settings

_PLAIN = Style()
_JOURNAL_NOTEBOOK = Path(__file__).with_name("journal.ipynb")


# Runs in each notebook's own kernel, after its last cell.
_KEEP = """
import json, pathlib
from collections.abc import Iterator
from giftlib.analysis import read_transactions
from giftlib.connection import environment
journal.save({journal!r})
about = environment() or {{"environment": "emulator", "settings": None}}
try:
    if isinstance(rows := globals().get("transactions"), Iterator):
        raise ValueError("it is an iterator, which may be used up; keep a list of what it gives")
    if rows is not None:
        about = about | {{"transactions": read_transactions(rows).to_csv(index=False)}}
except (AttributeError, TypeError, ValueError) as error:
    about = about | {{"unread": str(error)}}
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
    notebook has, for a file that holds no settings, and for a folder `out` in which a file that no report wrote would
    be replaced; no page is written then. Whatever ends the report, its orders
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
    parameters = dict(parameters or {})
    require_parameters(notebooks, parameters)
    environment = {}
    if settings is not None:
        Settings.read(settings)
        environment["GIFTLIB_SANDBOX_SETTINGS"] = str(settings.resolve())
    report = _Report(out, require, style, compare)
    with working_folder(out) as work:
        environment["GIFTLIB_JOURNAL_DIR"] = str(work / "journals")
        about, sections, metadata = work / "about.json", [], []
        journals: list[Path] = []
        for path in with_progress(notebooks, work / "journals"):
            journals.append(work / f"{len(journals)}.sqlite")
            keep = _KEEP.format(journal=str(journals[-1]), about=str(about))
            notebook = run_notebook(path, parameters=parameters, environment=environment, then=keep)
            section, told = section_of(path.stem, notebook, folder=path.parent, code=style.code), about.read_text()
            metadata.append(described(path, parameters) | json.loads(told))
            if unread := metadata[-1].pop("unread", None):
                unread = f"the variable transactions cannot be read, so the refunds are not checked with it: {unread}"
                section = section.naming(f"{path.name}: {unread}")
            sections.append(section)
        record(journals, metadata, work / "journal.sqlite")
        report.read(work / "journal.sqlite")
        return report.write(sections, {"notebooks": _brief(metadata), "parameters": as_json(parameters)})


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
    `Transaction` as its columns; a column `source` may name each one's account. The report's journal has them too, so
    that a report of it is reconciled again, unless it is the file `journal` itself. `require` is as there. Raises
    JournalError for a file that is no journal, GiftlibError for one without orders, ValueError for a wrong threshold
    and for a folder as there.

    >>> from giftlib import Journal, Sandbox, place_order
    >>> from tempfile import TemporaryDirectory
    >>> with Sandbox(seed=1) as sandbox, TemporaryDirectory() as folder:
    ...     with Journal(f"{folder}/orders.sqlite") as journal:
    ...         _ = place_order("507f1f77bcf86cd799439011", "type_001", 1, client=sandbox.client(), journal=journal)
    ...     rebuild_report(Path(folder, "orders.sqlite"), Path(folder, "report")).name
    'index.html'
    """
    account = None if transactions is None else read_account(transactions)
    report = _Report(out, require, style, compare, journal)
    with working_folder(out) as work:
        copy = work / "journal.sqlite"
        copy_journal(journal, copy)
        original = copy.read_bytes()
        try:
            if account is not None:
                record_account(account, copy)
            report.read(copy)
        except UNREADABLE:
            raise JournalError(f"{journal} is not a journal that can be read") from None
        there = out / "journal.sqlite"
        if there.exists() and there.samefile(journal):
            if journal.read_bytes() != original:
                raise JournalError(f"{journal} has rows that are still in {journal.name}-wal; write to another folder")
            report.journal = original
        digest = sha256(original)
        manifest = {
            "notebooks": [described(_JOURNAL_NOTEBOOK, {}) | {"environment": "journal"}],
            "journal": {"sha256": digest, "recorded": _brief(report.recorded.metadata)},
        }
        section = section_of(_JOURNAL_NOTEBOOK.stem, run_notebook(_JOURNAL_NOTEBOOK, folder=work), code=style.code)
        origin = f"Journal: rebuilt from orders and polls recorded before (SHA-256 {digest[:12]}…)."
        return report.write([section], manifest, origin)


def _brief(metadata: Any) -> Any:
    """Leave out the transactions, which have a file of their own."""
    return metadata and [{name: of[name] for name in of if name != "transactions"} for of in metadata]


class _Report:
    """A report on its way into the folder `out`: first what could be wrong is read, then its journal."""

    journal: bytes
    recorded: Recorded

    def __init__(
        self, out: Path, require: Sequence[str], style: Style, compare: Path | None, source: Path | None = None
    ) -> None:
        require_ours(out, [*DATA, "index.html", "manifest.json"], source)
        try:
            style.title.encode()
        except UnicodeEncodeError:
            raise ValueError(f"title must be UTF-8 text, got {style.title!r}") from None
        self._out, self._source, self._style = out, source, style
        self._requirements = [Requirement.read(text) for text in require]
        self._earlier = None if compare is None else read_compared(compare, for_page=True)

    def read(self, journal: Path) -> None:
        """Read the journal; raises GiftlibError for one without orders, and `UNREADABLE` for a damaged one."""
        self._work, self.journal = journal.parent, journal.read_bytes()
        self.recorded = read_recorded(journal)
        if self.recorded.orders.empty:
            raise GiftlibError("there are no orders to report")
        self._transactions = transactions_of(self.recorded)
        self._heads = heads_of(self.recorded, self._transactions, self._requirements)

    def write(self, sections: Sequence[Section], manifest: Mapping[str, Any], origin: str = "") -> Path:
        for problem in (problem for section in sections for problem in section.missing):
            print(f"giftlib: {problem}", file=sys.stderr)
        recorded, heads, revision = self.recorded, self._heads, source_revision()
        accounts = [frame.assign(source=name) for name, frame in self._transactions.items()]
        content = {
            "orders.csv": as_csv(recorded.orders.drop(columns="identity")),
            "polls.csv": as_csv(recorded.polls.drop(columns="failed")),
            "journal.sqlite": self.journal,
            **({"transactions.csv": as_csv(pd.concat(accounts))} if accounts else {}),
            **{f"figures/{figure.name}": figure.content for section in sections for figure in section.figures},
        }
        changes, changed = None, ""
        if self._earlier is not None:
            hashes = {name: sha256(written) for name, written in content.items()}
            changes = changes_between(self._earlier, compared_of(recorded, {"source": revision}, {}, hashes))
            changed = in_one_line(changes)
            manifest = {**manifest, "compared": {"sha256": self._earlier.files["journal.sqlite"]}}
        page = page_of(sections, heads, recorded, revision, origin, self._style, changes, changed)
        content["index.html"] = page.encode(errors="backslashreplace")  # an output may hold what is no UTF-8
        about = {
            "what": "report of gift-card orders on the OneClickDZ API v3",
            "environment": " ".join(filter(None, [origin, *(head.description for head in heads)])),
            "verdict": str(heads[0].verdict),
            "checks": [check._asdict() for check in heads[0].checks],
            "required": [result._asdict() for result in heads[0].required],
            **manifest,
            "source": revision,
            "files": {name: sha256(written) for name, written in content.items()},
            "provenance": provenance(),
        }
        content["manifest.json"] = (json.dumps(about, indent=2) + "\n").encode()
        require_ours(self._out, content, self._source)  # again: a program may have begun a journal there meanwhile
        place(content, self._work / "new", self._out)
        return self._out / "index.html"
