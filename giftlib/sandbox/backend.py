"""The data of the emulated service: its keys, an account for each environment, and the log of what happened."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import uuid4

from giftlib.clock import Timestamp

from .account import Account
from .auth import Authenticator, Key, draw_key
from .orders import EPOCH, Order, Timeline
from .settings import KEY_TYPES, Settings
from .validators import Validator

_INSTANCE = Validator(
    "32 hexadecimal digits", lambda value: isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{32}", value))
)


class Event(NamedTuple):
    """Something that happened at monotonic second `at`, `ms` milliseconds after 1970: an "order" (`what` is product,
    type and quantity), a "deposit" (dinars), a new "key" (its properties) or the "instance" that began (its name)."""

    type: str
    environment: str = ""
    at: float | None = None
    ms: int = 0
    what: Any = None


class Backend:
    """Keys and accounts. An order of one environment is unknown in the other; calls come in the order of their times.

    `on_event` is called with each event. `instance` names this backend: its ids mean nothing to another.
    """

    def __init__(self, seed: Any, settings: Settings) -> None:
        self.seed = seed
        self.settings = settings
        self.instance = uuid4().hex
        self.authenticator = Authenticator(settings)
        self.orders: Timeline[Order] = Timeline()
        self.on_event: Callable[[Event], None] = lambda _: None
        self._log: list[Event | Order] = []  # an order is kept as it is: it costs no further memory
        self.accounts = {
            environment: Account(
                seed if environment == settings.key_type else f"{seed}:{environment}",
                settings,
                environment=environment,
                all_orders=self.orders,
            )
            for environment in KEY_TYPES
        }
        self.first_key = self.add_key(
            type=settings.key_type, scope=settings.key_scope, allowed_ips=tuple(settings.allowed_ips)
        )

    def add_key(self, **properties: Any) -> Key:
        """Make a further key with the properties of `Key`; the seed determines its text."""
        keys = self.authenticator.keys
        key = Key(
            draw_key(self.seed, len(keys), properties.get("type", "SANDBOX"), self.settings.key_style), **properties
        )
        keys[key.key] = key
        if len(keys) > 1:
            self._happened(Event("key", what=key.properties()))
        return key

    def place(self, environment: str, product: str | None, type_id: str, quantity: int, now: Timestamp) -> Order:
        """Place an order as `Account.place` does."""
        order = self.accounts[environment].place(product, type_id, quantity, now)
        self._log.append(order)
        self.on_event(_placed(environment, order))
        return order

    def deposit(self, environment: str, amount: Decimal, now: Timestamp) -> None:
        """Credit dinars to an account."""
        ms = self.accounts[environment].ledger.deposit(amount, now)
        self._happened(Event("deposit", environment, now.monotonic, ms, amount))

    def history(self) -> Iterator[Event]:
        """Give all that has happened, in its order."""
        for entry in self._log:
            yield entry if isinstance(entry, Event) else _placed(self._environment_of(entry), entry)

    def replay(self, event: Event) -> None:
        """Let an event happen again, as it did."""
        now = Timestamp(EPOCH + timedelta(milliseconds=event.ms), event.at or 0.0)
        if event.type == "order":
            product, type_id, quantity = event.what
            self.place(event.environment, product, type_id, quantity, now)
        elif event.type == "deposit":
            self.deposit(event.environment, Decimal(event.what), now)
        elif event.type == "key":
            self.add_key(**event.what | {"allowed_ips": tuple(event.what.get("allowed_ips", ()))})
        elif event.type == "instance":
            _INSTANCE.check("instance", event.what)
            self.instance = event.what
        elif event.type != "end":
            raise ValueError(f"there is no event of type {event.type!r}")

    def _happened(self, event: Event) -> None:
        self._log.append(event)
        self.on_event(event)

    def _environment_of(self, order: Order) -> str:
        return next(name for name, account in self.accounts.items() if order.id in account.orders)


def _placed(environment: str, order: Order) -> Event:
    return Event("order", environment, order.placed, order.ms, (order.product, order.type, order.quantity))
