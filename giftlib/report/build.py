"""The report: notebooks run afresh, or a journal recorded before, as one page that needs no network, with its data."""

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from giftlib.api import JournalError
from giftlib.journal import copy_journal
from giftlib.report.archive import record
from giftlib.report.explorer import explorer_of
from giftlib.report.html import Section, page_of, section_of
from giftlib.report.keeping import working_folder
from giftlib.report.notebooks import parameters_of, run_notebook
from giftlib.report.provenance import provenance, sha256, source_revision
from giftlib.report.recorded import Recorded, brief, read_account, read_recorded
from giftlib.report.requirements import read_requirements
from giftlib.sandbox import Settings

_JOURNAL_NOTEBOOK = Path(str(files("giftlib.report") / "journal.ipynb"))

_UNREADABLE = (
    JournalError, sqlite3.Error, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError
)  # fmt: skip
_FORMULA = r"^([='@+\-\t\r\n\uff1d\uff20\uff0b\uff0d])"

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


def find_notebooks(folder: Path) -> list[Path]:
    """List the numbered notebooks of a folder in reading order. Raises ValueError if there are none.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("10_last.ipynb", "2_second.ipynb", "draft.ipynb"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in find_notebooks(Path(folder))]
    ['2_second.ipynb', '10_last.ipynb']
    """
    notebooks = sorted(folder.glob("[0-9]*.ipynb"), key=lambda path: (_number(path), path.name))
    if not notebooks:
        raise ValueError(
            f"no numbered notebooks in {folder}: giftlib's own are in its repository, not in the installed package; "
            "run this in a checkout or pass --notebooks DIR"
        )
    return notebooks


def choose_notebooks(notebooks: Sequence[Path], numbers: Collection[int]) -> list[Path]:
    """Keep those whose names begin with one of the numbers. Raises ValueError for a number that no notebook has.

    >>> [path.name for path in choose_notebooks([Path("1_first.ipynb"), Path("2_second.ipynb")], [2])]
    ['2_second.ipynb']
    """
    known = {_number(path) for path in notebooks}
    if unknown := sorted(set(numbers) - known):
        raise ValueError(f"there is no notebook {unknown[0]}, only {', '.join(map(str, sorted(known)))}")
    return [path for path in notebooks if _number(path) in numbers]


def _number(path: Path) -> int:
    return int("".join(takewhile(str.isdecimal, path.name)))


def write_report(
    notebooks: Sequence[Path],
    out: Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    settings: Path | None = None,
    require: Sequence[str] = (),
) -> Path:
    """Run the notebooks, write their report into the folder `out`, and return the page's path.

    `index.html` is the page; `orders.csv`, `polls.csv` and `journal.sqlite` hold every order and every poll, `figures/`
    the pictures; `manifest.json` lists what the report was made from. Two runs write the same bytes, but for the
    manifest's `provenance`. Each notebook keeps its orders in a variable `journal`, and may keep the account's
    transactions in a variable `transactions`, with which the refunds are reconciled. `parameters` are set in the
    notebooks that have them; `settings` is a file of settings for the emulators that their `connect()` starts.
    `require` names thresholds, such as "median<=15s"; the page and `unmet` say which of them are not met.

    Raises NotebookError when a cell fails, GiftlibError if there are no orders, and ValueError for a parameter that no
    notebook has and for a file that holds no settings; no page is written then. Whatever ends the report, its orders
    are kept in a journal that a note of the error names.

    >>> from nbformat import v4, write
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write(v4.new_notebook(), f"{folder}/1_one.ipynb")
    ...     write_report(find_notebooks(Path(folder)), Path(folder, "report"), parameters={"n_orders": 500})
    Traceback (most recent call last):
    ValueError: no parameter n_orders in 1_one.ipynb: no cell is tagged 'parameters'
    """
    parameters, requirements = dict(parameters or {}), read_requirements(require)
    _require_parameters(notebooks, parameters)
    environment = {}
    if settings is not None:
        Settings.read(settings)
        environment["GIFTLIB_SANDBOX_SETTINGS"] = str(settings.resolve())
    with working_folder(out) as work:
        environment["GIFTLIB_JOURNAL_DIR"] = str(work / "journals")
        journals = {path.stem: work / f"{path.stem}.sqlite" for path in notebooks}
        about = work / "about.json"
        sections, metadata = [], []
        for path in tqdm(notebooks, desc="report", unit="notebook", disable=None):
            keep = _KEEP.format(journal=str(journals[path.stem]), about=str(about))
            notebook = run_notebook(path, parameters=parameters, environment=environment, then=keep)
            sections.append(section_of(path.stem, notebook))
            metadata.append(_described(path, parameters) | json.loads(about.read_text()))
        journal = work / "report.sqlite"
        record(journals, metadata, journal)
        manifest = {"notebooks": brief(metadata), "parameters": parameters}
        return _write(out, work, read_recorded(journal, requirements), sections, manifest)


