"""What an order is at any given time, and lists sorted by time; no HTTP, no threads."""

import random
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import log
from typing import Any, Generic, NamedTuple, TypeVar

from .settings import Outcome, Settings
from .validators import EXACT

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_P95 = 1.6448536  # 95 % quantile of the standard normal distribution
_LONGEST_S = 1e9  # as of every setting: a clock has no time much later
Item = TypeVar("Item")


def unix_ms(time: datetime) -> int:
    """Give the whole milliseconds from 1970 to an aware time."""
    return (time - EPOCH) // timedelta(milliseconds=1)


def iso(ms: int) -> str:
    """Write milliseconds since 1970 as the API writes times: `2025-10-29T01:00:00.000Z`."""
    return (EPOCH + timedelta(milliseconds=ms)).strftime(f"%Y-%m-%dT%H:%M:%S.{ms % 1000:03d}Z")


def draw_seconds(what: str, settings: Settings, rng: random.Random) -> float:
    """Draw a "latency" or a "fulfilment": constant, or lognormal with the median and the 95 % quantile that are set."""
    constant, median, p95 = (getattr(settings, f"{what}{part}_s") for part in ("", "_median", "_p95"))
    if constant is not None:
        return float(constant)
    return min(rng.lognormvariate(log(median), log(p95 / median) / _P95), _LONGEST_S)


@dataclass(frozen=True, slots=True)
class Order:
    """An order; its outcome is determined when it is placed.

    `ms` is the time of placement that the API reports, `placed` the same as a monotonic second. The order is final
    after `duration` seconds; it then has the status `outcome` and `delivers` cards. `planned` is what was chosen for it
    alone.
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
    planned: Outcome | None = None

    def status(self, now: float) -> str:
        """Give its status at monotonic second `now`."""
        return self.outcome if now >= self.placed + self.duration else "HANDLING"

    def paid_for(self, cards: int) -> Decimal:
        """Give the dinars that so many of its cards cost."""
        return EXACT.multiply(cards, self.price)

    def to_json(self, now: float, settings: Settings, *, in_list: bool) -> dict[str, Any]:
        """Give the object that the API shows at monotonic second `now`; its fields depend on the status."""
        status = self.status(now)
        final = status != "HANDLING"
        content: dict[str, Any] = {"_id": self.id, "status": status, "quantity": self.quantity}
        if final or (in_list and settings.open_list_rows == "with zeros"):
            delivered = self.delivers if final else 0
            content["fulfilled_quantity"] = delivered
            content["fulfilled_amount"] = self.paid_for(delivered)
            content["price_per_card"] = self.price
            content["cards"] = [_card(n, settings.card_serials) for n in range(1, delivered + 1)]
        if in_list or not final or settings.final_order_has_type:
            content |= {"product": self.product, "type": self.type}
        return content | {"time": iso(self.ms)}


def _card(number: int, serials: str) -> dict[str, str]:
    if serials == "missing":
        return {"value": f"SANDBOX-CARD-{number}"}
    return {"value": f"SANDBOX-CARD-{number}", "serial": f"SANDBOX-{number}" if serials == "numbered" else ""}


class Page(NamedTuple):
    """Which items of a list: page number from 1, page size, and the period in milliseconds since 1970, inclusive."""

    number: int
    size: int
    start_ms: int | None = None
    end_ms: int | None = None


class Timeline(Generic[Item]):
    """Items in the order of their times, looked up by page and by period."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._times: list[int] = []

    def add(self, ms: int, item: Item) -> None:
        """Append an item; its time must not be before the last one's."""
        self.items.append(item)
        self._times.append(ms)

    def not_before_last(self, ms: int) -> int:
        """Give `ms`, or the last item's time if that is later: the time of day may step back, these times may not."""
        return max(ms, self._times[-1]) if self._times else ms

    def page(self, asked: Page, newest_first: bool = True) -> tuple[list[Item], int]:
        """Give a page of the items in the period, and how many there are in all."""
        first = 0 if asked.start_ms is None else bisect_left(self._times, asked.start_ms)
        last = max(first, len(self._times) if asked.end_ms is None else bisect_right(self._times, asked.end_ms))
        places = range(first, last)[:: -1 if newest_first else 1]
        skipped = (asked.number - 1) * asked.size
        return [self.items[place] for place in places[skipped : skipped + asked.size]], len(places)
