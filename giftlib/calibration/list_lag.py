"""One order looked at by itself and in the list, in turn: how late lists are, and how long they hide what is new."""

from giftlib.api import Order
from giftlib.clock import Timestamp
from giftlib.journal import Poll

from .session import CREDIT_S, Bought, Inquiry

LONGEST_S = 300.0
_PAUSE_S, _OF_AGE = 1.0, 6.0
"""The least pause between looks; later it is a sixth of the order's age."""
_TOLD_PRECISION_S = 0.002
"""The API tells times in milliseconds."""


class Watch:
    """What the looks at one order prove of the moments at which it was shown and was final, in monotonic seconds.

    `final` is the order as it was when first seen final, by itself or in the list, and `final_by` when that was.
    """

    def __init__(self, inquiry: Inquiry, bought: Bought) -> None:
        self.bought = bought
        self.final: Order | None = None
        self.final_by: float | None = None
        self.looks = 0
        self._inquiry = inquiry
        self._clock = inquiry.clock
        self._open_at = bought.sent_s
        self._hidden_at: float | None = None
        self._shown_by: float | None = None
        self._stale_at: float | None = None
        self._fresh_by: float | None = None
        self._list_fails = False

    def until_final(self) -> bool:
        """Look until the order is final, for five minutes at most; whether it is."""
        self._look_at_the_list()
        self._look_at_the_order()
        while self.final is None and self._pause():
            self._look_at_the_order()
            self._look_at_the_list()
        return self.final is not None

    def until_listed(self) -> None:
        """Look until the list shows the order final, until it is five minutes old at most."""
        while self._fresh_by is None and not self._list_fails and self._pause():
            self._look_at_the_list()

    def until_all_is_seen(self) -> None:
        """Both, as far as the API answers."""
        with self._inquiry.looking_for():
            self.until_final()
            self.until_listed()

    @property
    def list_was_prompt(self) -> bool:
        """Whether the list may have shown the order, and shown it final, at once."""
        return all(span is not None and span[0] == 0 for span in (self.hiding(), self.lag()))

    def hiding(self) -> tuple[float, float] | None:
        """Between which seconds after its purchase lists began to show the order; None if none did."""
        if self._shown_by is None:
            return None
        hidden_s = 0.0 if self._hidden_at is None else self._hidden_at - self.bought.received_s - _TOLD_PRECISION_S
        return max(hidden_s, 0.0), self._shown_by - self.bought.sent_s + _TOLD_PRECISION_S

    def lag(self) -> tuple[float, float] | None:
        """Between which seconds after it was final lists began to show it final; None if none did."""
        if self._fresh_by is None or self.final_by is None:
            return None
        high = self._fresh_by - self._open_at
        if self._stale_at is None or self._stale_at < self.final_by:
            return 0.0, high
        return min(max(self._stale_at - self.final_by, _TOLD_PRECISION_S), high), high

    def _pause(self) -> bool:
        """Wait for the next look; False if the order is too old for one."""
        age = self._clock.monotonic() - self.bought.received_s
        self._clock.sleep(max(_PAUSE_S, age / _OF_AGE))
        return age < LONGEST_S

    def _look_at_the_order(self) -> None:
        self._inquiry.breathe(CREDIT_S)
        sent = Timestamp.now(self._clock)
        answer = self._inquiry.get(f"gift-cards/checkOrder/{self.bought.order_id}", at_once=True)
        order = Order.from_response(answer.data, order_id=self.bought.order_id, request_id=answer.request_id)
        self._note("check", sent, order)
        if not order.is_final:
            self._open_at = sent.monotonic

    def _look_at_the_list(self) -> None:
        if self._list_fails:
            return
        self._inquiry.breathe(CREDIT_S)
        sent, self._list_fails = Timestamp.now(self._clock), True
        with self._inquiry.looking_for("list_lag_s", "list_hides_s"):
            order = self._listed()
            self._list_fails = False
        if self._list_fails:
            return
        if order is None:
            self._hidden_at = sent.monotonic
            return
        self._shown_by = self._shown_by or self._clock.monotonic()
        self._note("list", sent, order)
        if order.is_final:
            self._fresh_by = self._clock.monotonic()
        else:
            self._stale_at = sent.monotonic

    def _listed(self) -> Order | None:
        """The order as the first page of the list shows it, or the last; either may be the newest."""
        for answer in self._inquiry.first_and_last("gift-cards/list", at_once=True):
            for row in answer.items("items"):
                if row.get("_id") == self.bought.order_id:
                    return Order.from_response(row, request_id=answer.request_id)
        return None

    def _note(self, via: str, sent: Timestamp, order: Order) -> None:
        self.looks += 1
        received = Timestamp.now(self._clock)
        self._inquiry.journal.record(Poll.of(self.bought.order_id, self.looks, via, sent, received, order))
        if order.is_final and self.final is None:
            self.final, self.final_by = order, received.monotonic
