"""The record of one poll of one order."""

from dataclasses import dataclass, field

from giftlib.api import ApiError, GiftlibError, Order
from giftlib.clock import Timestamp


@dataclass(frozen=True)
class Poll:
    """Record one poll of one order: when it was sent, when the response came, and what the outcome was.

    `attempt` counts the polls of the order in this wait from 1; `via` is "check" or "list"; `outcome` is a status,
    an error code, "NO_ANSWER" or "INTERRUPTED"; `order` is None if the poll failed with `error`.
    """

    order_id: str
    attempt: int
    via: str
    sent: Timestamp
    received: Timestamp
    outcome: str
    http_status: int | None = None
    retry_after_s: float | None = None
    request_id: str | None = None
    order: Order | None = field(default=None, repr=False)
    error: GiftlibError | None = field(default=None, repr=False)

    @property
    def shows(self) -> str | None:
        """Return whether the poll showed the order "open" or "final"; None if it failed."""
        return None if self.order is None else "final" if self.order.is_final else "open"

    @property
    def latency_s(self) -> float:
        """Return the seconds from sending the request to having its response."""
        return self.received.monotonic - self.sent.monotonic


def successful_poll(order_id: str, attempt: int, via: str, sent: Timestamp, received: Timestamp, order: Order) -> Poll:
    """Return the poll that showed this order."""
    outcome = str(order.status) or "NO_STATUS"
    return Poll(order_id, attempt, via, sent, received, outcome, 200, None, order.request_id, order=order)


def failed_poll(
    order_id: str, attempt: int, via: str, sent: Timestamp, received: Timestamp, error: GiftlibError
) -> Poll:
    """Return the poll that failed with this error."""
    if isinstance(error, ApiError):
        return Poll(order_id, attempt, via, sent, received, error.code, error.status, error.retry_after,
                    error.request_id, error=error)  # fmt: skip
    return Poll(order_id, attempt, via, sent, received, "NO_ANSWER", getattr(error, "status", None), error=error)
