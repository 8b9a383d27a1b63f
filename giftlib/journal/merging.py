"""Copy a journal while it is in use, and bring what several hold into one."""

import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

from giftlib.api import JournalError, Source

from .rows import number_of
from .tables import FILL_IN, Database, check_regular

# `there` is the journal that is added. Rows are told apart by what identifies them: a source by its kind, account, key
# and instance; an order by its source and id; a request and a poll by the run and the time of sending. All polls are
# numbered anew in the order in which they were made, by the API's clock where it is known. Of two requests with one ref
# of which one was rejected, the other stays: it was sent in its place.
_REST_OF_POLL = """via, run, sent_us, sent_s, received_us, received_s, outcome, shows, http_status, retry_after_s,
    request_id, earliest_us, latest_us"""
_SOURCES = "SELECT source, kind, host, account, key_type, instance FROM there.sources ORDER BY source"
_STEPS = f"""
INSERT INTO orders (source, order_id, product_id, type_id, quantity, told_us)
SELECT here, order_id, product_id, type_id, quantity, told_us FROM there.orders JOIN source_of ON there = source
WHERE TRUE ORDER BY number
{FILL_IN};
CREATE TEMP TABLE number_of AS SELECT a.number AS there, b.number AS here
FROM there.orders AS a JOIN source_of ON source_of.there = a.source
JOIN main.orders AS b ON (b.source, b.order_id) = (source_of.here, a.order_id);
UPDATE main.orders SET status = a.status, is_final = a.is_final, fulfilled_quantity = a.fulfilled_quantity,
    fulfilled_amount = a.fulfilled_amount, price_per_card = a.price_per_card, refunded_quantity = a.refunded_quantity,
    refunded_amount = a.refunded_amount, problems = a.problems
FROM there.orders AS a JOIN number_of ON there = a.number
WHERE orders.number = here AND NOT orders.is_final AND a.status IS NOT NULL;
UPDATE OR IGNORE main.intents SET state = a.state, placed = here, received_us = a.received_us,
    received_s = a.received_s, latest_us = a.latest_us
FROM there.intents AS a LEFT JOIN number_of ON there = a.placed
WHERE (a.run, a.sent_s, a.sent_us) = (intents.run, intents.sent_s, intents.sent_us)
AND intents.state IN ('intended', 'unknown') AND a.state IN ('placed', 'not placed');
DELETE FROM main.intents WHERE state = 'not placed' AND EXISTS (
    SELECT 1 FROM there.intents AS a WHERE a.ref = intents.ref AND a.state != 'not placed'
    AND (a.run, a.sent_s, a.sent_us) != (intents.run, intents.sent_s, intents.sent_us)
);
INSERT INTO intents (source, ref, state, product_id, type_id, quantity, run, sent_us, sent_s, received_us, received_s,
    earliest_us, latest_us, placed)
SELECT source_of.here, a.ref, IIF(taken.placed IS NULL, a.state, 'unknown'), a.product_id, a.type_id, a.quantity, a.run,
    a.sent_us, a.sent_s, a.received_us, a.received_s, a.earliest_us, a.latest_us,
    IIF(taken.placed IS NULL, number_of.here, NULL)
FROM there.intents AS a JOIN source_of ON source_of.there = a.source
LEFT JOIN number_of ON number_of.there = a.placed LEFT JOIN main.intents AS taken ON taken.placed = number_of.here
WHERE NOT EXISTS (
    SELECT 1 FROM main.intents AS b
    WHERE (a.run, a.sent_s, a.sent_us) = (b.run, b.sent_s, b.sent_us) OR (a.state = 'not placed' AND a.ref = b.ref)
)
ORDER BY a.intent;
INSERT INTO polls SELECT NULL, here, {_REST_OF_POLL}
FROM there.polls AS a JOIN number_of ON there = polled
WHERE NOT EXISTS (SELECT 1 FROM main.polls AS b WHERE polled = here AND (a.run, a.sent_s) = (b.run, b.sent_s))
ORDER BY id;
CREATE TEMP TABLE sorted AS SELECT *,
    MAX(COALESCE(earliest_us, sent_us)) OVER (PARTITION BY run ORDER BY sent_s, id) AS at
FROM main.polls;
DELETE FROM main.polls;
INSERT INTO polls SELECT ROW_NUMBER() OVER (ORDER BY at, id), polled, {_REST_OF_POLL} FROM sorted ORDER BY at, id;
DROP TABLE sorted;
DROP TABLE source_of;
DROP TABLE number_of;
"""

_CLASHES = """
SELECT ref FROM there.intents AS a JOIN main.intents AS b USING (ref)
WHERE (a.run, a.sent_s, a.sent_us) != (b.run, b.sent_s, b.sent_us)
AND 'not placed' NOT IN (a.state, b.state)
"""


def merge_journals(database: Database, paths: Iterable[str | PathLike[str]]) -> None:
    """Add the journals in these files, one after the other, each whole or not at all; see `Journal.merge`."""
    for path in paths:
        if not isinstance(path, str | PathLike):
            raise ValueError(f"paths must be names of files, got {path!r}")
        with suppress(OSError):
            if Path(path).stat().st_size == 0:
                raise JournalError(f"{path} is no journal: it is empty")
        with TemporaryDirectory() as folder:
            copy_journal(Path(path), copy := Path(folder, "copy"))
            with database.attached(copy), database.writing() as db:
                for (ref,) in db.execute(_CLASHES):
                    raise JournalError(f"{path} cannot be added: ref {ref!r} stands for another request there")
                sources = db.execute(_SOURCES).fetchall()
                db.execute("CREATE TEMP TABLE source_of (there, here)")
                db.executemany("INSERT INTO source_of VALUES (?, ?)",
                               [(there, number_of(db, Source(*source))) for there, *source in sources])  # fmt: skip
                for statement in _STEPS.split(";\n"):
                    db.execute(statement)


def copy_journal(journal: Path, path: Path) -> None:
    """Copy a journal to `path`, even while programs write to it or after one was killed; the original stays as it is.

    Raise JournalError if the journal cannot be read.
    """
    try:
        original = journal.resolve(strict=True)  # SQLite's files lie beside that, and not beside a link to it
        check_regular(original)
        while not _copied(original, path):
            pass
        Database(path).close()
    except JournalError as error:
        raise JournalError(str(error).replace(str(path), str(journal))) from None
    except (sqlite3.Error, OSError) as error:
        raise JournalError(f"{journal} cannot be read: {error}") from None


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
