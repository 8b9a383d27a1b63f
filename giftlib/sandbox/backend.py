"""What the emulated service knows: its keys, and an account for each environment."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from giftlib.clock import Timestamp

from .account import Account
from .auth import Gate, Key, draw_key
from .orders import Order, Timeline
from .settings import KEY_TYPES, Settings


class Event(NamedTuple):
    """Something that happened at a monotonic second, and at a time of day in milliseconds since 1970: an "order"
    (product, type, quantity), a "deposit" (dinars) or a new "key" (its properties)."""

    kind: str
    environment: str = ""
    at: float | None = None
    ms: int = 0
    what: Any = None


class World:
    """Keys and accounts. Orders of one environment are unknown in the other; calls come in the order of their times."""

    def __init__(self, seed: Any, settings: Settings) -> None:
        self.seed = seed
        self.settings = settings
        self.gate = Gate(settings)
        self.orders: Timeline[Order] = Timeline()
        self.tell: Callable[[Event], None] = lambda _: None
        """Is told what happens."""
        self.accounts = {
            environment: Account(
                seed if environment == settings.key_type else f"{seed}:{environment}",
                settings,
                environment=environment,
                everything=self.orders,
            )
            for environment in KEY_TYPES
        }
        self.first_key = self.add_key(
            type=settings.key_type, scope=settings.key_scope, allowed_ips=tuple(settings.allowed_ips)
        )

    def add_key(self, **properties: Any) -> Key:
        """A further key with the properties of `Key`; which one comes next is settled by the seed."""
        number, key_type = len(self.gate.keys), properties.get("type", "SANDBOX")
        key = Key(draw_key(self.seed, number, key_type, self.settings.key_style), **properties)
        self.gate.keys[key.key] = key
        self.tell(Event("key", what=properties))
        return key

    def account(self, key: Key) -> Account:
        """The account that a key sees."""
        return self.accounts[key.type]

    def place(self, environment: str, product: str | None, type_id: str, quantity: int, now: Timestamp) -> Order:
        """See `Account.place`."""
        order = self.accounts[environment].place(product, type_id, quantity, now)
        self.tell(_placement(environment, order))
        return order

    def deposit(self, environment: str, amount: Decimal, now: Timestamp) -> None:
        """See `Account.deposit`."""
        ms = self.accounts[environment].deposit(amount, now)
        self.tell(Event("deposit", environment, now.monotonic, ms, amount))

    def history(self) -> Iterator[Event]:
        """All that has happened, each account's in its order."""
        for key in list(self.gate.keys.values())[1:]:
            yield Event("key", what=key.properties())
        rests = {environment: _history(account) for environment, account in self.accounts.items()}
        for order in self.orders:
            own = next(environment for environment, account in self.accounts.items() if order.id in account.orders)
            for event in rests[own]:  # up to this order, which stands where it stood among those of both
                yield event
                if event.kind == "order":
                    break
        for rest in rests.values():
            yield from rest

    def repeat(self, event: Event) -> None:
        """Let an event happen again, as it did."""
        now = Timestamp(_EPOCH + timedelta(milliseconds=event.ms), event.at or 0.0)
        if event.kind == "order":
            product, type_id, quantity = event.what
            self.place(event.environment, product, type_id, quantity, now)
        elif event.kind == "deposit":
            self.deposit(event.environment, Decimal(event.what), now)
        elif event.kind == "key":
            self.add_key(**event.what | {"allowed_ips": tuple(event.what.get("allowed_ips", ()))})
        elif event.kind != "end":
            raise ValueError(f"nothing of the kind {event.kind!r} can happen")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _placement(environment: str, order: Order) -> Event:
    return Event("order", environment, order.placed, order.ms, (order.product, order.type, order.quantity))


def _history(account: Account) -> Iterator[Event]:
    for row in account.transactions:
        if row.kind == "ORDER":
            yield _placement(account.environment, account.orders[row.order_id])
        elif row.kind == "DEPOSIT":
            yield Event("deposit", account.environment, account.deposits[row.number], row.ms, Decimal(row.change) / 100)
