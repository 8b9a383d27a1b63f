"""One round of polls of many open orders, and when the next round begins."""

from math import inf

from giftlib.api import InvalidRequestError, NotFoundError
from giftlib.clock import Clock

from .open_orders import OpenOrders
from .order_list import OrderList
from .poller import Poller
from .schedules import PollTime, Schedule

ROUND_S = 5.0
_LATE_ROUND_S = 10.0
_LATE_S = 40.0
"""The guide polls "every 5-10 seconds"; by this age nearly all orders are final ("most within 30 seconds")."""
_PROBES = 2
"""Single polls per wait that test whether its lists are late; more would cost more than they find."""
_OVERDUE_S = 60.0
"""An order that a list shows open at this age is polled singly too: the list may be stuck."""


class Rounds:
    """Poll all open orders: by the list where it shows them, singly where it does not or may be wrong.

    `requests` is the number of requests of the last round.
    """

    def __init__(self, orders: OpenOrders, poller: Poller) -> None:
        self.requests = 1
        self._orders = orders
        self._poller = poller
        self._list = OrderList(orders, poller)
        self._checked_at: dict[str, float] = {}
        self._found_by_check = ""
        self._probes = _PROBES

    def poll(self, most: float) -> None:
        """Poll each open order once, with about `most` requests: at least the list, then single polls."""
        sent_before, self._poller.retry_delay_s = self._poller.requests, 0.0
        self._list.shown_open.clear()
        open_ids = self._orders.deadlines.keys()
        if len(open_ids) == 1:
            doubtful = set(open_ids)
        else:
            doubtful = self._list.poll(self._orders.placed.keys() & open_ids)
            doubtful |= open_ids - self._orders.placed.keys()
            doubtful |= {order_id for order_id in self._list.shown_open
                         if self._list.is_late or self._orders.age(order_id) > _OVERDUE_S}  # fmt: skip
            self._probe_list()
        for order_id in self._least_checked(doubtful):
            if self._poller.retry_delay_s or self._poller.requests - sent_before >= max(most, 1):
                break
            self._check(order_id)
        self.requests = self._poller.requests - sent_before

    def compare(self) -> None:
        """If lists were trusted, see whether they agree with the single poll that found the last order final.

        A list that shows an order open after it was final is late; the journal then trusts none.
        """
        if self._list.was_trusted and not self._list.is_late and self._found_by_check in self._orders.placed:
            self._list.poll({self._found_by_check})

    def _probe_list(self) -> None:
        """While orders become final, poll one that the list shows open: if it is final, the list may be late."""
        if self._probes and self._orders.final and self._list.shown_open and not self._list.is_late:
            self._probes -= 1
            order_id = self._least_checked(self._list.shown_open)[0]
            self._check(order_id)
            if order_id in self._orders.final:
                self._list.poll({order_id})

    def _check(self, order_id: str) -> None:
        self._checked_at[order_id] = self._poller.client.clock.monotonic()
        try:
            poll = self._poller.check(order_id, timeout=self._orders.time_left())
        except (NotFoundError, InvalidRequestError) as error:
            self._orders.drop(order_id, error)
            return
        if poll.order is not None and poll.order.is_final:
            self._found_by_check = order_id
            self._orders.finish(order_id)
        elif poll.order is not None:
            self._orders.set_placed(order_id, poll.order.placed_at)

    def _least_checked(self, order_ids: set[str]) -> list[str]:
        """Return those that are open, the one whose last single poll is longest ago first."""
        still_open = [order_id for order_id in self._orders.deadlines if order_id in order_ids]
        return sorted(still_open, key=lambda order_id: self._checked_at.get(order_id, -inf))


class RoundTimes:
    """Say when each round begins: as `schedule` says, or every 5 s, and every 10 s once all orders are older than 40 s.

    `pause_s` is the pause before the next round.
    """

    def __init__(self, clock: Clock, schedule: Schedule | None) -> None:
        self.started = clock.monotonic()
        self.pause_s = ROUND_S
        self._clock = clock
        self._schedule = schedule
        self._rounds: list[PollTime] = []
        self._planned = self.started + (0.0 if schedule is None else schedule(0.0, []))

    def next_at(self, orders: OpenOrders, slowest_s: float) -> float:
        """Return when the next round begins: as planned, or in time for the first order whose deadline is near."""
        planned = self._planned
        if self._schedule is None:
            planned = max(planned, self._clock.monotonic() + ROUND_S - max(map(orders.age, orders.deadlines)))
        last_chance = min(orders.deadlines.values()) - slowest_s
        # Orders placed one after another run out one after another: they need not have a round each.
        second_later = self._rounds[-1].sent + self.started + 1 if self._rounds else 0.0
        return min(planned, max(last_chance, second_later))

    def record(self, began: float, orders: OpenOrders, retry_delay_s: float) -> None:
        """Plan the next round after one that began then and has just ended."""
        sent, elapsed = began - self.started, self._clock.monotonic() - self.started
        self._rounds.append(PollTime(sent, elapsed))
        if self._schedule is not None:
            self.pause_s = max(self._schedule(elapsed, self._rounds), 0.0)
            planned = elapsed + self.pause_s
        else:
            youngest = min(map(orders.age, orders.deadlines), default=0.0)
            self.pause_s = _LATE_ROUND_S if _LATE_S < youngest < inf else ROUND_S
            planned = sent + self.pause_s
        self._planned = self.started + max(planned, elapsed + retry_delay_s)
