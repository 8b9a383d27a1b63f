"""Wait for one order: poll, pause, poll again, until it is final or the timeout passes."""

from giftlib.api import Client, Order, check_callable, check_count, check_id, check_seconds, check_type, errors
from giftlib.connection import current_client
from giftlib.journal import Journal

from .poller import Poller, identified
from .progress import OnPoll, Progress
from .schedules import PollTime, Schedule, every, latest_pause, next_pause

_SHORTEST_PAUSE_S = 1.0


def check_order_status(order_id: str, *, client: Client | None = None) -> Order:
    """Poll an order once and return it; raise what `Client.check_order_status` raises.

    >>> from giftlib import check_order_status, connect
    >>> client = connect()
    >>> check_order_status(client.place_order("507f1f77bcf86cd799439011", "TEST_REFUND", 1)).status.value
    'HANDLING'
    """
    return current_client(client).check_order_status(order_id)


def poll_order_until_complete(
    order_id: str,
    max_attempts: int = 60,
    *,
    interval: float | None = None,
    timeout: float = 300.0,
    schedule: Schedule | None = None,
    client: Client | None = None,
    journal: Journal | None = None,
    on_poll: OnPoll | None = None,
    progress: bool | None = None,
) -> Order:
    """Poll an order until it is final, and return it as it then is; a `REFUNDED` order is a result too.

    The first poll is sent immediately, each further one `interval` (5) seconds after the response to the one before,
    or as `schedule` says, and the last one early enough for its response to come within `timeout` seconds. Neither a
    pause nor a request lasts longer than that.

    A poll that fails (no response, 429, 5xx) does not end the wait; the wait that `Retry-After` asks for, in whatever
    response, is kept, up to 60 s. 400, 401, 403 and 404 end it at once with their ApiError. PollTimeoutError when
    attempts or time run out: the order is still being processed.

    Every poll goes to the `journal` and then to `on_poll` as a `Poll`; an exception of `on_poll` is warned of once and
    does not end the wait. `progress` shows a panel in a notebook, or a bar: True, False, or None for
    "if a person waits in real time".

    >>> from giftlib import connect, poll_order_until_complete
    >>> client = connect()
    >>> poll_order_until_complete(client.place_order("507f1f77bcf86cd799439011", "TEST_REFUND", 2)).refunded_quantity
    2
    """
    check_id("order_id", order_id)
    check_waiting(interval, timeout, schedule, on_poll, journal, max_attempts)
    schedule = schedule or every(interval or 5.0)
    given = {"client": client, "journal": journal}
    options = [repr(order_id), *(f"{name}={name}" for name, value in given.items() if value is not None)]
    go_on = f"the order is not final. To go on: poll_order_until_complete({', '.join(options)})"
    client = current_client(client)
    shown = Progress(progress, client, on_poll, go_on)
    poller = Poller(client, journal, shown)
    now = client.clock.monotonic
    started = now()
    poller.deadline = started + timeout
    if journal is not None:
        try:
            source = identified(client, timeout)
        except (errors.ServerError, errors.RateLimitError, errors.NoAnswerError) as error:
            raise errors.PollTimeoutError(order_id, None, 0, now() - started) from error
        journal.watch(order_id, source=source, timeout=timeout)

    polls: list[PollTime] = []
    last_status, last_error = None, None
    with shown:
        for _ in range(max_attempts):
            planned = next_pause(schedule, now() - started if polls else 0.0, polls)
            pause = max(planned, poller.retry_delay_s, poller.next_delay_s)
            left = started + timeout - now()
            last_pause = latest_pause(left, poller.response_s) if polls else max(left - poller.response_s, 0.0)
            # Before it is known how long a response takes, a poll that leaves time for it need not be the last one.
            is_last = pause >= last_pause and (
                (poller.slowest_s >= 0 and poller.response_s < left) or (bool(polls) and last_pause < _SHORTEST_PAUSE_S)
            )
            shown.waiting([order_id], now() + min(pause, last_pause))
            client.clock.sleep(min(pause, last_pause))
            client.clock.sleep(min(client.rate_limit.delay_s(), max(started + timeout - now(), 0.0)))

            poller.retry_delay_s = poller.next_delay_s = 0.0
            poll = poller.check(order_id, timeout=max(started + timeout - now(), 0.0))
            if poll.order is not None:
                last_status = poll.order.status
                if poll.order.is_final:
                    shown.waiting([], now())
                    return poll.order
            else:
                last_error = poll.error
            polls.append(PollTime(poll.sent.monotonic - started, poll.received.monotonic - started))
            if is_last or now() >= started + timeout:
                client.clock.sleep(max(started + timeout - now(), 0.0))
                break
    raise errors.PollTimeoutError(order_id, last_status, poller.requests, now() - started) from last_error


def check_waiting(
    interval: float | None,
    timeout: float,
    schedule: Schedule | None,
    on_poll: OnPoll | None,
    journal: Journal | None,
    max_attempts: int = 1,
) -> None:
    """Raise ValueError for arguments with which no order can be waited for."""
    check_count("max_attempts", max_attempts)
    check_seconds("timeout", timeout)
    check_callable("schedule", schedule)
    check_callable("on_poll", on_poll)
    if journal is not None:
        check_type("journal", journal, Journal)
    if interval is not None:
        check_seconds("interval", interval)
        if schedule is not None:
            raise ValueError(f"give interval or schedule, not both: got interval={interval!r}, schedule={schedule!r}")
