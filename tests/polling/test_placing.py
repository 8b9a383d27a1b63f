from pathlib import Path

import pytest

from giftlib import (
    Journal,
    OrderOutcomeUnknownError,
    check_order_status,
    connect,
    handle_order_result,
    place_order,
    poll_order_until_complete,
    process_order,
)
from giftlib.polling import find_order
from giftlib.sandbox import Fault, Sandbox

PRODUCT = "507f1f77bcf86cd799439011"

PRINTED = {
    "type_001": "✅ Success: 4 cards delivered\nCost: 1960 DA\n"
    "Card 1: Card(****)\nCard 2: Card(****)\nCard 3: Card(****)\nCard 4: Card(****)\n",
    "TEST_PARTIAL": "⚠️ Partial: 2/4 cards\nCharged: 980 DA\nRefunded: 980 DA\n"
    "Delivered: Card(****)\nDelivered: Card(****)\n",
    "TEST_REFUND": "❌ Order failed - full refund issued\n",
}


@pytest.mark.parametrize("type_id", PRINTED)
def test_a_result_is_told_in_the_guides_words_with_the_codes_masked(type_id, capsys):
    with Sandbox() as sandbox:
        process_order(PRODUCT, type_id, 4, client=sandbox.client())
    lines = capsys.readouterr().out.splitlines(keepends=True)
    assert lines[0] == "Placing order...\n"
    assert lines[1].startswith("Order placed: ")
    assert lines[2] == "Waiting for fulfillment...\n"
    assert "".join(lines[3:]) == PRINTED[type_id]


def test_each_card_is_handed_over_once():
    cards = []
    with Sandbox() as sandbox:
        process_order(PRODUCT, "TEST_PARTIAL", 4, client=sandbox.client(), deliver=cards.append)
    assert [card.reveal() for card in cards] == [("SANDBOX-CARD-1", "SANDBOX-1"), ("SANDBOX-CARD-2", "SANDBOX-2")]


def test_an_order_that_is_not_final_is_not_handled():
    with Sandbox() as sandbox:
        [order_id] = sandbox.add_orders(1)
        with pytest.raises(ValueError, match="final, got one that is HANDLING"):
            handle_order_result(check_order_status(order_id, client=sandbox.client()))


GUIDES_ORDER = "6901616fe9e88196b4eb64b3"


def guides_usage(order_id):
    """The usage part of the vendor's Python samples, for this order."""
    guide = Path(__file__).parents[1] / "end_to_end" / "guide"
    samples = [(guide / name).read_text(encoding="utf-8") for name in ("status_check.py", "poll.py")]
    usage = "".join(sample.partition("# Usage\n")[2] for sample in samples)
    return usage.replace(GUIDES_ORDER, order_id) + "handle_order_result(order)\n"


@pytest.mark.parametrize(
    ("type_id", "said"),
    [
        ("type_001", "Success! Cards: 4"),
        ("TEST_PARTIAL", "Partial delivery: 2/4"),
        ("TEST_REFUND", "Order failed and refunded"),
        (None, "Success! Cards: 2"),
    ],
)
def test_the_guides_own_example_runs_with_its_functions_replaced(type_id, said, capsys):
    connect()
    order_id = place_order(PRODUCT, type_id, 4) if type_id else GUIDES_ORDER
    functions = (check_order_status, poll_order_until_complete, handle_order_result)
    exec(guides_usage(order_id), {function.__name__: function for function in functions})
    out = capsys.readouterr().out
    assert out.startswith("Status: HANDLING\nQuantity: 4\n" if type_id else "Status: FULFILLED\nQuantity: 2\n")
    assert said in out
    assert "Error" not in out


def test_a_lost_answer_leaves_an_intent_of_unknown_outcome_that_can_be_found():
    with Sandbox(faults=[Fault.commit_then_drop()]) as sandbox:
        client, journal = sandbox.client(), Journal()
        with pytest.raises(OrderOutcomeUnknownError) as caught:
            place_order(PRODUCT, "type_001", 2, client=client, journal=journal)
        [found] = find_order(caught.value, client=client)
        assert found.order_id in sandbox.truth()
        assert sum("placeOrder" in request.path for request in sandbox.requests) == 1
    assert journal.orders().empty


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("", "type_001", 1), "product_id"), ((5, "type_001", 1), "product_id"), (("..", "type_001", 1), "product_id"),
        ((PRODUCT, "", 1), "type_id"), ((PRODUCT, None, 1), "type_id"),
        ((PRODUCT, "type_001", 0), "quantity"), ((PRODUCT, "type_001", -1), "quantity"),
        ((PRODUCT, "type_001", True), "quantity"), ((PRODUCT, "type_001", 2.5), "quantity"),
        ((PRODUCT, "type_001", "2"), "quantity"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("buy", [place_order, process_order])
def test_bad_arguments_are_named_before_a_request_leaves(buy, arguments, name):
    with Sandbox() as sandbox:
        with pytest.raises(ValueError, match=f"{name} must be"):
            buy(*arguments, client=sandbox.client())
        assert not sandbox.requests
