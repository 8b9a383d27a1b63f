"""Orders as the API tells them: statuses, cards, refunds, and what contradicts itself.

Reading is tolerant and never raises for what an answer says: a field that is missing, null or of the wrong kind
reads as None, and `Order.problems` names it.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from giftlib.api.errors import GiftlibError
from giftlib.api.parsing import as_amount, as_count, as_id, as_moment, as_name, as_text


class OrderStatus(StrEnum):
    """The documented statuses; `HANDLING` is the only one that is not final."""

    HANDLING = "HANDLING"
    FULFILLED = "FULFILLED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    REFUNDED = "REFUNDED"


FINAL = frozenset({OrderStatus.FULFILLED, OrderStatus.PARTIALLY_FILLED, OrderStatus.REFUNDED})


class CardSecrets(NamedTuple):
    """The code that spends a card, and its serial."""

    value: str
    serial: str | None


class Card:
    """A delivered card. Its code and serial are as good as money: nothing shows them but `reveal()`.

    A copy through pickle has no secrets; ask the API again with `check_order_status`.
    """

    __slots__ = ("_secrets",)

    def __init__(self, value: str | None, serial: str | None = None) -> None:
        secrets = None if value is None else CardSecrets(value, serial)
        self._secrets: Callable[[], CardSecrets | None] = lambda: (
            secrets
        )  # what is in a function shows in no listing of attributes

    def reveal(self) -> CardSecrets:
        """The card's `(value, serial)` in clear. Raises GiftlibError on a card that came through pickle."""
        secrets = self._secrets()
        if secrets is None:
            raise GiftlibError("this card has no code: it was not delivered with one, or came through pickle")
        return secrets

    def __repr__(self) -> str:
        return "Card(****)"

    def __reduce__(self) -> tuple[type["Card"], tuple[None]]:
        return Card, (None,)

    def __getstate__(self) -> None:
        return None

    def __copy__(self) -> "Card":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Card":
        return self

    def __getitem__(self, key: object) -> None:
        raise GiftlibError("a card's code is read with card.reveal(), and only there")


