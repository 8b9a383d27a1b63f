"""Wait for many orders at once, in one thread, and place orders meanwhile, all under the key's rate limit.

Polls come first under the rate limit: of an order that is first polled long after it was placed, the time at which it
became final is hardly known. What is left is used to place orders, as soon as possible.
"""

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from math import ceil, inf
from queue import Empty, Queue

from giftlib.api import Client, OrderRequest, check_id, check_type, errors
from giftlib.clock import Timestamp
from giftlib.connection import current_client
from giftlib.journal import Journal

from .one_order import check_waiting
from .open_orders import OpenOrders
from .placing import MOST_FOR_POLLS, Placer
from .poller import OnPoll, Poller, identified
from .progress import progress_bar
from .recovery import recover_orders
from .rounds import Rounds, RoundTimes
from .schedules import Schedule

Item = tuple[str, str, int] | tuple[str, str, int, str | None] | OrderRequest

_TRIES_TO_FIND = 10
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
    Journal(3 orders, 3 final)
    """
    run = _Run(deque(), interval, timeout, schedule, client, journal, on_poll)
    if isinstance(order_ids, str) or not isinstance(order_ids, Iterable | Queue):
        raise ValueError(f"order_ids must be a list of ids, got {order_ids!r}; for one order pass [{order_ids!r}]")
    if not isinstance(order_ids, Iterator | Queue):
        run.add([check_id("order_ids", order_id) for order_id in order_ids])
        order_ids = iter(())
    return run.to_the_end(run.take_from(order_ids), 0, progress)


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
    Journal(3 orders, 3 final)
    """
    requests = deque(map(_checked_request, check_type("items", items, Iterable)))
    of_ref = {request.ref: request for request in requests}
    for request in requests:
        if request.ref is not None and of_ref[request.ref] != request:
            raise ValueError(f"items must have one request for each ref, got {request} and {of_ref[request.ref]}")
    run = _Run(requests, interval, timeout, schedule, client, journal, on_poll)
    return run.to_the_end(run.place_next, len(requests), progress)


def _checked_request(item: Item) -> OrderRequest:
    if isinstance(item, OrderRequest):
        return item
    if not isinstance(item, tuple | list) or len(item) not in (3, 4):
        raise ValueError(f"items must be (product_id, type_id, quantity) or (..., ref) each, got {item!r}")
    return OrderRequest(*item)


_Source = Callable[[], float]
"""Adds one more order if it can, and returns when to call it again: 0 immediately, infinity if it has none."""


