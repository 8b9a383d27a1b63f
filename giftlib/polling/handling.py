"""Handle a final order, and do the whole walkthrough of the vendor's guide: place, poll, handle."""

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal

from giftlib.api import Card, Client, Order, OrderStatus, check_callable, check_type
from giftlib.journal import Journal

from .one_order import wait_for_one
from .placing import place_order
from .progress import OnPoll
from .schedules import Schedule
from .waiting import Waiting


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
