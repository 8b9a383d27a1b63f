"""One round of looks at many open orders: by list where that shows them, singly where it does not or is doubtful."""

from datetime import UTC, datetime, timedelta
from math import inf

from giftlib.api.client import CLOCK_SKEW, LARGEST_PAGE, Client
from giftlib.api.errors import (
    ApiError,
    GiftlibError,
    InvalidRequestError,
    NoAnswerError,
    NotFoundError,
    asked_pause,
    may_pass,
)
from giftlib.api.models import Page
from giftlib.api.orders import Order
from giftlib.clock import Moment, read
from giftlib.journal.poll import failed_poll, seen_poll
from giftlib.journal.store import Journal
from giftlib.polling.one_order import Looker, OnPoll
from giftlib.polling.order_list import PageMemory

_PROBES = 2
"""Single looks a wait that see whether its lists are late; more would cost more than they find."""
_OVERDUE_S = 60.0
"""An order that a list shows open at this age is asked for singly too: the list may be stuck."""


class OpenOrders:
    """The orders that are waited for, and how to look at them.

    `deadlines` has the open ones, by the clock's monotonic seconds; `final` those seen final here; `left` those that
    cannot be looked at, with the reason. `asked_to_wait` is what the last round was told to wait, `slowest` the
    longest that an answer took, `requests` the number of requests of the last round.
    """

    def __init__(self, client: Client, journal: Journal, on_poll: OnPoll | None) -> None:
        self.deadlines: dict[str, float] = {}
        self.final: set[str] = set()
        self.left: dict[str, GiftlibError] = {}
        self.asked_to_wait = 0.0
        self.slowest = 0.0
        self.requests = 1
        self._client = client
        self._clock = client.clock
        self._looker = Looker(client, journal, on_poll)
        self._pages = PageMemory()
        self._placed: dict[str, Moment] = {}
        self._newest = datetime.min.replace(tzinfo=UTC)
        self._attempts: dict[str, int] = {}
        self._asked_singly: dict[str, float] = {}
        self._found_singly = ""
        self._listed_open: set[str] = set()
        self._probes = _PROBES
        self._list_was_believed = False
        self._list_is_late = False

    def add(self, order_id: str, deadline: float, placed: Moment | None = None) -> None:
        """Take an order up; when it was placed is told by its id if nobody knows better."""
        if order_id in self.final:
            return
        self.deadlines[order_id] = deadline
        if placed is None:
            placed = self._placed_by_id(order_id)
        if placed is not None:
            self._placed[order_id] = placed
            self._newest = max(self._newest, placed.utc)

    def age(self, order_id: str) -> float:
        """Seconds since the order was placed; infinite if nobody knows."""
        placed = self._placed.get(order_id)
        return inf if placed is None else self._clock.monotonic() - placed.monotonic

    def look(self, most: float) -> None:
        """One look at each open order, with about `most` requests: at least the list, then single ones."""
        self.asked_to_wait, self.requests = 0.0, 0
        self._listed_open.clear()
        if len(self.deadlines) == 1:
            doubtful = set(self.deadlines)
        else:
            doubtful = self._look_by_list(self._placed.keys() & self.deadlines.keys())
            doubtful |= self.deadlines.keys() - self._placed.keys()
            doubtful |= {order_id for order_id in self._listed_open
                         if self._list_is_late or self.age(order_id) > _OVERDUE_S}  # fmt: skip
            self._probe_the_list()
        for order_id in self._least_asked(doubtful):
            if self.asked_to_wait or self.requests >= max(most, 1):
                break
            self._look_singly(order_id)

    def _probe_the_list(self) -> None:
        """While orders become final, ask for one that the list shows open: if it is final, is the list late?"""
        if self._probes and self.final and self._listed_open and not self._list_is_late:
            self._probes -= 1
            order_id = self._least_asked(self._listed_open)[0]
            self._look_singly(order_id)
            if order_id in self.final:
                self._look_by_list({order_id})

    def compare(self) -> None:
        """If lists were believed, see whether they agree with the single look that found the last order final.

        A list that shows an order open after it was final is late; the journal then trusts none.
        """
        if self._list_was_believed and not self._list_is_late and self._found_singly in self._placed:
            self._look_by_list({self._found_singly})

    def give_up(self) -> list[str]:
        """The orders whose time is up; they are open no more."""
        now = self._clock.monotonic()
        late = [order_id for order_id, deadline in self.deadlines.items() if deadline <= now + self.slowest]
        for order_id in late:
            del self.deadlines[order_id]
        return late

    def _look_by_list(self, wanted: set[str]) -> set[str]:
        """Read the pages that show the wanted orders; give those that none shows well."""
        missing = set(wanted)
        if not missing:
            return missing
        since = min(self._placed[order_id].utc for order_id in missing)
        for number in self._pages.pages_to_read(missing, self._newest):
            sent = read(self._clock)
            self.requests += 1
            try:
                page = self._client.list_orders(
                    number, LARGEST_PAGE, since=since - CLOCK_SKEW, until=self._newest + CLOCK_SKEW,
                    timeout=self._time_left(),
                )  # fmt: skip
            except (ApiError, NoAnswerError) as error:
                return self._list_failed(missing, sent, error)
            self._pages.remember(page)
            missing -= self._shown(page, missing, sent, read(self._clock))
            if self._time_left() == 0:
                break
        return missing

    def _shown(self, page: Page[Order], wanted: set[str], sent: Moment, received: Moment) -> set[str]:
        """Take in what a page shows of the wanted orders; give the ids of those that it shows well."""
        self.slowest = max(self.slowest, received.monotonic - sent.monotonic)
        shown: dict[str, Order] = {}
        for order in page.items[::-1]:
            order_id = order.order_id or ""
            is_late = order_id in self.final and not order.is_final
            if is_late or (order_id in wanted and not (order.is_final and order.problems)):
                self._list_is_late |= is_late
                shown[order_id] = order
        self._looker.note(*(
            seen_poll(order_id, self._attempt(order_id), "list", sent, received, order)
            for order_id, order in shown.items()
        ))  # fmt: skip
        for order_id, order in shown.items():
            if order.is_final:
                self._done(order_id)
            else:
                self._listed_open.add(order_id)
                self._list_was_believed = True
        return set(shown)

    def _list_failed(self, missing: set[str], sent: Moment, error: ApiError | NoAnswerError) -> set[str]:
        received = read(self._clock)
        self._looker.note(*(
            failed_poll(order_id, self._attempt(order_id), "list", sent, received, error)
            for order_id in self.deadlines if order_id in missing
        ))  # fmt: skip
        if isinstance(error, NotFoundError | InvalidRequestError):
            return missing
        if not may_pass(error):
            raise error
        self.asked_to_wait = max(asked_pause(error), self.asked_to_wait)
        return set()

    def _look_singly(self, order_id: str) -> None:
        self.requests += 1
        self._asked_singly[order_id] = self._clock.monotonic()
        try:
            poll = self._looker.look(order_id, self._attempt(order_id), timeout=self._time_left())
        except (NotFoundError, InvalidRequestError) as error:
            self.left[order_id] = error
            del self.deadlines[order_id]
            return
        if poll.order is None:
            self.asked_to_wait = max(asked_pause(poll.error), self.asked_to_wait)
            return
        self.slowest = max(self.slowest, poll.latency_s)
        if poll.order.is_final:
            self._found_singly = order_id
            self._done(order_id)
        elif order_id not in self._placed and poll.order.placed_at is not None:
            self._placed[order_id] = self._moment(poll.order.placed_at)
            self._newest = max(self._newest, poll.order.placed_at)

    def _done(self, order_id: str) -> None:
        self.final.add(order_id)
        self.deadlines.pop(order_id, None)

    def _least_asked(self, order_ids: set[str]) -> list[str]:
        """Those that are open, the one whose last single look is longest ago first."""
        still_open = [order_id for order_id in self.deadlines if order_id in order_ids]
        return sorted(still_open, key=lambda order_id: self._asked_singly.get(order_id, -inf))

    def _attempt(self, order_id: str) -> int:
        self._attempts[order_id] = self._attempts.get(order_id, 0) + 1
        return self._attempts[order_id]

    def _time_left(self) -> float | None:
        """Seconds until the last order's time is up; None if no order is open."""
        if not self.deadlines:
            return None
        return max(max(self.deadlines.values()) - self._clock.monotonic(), 0.0)

    def _placed_by_id(self, order_id: str) -> Moment | None:
        """The moment that the API's ids begin with (seconds since 1970, in hexadecimal), or None."""
        try:
            return self._moment(datetime.fromtimestamp(int(order_id[:8], 16), UTC)) if len(order_id) == 24 else None
        except ValueError:
            return None

    def _moment(self, placed_at: datetime) -> Moment:
        """A time that the API tells, on the clock here; it lies in the past, whatever the API's clock says."""
        now = read(self._clock)
        return Moment(placed_at, now.monotonic - max((now.utc - placed_at) / timedelta(seconds=1), 0.0))
