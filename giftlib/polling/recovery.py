"""Search for orders whose response was lost."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pandas as pd

from giftlib.api import (
    LARGEST_PAGE,
    Client,
    NoAnswerError,
    Order,
    OrderOutcomeUnknownError,
    check_count,
    check_type,
    retry_read,
)
from giftlib.connection import current_client
from giftlib.journal import Journal, LostOrder

from .open_orders import CLOCK_SKEW

_LONGEST_REQUEST = timedelta(minutes=1)
"""How long after an order request was sent, or given up, the API may still have placed the order."""
_MOST_PAGES = 1000


def find_order(
    lost: OrderOutcomeUnknownError, *, client: Client | None = None, known: Collection[str] = (), tries: int = 1
) -> list[Order]:
    """Return the orders that may be the lost one: same product, type and quantity, placed at about that time.

    `known` are ids that belong to other requests. None found: the order was not placed, or is not listed yet. More than
    one: the API cannot say which is yours. Two minutes are allowed for clocks that differ. Each page of the list is
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
    check_type("lost", lost, OrderOutcomeUnknownError)
    since, until = lost.sent_at - CLOCK_SKEW, lost.gave_up_at + CLOCK_SKEW
    wanted = (lost.product_id, lost.type_id, lost.quantity)
    return [
        order
        for order in _all_orders(current_client(client), since, until, check_count("tries", tries))
        if order.order_id is not None
        and order.order_id not in known
        and (order.product_id, order.type_id, order.quantity) == wanted
        and since <= (order.placed_at or since) <= until
    ]


def recover_orders(journal: Journal, client: Client | None = None, *, tries: int = 1) -> pd.DataFrame:
    """Search for the orders whose response was lost, and record each order that must be one of them.

    Those are the intents of state "unknown", and the "intended" ones: a process that was killed leaves such a one.
    Like requests (product, type, quantity) whose times cannot be told apart are searched for together. Where as many
    orders fit as there are such requests, or fewer, the orders are theirs, in the order of time; where more fit, the
    API cannot say which, and none is recorded. No order is recorded that another intent has.

    Return the rows of `journal.intents()` that were searched for, as they are now, with `candidates`, the ids of the
    orders that fit (a list). `tries` and the errors are those of `find_order`.

    >>> from giftlib import Journal, Sandbox, process_orders, recover_orders
    >>> with Sandbox(seed=1) as sandbox, Journal() as journal:
    ...     len(recover_orders(journal, sandbox.client()))
    0
    """
    check_type("journal", journal, Journal)
    client = current_client(client)
    candidates: dict[int, list[str | None]] = {}
    for group in _alike(journal.lost_orders()):
        first = group[0]
        error = OrderOutcomeUnknownError(
            first.product_id, first.type_id, first.quantity, first.sent_at, max(map(_placed_by, group))
        )
        found = find_order(error, client=client, known=journal.placed_ids(), tries=tries)
        candidates |= {lost.intent: [order.order_id for order in found] for lost in group}
        if len(found) <= len(group):
            for lost, order in zip(group, sorted(found, key=_placed_at), strict=False):
                journal.claim(lost.intent, order)
    intents = journal.intents()
    intents = intents[intents["intent"].isin(list(candidates))].reset_index(drop=True)
    return intents.assign(candidates=intents["intent"].map(candidates))


def _all_orders(client: Client, since: datetime, until: datetime, tries: int) -> Iterator[Order]:
    """Yield each order once: the pages of a list that grows overlap, and a page without new orders is the last."""
    number, pages, seen = 1, 1, set[str | None]()
    while number <= pages:
        if number > _MOST_PAGES:
            raise NoAnswerError(f"GET /v3/gift-cards/list: no end of the list after {_MOST_PAGES} pages", status=200)
        page = retry_read(
            partial(client.list_orders, number, LARGEST_PAGE, since=since, until=until), client.clock, tries
        )
        fresh = [order for order in page if order.order_id not in seen]
        yield from fresh
        seen.update(order.order_id for order in fresh)
        number, pages = number + 1, page.total_pages if fresh else 0


def _alike(lost: list[LostOrder]) -> list[list[LostOrder]]:
    """Group requests, sorted by what was ordered and when, that are alike and may have been placed at the same time."""
    groups: list[list[LostOrder]] = []
    for request in lost:
        same = bool(groups) and groups[-1][0][1:4] == request[1:4]
        if same and request.sent_at - CLOCK_SKEW <= max(map(_placed_by, groups[-1])) + CLOCK_SKEW:
            groups[-1].append(request)
        else:
            groups.append([request])
    return groups


def _placed_by(lost: LostOrder) -> datetime:
    """Return when its order was placed at the latest, by the clock here."""
    return (lost.received_at or lost.sent_at) + _LONGEST_REQUEST


def _placed_at(order: Order) -> datetime:
    return order.placed_at or datetime.max.replace(tzinfo=UTC)
