"""The data of the emulated service: its keys, an account for each environment, and the log of what happened."""

from collections import deque
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from math import inf
from typing import Any, NamedTuple
from uuid import uuid4

from giftlib.clock import Timestamp

from .account import Account
from .auth import Authenticator, Key, draw_key
from .orders import EPOCH, Order, Timeline, unix_ms
from .settings import KEY_TYPES, Outcome, Settings
from .validators import ANY_S, INSTANCE, KEY, MONEY, QUANTITY, TEXT, shortened


class Event(NamedTuple):
    """Something that happened at monotonic second `at`, `ms` milliseconds after 1970.

    An "order" (`what` is product, type, quantity, and what was planned for it alone), a "deposit" (dinars), a new "key"
    (its properties) or the "instance" that began (its name).
    """

    type: str
    environment: str = ""
    at: float | None = None
    ms: int = 0
    what: Any = None


class NotRecorded(OSError):
    """The event could not be recorded, so it did not happen."""


class Backend:
    """Keys and accounts. An order of one environment is unknown in the other; calls come in the order of their times.

    `next_outcomes` are those of the next orders, whoever places them. `on_event` is called with each event before it
    takes effect; NotRecorded from there prevents it. `instance` names this backend: its ids mean nothing to another.
    """

    def __init__(self, seed: Any, settings: Settings, api_key: str | None) -> None:
        self.seed = seed
        self.settings = settings
        self.instance = uuid4().hex
        self.authenticator = Authenticator(settings)
        self.orders: Timeline[Order] = Timeline()
        self.next_outcomes: deque[Outcome] = deque()
        self.on_event: Callable[[Event], None] = lambda _: None
        self._log: list[Event | Order] = []  # an order is kept as it is: it costs no further memory
        self.accounts = {name: Account(seed, settings, name, self.orders) for name in KEY_TYPES}
        self.add_key(api_key, type=settings.key_type, scope=settings.key_scope, allowed_ips=settings.allowed_ips)

    def add_key(self, text: str | None = None, **properties: Any) -> Key:
        """Make a further key with the properties of `Key`; the seed determines its text, if none is given."""
        keys = self.authenticator.keys
        type_ = properties.get("type", "SANDBOX")
        like = sum(key.type == type_ for key in keys.values())
        name = f"{type_} {like + 1}" if like else type_
        text = text or draw_key(self.seed, len(keys), type_, self.settings.key_style)
        if not KEY.accepts(text):
            raise ValueError(f"api_key must be {KEY.accepted} (not shown)")
        key = Key(text, name, **properties)
        if keys:
            self._record(Event("key", what=properties))
        keys[key.key] = key
        return key

    def place(self, environment: str, product: str | None, type_id: str, quantity: int, now: Timestamp) -> Order:
        """Place an order and charge for it. Raises OutOfStock, BalanceTooLow or NotRecorded; then nothing happened."""
        account = self.accounts[environment]
        order = account.draft(product, type_id, quantity, now, self.next_outcomes[0] if self.next_outcomes else None)
        self.on_event(_placed(environment, order))
        self._log.append(order)
        account.add(order)
        if self.next_outcomes:
            self.next_outcomes.popleft()
        return order

    def deposit(self, environment: str, amount: Decimal, now: Timestamp) -> None:
        self._record(Event("deposit", environment, now.monotonic, unix_ms(now.utc), str(amount)))
        self.accounts[environment].ledger.deposit(amount, now)

    def history(self) -> Iterator[Event]:
        """Give all that has happened, in its order."""
        for entry in self._log:
            if isinstance(entry, Order):
                entry = _placed(next(name for name in KEY_TYPES if entry.id in self.accounts[name].orders), entry)
            yield entry

    def replay(self, event: Event) -> None:
        """Let an event happen again, as it did."""
        now = Timestamp(EPOCH + timedelta(milliseconds=event.ms), event.at or 0.0)
        if event.type == "order":
            product, type_id, quantity, *planned = event.what
            for text in (product, type_id):
                TEXT.check("id", text)
            QUANTITY.check("quantity", quantity)
            self.next_outcomes.extend(Outcome(delivered, ANY_S.read(after_s)) for delivered, after_s in planned)
            self.place(event.environment, product, type_id, quantity, now)
        elif event.type == "deposit":
            amount = Decimal(event.what)
            MONEY.check("amount", amount)
            self.deposit(event.environment, amount, now)
        elif event.type == "key":
            self.add_key(**event.what | {"allowed_ips": tuple(event.what.get("allowed_ips", ()))})
        elif event.type == "instance":
            INSTANCE.check("instance", event.what)
            self.instance = event.what
        elif event.type != "end":
            raise ValueError(f"there is no event of type {shortened(event.type)}")

    def _record(self, event: Event) -> None:
        self.on_event(event)
        self._log.append(event)


def _placed(environment: str, order: Order) -> Event:
    what: tuple[Any, ...] = (order.product, order.type, order.quantity)
    if order.planned is not None:
        after_s = order.planned.after_s
        what += ((order.planned.delivered, "inf" if after_s == inf else after_s),)
    return Event("order", environment, order.placed, order.ms, what)
