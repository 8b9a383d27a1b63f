"""The orders that are waited for: since when, until when, and which are final."""

from datetime import UTC, datetime, timedelta
from math import inf

from giftlib.api import Client, GiftlibError
from giftlib.clock import Timestamp

CLOCK_SKEW = timedelta(minutes=2)
"""The most by which the API's clock and the one here are taken to differ."""


class OpenOrders:
    """Keep the orders that are waited for.

    `deadlines` has the open ones, in the clock's monotonic seconds; `final` those seen final; `unavailable` those that
    cannot be polled, with the reason; `expired` those given up; `placed` the times of placement that are known, by the
    API's clock.
    """

    def __init__(self, client: Client, timeout: float) -> None:
        self.deadlines: dict[str, float] = {}
        self.final: set[str] = set()
        self.unavailable: list[str] = []
        self.expired: list[str] = []
        self.placed: dict[str, Timestamp] = {}
        self._client = client
        self._timeout = timeout

    def add(self, order_id: str, placed: Timestamp | None = None) -> None:
        """Wait for an order too; its time of placement is read from its id if it is not given."""
        if order_id in self.final:
            return
        self.deadlines[order_id] = self._client.clock.monotonic() + self._timeout
        if placed is None:
            self.set_placed(order_id, _time_in(order_id))
        else:
            self.placed[order_id] = placed

    def set_placed(self, order_id: str, utc: datetime | None) -> None:
        """Keep a time of placement that the API reports; it lies in the past, whatever the clocks say."""
        if utc is not None and order_id not in self.placed:
            now = self._client.api_now()
            age = max((now.utc - utc) / timedelta(seconds=1), 0.0)
            self.placed[order_id] = Timestamp(utc, now.monotonic - age)

    def age(self, order_id: str) -> float:
        """Return the seconds since the order was placed; infinity if that is not known."""
        placed = self.placed.get(order_id)
        return inf if placed is None else self._client.clock.monotonic() - placed.monotonic

    def finish(self, order_id: str) -> None:
        """Stop waiting for an order that is final."""
        self.final.add(order_id)
        self.deadlines.pop(order_id, None)

    def drop(self, order_id: str, reason: GiftlibError) -> None:
        """Stop waiting for an order that cannot be polled."""
        self.unavailable.append(f"{order_id}: {reason}")
        del self.deadlines[order_id]

    def expire(self, margin_s: float) -> None:
        """Stop waiting for the orders whose deadline is at most `margin_s` away."""
        now = self._client.clock.monotonic()
        expired = [order_id for order_id, deadline in self.deadlines.items() if deadline <= now + margin_s]
        for order_id in expired:
            del self.deadlines[order_id]
        self.expired += expired


def _time_in(order_id: str) -> datetime | None:
    """Return the time with which the API's ids begin (seconds since 1970, in hexadecimal), or None."""
    try:
        return datetime.fromtimestamp(int(order_id[:8], 16), UTC) if len(order_id) == 24 else None
    except ValueError:
        return None
