"""Placing an order, and what to do with it once it is final: the walkthrough of the vendor's guide."""

from collections.abc import Callable

from giftlib.api.client import Client
from giftlib.api.errors import ApiError, GiftlibError, NoAnswerError
from giftlib.api.orders import Card, Order, OrderStatus
from giftlib.api.validation import check_callable, check_count, check_id, check_kind
from giftlib.clock import read
from giftlib.connection import current_client
from giftlib.journal.store import Journal
from giftlib.polling.one_order import OnPoll, check_waiting, poll_order_until_complete
from giftlib.polling.schedules import Schedule


def place_order(
    product_id: str, type_id: str, quantity: int, *, client: Client | None = None, journal: Journal | None = None
) -> str:
    """Buy cards and give the order's id; raises what `Client.place_order` raises.

    The journal holds the intent before the request leaves, and what became of it as soon as that is known.
    """
    check_id("product_id", product_id)
    check_id("type_id", type_id)
    quantity = check_count("quantity", quantity)
    client = current_client(client)
    if journal is None:
        return client.place_order(product_id, type_id, quantity)
    check_kind("journal", journal, Journal)
    client.require_purchase_allowed()
    intent = journal.intend(product_id, type_id, quantity, read(client.clock))
    try:
        order_id = client.place_order(product_id, type_id, quantity)
    except (ApiError, NoAnswerError):
        journal.not_placed(intent, read(client.clock))
        raise
    except BaseException:
        journal.outcome_unknown(intent, read(client.clock))
        raise
    try:
        journal.placed(intent, order_id, read(client.clock))
    except GiftlibError as error:
        raise GiftlibError(f"the order {order_id} was placed, but {error}") from error
    return order_id


def handle_order_result(order: Order, deliver: Callable[[Card], object] | None = None) -> None:
    """Print what the vendor's guide prints for a final order, codes masked, and hand each card to `deliver`.

    What `deliver` raises ends the handling; the cards can be had again with `check_order_status`. Raises ValueError
    for an order that is not final.
    """
    check_callable("deliver", deliver)
    match check_kind("order", order, Order).status:
        case OrderStatus.FULFILLED:
            _say(f"✅ Success: {order.fulfilled_quantity} cards delivered")
            print(f"Cost: {order.fulfilled_amount} DA")
            for number, card in enumerate(order.cards, start=1):
                print(f"Card {number}: {card}")
        case OrderStatus.PARTIALLY_FILLED:
            _say(f"⚠️ Partial: {order.fulfilled_quantity}/{order.quantity} cards")
            print(f"Charged: {order.fulfilled_amount} DA")
            print(f"Refunded: {order.refunded_amount} DA")
            for card in order.cards:
                print(f"Delivered: {card}")
        case OrderStatus.REFUNDED:
            _say("❌ Order failed - full refund issued")
        case status:
            raise ValueError(f"order must be final, got one that is {status or 'without status'}")
    if deliver is not None:
        for card in order.cards:
            deliver(card)


def _say(text: str) -> None:
    """Print, also where the output cannot show every sign: a bought order must not be lost to that."""
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
    interval: float = 5.0,
    timeout: float = 300.0,
    schedule: Schedule | None = None,
    on_poll: OnPoll | None = None,
    progress: bool | None = None,
) -> Order:
    """Place an order, wait for it as `poll_order_until_complete` does, handle it as `handle_order_result` does."""
    check_waiting(max_attempts, interval, timeout, schedule, on_poll)
    check_callable("deliver", deliver)
    print("Placing order...")
    order_id = place_order(product_id, type_id, quantity, client=client, journal=journal)
    print(f"Order placed: {order_id}")
    print("Waiting for fulfillment...")
    order = poll_order_until_complete(
        order_id, max_attempts, interval=interval, timeout=timeout, schedule=schedule, client=client,
        journal=journal, on_poll=on_poll, progress=progress,
    )  # fmt: skip
    handle_order_result(order, deliver)
    return order
