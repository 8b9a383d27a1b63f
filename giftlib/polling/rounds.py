"""One round of polls of many open orders, and when the next round begins."""

from collections import Counter
from math import inf

from giftlib.api import InvalidRequestError, NotFoundError
from giftlib.clock import Clock

from .open_orders import OpenOrders, Turns
from .order_list import OrderList, PageKey
from .poller import Poller
from .schedules import PollTime, Schedule, latest_pause, next_pause

ROUND_S = 5.0
_LATE_ROUND_S = 10.0
_LATE_S = 40.0
"""The guide polls "every 5-10 seconds"; by this age nearly all orders are final ("most within 30 seconds")."""
_PROBES = 2
"""Single polls per wait that test whether its lists are late; more would cost more than they find."""
_OVERDUE_S = 60.0
"""An order that a list shows open at this age is polled singly too: the list may be stuck."""
_SHORTEST_PATIENCE_S = 5.0
_TRIES = 3
"""How often a page is read in a round if it fails."""
_PAGES_PER_SINGLE = 8
"""While pages wait to be read, one of so many requests polls an order singly."""
_MOST_SAVED = 30.0
"""A late round sends the requests that it or the one before missed, but at most so many: then the limit stops all."""


class Rounds:
    """Poll all open orders: by the list where it shows them, singly where it does not or may be wrong.

    `requests` is the number of requests of the last round, `unfinished` whether it left orders to the next one.
    """

    def __init__(self, orders: OpenOrders, poller: Poller) -> None:
        self.requests = 1
        self.unfinished = False
        self._orders = orders
        self._poller = poller
        self._list = OrderList(orders, poller)
        self._turns = Turns(poller.client.clock)
        self._found_by_check = ""
        self._probes = _PROBES
        self._saved = 0.0

    def poll(self, most: float) -> None:
        """Poll each open order once, as far as about `most` requests go; the next round goes on with the others.

        A page that fails keeps its turn, in this round and the next, until it has failed five times in a row.
        """
        first, self._poller.retry_delay_s, self._poller.next_delay_s = self._poller.requests, 0.0, 0.0
        last = first + max(most + self._saved, 1)
        self._list.shown_open.clear()
        listed = self._orders.placed.keys() if len(self._orders.deadlines) > 1 else set[str]()
        self._list.search([order_id for order_id in self._orders.deadlines if order_id in listed])
        tries, shown, checked = Counter[PageKey](), set[str](), set[str]()
        while self._poller.requests < last and self._has_time():
            wanted = [order_id for order_id in self._orders.deadlines if order_id in listed and order_id not in shown]
            pages = self._list.pages(wanted)
            unread = [key for key in pages if tries[key] < _TRIES]
            waiting = set[str]().union(*(pages[key] for key in unread))
            doubtful = self._doubtful(checked | waiting, shown.union(*pages.values()))
            sent = self._poller.client.clock.monotonic()
            if doubtful and (not unread or self._poller.requests % _PAGES_PER_SINGLE == 0):
                checked.add(doubtful[0])
                self._check(doubtful[0])
            elif unread:
                tries[unread[0]] += 1
                shown |= self._list.read(unread[0], pages[unread[0]], wanted)
            else:
                last = 0.0  # all is polled
            self._set_patience(self._poller.client.clock.monotonic() - sent)
        self.unfinished = last > 0
        self._saved = min(max(last - self._poller.requests, 0.0), _MOST_SAVED)
        self._probe_list()
        self._poller.retry_delay_s = max(self._poller.retry_delay_s, self._poller.next_delay_s)
        self.requests = self._poller.requests - first

    def compare(self) -> None:
        """If lists were trusted, see whether they agree with the single poll that found the last order final.

        A list that shows an order open after it was final is late; the journal then trusts none.
        """
        if self._list.was_trusted and not self._list.is_late and self._found_by_check in self._orders.placed:
            self._list.compare(self._found_by_check)

    def _has_time(self) -> bool:
        """Wait until the rate limit has room; return whether a request may be sent then."""
        client = self._poller.client
        if not self._orders.deadlines or self._poller.retry_delay_s:
            return False
        client.clock.sleep(min(client.rate_limit.delay_s(), self._orders.time_left()))
        return self._orders.time_left() > 0

    def _set_patience(self, took_s: float) -> None:
        """Let a request take ten times as long as any response did, and longer after one that ran out of time."""
        if took_s > 0.99 * self._orders.patience_s:
            self._orders.patience_s *= 2
        elif self._poller.slowest_s >= 0:
            self._orders.patience_s = max(10 * self._poller.slowest_s, _SHORTEST_PATIENCE_S)

    def _doubtful(self, excluded: set[str], listed: set[str]) -> list[str]:
        """Return the orders to poll singly, the one whose turn it is first."""
        return self._turns.in_order(
            order_id for order_id in self._orders.deadlines
            if order_id not in excluded
            and (order_id not in listed or self._list.is_late or self._orders.age(order_id) > _OVERDUE_S)
        )  # fmt: skip

    def _probe_list(self) -> None:
        """While orders become final, poll one that the list shows open: if it is final, the list may be late."""
        shown_open = [order_id for order_id in self._orders.deadlines if order_id in self._list.shown_open]
        if self._probes and self._orders.final and shown_open and not self._list.is_late and self._has_time():
            self._probes -= 1
            order_id = self._turns.in_order(shown_open)[0]
            self._check(order_id)
            if order_id in self._orders.final:
                self._list.compare(order_id)

    def _check(self, order_id: str) -> None:
        try:
            poll = self._poller.check(order_id, timeout=self._orders.request_timeout())
        except (NotFoundError, InvalidRequestError) as error:
            self._orders.drop(order_id, error)
            return
        if poll.order is None:
            self._turns.failed(order_id)
            return
        self._turns.served(order_id)
        if poll.order.is_final:
            self._found_by_check = order_id
            self._orders.finish(order_id)
        else:
            self._orders.set_placed(order_id, poll.order.placed_at)


