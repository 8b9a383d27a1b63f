"""Wait for many orders at once, in one thread, and place orders meanwhile, all under the key's rate limit.

Polls come first under the rate limit: of an order that is first polled long after it was placed, the time at which it
became final is hardly known. What is left is used to place orders, as soon as possible.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from queue import Queue

from giftlib.api import Client, OrderRequest, check_id, check_type
from giftlib.journal import Journal

from .progress import OnPoll
from .run import Run
from .schedules import Schedule
from .waiting import Waiting

Item = tuple[str, str, int] | tuple[str, str, int, str | None] | OrderRequest


def track_orders(
    order_ids: "Iterable[str] | Queue[str]",
    *,
    interval: float | None = None,
    timeout: float = 300.0,
    schedule: Schedule | None = None,
    client: Client | None = None,
    journal: Journal | None = None,
    on_poll: OnPoll | None = None,
    progress: bool | None = None,
) -> Journal:
    """Poll all the orders until each is final, and return their journal (a new one if None is passed).

    Orders may be added meanwhile: an iterator is asked for the next id, and a `queue.Queue` for everything in it,
    between the polls. It ends when no order is open and no further id is there.

    A round of polls begins 5 s after the one before, 10 s once all open orders are older than 40 s, and the first one
    when an order is 5 s old; or every `interval` seconds, or as `schedule` says. Where the rate limit is too low for a
    whole round, pages of the list and single orders take turns. An order that is not final `timeout` seconds after it
    was added is given up, one that does not exist is dropped at once; both are warned of at the end, and
    `track_orders(journal.unfinished(), journal=journal)` continues. Failed polls, `on_poll` and `progress` are as with
    `poll_order_until_complete`.

    A list is trusted until it is seen to lag behind the orders themselves; from then on orders are polled singly, as
    many as the rate limit allows, and `journal.orders()` trusts no list.

    >>> from giftlib import Sandbox, track_orders
    >>> with Sandbox(seed=1) as sandbox:
    ...     track_orders(sandbox.add_orders(3), client=sandbox.client())
    Journal(3 orders, 3 final; emulator)
    """
    run = Run(deque(), Waiting(interval, timeout, schedule, client, journal, on_poll, progress))
    if isinstance(order_ids, str) or not isinstance(order_ids, Iterable | Queue):
        raise ValueError(f"order_ids must be a list of ids, got {order_ids!r}; for one order pass [{order_ids!r}]")
    if isinstance(order_ids, Queue):
        order_ids = iter(order_ids.get_nowait, None)  # raises queue.Empty, and gives what is added later
    batches: Iterator[Sequence[str]]
    if isinstance(order_ids, Iterator):
        batches = zip(order_ids)  # one by one
    else:
        batches = iter([[check_id("order_ids", order_id) for order_id in order_ids]])
    return run.to_the_end(partial(run.add_next, batches))


def process_orders(
    items: Iterable[Item],
    *,
    interval: float | None = None,
    timeout: float = 300.0,
    schedule: Schedule | None = None,
    client: Client | None = None,
    journal: Journal | None = None,
    on_poll: OnPoll | None = None,
    progress: bool | None = None,
) -> Journal:
    """Place an order for each `(product_id, type_id, quantity)` and wait for all, placing and polling in turn.

    Each request is sent once. Those that are rejected for themselves (invalid, out of stock, too many requests, no
    connection) are warned of at the end. Those whose response was lost are searched for with `recover_orders`; what is
    found is waited for like the others, and what is not is warned of. After a failure that the next request would
    meet as well (no balance) nothing more is placed, the orders placed are waited for, and the failure is raised; a
    rejected key (401, 403) is raised at once. Otherwise as `track_orders`; `timeout` counts for each order from its
    placement.

    A fourth member of an item is its `ref`, as with `place_order`: the same items may be passed again to go on with
    them, in this process or another, and each is ordered once per journal. One whose response was lost is searched for
    until it is known what became of it, for `timeout` seconds at most, and placed again if it was not placed.

    >>> from giftlib import Sandbox, process_orders
    >>> with Sandbox(seed=1) as sandbox:
    ...     process_orders([("507f1f77bcf86cd799439011", "TEST_PARTIAL", 4)] * 3, client=sandbox.client())
    Journal(3 orders, 3 final; emulator)
    """
    requests = deque(map(_checked_request, check_type("items", items, Iterable)))
    of_ref = {request.ref: request for request in requests}
    for request in requests:
        if request.ref is not None and of_ref[request.ref] != request:
            raise ValueError(f"items must have one request for each ref, got {request} and {of_ref[request.ref]}")
    run = Run(requests, Waiting(interval, timeout, schedule, client, journal, on_poll, progress))
    return run.to_the_end(run.place_next)


def _checked_request(item: Item) -> OrderRequest:
    if isinstance(item, OrderRequest):
        return item
    if not isinstance(item, tuple | list) or len(item) not in (3, 4):
        raise ValueError(f"items must be (product_id, type_id, quantity) or (..., ref) each, got {item!r}")
    return OrderRequest(*item)
