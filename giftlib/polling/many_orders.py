"""Wait for many orders at once, in one thread, and place orders meanwhile, all under the key's rate limit.

Polls come first under the rate limit: of an order that is first polled long after it was placed, the time at which it
became final is hardly known. What is left is used to place orders, as soon as possible.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from queue import Empty, Queue

import pandas as pd

from giftlib.api import Client, OrderRequest, check_id, check_type, errors
from giftlib.connection import current_client
from giftlib.journal import Journal

from .open_orders import OpenOrders
from .placing import MOST_FOR_POLLS, Placer, require_journal
from .poller import Poller, identified
from .progress import OnPoll, Progress, show_in_one_line, warn
from .rounds import Rounds
from .schedules import Schedule
from .waiting import Waiting

Item = tuple[str, str, int] | tuple[str, str, int, str | None] | OrderRequest
_SEARCH_EVERY_S = 10.0


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
    if isinstance(order_ids, Queue):
        order_ids = iter(order_ids.get_nowait, object())  # raises queue.Empty, and gives what is added later
    if isinstance(order_ids, str | Mapping | pd.DataFrame) or not isinstance(order_ids, Iterable):
        got = order_ids if isinstance(order_ids, str) else type(order_ids)
        raise ValueError(f'order_ids must be a list of ids, like [order_id] or frame["order_id"], got {got!r}')
    batches: Iterator[Sequence[str]] = (
        zip(order_ids) if isinstance(order_ids, Iterator)
        else filter(None, [[check_id("order_ids", order_id) for order_id in order_ids]])
    )  # fmt: skip
    run = Run(deque(), Waiting(interval, timeout, schedule, client, journal, on_poll, progress))
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
    them, in this process or another, and each is ordered once per journal (ValueError without one). One whose response
    was lost is searched for until it is known what became of it, for `timeout` seconds at most, and placed again if it
    was not placed.

    >>> from giftlib import Sandbox, process_orders
    >>> with Sandbox(seed=1) as sandbox:
    ...     process_orders([("507f1f77bcf86cd799439011", "TEST_PARTIAL", 4)] * 3, client=sandbox.client())
    Journal(3 orders, 3 final; emulator)
    """
    requests = deque(map(_checked_request, check_type("items", items, Iterable)))
    of_ref = {request.ref: request for request in requests}
    for request in requests:
        require_journal(request.ref, journal)
        if request.ref is not None and of_ref[request.ref] != request:
            raise ValueError(f"items must have one request for each ref, got {request} and {of_ref[request.ref]}")
    run = Run(requests, Waiting(interval, timeout, schedule, client, journal, on_poll, progress))
    return run.to_the_end(run.place_next)