class RoundTimes:
    """Say when each round begins: every 5 s, and every 10 s once all orders are older than 40 s; or as is asked for.

    `pause_s` is the pause before the next round; `held_until` is when the wait that a response has asked for ends.
    """

    def __init__(self, clock: Clock, schedule: Schedule | None, interval: float | None) -> None:
        self.started = self.held_until = clock.monotonic()
        self.pause_s = interval or ROUND_S
        self._clock = clock
        self._schedule = schedule
        self._interval = interval
        self._rounds: list[PollTime] = []
        self._planned = self.started + (0.0 if schedule is None else next_pause(schedule, 0.0, []))

    def next_at(self, orders: OpenOrders, response_s: float) -> float:
        """Return when the next round begins: as planned, or in time for the responses before a deadline."""
        planned = self._planned
        if self._schedule is None:
            oldest = max(map(orders.age, orders.deadlines))
            planned = max(planned, self._clock.monotonic() + (self._interval or ROUND_S) - oldest)
        first, last = min(orders.deadlines.values()), max(orders.deadlines.values())
        if not self._rounds:
            return min(planned, first - response_s)
        ended = self.started + self._rounds[-1].received
        first, last = (ended + latest_pause(deadline - ended, response_s) for deadline in (first, last))
        # Orders placed one after another run out one after another: they need not have a round each.
        second_later = self._rounds[-1].sent + self.started + 1
        return min(planned, max(first, min(second_later, last)))

    def share_s(self, began: float) -> float:
        """Return for how many seconds the round that begins then may use the rate limit."""
        since_last = began - self.started - self._rounds[-1].sent if self._rounds else 0.0
        return max(self.pause_s, min(since_last, _MOST_SAVED))

    def record(self, began: float, orders: OpenOrders, retry_delay_s: float, unfinished: bool) -> None:
        """Plan the next round after one that began then and has just ended."""
        sent, elapsed = began - self.started, self._clock.monotonic() - self.started
        self._rounds.append(PollTime(sent, elapsed))
        if self._schedule is not None:
            self.pause_s = next_pause(self._schedule, elapsed, self._rounds)
            planned = elapsed + self.pause_s
        else:
            youngest = min(map(orders.age, orders.deadlines), default=0.0)
            self.pause_s = self._interval or (ROUND_S if unfinished or not _LATE_S < youngest < inf else _LATE_ROUND_S)
            planned = sent + self.pause_s
        self.held_until = self.started + elapsed + retry_delay_s
        self._planned = max(self.started + planned, self.held_until)
