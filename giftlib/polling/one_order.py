"""Wait for one order: poll, pause, poll again, until it is final or the timeout passes."""

from giftlib.api import Client, Order, check_id, errors
from giftlib.connection import current_client
from giftlib.journal import Journal

from .poller import Poller, identified
from .progress import OnPoll, Progress
from .schedules import Schedule, every
from .waiting import PollTimes, Waiting


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
    return wait_for_one(
        order_id, Waiting(interval, timeout, schedule, client, journal, on_poll, progress, max_attempts)
    )


def wait_for_one(order_id: str, waiting: Waiting) -> Order:
    """Do what `poll_order_until_complete` does."""
    check_id("order_id", order_id)
    schedule, journal = waiting.schedule or every(waiting.interval or 5.0), waiting.journal
    given = [f"{name}={name}" for name in ("client", "journal") if getattr(waiting, name) is not None]
    go_on = f"the order is not final. To go on: poll_order_until_complete({', '.join([repr(order_id), *given])})"
    client = current_client(waiting.client)
    shown = Progress(waiting.progress, client, waiting.on_poll, go_on)
    poller = Poller(client, journal, shown)
    now, sleep = client.clock.monotonic, client.clock.sleep
    times = PollTimes(poller, schedule)
    poller.deadline = times.started + waiting.timeout
    if journal is not None:
        try:
            source = identified(client, waiting.timeout)
        except (errors.ServerError, errors.RateLimitError, errors.NoAnswerError) as error:
            raise errors.PollTimeoutError(order_id, None, 0, now() - times.started) from error
        journal.watch(order_id, source=source, timeout=waiting.timeout)

    last_status, last_error = None, None
    with shown:
        for _ in range(waiting.max_attempts):
            due = times.next_at([poller.deadline])
            shown.waiting([order_id], due)
            sleep(max(due - now(), 0.0))
            left, sent = poller.wait_for_limit(), now()
            poll = poller.check(order_id, timeout=left)
            if poll.order is None:
                last_error = poll.error
            elif poll.order.is_final:
                shown.waiting([], now())
                return poll.order
            else:
                last_status = poll.order.status
            times.record(sent, schedule)
            if poller.time_left() <= poller.too_late_s:
                sleep(poller.time_left())
                break
    raise errors.PollTimeoutError(order_id, last_status, poller.requests, now() - times.started) from last_error
