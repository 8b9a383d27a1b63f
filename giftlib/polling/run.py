"""Place, poll and wait, in turn, in one thread."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import ceil, inf
from queue import Empty, Queue

from giftlib.api import Client, OrderRequest, errors
from giftlib.clock import Timestamp
from giftlib.connection import current_client
from giftlib.journal import Journal

from .lost import LostSearch
from .one_order import check_waiting
from .open_orders import OpenOrders
from .placing import MOST_FOR_POLLS, Placer
from .poller import Poller, identified
from .progress import OnPoll, Progress, show_in_one_line, warn
from .rounds import Rounds, RoundTimes
from .schedules import Schedule

NextOrder = Callable[[], float]
"""Adds one more order if it can, and returns when to call it again: 0 immediately, infinity if it has none."""


class Run:
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
        progress: bool | None,
    ) -> None:
        check_waiting(interval, timeout, schedule, on_poll, journal)
        self._timeout = timeout
        self._client = current_client(client)
        self._of_client = "" if client is None else ", client=client"
        self._journal = Journal() if journal is None else journal
        self._client.limit_rate()
        self._orders = OpenOrders(self._client)
        self._progress = Progress(progress, self._client, on_poll)
        self._poller = Poller(self._client, self._journal, self._progress)
        self._rounds = Rounds(self._orders, self._poller)
        self._times = RoundTimes(self._client.clock, schedule, interval)
        self._placer = Placer(requests, self._client, self._journal)
        for request in requests:
            if request.ref is not None:
                self._journal.check_ref(request, identified(self._client, self._timeout))

    def add(self, order_ids: list[str], placed: Timestamp | None = None) -> None:
        """Wait for these too; the journal has them whatever fails, as of an unknown source if that cannot be asked."""
        if order_ids:
            try:
                source = identified(self._client, self._timeout)
            except BaseException:
                self._journal.watch(*order_ids)
                raise
            self._journal.watch(*order_ids, source=source)
        for order_id in order_ids:
            self._orders.add(order_id, self._client.clock.monotonic() + self._timeout, placed)

    def take_all(self, order_ids: list[str]) -> NextOrder:
        def take() -> float:
            self.add(order_ids)
            order_ids.clear()
            return inf

        return take

    def take_from(self, order_ids: "Iterator[str] | Queue[str]") -> NextOrder:
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

    def to_the_end(self, source: NextOrder) -> Journal:
        with self._progress:
            try:
                try:
                    self._wait(source)
                    self._wait(LostSearch(self._placer, self.place_next, self.add, self._timeout).next)
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

    def _explain(self, error: BaseException) -> None:
        """Give whatever ends the run the journal and the line that goes on, and keep an earlier failure's words."""
        failure = self._placer.failure
        if failure is not None and failure is not error:
            error.add_note(str(failure))
        error.journal = self._journal  # type: ignore[attr-defined]
        _say_how_to_go_on(error, list(self._orders.deadlines), len(self._placer.queue), self._of_client)

    def _wait(self, source: NextOrder) -> None:
        while True:
            if self._orders.deadlines and self._client.clock.monotonic() >= self._next_round_at() - 1e-9:
                self._poll()
            more_at = source()
            self._show()
            if not self._orders.deadlines and more_at == inf:
                return
            wake_at = min(self._next_round_at(), more_at) if self._orders.deadlines else more_at
            self._client.clock.sleep(max(wake_at - self._client.clock.monotonic(), 0.0))

    def _show(self) -> None:
        self._progress.waiting(
            self._orders.deadlines, self._next_round_at() if self._orders.deadlines else 0.0,
            len(self._placer.queue) + len(self._placer.lost), rejected=len(self._placer.rejected),
            cannot_be_polled=len(self._orders.unavailable), timed_out=len(self._orders.expired),
        )  # fmt: skip

    def _next_round_at(self) -> float:
        return self._times.next_at(self._orders, self._poller.response_s)

    def _poll(self) -> None:
        began = self._client.clock.monotonic()
        self._poller.deadline = max(self._orders.deadlines.values())
        limit = self._client.rate_limit.per_minute or 0
        self._rounds.poll((MOST_FOR_POLLS if self._placer.queue else 1.0) * limit * self._times.share_s(began) / 60)
        self._orders.expire(min(self._poller.response_s, 1.0))
        self._times.record(began, self._orders, self._poller.retry_delay_s, self._rounds.unfinished)

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
        if expired := self._orders.expired:
            yield (
                f"{len(expired)} orders are still being processed after {self._timeout:g} s, not failed: "
                f"{_some(expired)}; track_orders(journal.unfinished(), journal=journal) continues"
            )


def _say_how_to_go_on(error: BaseException, open_ids: list[str], not_placed: int, of_client: str) -> None:
    call = f"track_orders({{0}}.unfinished(), journal={{0}}{of_client})"
    left = f"{len(open_ids)} orders are open" + f", {not_placed} not placed" * (not_placed > 0)
    journal = "import sys; journal = sys.last_value.journal"
    show_in_one_line(error, f"{left}. To go on: {journal}; {call.format('journal')}")
    goes_on = f"goes on with the {len(open_ids)} open orders: {_some(open_ids)}"
    error.add_note(f"{call.format('error.journal')} {goes_on}")


def _some(texts: list[str]) -> str:
    return ", ".join(texts[:5]) + (", …" if len(texts) > 5 else "")
