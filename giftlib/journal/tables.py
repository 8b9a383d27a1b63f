"""The journal's SQLite tables: how they are made, opened and written to."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from os import PathLike

from giftlib.api import JournalError

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE orders (
    intent INTEGER PRIMARY KEY,
    order_id TEXT UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('intended', 'placed', 'not placed', 'unknown', 'watched')),
    product_id TEXT, type_id TEXT, quantity INTEGER,
    run TEXT, sent_us INTEGER, sent_s REAL, received_us INTEGER, received_s REAL,
    told_us INTEGER,
    status TEXT, is_final INTEGER NOT NULL DEFAULT 0,
    fulfilled_quantity INTEGER, fulfilled_amount TEXT, price_per_card TEXT, refunded_quantity INTEGER,
    refunded_amount TEXT, problems TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE polls (
    id INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (order_id),
    via TEXT NOT NULL CHECK (via IN ('check', 'list')),
    run TEXT NOT NULL,
    sent_us INTEGER NOT NULL, sent_s REAL NOT NULL, received_us INTEGER NOT NULL, received_s REAL NOT NULL,
    outcome TEXT NOT NULL,
    shows TEXT CHECK (shows IN ('open', 'final')),
    http_status INTEGER, retry_after_s REAL, request_id TEXT
);
CREATE INDEX polls_by_order ON polls (order_id, id);
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def open_database(path: str | PathLike[str]) -> sqlite3.Connection:
    """Open a journal's file, or make it; raise JournalError for a file that is no journal or has another version."""
    try:
        db = sqlite3.connect(path, timeout=30, isolation_level=None)
    except (sqlite3.Error, TypeError) as error:
        raise JournalError(f"{path} cannot be opened: {error}") from None
    try:
        db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE;")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        tables = db.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0]
        if version == 0 and tables == 0:
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"its version is {version}, this giftlib reads version {SCHEMA_VERSION}")
        db.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        db.close()
        raise JournalError(f"{path} is not a journal that can be opened: {error}") from None
    return db


@contextmanager
def writing(db: sqlite3.Connection) -> Iterator[None]:
    """Write everything inside the block, or nothing; raise JournalError if it cannot be written."""
    try:
        with db:
            db.execute("BEGIN IMMEDIATE")
            yield
    except sqlite3.Error as error:
        raise JournalError(f"the journal cannot be written: {error}") from None


def to_us(time: datetime | None) -> int | None:
    """Return microseconds since 1970."""
    return None if time is None else (time - _EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """Return the UTC time of so many microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=us)
