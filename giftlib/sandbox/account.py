"""An account: its orders, their prices and outcomes, and its money; no HTTP, no threads."""

import random
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from heapq import heappop, heappush
from math import inf, isfinite
from typing import Any, NamedTuple

from giftlib.clock import Timestamp

from .catalog import SAMPLE_PRODUCT, TEST_TYPES, Catalog
from .orders import Order, Page, Timeline, draw_seconds, iso, unix_ms
from .settings import Outcome, Settings
from .validators import EXACT

SAMPLE_ORDER = "6901616fe9e88196b4eb64b3"
_SAMPLE = Order(SAMPLE_ORDER, SAMPLE_PRODUCT, "type_001", 2, Decimal(490), 1761699600000, -inf, 0.0, 2, "FULFILLED")
_AS_USUAL = Outcome()
_LATE_REFUND_S = 60.0
_REFUND_COUNT = {"missing": 0, "doubled": 2}


class OutOfStock(ValueError):
    """The type has fewer cards than the order wants."""


class BalanceTooLow(ValueError):
    """The account cannot pay: `required` and `available` in dinars."""

    def __init__(self, required: Decimal, available: Decimal) -> None:
        super().__init__(f"the account holds {available} dinars and the order costs {required}")
        self.required = required
        self.available = available


class Account:
    """The orders and the money of one environment. Calls must come in the order of their times.

    `all_orders` has the orders of all environments together.
    """

    def __init__(self, seed: Any, settings: Settings, environment: str, all_orders: Timeline[Order]) -> None:
        self.catalog = Catalog(settings)
        self.orders: dict[str, Order] = {}
        self._settings = settings
        self._seed = seed if environment == settings.key_type else f"{seed}:{environment}"
        self._simulates_tests = environment == "SANDBOX" or settings.production_test_types == "simulated"
        self._all_orders = all_orders
        self._own_orders: Timeline[Order] = Timeline()
        self.ledger = Ledger(settings, random.Random(f"{self._seed}:ids").randbytes(5).hex())
        # Gives an equal object, the same for all orders: a million of them share few strings and prices.
        self._share: Callable[[Any], Any] = lru_cache(10_000)(lambda value: value)

    def draft(self, product: str | None, type_id: str, quantity: int, now: Timestamp, outcome: Outcome | None) -> Order:
        """Make the next order, which `add` places. Without a product it is the one that has the type.

        The outcome given goes before that of the settings, and this before that of the type. Raises OutOfStock or
        BalanceTooLow if it cannot be placed.
        """
        number = len(self.orders)
        self.require(type_id, quantity, now.monotonic)
        ms = self._all_orders.not_before_last(unix_ms(now.utc))
        duration = draw_seconds("fulfilment", self._settings, random.Random(f"{self._seed}:order:{number}"))
        planned = outcome or self._settings.outcomes.get(type_id, _AS_USUAL)
        delivers, status = self._result(type_id, quantity, planned.delivered)
        return Order(
            id=f"{ms // 1000:08x}{self.ledger.id_bytes}{number + 1:06x}",
            product=self._share(product or self.catalog.product_of.get(type_id, SAMPLE_PRODUCT)),
            type=self._share(type_id),
            quantity=quantity,
            price=self._share(self.price(type_id)),
            ms=ms,
            placed=now.monotonic,
            duration=duration if planned.after_s is None else planned.after_s,
            delivers=delivers,
            outcome=status,
            planned=outcome,
        )

    def add(self, order: Order) -> None:
        """Place a drafted order and charge for it."""
        self.ledger.charge(order, len(self.orders))
        self.orders[order.id] = order
        self._own_orders.add(order.ms, order)
        self._all_orders.add(order.ms, order)

    def require(self, type_id: str, quantity: int, now: float, times: int = 1) -> None:
        """Raise OutOfStock or BalanceTooLow unless so many such orders could be placed at monotonic second `now`."""
        known = self.catalog.types.get(type_id)
        if self._settings.check_stock and known and known.stock < quantity:
            raise OutOfStock(f"{type_id} has {known.stock} cards, the order wants {quantity}")
        cost, funds = EXACT.multiply(times * quantity, self.price(type_id)), self.ledger.funds(now)
        if self._settings.check_balance and cost > funds:
            raise BalanceTooLow(cost, funds)

    def find(self, order_id: str) -> Order | None:
        """Give the order with the id, the documentation's own included."""
        if order_id == SAMPLE_ORDER and self._settings.sample_order:
            return _SAMPLE
        return self.orders.get(order_id)

    def list_orders(self, asked: Page) -> tuple[list[Order], int]:
        """Give a page of the orders, and how many there are in all."""
        orders = self._all_orders if self._settings.list_mixes_environments else self._own_orders
        return orders.page(asked, self._settings.list_order == "newest first")

    def price(self, type_id: str, *, listed: bool = False) -> Decimal:
        """Give what an order pays for a card of the type, or what checkProduct shows of a listed one, dinars."""
        settings, known = self._settings, self.catalog.types.get(type_id)
        if type_id in settings.prices:
            return Decimal(settings.prices[type_id])
        if type_id in TEST_TYPES:
            return Decimal(settings.test_type_price)
        if known is None:
            return Decimal(settings.unknown_type_price)
        return known.price if listed or settings.known_type_price is None else Decimal(settings.known_type_price)

    def _result(self, type_id: str, quantity: int, delivered: int | None) -> tuple[int, str]:
        """How many cards such an order delivers, and its final status."""
        settings = self._settings
        if delivered is None:
            delivered = quantity
            if type_id == "TEST_REFUND" and self._simulates_tests:
                delivered = 0
            if type_id == "TEST_PARTIAL" and self._simulates_tests:
                delivered = (quantity + (settings.partial_rounding == "up")) // 2
                if quantity == 1 and settings.partial_of_one != "as counted":
                    return delivered, settings.partial_status
        if delivered >= quantity:
            return quantity, "FULFILLED"
        return delivered, settings.partial_status if delivered else "REFUNDED"


