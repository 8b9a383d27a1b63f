"""Place, poll and wait, in turn, in one thread."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from math import inf
from queue import Empty

from giftlib.api import OrderRequest, errors
from giftlib.clock import Timestamp
from giftlib.connection import current_client
from giftlib.journal import Journal

from .open_orders import OpenOrders
from .placing import MOST_FOR_POLLS, Placer
from .poller import Poller, identified
from .progress import Progress, show_in_one_line, warn
from .rounds import Rounds
from .waiting import Waiting

_SEARCH_EVERY_S = 10.0


class Run:
    """Place, poll and wait, in turn, until no order is open and none is left to place."""

    def __init__(self, requests: deque[OrderRequest], waiting: Waiting) -> None:
        self._waiting = waiting
        self._client = current_client(waiting.client)
        self._journal = waiting.journal or Journal()
        self._client.limit_rate()
        self._orders = OpenOrders(self._client)
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
        """Wait for the next orders too."""
        try:
            self._add(next(batches))
        except (Empty, StopIteration):
            return inf
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
            self._add([placed.order_id], placed.sent)
        return 0.0

    def _search(self) -> float:
        """Search for lost orders once none is open, and again while it is not known what became of one with a ref.

        This goes on for as long as an order is waited for.
        """
        now = self._client.clock.monotonic()
        if not self._placer.lost or (self._orders.deadlines and not self._search_until):
            return inf
        if now >= self._search_at:
            self._search_until = self._search_until or now + self._waiting.timeout
            self._add(self._placer.find_lost())
            undecided = any(request.ref is not None for request in self._placer.lost.values())
            self._search_at = now + _SEARCH_EVERY_S if undecided and now < self._search_until else inf
        return 0.0 if self._placer.queue else self._search_at

    def _add(self, order_ids: Sequence[str], placed: Timestamp | None = None) -> None:
        """Wait for these too; the journal has them whatever fails, as of an unknown source if that cannot be asked."""
        if order_ids:
            try:
                source = identified(self._client, self._waiting.timeout)
            except BaseException:
                self._journal.watch(*order_ids)
                raise
            self._journal.watch(*order_ids, source=source)
        for order_id in order_ids:
            self._orders.add(order_id, self._client.clock.monotonic() + self._waiting.timeout, placed)

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
        if unavailable := [f"{order_id}: {error}" for order_id, error in self._orders.unavailable.items()]:
            yield f"{len(unavailable)} orders cannot be polled: {_some(unavailable)}"
        if expired := self._orders.expired:
            yield (
                f"{len(expired)} orders are still being processed after {self._waiting.timeout:g} s, not failed: "
                f"{_some(expired)}; track_orders(journal.unfinished(), journal=journal) continues"
            )

    def _explain(self, error: BaseException) -> None:
        """Give whatever ends the run the journal and the line that goes on, and keep an earlier failure's words."""
        failure, open_ids, not_placed = self._placer.failure, list(self._orders.deadlines), len(self._placer.queue)
        if failure is not None and failure is not error:
            error.add_note(str(failure))
        error.journal = self._journal  # type: ignore[attr-defined]
        of_client = "" if self._waiting.client is None else ", client=client"
        call = f"track_orders({{0}}.unfinished(), journal={{0}}{of_client})"
        left = f"{len(open_ids)} orders are open" + f", {not_placed} not placed" * (not_placed > 0)
        journal = "import sys; journal = sys.last_value.journal"
        show_in_one_line(error, f"{left}. To go on: {journal}; {call.format('journal')}")
        goes_on = f"goes on with the {len(open_ids)} open orders: {_some(open_ids)}"
        error.add_note(f"{call.format('error.journal')} {goes_on}")


def _some(texts: list[str]) -> str:
    return ", ".join(texts[:5]) + (", …" if len(texts) > 5 else "")
