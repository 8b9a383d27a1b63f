"""The journal's SQLite tables: how they are made, opened, read and written."""

import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from os import PathLike
from pathlib import Path

from giftlib.api import JournalError

SCHEMA_VERSION = 3

_SCHEMA = """
CREATE TABLE sources (
    source INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('vendor', 'emulator', 'other', 'unknown')),
    host TEXT, account TEXT, key_type TEXT, instance TEXT
);
CREATE TABLE orders (
    number INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES sources (source), order_id TEXT NOT NULL,
    product_id TEXT, type_id TEXT, quantity INTEGER, told_us INTEGER,
    status TEXT, is_final INTEGER NOT NULL DEFAULT 0,
    fulfilled_quantity INTEGER, fulfilled_amount TEXT, price_per_card TEXT, refunded_quantity INTEGER,
    refunded_amount TEXT, problems TEXT NOT NULL DEFAULT '[]',
    UNIQUE (source, order_id)
);
CREATE TABLE intents (
    intent INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES sources (source), ref TEXT UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('intended', 'placed', 'not placed', 'unknown')),
    product_id TEXT NOT NULL, type_id TEXT NOT NULL, quantity INTEGER NOT NULL,
    run TEXT NOT NULL, sent_us INTEGER NOT NULL, sent_s REAL NOT NULL, received_us INTEGER, received_s REAL,
    earliest_us INTEGER, latest_us INTEGER,
    placed INTEGER UNIQUE REFERENCES orders (number)
);
CREATE TABLE polls (
    id INTEGER PRIMARY KEY,
    polled INTEGER NOT NULL REFERENCES orders (number),
    via TEXT NOT NULL CHECK (via IN ('check', 'list')),
    run TEXT NOT NULL,
    sent_us INTEGER NOT NULL, sent_s REAL NOT NULL, received_us INTEGER NOT NULL, received_s REAL NOT NULL,
    outcome TEXT NOT NULL,
    shows TEXT CHECK (shows IN ('open', 'final')),
    http_status INTEGER, retry_after_s REAL, request_id TEXT, earliest_us INTEGER, latest_us INTEGER
);
CREATE INDEX polls_by_order ON polls (polled, id);
"""
FILL_IN = """
ON CONFLICT (source, order_id) DO UPDATE SET product_id = COALESCE(product_id, excluded.product_id),
    type_id = COALESCE(type_id, excluded.type_id), quantity = COALESCE(quantity, excluded.quantity),
    told_us = COALESCE(told_us, excluded.told_us)
"""
"""How an order is added that may be there: what is known of it stays."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNREADABLE = (sqlite3.Error, ArithmeticError, LookupError, OSError, RecursionError, TypeError, ValueError)
PATIENCE_S = 30.0
"""How long a write waits for other programs that write to the same file."""


class Database:
    """Hold a journal's file open, for any thread; raise only JournalError."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self._lock = threading.RLock()
        try:
            self._path = Path(path).absolute()  # there is no such file if the journal is in memory
            check_regular(self._path)
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        except (sqlite3.Error, OSError, TypeError, ValueError) as error:
            raise JournalError(f"{path} cannot be opened: {error}") from None
        try:
            self._prepare()
        except BaseException as error:
            self._db.close()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
                raise JournalError(f"{path} cannot be written: Journal().merge(...) reads it") from None
            if isinstance(error, sqlite3.Error | JournalError | OSError):
                raise JournalError(f"{path} is not a journal that can be opened: {error}") from None
            raise
        self._file = self._file_there()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def reading(self, failure: str = "the journal cannot be read") -> Iterator[sqlite3.Connection]:
        """Give the connection to read from; raise JournalError for whatever no journal has."""
        with self._lock:
            try:
                yield self._db
            except _UNREADABLE as error:
                raise JournalError(f"{failure}: {error}") from None

    @contextmanager
    def attached(self, path: Path) -> Iterator[None]:
        """Let the statements inside the block use the journal in that file too, as `there`."""
        with self.reading() as db:
            db.execute("ATTACH ? AS there", (str(path),))
            try:
                yield
            finally:
                db.execute("DETACH there")

    @contextmanager
    def writing(self, timeout: float = PATIENCE_S) -> Iterator[sqlite3.Connection]:
        """Write everything inside the block, or nothing; wait at most `timeout` seconds for others that write."""
        deadline = time.monotonic() + min(timeout, PATIENCE_S)
        if not self._lock.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
            raise JournalError("the journal cannot be written: another thread is writing")
        try:
            if self._file_there() != self._file:
                raise JournalError(f"the journal cannot be written: {self._path} was deleted or replaced")
            self._begin(deadline)
            yield self._db
            self._db.execute("COMMIT")
        except (sqlite3.Error, UnicodeError, OverflowError) as error:
            raise JournalError(f"the journal cannot be written: {error}") from None
        finally:
            with suppress(sqlite3.Error):  # the connection is closed, or SQLite has rolled back itself
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            self._lock.release()

    def _begin(self, deadline: float) -> None:
        """Begin to write; in short tries, since Ctrl-C cannot interrupt SQLite while it waits."""
        self._db.execute("PRAGMA busy_timeout = 0")
        while True:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
            time.sleep(0.01)
        self._db.execute("PRAGMA busy_timeout = 5000")  # readers wait for nothing but a program that closes the file

    def _file_there(self) -> tuple[int, int] | None:
        with suppress(OSError):
            found = self._path.stat()
            return found.st_dev, found.st_ino
        return None

    def _prepare(self) -> None:
        """Make the tables where there are none; raise JournalError for others than a journal's."""
        self._db.execute("PRAGMA trusted_schema = OFF")
        self._begin(time.monotonic() + PATIENCE_S)  # first: two programs that set the mode of a new file would fail
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        kinds = {kind for (kind,) in self._db.execute(
            "SELECT IIF(type = 'table' AND rootpage = 0, 'virtual table', type) FROM sqlite_schema"
        )}  # fmt: skip
        if version == 0 and not kinds:
            for statement in _SCHEMA.split(";\n"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version == 0:
            raise JournalError("its tables are another program's")
        elif version != SCHEMA_VERSION:
            raise JournalError(
                f"it has version {version} and this giftlib reads version {SCHEMA_VERSION}: the giftlib that wrote it "
                f"still reads it, and track_orders(order_ids, journal=...) takes its orders into a new one"
            )
        elif strange := kinds - {"table", "index"}:
            raise JournalError(f"it has a {min(strange)}, and no journal has one")
        self._db.execute("COMMIT")
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")


def check_regular(path: Path) -> None:
    """Raise OSError for what exists and is no regular file: reading a device or a pipe may never end."""
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{path} is not a regular file")


def to_us(time: datetime | None) -> int | None:
    """Return microseconds since 1970."""
    return None if time is None else (time - _EPOCH) // timedelta(microseconds=1)


def from_us(us: int | None) -> datetime | None:
    """Return the UTC time of so many microseconds since 1970."""
    return None if us is None else _EPOCH + timedelta(microseconds=us)
