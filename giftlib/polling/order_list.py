"""Which pages of the list to read, so that few requests show many orders."""

from collections.abc import Iterator
from datetime import datetime
from itertools import count

from giftlib.api.models import Page
from giftlib.api.orders import Order


class PageMemory:
    """Where orders stood in the list when it was last read up to the same moment.

    The list is newest first, and orders placed later would move all others along; so it is read up to the newest
    wanted order, and then an order stays on its page.
    """

    def __init__(self) -> None:
        self._until: datetime | None = None
        self._page_of: dict[str | None, int] = {}
        self._pages = 1

    def pages_to_read(self, missing: set[str], until: datetime) -> Iterator[int]:
        """Page numbers, the newest orders' first, as long as an order is still `missing`.

        Orders that are on no remembered page are searched only where that takes fewer requests than looking at
        each of them; so the cost grows with pages, not with orders.
        """
        if until != self._until:
            self._until, self._pages = until, 1
            self._page_of.clear()
        strangers = missing - self._page_of.keys()
        remembered = {self._page_of[order_id] for order_id in missing - strangers}
        searching = True
        for number in count(1):
            searching = searching and len(strangers & missing) > self._pages - number
            if not missing or number > self._pages or not (searching or number <= max(remembered, default=0)):
                break
            if searching or number in remembered:
                yield number
        for order_id in missing:
            self._page_of.pop(order_id, None)

    def remember(self, page: Page[Order]) -> None:
        """Note which orders a page showed; a page without any is behind the last."""
        self._page_of |= {order.order_id: page.page for order in page}
        self._pages = page.total_pages if page.items else page.page
