"""Rounds of polls of many open orders, and when the next one begins."""

from collections import Counter
from math import ceil, inf

from giftlib.api import InvalidRequestError, NotFoundError

from .open_orders import OpenOrders
from .order_list import OrderList, PageKey, Turns
from .poller import Poller
from .schedules import every
from .waiting import PollTimes, Waiting

_ROUND_S = 5.0
_LATE_ROUND_S = 10.0
_LATE_S = 40.0
"""The guide polls "every 5-10 seconds"; by this age nearly all orders are final ("most within 30 seconds")."""
_PROBES = 2
"""Single polls per wait that test whether its lists are late; more would cost more than they find."""
_OVERDUE_S = 60.0
"""An order that a list shows open at this age is polled singly too: the list may be stuck."""
_TRIES = 3
"""How often a page is read in a round if it fails."""
_PAGES_PER_SINGLE = 8
"""While pages wait to be read, one of so many requests polls an order singly."""
_MOST_SAVED_S = 30.0
"""A late round sends the requests of the seconds that it missed, but of no more: then the limit stops all."""


class Rounds:
    """Poll all open orders: by the list where it shows them, singly where it does not or may be wrong.

    A round begins every 5 s, and every 10 s once all orders are older than 40 s; or as is asked for. If all are like
    the last one, they need `requests_per_minute`.
    """

    def __init__(self, orders: OpenOrders, poller: Poller, waiting: Waiting) -> None:
        self._orders = orders
        self._poller = poller
        self._waiting = waiting
        self._list = OrderList(orders, poller)
        self._turns = Turns(poller.client.clock)
        self._times = PollTimes(poller, waiting.schedule or every(_ROUND_S))
        self._pause_s = waiting.interval or _ROUND_S
        self.requests_per_minute = ceil(60 / max(self._pause_s, 1.0))
        self._found_by_check = ""
        self._probes = _PROBES

    def next_at(self) -> float:
        """Return when the next round begins; infinity if no order is open."""
        if not self._orders.deadlines:
            return inf
        earliest = -inf
        if self._waiting.schedule is None:
            oldest = max(map(self._orders.age, self._orders.deadlines))
            earliest = self._poller.client.clock.monotonic() + (self._waiting.interval or _ROUND_S) - oldest
        return self._times.next_at(self._orders.deadlines.values(), earliest)

    def poll(self, part: float) -> None:
        """Poll each open order once, as far as that part of the rate limit goes; the next round goes on with the rest.

        A page that fails keeps its turn, in this round and the next, until it has failed five times in a row.
        """
        began, first = self._poller.client.clock.monotonic(), self._poller.requests
        may_last_s = max(self._pause_s, min(self._times.since_last(began), _MOST_SAVED_S))
        most = max(part * (self._poller.client.rate_limit.per_minute or 0) * may_last_s / 60, 1)
        self._poller.deadline = max(self._orders.deadlines.values())
        self._poller.is_stopped = False
        self._list.shown_open.clear()
        is_whole = self._poll(first + most)
        self._probe_list()
        self._orders.expire(self._poller.too_late_s)
        youngest = min(map(self._orders.age, self._orders.deadlines), default=0.0)
        late = is_whole and _LATE_S < youngest < inf
        round_s = self._waiting.interval or (_LATE_ROUND_S if late else _ROUND_S)
        pause_s = self._times.record(began, self._waiting.schedule or every(round_s, counts_request=True))
        self._pause_s = pause_s if self._waiting.schedule else round_s
        self.requests_per_minute = (self._poller.requests - first) * ceil(60 / max(self._pause_s, 1.0))

    def compare(self) -> None:
        """If lists were trusted, see whether they agree with the single poll that found the last order final.

        A list that shows an order open after it was final is late; the journal then trusts none.
        """
        if self._list.was_trusted and not self._list.is_late and self._found_by_check in self._orders.placed:
            self._list.compare(self._found_by_check)

    def _poll(self, last: float) -> bool:
        """Poll the orders until all are polled, the last request is sent or one is stopped; return whether all are."""
        listed = self._orders.placed.keys() if len(self._orders.deadlines) > 1 else set[str]()
        self._list.search([order_id for order_id in self._orders.deadlines if order_id in listed])
        tries, shown, checked = Counter[PageKey](), set[str](), set[str]()
        while self._poller.requests < last and self._has_time():
            wanted = [order_id for order_id in self._orders.deadlines if order_id in listed and order_id not in shown]
            pages = self._list.pages(wanted)
            unread = [key for key in pages if tries[key] < _TRIES]
            on_unread = set[str]().union(*(pages[key] for key in unread))
            doubtful = self._doubtful(checked | on_unread, shown.union(*pages.values()))
            if doubtful and (not unread or self._poller.requests % _PAGES_PER_SINGLE == 0):
                checked.add(doubtful[0])
                self._check(doubtful[0])
            elif unread:
                tries[unread[0]] += 1
                shown |= self._list.read(unread[0], pages[unread[0]], wanted)
            else:
                return True
        return False

    def _has_time(self) -> bool:
        """Wait until the rate limit has room; return whether a request may be sent then."""
        return bool(self._orders.deadlines) and not self._poller.is_stopped and self._poller.wait_for_limit() > 0

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
            poll = self._poller.check(order_id, timeout=min(self._poller.time_left(), self._poller.patience_s))
        except (NotFoundError, InvalidRequestError) as error:
            self._orders.drop(order_id, error)
            return
        if poll.order is None:
            self._turns.failed(order_id)
        elif poll.order.is_final:
            self._found_by_check = order_id
            self._orders.finish(order_id)
        else:
            self._turns.served(order_id)
            self._orders.set_placed(order_id, poll.order.placed_at)
