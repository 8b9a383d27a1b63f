"""Waiting for many orders at once, in one thread, and buying meanwhile, all under the key's ceiling.

What the looks need of the ceiling is kept free for them, because an order that is first looked at long after it was
placed has a bracket that says nothing; the rest is for buying, as soon as possible.
"""

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from math import ceil, inf
from queue import Empty, Queue

from giftlib.api.client import Client
from giftlib.api.errors import (
    AuthenticationError,
    GiftlibError,
    InvalidRequestError,
    NoAnswerError,
    OrderOutcomeUnknownError,
    OutOfStockError,
    PermissionDeniedError,
    RateLimitError,
    asked_pause,
)
from giftlib.api.validation import check_callable, check_count, check_id, check_kind, check_seconds
from giftlib.clock import Moment, read
from giftlib.connection import current_client
from giftlib.journal.store import Journal
from giftlib.polling.one_order import OnPoll
from giftlib.polling.open_orders import OpenOrders
from giftlib.polling.placing import place_order
from giftlib.polling.progress import progress_bar
from giftlib.polling.schedules import PollTime, Schedule

_ROUND_S = 5.0
_LATE_ROUND_S = 10.0
_LATE_S = 40.0
"""The guide looks "every 5-10 seconds"; by this age nearly all orders are final ("most within 30 seconds")."""
_FOR_LOOKS = 0.75
"""The most of the ceiling that looks may take while there is something to buy."""
_TRIES_TO_FIND = 10


def track_orders(
    order_ids: "Iterable[str] | Queue[str]",
    *,
    timeout: float = 300.0,
    schedule: Schedule | None = None,
    client: Client | None = None,
    journal: Journal | None = None,
    on_poll: OnPoll | None = None,
    progress: bool | None = None,
) -> Journal:
    """Look at all the orders until each is final, and give the journal of it (a new one if None is passed).

    Orders may be added meanwhile: an iterator is asked for the next id, and a `queue.Queue` for all it holds,
    between the looks. It ends when no order is open and no further id is there.

    A round of looks begins 5 s after the one before, 10 s once all open orders are older than 40 s, and the first
    when an order is 5 s old; or each when `schedule` says. An order that is not final `timeout` seconds after it was
    taken up is given up, one that does not exist is left at once; both are warned of at the end, and
    `track_orders(journal.unfinished(), journal=journal)` goes on. Failed looks, `on_poll` and `progress` are as with
    `poll_order_until_complete`.

    What a list shows is taken for true until it is seen to lag behind the orders themselves; from then on the looks
    are single ones, as many as fit, and `journal.orders()` trusts no list.
    """
    tracker = _Tracker(timeout, schedule, client, journal, on_poll)
    if isinstance(order_ids, str) or not isinstance(order_ids, Iterable | Queue):
        raise ValueError(f"order_ids must be several ids, got {order_ids!r}")
    if not isinstance(order_ids, Iterator | Queue):
        tracker.watch([check_id("order_ids", order_id) for order_id in order_ids])
        order_ids = iter(())
    return tracker.run(tracker.take_from(order_ids), 0, progress)


def process_orders(
    items: Iterable[tuple[str, str, int]],
    *,
    timeout: float = 300.0,
    schedule: Schedule | None = None,
    client: Client | None = None,
    journal: Journal | None = None,
    on_poll: OnPoll | None = None,
    progress: bool | None = None,
) -> Journal:
    """Place an order for each `(product_id, type_id, quantity)` and wait for all, placing and looking in turn.

    Each purchase is sent once. Those that are refused for themselves (invalid, out of stock, too many requests, no
    connection) are warned of at the end. Those whose answer was lost are looked for with `journal.reconcile`; what is
    found is waited for like the others, and what is not is warned of. After a failure that the next purchase would
    meet as well (no balance) nothing more is placed, the orders placed are waited for, and the failure is raised; a
    refused key (401, 403) is raised at once. Otherwise as `track_orders`; `timeout` counts for each order from its
    placement.
    """
    checked = deque(map(_checked_item, check_kind("items", items, Iterable)))
    tracker = _Tracker(timeout, schedule, client, journal, on_poll)
    return tracker.run(tracker.buy(checked), len(checked), progress)


