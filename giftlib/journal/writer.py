"""Write what happens to orders into the journal, each step in one transaction."""

import json
import sqlite3
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import uuid4

from giftlib.api import JournalError, Order, OrderOutcomeUnknownError, OrderRequest, Source, check_id
from giftlib.clock import Timestamp

from .poll import Poll
from .tables import PATIENCE_S, Database, from_us, to_us

_OF_REF = """
SELECT intent, state, i.product_id, i.type_id, i.quantity, kind, host, account, key_type, instance, order_id, is_final
FROM intents AS i JOIN sources USING (source) LEFT JOIN orders ON number = placed WHERE ref = ?
"""
_ADOPT = """
UPDATE OR IGNORE orders SET source = :source
WHERE order_id = :order_id AND source IN (SELECT source FROM sources WHERE kind = 'unknown')
AND IFNULL(product_id = :product_id, TRUE) AND IFNULL(type_id = :type_id, TRUE)
"""
_SEE = """
UPDATE orders SET status = ?, is_final = ?, product_id = COALESCE(product_id, ?), type_id = COALESCE(type_id, ?),
    quantity = COALESCE(?, quantity), told_us = COALESCE(told_us, ?), fulfilled_quantity = ?, fulfilled_amount = ?,
    price_per_card = ?, refunded_quantity = ?, refunded_amount = ?, problems = ?
WHERE source = ? AND order_id = ? AND NOT is_final
"""
_ADD_POLL = """
INSERT INTO polls (polled, via, run, sent_us, sent_s, received_us, received_s, outcome, shows, http_status,
    retry_after_s, request_id)
SELECT number, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM orders WHERE source = ? AND order_id = ?
"""


class LostOrder(NamedTuple):
    """Describe an order request whose outcome is not known; `received_at` is None if its process was killed.

    `earliest` and `latest` bound, by the API's clock, when it can have been carried out; None if that is not known.
    """

    intent: int
    product_id: str
    type_id: str
    quantity: int
    ref: str | None
    sent_at: datetime
    received_at: datetime | None
    earliest: datetime | None
    latest: datetime | None

    @property
    def error(self) -> OrderOutcomeUnknownError:
        """Return the error that says so."""
        gave_up_at = self.received_at or self.sent_at
        error = OrderOutcomeUnknownError(*self[1:4], self.sent_at, gave_up_at, self.earliest, self.latest)
        error.intent = self.intent
        return error


class Begun(NamedTuple):
    """Say what the journal has of an order request: `is_new` if it is to be sent now, `order_id` if it was placed."""

    intent: int
    is_new: bool = True
    order_id: str | None = None
    is_final: bool = False


