"""Poll many orders with few requests: by pages of the order list, as far as the list can be trusted."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from giftlib.api import LARGEST_PAGE, Order, Page, errors, is_retryable
from giftlib.clock import Timestamp
from giftlib.journal import Poll

from .open_orders import CLOCK_SKEW, OpenOrders, Turns
from .poller import Poller

PageKey = tuple[datetime, datetime, int]
"""A page's number in the list of the orders placed between two times: there an order stays on its page."""


class OrderList:
    """Poll orders by the list, and remember on which page each order stands.

    `shown_open` has the orders that it showed open in this round. `is_late` once it has shown an order open that was
    final before; `was_trusted` if it has shown any order open.
    """

    def __init__(self, orders: OpenOrders, poller: Poller) -> None:
        self.shown_open: set[str] = set()
        self.is_late = False
        self.was_trusted = False
        self._orders = orders
        self._poller = poller
        self._turns = Turns(poller.client.clock)
        self._page_of: dict[str, PageKey] = {}
        self._search = _Search()

    def pages(self, wanted: Iterable[str]) -> dict[PageKey, list[str]]:
        """Return the pages to read, the one whose turn it is first, each with the wanted orders that it may show.

        Orders that are on no remembered page are searched only where that takes fewer requests than polling each of
        them; so the cost grows with pages, not with orders.
        """
        pages, unknown = defaultdict[PageKey, list[str]](list), list[str]()
        for order_id in wanted:
            key = self._page_of.get(order_id)
            (unknown if key is None else pages[key]).append(order_id)
        for key in self._search.pages_left(len(unknown)):
            pages[key] += unknown
        return {key: pages[key] for key in self._turns.in_order(sorted(pages))}

    def search(self, wanted: Iterable[str]) -> None:
        """Begin a search for those that are on no remembered page, unless one is under way."""
        unknown = [order_id for order_id in wanted if order_id not in self._page_of]
        if unknown and not self._search.pages_left(len(unknown)):
            since = min(self._orders.placed[order_id].utc for order_id in unknown)
            self._search.begin(since - CLOCK_SKEW, self._orders.newest + CLOCK_SKEW)

    def read(self, key: PageKey, expected: list[str], wanted: list[str]) -> set[str]:
        """Read a page that may show the expected orders; return the wanted ones that it shows without contradiction."""
        client, (since, until, number) = self._poller.client, key
        sent, timeout = Timestamp.now(client.clock), self._orders.request_timeout()
        self._poller.requests += 1
        try:
            page = client.list_orders(number, LARGEST_PAGE, since=since, until=until, timeout=timeout)
        except (errors.ApiError, errors.NoAnswerError) as error:
            if not self._failed(expected[0], sent, error):
                self._turns.failed(key)
                return set()
            page = Page((), number, LARGEST_PAGE, 0, 0)
        self._poller.delay_for(page)
        shown = self._shown(page, set(wanted), sent, Timestamp.now(client.clock))
        self._turns.served(key)
        self._search.has_read(key, page)
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

    def _shown(self, page: Page[Order], wanted: set[str], sent: Timestamp, received: Timestamp) -> set[str]:
        """Record the wanted orders of a page; return the ids of those that it shows without contradiction."""
        shown: dict[str, Order] = {}
        for order in page.items[::-1]:
            order_id = order.order_id or ""
            is_late = order_id in self._orders.final and not order.is_final
            if is_late or (order_id in wanted and not (order.is_final and order.problems)):
                self.is_late |= is_late
                shown[order_id] = order
        self._poller.record(*(
            Poll.of(order_id, self._poller.next_attempt(order_id), "list", sent, received, order)
            for order_id, order in shown.items()
        ))  # fmt: skip
        for order_id, order in shown.items():
            if order.is_final:
                self._orders.finish(order_id)
            else:
                self.shown_open.add(order_id)
                self.was_trusted = True
        return set(shown)

    def _failed(self, order_id: str, sent: Timestamp, error: errors.ApiError | errors.NoAnswerError) -> bool:
        """Record a failed request, with one order that it was sent for; return whether there is no such page."""
        received = Timestamp.now(self._poller.client.clock)
        self._poller.record(Poll.of(order_id, self._poller.next_attempt(order_id), "list", sent, received, error))
        if is_retryable(error):
            return False
        if isinstance(error, errors.NotFoundError | errors.InvalidRequestError):
            return True
        raise error


class _Search:
    """Go through the pages of the list for orders that are on no remembered page."""

    def __init__(self) -> None:
        self._period: tuple[datetime, datetime] | None = None
        self._pages = 0
        self._read: set[int] = set()

    def begin(self, since: datetime, until: datetime) -> None:
        """Begin again, of the number of pages that the period had last time."""
        if self._period != (since, until):
            self._period, self._pages = (since, until), 1
        self._read.clear()

    def pages_left(self, orders: int) -> list[PageKey]:
        """Return the pages not read yet, if they are not more than the orders searched."""
        if self._period is None or self._pages - len(self._read) > orders:
            return []
        return [(*self._period, number) for number in range(1, self._pages + 1) if number not in self._read]

    def has_read(self, key: PageKey, page: Page[Order]) -> None:
        """Keep that a page was read, and how many there are; an empty page comes after the last."""
        if self._period == key[:2]:
            self._pages = page.total_pages if page.items else page.page
            self._read.add(page.page)
