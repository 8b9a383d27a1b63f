"""The journal that a report keeps: all its orders and looks in one file, from which it can be made again."""

import json
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from giftlib.api.errors import GiftlibError
from giftlib.journal.store import Journal

_RUNS = """
SELECT run FROM (SELECT run, sent_us FROM source.orders UNION ALL SELECT run, sent_us FROM source.polls)
WHERE run IS NOT NULL GROUP BY run ORDER BY MIN(sent_us), run
"""
_TABLES = {"orders": "intent", "polls": "id"}


def record(journals: Mapping[str, Path], note: Any, path: Path) -> None:
    """Write the orders and looks of all journals, in their order, into a new journal at `path`, with a note (JSON).

    The same orders and looks give the same bytes: a run is called by its journal's name and its number there. Two
    emulators with one seed give the same id to different orders; before the later one's stands its journal's name.
    """
    Journal(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE report (note TEXT NOT NULL)")
        db.execute("INSERT INTO report VALUES (?)", (json.dumps(note),))
        for name, journal in journals.items():
            _take(db, name, journal)


def _take(db: sqlite3.Connection, name: str, journal: Path) -> None:
    db.execute("ATTACH ? AS source", (str(journal),))
    db.execute("BEGIN")
    runs = [(f"{name} {number}", run) for number, (run,) in enumerate(db.execute(_RUNS).fetchall(), 1)]
    db.execute(
        "CREATE TEMP TABLE taken AS SELECT order_id FROM main.orders INTERSECT SELECT order_id FROM source.orders"
    )
    for table, key in _TABLES.items():
        db.execute(f"CREATE TEMP TABLE moved AS SELECT * FROM source.{table} ORDER BY {key}")
        db.execute(f"UPDATE moved SET {key} = NULL")  # numbers go on from those before
        db.executemany("UPDATE moved SET run = ? WHERE run = ?", runs)
        db.execute(
            "UPDATE moved SET order_id = ? || ':' || order_id WHERE order_id IN (SELECT order_id FROM taken)", (name,)
        )
        db.execute(f"INSERT INTO main.{table} SELECT * FROM moved ORDER BY rowid")
        db.execute("DROP TABLE moved")
    db.execute("DROP TABLE taken")
    db.execute("COMMIT")
    db.execute("DETACH source")


def copy_journal(journal: Path, path: Path) -> None:
    """Copy a journal's file to `path`, with what a program that was killed left beside it; the file stays as it is.

    Raises OSError if it cannot be read, GiftlibError if it is no journal.
    """
    beside, copied = (file.with_name(f"{file.name}-wal") for file in (journal, path))
    shutil.copyfile(journal, path)
    if beside.exists():
        shutil.copyfile(beside, copied)
    try:
        Journal(path).close()
    except GiftlibError as error:
        raise GiftlibError(str(error).replace(str(path), str(journal))) from None


def note_of(path: Path) -> Any:
    """The note that `record` left in the journal, None if it was not made by it."""
    with closing(sqlite3.connect(path)) as db:
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'report'").fetchone():
            return None
        return json.loads(db.execute("SELECT note FROM report").fetchone()[0])