class JournalWriter:
    """Record order requests before they leave, what became of them, and polls. Each row belongs to a source."""

    def __init__(self, database: Database) -> None:
        self._run = uuid4().hex
        self._database = database

    def intend(
        self,
        request: OrderRequest,
        source: Source,
        sent: Timestamp,
        earliest: datetime | None = None,
        latest: datetime | None = None,
    ) -> Begun:
        """Commit, before the request leaves, that an order is about to be placed.

        A request whose `ref` the journal has is not new, unless all that was sent for it was rejected. Raise as
        `check_ref` does.
        """
        wanted = (request.product_id, request.type_id, request.quantity)
        with self._database.writing() as db:
            held = _held(_row_of(db, request), request, source)
            if held is not None and not held.is_new:
                return held
            values = ("intended", *wanted, self._run, to_us(sent.utc), sent.monotonic, to_us(earliest), to_us(latest))
            cursor = db.execute(
                "INSERT OR REPLACE INTO intents (intent, ref, source, state, product_id, type_id, quantity, run,"
                " sent_us, sent_s, earliest_us, latest_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (held and held.intent, request.ref, _number_of(db, source), *values),
            )
        assert cursor.lastrowid is not None
        return Begun(cursor.lastrowid)

    def check_ref(self, request: OrderRequest, source: Source) -> None:
        """Raise ValueError if its `ref` stands for another request, JournalError if it was made of another source."""
        with self._database.reading() as db:
            row = _row_of(db, request)
        _held(row, request, source)

    def placed(self, intent: int, order_id: str, received: Timestamp, source: Source) -> None:
        """Record that the intent became this order; an order claimed for another intent by mistake is taken back."""
        with self._database.writing() as db:
            number = _number_of(db, source)
            _add(db, number, [order_id])
            (placed,) = db.execute("SELECT number FROM orders WHERE (source, order_id) = (?, ?)", (number, order_id))
            db.execute("UPDATE intents SET state = 'unknown', placed = NULL WHERE placed = ? AND intent != ?",
                       (*placed, intent))  # fmt: skip
            db.execute("UPDATE intents SET source = ?, placed = ? WHERE intent = ?", (number, *placed, intent))
            _end(db, intent, "placed", received)
            _name_goods(db, intent)

    def not_placed(self, intent: int, received: Timestamp) -> None:
        """Record that the request was rejected; no order was placed."""
        with self._database.writing() as db:
            _end(db, intent, "not placed", received)

    def outcome_unknown(self, intent: int, received: Timestamp, latest: datetime | None = None) -> None:
        """Record that the response was lost; the order may have been placed, until `latest` by the API's clock."""
        with self._database.writing() as db:
            _end(db, intent, "unknown", received)
            db.execute(
                "UPDATE intents SET latest_us = COALESCE(?, latest_us) WHERE intent = ?", (to_us(latest), intent)
            )

    def lost_orders(self, source: Source) -> list[LostOrder]:
        """Return the source's requests of unknown outcome, also those of killed processes, in the order of sending.

        Those of a journal of version 1, whose source is not known, may be this one's.
        """
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT intent, product_id, type_id, quantity, ref, sent_us, received_us, earliest_us, latest_us"
                " FROM intents JOIN sources USING (source) WHERE state IN ('unknown', 'intended')"
                " AND (kind = 'unknown' OR source = ?) ORDER BY sent_us, intent",
                (_number_of(db, source, add=False),),
            ).fetchall()
        return [LostOrder(*row[:5], *map(from_us, row[5:])) for row in rows]

    def placed_ids(self, source: Source) -> set[str]:
        """Return the ids of the orders that this journal's intents became."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT order_id FROM orders JOIN intents ON placed = number WHERE orders.source = ?",
                (_number_of(db, source, add=False),),
            ).fetchall()
        return {order_id for (order_id,) in rows}

    def claim(self, intent: int, order: Order, source: Source) -> None:
        """Record that a lost intent became this order, unless its own process has ended it or another intent has it.

        When the response came is not known: the order's time then counts from the API's time of placement.
        """
        with self._database.writing() as db:
            number = _number_of(db, source)
            _adopt(db, number, [(check_id("order.order_id", order.order_id), order)])
            _add(db, number, [str(order.order_id)])
            db.execute(
                "UPDATE orders SET told_us = COALESCE(told_us, ?) WHERE source = ? AND order_id = ?",
                (to_us(order.placed_at), number, order.order_id),
            )
            db.execute(
                "UPDATE OR IGNORE intents SET state = 'placed', source = ?, received_us = NULL, received_s = NULL,"
                " placed = (SELECT number FROM orders WHERE source = ? AND order_id = ?)"
                " WHERE intent = ? AND state IN ('unknown', 'intended')",
                (number, number, order.order_id, intent),
            )
            _name_goods(db, intent)

    def watch(self, *order_ids: str, source: Source = Source(), timeout: float = PATIENCE_S) -> None:  # noqa: B008
        """Remember orders that were placed elsewhere; no effect on those that are known.

        Raise JournalError, and remember none, if one is known of another source only: it cannot be polled here.
        """
        for order_id in order_ids:
            check_id("order_ids", order_id)
        with self._database.writing(timeout) as db:
            number = _number_of(db, source, add=False)
            for order_id in order_ids:
                others = db.execute(
                    "SELECT source, kind, host, account, key_type, instance FROM orders JOIN sources USING (source)"
                    " WHERE order_id = ? ORDER BY source IS NOT ?, kind != 'unknown'",
                    (order_id, number),
                ).fetchone()
                if others and source.kind != "unknown" and others[0] != number and others[1] != "unknown":
                    raise _of_another_source(f"order {order_id}", Source(*others[1:]), source)
                if not others:
                    _add(db, _number_of(db, source), [order_id])

    def record(self, *polls: Poll, source: Source = Source(), timeout: float = PATIENCE_S) -> None:  # noqa: B008
        """Keep polls and what they reported of their orders. An order once seen final stays as it was then.

        A failed poll of an order that this source is not known to have is not kept.
        """
        with self._database.writing(timeout) as db:
            number = _number_of(db, source, add=any(poll.order is not None for poll in polls))
            seen = [(poll.order_id, order) for poll in polls if (order := poll.order) is not None]
            _adopt(db, number, seen)
            _add(db, number, (order_id for order_id, _ in seen))
            db.executemany(_ADD_POLL, [
                (poll.via, self._run, to_us(poll.sent.utc), poll.sent.monotonic, to_us(poll.received.utc),
                 poll.received.monotonic, poll.outcome, poll.shows, poll.http_status, poll.retry_after_s,
                 poll.request_id, number, poll.order_id) for poll in polls
            ])  # fmt: skip
            db.executemany(_SEE, [
                (str(order.status), order.is_final, order.product_id, order.type_id, order.quantity,
                 to_us(order.placed_at), order.fulfilled_quantity, _money(order.fulfilled_amount),
                 _money(order.price_per_card), order.refunded_quantity, _money(order.refunded_amount),
                 json.dumps(order.problems), number, order_id) for order_id, order in seen
            ])  # fmt: skip


def _row_of(db: sqlite3.Connection, request: OrderRequest) -> Any:
    return request.ref and db.execute(_OF_REF, (request.ref,)).fetchone()


def _held(row: Any, request: OrderRequest, source: Source) -> Begun | None:
    """Return what the journal has for a ref, None if nothing; raise as `check_ref` does."""
    if not row:
        return None
    (intent, state, *goods), place, (order_id, is_final) = row[:5], Source(*row[5:10]), row[10:]
    if goods != [request.product_id, request.type_id, request.quantity]:
        raise ValueError(
            f"ref {request.ref!r} stands for {goods[2]} x {goods[1]} of product {goods[0]} in this journal, "
            f"got {request.quantity} x {request.type_id} of product {request.product_id}"
        )
    if place != source:
        raise _of_another_source(f"the order with ref {request.ref!r}", place, source)
    return Begun(intent, state == "not placed", order_id, bool(is_final))


def _number_of(db: sqlite3.Connection, source: Source, *, add: bool = True) -> int | None:
    """Return the number of the source; a new one is added, named after its kind and numbered from the second on."""
    identity = (source.kind, source.account, source.key_type, source.instance)
    row = db.execute(
        "SELECT source FROM sources WHERE kind = ? AND account IS ? AND key_type IS ? AND instance IS ?", identity
    ).fetchone()
    if row or not add:
        return row[0] if row else None
    (like,) = db.execute("SELECT COUNT(*) FROM sources WHERE kind = ?", (source.kind,)).fetchone()
    name = f"{source.kind} {like + 1}" if like else source.kind
    return db.execute(
        "INSERT INTO sources (name, kind, account, key_type, instance, host) VALUES (?, ?, ?, ?, ?, ?)",
        (name, *identity, source.host),
    ).lastrowid


def _of_another_source(what: str, place: Source, here: Source) -> JournalError:
    return JournalError(f"{what} belongs to another source ({place}) than this client ({here}): {place.way_back}")


def _add(db: sqlite3.Connection, source: int | None, order_ids: Iterable[str]) -> None:
    db.executemany(
        "INSERT OR IGNORE INTO orders (source, order_id) VALUES (?, ?)", ((source, order_id) for order_id in order_ids)
    )


def _adopt(db: sqlite3.Connection, source: int | None, seen: Iterable[tuple[str, Order]]) -> None:
    """Let orders of a source that is not known belong to the one that has just shown them."""
    db.executemany(_ADOPT, [
        {"source": source, "order_id": order_id, "product_id": order.product_id, "type_id": order.type_id}
        for order_id, order in seen
    ])  # fmt: skip


def _name_goods(db: sqlite3.Connection, intent: int) -> None:
    """Let the order that an intent became have its product, type and quantity, as far as they are not known."""
    db.execute(
        "UPDATE orders SET product_id = COALESCE(orders.product_id, i.product_id),"
        " type_id = COALESCE(orders.type_id, i.type_id), quantity = COALESCE(orders.quantity, i.quantity)"
        " FROM intents AS i WHERE i.intent = ? AND i.placed = number",
        (intent,),
    )


def _end(db: sqlite3.Connection, intent: int, state: str, received: Timestamp) -> None:
    db.execute(
        "UPDATE intents SET state = ?, received_us = ?, received_s = ? WHERE intent = ?"
        " AND (state != 'placed' OR ? = 'placed')",
        (state, to_us(received.utc), received.monotonic, intent, state),
    )


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)
