"""Poll many orders with few requests: by pages of the order list, as far as the list can be trusted."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from giftlib.api import LARGEST_PAGE, Order, Page, errors
from giftlib.clock import Clock, Timestamp

from .open_orders import CLOCK_SKEW, OpenOrders
from .poller import Poller

Name = TypeVar("Name", bound=Hashable)
PageKey = tuple[datetime, datetime, int]
"""A page's number in the list of the orders placed between two times: there an order stays on its page."""
_TRIES = 5


class Turns:
    """Say whose turn it is: of pages or orders the one served longest ago. One that fails keeps its turn a while."""

    def __init__(self, clock: Clock) -> None:
        self._served: dict[Hashable, float] = {}
        self._failures = Counter[Hashable]()
        self._clock = clock

    def in_order(self, names: Iterable[Name]) -> list[Name]:
        """Return them sorted; one that is new has waited since now."""
        now = self._clock.monotonic()
        return sorted(names, key=lambda name: self._served.setdefault(name, now))

    def served(self, name: Hashable) -> None:
        """Put it behind all others."""
        self._served[name] = self._clock.monotonic()
        del self._failures[name]

    def failed(self, name: Hashable) -> None:
        """Leave it its turn, but once it has failed so often in a row put it behind all others each time."""
        self._failures[name] += 1
        if self._failures[name] >= _TRIES:
            self._served[name] = self._clock.monotonic()


class OrderList:
    """Poll orders by the list, and remember on which page each order stands.

    `shown_open` has the orders that it showed open in this round. `is_late` once it has shown an order open that was
    final before; `was_trusted` if it has shown any order open. Orders that are on no remembered page are searched on
    the pages of one period.
    """

    def __init__(self, orders: OpenOrders, poller: Poller) -> None:
        self.shown_open: set[str] = set()
        self.is_late = False
        self.was_trusted = False
        self._orders = orders
        self._poller = poller
        self._turns = Turns(poller.client.clock)
        self._page_of: dict[str, PageKey] = {}
        self._period: tuple[datetime, datetime] | None = None
        self._pages = 0
        self._read = set[int]()

    def pages(self, wanted: Iterable[str]) -> dict[PageKey, list[str]]:
        """Return the pages to read, the one whose turn it is first, each with the wanted orders that it may show.

        Orders that are on no remembered page are searched only where that takes fewer requests than polling each of
        them; so the cost grows with pages, not with orders.
        """
        pages, unknown = defaultdict[PageKey, list[str]](list), list[str]()
        for order_id in wanted:
            key = self._page_of.get(order_id)
            (unknown if key is None else pages[key]).append(order_id)
        for key in self._pages_left(len(unknown)):
            pages[key] += unknown
        return {key: pages[key] for key in self._turns.in_order(sorted(pages))}

    def search(self, wanted: Iterable[str]) -> None:
        """Begin a search for those that are on no remembered page, unless one is under way."""
        placed = self._orders.placed
        unknown = [order_id for order_id in wanted if order_id not in self._page_of]
        if unknown and not self._pages_left(len(unknown)):
            since = min(placed[order_id].utc for order_id in unknown) - CLOCK_SKEW
            period = since, max(timestamp.utc for timestamp in placed.values()) + CLOCK_SKEW
            if period != self._period:  # else it has as many pages as last time
                self._period, self._pages = period, 1
            self._read.clear()

    def read(self, key: PageKey, expected: list[str], wanted: Iterable[str]) -> set[str]:
        """Read a page that may show the expected orders; return the wanted ones that it shows without contradiction."""
        client, (since, until, number) = self._poller.client, key
        sent, timeout = Timestamp.now(client.clock), min(self._poller.time_left(), self._poller.patience_s)
        try:
            page = client.list_orders(number, LARGEST_PAGE, since=since, until=until, timeout=timeout)
        except (errors.ApiError, errors.NoAnswerError) as error:
            with suppress(errors.NotFoundError, errors.InvalidRequestError):
                self._poller.record("list", sent, {expected[0]: error})
                self._turns.failed(key)
                return set()
            page, shown = Page((), number, LARGEST_PAGE, 0, 0), set[str]()  # there is no such page
        else:
            self._poller.hold(page)
            shown = self._end(page, set(wanted), sent)
        self._turns.served(key)
        if key[:2] == self._period:
            self._pages = page.total_pages if page.items else number
            self._read.add(number)
        self._page_of |= {order.order_id or "": key for order in page}
        for order_id in set(expected) - shown:
            self._page_of.pop(order_id, None)
        return shown

    def compare(self, order_id: str) -> None:
        """Read the list for an order that is final, to see whether the list shows that."""
        self.search([order_id])
        for key, expected in self.pages([order_id]).items():
            if self.read(key, expected, expected):
                return

    def _end(self, page: Page[Order], wanted: set[str], sent: Timestamp) -> set[str]:
        """Record the wanted orders of a page; return the ids of those that it shows without contradiction."""
        shown: dict[str, Order] = {}
        for order in page.items[::-1]:
            order_id = order.order_id or ""
            is_late = order_id in self._orders.final and not order.is_final
            if is_late or (order_id in wanted and not (order.is_final and order.problems)):
                self.is_late |= is_late
                shown[order_id] = order
        self._poller.record("list", sent, shown)
        for order_id, order in shown.items():
            if order.is_final:
                self._orders.finish(order_id)
            else:
                self.shown_open.add(order_id)
                self.was_trusted = True
        return set(shown)

    def _pages_left(self, orders: int) -> list[PageKey]:
        """Return the pages not searched yet, if they are not more than the orders searched."""
        if self._period is None or self._pages - len(self._read) > orders:
            return []
        return [(*self._period, number) for number in range(1, self._pages + 1) if number not in self._read]
