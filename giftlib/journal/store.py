"""The journal: every order placed or watched and every look at it, in SQLite, with frames for the analysis.

Nothing secret is written: no card code, no serial, no key. Each event holds UTC and the monotonic seconds of its
run, so that durations within a run do not follow the wall clock's steps.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from os import PathLike
from uuid import uuid4

import pandas as pd

from giftlib.api.client import CLOCK_SKEW, Client
from giftlib.api.errors import GiftlibError, OrderOutcomeUnknownError
from giftlib.api.orders import Order
from giftlib.api.parsing import decimals
from giftlib.api.validation import check_id
from giftlib.clock import Moment
from giftlib.journal.frames import ORDERS, POLLS, intents_frame, orders_frame, polls_frame
from giftlib.journal.parquet import write_orders
from giftlib.journal.poll import Poll

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

_LONGEST_REQUEST = timedelta(minutes=1)
"""How long after a purchase was sent, or given up, the API may still have made it."""

_ORDERS_PER_FILE = 100_000


class Journal:
    """Orders and looks, kept in memory or in a file that outlives the process; several processes may share a file.

    Raises GiftlibError for a file that is no journal, or one of another version.
    """

    def __init__(self, path: str | PathLike[str] = ":memory:") -> None:
        self._run = uuid4().hex
        try:
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
        except (sqlite3.Error, TypeError) as error:
            raise GiftlibError(f"{path} cannot be opened: {error}") from None
        self._db.row_factory = sqlite3.Row
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise GiftlibError(f"{path} is not a journal that can be opened: {error}") from None

    def _open(self) -> None:
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE;")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        tables = self._db.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0]
        if version == 0 and tables == 0:
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"its version is {version}, this giftlib reads version {SCHEMA_VERSION}")
        self._db.execute("COMMIT")

    def __repr__(self) -> str:
        orders, final = self._db.execute("SELECT COUNT(order_id), COALESCE(SUM(is_final), 0) FROM orders").fetchone()
        return f"Journal({orders} orders, {final} final)"

    def close(self) -> None:
        """Close the file; the journal is of no use afterwards."""
        self._db.close()

    def save(self, path: str | PathLike[str]) -> None:
        """Write a copy to a new file at `path`."""
        self._db.execute("VACUUM INTO ?", (str(path),))

    # What is written while orders are placed and watched.

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """All that is written inside, or nothing. Raises GiftlibError if it cannot be written."""
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.Error as error:
            raise GiftlibError(f"the journal cannot be written: {error}") from None

    def intend(self, product_id: str, type_id: str, quantity: int, sent: Moment) -> int:
        """Commit, before the request leaves, that an order is about to be placed; gives the intent's number."""
        with self._writing():
            cursor = self._db.execute(
                "INSERT INTO orders (state, product_id, type_id, quantity, run, sent_us, sent_s)"
                " VALUES ('intended', ?, ?, ?, ?, ?, ?)",
                (product_id, type_id, quantity, self._run, _us(sent.utc), sent.monotonic),
            )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def placed(self, intent: int, order_id: str, received: Moment) -> None:
        """The intent became this order; whatever else was taken for it is so no more."""
        with self._writing():
            self._db.execute(
                "UPDATE orders SET state = 'unknown', order_id = NULL"
                " WHERE order_id = ? AND intent != ? AND state != 'watched'",
                (order_id, intent),
            )
            self._forget_watched(order_id)
            self._settle(intent, "placed", received, order_id)

    def _forget_watched(self, order_id: str) -> None:
        self._db.execute("DELETE FROM orders WHERE order_id = ? AND state = 'watched'", (order_id,))

    def not_placed(self, intent: int, received: Moment) -> None:
        """The intent was refused; no order was made."""
        with self._writing():
            self._settle(intent, "not placed", received)

    def outcome_unknown(self, intent: int, received: Moment) -> None:
        """The answer was lost; the intent may have become an order."""
        with self._writing():
            self._settle(intent, "unknown", received)

    def reconcile(self, client: Client, *, tries: int = 1) -> pd.DataFrame:
        """Look for the purchases whose outcome is not known, and take each order that must be one of them.

        Those are the intents of state "unknown", and the "intended" ones: a process that was killed leaves such a
        one. Purchases alike (product, type, quantity) whose times cannot be told apart are looked for together.
        Where as many orders fit as there are such purchases, or fewer, the orders are theirs, in the order of time;
        where more fit, the API cannot tell which, and none is taken. No order is taken that another intent holds.

        Gives the rows of `intents()` that were looked for, as they are now, with `candidates`, the ids of the orders
        that fit (a list). `tries` and what is raised are those of `Client.find_order`.
        """
        lost = self._db.execute(
            "SELECT * FROM orders WHERE state IN ('unknown', 'intended')"
            " ORDER BY product_id, type_id, quantity, sent_us"
        ).fetchall()
        candidates: dict[int, list[str | None]] = {}
        for rows in _together(lost):
            purchase = (rows[0]["product_id"], rows[0]["type_id"], rows[0]["quantity"])
            begun, ended = _period(rows[0])[0], max(_period(row)[1] for row in rows)
            found = client.find_order(
                OrderOutcomeUnknownError(*purchase, begun, ended), known=self._known_ids(), tries=tries
            )
            candidates |= {row["intent"]: [order.order_id for order in found] for row in rows}
            if len(found) <= len(rows):
                for row, order in zip(rows, sorted(found, key=_placed_at), strict=False):
                    self._claim(row["intent"], order)
        intents = self.intents()
        intents = intents[intents["intent"].isin(list(candidates))].reset_index(drop=True)
        return intents.assign(candidates=intents["intent"].map(candidates))

    def _known_ids(self) -> set[str]:
        rows = self._db.execute("SELECT order_id FROM orders WHERE order_id IS NOT NULL AND state != 'watched'")
        return {row["order_id"] for row in rows}

    def _claim(self, intent: int, order: Order) -> None:
        """The intent became this order, unless its own process has settled it meanwhile, or another intent has it."""
        if order.order_id is None:
            return
        # When the purchase was answered is not known: the order's time is then counted from what the API tells.
        with self._writing():
            self._forget_watched(order.order_id)
            self._db.execute(
                "UPDATE OR IGNORE orders SET state = 'placed', order_id = ?, told_us = ?, received_us = NULL,"
                " received_s = NULL WHERE intent = ? AND state IN ('unknown', 'intended')",
                (order.order_id, _us(order.placed_at), intent),
            )
            self._remember([order.order_id])

    def _settle(self, intent: int, state: str, received: Moment, order_id: str | None = None) -> None:
        self._db.execute(
            "UPDATE orders SET state = ?, order_id = ?, received_us = ?, received_s = ? WHERE intent = ?",
            (state, order_id, _us(received.utc), received.monotonic, intent),
        )

    def watch(self, *order_ids: str) -> None:
        """Remember orders that somebody else placed; no effect on those that are known."""
        for order_id in order_ids:
            check_id("order_ids", order_id)
        with self._writing():
            self._remember(order_ids)

    def _remember(self, order_ids: Iterable[str]) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO orders (order_id, state) VALUES (?, 'watched')", ((name,) for name in order_ids)
        )

    def record(self, *polls: Poll) -> None:
        """Keep looks and what they told of their orders. An order once seen final stays as it was then."""
        with self._writing():
            self._remember(poll.order_id for poll in polls)
            self._db.executemany(
                "INSERT INTO polls (order_id, via, run, sent_us, sent_s, received_us, received_s, outcome, shows,"
                " http_status, retry_after_s, request_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(poll.order_id, poll.via, self._run, _us(poll.sent.utc), poll.sent.monotonic, _us(poll.received.utc),
                  poll.received.monotonic, poll.outcome, poll.shows, poll.http_status, poll.retry_after_s,
                  poll.request_id) for poll in polls],
            )  # fmt: skip
            self._db.executemany(
                "UPDATE orders SET status = ?, is_final = ?, product_id = COALESCE(product_id, ?),"
                " type_id = COALESCE(type_id, ?), quantity = COALESCE(?, quantity), told_us = COALESCE(told_us, ?),"
                " fulfilled_quantity = ?, fulfilled_amount = ?, price_per_card = ?, refunded_quantity = ?,"
                " refunded_amount = ?, problems = ? WHERE order_id = ? AND NOT is_final",
                [(str(order.status), order.is_final, order.product_id, order.type_id, order.quantity,
                  _us(order.placed_at), order.fulfilled_quantity, _money(order.fulfilled_amount),
                  _money(order.price_per_card), order.refunded_quantity, _money(order.refunded_amount),
                  json.dumps(order.problems), poll.order_id) for poll in polls if (order := poll.order) is not None],
            )  # fmt: skip

    # What is read.

    def unfinished(self) -> list[str]:
        """The ids of the orders not yet seen final, in the order in which they were placed."""
        rows = self._db.execute(
            "SELECT order_id FROM orders WHERE order_id IS NOT NULL AND NOT is_final ORDER BY intent"
        )
        return [row["order_id"] for row in rows]

    def intents(self) -> pd.DataFrame:
        """One row a purchase that was begun, in that order.

        Columns: intent (its number), sent_at (UTC), product_id, type_id, quantity, state, order_id (None unless
        placed). The states: "intended" (under way, or its process was killed), "placed", "not placed" (refused,
        nothing was bought), "unknown" (the answer was lost).
        """
        rows = self._db.execute("SELECT * FROM orders WHERE state != 'watched' ORDER BY intent").fetchall()
        return intents_frame(rows)

    def orders(self, *, trust_lists: bool = True) -> pd.DataFrame:
        """One row an order, in the order in which they were placed.

        Columns: order_id, product_id, type_id, quantity, placed_at (UTC), status (None before the first look),
        polls, not_done_by_s, done_by_s, request_s, fulfilled_quantity, price_per_card, fulfilled_amount,
        refunded_quantity, refunded_amount (dinars, Decimal, None where unknown), problems (text).

        The seconds T from placement to the final state lie in `not_done_by_s < T <= done_by_s`: the last look that
        showed the order open was sent after the first, the first that showed it final was answered by the second
        (infinity while there is none). Both count from the placement request, itself a span of time; it and the
        final look make `request_s` of the bracket (NaN while there is no final look). Of an order that somebody else
        placed they count from the time the API tells: its clock and this one must agree. Nobody has promised that lists
        are never behind the orders themselves: once one has shown an order open that was final before, what lists
        showed open bounds nothing in this journal, and with `trust_lists=False` it never does.
        """
        return orders_frame(self._db.execute(ORDERS, {"trust_lists": trust_lists}).fetchall())

    def to_parquet(self, directory: str | PathLike[str]) -> None:
        """Write `orders()` to a new or empty directory, for `dask.dataframe.read_parquet(directory)`.

        The files are partitioned by `day`, the UTC day of `placed_at` ("unknown" without one), and hold up to 100,000
        orders each, so the journal may be larger than the memory. Amounts are exact: Arrow decimals with as many
        places as the finest amount needs, two or more. Nothing is written unless all is.

        Raises ValueError for a directory that holds something, GiftlibError if there is no order, if the files cannot
        be written, or without pyarrow (`pip install pyarrow`).
        """
        amounts = self._db.execute(
            "SELECT price_per_card FROM orders UNION SELECT fulfilled_amount FROM orders"
            " UNION SELECT refunded_amount FROM orders"
        )
        places = max(decimals(Decimal(amount or 0)) for (amount,) in [*amounts, (None,)])
        rows = self._db.execute(ORDERS, {"trust_lists": True})
        chunks = iter(lambda: rows.fetchmany(_ORDERS_PER_FILE), [])
        write_orders(map(orders_frame, chunks), directory, decimal_places=max(places, 2))

    def polls(self) -> pd.DataFrame:
        """One row a look, in the order in which they were made.

        Columns: order_id, attempt (from 1 for each order), via ("check" or "list"; one list request gives a row to
        every order it shows), sent_at, received_at (UTC), latency_s, elapsed_s (from the answer to the placement, or
        for somebody else's order from the time the API tells, to the sending of this look), outcome (a status, an
        error code, "NO_ANSWER" or "INTERRUPTED"), http_status, retry_after_s, request_id.
        """
        return polls_frame(self._db.execute(POLLS).fetchall())


def _together(rows: list[sqlite3.Row]) -> list[list[sqlite3.Row]]:
    """The purchases, sorted by what was bought and when, in groups alike that may have been placed at the same time."""
    groups: list[list[sqlite3.Row]] = []
    for row in rows:
        alike = groups and all(groups[-1][0][name] == row[name] for name in ("product_id", "type_id", "quantity"))
        if alike and _period(row)[0] - CLOCK_SKEW <= max(_period(other)[1] for other in groups[-1]) + CLOCK_SKEW:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _period(row: sqlite3.Row) -> tuple[datetime, datetime]:
    """When the purchase was sent, and when its order was made at the latest, by the clock here."""
    return _moment(row["sent_us"]), _moment(row["received_us"] or row["sent_us"]) + _LONGEST_REQUEST


def _moment(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def _placed_at(order: Order) -> datetime:
    return order.placed_at or datetime.max.replace(tzinfo=UTC)


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)