class Run:
    """Place, poll and wait, in turn, until no order is open and none is left to place."""

    def __init__(self, requests: deque[OrderRequest], waiting: Waiting) -> None:
        self._waiting = waiting
        self._client = current_client(waiting.client)
        self._journal = waiting.journal or Journal()
        self._client.limit_rate()
        self._orders = OpenOrders(self._client, waiting.timeout)
        self._progress = Progress(waiting.progress, self._client, waiting.on_poll)
        self._poller = Poller(self._client, self._journal, self._progress)
        self._rounds = Rounds(self._orders, self._poller, waiting)
        self._placer = Placer(requests, self._poller, self._journal)
        self._search_at = self._search_until = 0.0
        for request in requests:
            if request.ref is not None:
                self._journal.check_ref(request, identified(self._client, waiting.timeout))

    def to_the_end(self, add_more: Callable[[], float]) -> Journal:
        """Wait until no order is open and `add_more`, which says when to call it again, answers with infinity."""
        with self._progress:
            try:
                try:
                    self._wait(add_more)
                    with suppress(errors.GiftlibError):
                        self._rounds.compare()
                finally:
                    for message in self._warnings():
                        warn(message)
                if self._placer.failure is not None:
                    raise self._placer.failure
            except BaseException as error:
                self._explain(error)
                raise
        return self._journal

    def add_next(self, batches: Iterator[Sequence[str]]) -> float:
        """Wait for the next orders too; the journal has them even if the API cannot be asked which source it is."""
        try:
            order_ids = next(batches)
        except (Empty, StopIteration):
            return inf
        try:
            source = identified(self._client, self._waiting.timeout)
        except BaseException:
            self._journal.watch(*order_ids)
            raise
        self._journal.watch(*order_ids, source=source)
        for order_id in order_ids:
            self._orders.add(order_id)
        return 0.0

    def place_next(self) -> float:
        """Place one more order if the polls leave room for it; when there is none, search for those that were lost."""
        if not self._placer.queue:
            return self._search()
        ready_at = self._placer.ready_at(self._rounds.requests_per_minute)
        if ready_at > self._client.clock.monotonic():
            return ready_at
        placed = self._placer.place_next()
        if placed is not None and not placed.is_final:
            self._orders.add(placed.order_id, placed.sent)
        return 0.0

    def _search(self) -> float:
        """Search for lost orders once none is open; for `timeout` seconds as long as one with a ref is undecided."""
        now = self._client.clock.monotonic()
        if not self._placer.lost or (self._orders.deadlines and not self._search_until):
            return inf
        if now >= self._search_at:
            self._search_until = self._search_until or now + self._waiting.timeout
            for order_id in self._placer.find_lost():
                self._orders.add(order_id)
            undecided = any(request.ref is not None for request in self._placer.lost.values())
            self._search_at = now + _SEARCH_EVERY_S if undecided and now < self._search_until else inf
        return 0.0 if self._placer.queue else self._search_at

    def _wait(self, add_more: Callable[[], float]) -> None:
        clock = self._client.clock
        while True:
            if clock.monotonic() >= self._rounds.next_at() - 1e-9:
                self._rounds.poll(MOST_FOR_POLLS if self._placer.queue else 1.0)
            more_at = add_more()
            next_at = self._rounds.next_at()
            self._progress.waiting(
                self._orders.deadlines, next_at, len(self._placer.queue) + len(self._placer.lost),
                rejected=len(self._placer.rejected), cannot_be_polled=len(self._orders.unavailable),
                timed_out=len(self._orders.expired),
            )  # fmt: skip
            if min(next_at, more_at) == inf:
                return
            clock.sleep(max(min(next_at, more_at) - clock.monotonic(), 0.0))

    def _warnings(self) -> Iterator[str]:
        """Yield what the caller must know at the end, one sentence for each type of problem."""
        if rejected := self._placer.rejected:
            yield f"{len(rejected)} orders were not placed: {_some(rejected)}"
        if lost := self._placer.lost:
            yield (
                f"{len(lost)} order requests were sent and their responses lost, and no order was found for them: do "
                f"not send them again; recover_orders(journal) searches again, journal.intents() shows them"
            )
        if unavailable := self._orders.unavailable:
            yield f"{len(unavailable)} orders cannot be polled: {_some(unavailable)}"
        if expired := self._orders.expired:
            yield (
                f"{len(expired)} orders are still being processed after {self._waiting.timeout:g} s, not failed: "
                f"{_some(expired)}; track_orders(journal.unfinished(), journal=journal) continues"
            )

    def _explain(self, error: BaseException) -> None:
        """Give whatever ends the run the journal and the line that goes on, and keep an earlier failure's words."""
        if self._placer.failure not in (None, error):
            error.add_note(str(self._placer.failure))
        error.journal = self._journal  # type: ignore[attr-defined]
        open_ids, not_placed = list(self._orders.deadlines), len(self._placer.queue)
        of_client = "" if self._waiting.client is None else ", client=client"
        call = f"track_orders({{0}}.unfinished(), journal={{0}}{of_client})"
        left = f"{len(open_ids)} orders are open" + f", {not_placed} not placed" * (not_placed > 0)
        journal = "import sys; journal = sys.last_value.journal"
        show_in_one_line(error, f"{left}. To go on: {journal}; {call.format('journal')}")
        goes_on = f"goes on with the {len(open_ids)} open orders: {_some(open_ids)}"
        error.add_note(f"{call.format('error.journal')} {goes_on}")


def _checked_request(item: Item) -> OrderRequest:
    if isinstance(item, OrderRequest):
        return item
    if not isinstance(item, tuple | list) or len(item) not in (3, 4):
        raise ValueError(f"items must be (product_id, type_id, quantity) or (..., ref) each, got {item!r}")
    return OrderRequest(*item)


def _some(texts: list[str]) -> str:
    return ", ".join(texts[:5]) + (", …" if len(texts) > 5 else "")
