"""The life of an order and of the account that pays for it, as functions of the time given; no HTTP, no threads."""

import random
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from heapq import heappop, heappush
from math import inf, isfinite, log
from typing import Any

from giftlib.clock import Moment

from .catalog import PRODUCT_OF_TYPE, SAMPLE_PRODUCT, TYPES
from .settings import Settings

SAMPLE_ORDER = "6901616fe9e88196b4eb64b3"
TEST_TYPES = ("TEST_REFUND", "TEST_PARTIAL")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATE_REFUND_S = 60.0
_P95 = 1.6448536  # standard normal quantile


def unix_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970 of an aware time."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def iso(ms: int) -> str:
    """Milliseconds since 1970 as the API writes times: `2025-10-29T01:00:00.000Z`."""
    return (_EPOCH + timedelta(milliseconds=ms)).strftime(f"%Y-%m-%dT%H:%M:%S.{ms % 1000:03d}Z")


def draw_lognormal(rng: random.Random, median: float, p95: float) -> float:
    """One draw of the lognormal law with this median and 95 % quantile."""
    return rng.lognormvariate(log(median), log(p95 / median) / _P95)


class OutOfStock(ValueError):
    """The type has fewer cards than asked for."""


class BalanceTooLow(ValueError):
    """The account cannot pay: `required` and `available` in dinars."""

    def __init__(self, required: Decimal, available: Decimal) -> None:
        super().__init__(f"the account holds {available} dinars and the order costs {required}")
        self.required = required
        self.available = available


@dataclass(frozen=True, slots=True)
class Order:
    """An order; what becomes of it is settled when it is placed.

    `due` is the monotonic second at which it is final, `delivers` the number of cards it then has, `ms` the time of
    placement that the API tells.
    """

    id: str
    product: str
    type: str
    quantity: int
    delivers: int
    price: Decimal
    ms: int
    due: float

    def shape(self, now: float, *, in_list: bool) -> dict[str, Any]:
        """The order object the API shows at monotonic second `now`; fields come and go with the state."""
        final = now >= self.due
        if not final:
            status = "HANDLING"
        elif self.delivers == self.quantity:
            status = "FULFILLED"
        else:
            status = "PARTIALLY_FILLED" if self.delivers else "REFUNDED"
        shape: dict[str, Any] = {"_id": self.id, "status": status, "quantity": self.quantity}
        if final:
            shape["fulfilled_quantity"] = self.delivers
            shape["fulfilled_amount"] = self.delivers * self.price
            shape["price_per_card"] = self.price
            shape["cards"] = [
                {"value": f"SANDBOX-CARD-{n}", "serial": f"SANDBOX-{n}"} for n in range(1, self.delivers + 1)
            ]
        if in_list or not final:
            shape["product"] = self.product
            shape["type"] = self.type
        shape["time"] = iso(self.ms)
        return shape


class Timeline:
    """Items in the order of their times, looked up by page and by period."""

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._times: list[int] = []

    def add(self, ms: int, item: Any) -> None:
        """Append an item; its time must not be before the last one's."""
        self._items.append(item)
        self._times.append(ms)

    def latest(self, ms: int) -> int:
        """`ms`, or the last item's time if that is later: the time of day may step back, these times may not."""
        return max(ms, self._times[-1]) if self._times else ms

    def page(self, number: int, size: int, start_ms: int | None, end_ms: int | None) -> tuple[list[Any], int]:
        """A page of the items between the two times (both included), newest first, and how many there are in all."""
        first = 0 if start_ms is None else bisect_left(self._times, start_ms)
        last = len(self._times) if end_ms is None else bisect_right(self._times, end_ms)
        newest = last - (number - 1) * size
        return self._items[max(first, newest - size) : max(first, newest)][::-1], max(0, last - first)


