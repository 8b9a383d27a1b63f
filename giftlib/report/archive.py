"""The journal that a report keeps: all its orders and polls in one file, from which the report can be made again."""

import json
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from giftlib.api import JournalError
from giftlib.journal import Journal

_RUNS = """
SELECT run FROM (SELECT run, sent_us FROM original.orders UNION ALL SELECT run, sent_us FROM original.polls)
WHERE run IS NOT NULL GROUP BY run ORDER BY MIN(sent_us), run
"""
_PREFIX = "UPDATE moved SET order_id = ? || ':' || order_id WHERE order_id IN (SELECT order_id FROM main.orders)"
_KEYS = {"polls": "id", "orders": "intent"}  # polls first, while main.orders has only the journals before


def record(journals: Mapping[str, Path], metadata: Any, path: Path) -> None:
    """Write the orders and polls of all journals, in their order, and metadata (JSON) into a new journal at `path`.

    The same orders and polls give the same bytes: a run is named after its journal and its number there. Two emulators
    with the same seed give the same id to different orders; the later one's id is prefixed with its journal's name.
    """
    Journal(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE report (metadata TEXT NOT NULL)")
        db.execute("INSERT INTO report VALUES (?)", (json.dumps(metadata),))
        for name, journal in journals.items():
            _append(db, name, journal)


def _append(db: sqlite3.Connection, name: str, journal: Path) -> None:
    db.execute("ATTACH ? AS original", (str(journal),))
    db.execute("BEGIN")
    runs = [(f"{name} {number}", run) for number, (run,) in enumerate(db.execute(_RUNS).fetchall(), 1)]
    for table, key in _KEYS.items():
        db.execute(f"CREATE TEMP TABLE moved AS SELECT * FROM original.{table} ORDER BY {key}")
        db.execute(f"UPDATE moved SET {key} = NULL")  # numbers continue after those of the journals before
        db.executemany("UPDATE moved SET run = ? WHERE run = ?", runs)
        db.execute(_PREFIX, (name,))
        db.execute(f"INSERT INTO main.{table} SELECT * FROM moved ORDER BY rowid")
        db.execute("DROP TABLE moved")
    db.execute("COMMIT")
    db.execute("DETACH original")


def copy_journal(journal: Path, path: Path) -> None:
    """Copy a journal to `path`, even while programs write to it or after one was killed; the original stays as it is.

    Raises OSError if it cannot be read, JournalError if it is no journal.
    """
    original = journal.resolve(strict=True)  # SQLite's files lie beside that, and not beside a link to it
    try:
        while not _copied(original, path):
            pass
        Journal(path).close()
    except (JournalError, sqlite3.Error) as error:
        raise JournalError(str(error).replace(str(path), str(journal))) from None


def _copied(original: Path, path: Path) -> bool:
    """Copy once; gives False if the original changed meanwhile."""
    for suffix in ("", "-wal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    beside = {suffix: original.with_name(original.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")}
    if beside["-shm"].exists() or beside["-journal"].exists():  # in use, or was when its program was killed
        read_only = f"{original.as_uri()}?mode=ro"
        with closing(sqlite3.connect(read_only, uri=True)) as source, closing(sqlite3.connect(path)) as target:
            source.execute("BEGIN")
            source.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()  # waits for a lock, but not without end
            source.backup(target)
        return True
    before = _state(beside)
    for suffix in ("", "-wal"):  # SQLite would leave files beside the original
        if beside[suffix].exists():
            shutil.copyfile(beside[suffix], path.with_name(path.name + suffix))
    return _state(beside) == before


def _state(files: Mapping[str, Path]) -> list[tuple[int, int] | None]:
    states = [path.stat() if path.exists() else None for path in files.values()]
    return [state and (state.st_size, state.st_mtime_ns) for state in states]


def metadata_of(path: Path) -> Any:
    """Read the metadata that `record` wrote into the journal; None if another program made the journal."""
    with closing(sqlite3.connect(path)) as db:
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'report'").fetchone():
            return None
        return json.loads(db.execute("SELECT * FROM report").fetchone()[0])  # older reports named the column `note`
