"""One look at one order."""

from dataclasses import dataclass, field

from giftlib.api.errors import ApiError, GiftlibError
from giftlib.api.orders import Order
from giftlib.clock import Moment


@dataclass(frozen=True)
class Poll:
    """One look at one order: when it was sent and answered, and what came of it.

    `attempt` counts the looks at the order in this wait from 1; `via` is "check" or "list"; `outcome` is a status,
    an error code, "NO_ANSWER" or "INTERRUPTED"; `order` is what was seen, None if the look failed with `error`.
    """

    order_id: str
    attempt: int
    via: str
    sent: Moment
    received: Moment
    outcome: str
    http_status: int | None = None
    retry_after_s: float | None = None
    request_id: str | None = None
    order: Order | None = field(default=None, repr=False)
    error: GiftlibError | None = field(default=None, repr=False)

    @property
    def shows(self) -> str | None:
        """Whether the look showed the order "open" or "final"; None if it showed nothing."""
        return None if self.order is None else "final" if self.order.is_final else "open"

    @property
    def latency_s(self) -> float:
        """Seconds from sending the request to having its answer."""
        return self.received.monotonic - self.sent.monotonic


def seen_poll(order_id: str, attempt: int, via: str, sent: Moment, received: Moment, order: Order) -> Poll:
    """The look that showed this order."""
    outcome = str(order.status) or "NO_STATUS"
    return Poll(order_id, attempt, via, sent, received, outcome, 200, None, order.request_id, order=order)


def failed_poll(order_id: str, attempt: int, via: str, sent: Moment, received: Moment, error: GiftlibError) -> Poll:
    """The look that met this error."""
    if isinstance(error, ApiError):
        return Poll(order_id, attempt, via, sent, received, error.code, error.status, error.retry_after,
                    error.request_id, error=error)  # fmt: skip
    return Poll(order_id, attempt, via, sent, received, "NO_ANSWER", getattr(error, "status", None), error=error)
