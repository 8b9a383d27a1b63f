"""Place one order, or many under the rate limit, each written to the journal before its request leaves."""

from collections import deque
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

from giftlib.api import Client, OrderRequest, RateLimit, check_type, errors
from giftlib.clock import Timestamp
from giftlib.connection import current_client
from giftlib.journal import Journal

from .poller import Poller
from .recovery import recover_orders

_REJECTED = (errors.InvalidRequestError, errors.OutOfStockError, errors.RateLimitError, errors.NoAnswerError)
"""Errors of one order request that the next one need not meet."""
_BEFORE_SENDING = timedelta(seconds=90)
"""The longest that a request waits for the journal (30 s) and for the rate limit (60 s)."""
_TRIES = 10
"""How often a page of the list is read in search of lost orders."""
MOST_FOR_POLLS = 0.75
"""The largest part of the rate limit that polls may take while there are orders to place."""


def place_order(
    product_id: str,
    type_id: str,
    quantity: int,
    *,
    client: Client | None = None,
    journal: Journal | None = None,
    ref: str | None = None,
) -> str:
    """Place an order and return its id; raise what `Client.place` raises.

    The journal holds the intent before the request leaves, and what became of it as soon as that is known. If it cannot
    be written afterwards, the error has the order's id: a JournalError with `order_id`, or the KeyboardInterrupt in
    its notes.

    `ref` is your own reference, unique in the journal: if the journal has an order for it, that order's id is returned
    and nothing is sent. A request for it whose response was lost is searched for first (`recover_orders`), and as long
    as it is not known what became of it, OrderOutcomeUnknownError is raised. Raise ValueError if it stands for another
    product, type or quantity, JournalError if for an order of another source.

    >>> from giftlib import Journal, connect, place_order
    >>> client = connect()
    >>> with Journal() as journal:
    ...     order_id = place_order("507f1f77bcf86cd799439011", "TEST_REFUND", 1, journal=journal, ref="invoice 7")
    ...     order_id == place_order("507f1f77bcf86cd799439011", "TEST_REFUND", 1, journal=journal, ref="invoice 7")
    True
    """
    request = OrderRequest(product_id, type_id, quantity, ref)
    client = current_client(client)
    require_journal(ref, journal)
    if journal is None:
        return client.place(request)
    check_type("journal", journal, Journal)
    if ref is not None and any(lost.ref == request.ref for lost in journal.lost_orders(client.source)):
        recover_orders(journal, client)
    return place_recorded(request, client, journal).order_id


def require_journal(ref: str | None, journal: Journal | None) -> None:
    """Raise ValueError for a ref without a journal: the same call would order again."""
    if ref is not None and journal is None:
        raise ValueError(f"ref needs a journal, which keeps what was placed for it, got ref={ref!r} without one")


class Placed(NamedTuple):
    """Hold an order's id, when its request was sent by the API's clock (None if before), whether it was seen final."""

    order_id: str
    sent: Timestamp | None
    is_final: bool = False


def place_recorded(request: OrderRequest, client: Client, journal: Journal) -> Placed:
    """Place an order with its intent and outcome in the journal, or take up the one that the journal has for its ref.

    What matters to the caller is raised: that the outcome is not known, or an error with the order's id. What then
    fails in the journal is a note of it.
    """
    client.require_sandbox_key()
    sent, (earliest, latest) = Timestamp.now(client.clock), client.api_time()
    longest = timedelta(seconds=min(client.request_timeout, 86400.0)) + _BEFORE_SENDING
    begun = journal.intend(request, client.source, sent, earliest, latest and latest + longest)
    if begun.order_id is not None:
        return Placed(begun.order_id, None, begun.is_final)
    if not begun.is_new:
        (lost,) = (lost for lost in journal.lost_orders(client.source) if lost.intent == begun.intent)
        raise lost.error
    order_id = None
    try:
        order_id = client.place(request, not_after=sent.monotonic + longest.total_seconds())
        journal.placed(begun.intent, order_id, Timestamp.now(client.clock), client.source, client.api_time()[1])
    except BaseException as error:
        if order_id is not None and isinstance(error, errors.JournalError):
            reason = f"the order {order_id} was placed, do not place it again; but {error}"
            raise errors.JournalError(reason, order_id=order_id) from error
        _record_failure(error, begun.intent, order_id, client, journal)
        raise
    return Placed(order_id, sent if earliest is None else sent._replace(utc=earliest))


