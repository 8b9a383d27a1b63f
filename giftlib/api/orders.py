"""Read orders: statuses, cards, refunds, and contradictions.

Reading never raises for what a response says: a field that is missing, null or of the wrong type reads as None, and
`Order.problems` names it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from unicodedata import normalize

from .cards import Card, as_cards
from .display import as_html
from .parsing import WIDE, as_amount, as_count, as_id, as_name, as_text, as_time
from .validation import check_count, check_id


class OrderStatus(StrEnum):
    """List the documented statuses; `HANDLING` is the only one that is not final.

    >>> from giftlib import OrderStatus
    >>> [status.value for status in OrderStatus if status.is_final]
    ['FULFILLED', 'PARTIALLY_FILLED', 'REFUNDED']
    """

    HANDLING = "HANDLING"
    FULFILLED = "FULFILLED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    REFUNDED = "REFUNDED"

    @property
    def is_final(self) -> bool:
        """Return whether an order keeps this status for good."""
        return self is not OrderStatus.HANDLING


FINAL = tuple(status for status in OrderStatus if status.is_final)


@dataclass(frozen=True)
class OrderRequest:
    """Describe an order to place; raise ValueError for an id or a quantity that no order can have.

    `ref` is your own reference, such as the line of an invoice: a journal places one order for it, however often and
    in however many processes the request is made.

    >>> from giftlib import OrderRequest
    >>> OrderRequest("507f1f77bcf86cd799439011", "TEST_PARTIAL", 4, ref="invoice 7, line 2").quantity
    4
    """

    product_id: str
    type_id: str
    quantity: int
    ref: str | None = None

    def __post_init__(self) -> None:
        check_id("product_id", self.product_id)
        check_id("type_id", self.type_id)
        object.__setattr__(self, "quantity", check_count("quantity", self.quantity))
        ref = normalize("NFC", self.ref) if isinstance(self.ref, str) else self.ref  # as a keyboard writes accents
        if ref is not None and not (
            isinstance(ref, str) and 0 < len(ref) <= 200 and ref.isprintable() and ref == ref.strip()
        ):
            raise ValueError(
                f"ref must be a printable text of 1 to 200 characters without blanks at its ends, or None, got {ref!r}"
            )
        object.__setattr__(self, "ref", ref)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Order(Mapping[str, Any]):
    """Hold what one poll reported of an order.

    As a mapping, the order also has the API's own field names (`order["fulfilled_quantity"]`, `"cards" in order`), with
    the fields that are known. Amounts are exact dinars (`Decimal`). `order_id` is the id in the response or, where it
    has none, the one that was sent; `status` an `OrderStatus`, or the text of an undocumented status; `placed_at` the
    time of placement by the API's clock, in UTC; `fulfilled_quantity`, `fulfilled_amount` and `price_per_card` are None
    while the order is open; `request_id` is the API's id of the request; `retry_after` the seconds that it asks to wait
    before the next poll, or None; `http_status` is that of the response; `problems` says in words what the response
    lacks and where it contradicts itself, and is empty if all is well.

    >>> from giftlib import Order
    >>> order = Order.from_response({"_id": "a1", "status": "PARTIALLY_FILLED", "quantity": 4, "fulfilled_quantity": 3,
    ...     "price_per_card": 490, "fulfilled_amount": 1470, "cards": ["code"] * 3})
    >>> order
    Order(a1, PARTIALLY_FILLED, 3 of 4 cards)
    >>> order.refunded_amount, order["quantity"], order.problems
    (Decimal('490'), 4, ())
    """

    order_id: str | None = None
    status: OrderStatus | str = ""
    quantity: int | None = None
    fulfilled_quantity: int | None = None
    fulfilled_amount: Decimal | None = None
    price_per_card: Decimal | None = None
    cards: tuple[Card, ...] = ()
    product_id: str | None = None
    type_id: str | None = None
    placed_at: datetime | None = None
    request_id: str | None = None
    retry_after: float | None = None
    http_status: int = 200
    problems: tuple[str, ...] = ()

    @classmethod
    def from_response(
        cls,
        fields: Mapping[str, Any],
        *,
        order_id: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        http_status: int = 200,
    ) -> "Order":
        """Return the order in the `data` of a response; `order_id` is the id that was sent."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        for name, (attribute, parse, expected) in _FIELDS.items():
            raw = fields.get(name)
            if raw is None:
                continue
            value = parse(raw)
            if value is None or (parse is as_amount and value < 0):
                problems.append(f"{name} is not {expected}")
                continue
            if parse in (as_count, as_amount) and isinstance(raw, str):
                problems.append(f"{name} is a text, not a number")
            values[attribute] = value
        has_id = "order_id" in values
        given = {"order_id": order_id, "request_id": request_id, "retry_after": retry_after, "http_status": http_status}
        order = cls(**given | values)
        return replace(order, problems=(*problems, *order._contradictions(has_id)))

    def _known(self) -> dict[str, Any]:
        fields = {name: getattr(self, attribute) for name, (attribute, *_) in _FIELDS.items()}
        if not self.cards and not self.is_final:
            del fields["cards"]
        return {name: value for name, value in fields.items() if value not in (None, "")}

    def __getitem__(self, name: str) -> Any:
        return self._known()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def __repr__(self) -> str:
        return f"Order({self.order_id}, {self.status}, {self.delivered_quantity} of {self.quantity} cards)"

    def _repr_html_(self) -> str:
        amounts = {"charged": self.fulfilled_amount, "refunded": self.refunded_amount}
        facts: dict[str, object] = {
            "status": self.status,
            "cards": f"{self.delivered_quantity} of {self.quantity} delivered",
            **{name: None if amount is None else f"{amount:,f} dinars" for name, amount in amounts.items()},
            "placed": self.placed_at and f"{self.placed_at:%Y-%m-%d %H:%M:%S} UTC",
            "problems": "; ".join(self.problems) or None,
        }
        return as_html(f"Order {self.order_id}", facts)

    @property
    def is_final(self) -> bool:
        """Return whether the status can no longer change; an undocumented status is not final."""
        return isinstance(self.status, OrderStatus) and self.status.is_final

    @property
    def delivered_quantity(self) -> int:
        """Return `fulfilled_quantity` or, where the response has none, how many cards are in it."""
        return len(self.cards) if self.fulfilled_quantity is None else self.fulfilled_quantity

    @property
    def refunded_quantity(self) -> int | None:
        """Return how many ordered cards a final order did not deliver; None if it delivered more."""
        if not self.is_final or self.quantity is None or self.fulfilled_quantity is None:
            return None
        return self.quantity - self.fulfilled_quantity if self.fulfilled_quantity <= self.quantity else None

    @property
    def refunded_amount(self) -> Decimal | None:
        """Return the refund in dinars: `(quantity - fulfilled_quantity) x price_per_card`, as in the vendor's guide."""
        if self.refunded_quantity is None or self.price_per_card is None:
            return None
        return WIDE.multiply(self.refunded_quantity, self.price_per_card)

    def _contradictions(self, has_id: bool) -> Iterator[str]:
        if not isinstance(self.status, OrderStatus):
            yield f"status {self.status!r} is not a documented one"
        needed = ["quantity"]
        if self.is_final:
            needed += ["fulfilled_quantity", "fulfilled_amount", "price_per_card"]
        yield from [] if has_id else ["_id is missing"]
        yield from (f"{name} is missing" for name in needed if name not in self)
        if not self.is_final or self.quantity is None or self.fulfilled_quantity is None:
            return
        ordered, delivered, cards = self.quantity, self.fulfilled_quantity, len(self.cards)
        agrees = {
            OrderStatus.FULFILLED: delivered == ordered,
            OrderStatus.PARTIALLY_FILLED: 0 < delivered < ordered,
            OrderStatus.REFUNDED: delivered == 0,
        }
        if not agrees[OrderStatus(self.status)]:
            yield f"{self.status} with {delivered} of {ordered} cards delivered"
        if cards != delivered:
            yield f"{delivered} cards delivered, {cards} in the response"
        if self.price_per_card is None or self.fulfilled_amount is None:
            return
        if self.fulfilled_amount != WIDE.multiply(delivered, self.price_per_card):
            yield f"charged {self.fulfilled_amount} for {delivered} cards at {self.price_per_card} each"


def _as_status(raw: Any) -> OrderStatus | str | None:
    """Return the documented status, in whatever letters it is written, or the name of another."""
    name = as_name(raw.strip() if isinstance(raw, str) else raw)
    documented = re.sub("[ -]", "_", (name or "").upper())
    return OrderStatus[documented] if documented in OrderStatus.__members__ else name


_FIELDS: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "_id": ("order_id", as_id, "an id"),
    "status": ("status", _as_status, "a name"),
    "quantity": ("quantity", as_count, "a whole number from 0 up"),
    "fulfilled_quantity": ("fulfilled_quantity", as_count, "a whole number from 0 up"),
    "fulfilled_amount": ("fulfilled_amount", as_amount, "an amount from 0 up"),
    "price_per_card": ("price_per_card", as_amount, "an amount from 0 up"),
    "cards": ("cards", as_cards, "a list"),
    "product": ("product_id", as_text, "a text"),
    "type": ("type_id", as_text, "a text"),
    "time": ("placed_at", as_time, "an ISO-8601 time"),
}
"""Each documented field: the attribute it becomes, how it is read, and what it must be."""
