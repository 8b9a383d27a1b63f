"""Search for orders whose response was lost.

The API takes no reference of ours, so an order is recognised by what was ordered and when. *When* is bounded by the
API's own clock: not before it was sent, and not long after it was given up.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import NamedTuple

import pandas as pd

from giftlib.api import LARGEST_PAGE, Client, Listing, Order, Page, check_count, check_type, errors, retry_read
from giftlib.clock import Timestamp
from giftlib.connection import current_client
from giftlib.journal import Journal

from .open_orders import CLOCK_SKEW

_API_CLOCKS = timedelta(seconds=2)
"""The most by which the clocks of the API's own machines are taken to differ, rounding included."""
_LONGEST_REQUEST = timedelta(minutes=1)
"""How long after an order request was given up the API may still carry it out, or hide the order from its list."""
_LOCAL_TIMES = timedelta(hours=14)
"""The most by which a time that is written without its zone can be off."""
_MOST_PAGES = 1000


def find_order(
    lost: errors.OrderOutcomeUnknownError, *, client: Client | None = None, known: Collection[str] = (), tries: int = 1
) -> list[Order]:
    """Return the orders that may be the lost one: the same product, type and quantity, placed at about that time.

    What the list does not say of an order may be as it was ordered.

    `known` are ids that belong to other requests. None found: the order was not placed, or is not listed yet. More than
    one: the API cannot say which is yours. The time is that of the API's clock, within a minute after the request was
    given up; where the error does not know it, two minutes are allowed for clocks that differ. Each page of the list is
    requested up to `tries` times, 5 s or what `Retry-After` asks for apart, before its error is raised.

    >>> from giftlib import OrderOutcomeUnknownError, Sandbox
    >>> from giftlib.polling import find_order
    >>> from giftlib.sandbox import Fault
    >>> with Sandbox(seed=1, faults=[Fault("placeOrder", cut="after")]) as sandbox:
    ...     client = sandbox.client()
    ...     try:
    ...         client.place_order("507f1f77bcf86cd799439011", "TEST_REFUND", 1)
    ...     except OrderOutcomeUnknownError as lost:
    ...         len(find_order(lost, client=client))
    1
    """
    check_count("tries", tries)
    search = _Search.of(check_type("lost", lost, errors.OrderOutcomeUnknownError))
    listed = _Listed.read(current_client(client), search.since, search.until, tries)
    return [order for order in listed.orders if order.order_id not in known and search.may_find(order)]


def recover_orders(journal: Journal, client: Client | None = None, *, tries: int = 1) -> pd.DataFrame:
    """Search for the client's orders whose response was lost, and record what became of their requests.

    Those are the intents of state "unknown", and the "intended" ones: a process that was killed leaves such a one. An
    order is recorded as a request's if it was placed, by the API's clock, between the sending of the request and its
    end, and if no more orders fit than there are requests that cannot be told apart. A request is recorded as
    "not placed" if a minute after its end no order fits it. What is not decided stays as it is, with the reason:

    - the order may still be placed or listed: try again later;
    - more orders fit than requests, one was placed in the minute after, or one is listed without its product, type,
      quantity or time, or with a time some hours outside the period asked for: it may be another program's;
    - the list shows fewer orders than it says that it has, or does not say;
    - the API's time of the request is not known.

    `journal.claim(intent, order, client.source)` records what you know better.

    Return the rows of `journal.intents()` that were searched for, as they are now, with `candidates`, the ids of the
    orders that fit (a list), and `reason` (None where it is decided). `tries` and the errors are those of `find_order`.

    >>> from giftlib import Journal, Sandbox, process_orders, recover_orders
    >>> with Sandbox(seed=1) as sandbox, Journal() as journal:
    ...     len(recover_orders(journal, sandbox.client()))
    0
    """
    check_type("journal", journal, Journal)
    check_count("tries", tries)
    client = current_client(client)
    found: dict[int, tuple[list[str | None], str | None]] = {}
    searches = [_Search.of(lost.error) for lost in journal.lost_orders(client.source)]
    for group in _overlapping(searches, attrgetter("until")):
        listing = _Listed.read(client, group[0].since, max(search.until for search in group), tries)
        known = journal.placed_ids(client.source)
        orders = [order for order in listing.orders if order.order_id not in known]
        for goods in {_goods(search.lost) for search in group}:
            alike = [search for search in group if _goods(search.lost) == goods]
            claims = _matched(alike, [order for order in orders if _goods(order) == goods])
            claimed = [order.order_id for order in claims.values()]
            for search in alike:
                intent = search.lost.intent or 0  # it has one
                possible = [order.order_id for order in orders if search.may_find(order, listing.contradicts(order))]
                reason = None
                if search in claims:
                    journal.claim(intent, claims[search], client.source)
                elif not (reason := search.undecided(any(order_id not in claimed for order_id in possible), listing)):
                    journal.not_placed(intent, Timestamp.now(client.clock))
                found[intent] = possible, reason
    intents = pd.Index(list(found), dtype="int64")
    columns = pd.DataFrame(list(found.values()), intents, ["candidates", "reason"], dtype=object)
    return journal.intents().join(columns, on="intent", how="inner").reset_index(drop=True)