def _record_failure(error: BaseException, intent: int, order_id: str | None, client: Client, journal: Journal) -> None:
    """Record what a failed request or an interrupt leaves known; if that fails too, note it on the error."""
    received = Timestamp.now(client.clock)
    if isinstance(error, errors.OrderOutcomeUnknownError):
        error.intent = intent
    try:
        if order_id is not None:
            error.add_note(f"the order {order_id} was placed, do not place it again")
            journal.placed(intent, order_id, received, client.source, client.api_time()[1])
        elif isinstance(error, errors.ApiError | errors.NoAnswerError):
            journal.not_placed(intent, received)
        else:
            journal.outcome_unknown(intent, received, client.api_time()[1])
            if not isinstance(error, errors.GiftlibError):
                error.add_note("the order may have been placed: recover_orders(journal) searches for it")
    except BaseException as failure:
        error.add_note(str(failure) or type(failure).__name__)


class Placer:
    """Place a queue of orders, one by one, in what the polls of open orders leave of the rate limit.

    `rejected` says which were not placed and why, `lost` has those whose response was lost by the number of their
    intent, `failure` is the error that every further order would meet as well.
    """

    def __init__(self, queue: deque[OrderRequest], poller: Poller, journal: Journal) -> None:
        self.queue = queue
        self.rejected: list[str] = []
        self.lost: dict[int, OrderRequest] = {}
        self.failure: errors.GiftlibError | None = None
        self._poller = poller
        self._client = poller.client
        self._journal = journal
        self._sent = RateLimit(poller.client.clock)
        self._first_minute_ends = poller.client.clock.monotonic() + 60

    def ready_at(self, polls_per_minute: int) -> float:
        """Return when the next order may be placed, so that as many polls as in the last minute still fit into one.

        In the first minute so many are expected.
        """
        now = self._client.clock.monotonic()
        if now >= self._first_minute_ends:
            polls_per_minute = self._client.rate_limit.recent() - self._sent.recent()
        limit = self._client.rate_limit.per_minute
        assert limit is not None
        left = limit - min(polls_per_minute + 1, int(MOST_FOR_POLLS * limit))
        return max(now + self._sent.delay_s(left), self._poller.held_until)

    def place_next(self) -> Placed | None:
        """Place the next order; return it, or None if it was not placed."""
        request, placed = self.queue.popleft(), None
        try:
            placed = place_recorded(request, self._client, self._journal)
        except errors.OrderOutcomeUnknownError as error:
            self.lost[error.intent or 0] = request
        except _REJECTED as error:
            self._reject(request, error)
            self._poller.hold(error)
        except (errors.AuthenticationError, errors.PermissionDeniedError):
            raise
        except errors.GiftlibError as error:
            self.failure = error
            self.queue.clear()
        if placed is None or placed.sent is not None:
            self._sent.count()
        return placed

    def find_lost(self) -> list[str]:
        """Search for the lost orders; return the ids of those found. What was not placed and has a ref is queued."""
        source = self._client.source
        before = set(self._journal.unfinished(source))
        with suppress(errors.GiftlibError):
            recover_orders(self._journal, self._client, tries=_TRIES)
        states = self._journal.intents().set_index("intent")["state"]
        for intent, request in list(self.lost.items()):
            if states[intent] not in ("intended", "unknown"):
                del self.lost[intent]
            if states[intent] == "not placed" and request.ref is not None:
                self.queue.append(request)
            elif states[intent] == "not placed":
                self._reject(request, "the response was lost, and no order was placed")
        return [order_id for order_id in self._journal.unfinished(source) if order_id not in before]

    def _reject(self, request: OrderRequest, reason: object) -> None:
        self.rejected.append(f"{request.quantity} x {request.type_id}: {reason}")
