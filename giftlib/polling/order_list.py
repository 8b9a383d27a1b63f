"""Poll many orders with few requests: by pages of the order list, as far as the list can be trusted."""

from collections.abc import Iterator
from datetime import datetime
from itertools import count

from giftlib.api import LARGEST_PAGE, Order, Page, errors, is_retryable
from giftlib.clock import Timestamp
from giftlib.journal import Poll

from .open_orders import CLOCK_SKEW, OpenOrders
from .poller import Poller


class OrderList:
    """Poll orders by the list.

    `shown_open` has the orders that it showed open in this round. `is_late` once it has shown an order open that was
    final before; `was_trusted` if it has shown any order open.
    """

    def __init__(self, orders: OpenOrders, poller: Poller) -> None:
        self.shown_open: set[str] = set()
        self.is_late = False
        self.was_trusted = False
        self._orders = orders
        self._poller = poller
        self._pages = _PageMemory()

    def poll(self, wanted: set[str]) -> set[str]:
        """Read the pages that show the wanted orders; return the ids that must be polled singly."""
        missing = set(wanted)
        if not missing:
            return missing
        since = min(self._orders.placed[order_id].utc for order_id in missing)
        for number in self._pages.pages_to_read(missing, self._orders.newest):
            sent = Timestamp.now(self._poller.client.clock)
            self._poller.requests += 1
            try:
                page = self._poller.client.list_orders(
                    number, LARGEST_PAGE, since=since - CLOCK_SKEW, until=self._orders.newest + CLOCK_SKEW,
                    timeout=self._orders.time_left(),
                )  # fmt: skip
            except (errors.ApiError, errors.NoAnswerError) as error:
                return self._failed(missing, sent, error)
            self._pages.remember(page)
            missing -= self._shown(page, missing, sent, Timestamp.now(self._poller.client.clock))
            if self._orders.time_left() == 0:
                break
        return missing

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

    def _failed(self, missing: set[str], sent: Timestamp, error: errors.ApiError | errors.NoAnswerError) -> set[str]:
        received = Timestamp.now(self._poller.client.clock)
        self._poller.record(*(
            Poll.of(order_id, self._poller.next_attempt(order_id), "list", sent, received, error)
            for order_id in self._orders.deadlines if order_id in missing
        ))  # fmt: skip
        if isinstance(error, errors.NotFoundError | errors.InvalidRequestError):
            return missing
        if not is_retryable(error):
            raise error
        self._poller.delay_for(error)  # also where no order was open whose poll could be recorded
        return set()


class _PageMemory:
    """Remember on which page each order stood when the list was last read up to the same time.

    The list is newest first, and orders placed later would move all others along; so it is read up to the newest
    wanted order, and then an order stays on its page.
    """

    def __init__(self) -> None:
        self._until: datetime | None = None
        self._page_of: dict[str | None, int] = {}
        self._pages = 1

    def pages_to_read(self, missing: set[str], until: datetime) -> Iterator[int]:
        """Yield page numbers, the newest orders' first, as long as an order is still `missing`.

        Orders that are on no remembered page are searched only where that takes fewer requests than polling each of
        them; so the cost grows with pages, not with orders.
        """
        if until != self._until:
            self._until, self._pages = until, 1
            self._page_of.clear()
        unknown = missing - self._page_of.keys()
        remembered = {self._page_of[order_id] for order_id in missing - unknown}
        searching = True
        for number in count(1):
            searching = searching and len(unknown & missing) > self._pages - number
            if not missing or number > self._pages or not (searching or number <= max(remembered, default=0)):
                break
            if searching or number in remembered:
                yield number
        for order_id in missing:
            self._page_of.pop(order_id, None)

    def remember(self, page: Page[Order]) -> None:
        """Keep which orders a page showed; an empty page comes after the last."""
        self._page_of |= {order.order_id: page.page for order in page}
        self._pages = page.total_pages if page.items else page.page
