"""Any outcome for any order: by type in the settings, for the next order alone, from the control address."""

from decimal import Decimal
from math import inf

import pytest
import requests
from samples import PRODUCT

from giftlib.sandbox import Outcome, Sandbox, Settings

ENDS = [(0, "REFUNDED"), (1, "PARTIALLY_FILLED"), (2, "PARTIALLY_FILLED"), (3, "FULFILLED"), (9, "FULFILLED")]


@pytest.mark.parametrize(("delivered", "status"), ENDS)
@pytest.mark.parametrize("way", ["setting", "next_order", "control"])
def test_any_outcome(make_sandbox, way, delivered, status):
    """Cards, status, money, list and transactions are those of the chosen outcome."""
    outcome = Outcome(delivered, after_s=4)
    sandbox = make_sandbox(control=True, latency_s=0, outcomes={"type_001": outcome} if way == "setting" else {})
    client = sandbox.client()
    if way == "next_order":
        sandbox.next_order(delivered, 4)
    elif way == "control":
        given = {"delivered": delivered, "after_s": 4}
        assert requests.post(f"{sandbox.url}/_sandbox/next_order", json=given, timeout=5).ok
    order_id = client.place_order(PRODUCT, "type_001", 3)
    sandbox.clock.sleep(3.9)
    assert client.check_order_status(order_id).status == "HANDLING"
    sandbox.clock.sleep(0.2)
    order = client.check_order_status(order_id)
    cards = min(delivered, 3)
    assert (order.status, order.fulfilled_quantity, len(order.cards), order.problems) == (status, cards, cards, ())
    assert order.fulfilled_amount == 490 * cards and order.refunded_amount == 490 * (3 - cards)
    assert [listed.status for listed in client.list_orders()] == [status]
    assert client.balance() == 10_000_000 - 490 * cards
    refunded = sum(row.amount for row in client.transactions() if row.type == "REFUND-ORDER")
    assert refunded == 490 * (3 - cards)


def test_next_orders_alone(make_sandbox):
    """Outcomes queue up for the next orders, go before all others, and the orders after them are as usual."""
    sandbox = make_sandbox(latency_s=0, outcomes={"type_001": Outcome(delivered=1)})
    sandbox.next_order(delivered=0)
    sandbox.next_order(after_s=inf)
    ids = sandbox.add_orders(3, "type_001", quantity=2) + sandbox.add_orders(1, "TEST_REFUND", quantity=2)
    sandbox.clock.sleep(10_000)
    client = sandbox.client()
    shown = [client.check_order_status(order_id).status for order_id in ids]
    assert shown == ["REFUNDED", "HANDLING", "PARTIALLY_FILLED", "REFUNDED"]
    assert sandbox.truth()[ids[1]] == inf


def test_rejected_order_keeps_the_outcome(make_sandbox):
    """An outcome waits for an order that is placed."""
    sandbox = make_sandbox(latency_s=0, opening_balance=1000)
    sandbox.next_order(delivered=0, after_s=0)
    with pytest.raises(ValueError, match="the account holds"):
        sandbox.add_orders(1, quantity=9)
    [order_id] = sandbox.add_orders(1)
    assert sandbox.client().check_order_status(order_id).status == "REFUNDED"


def test_outcomes_by_type(tmp_path):
    """Outcomes are read from and written to JSON."""
    settings = Settings.of(outcomes={"type_002": Outcome(delivered=3, after_s=4), "x": Outcome(after_s=inf)})
    settings.write(tmp_path / "settings.json")
    assert Settings.read(tmp_path / "settings.json") == settings
    assert settings.to_json() == {"outcomes": {"type_002": {"delivered": 3, "after_s": 4}, "x": {"after_s": "inf"}}}


@pytest.mark.parametrize(
    "outcomes",
    [5, {"a": 3}, {"a": {"delivered": -1}}, {"a": {"delivered": 1.5}}, {"a": {"after_s": -1}}, {"a": {"cards": 1}},
     {"a": {"delivered": True}}, [], {"a": {"after_s": "soon"}}],
    ids=str,
)  # fmt: skip
def test_bad_outcomes(outcomes):
    """What is no outcome is a ValueError that says what is accepted."""
    with pytest.raises(ValueError, match="outcome|delivered|after_s"):
        Settings.from_json({"outcomes": outcomes})


def test_outcomes_in_a_state(tmp_path):
    """A sandbox that goes on from its state has the chosen outcomes still."""
    with Sandbox(state=tmp_path / "state", latency_s=0) as sandbox:
        sandbox.next_order(delivered=1, after_s=7)
        sandbox.next_order(after_s=inf)
        ids = sandbox.add_orders(2, quantity=3)
        before = sandbox.truth()
    with Sandbox(state=tmp_path / "state") as sandbox:
        assert sandbox.truth() == before == {ids[0]: 7, ids[1]: inf}
        sandbox.clock.sleep(100)
        assert sandbox.client().check_order_status(ids[0]).fulfilled_quantity == 1


def test_catalog_test_types(make_sandbox):
    """A shop that sells only what is listed can sell the test ids."""
    client = make_sandbox(catalog_test_types=True, test_type_price=Decimal("123.45")).client()
    [product] = [product for product in client.catalog() if product.category == "Sandbox"]
    types = client.check_product(product.product_id).types
    assert [(each.type_id, str(each.price)) for each in types] == [
        ("TEST_REFUND", "123.45"),
        ("TEST_PARTIAL", "123.45"),
    ]
    assert client.place_order(product.product_id, "TEST_PARTIAL", 2)
