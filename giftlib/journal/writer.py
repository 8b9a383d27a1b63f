"""Write what happens to orders into the journal, each step in one transaction."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from giftlib.api import Order, OrderRequest, Source, check_count, check_id
from giftlib.clock import Timestamp

from . import rows
from .poll import Poll
from .rows import Begun, LostOrder
from .tables import PATIENCE_S, Database, from_us, to_us

_SEE = """
UPDATE orders SET status = ?, is_final = ?, product_id = COALESCE(product_id, ?), type_id = COALESCE(type_id, ?),
    quantity = COALESCE(?, quantity), told_us = COALESCE(told_us, ?), fulfilled_quantity = ?, fulfilled_amount = ?,
    price_per_card = ?, refunded_quantity = ?, refunded_amount = ?, problems = ?
WHERE source = ? AND order_id = ? AND NOT is_final
"""
_ADD_POLL = """
INSERT INTO polls (polled, via, run, sent_us, sent_s, received_us, received_s, outcome, shows, http_status,
    retry_after_s, request_id, earliest_us, latest_us)
SELECT number, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM orders WHERE source = ? AND order_id = ?
"""


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
            known = rows.held(rows.row_of_ref(db, request), request, source)
            if known is not None and not known.is_new:
                return known
            values = ("intended", *wanted, self._run, to_us(sent.utc), sent.monotonic, to_us(earliest), to_us(latest))
            cursor = db.execute(
                "INSERT OR REPLACE INTO intents (intent, ref, source, state, product_id, type_id, quantity, run,"
                " sent_us, sent_s, earliest_us, latest_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (known and known.intent, request.ref, rows.number_of(db, source), *values),
            )
        assert cursor.lastrowid is not None
        return Begun(cursor.lastrowid)

    def check_ref(self, request: OrderRequest, source: Source) -> None:
        """Raise ValueError if its `ref` stands for another request, JournalError if it was made of another source."""
        with self._database.reading() as db:
            row = rows.row_of_ref(db, request)
        rows.held(row, request, source)

    def placed(
        self, intent: int, order_id: str, received: Timestamp, source: Source, latest: datetime | None = None
    ) -> None:
        """Record that the intent became this order, by `latest` of the API's clock.

        An order claimed for another intent by mistake is taken back.
        """
        with self._database.writing() as db:
            number = rows.number_of(db, source)
            order = rows.add_placed(db, intent, number, order_id)
            db.execute("UPDATE intents SET state = 'unknown', placed = NULL WHERE placed = ?", (order,))
            db.execute("UPDATE intents SET source = ?, placed = ? WHERE intent = ?", (number, order, intent))
            rows.end_intent(db, intent, "placed", received, latest)

    def not_placed(self, intent: int, received: Timestamp) -> None:
        """Record that the request was rejected; no order was placed."""
        with self._database.writing() as db:
            rows.end_intent(db, intent, "not placed", received)

    def outcome_unknown(self, intent: int, received: Timestamp, latest: datetime | None = None) -> None:
        """Record that the response was lost; the order may have been placed, until `latest` by the API's clock."""
        with self._database.writing() as db:
            rows.end_intent(db, intent, "unknown", received, latest)

    def lost_orders(self, source: Source) -> list[LostOrder]:
        """Return the source's requests of unknown outcome, also those of killed processes, in the order of sending."""
        with self._database.reading() as db:
            found = db.execute(
                "SELECT intent, product_id, type_id, quantity, ref, sent_us, received_us, earliest_us, latest_us"
                " FROM intents WHERE state IN ('unknown', 'intended') AND source = ? ORDER BY sent_us, intent",
                (rows.number_of(db, source, add=False),),
            ).fetchall()
        return [LostOrder(*row[:5], *map(from_us, row[5:])) for row in found]

    def placed_ids(self, source: Source) -> set[str]:
        """Return the ids of the orders that this journal's intents became."""
        with self._database.reading() as db:
            found = db.execute(
                "SELECT order_id FROM orders JOIN intents ON placed = number WHERE orders.source = ?",
                (rows.number_of(db, source, add=False),),
            ).fetchall()
        return {order_id for (order_id,) in found}

    def claim(self, intent: int, order: Order, source: Source) -> None:
        """Record that a lost intent became this order, unless its own process has ended it or another intent has it.

        When the response came is not known: the order's time then counts from the API's time of placement.
        """
        intent, order_id = check_count("intent", intent), check_id("order.order_id", order.order_id)
        with self._database.writing() as db:
            number = rows.number_of(db, source)
            rows.adopt(db, number, [(order_id, order)])
            placed = rows.add_placed(db, intent, number, order_id, order.placed_at)
            db.execute(
                "UPDATE OR IGNORE intents SET state = 'placed', source = ?, placed = ?, received_us = NULL,"
                " received_s = NULL WHERE intent = ? AND state IN ('unknown', 'intended')",
                (number, placed, intent),
            )

    def watch(self, *order_ids: str, source: Source = Source(), timeout: float = PATIENCE_S) -> None:  # noqa: B008
        """Remember orders that were placed elsewhere; no effect on those that are known.

        Raise JournalError, and remember none, if one is known of another source only: it cannot be polled here.
        """
        for order_id in order_ids:
            check_id("order_ids", order_id)
        with self._database.writing(timeout) as db:
            number = rows.number_of(db, source, add=False)
            for order_id in dict.fromkeys(order_ids):
                others = db.execute(
                    "SELECT source, kind, host, account, key_type, instance FROM orders JOIN sources USING (source)"
                    " WHERE order_id = ? ORDER BY source IS NOT ?, kind != 'unknown'",
                    (order_id, number),
                ).fetchone()
                if others and source.kind != "unknown" and others[0] != number and others[1] != "unknown":
                    raise rows.of_another_source(f"order {order_id}", Source(*others[1:]), source)
                if not others:
                    rows.add_orders(db, rows.number_of(db, source), [order_id])

    def record(self, *polls: Poll, source: Source, timeout: float = PATIENCE_S) -> None:
        """Keep polls and what they reported of their orders. An order once seen final stays as it was then.

        A failed poll of an order that this source is not known to have is not kept; nor is an order that was neither
        placed here nor ever seen, once a poll says that it does not exist.
        """
        with self._database.writing(timeout) as db:
            number = rows.number_of(db, source, add=any(poll.order is not None for poll in polls))
            seen = [(poll.order_id, order) for poll in polls if (order := poll.order) is not None]
            rows.adopt(db, number, seen)
            rows.add_orders(db, number, (order_id for order_id, _ in seen))
            rows.forget(db, number, (p.order_id for p in polls if p.via == "check" and p.http_status in (400, 404)))
            db.executemany(_ADD_POLL, [(*self._row(poll), number, poll.order_id) for poll in polls])
            db.executemany(_SEE, [(*_seen(order), number, order_id) for order_id, order in seen])

    def _row(self, poll: Poll) -> tuple[Any, ...]:
        sent, received = ((to_us(time.utc), time.monotonic) for time in (poll.sent, poll.received))
        row = (poll.via, self._run, *sent, *received, poll.outcome, poll.shows, poll.http_status, poll.retry_after_s)
        return (*row, poll.request_id, to_us(poll.earliest), to_us(poll.latest))


def _seen(order: Order) -> tuple[Any, ...]:
    return (
        str(order.status), order.is_final, order.product_id, order.type_id, order.quantity, to_us(order.placed_at),
        order.fulfilled_quantity, _money(order.fulfilled_amount), _money(order.price_per_card),
        order.refunded_quantity, _money(order.refunded_amount), json.dumps(order.problems),
    )  # fmt: skip


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)
