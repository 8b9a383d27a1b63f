"""Write what happens to orders into the journal, each step in one transaction."""

import json
import sqlite3
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import uuid4

from giftlib.api import Order, check_id
from giftlib.clock import Timestamp

from .poll import Poll
from .tables import from_us, to_us, writing


class LostOrder(NamedTuple):
    """Describe an order request whose outcome is not known; `received_at` is None if its process was killed."""

    intent: int
    product_id: str
    type_id: str
    quantity: int
    sent_at: datetime
    received_at: datetime | None


class JournalWriter:
    """Record order requests before they leave, what became of them, and polls."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._run = uuid4().hex
        self._db = db

    def intend(self, product_id: str, type_id: str, quantity: int, sent: Timestamp) -> int:
        """Commit, before the request leaves, that an order is about to be placed; return the intent's number."""
        with writing(self._db):
            cursor = self._db.execute(
                "INSERT INTO orders (state, product_id, type_id, quantity, run, sent_us, sent_s)"
                " VALUES ('intended', ?, ?, ?, ?, ?, ?)",
                (product_id, type_id, quantity, self._run, to_us(sent.utc), sent.monotonic),
            )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def placed(self, intent: int, order_id: str, received: Timestamp) -> None:
        """Record that the intent became this order; an order claimed for another intent by mistake is taken back."""
        with writing(self._db):
            self._db.execute(
                "UPDATE orders SET state = 'unknown', order_id = NULL"
                " WHERE order_id = ? AND intent != ? AND state != 'watched'",
                (order_id, intent),
            )
            self._forget_watched(order_id)
            self._end_intent(intent, "placed", received, order_id)

    def not_placed(self, intent: int, received: Timestamp) -> None:
        """Record that the request was rejected; no order was placed."""
        with writing(self._db):
            self._end_intent(intent, "not placed", received)

    def outcome_unknown(self, intent: int, received: Timestamp) -> None:
        """Record that the response was lost; the order may have been placed."""
        with writing(self._db):
            self._end_intent(intent, "unknown", received)

    def lost_orders(self) -> list[LostOrder]:
        """Return the requests of unknown outcome, those whose process was killed included, like ones together."""
        rows = self._db.execute(
            "SELECT intent, product_id, type_id, quantity, sent_us, received_us FROM orders"
            " WHERE state IN ('unknown', 'intended') ORDER BY product_id, type_id, quantity, sent_us"
        )
        return [
            LostOrder(intent, product_id, type_id, quantity, from_us(sent), received and from_us(received))
            for intent, product_id, type_id, quantity, sent, received in rows
        ]

    def placed_ids(self) -> set[str]:
        """Return the ids of the orders that this journal's intents became."""
        rows = self._db.execute("SELECT order_id FROM orders WHERE order_id IS NOT NULL AND state != 'watched'")
        return {order_id for (order_id,) in rows}

    def claim(self, intent: int, order: Order) -> None:
        """Record that a lost intent became this order, unless its own process has ended it or another intent has it."""
        if order.order_id is None:
            return
        # When the response came is not known: the order's time then counts from the API's time of placement.
        with writing(self._db):
            self._forget_watched(order.order_id)
            self._db.execute(
                "UPDATE OR IGNORE orders SET state = 'placed', order_id = ?, told_us = ?, received_us = NULL,"
                " received_s = NULL WHERE intent = ? AND state IN ('unknown', 'intended')",
                (order.order_id, to_us(order.placed_at), intent),
            )
            self._remember([order.order_id])

    def watch(self, *order_ids: str) -> None:
        """Remember orders that were placed elsewhere; no effect on those that are known."""
        for order_id in order_ids:
            check_id("order_ids", order_id)
        with writing(self._db):
            self._remember(order_ids)

    def record(self, *polls: Poll) -> None:
        """Keep polls and what they reported of their orders. An order once seen final stays as it was then."""
        with writing(self._db):
            self._remember(poll.order_id for poll in polls)
            self._db.executemany(
                "INSERT INTO polls (order_id, via, run, sent_us, sent_s, received_us, received_s, outcome, shows,"
                " http_status, retry_after_s, request_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(poll.order_id, poll.via, self._run, to_us(poll.sent.utc), poll.sent.monotonic,
                  to_us(poll.received.utc), poll.received.monotonic, poll.outcome, poll.shows, poll.http_status,
                  poll.retry_after_s, poll.request_id) for poll in polls],
            )  # fmt: skip
            self._db.executemany(
                "UPDATE orders SET status = ?, is_final = ?, product_id = COALESCE(product_id, ?),"
                " type_id = COALESCE(type_id, ?), quantity = COALESCE(?, quantity), told_us = COALESCE(told_us, ?),"
                " fulfilled_quantity = ?, fulfilled_amount = ?, price_per_card = ?, refunded_quantity = ?,"
                " refunded_amount = ?, problems = ? WHERE order_id = ? AND NOT is_final",
                [(str(order.status), order.is_final, order.product_id, order.type_id, order.quantity,
                  to_us(order.placed_at), order.fulfilled_quantity, _money(order.fulfilled_amount),
                  _money(order.price_per_card), order.refunded_quantity, _money(order.refunded_amount),
                  json.dumps(order.problems), poll.order_id) for poll in polls if (order := poll.order) is not None],
            )  # fmt: skip

    def _remember(self, order_ids: Iterable[str]) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO orders (order_id, state) VALUES (?, 'watched')", ((name,) for name in order_ids)
        )

    def _forget_watched(self, order_id: str) -> None:
        self._db.execute("DELETE FROM orders WHERE order_id = ? AND state = 'watched'", (order_id,))

    def _end_intent(self, intent: int, state: str, received: Timestamp, order_id: str | None = None) -> None:
        self._db.execute(
            "UPDATE orders SET state = ?, order_id = ?, received_us = ?, received_s = ? WHERE intent = ?",
            (state, order_id, to_us(received.utc), received.monotonic, intent),
        )


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)
