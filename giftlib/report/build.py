"""The report: notebooks run afresh, or a journal recorded before, as one page that needs no network, with its data."""

import json
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from giftlib.api import GiftlibError, JournalError
from giftlib.journal import Journal, copy_journal
from giftlib.report.archive import metadata_of, record
from giftlib.report.changes import changes_between, in_one_line
from giftlib.report.html import Look, Section, head_of, page_of, section_of, section_of_changes
from giftlib.report.keeping import working_folder
from giftlib.report.notebooks import run_notebook
from giftlib.report.progress import with_progress
from giftlib.report.provenance import provenance, sha256, source_revision, sources_of
from giftlib.report.recorded import UNREADABLE, Recorded, read_recorded, recorded_of
from giftlib.report.selection import as_json, described, require_parameters
from giftlib.sandbox import Settings

_PLAIN = Look()
_JOURNAL_NOTEBOOK = Path(str(files("giftlib.report") / "journal.ipynb"))

_FORMULA = r"^([='@+\-\t\r\n\uff1d\uff20\uff0b\uff0d])"

# Runs in each notebook's own kernel, after its last cell.
_KEEP = """
import json, pathlib
from giftlib.connection import environment
journal.save({journal!r})
about = environment() or {{"environment": "emulator", "settings": None}}
pathlib.Path({about!r}).write_text(json.dumps({{**about, "orders": len(journal.orders())}}))
"""