class Order(Mapping[str, Any]):
    """One look at an order.

    The documented fields are attributes; as a mapping the order also answers to the API's own field names
    (`order["fulfilled_quantity"]`, `"cards" in order`), holding those that the answer had. Amounts are exact
    dinars (`Decimal`). `request_id` is the API's name for the request that told all this, or None.
    """

    def __init__(
        self, answer: Mapping[str, Any], *, order_id: str | None = None, request_id: str | None = None
    ) -> None:
        self.request_id = request_id
        self._order_id = order_id
        self._problems: list[str] = []
        self._fields: dict[str, Any] = {
            name: field
            for name in _FIELDS
            if answer.get(name) is not None and (field := self._read(name, answer[name])) is not None
        }
        self._contradictions()

    # As a mapping, under the API's names.

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Order({self.order_id}, {self.status}, {self.fulfilled_quantity or 0} of {self.quantity} cards)"

    # As an object, under the field's usual names.

    @property
    def order_id(self) -> str | None:
        """The id in the answer; where that has none, the id that was asked for."""
        return self._fields.get("_id", self._order_id)

    @property
    def status(self) -> OrderStatus | str:
        """An `OrderStatus`, or the text of one that giftlib does not know ("" if there was none)."""
        text = self._fields.get("status") or ""
        return OrderStatus(text) if text in OrderStatus.__members__ else text

    @property
    def is_final(self) -> bool:
        """Whether the status can change no more; an unknown status is not final."""
        return self.status in FINAL

    @property
    def quantity(self) -> int | None:
        """Cards ordered."""
        return self._fields.get("quantity")

    @property
    def fulfilled_quantity(self) -> int | None:
        """Cards delivered; None while the order is open."""
        return self._fields.get("fulfilled_quantity")

    @property
    def fulfilled_amount(self) -> Decimal | None:
        """Dinars charged for the delivered cards."""
        return self._fields.get("fulfilled_amount")

    @property
    def price_per_card(self) -> Decimal | None:
        """Dinars a card."""
        return self._fields.get("price_per_card")

    @property
    def cards(self) -> tuple[Card, ...]:
        """The delivered cards."""
        cards: tuple[Card, ...] = self._fields.get("cards", ())
        return cards

    @property
    def product_id(self) -> str | None:
        return self._fields.get("product")

    @property
    def type_id(self) -> str | None:
        return self._fields.get("type")

    @property
    def placed_at(self) -> datetime | None:
        """When the API says that the order was placed (UTC, its own clock)."""
        return self._fields.get("time")

    @property
    def refunded_quantity(self) -> int | None:
        """Cards that were ordered and not delivered, once the order is final."""
        if not self.is_final or self.quantity is None or self.fulfilled_quantity is None:
            return None
        return self.quantity - self.fulfilled_quantity

    @property
    def refunded_amount(self) -> Decimal | None:
        """Dinars given back: `(quantity - fulfilled_quantity) x price_per_card`, as in the vendor's guide."""
        if self.refunded_quantity is None or self.price_per_card is None:
            return None
        return self.refunded_quantity * self.price_per_card

    @property
    def problems(self) -> tuple[str, ...]:
        """What this answer lacks or where it contradicts itself, in words; empty if all is well."""
        return tuple(self._problems)

    def _contradictions(self) -> None:
        if self.status not in OrderStatus.__members__:
            self._problems.append(f"status {str(self.status)!r} is not a documented one")
        missing = [name for name in ("_id", "quantity") if name not in self._fields]
        if self.is_final:
            final_fields = ("fulfilled_quantity", "fulfilled_amount", "price_per_card")
            missing += [name for name in final_fields if name not in self._fields]
        self._problems += [f"{name} is missing" for name in missing]
        if not self.is_final or self.quantity is None or self.fulfilled_quantity is None:
            return
        ordered, delivered, cards = self.quantity, self.fulfilled_quantity, len(self.cards)
        agrees = {
            OrderStatus.FULFILLED: delivered == ordered,
            OrderStatus.PARTIALLY_FILLED: 0 < delivered < ordered,
            OrderStatus.REFUNDED: delivered == 0,
        }
        if not agrees[OrderStatus(self.status)]:
            self._problems.append(f"{self.status} with {delivered} of {ordered} cards delivered")
        if cards != delivered:
            self._problems.append(f"{delivered} cards delivered, {cards} in the answer")
        if self.price_per_card is not None and self.fulfilled_amount not in (None, delivered * self.price_per_card):
            self._problems.append(
                f"charged {self.fulfilled_amount} for {delivered} cards at {self.price_per_card} each"
            )

    def _read(self, name: str, raw: Any) -> Any:
        reader, kind = _FIELDS[name]
        field = reader(raw)
        if field is None or (reader is as_amount and field < 0):
            self._problems.append(f"{name} is not {kind}")
            return None
        if reader in (as_count, as_amount) and isinstance(raw, str):
            self._problems.append(f"{name} is a text, not a number")
        return field


def as_card(raw: Any) -> Card | None:
    """The card in `{value, serial}`, or in a text that is the code; None if there is no code."""
    fields = raw if isinstance(raw, dict) else {"value": raw} if isinstance(raw, str) else {}
    for card in (raw, fields.get("value")):
        if isinstance(card, Card):
            return card
    code, serial = _as_secret(fields.get("value")), _as_secret(fields.get("serial"))
    return Card(code, serial) if code else None


def _as_secret(raw: Any) -> str | None:
    """A text or a number, exactly as it was told."""
    return str(raw) if isinstance(raw, str | int | Decimal) and not isinstance(raw, bool) else None


def as_cards(raw: Any) -> tuple[Card, ...] | None:
    """The cards in a list of `{value, serial}`, those without a code left out; None if it is no list."""
    if not isinstance(raw, list | tuple):
        return None
    return tuple(card for item in raw if (card := as_card(item)))


_FIELDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "_id": (as_id, "an id"),
    "status": (as_name, "a name"),
    "quantity": (as_count, "a whole number from 0 up"),
    "fulfilled_quantity": (as_count, "a whole number from 0 up"),
    "fulfilled_amount": (as_amount, "an amount from 0 up"),
    "price_per_card": (as_amount, "an amount from 0 up"),
    "cards": (as_cards, "a list"),
    "product": (as_text, "a text"),
    "type": (as_text, "a text"),
    "time": (as_moment, "an ISO-8601 time"),
}
