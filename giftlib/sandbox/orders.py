"""The life of an order, as a function of the time given; no HTTP, no threads."""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import log
from typing import Any, Generic, TypeVar

from .settings import Settings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_P95 = 1.6448536  # standard normal quantile
Item = TypeVar("Item")


def unix_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970 of an aware time."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def iso(ms: int) -> str:
    """Milliseconds since 1970 as the API writes times: `2025-10-29T01:00:00.000Z`."""
    return (_EPOCH + timedelta(milliseconds=ms)).strftime(f"%Y-%m-%dT%H:%M:%S.{ms % 1000:03d}Z")


def draw_lognormal(rng: random.Random, median: float, p95: float) -> float:
    """One draw of the lognormal law with this median and 95 % quantile."""
    return rng.lognormvariate(log(median), log(p95 / median) / _P95)


@dataclass(frozen=True, slots=True)
class Order:
    """An order; what becomes of it is settled when it is placed.

    `ms` is the time of placement that the API tells, `placed` the same as a monotonic second. The order is final after
    `duration` seconds; it then has the status `outcome` and `delivers` cards.
    """

    id: str
    product: str
    type: str
    quantity: int
    price: Decimal
    ms: int
    placed: float
    duration: float
    delivers: int
    outcome: str

    @property
    def due(self) -> float:
        """The monotonic second at which it is final."""
        return self.placed + self.duration

    def status(self, now: float) -> str:
        """Its status at monotonic second `now`."""
        return self.outcome if now >= self.due else "HANDLING"

    def shape(self, now: float, settings: Settings, *, in_list: bool) -> dict[str, Any]:
        """The order object the API shows at monotonic second `now`; fields come and go with the state."""
        final = now >= self.due
        shape: dict[str, Any] = {"_id": self.id, "status": self.status(now), "quantity": self.quantity}
        if final:
            shape["fulfilled_quantity"] = self.delivers
            shape["fulfilled_amount"] = self.delivers * self.price
            shape["price_per_card"] = self.price
            shape["cards"] = [_card(n, settings.card_serials) for n in range(1, self.delivers + 1)]
        if in_list or not final or settings.final_order_has_type:
            shape["product"] = self.product
            shape["type"] = self.type
        shape["time"] = iso(self.ms)
        return shape


def _card(number: int, serials: str) -> dict[str, str]:
    card = {"value": f"SANDBOX-CARD-{number}", "serial": f"SANDBOX-{number}" if serials == "numbered" else ""}
    if serials == "missing":
        del card["serial"]
    return card


class Timeline(Generic[Item]):
    """Items in the order of their times, looked up by page and by period."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._times: list[int] = []

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def add(self, ms: int, item: Item) -> None:
        """Append an item; its time must not be before the last one's."""
        self._items.append(item)
        self._times.append(ms)

    def latest(self, ms: int) -> int:
        """`ms`, or the last item's time if that is later: the time of day may step back, these times may not."""
        return max(ms, self._times[-1]) if self._times else ms

    def page(
        self, number: int, size: int, start_ms: int | None, end_ms: int | None, newest_first: bool = True
    ) -> tuple[list[Item], int]:
        """A page of the items between the two times (both included), and how many there are in all."""
        first = 0 if start_ms is None else bisect_left(self._times, start_ms)
        last = max(first, len(self._times) if end_ms is None else bisect_right(self._times, end_ms))
        if newest_first:
            newest = last - (number - 1) * size
            return self._items[max(first, newest - size) : max(first, newest)][::-1], last - first
        oldest = first + (number - 1) * size
        return self._items[oldest : min(oldest + size, last)], last - first