class Account:
    """All orders of one account, its balance and its transactions.

    Calls must come in the order of their times.
    """

    def __init__(self, seed: Any, settings: Settings) -> None:
        self.settings = settings
        self.orders: dict[str, Order] = {}
        self.durations: dict[str, float] = {}
        self._seed = seed
        self._id_bytes = random.Random(f"{seed}:ids").randbytes(5).hex()
        self._placed = Timeline()
        self._transactions = Timeline()
        self._transaction_count = 0
        self._balance = Decimal(settings.opening_balance)
        self._refunds: list[tuple[float, int, int, int, Order]] = []
        self._sample = Order(SAMPLE_ORDER, SAMPLE_PRODUCT, "type_001", 2, 2, Decimal(490), 1761699600000, -inf)

    def place(self, product: str | None, type_id: str, quantity: int, now: Moment) -> str:
        """Place an order and debit it. Without a product it is the one that has the type.

        Raises OutOfStock or BalanceTooLow, and then nothing is placed.
        """
        settings = self.settings
        self._settle(now.monotonic)
        price = self.price(type_id)
        if settings.check_stock and type_id in TYPES and TYPES[type_id].stock < quantity:
            raise OutOfStock(f"{type_id} has {TYPES[type_id].stock} cards, asked for {quantity}")
        if price * quantity > self._balance:
            raise BalanceTooLow(price * quantity, self._balance)
        number = len(self.orders)
        duration = settings.fulfilment_s
        if duration is None:
            rng = random.Random(f"{self._seed}:order:{number}")
            duration = draw_lognormal(rng, settings.fulfilment_median_s, settings.fulfilment_p95_s)
        ms = self._placed.latest(unix_ms(now.utc))
        order = Order(
            id=f"{ms // 1000:08x}{self._id_bytes}{number + 1:06x}",
            product=product or PRODUCT_OF_TYPE.get(type_id, SAMPLE_PRODUCT),
            type=type_id,
            quantity=quantity,
            delivers=self._delivered(type_id, quantity),
            price=price,
            ms=ms,
            due=now.monotonic + duration,
        )
        self.orders[order.id] = order
        self.durations[order.id] = float(duration)
        self._placed.add(ms, order)
        self._book("ORDER", -price * quantity, order.id, ms)
        if order.delivers < quantity and isfinite(duration):
            late = _LATE_REFUND_S if settings.refunds == "late" else 0.0
            for part in range({"missing": 0, "doubled": 2}.get(settings.refunds, 1)):
                heappush(self._refunds, (order.due + late, number, part, ms + int(1000 * (duration + late)), order))
        return order.id

    def price(self, type_id: str) -> Decimal:
        """What a card of the type costs, dinars."""
        if type_id in self.settings.prices:
            return Decimal(self.settings.prices[type_id])
        if type_id in TEST_TYPES:
            return Decimal(self.settings.test_type_price)
        return TYPES[type_id].price if type_id in TYPES else Decimal(self.settings.unknown_type_price)

    def find(self, order_id: str) -> Order | None:
        """The order with the id, the documentation's own included."""
        if order_id == SAMPLE_ORDER and self.settings.sample_order:
            return self._sample
        return self.orders.get(order_id)

    def list_orders(self, page: int, size: int, start_ms: int | None, end_ms: int | None) -> tuple[list[Order], int]:
        """A page of the orders placed between the two times, newest first, and how many there are in all."""
        return self._placed.page(page, size, start_ms, end_ms)

    def balance(self, now: float) -> Decimal:
        """Dinars left at monotonic second `now`."""
        self._settle(now)
        return self._balance

    def list_transactions(
        self, page: int, size: int, start_ms: int | None, end_ms: int | None, now: float
    ) -> tuple[list[dict[str, Any]], int]:
        """A page of the transactions between the two times, newest first, and how many there are in all."""
        self._settle(now)
        return self._transactions.page(page, size, start_ms, end_ms)

    def _delivered(self, type_id: str, quantity: int) -> int:
        if type_id == "TEST_REFUND":
            return 0
        if type_id == "TEST_PARTIAL":
            return (quantity + (self.settings.partial_rounding == "up")) // 2
        return quantity

    def _settle(self, now: float) -> None:
        """Credit what has not been delivered by `now`, oldest first."""
        while self._refunds and self._refunds[0][0] <= now:
            *_, ms, order = heappop(self._refunds)
            self._book("REFUND-ORDER", (order.quantity - order.delivers) * order.price, order.id, ms)

    def _book(self, kind: str, change: Decimal, order_id: str, ms: int) -> None:
        ms = self._transactions.latest(ms)
        self._transaction_count += 1
        old, self._balance = self._balance, self._balance + change
        self._transactions.add(
            ms,
            {
                "_id": f"{ms // 1000:08x}{self._id_bytes}{0x800000 + self._transaction_count:06x}",
                "type": kind,
                "operation": "Decrement" if kind == "ORDER" else "Increment",
                "amount": abs(change),
                "oldBalance": old,
                "newBalance": self._balance,
                "objid": order_id,
                "note": "",
                "time": iso(ms),
            },
        )
