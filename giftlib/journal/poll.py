"""The record of one poll of one order."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from giftlib.api import ApiError, GiftlibError, Order
from giftlib.clock import Timestamp


@dataclass(frozen=True)
class Poll:
    """Record one poll of one order: when it was sent, when the response came, and what the outcome was.

    `attempt` counts the polls of the order in this wait from 1; `via` is "check" or "list"; `outcome` is a status,
    an error code, "NO_ANSWER" or "INTERRUPTED"; `earliest` and `latest` bound, by the API's clock, when it was made
    (None if no response had a time); `order` is None if the poll failed with `error`.
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
    earliest: datetime | None = field(default=None, repr=False)
    latest: datetime | None = field(default=None, repr=False)
    order: Order | None = field(default=None, repr=False)
    error: GiftlibError | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls, order_id: str, attempt: int, via: str, sent: Timestamp, received: Timestamp, result: Order | GiftlibError
    ) -> "Poll":
        """Return the poll that showed this order, or failed with this error."""
        made = partial(cls, order_id, attempt, via, sent, received)
        if isinstance(result, Order):
            outcome = str(result.status) or "NO_STATUS"
            return made(outcome, result.http_status, result.retry_after, result.request_id, order=result)
        if isinstance(result, ApiError):
            return made(result.code, result.status, result.retry_after, result.request_id, error=result)
        return made("NO_ANSWER", getattr(result, "status", None), error=result)

    @property
    def shows(self) -> str | None:
        """Return whether the poll showed the order "open" or "final"; None if it failed."""
        return None if self.order is None else "final" if self.order.is_final else "open"

    @property
    def latency_s(self) -> float:
        """Return the seconds from sending the request to having its response."""
        return self.received.monotonic - self.sent.monotonic
