"""One order: wait until it is final or the timeout passes, handle it, or all that the vendor's guide walks through."""

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal

from giftlib.api import Card, Client, Order, OrderStatus, check_callable, check_id, check_type, errors, retry_delay
from giftlib.connection import current_client
from giftlib.journal import Journal

from .placing import place_order
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
    response, is kept, up to 60 s, or until an early poll before the deadline shows the order. 400, 401, 403 and 404 end
    it at once with their ApiError. PollTimeoutError when attempts or time run out: the order is still being processed.

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
                poller.held_until = now() + retry_delay(poll.order)  # what a refusal before it asked for is over
            times.record(sent, schedule)
            if poller.time_left() <= poller.too_late_s:
                sleep(poller.time_left())
                break
    raise errors.PollTimeoutError(order_id, last_status, poller.requests, now() - times.started) from last_error


def handle_order_result(order: Order, deliver: Callable[[Card], object] | None = None) -> None:
    """Print what the vendor's guide prints for a final order, with hidden codes, and pass each card to `deliver`.

    An exception of `deliver` ends the handling; `check_order_status` returns the cards again. Raise ValueError for an
    order that is not final.

    >>> from giftlib import connect, handle_order_result, place_order, poll_order_until_complete
    >>> client = connect()
    >>> order_id = place_order("507f1f77bcf86cd799439011", "TEST_PARTIAL", 2)
    >>> handle_order_result(poll_order_until_complete(order_id))
    ⚠️ Partial: 1/2 cards
    Charged: 490 DA
    Refunded: 490 DA
    Delivered: Card(****)
    """
    check_callable("deliver", deliver)
    match check_type("order", order, Order).status:
        case OrderStatus.FULFILLED:
            _print(f"✅ Success: {order.delivered_quantity} cards delivered")
            _print(f"Cost: {_dinars(order.fulfilled_amount)}")
            for number, card in enumerate(order.cards, start=1):
                _print(f"Card {number}: {card}")
        case OrderStatus.PARTIALLY_FILLED:
            _print(f"⚠️ Partial: {order.delivered_quantity}/{order.quantity or '?'} cards")
            _print(f"Charged: {_dinars(order.fulfilled_amount)}")
            _print(f"Refunded: {_dinars(order.refunded_amount)}")
            for card in order.cards:
                _print(f"Delivered: {card}")
        case OrderStatus.REFUNDED:
            _print("❌ Order failed - full refund issued")
        case status:
            raise ValueError(f"order must be final, got one that is {status or 'without status'}")
    if deliver is not None:
        for card in order.cards:
            deliver(card)


def _dinars(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount} DA"


def _print(text: str) -> None:
    """Print, if that can be done: an order that was placed must not be lost to an output that is gone."""
    with suppress(Exception):
        try:
            print(text)
        except UnicodeEncodeError:
            print(text.encode("ascii", "replace").decode())


def process_order(
    product_id: str,
    type_id: str,
    quantity: int,
    max_attempts: int = 60,
    *,
    client: Client | None = None,
    journal: Journal | None = None,
    deliver: Callable[[Card], object] | None = None,
    interval: float | None = None,
    timeout: float = 300.0,
    schedule: Schedule | None = None,
    on_poll: OnPoll | None = None,
    progress: bool | None = None,
) -> Order:
    """Place an order, wait for it as `poll_order_until_complete` does, handle it as `handle_order_result` does.

    >>> from giftlib import connect, process_order
    >>> order = process_order("507f1f77bcf86cd799439011", "TEST_REFUND", 1, client=connect())  # doctest: +ELLIPSIS
    Placing order...
    Order placed: ...
    Waiting for fulfillment...
    ❌ Order failed - full refund issued
    """
    waiting = Waiting(interval, timeout, schedule, client, journal, on_poll, progress, max_attempts)
    check_callable("deliver", deliver)
    _print("Placing order...")
    order_id = place_order(product_id, type_id, quantity, client=client, journal=journal)
    _print(f"Order placed: {order_id}")
    _print("Waiting for fulfillment...")
    order = wait_for_one(order_id, waiting)
    handle_order_result(order, deliver)
    return order