class _Search(NamedTuple):
    """Say when, by the API's clock, a lost order can have been placed: surely until `sure_until`, if it is known.

    After that and until `until` it may be its own, or another program's.
    """

    lost: errors.OrderOutcomeUnknownError
    since: datetime
    sure_until: datetime
    until: datetime
    is_known: bool

    @classmethod
    def of(cls, lost: errors.OrderOutcomeUnknownError) -> "_Search":
        if lost.earliest is None or lost.latest is None:
            until = lost.gave_up_at + _LONGEST_REQUEST + CLOCK_SKEW
            return cls(lost, lost.sent_at - CLOCK_SKEW, until, until, is_known=False)
        until = lost.latest + _API_CLOCKS
        return cls(lost, lost.earliest - _API_CLOCKS, until, until + _LONGEST_REQUEST, is_known=True)

    def may_find(self, order: Order, at_any_time: bool = False) -> bool:
        """Return whether the order may be the lost one; what the list does not say may be as it was ordered."""
        is_alike = all(listed in (None, own) for listed, own in zip(_goods(order), _goods(self.lost), strict=True))
        return is_alike and (at_any_time or self.since <= (order.placed_at or self.since) <= self.until)

    def surely_finds(self, order: Order) -> bool:
        """Return whether an order of the same goods was placed when only the lost one was under way."""
        return self.is_known and order.placed_at is not None and self.since <= order.placed_at <= self.sure_until

    def undecided(self, others_fit: bool, listing: "_Listed") -> str | None:
        """Return why it is not known what became of a request that no order surely belongs to; None if it is."""
        if not self.is_known:
            return "the API's time of the request is not known"
        if others_fit:
            return "orders fit that may be another program's"
        if not listing.is_whole:
            return "the list does not show all orders that it has"
        if listing.read_at is None or listing.read_at <= self.until:
            return f"its order may still be placed or listed, until {self.until:%H:%M:%S} UTC by the API's clock"
        return None


def _goods(of: Order | errors.OrderOutcomeUnknownError) -> tuple[str | None, str | None, int | None]:
    return of.product_id, of.type_id, of.quantity


def _overlapping(searches: Collection[_Search], end: Callable[[_Search], datetime]) -> list[list[_Search]]:
    """Group searches whose periods, until that end of each, overlap."""
    groups: list[list[_Search]] = []
    for search in sorted(searches, key=attrgetter("since")):
        if groups and search.since <= max(map(end, groups[-1])):
            groups[-1].append(search)
        else:
            groups.append([search])
    return groups


def _matched(alike: list[_Search], orders: list[Order]) -> dict[_Search, Order]:
    """Return the order of each request, in the order of time; none where more orders fit than requests."""
    matched: dict[_Search, Order] = {}
    for cluster in _overlapping(alike, attrgetter("sure_until")):
        fitting = [order for order in orders if any(search.surely_finds(order) for search in cluster)]
        if len(fitting) > len(cluster):
            continue
        for order in sorted(fitting, key=attrgetter("placed_at")):
            for search in sorted(cluster, key=attrgetter("sure_until")):
                if search.surely_finds(order) and search not in matched:
                    matched[search] = order
                    break
    return matched


class _Listed(NamedTuple):
    """Hold the orders that the API lists for a period, each with an id once, and what is known of the list.

    `read_at` is the earliest that it was by the API's clock when reading began, `is_whole` whether it showed as many
    orders as it said that it has.
    """

    orders: Collection[Order]
    since: datetime
    until: datetime
    read_at: datetime | None
    is_whole: bool

    @classmethod
    def read(cls, client: Client, since: datetime, until: datetime, tries: int) -> "_Listed":
        times: list[datetime | None] = []

        def page(number: int) -> Page[Order]:
            read = partial(client.list_orders, number, LARGEST_PAGE, since=since, until=until)
            page = retry_read(read, client.clock, tries)
            times.append(client.api_time()[0])
            return page

        pages = Listing("GET /v3/gift-cards/list", page, attrgetter("order_id"), _MOST_PAGES)
        found = list(pages)
        orders = [order for order in found if order.order_id]
        is_whole = pages.is_whole and len(orders) == len(found)
        return cls(orders, since, until, next(filter(None, times), None), is_whole)

    def contradicts(self, order: Order) -> bool:
        """Return whether an order's time is near the period that it is listed for, as a local time would be."""
        placed = order.placed_at or self.since
        near = self.since - _LOCAL_TIMES <= placed <= self.until + _LOCAL_TIMES
        return near and not self.since <= placed <= self.until
