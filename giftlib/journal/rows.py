"""Statements about rows of the journal's tables, each a part of one transaction."""

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from giftlib.api import JournalError, Order, OrderOutcomeUnknownError, OrderRequest, Source
from giftlib.clock import Timestamp

from .tables import FILL_IN, to_us

_OF_REF = """
SELECT intent, state, i.product_id, i.type_id, i.quantity, kind, host, account, key_type, instance, order_id, is_final
FROM intents AS i JOIN sources USING (source) LEFT JOIN orders ON number = placed WHERE ref = ?
"""
_ADD_PLACED = f"""
INSERT INTO orders (source, order_id, product_id, type_id, quantity, told_us)
SELECT ?, ?, product_id, type_id, quantity, ? FROM intents WHERE intent = ?
{FILL_IN}
"""
_ADOPT = """
UPDATE OR IGNORE orders SET source = :source
WHERE order_id = :order_id AND source IN (SELECT source FROM sources WHERE kind = 'unknown')
AND IFNULL(product_id = :product_id, TRUE) AND IFNULL(type_id = :type_id, TRUE)
"""
_NEVER_SEEN = """
SELECT number FROM orders WHERE source = ? AND order_id = ? AND status IS NULL
AND NOT EXISTS (SELECT 1 FROM intents WHERE placed = number)
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


def row_of_ref(db: sqlite3.Connection, request: OrderRequest) -> Any:
    return request.ref and db.execute(_OF_REF, (request.ref,)).fetchone()


def held(row: Any, request: OrderRequest, source: Source) -> Begun | None:
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
        raise of_another_source(f"the order with ref {request.ref!r}", place, source)
    return Begun(intent, state == "not placed", order_id, bool(is_final))


def number_of(db: sqlite3.Connection, source: Source, *, add: bool = True) -> int | None:
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


def of_another_source(what: str, place: Source, here: Source) -> JournalError:
    return JournalError(f"{what} belongs to another source ({place}) than this client ({here}): {place.way_back}")


def add_orders(db: sqlite3.Connection, source: int | None, order_ids: Iterable[str]) -> None:
    db.executemany(
        "INSERT OR IGNORE INTO orders (source, order_id) VALUES (?, ?)", ((source, order_id) for order_id in order_ids)
    )


def forget(db: sqlite3.Connection, source: int | None, order_ids: Iterable[str]) -> None:
    """Remove the orders that were neither placed here nor ever seen: ids that do not exist would stay open for good."""
    for order_id in order_ids:
        for number in db.execute(_NEVER_SEEN, (source, order_id)).fetchall():
            db.execute("DELETE FROM polls WHERE polled = ?", number)
            db.execute("DELETE FROM orders WHERE number = ?", number)


def adopt(db: sqlite3.Connection, source: int | None, seen: Iterable[tuple[str, Order]]) -> None:
    """Let orders of a source that is not known belong to the one that has just shown them."""
    db.executemany(_ADOPT, [
        {"source": source, "order_id": order_id, "product_id": order.product_id, "type_id": order.type_id}
        for order_id, order in seen
    ])  # fmt: skip


def add_placed(
    db: sqlite3.Connection, intent: int, source: int | None, order_id: str, placed_at: datetime | None = None
) -> int:
    """Add the order that an intent became, with its product, type and quantity, and return its number."""
    db.execute(_ADD_PLACED, (source, order_id, to_us(placed_at), intent))
    row = db.execute("SELECT number FROM orders WHERE source = ? AND order_id = ?", (source, order_id)).fetchone()
    if row is None:
        raise ValueError(f"intent must be the number of a request in this journal, got {intent}")
    return int(row[0])


def end_intent(
    db: sqlite3.Connection, intent: int, state: str, received: Timestamp, latest: datetime | None = None
) -> None:
    db.execute(
        "UPDATE intents SET state = ?, received_us = ?, received_s = ?, latest_us = COALESCE(?, latest_us)"
        " WHERE intent = ? AND (state != 'placed' OR ? = 'placed')",
        (state, to_us(received.utc), received.monotonic, to_us(latest), intent, state),
    )
