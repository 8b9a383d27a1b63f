"""An account: its orders, what they cost, its balance and its transactions; no HTTP, no threads."""

import random
from decimal import Decimal
from heapq import heappop, heappush
from math import inf, isfinite
from typing import Any, NamedTuple

from giftlib.clock import Timestamp

from .catalog import SAMPLE_PRODUCT, Catalog
from .orders import Order, Timeline, draw_lognormal, iso, unix_ms
from .settings import Settings

SAMPLE_ORDER = "6901616fe9e88196b4eb64b3"
TEST_TYPES = ("TEST_REFUND", "TEST_PARTIAL")

_LATE_REFUND_S = 60.0


class OutOfStock(ValueError):
    """The type has fewer cards than asked for."""


class BalanceTooLow(ValueError):
    """The account cannot pay: `required` and `available` in dinars."""

    def __init__(self, required: Decimal, available: Decimal) -> None:
        super().__init__(f"the account holds {available} dinars and the order costs {required}")
        self.required = required
        self.available = available


class Transaction(NamedTuple):
    """A movement of the account; amounts in centimes, `order_id` empty for a deposit."""

    number: int
    kind: str
    change: int
    balance: int
    order_id: str
    ms: int


class Account:
    """All orders of one environment's account, its balance and its transactions.

    Calls must come in the order of their times. `everything` is where orders of all environments stand together.
    """

    def __init__(self, seed: Any, settings: Settings, *, environment: str, everything: Timeline[Order]) -> None:
        self.settings = settings
        self.environment = environment
        self.catalog = Catalog(settings.catalog_products)
        self.orders: dict[str, Order] = {}
        self._everything = everything
        self._seed = seed
        self._id_bytes = random.Random(f"{seed}:ids").randbytes(5).hex()
        self._placed: Timeline[Order] = Timeline()
        self.transactions: Timeline[Transaction] = Timeline()
        self.deposits: dict[int, float] = {}
        """The monotonic seconds of the deposits, by the numbers of their transactions."""
        self._balance = _centimes(settings.opening_balance)
        self._refunds: list[tuple[float, int, int, int, Order]] = []
        self._kept: dict[Any, Any] = {}
        self._sample = Order(
            SAMPLE_ORDER, SAMPLE_PRODUCT, "type_001", 2, Decimal(490), 1761699600000, -inf, 0.0, 2, "FULFILLED"
        )

    def place(self, product: str | None, type_id: str, quantity: int, now: Timestamp) -> Order:
        """Place an order and debit it. Without a product it is the one that has the type.

        Raises OutOfStock or BalanceTooLow, and then nothing is placed.
        """
        settings = self.settings
        price = self._price(type_id)
        cost = _centimes(quantity * price)
        self.require(type_id, quantity, now.monotonic)
        number = len(self.orders)
        duration = settings.fulfilment_s
        if duration is None:
            rng = random.Random(f"{self._seed}:order:{number}")
            duration = draw_lognormal(rng, settings.fulfilment_median_s, settings.fulfilment_p95_s)
        ms = self._everything.latest(unix_ms(now.utc))
        delivers = self._delivered(type_id, quantity)
        order = Order(
            id=f"{ms // 1000:08x}{self._id_bytes}{number + 1:06x}",
            product=self._once(product or self.catalog.product_of.get(type_id, SAMPLE_PRODUCT)),
            type=self._once(type_id),
            quantity=quantity,
            price=self._once(price),
            ms=ms,
            placed=now.monotonic,
            duration=float(duration),
            delivers=delivers,
            outcome=self._outcome(type_id, quantity, delivers),
        )
        self.orders[order.id] = order
        self._placed.add(ms, order)
        self._everything.add(ms, order)
        self._book("ORDER", -cost, order.id, ms)
        if delivers < quantity and isfinite(duration):
            late = _LATE_REFUND_S if settings.refunds == "late" else 0.0
            for part in range({"missing": 0, "doubled": 2}.get(settings.refunds, 1)):
                heappush(self._refunds, (order.due + late, number, part, ms + int(1000 * (duration + late)), order))
        return order

    def require(self, type_id: str, quantity: int, now: float, times: int = 1) -> None:
        """Raise OutOfStock or BalanceTooLow unless so many such orders could be placed at monotonic second `now`."""
        self._settle(now)
        known = self.catalog.types.get(type_id)
        if self.settings.check_stock and known and known.stock < quantity:
            raise OutOfStock(f"{type_id} has {known.stock} cards, asked for {quantity}")
        cost = times * quantity * self._price(type_id)
        if self.settings.check_balance and _centimes(cost) > self._balance:
            raise BalanceTooLow(cost, _dinars(self._balance))

    def deposit(self, amount: Decimal, now: Timestamp) -> int:
        """Credit dinars to the account; gives the time that the API tells of it."""
        self._settle(now.monotonic)
        row = self._book("DEPOSIT", _centimes(amount), "", unix_ms(now.utc))
        self.deposits[row.number] = now.monotonic
        return row.ms

    def listed_price(self, type_id: str) -> Decimal:
        """What checkProduct says a card of the type costs, dinars."""
        return Decimal(self.settings.prices.get(type_id, self.catalog.types[type_id].price))

    def find(self, order_id: str) -> Order | None:
        """The order with the id, the documentation's own included."""
        if order_id == SAMPLE_ORDER and self.settings.sample_order:
            return self._sample
        return self.orders.get(order_id)

    def list_orders(self, page: int, size: int, start_ms: int | None, end_ms: int | None) -> tuple[list[Order], int]:
        """A page of the orders placed between the two times, and how many there are in all."""
        orders = self._everything if self.settings.list_mixes_environments else self._placed
        return orders.page(page, size, start_ms, end_ms, self.settings.list_order == "newest first")

    def balance(self, now: float) -> Decimal:
        """Dinars that the account shows at monotonic second `now`."""
        self._settle(now)
        return _dinars(self._balance) if self.settings.balance_moves else Decimal(self.settings.opening_balance)

    def list_transactions(
        self, page: int, size: int, start_ms: int | None, end_ms: int | None, now: float
    ) -> tuple[list[dict[str, Any]], int]:
        """A page of the transactions between the two times, and how many there are in all."""
        self._settle(now)
        if not self.settings.transactions_listed:
            return [], 0
        rows, total = self.transactions.page(page, size, start_ms, end_ms, self.settings.list_order == "newest first")
        return [self._shape(row) for row in rows], total

    def _price(self, type_id: str) -> Decimal:
        """What an order pays for a card of the type, dinars."""
        settings = self.settings
        if type_id in settings.prices:
            return Decimal(settings.prices[type_id])
        if type_id in TEST_TYPES:
            return Decimal(settings.test_type_price)
        if type_id not in self.catalog.types:
            return Decimal(settings.unknown_type_price)
        known = settings.known_type_price
        return self.catalog.types[type_id].price if known is None else Decimal(known)

    def _is_test(self, type_id: str) -> bool:
        simulated = self.environment == "SANDBOX" or self.settings.production_test_types == "simulated"
        return type_id in TEST_TYPES and simulated

    def _delivered(self, type_id: str, quantity: int) -> int:
        if not self._is_test(type_id):
            return quantity
        return 0 if type_id == "TEST_REFUND" else (quantity + (self.settings.partial_rounding == "up")) // 2

    def _outcome(self, type_id: str, quantity: int, delivers: int) -> str:
        settings = self.settings
        if (
            quantity == 1
            and type_id == "TEST_PARTIAL"
            and self._is_test(type_id)
            and settings.partial_of_one != "as counted"
        ):
            return settings.partial_status
        if delivers == quantity:
            return "FULFILLED"
        return settings.partial_status if delivers else "REFUNDED"

    def _once(self, value: Any) -> Any:
        """An equal value, kept once for all orders: a million of them share few texts and prices."""
        return self._kept.setdefault(value, value) if len(self._kept) < 10_000 else value

    def _settle(self, now: float) -> None:
        """Credit what has not been delivered by `now`, oldest first."""
        while self._refunds and self._refunds[0][0] <= now:
            *_, ms, order = heappop(self._refunds)
            self._book("REFUND-ORDER", _centimes((order.quantity - order.delivers) * order.price), order.id, ms)

    def _book(self, kind: str, change: int, order_id: str, ms: int) -> Transaction:
        ms = self.transactions.latest(ms)
        self._balance += change
        row = Transaction(len(self.transactions) + 1, kind, change, self._balance, order_id, ms)
        self.transactions.add(ms, row)
        return row

    def _shape(self, row: Transaction) -> dict[str, Any]:
        return {
            "_id": f"{row.ms // 1000:08x}{self._id_bytes}{0x800000 + row.number:06x}",
            "type": row.kind,
            "operation": "Decrement" if row.kind == "ORDER" else "Increment",
            "amount": _dinars(abs(row.change)),
            "oldBalance": _dinars(row.balance - row.change),
            "newBalance": _dinars(row.balance),
            "objid": row.order_id,
            "note": "",
            "time": iso(row.ms),
        }


def _centimes(dinars: Decimal) -> int:
    return int(Decimal(dinars).scaleb(2))


def _dinars(centimes: int) -> Decimal:
    return Decimal(centimes) / 100
