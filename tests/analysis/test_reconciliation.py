"""Orders against the account: nothing to tell when all is well, and each thing that is wrong by its name."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giftlib import process_orders, reconcile_refunds
from giftlib.api.models import Transaction
from giftlib.sandbox import Sandbox

PRODUCT = "507f1f77bcf86cd799439011"
KINDS = ["type_001", "TEST_PARTIAL", "TEST_REFUND"]


def all_transactions(client):
    first = client.transactions(1, 100)
    return [*first, *(row for page in range(2, first.total_pages + 1) for row in client.transactions(page, 100))]


def bought(**settings):
    """A frame of six orders, two of a kind, and the account's transactions 100 s later."""
    with Sandbox(**settings) as sandbox:
        client = sandbox.client()
        orders = process_orders([(PRODUCT, kind, 3) for kind in KINDS] * 2, client=client).orders()
        sandbox.clock.sleep(settings.pop("later", 100))
        return orders, all_transactions(client)


@settings(max_examples=10, deadline=None)
@given(st.integers(), st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 9)), min_size=1, max_size=12))
def test_an_honest_account_has_nothing_to_tell(seed, wishes):
    with Sandbox(seed) as sandbox:
        client = sandbox.client()
        journal = process_orders([(PRODUCT, kind, quantity) for kind, quantity in wishes], client=client)
        assert reconcile_refunds(journal.orders(), all_transactions(client)).empty


@pytest.mark.parametrize(("refunds", "problem"), [("missing", "refund missing"), ("doubled", "refunded twice")])
def test_a_wrong_account_is_caught(refunds, problem):
    orders, transactions = bought(refunds=refunds)
    found = reconcile_refunds(orders, transactions)
    assert found["problem"].tolist() == [problem] * 4
    assert found["order_id"].tolist() == orders["order_id"][orders["refunded_quantity"] > 0].tolist()


def test_a_late_refund_is_missing_until_it_comes():
    with Sandbox(refunds="late") as sandbox:
        client = sandbox.client()
        orders = process_orders([(PRODUCT, "TEST_REFUND", 2)], client=client).orders()
        assert reconcile_refunds(orders, all_transactions(client))["problem"].tolist() == ["refund missing"]
        sandbox.clock.sleep(100)
        assert reconcile_refunds(orders, all_transactions(client)).empty


@pytest.fixture(scope="module")
def honest():
    return bought()


def changed(transactions, of, **fields):
    return [replace(row, **fields) if row is of else row for row in transactions]


def of_type(transactions, kind):
    return next(row for row in transactions if row.type == kind)


def test_what_is_wrong_with_the_amounts_is_named_with_both(honest):
    orders, transactions = honest
    charge, refund = of_type(transactions, "ORDER"), of_type(transactions, "REFUND-ORDER")
    for wrong, problem in ((charge, "charge differs"), (refund, "refund differs")):
        found = reconcile_refunds(orders, changed(transactions, wrong, amount=wrong.amount + Decimal("0.01")))
        row = found[found["problem"] == problem].iloc[0]
        assert (row["order_id"], row["transaction_id"]) == (wrong.object_id, wrong.transaction_id)
        assert (row["expected"], row["found"]) == (wrong.amount, wrong.amount + Decimal("0.01"))
        assert "balance does not follow" in found["problem"].tolist()


def test_what_is_there_without_the_other_is_named(honest):
    orders, transactions = honest
    charge = of_type(transactions, "ORDER")
    found = reconcile_refunds(orders, [row for row in transactions if row is not charge])
    assert found["problem"].tolist()[0] == "no charge"
    without = orders[orders["order_id"] != charge.object_id]
    found = reconcile_refunds(without, transactions)
    assert set(found["problem"]) == {"transaction with no order"}
    assert set(found["order_id"]) == {charge.object_id}


def test_an_open_order_needs_no_refund_and_must_not_have_one(honest):
    orders, transactions = honest
    refund = of_type(transactions, "REFUND-ORDER")
    is_open = orders["order_id"] == refund.object_id
    unseen = orders.assign(
        status=orders["status"].mask(is_open, "HANDLING"),
        refunded_amount=orders["refunded_amount"].mask(is_open, None),
    )
    assert reconcile_refunds(unseen, transactions)["problem"].tolist() == ["refund not due"]


def test_pages_that_overlap_count_once_and_a_frame_is_as_good(honest):
    orders, transactions = honest
    assert reconcile_refunds(orders, transactions + transactions[:3]).empty
    assert reconcile_refunds(orders, pd.DataFrame(map(asdict, transactions))).empty


def test_transactions_of_other_kinds_count_for_the_balance(honest):
    orders, transactions = honest
    last = max(transactions, key=lambda row: (row.time, row.transaction_id))
    later = datetime(2027, 1, 1, tzinfo=UTC)
    balance = last.new_balance
    deposit = Transaction("f" * 24, "DEPOSIT", "Increment", Decimal(5), balance, balance + 5, None, "", later)
    assert reconcile_refunds(orders, [*transactions, deposit]).empty
    later = replace(deposit, transaction_id="f" * 23 + "e", time=deposit.time + timedelta(days=1))
    found = reconcile_refunds(orders, [*transactions, deposit, later])
    assert found[["problem", "transaction_id"]].values.tolist() == [["balance does not follow", later.transaction_id]]


@pytest.mark.parametrize("column", ["order_id", "status", "quantity", "price_per_card", "refunded_amount"])
def test_a_missing_column_is_named(honest, column):
    with pytest.raises(ValueError, match=f"orders must have the column '{column}'"):
        reconcile_refunds(honest[0].drop(columns=column), honest[1])


@pytest.mark.parametrize("word", ["decrement", "OUT", "Debit", None])
def test_which_way_money_went_is_known_from_the_type_not_from_a_word_that_nobody_has_seen(honest, word):
    orders, transactions = honest
    assert reconcile_refunds(orders, [replace(row, operation=word) for row in transactions]).empty


def test_what_costs_nothing_needs_no_movement(honest):
    orders, _ = honest
    free = orders.assign(price_per_card=Decimal(0), refunded_amount=Decimal(0), fulfilled_amount=Decimal(0))
    assert reconcile_refunds(free, []).empty


@pytest.mark.parametrize("kind", ["float", "Float64", "Int64", object])
def test_counts_may_be_of_any_kind(honest, kind):
    orders, transactions = honest
    assert reconcile_refunds(orders.assign(quantity=orders["quantity"].astype(kind)), transactions).empty


@pytest.mark.parametrize("unknown", [None, float("nan"), pd.NA])
def test_what_an_order_does_not_tell_is_not_held_against_the_account(honest, unknown):
    orders, transactions = honest
    blank = orders.astype({"price_per_card": object, "refunded_amount": object})
    blank.loc[:, ["price_per_card", "refunded_amount"]] = unknown
    assert reconcile_refunds(blank, transactions).empty


def test_a_row_without_an_order_is_passed_over(honest):
    orders, transactions = honest
    more = pd.concat([orders, pd.DataFrame([{"order_id": None, "status": "REFUNDED"}])], ignore_index=True)
    assert reconcile_refunds(more.astype({"quantity": "Int64"}), transactions).empty
