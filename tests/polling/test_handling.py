"""What `process_order` and `handle_order_result` print and hand over, in the guide's words."""

from pathlib import Path

import pytest
from samples import ORDER_ID, PRODUCT

from giftlib import (
    Order,
    check_order_status,
    connect,
    handle_order_result,
    place_order,
    poll_order_until_complete,
    process_order,
)

PRINTED = {
    "type_001": "✅ Success: 4 cards delivered\nCost: 1960 DA\n"
    "Card 1: Card(****)\nCard 2: Card(****)\nCard 3: Card(****)\nCard 4: Card(****)\n",
    "TEST_PARTIAL": "⚠️ Partial: 2/4 cards\nCharged: 980 DA\nRefunded: 980 DA\n"
    "Delivered: Card(****)\nDelivered: Card(****)\n",
    "TEST_REFUND": "❌ Order failed - full refund issued\n",
}


@pytest.mark.parametrize("type_id", PRINTED)
def test_printed_result(client, type_id, capsys):
    """A result is printed in the guide's words, with the codes masked."""
    process_order(PRODUCT, type_id, 4, client=client)
    lines = capsys.readouterr().out.splitlines(keepends=True)
    assert lines[0] == "Placing order...\n"
    assert lines[1].startswith("Order placed: ")
    assert lines[2] == "Waiting for fulfillment...\n"
    assert "".join(lines[3:]) == PRINTED[type_id]


def test_more_delivered_than_ordered(capsys):
    """Where more cards came than were ordered, no negative refund is printed."""
    sent = {"status": "PARTIALLY_FILLED", "quantity": 4, "fulfilled_quantity": 9, "fulfilled_amount": 4410}
    handle_order_result(Order.from_response(sent | {"price_per_card": 490}))
    assert capsys.readouterr().out == "⚠️ Partial: 9/4 cards\nCharged: 4410 DA\nRefunded: unknown\n"


def test_deliver(client):
    """Each card is handed over once."""
    cards = []
    process_order(PRODUCT, "TEST_PARTIAL", 4, client=client, deliver=cards.append)
    assert [card.reveal() for card in cards] == [("SANDBOX-CARD-1", "SANDBOX-1"), ("SANDBOX-CARD-2", "SANDBOX-2")]


def test_order_not_final(sandbox, client):
    """An order that is not final is not handled."""
    [order_id] = sandbox.add_orders(1)
    with pytest.raises(ValueError, match="final, got one that is HANDLING"):
        handle_order_result(check_order_status(order_id, client=client))


def guides_usage(order_id):
    """The usage part of the vendor's Python samples, for this order."""
    guide = Path(__file__).parents[1] / "end_to_end" / "guide"
    samples = [(guide / name).read_text(encoding="utf-8") for name in ("status_check.py", "poll.py")]
    usage = "".join(sample.partition("# Usage\n")[2] for sample in samples)
    return usage.replace(ORDER_ID, order_id) + "handle_order_result(order)\n"


@pytest.mark.parametrize(
    ("type_id", "printed"),
    [
        ("type_001", "Success! Cards: 4"),
        ("TEST_PARTIAL", "Partial delivery: 2/4"),
        ("TEST_REFUND", "Order failed and refunded"),
        (None, "Success! Cards: 2"),
    ],
)
def test_guide_example(type_id, printed, capsys):
    """The guide's own example runs with giftlib's functions in place of its own."""
    connect()
    order_id = place_order(PRODUCT, type_id, 4) if type_id else ORDER_ID
    functions = (check_order_status, poll_order_until_complete, handle_order_result)
    exec(guides_usage(order_id), {function.__name__: function for function in functions})
    out = capsys.readouterr().out
    assert out.startswith("Status: HANDLING\nQuantity: 4\n" if type_id else "Status: FULFILLED\nQuantity: 2\n")
    assert printed in out
    assert "Error" not in out


def test_ascii_terminal(client, monkeypatch):
    """A terminal that cannot print the guide's signs does not end the call."""
    monkeypatch.setattr("builtins.print", lambda text: text.encode("ascii"))
    assert process_order(PRODUCT, "type_001", 1, client=client).status == "FULFILLED"


@pytest.mark.parametrize("arguments", [
    {"interval": 0}, {"timeout": -1}, {"max_attempts": 0}, {"deliver": 5}, {"on_poll": "x"}, {"schedule": 5},
    {"interval": 3, "schedule": lambda elapsed, polls: 1.0}, {"journal": "x.db"},
])  # fmt: skip
def test_bad_waiting(server, scripted_client, arguments):
    """If an argument for the wait is wrong, no order is placed."""
    with pytest.raises(ValueError, match="|".join(arguments)):
        process_order(PRODUCT, "type_001", 1, client=scripted_client, **arguments)
    assert server.requests == []
