"""Poll orders once: send the request, record the polls, report them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from math import inf

from giftlib.api import (
    ApiError,
    Client,
    GiftlibError,
    NoAnswerError,
    Order,
    OrderStatus,
    Source,
    is_retryable,
    retry_delay,
)
from giftlib.clock import Timestamp
from giftlib.journal import Journal, Poll

from .progress import Progress

_LEAST_S = 0.001
_LEAST_FOR_JOURNAL_S = 0.1
_SHORTEST_PATIENCE_S = 5.0


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
    `patience_s` how long one of many requests may take. `held_until` is when the wait that a response has asked for
    ends, `is_stopped` whether one that failed has asked for it. After `deadline` nothing is waited for.
    """

    def __init__(self, client: Client, journal: Journal | None, progress: Progress | None) -> None:
        self.client = client
        self.requests = 0
        self.slowest_s = self.held_until = -inf
        self.patience_s = 1e9  # the client's own time-out is shorter
        self.is_stopped = False
        self.deadline = inf
        self._journal = journal
        self._progress = progress or Progress(False, client, None)
        self._attempts = Counter[str]()

    @property
    def response_s(self) -> float:
        """Return how long a response may take: half as long again as any did, or the time-out while none has come."""
        return max(1.5 * self.slowest_s, _LEAST_S) if self.slowest_s >= 0 else self.client.request_timeout

    @property
    def too_late_s(self) -> float:
        """Return how long before a deadline nothing is polled any more."""
        return max(min(self.response_s, 2.0), 2 * _LEAST_S)

    def time_left(self) -> float:
        """Return the seconds until the deadline."""
        return max(self.deadline - self.client.clock.monotonic(), 0.0)

    def wait_for_limit(self) -> float:
        """Wait until the rate limit has room; return the seconds that are left then."""
        self.client.clock.sleep(min(self.client.rate_limit.delay_s(), self.time_left()))
        return self.time_left()

    def check(self, order_id: str, *, timeout: float | None = None) -> Poll:
        """Send one checkOrder request; a failure that may pass is a Poll with an `error`."""
        sent = Timestamp.now(self.client.clock)
        try:
            result: Order | GiftlibError = self.client.check_order_status(order_id, timeout=timeout)
        except (ApiError, NoAnswerError) as error:
            result = error
        except BaseException:
            self.record("check", sent, {order_id: None})
            raise
        [poll] = self.record("check", sent, {order_id: result})
        return poll

    def record(self, via: str, sent: Timestamp, shown: Mapping[str, Order | GiftlibError | None]) -> list[Poll]:
        """Record and report what a request has shown of orders, or why it failed, None if it was interrupted.

        Raise what it failed with if that cannot pass.
        """
        received = Timestamp.now(self.client.clock)
        earliest, latest = self.client.api_time_during(sent.monotonic, received.monotonic)
        self.requests += 1
        self._attempts.update(shown.keys())
        polls = []
        for order_id, result in shown.items():
            made = (order_id, self._attempts[order_id], via, sent, received)
            poll = Poll(*made, "INTERRUPTED") if result is None else Poll.of(*made, result)
            polls.append(replace(poll, earliest=earliest, latest=latest))
        if self._journal is not None:
            timeout = max(self.time_left(), _LEAST_FOR_JOURNAL_S)
            self._journal.record(*polls, source=self.client.source, timeout=timeout)
        self._take_in(polls, received.monotonic - sent.monotonic)
        self._progress.report(*polls)
        for poll in polls:
            if poll.error is not None and not is_retryable(poll.error):
                raise poll.error
        return polls

    def hold(self, response: object) -> None:
        """Keep the wait that a response asks for."""
        self.held_until = max(self.held_until, self.client.clock.monotonic() + retry_delay(response))

    def _take_in(self, polls: list[Poll], took_s: float) -> None:
        """Keep what the polls of one request ask for, and how long it took.

        A request may take ten times as long as any response did, and longer after one that ran out of time.
        """
        for poll in polls:
            if poll.order is not None:
                self.slowest_s = max(self.slowest_s, took_s)
                self.hold(poll.order)
                if not isinstance(poll.order.status, OrderStatus):
                    self._progress.warn_once(
                        poll.outcome,
                        f"order {poll.order_id} has a status that giftlib does not know, so it is taken for open: "
                        f"{poll.outcome}",
                    )
            elif poll.error is not None and is_retryable(poll.error):
                self.hold(poll.error)
                self.is_stopped |= retry_delay(poll.error) > 0
        if took_s > 0.99 * self.patience_s:
            self.patience_s *= 2
        elif self.slowest_s >= 0:
            self.patience_s = max(10 * self.slowest_s, _SHORTEST_PATIENCE_S)
