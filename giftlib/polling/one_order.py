"""Waiting for one order: look, pause, look again, until it is final or the time is up."""

import warnings
from collections.abc import Callable

from giftlib.api.client import Client
from giftlib.api.errors import ApiError, NoAnswerError, PollTimeoutError, asked_pause, may_pass
from giftlib.api.orders import Order, OrderStatus
from giftlib.api.validation import check_callable, check_count, check_id, check_kind, check_seconds
from giftlib.clock import read
from giftlib.connection import current_client
from giftlib.journal.poll import Poll, failed_poll, seen_poll
from giftlib.journal.store import Journal
from giftlib.polling.progress import progress_bar
from giftlib.polling.schedules import PollTime, Schedule, every

OnPoll = Callable[[Poll], object]


def check_order_status(order_id: str, *, client: Client | None = None) -> Order:
    """One look at an order. Raises what `Client.check_order_status` raises."""
    return current_client(client).check_order_status(order_id)


def poll_order_until_complete(
    order_id: str,
    max_attempts: int = 60,
    *,
    interval: float = 5.0,
    timeout: float = 300.0,
    schedule: Schedule | None = None,
    client: Client | None = None,
    journal: Journal | None = None,
    on_poll: OnPoll | None = None,
    progress: bool | None = None,
) -> Order:
    """Look at an order until it is final, and give it as it then is: also a `REFUNDED` order is a result.

    The first look is made at once, then one `interval` seconds after each answer, or as `schedule` says, and the
    last so that its answer can come within `timeout` seconds. Neither a pause nor a request outlasts that time.

    A look that fails (no answer, 429, 5xx) does not end the wait; what `Retry-After` asks for is kept to, up to
    60 s. 400, 401, 403 and 404 end it at once with their ApiError. When attempts or time run out: PollTimeoutError,
    which means that the order is still being processed.

    Every look goes to the `journal` and then to `on_poll` as a `Poll`; what `on_poll` raises is warned of once and
    cannot end the wait. `progress` shows a bar: True, False, or None for "if a person waits in real time".
    """
    check_id("order_id", order_id)
    check_waiting(max_attempts, interval, timeout, schedule, on_poll)
    schedule = every(interval) if schedule is None else schedule
    client = current_client(client)
    looker = Looker(client, journal, on_poll)
    if journal is not None:
        journal.watch(order_id)

    now = client.clock.monotonic
    started = now()
    looks: list[PollTime] = []
    last_status, last_error = None, None
    asked_to_wait, slowest = 0.0, 0.0
    with progress_bar(progress, client.clock, total=timeout, unit="s", description=f"order {order_id}") as bar:
        for attempt in range(1, max_attempts + 1):
            pause = max(schedule(now() - started, looks), asked_to_wait)
            left = started + timeout - now()
            # The last look leaves time for its answer: as much as the slowest so far took.
            last_pause = left - min(slowest, pause / 2)
            is_last = pause >= last_pause
            client.clock.sleep(max(min(pause, last_pause), 0.0))

            poll = looker.look(order_id, attempt, timeout=max(started + timeout - now(), 0.0))
            bar.update(min(now() - started, timeout) - bar.n)
            if poll.order is not None:
                last_status = poll.order.status
                if poll.order.is_final:
                    return poll.order
            else:
                last_error = poll.error
            looks.append(PollTime(poll.sent.monotonic - started, poll.received.monotonic - started))
            asked_to_wait = asked_pause(poll.error)
            slowest = max(slowest, poll.latency_s)
            if is_last:
                client.clock.sleep(max(started + timeout - now(), 0.0))
                break
    raise PollTimeoutError(order_id, last_status, attempt, now() - started) from last_error


def check_waiting(
    max_attempts: int, interval: float, timeout: float, schedule: Schedule | None, on_poll: OnPoll | None
) -> None:
    """Raise ValueError unless an order can be waited for like that."""
    check_count("max_attempts", max_attempts)
    check_seconds("interval", interval)
    check_seconds("timeout", timeout)
    check_callable("schedule", schedule)
    check_callable("on_poll", on_poll)
    if schedule is not None and interval != 5.0:
        raise ValueError(f"give interval or schedule, not both: got interval={interval!r}, schedule={schedule!r}")


class Looker:
    """Looks at orders for a wait: records each look, tells the observer, and raises only what must end the wait."""

    def __init__(self, client: Client, journal: Journal | None, on_poll: OnPoll | None) -> None:
        self._client = client
        self._journal = journal if journal is None else check_kind("journal", journal, Journal)
        self._on_poll = on_poll
        self._warned: set[str] = set()

    def look(self, order_id: str, attempt: int, *, timeout: float | None = None) -> Poll:
        """One checkOrder request. A failure that another look may not meet is a Poll with an `error`."""
        sent = read(self._client.clock)
        try:
            order = self._client.check_order_status(order_id, timeout=timeout)
        except (ApiError, NoAnswerError) as error:
            poll = failed_poll(order_id, attempt, "check", sent, read(self._client.clock), error)
        except BaseException:
            self.note(Poll(order_id, attempt, "check", sent, read(self._client.clock), "INTERRUPTED"))
            raise
        else:
            poll = seen_poll(order_id, attempt, "check", sent, read(self._client.clock), order)
        self.note(poll)
        if poll.error is not None and not may_pass(poll.error):
            raise poll.error
        return poll

    def note(self, *polls: Poll) -> None:
        """Record looks and tell the observer of them."""
        if self._journal is not None:
            self._journal.record(*polls)
        for poll in polls:
            if poll.order is not None and poll.order.status not in OrderStatus.__members__:
                self._warn_once(
                    poll.outcome,
                    f"order {poll.order_id} has a status that giftlib does not know, taken for open: {poll.outcome}",
                )
            if self._on_poll is not None:
                try:
                    self._on_poll(poll)
                except Exception as error:
                    self._warn_once("on_poll", f"on_poll raised {type(error).__name__}: {error}; the wait goes on")

    def _warn_once(self, about: str, message: str) -> None:
        if about not in self._warned:
            self._warned.add(about)
            warnings.warn(message, stacklevel=4)