class Transaction(NamedTuple):
    """A change of the balance; amounts in centimes, `order_id` empty for a deposit."""

    number: int
    type: str
    change: int
    balance: int
    order_id: str
    ms: int


class Ledger:
    """The balance and its changes. `id_bytes` is the middle part of all ids of the account."""

    def __init__(self, settings: Settings, id_bytes: str) -> None:
        self.id_bytes = id_bytes
        self._settings = settings
        self._centimes = _to_centimes(settings.opening_balance)
        self._transactions: Timeline[Transaction] = Timeline()
        self._refunds: list[tuple[float, int, int, int, Order]] = []

    def funds(self, now: float) -> Decimal:
        """Give the dinars that orders can be paid from at monotonic second `now`."""
        while self._refunds and self._refunds[0][0] <= now:
            *_, ms, order = heappop(self._refunds)
            self._add("REFUND-ORDER", order.paid_for(order.quantity - order.delivers), order.id, ms)
        return _to_dinars(self._centimes)

    def balance(self, now: float) -> Decimal:
        """Give the dinars that the API shows at monotonic second `now`."""
        return self.funds(now) if self._settings.balance_moves else Decimal(self._settings.opening_balance)

    def deposit(self, amount: Decimal, now: Timestamp) -> None:
        self.funds(now.monotonic)
        self._add("DEPOSIT", amount, "", unix_ms(now.utc))

    def charge(self, order: Order, number: int) -> None:
        """Charge for the account's `number`-th order, and plan its refund: of two due together the older is first."""
        self._add("ORDER", order.paid_for(-order.quantity), order.id, order.ms)
        if order.delivers < order.quantity and isfinite(order.duration):
            delay = order.duration + (_LATE_REFUND_S if self._settings.refunds == "late" else 0.0)
            for part in range(_REFUND_COUNT.get(self._settings.refunds, 1)):
                heappush(self._refunds, (order.placed + delay, number, part, order.ms + int(1000 * delay), order))

    def page(self, asked: Page, now: float) -> tuple[list[dict[str, Any]], int]:
        """Give a page of the transactions as the API shows them at monotonic second `now`, and how many in all."""
        self.funds(now)
        if not self._settings.transactions_listed:
            return [], 0
        rows, total = self._transactions.page(asked, self._settings.list_order == "newest first")
        return [self._to_json(row) for row in rows], total

    def _add(self, type: str, change: Decimal, order_id: str, ms: int) -> None:
        ms = self._transactions.not_before_last(ms)
        self._centimes += _to_centimes(change)
        row = Transaction(len(self._transactions.items) + 1, type, _to_centimes(change), self._centimes, order_id, ms)
        self._transactions.add(ms, row)

    def _to_json(self, row: Transaction) -> dict[str, Any]:
        return {
            "_id": f"{row.ms // 1000:08x}{self.id_bytes}{0x800000 + row.number:06x}",
            "type": row.type,
            "operation": "Decrement" if row.type == "ORDER" else "Increment",
            "amount": _to_dinars(abs(row.change)),
            "oldBalance": _to_dinars(row.balance - row.change),
            "newBalance": _to_dinars(row.balance),
            "objid": row.order_id,
            "note": "",
            "time": iso(row.ms),
        }


def _to_centimes(dinars: Decimal) -> int:
    return int(EXACT.scaleb(dinars, 2))


def _to_dinars(centimes: int) -> Decimal:
    return EXACT.divide(Decimal(centimes), Decimal(100))
