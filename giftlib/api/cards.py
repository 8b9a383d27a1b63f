"""Cards, whose codes only `reveal()` shows."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from .errors import GiftlibError


class CardSecrets(NamedTuple):
    """Hold the code that spends a card, and its serial."""

    value: str
    serial: str | None


class Card:
    """Hold a delivered card. Its code and serial are as good as money: only `reveal()` shows them.

    A copy through pickle has no secrets; get the card again with `check_order_status`.

    >>> from giftlib import Card
    >>> card = Card("ABCD-1234", "7")
    >>> card, card.reveal().value
    (Card(****), 'ABCD-1234')
    """

    __slots__ = ("_secrets",)

    def __init__(self, value: str | None, serial: str | None = None) -> None:
        secrets = None if value is None else CardSecrets(value, serial)
        # A value inside a function shows in no listing of attributes.
        self._secrets: Callable[[], CardSecrets | None] = lambda: secrets

    def reveal(self) -> CardSecrets:
        """Return the card's `(value, serial)` in clear; raise GiftlibError for a card that came through pickle."""
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


def as_card(raw: Any) -> Card | None:
    """Return the card in `{value, serial}`, or in a text that is the code; None if there is no code."""
    fields = raw if isinstance(raw, dict) else {"value": raw} if isinstance(raw, str) else {}
    for card in (raw, fields.get("value")):
        if isinstance(card, Card):
            return card
    code, serial = _as_secret(fields.get("value")), _as_secret(fields.get("serial"))
    return Card(code, serial) if code else None


def _as_secret(raw: Any) -> str | None:
    """Return a text or a number, exactly as it was written."""
    return str(raw) if isinstance(raw, str | int | Decimal) and not isinstance(raw, bool) else None


def as_cards(raw: Any) -> tuple[Card, ...] | None:
    """Return the cards in a list of `{value, serial}`, those without a code left out; None if it is no list."""
    if not isinstance(raw, list | tuple):
        return None
    return tuple(card for item in raw if (card := as_card(item)))
