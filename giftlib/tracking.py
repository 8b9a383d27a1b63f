"""Waiting for many orders at once, in one thread: one list request looks at up to 100 of them.

Placing and looking take turns under the key's ceiling, because an order that is first looked at long after it was
placed has a bracket that says nothing.
"""

import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime

from tqdm import tqdm

from giftlib.arguments import check_count, check_id, check_seconds
from giftlib.client import CLOCK_SKEW, LARGEST_PAGE, Client
from giftlib.clock import Moment, read
from giftlib.connection import current_client
from giftlib.errors import (
    ApiError,
    GiftlibError,
    InvalidRequestError,
    NoAnswerError,
    NotFoundError,
    OrderOutcomeUnknownError,
    OutOfStockError,
    RateLimitError,
    asked_pause,
    may_pass,
)
from giftlib.journal import Journal
from giftlib.orders import Order
from giftlib.polling import Looker, OnPoll, failed_poll, seen_poll
from giftlib.progress import progress_bar
from giftlib.purchase import place_order
from giftlib.schedules import Look, Schedule, every

_LOWEST_CEILING = 60
_TRIES_TO_FIND = 10


def track_orders(
    order_ids: Iterable[str],
    *,
    timeout: float = 300.0,
    schedule: Schedule | None = None,
    client: Client | None = None,
    journal: Journal | None = None,
    on_poll: OnPoll | None = None,
    progress: bool | None = None,
) -> Journal:
    """Look at all the orders until each is final, and give the journal of it (a new one if None is passed).

    `schedule` says when the next round of looks begins, `every(5)` if None. An order that is not final `timeout`
    seconds after the start is given up, one that does not exist is left at once; both are warned of at the end,
    and `track_orders(journal.unfinished(), journal=journal)` goes on. Failed looks, `on_poll` and `progress` are as
    with `poll_order_until_complete`.
    """
    ids = [check_id("order_ids", order_id) for order_id in order_ids]
    return _Tracker(timeout, schedule, client, journal, on_poll).run(ids, [], progress)


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
    meet as well (a bad key, no balance) nothing more is placed, the orders placed are waited for, and the failure is
    raised. Otherwise as `track_orders`; `timeout` counts for each order from its placement.
    """
    checked = [
        (check_id("product_id", product_id), check_id("type_id", type_id), check_count("quantity", quantity))
        for product_id, type_id, quantity in items
    ]
    return _Tracker(timeout, schedule, client, journal, on_poll).run([], checked, progress)


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
        self._schedule = every(5) if schedule is None else schedule
        self._client = client or current_client()
        self._clock = self._client.clock
        self._journal = Journal() if journal is None else journal
        self._looker = Looker(self._client, self._journal, on_poll)
        self._open: dict[str, float] = {}
        self._attempts: dict[str, int] = {}
        self._placed_at: dict[str, datetime | None] = {}
        self._last_request = -60.0
        self._asked_to_wait = 0.0
        self._slowest = 0.0
        self._lost = 0
        self._refused: list[str] = []
        self._left: list[str] = []
        self._late: list[str] = []
        self._failure: GiftlibError | None = None

    def run(self, ids: list[str], items: list[tuple[str, str, int]], progress: bool | None) -> Journal:
        for order_id in ids:
            self._journal.watch(order_id)
            self._add(order_id, _time_in_id(order_id))
        total = len(self._open) + len(items)
        with progress_bar(progress, self._clock, total=total, unit="order", description="orders") as bar:
            self._watch(deque(items), bar)
            if self._lost:
                self._find_lost()
                self._watch(deque(), bar)
        for message in self._warnings():
            warnings.warn(message, stacklevel=3)
        if self._failure is not None:
            raise self._failure
        return self._journal

    def _watch(self, to_place: "deque[tuple[str, str, int]]", bar: "tqdm[None]") -> None:
        """Place what there is to place and look at what is open, in turn, until there is neither."""
        started = self._clock.monotonic()
        rounds: list[Look] = []
        next_round = started + self._schedule(0.0, rounds)
        while self._open or to_place:
            round_at = min([next_round, *(deadline - self._slowest for deadline in self._open.values())])
            if self._open and self._clock.monotonic() >= round_at - 1e-9:
                sent = self._clock.monotonic() - started
                self._look_at_all()
                elapsed = self._clock.monotonic() - started
                rounds.append(Look(sent, elapsed))
                next_round = started + elapsed + max(self._schedule(elapsed, rounds), self._asked_to_wait)
                self._give_up_late_ones()
            elif to_place:
                self._place(*to_place.popleft())
                if self._failure is not None:
                    to_place.clear()
            else:
                self._sleep_until(round_at)
            bar.update(max(bar.total - len(self._open) - len(to_place) - bar.n, 0))

    def _add(self, order_id: str, placed_at: datetime | None) -> None:
        self._open[order_id] = self._clock.monotonic() + self._timeout
        self._placed_at[order_id] = placed_at

    def _place(self, product_id: str, type_id: str, quantity: int) -> None:
        self._take_turn()
        placed_at = self._clock.now_utc()
        try:
            order_id = place_order(product_id, type_id, quantity, client=self._client, journal=self._journal)
        except OrderOutcomeUnknownError:
            self._lost += 1
        except (InvalidRequestError, OutOfStockError, RateLimitError, NoAnswerError) as error:
            self._refused.append(f"{quantity} x {type_id}: {error}")
            self._after_failure(error)
            self._sleep_until(self._clock.monotonic() + self._asked_to_wait)
        except GiftlibError as error:
            self._failure = error
        else:
            self._add(order_id, placed_at)

    def _find_lost(self) -> None:
        known = set(self._journal.unfinished())
        with suppress(GiftlibError):
            self._journal.reconcile(self._client, tries=_TRIES_TO_FIND)
        self._lost = int((self._journal.intents()["state"] == "unknown").sum())
        for order_id in self._journal.unfinished():
            if order_id not in known:
                self._add(order_id, _time_in_id(order_id))

    def _look_at_all(self) -> None:
        """One look at each open order: by list where that shows them, singly otherwise."""
        self._asked_to_wait = 0.0
        listed = set(self._open)
        if len(self._open) == 1:
            missing = listed
        else:
            missing = self._look_by_list({order_id for order_id in listed if self._placed_at[order_id]})
            missing |= {order_id for order_id in listed if not self._placed_at[order_id]}
        for order_id in [order_id for order_id in self._open if order_id in missing]:
            if not self._asked_to_wait:
                self._look_singly(order_id)

    def _look_by_list(self, wanted: set[str]) -> set[str]:
        """Read the list, newest first, until all the wanted orders were seen; give those it does not show."""
        missing = set(wanted)
        page_number, pages = 1, 1
        since = min((placed_at for order_id in wanted if (placed_at := self._placed_at[order_id])), default=None)
        while missing and page_number <= pages and since is not None:
            self._take_turn()
            sent = read(self._clock)
            try:
                page = self._client.list_orders(
                    page_number, LARGEST_PAGE, since=since - CLOCK_SKEW, until=sent.utc + CLOCK_SKEW
                )
            except (ApiError, NoAnswerError) as error:
                received = read(self._clock)
                for order_id in missing:
                    self._looker.note(failed_poll(order_id, self._attempt(order_id), "list", sent, received, error))
                if isinstance(error, NotFoundError):
                    return missing
                if not may_pass(error):
                    raise
                self._after_failure(error)
                return set()
            received = read(self._clock)
            self._slowest = max(self._slowest, received.monotonic - sent.monotonic)
            for order in reversed(page.items):
                if order.order_id in missing and not (order.is_final and order.problems):
                    missing.discard(order.order_id)
                    self._seen(order.order_id, order, sent, received)
            page_number, pages = page_number + 1, page.total_pages if page.items else 0
        return missing

    def _seen(self, order_id: str, order: Order, sent: Moment, received: Moment) -> None:
        self._looker.note(seen_poll(order_id, self._attempt(order_id), "list", sent, received, order))
        if order.is_final:
            del self._open[order_id]

    def _look_singly(self, order_id: str) -> None:
        self._take_turn()
        try:
            poll = self._looker.look(order_id, self._attempt(order_id))
        except (NotFoundError, InvalidRequestError) as error:
            self._left.append(f"{order_id}: {error}")
            del self._open[order_id]
            return
        if poll.order is None:
            self._after_failure(poll.error)
            return
        self._slowest = max(self._slowest, poll.latency_s)
        self._placed_at[order_id] = self._placed_at[order_id] or poll.order.placed_at
        if poll.order.is_final:
            del self._open[order_id]

    def _attempt(self, order_id: str) -> int:
        self._attempts[order_id] = self._attempts.get(order_id, 0) + 1
        return self._attempts[order_id]

    def _after_failure(self, error: GiftlibError | None) -> None:
        self._asked_to_wait = max(asked_pause(error), self._asked_to_wait)

    def _give_up_late_ones(self) -> None:
        now = self._clock.monotonic()
        late = [order_id for order_id, deadline in self._open.items() if deadline <= now + self._slowest]
        for order_id in late:
            del self._open[order_id]
        self._late += late

    def _warnings(self) -> Iterator[str]:
        """What the caller must know at the end, one sentence a kind."""
        if self._refused:
            yield f"{len(self._refused)} orders were not placed, nothing was bought: {_some(self._refused)}"
        if self._lost:
            yield (
                f"{self._lost} purchases were sent and their answers lost, and no order was found for them: do not "
                f"send them again; journal.reconcile(client) looks once more, journal.intents() shows them"
            )
        if self._left:
            yield f"{len(self._left)} orders cannot be looked at: {_some(self._left)}"
        if self._late:
            yield (
                f"{len(self._late)} orders are still being processed after {self._timeout:g} s, not failed: "
                f"{_some(self._late)}; track_orders(journal.unfinished(), journal=journal) goes on"
            )

    def _take_turn(self) -> None:
        """Wait until requests sent at this pace stay under the ceiling, so that none has to wait for others later."""
        spacing = 60 / (self._client.requests_per_minute or _LOWEST_CEILING)
        self._sleep_until(self._last_request + spacing)
        self._last_request = self._clock.monotonic()

    def _sleep_until(self, moment: float) -> None:
        self._clock.sleep(max(moment - self._clock.monotonic(), 0.0))


def _some(texts: list[str]) -> str:
    return ", ".join(texts[:5]) + (", …" if len(texts) > 5 else "")


def _time_in_id(order_id: str) -> datetime | None:
    """The time of creation that the API's ids begin with (seconds since 1970, in hexadecimal), or None."""
    try:
        return datetime.fromtimestamp(int(order_id[:8], 16), UTC) if len(order_id) == 24 else None
    except ValueError:
        return None
