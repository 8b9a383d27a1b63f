"""Place one order, or many under the rate limit, each written to the journal before its request leaves."""

from collections import deque
from math import inf

from giftlib.api import Client, OrderRequest, RateLimit, check_type, errors, retry_delay
from giftlib.clock import Timestamp
from giftlib.connection import current_client
from giftlib.journal import Journal

_REJECTED = (errors.InvalidRequestError, errors.OutOfStockError, errors.RateLimitError, errors.NoAnswerError)
"""Errors of one order request that the next one need not meet."""
MOST_FOR_POLLS = 0.75
"""The largest part of the rate limit that polls may take while there are orders to place."""


def place_order(
    product_id: str, type_id: str, quantity: int, *, client: Client | None = None, journal: Journal | None = None
) -> str:
    """Place an order and return its id; raise what `Client.place` raises.

    The journal holds the intent before the request leaves, and what became of it as soon as that is known.

    >>> from giftlib import Journal, connect, place_order
    >>> client = connect()
    >>> with Journal() as journal:
    ...     order_id = place_order("507f1f77bcf86cd799439011", "TEST_REFUND", 1, journal=journal)
    ...     journal.unfinished() == [order_id]
    True
    """
    request = OrderRequest(product_id, type_id, quantity)
    client = current_client(client)
    if journal is None:
        return client.place(request)
    check_type("journal", journal, Journal)
    client.require_sandbox_key()
    return place_recorded(request, client, journal)


def place_recorded(request: OrderRequest, client: Client, journal: Journal) -> str:
    """Place an order with its intent and outcome in the journal."""
    intent = journal.intend(request.product_id, request.type_id, request.quantity, Timestamp.now(client.clock))
    try:
        order_id = client.place(request)
    except (errors.ApiError, errors.NoAnswerError):
        journal.not_placed(intent, Timestamp.now(client.clock))
        raise
    except BaseException:
        journal.outcome_unknown(intent, Timestamp.now(client.clock))
        raise
    try:
        journal.placed(intent, order_id, Timestamp.now(client.clock))
    except errors.JournalError as error:
        raise errors.JournalError(f"the order {order_id} was placed, but {error}") from error
    return order_id


class Placer:
    """Place a queue of orders, one by one, in what the polls of open orders leave of the rate limit.

    `rejected` says which were not placed and why, `lost` counts those whose response was lost, `failure` is the error
    that every further order would meet as well.
    """

    def __init__(self, queue: deque[OrderRequest], client: Client, journal: Journal) -> None:
        self.queue = queue
        self.rejected: list[str] = []
        self.lost = 0
        self.failure: errors.GiftlibError | None = None
        self._client = client
        self._journal = journal
        self._sent = RateLimit(client.clock)
        self._paused_until = 0.0

    def ready_at(self, polls_per_minute: int | None = None) -> float:
        """Return when the next order may be placed, so that as many polls still fit into the minute; inf if none waits.

        `polls_per_minute` is by default the number of requests of the last minute that placed no order.
        """
        if not self.queue:
            return inf
        if polls_per_minute is None:
            polls_per_minute = self._client.rate_limit.recent() - self._sent.recent()
        limit = self._client.rate_limit.per_minute
        assert limit is not None
        left = limit - min(polls_per_minute + 1, int(MOST_FOR_POLLS * limit))
        return max(self._client.clock.monotonic() + self._sent.delay_s(left), self._paused_until)

    def place_next(self) -> tuple[str, Timestamp] | None:
        """Place the next order; return its id and when its request was sent, or None if it was not placed."""
        request, sent, order_id = self.queue.popleft(), Timestamp.now(self._client.clock), None
        try:
            self._client.require_sandbox_key()
            order_id = place_recorded(request, self._client, self._journal)
        except errors.OrderOutcomeUnknownError:
            self.lost += 1
        except (
            errors.InvalidRequestError,
            errors.OutOfStockError,
            errors.RateLimitError,
            errors.NoAnswerError,
        ) as error:
            self.rejected.append(f"{request.quantity} x {request.type_id}: {error}")
            self._paused_until = self._client.clock.monotonic() + retry_delay(error)
        except (errors.AuthenticationError, errors.PermissionDeniedError):
            raise
        except errors.GiftlibError as error:
            self.failure = error
            self.queue.clear()
        self._sent.count()
        return None if order_id is None else (order_id, sent)
