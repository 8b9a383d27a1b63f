"""The journal that a report keeps: all its orders and polls in one file, from which the report can be made again."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from giftlib.journal import Journal
from giftlib.report.provenance import sha256

_ROWS = (
    "SELECT kind, account, key_type FROM sources ORDER BY source",
    "SELECT * FROM orders ORDER BY number",
    "SELECT intent, source, ref, state, sent_us, sent_s, received_us, received_s, placed FROM intents ORDER BY intent",
    "SELECT polled, via, sent_us, sent_s, received_us, received_s, outcome, request_id FROM polls ORDER BY id",
)
_RUNS = """
SELECT run FROM (SELECT run, 0 AS later, intent AS at FROM intents UNION ALL SELECT run, 1, id FROM polls)
GROUP BY run ORDER BY MIN(later), MIN(IIF(later, NULL, at)), MIN(at)
"""


def record(journals: Mapping[str, Path], metadata: Any, path: Path) -> None:
    """Write the orders and polls of all journals, in their order, and metadata (JSON) into a new journal at `path`.

    The same orders and polls give the same bytes: runs and emulators, whose names are drawn at random, are named after
    a digest of all that was recorded.
    """
    with TemporaryDirectory() as folder:
        merged = Path(folder, "merged.sqlite")
        with Journal(merged) as journal:
            journal.merge(*journals.values())
        with closing(sqlite3.connect(merged, isolation_level=None)) as db:
            digest = sha256(repr([db.execute(rows).fetchall() for rows in _ROWS]).encode())[:16]
            names = [(f"{digest} {number}", run) for number, (run,) in enumerate(db.execute(_RUNS).fetchall(), 1)]
            for table in ("intents", "polls"):
                db.executemany(f"UPDATE {table} SET run = ? WHERE run = ?", names)
            db.execute(
                "UPDATE sources SET instance = ? || ' ' || source, host = NULL WHERE kind = 'emulator'", (digest,)
            )
            db.execute("CREATE TABLE report (metadata TEXT NOT NULL)")
            db.execute("INSERT INTO report VALUES (?)", (json.dumps(metadata),))
            db.execute("VACUUM INTO ?", (str(path),))
    Journal(path).close()  # sets the file's mode, which reading would do otherwise


def metadata_of(path: Path) -> Any:
    """Read the metadata that `record` wrote into the journal; None if another program made the journal."""
    with closing(sqlite3.connect(path)) as db:
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'report'").fetchone():
            return None
        return json.loads(db.execute("SELECT * FROM report").fetchone()[0])  # older reports named the column `note`