def _checked_item(item: tuple[str, str, int]) -> tuple[str, str, int]:
    try:
        product_id, type_id, quantity = item
    except (TypeError, ValueError):
        raise ValueError(f"items must be (product_id, type_id, quantity) each, got {item!r}") from None
    return check_id("product_id", product_id), check_id("type_id", type_id), check_count("quantity", quantity)


_Source = Callable[[], float]
"""Takes up one more order if it can, and tells when it wants to be called again: 0 at once, infinity if it has none."""


class _Tracker:
    def __init__(
        self,
        timeout: float,
        schedule: Schedule | None,
        client: Client | None,
        journal: Journal | None,
        on_poll: OnPoll | None,
    ) -> None:
        self._timeout = check_seconds("timeout", timeout)
        check_callable("schedule", schedule)
        check_callable("on_poll", on_poll)
        self._schedule = schedule
        self._client = current_client(client)
        self._clock = self._client.clock
        self._journal = Journal() if journal is None else check_kind("journal", journal, Journal)
        self._ceiling = self._client.pace()
        self._orders = OpenOrders(self._client, self._journal, on_poll)
        self._started = self._clock.monotonic()
        self._rounds: list[PollTime] = []
        self._pause = _ROUND_S
        self._next_round = self._started + (0.0 if schedule is None else schedule(0.0, []))
        self._quiet_until = 0.0
        self._to_buy: deque[tuple[str, str, int]] = deque()
        self._bought_at: deque[float] = deque(maxlen=120)
        self._lost = 0
        self._looked: deque[tuple[float, int]] = deque(maxlen=120)
        self._refused: list[str] = []
        self._late: list[str] = []
        self._failure: GiftlibError | None = None

    def watch(self, order_ids: list[str], placed: Moment | None = None) -> None:
        self._journal.watch(*order_ids)
        for order_id in order_ids:
            self._orders.add(order_id, self._clock.monotonic() + self._timeout, placed)

    def take_from(self, order_ids: "Iterator[str] | Queue[str]") -> _Source:
        def take_one() -> float:
            try:
                order_id = order_ids.get_nowait() if isinstance(order_ids, Queue) else next(order_ids)
            except (Empty, StopIteration):
                return inf
            self.watch([check_id("order_ids", order_id)])
            return 0.0

        return take_one

    def buy(self, items: "deque[tuple[str, str, int]]") -> _Source:
        self._to_buy = items

        def buy_one() -> float:
            if not items:
                return inf
            place_free_at = max(self._place_free_at(), self._quiet_until)
            if place_free_at > self._clock.monotonic():
                return place_free_at
            self._place(*items.popleft())
            if isinstance(self._failure, AuthenticationError | PermissionDeniedError):
                raise self._failure
            if self._failure is not None:
                items.clear()
            return 0.0

        return buy_one

    def run(self, take_up: _Source, expected: int, progress: bool | None) -> Journal:
        with progress_bar(progress, self._clock, total=expected, unit="order", description="orders") as bar:

            def show() -> None:
                counts = {
                    "final": len(self._orders.final),
                    "open": len(self._orders.deadlines),
                    "failed": len(self._refused) + len(self._orders.left) + len(self._late),
                }
                bar.total = max(expected, sum(counts.values()))
                bar.set_postfix(counts, refresh=False)
                bar.update(counts["final"] + counts["failed"] - bar.n)

            try:
                self._watch(take_up, show)
                if self._lost:
                    self._find_lost()
                    self._watch(lambda: inf, show)
                with suppress(GiftlibError):
                    self._orders.compare()
            finally:
                for message in self._warnings():
                    warnings.warn(message, stacklevel=3)
        if self._failure is not None:
            raise self._failure
        return self._journal

    def _watch(self, take_up: _Source, show: Callable[[], None]) -> None:
        """Look at what is open and take up what there is to take up, in turn, until there is neither."""
        while True:
            if self._orders.deadlines and self._clock.monotonic() >= self._round_at() - 1e-9:
                self._look()
            more_at = take_up()
            show()
            if self._orders.deadlines:
                self._sleep_until(min(self._round_at(), more_at))
            elif more_at == inf:
                return
            else:
                self._sleep_until(more_at)

    def _round_at(self) -> float:
        """When the next round begins: in its turn, or in time for the first order whose time is up."""
        ages = [self._orders.age(order_id) for order_id in self._orders.deadlines]
        planned = self._next_round
        if self._schedule is None:
            planned = max(planned, self._clock.monotonic() + _ROUND_S - max(ages))
        last_chance = min(self._orders.deadlines.values()) - self._orders.slowest
        # Orders placed one after another run out one after another: they need not have a round each.
        second_later = self._rounds[-1].sent + self._started + 1 if self._rounds else 0.0
        return min(planned, max(last_chance, second_later))

    def _look(self) -> None:
        sent = self._clock.monotonic() - self._started
        share = _FOR_LOOKS if self._to_buy else 1.0
        self._orders.look(most=share * self._ceiling * self._pause / 60)
        self._looked.append((self._clock.monotonic(), self._orders.requests))
        elapsed = self._clock.monotonic() - self._started
        self._rounds.append(PollTime(sent, elapsed))
        self._late += self._orders.give_up()
        if self._schedule is not None:
            self._pause = max(self._schedule(elapsed, self._rounds), 0.0)
            planned = elapsed + self._pause
        else:
            youngest = min(map(self._orders.age, self._orders.deadlines), default=0.0)
            self._pause = _LATE_ROUND_S if _LATE_S < youngest < inf else _ROUND_S
            planned = sent + self._pause
        self._next_round = self._started + max(planned, elapsed + self._orders.asked_to_wait)

    def _place_free_at(self) -> float:
        """When a purchase leaves the looks of the next minute, as many as of the last, their places."""
        minute_ago = self._clock.monotonic() - 60
        if self._started > minute_ago:
            looks = self._orders.requests * ceil(60 / max(self._pause, 1.0))
        else:
            looks = sum(requests for moment, requests in self._looked if moment > minute_ago)
        most = self._ceiling - min(looks + 1, int(_FOR_LOOKS * self._ceiling))
        return self._bought_at[-most] + 60 if len(self._bought_at) >= most else 0.0

    def _place(self, product_id: str, type_id: str, quantity: int) -> None:
        sent = read(self._clock)
        try:
            order_id = place_order(product_id, type_id, quantity, client=self._client, journal=self._journal)
        except OrderOutcomeUnknownError:
            self._lost += 1
        except (InvalidRequestError, OutOfStockError, RateLimitError, NoAnswerError) as error:
            self._refused.append(f"{quantity} x {type_id}: {error}")
            self._quiet_until = self._clock.monotonic() + asked_pause(error)
        except GiftlibError as error:
            self._failure = error
        else:
            self.watch([order_id], sent)
        self._bought_at.append(self._clock.monotonic())

    def _find_lost(self) -> None:
        known = set(self._journal.unfinished())
        with suppress(GiftlibError):
            self._journal.reconcile(self._client, tries=_TRIES_TO_FIND)
        self._lost = int((self._journal.intents()["state"] == "unknown").sum())
        self.watch([order_id for order_id in self._journal.unfinished() if order_id not in known])

    def _warnings(self) -> Iterator[str]:
        """What the caller must know at the end, one sentence a kind."""
        if self._refused:
            yield f"{len(self._refused)} orders were not placed, nothing was bought: {_some(self._refused)}"
        if self._lost:
            yield (
                f"{self._lost} purchases were sent and their answers lost, and no order was found for them: do not "
                f"send them again; journal.reconcile(client) looks once more, journal.intents() shows them"
            )
        if self._orders.left:
            left = [f"{order_id}: {error}" for order_id, error in self._orders.left.items()]
            yield f"{len(left)} orders cannot be looked at: {_some(left)}"
        if self._late:
            yield (
                f"{len(self._late)} orders are still being processed after {self._timeout:g} s, not failed: "
                f"{_some(self._late)}; track_orders(journal.unfinished(), journal=journal) goes on"
            )

    def _sleep_until(self, moment: float) -> None:
        self._clock.sleep(max(moment - self._clock.monotonic(), 0.0))


def _some(texts: list[str]) -> str:
    return ", ".join(texts[:5]) + (", …" if len(texts) > 5 else "")
