"""Poll one order once: send the request, record the poll, report it."""

from dataclasses import replace
from math import inf

from giftlib.api import (
    ApiError,
    Client,
    GiftlibError,
    NoAnswerError,
    Order,
    OrderStatus,
    Page,
    Source,
    is_retryable,
    retry_delay,
)
from giftlib.clock import Timestamp
from giftlib.journal import Journal, Poll

from .progress import Progress

_LEAST_FOR_JOURNAL_S = 0.1


def identified(client: Client, timeout: float) -> Source:
    """Return the client's source; what fails in a way that may pass is tried again every 5 s, for `timeout` seconds."""
    until = client.clock.monotonic() + timeout
    while True:
        try:
            return client.identify(timeout=max(until - client.clock.monotonic(), 0.0))
        except (ApiError, NoAnswerError) as error:
            pause = max(retry_delay(error), 5.0)
            if not is_retryable(error) or client.clock.monotonic() + pause >= until:
                raise
        client.clock.sleep(pause)


class Poller:
    """Poll orders for one wait; raise only the errors that must end it.

    `requests` counts the requests sent, `slowest_s` is the longest that a response took (-infinity before the first),
    `retry_delay_s` the longest wait that a failed poll has asked for since it was last set to 0, `next_delay_s` that of
    a successful one, `deadline` the clock's monotonic time after which nothing waits for the journal.
    """

    def __init__(self, client: Client, journal: Journal | None, progress: Progress | None) -> None:
        self.client = client
        self.requests = 0
        self.slowest_s = -inf
        self.retry_delay_s = self.next_delay_s = 0.0
        self.deadline = inf
        self._journal = journal
        self._progress = progress or Progress(False, client, None)
        self._attempts: dict[str, int] = {}

    @property
    def response_s(self) -> float:
        """Return how long a response may take: half as long again as any did, or the time-out while none has come."""
        return 1.5 * self.slowest_s if self.slowest_s >= 0 else self.client.request_timeout

    def check(self, order_id: str, *, timeout: float | None = None) -> Poll:
        """Send one checkOrder request; a failure that may pass is a Poll with an `error`."""
        sent, attempt = Timestamp.now(self.client.clock), self.next_attempt(order_id)
        self.requests += 1
        try:
            result: Order | GiftlibError = self.client.check_order_status(order_id, timeout=timeout)
        except (ApiError, NoAnswerError) as error:
            result = error
        except BaseException:
            received = Timestamp.now(self.client.clock)
            self.record(Poll(order_id, attempt, "check", sent, received, "INTERRUPTED"))
            raise
        poll = Poll.of(order_id, attempt, "check", sent, Timestamp.now(self.client.clock), result)
        self.record(poll)
        if poll.error is not None and not is_retryable(poll.error):
            raise poll.error
        return poll

    def next_attempt(self, order_id: str) -> int:
        """Return the number of the next poll of that order."""
        self._attempts[order_id] = self._attempts.get(order_id, 0) + 1
        return self._attempts[order_id]

    def delay_for(self, shown: Order | Page[Order]) -> None:
        """Keep the wait that a successful poll asks for, if it is the longest."""
        self.next_delay_s = max(self.next_delay_s, retry_delay(shown))

    def record(self, *polls: Poll) -> None:
        """Record polls, with the API's time of each, and report them."""
        times = [self.client.api_time_during(poll.sent.monotonic, poll.received.monotonic) for poll in polls]
        polls = tuple(replace(poll, earliest=since, latest=by) for poll, (since, by) in zip(polls, times, strict=True))
        if self._journal is not None:
            left = max(self.deadline - self.client.clock.monotonic(), _LEAST_FOR_JOURNAL_S)
            self._journal.record(*polls, source=self.client.source, timeout=left)
        for poll in polls:
            if poll.order is not None:
                self.slowest_s = max(self.slowest_s, poll.latency_s)
                self.delay_for(poll.order)
                if not isinstance(poll.order.status, OrderStatus):
                    self._progress.warn_once(
                        poll.outcome,
                        f"order {poll.order_id} has a status that giftlib does not know, so it is taken for open: "
                        f"{poll.outcome}",
                    )
            if poll.error is not None and is_retryable(poll.error):
                self.retry_delay_s = max(self.retry_delay_s, retry_delay(poll.error))
        self._progress.report(*polls)