class _Run:
    """Place, poll and wait, in turn, until no order is open and none is left to place."""

    def __init__(
        self,
        requests: deque[OrderRequest],
        interval: float | None,
        timeout: float,
        schedule: Schedule | None,
        client: Client | None,
        journal: Journal | None,
        on_poll: OnPoll | None,
    ) -> None:
        check_waiting(interval, timeout, schedule, on_poll, journal)
        self._timeout = timeout
        self._client = current_client(client)
        self._journal = Journal() if journal is None else journal
        self._client.limit_rate()
        self._orders = OpenOrders(self._client.clock)
        self._poller = Poller(self._client, self._journal, on_poll)
        self._rounds = Rounds(self._orders, self._poller)
        self._times = RoundTimes(self._client.clock, schedule, interval)
        self._placer = Placer(requests, self._client, self._journal)
        self._expired: list[str] = []
        for request in requests:
            if request.ref is not None:
                self._journal.check_ref(request, identified(self._client, self._timeout))

    def add(self, order_ids: list[str], placed: Timestamp | None = None) -> None:
        if order_ids:
            self._journal.watch(*order_ids, source=identified(self._client, self._timeout))
        for order_id in order_ids:
            self._orders.add(order_id, self._client.clock.monotonic() + self._timeout, placed)

    def take_from(self, order_ids: "Iterator[str] | Queue[str]") -> _Source:
        def take_one() -> float:
            try:
                order_id = order_ids.get_nowait() if isinstance(order_ids, Queue) else next(order_ids)
            except (Empty, StopIteration):
                return inf
            self.add([order_id])
            return 0.0

        return take_one

    def place_next(self) -> float:
        """Place one more order if the polls leave room for it: they get as many requests as in the last minute."""
        first_minute = self._client.clock.monotonic() < self._times.started + 60
        expected = self._rounds.requests * ceil(60 / max(self._times.pause_s, 1.0))
        ready_at = max(self._placer.ready_at(expected if first_minute else None), self._times.held_until)
        if ready_at > self._client.clock.monotonic():
            return ready_at
        placed = self._placer.place_next()
        if placed is not None and not placed.is_final:
            self.add([placed.order_id], placed.sent)
        return 0.0

    def to_the_end(self, source: _Source, expected: int, progress: bool | None) -> Journal:
        with progress_bar(progress, self._client.clock, total=expected, unit="order", description="orders") as bar:

            def show() -> None:
                failed = len(self._placer.rejected) + len(self._orders.unavailable) + len(self._expired)
                counts = {"final": len(self._orders.final), "open": len(self._orders.deadlines), "failed": failed}
                bar.total = max(expected, sum(counts.values()))
                bar.set_postfix(counts, refresh=False)
                bar.update(counts["final"] + failed - bar.n)

            try:
                try:
                    self._wait(source, show)
                    self._wait(self._searching(), show)
                    with suppress(errors.GiftlibError):
                        self._rounds.compare()
                finally:
                    for message in self._warnings():
                        warnings.warn(message, stacklevel=3)
                if self._placer.failure is not None:
                    raise self._placer.failure
            except BaseException as error:
                self._explain(error)
                raise
        return self._journal

    def _explain(self, error: BaseException) -> None:
        """Give whatever ends the run the journal and the line that goes on, and keep an earlier failure's words."""
        failure = self._placer.failure
        if failure is not None and failure is not error:
            error.add_note(str(failure))
        error.journal = self._journal  # type: ignore[attr-defined]
        error.add_note(
            f"track_orders(error.journal.unfinished(), journal=error.journal) goes on with the "
            f"{len(self._orders.deadlines)} open orders: {_some(list(self._orders.deadlines))}"
        )

    def _wait(self, source: _Source, show: Callable[[], None]) -> None:
        while True:
            if self._orders.deadlines and self._client.clock.monotonic() >= self._next_round_at() - 1e-9:
                self._poll()
            more_at = source()
            show()
            if not self._orders.deadlines and more_at == inf:
                return
            wake_at = min(self._next_round_at(), more_at) if self._orders.deadlines else more_at
            self._client.clock.sleep(max(wake_at - self._client.clock.monotonic(), 0.0))

    def _next_round_at(self) -> float:
        return self._times.next_at(self._orders, self._poller.response_s)

    def _poll(self) -> None:
        began = self._client.clock.monotonic()
        self._poller.deadline = max(self._orders.deadlines.values())
        limit = self._client.rate_limit.per_minute or 0
        self._rounds.poll((MOST_FOR_POLLS if self._placer.queue else 1.0) * limit * self._times.share_s(began) / 60)
        self._expired += self._orders.expire(min(self._poller.response_s, 1.0))
        self._times.record(began, self._orders, self._poller.retry_delay_s, self._rounds.unfinished)

    def _searching(self) -> _Source:
        """Search for the orders whose responses were lost; place again what has a ref and was not placed."""
        until, search_at = self._client.clock.monotonic() + self._timeout, 0.0

        def search() -> float:
            nonlocal search_at
            now = self._client.clock.monotonic()
            if self._placer.queue:
                return self.place_next()
            if not self._placer.lost or search_at == inf:
                return inf
            if now >= search_at:
                self._find_lost()
                undecided = any(request.ref is not None for request in self._placer.lost.values())
                search_at = now + _SEARCH_EVERY_S if undecided and now < until else inf
            return 0.0 if self._placer.queue else search_at

        return search

    def _find_lost(self) -> None:
        before = set(self._journal.unfinished(self._client.source))
        with suppress(errors.GiftlibError):
            recover_orders(self._journal, self._client, tries=_TRIES_TO_FIND)
        states = self._journal.intents().set_index("intent")["state"]
        for intent, request in list(self._placer.lost.items()):
            state = states.loc[intent]
            if state not in ("intended", "unknown"):
                del self._placer.lost[intent]
            if state == "not placed" and request.ref is not None:
                self._placer.queue.append(request)
            elif state == "not placed":
                self._placer.reject(request, "the response was lost, and no order was placed")
        self.add([name for name in self._journal.unfinished(self._client.source) if name not in before])

    def _warnings(self) -> Iterator[str]:
        """Yield what the caller must know at the end, one sentence for each type of problem."""
        if rejected := self._placer.rejected:
            yield f"{len(rejected)} orders were not placed: {_some(rejected)}"
        if self._placer.lost:
            yield (
                f"{len(self._placer.lost)} order requests were sent and their responses lost, and no order was found "
                f"for them: do not send them again; recover_orders(journal) searches again, journal.intents() shows "
                f"them"
            )
        if self._orders.unavailable:
            reasons = [f"{order_id}: {error}" for order_id, error in self._orders.unavailable.items()]
            yield f"{len(reasons)} orders cannot be polled: {_some(reasons)}"
        if self._expired:
            yield (
                f"{len(self._expired)} orders are still being processed after {self._timeout:g} s, not failed: "
                f"{_some(self._expired)}; track_orders(journal.unfinished(), journal=journal) continues"
            )


def _some(texts: list[str]) -> str:
    return ", ".join(texts[:5]) + (", …" if len(texts) > 5 else "")