def write_report(
    notebooks: Sequence[Path],
    out: Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    settings: Path | None = None,
    look: Look = _PLAIN,
    compare: Path | None = None,
) -> Path:
    """Run the notebooks, write their report into the folder `out`, and return the page's path.

    `index.html` is the page; `orders.csv`, `polls.csv` and `journal.sqlite` hold every order and every poll, `figures/`
    the pictures; `manifest.json` lists what the report was made from. Two runs write the same bytes, but for the
    manifest's `provenance`. Each notebook keeps its orders in a variable `journal`. `parameters` are set in the
    notebooks that have them; `settings` is a file of settings for the emulators that their `connect()` starts. The page
    shows what changed since the report or journal `compare`. What it cannot show is named there and on stderr.

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
    parameters = dict(parameters or {})
    require_parameters(notebooks, parameters)
    environment = {}
    if settings is not None:
        Settings.read(settings)
        environment["GIFTLIB_SANDBOX_SETTINGS"] = str(settings.resolve())
    earlier = None if compare is None else read_recorded(compare)
    with working_folder(out) as work:
        environment["GIFTLIB_JOURNAL_DIR"] = str(work / "journals")
        journals = {path.stem: work / f"{path.stem}.sqlite" for path in notebooks}
        about = work / "about.json"
        sections, metadata = [], []
        for path in with_progress(notebooks, work / "journals"):
            keep = _KEEP.format(journal=str(journals[path.stem]), about=str(about))
            notebook = run_notebook(path, parameters=parameters, environment=environment, then=keep)
            sections.append(section_of(path.stem, notebook, folder=path.parent, code=look.code))
            metadata.append(described(path, as_json(parameters)) | json.loads(about.read_text()))
        journal = work / "report.sqlite"
        record(journals, metadata, journal)
        manifest = {"notebooks": metadata, "parameters": as_json(parameters)}
        return _write(out, work, _read(journal), sections, manifest, look, earlier)


def rebuild_report(journal: Path, out: Path, *, look: Look = _PLAIN, compare: Path | None = None) -> Path:
    """Write the report of a recorded journal into the folder `out`, as `write_report` does; no order is placed.

    The journal's file stays as it is. Raises JournalError for a file that is no journal, GiftlibError for one
    without orders.

    >>> from giftlib import Sandbox, place_order
    >>> from tempfile import TemporaryDirectory
    >>> with Sandbox(seed=1) as sandbox, TemporaryDirectory() as folder:
    ...     with Journal(f"{folder}/orders.sqlite") as journal:
    ...         _ = place_order("507f1f77bcf86cd799439011", "type_001", 1, client=sandbox.client(), journal=journal)
    ...     rebuild_report(Path(folder, "orders.sqlite"), Path(folder, "report")).name
    'index.html'
    """
    earlier = None if compare is None else read_recorded(compare)
    with working_folder(out) as work:
        copy = work / "journal.sqlite"
        copy_journal(journal, copy)
        try:
            recorded = _read(copy)
        except UNREADABLE:
            raise JournalError(f"{journal} is not a journal that can be read") from None
        there = out / "journal.sqlite"
        if there.exists() and there.samefile(journal) and journal.read_bytes() != recorded.journal:
            raise JournalError(f"{journal} has rows that are still in {journal.name}-wal; write to another folder")
        digest = sha256(recorded.journal)
        manifest = {
            "notebooks": [described(_JOURNAL_NOTEBOOK, {}) | {"environment": "journal"}],
            "journal": {"sha256": digest, "recorded": recorded.metadata},
        }
        section = section_of(_JOURNAL_NOTEBOOK.stem, run_notebook(_JOURNAL_NOTEBOOK, folder=work), code=look.code)
        origin = f"Journal: rebuilt from orders and polls recorded before (SHA-256 {digest[:12]}…)."
        return _write(out, work, recorded, [section], manifest, look, earlier, origin)


class _Recorded(NamedTuple):
    path: Path
    journal: bytes
    orders: pd.DataFrame
    polls: pd.DataFrame
    metadata: Any
    sources: list[dict[str, Any]]


def _read(path: Path) -> _Recorded:
    with Journal(path) as journal:
        orders, polls, known = journal.orders(), journal.polls(), journal.sources()
    if orders.empty:
        raise GiftlibError("there are no orders to report")
    metadata = metadata_of(path)
    sources = [head_of(source) for source in sources_of(metadata or [], orders, known)]
    return _Recorded(path, path.read_bytes(), orders, polls, metadata, sources)


def _write(
    out: Path,
    work: Path,
    recorded: _Recorded,
    sections: Sequence[Section],
    manifest: Mapping[str, Any],
    look: Look,
    earlier: Recorded | None,
    origin: str = "",
) -> Path:
    for problem in (problem for section in sections for problem in section.missing):
        print(f"giftlib: {problem}", file=sys.stderr)
    content = {
        "orders.csv": _csv(recorded.orders),
        "polls.csv": _csv(recorded.polls),
        "journal.sqlite": recorded.journal,
        **{f"figures/{figure.name}": figure.content for section in sections for figure in section.figures},
    }
    source, compared = source_revision(), ""
    if earlier is not None:
        files = {name: sha256(written) for name, written in content.items()}
        changes = changes_between(earlier.as_on_page(), recorded_of(recorded.path, {"source": source}, files))
        sections, compared = [section_of_changes(changes), *sections], in_one_line(changes)
        manifest = {**manifest, "compared": {"sha256": earlier.files["journal.sqlite"]}}
    content["index.html"] = page_of(sections, recorded.sources, origin, look, compared).encode()
    about = {
        "what": "report of gift-card orders on the OneClickDZ API v3",
        "environment": " ".join(filter(None, [origin, *(source["description"] for source in recorded.sources)])),
        **manifest,
        "source": source,
        "files": {name: sha256(written) for name, written in content.items()},
        "provenance": provenance(),
    }
    content["manifest.json"] = (json.dumps(about, indent=2) + "\n").encode()
    for name, written in content.items():  # the disk may be full: the report that was there before is still whole then
        (work / "new" / name).parent.mkdir(parents=True, exist_ok=True)
        (work / "new" / name).write_bytes(written)
    (out / "figures").mkdir(parents=True, exist_ok=True)
    _remove_figures(out)
    for suffix in ("-wal", "-shm"):  # of a journal that was there before; SQLite would take them for the new one's
        (out / f"journal.sqlite{suffix}").unlink(missing_ok=True)
    for name, written in content.items():
        if not (out / name).exists() or (out / name).read_bytes() != written:
            (work / "new" / name).replace(out / name)
    return out / "index.html"


def _remove_figures(out: Path) -> None:
    """Remove the figures of the report that was in the folder before, and no other file."""
    try:
        before = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        return
    for figure in (out / "figures").iterdir():
        if f"figures/{figure.name}" in before:
            figure.unlink()


def _csv(frame: pd.DataFrame) -> bytes:
    """Write a frame; an apostrophe is put before a text that a spreadsheet would run as a formula, or that has one."""
    frame = frame.copy()
    for name in frame:
        if isinstance(frame[name].dtype, pd.StringDtype):
            frame[name] = frame[name].str.replace(_FORMULA, r"'\1", regex=True)
    # With another end of line a text with a carriage return would not be quoted, and begin a row of its own.
    text = frame.to_csv(index=False, float_format="%.6f", lineterminator="\r\n", date_format="%Y-%m-%dT%H:%M:%S.%fZ")
    return text.encode()