def rebuild_report(journal: Path, out: Path, *, transactions: Path | None = None, require: Sequence[str] = ()) -> Path:
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
    with working_folder(out) as work:
        copy = work / "journal.sqlite"
        copy_journal(journal, copy)
        try:
            recorded = read_recorded(copy, requirements, account)
        except _UNREADABLE:
            raise JournalError(f"{journal} is not a journal that can be read") from None
        there = out / "journal.sqlite"
        if there.exists() and there.samefile(journal) and journal.read_bytes() != recorded.journal:
            raise JournalError(f"{journal} has rows that are still in {journal.name}-wal; write to another folder")
        digest = sha256(recorded.journal)
        manifest = {
            "notebooks": [_described(_JOURNAL_NOTEBOOK, {}) | {"environment": "journal"}],
            "journal": {"sha256": digest, "recorded": brief(recorded.metadata)},
        }
        section = section_of(_JOURNAL_NOTEBOOK.stem, run_notebook(_JOURNAL_NOTEBOOK, folder=work))
        origin = f"Journal: rebuilt from orders and polls recorded before (SHA-256 {digest[:12]}…)."
        return _write(out, work, recorded, [section], manifest, origin)


def _require_parameters(notebooks: Sequence[Path], parameters: Mapping[str, Any]) -> None:
    known = {name for path in notebooks for name in parameters_of(path)}
    for name in (name for name in parameters if name not in known):
        there = f"only {', '.join(sorted(known))}" if known else "no cell is tagged 'parameters'"
        raise ValueError(f"no parameter {name} in {', '.join(path.name for path in notebooks)}: {there}")


def _described(path: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    taken = {name: parameters.get(name, default) for name, default in parameters_of(path).items()}
    return {"name": path.name, "sha256": sha256(path.read_bytes()), "parameters": taken}


def _write(
    out: Path,
    work: Path,
    recorded: Recorded,
    sections: Sequence[Section],
    manifest: Mapping[str, Any],
    origin: str = "",
) -> Path:
    revision, explorer = source_revision(), explorer_of(recorded.orders, recorded.polls)
    accounts = [frame.assign(source=name) for name, frame in recorded.transactions.items()]
    first = recorded.heads[0]
    content = {
        "index.html": page_of(sections, recorded.heads, explorer, revision, origin).encode(),
        "orders.csv": _csv(recorded.orders),
        "polls.csv": _csv(recorded.polls),
        "journal.sqlite": recorded.journal,
        **({"transactions.csv": _csv(pd.concat(accounts))} if accounts else {}),
        **{f"figures/{figure.name}": figure.content for section in sections for figure in section.figures},
    }
    about = {
        "what": "sandbox report of gift-card orders on the OneClickDZ API v3",
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
    for name, written in content.items():  # the disk may be full: the report that was there before is still whole then
        (work / "new" / name).parent.mkdir(parents=True, exist_ok=True)
        (work / "new" / name).write_bytes(written)
    (out / "figures").mkdir(parents=True, exist_ok=True)
    _remove_old(out, content)
    for suffix in ("-wal", "-shm"):  # of a journal that was there before; SQLite would take them for the new one's
        (out / f"journal.sqlite{suffix}").unlink(missing_ok=True)
    for name, written in content.items():
        if not (out / name).exists() or (out / name).read_bytes() != written:
            (work / "new" / name).replace(out / name)
    return out / "index.html"


def _remove_old(out: Path, content: Collection[str]) -> None:
    """Remove the files of the report that was in the folder before and that this one lacks, and no other file."""
    try:
        before = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        return
    for path in (out / "transactions.csv", *(out / "figures").iterdir()):
        if path.is_file() and (name := path.relative_to(out).as_posix()) in before and name not in content:
            path.unlink()


def _csv(frame: pd.DataFrame) -> bytes:
    """Write a frame; an apostrophe is put before a text that a spreadsheet would run as a formula, or that has one."""
    frame = frame.copy()
    for name in frame:
        if isinstance(frame[name].dtype, pd.StringDtype):
            frame[name] = frame[name].str.replace(_FORMULA, r"'\1", regex=True)
    # With another end of line a text with a carriage return would not be quoted, and begin a row of its own.
    text = frame.to_csv(index=False, float_format="%.6f", lineterminator="\r\n", date_format="%Y-%m-%dT%H:%M:%S.%fZ")
    return text.encode()
