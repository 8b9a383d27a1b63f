from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giftlib.analysis.refunds import refund_totals


def order(status="FULFILLED", quantity=4, fulfilled=4, price="490.50", **columns):
    open_ = status not in ("FULFILLED", "PARTIALLY_FILLED", "REFUNDED")
    return {
        "status": status,
        "type_id": "t",
        "placed_at": pd.Timestamp("2026-01-01 23:30", tz="UTC"),
        "quantity": quantity,
        "fulfilled_quantity": pd.NA if open_ else fulfilled,
        "refunded_quantity": pd.NA if open_ else quantity - fulfilled,
        "fulfilled_amount": None if open_ else fulfilled * Decimal(price),
        "refunded_amount": None if open_ else (quantity - fulfilled) * Decimal(price),
    } | columns


def orders_of(*rows):
    counts = ["quantity", "fulfilled_quantity", "refunded_quantity"]
    return (
        pd.DataFrame(rows, columns=list(order()))
        .astype(dict.fromkeys(counts, "Int64"))
        .astype(dict.fromkeys(["fulfilled_amount", "refunded_amount"], object))
    )


MIXED = orders_of(
    order(),
    order("PARTIALLY_FILLED", 5, 3, "490"),
    order("REFUNDED", 2, 0, "0.10", type_id=None),
    order("HANDLING", 7),
    order(None, 1),
    order("FULFILLED", 1, 1, "0.20", placed_at=pd.Timestamp("2026-01-02", tz="UTC")),
)


def test_totals_of_all_orders_are_those_worked_by_hand():
    totals = refund_totals(MIXED)
    assert totals.to_dict("index") == {
        "all": {
            "orders": 6,
            "open_orders": 2,
            "cards_ordered": 20,
            "cards_delivered": 8,
            "cards_refunded": 4,
            "charged": Decimal("3432.20"),
            "refunded": Decimal("980.20"),
            "refund_rate": pytest.approx(4 / 12),
        }
    }
    assert all(isinstance(totals[column].iloc[0], Decimal) for column in ("charged", "refunded"))


@pytest.mark.parametrize(
    ("by", "orders"),
    [
        ("status", {"FULFILLED": 2, "HANDLING": 1, "PARTIALLY_FILLED": 1, "REFUNDED": 1, "unknown": 1}),
        ("type_id", {"t": 5, "unknown": 1}),
        ("day", {"2026-01-01": 5, "2026-01-02": 1}),
        (["day"], {"2026-01-01": 5, "2026-01-02": 1}),
        (["day", "type_id"], {("2026-01-01", "t"): 4, ("2026-01-01", "unknown"): 1, ("2026-01-02", "t"): 1}),
    ],
)
def test_groups_come_sorted_one_row_each(by, orders):
    assert list(refund_totals(MIXED, by)["orders"].items()) == list(orders.items())
    assert list(refund_totals(MIXED, by).index.names) == ([by] if isinstance(by, str) else by)


def test_a_day_is_counted_in_utc():
    late = order(placed_at=pd.Timestamp("2026-01-02 00:30", tz="Africa/Algiers"))
    assert list(refund_totals(pd.DataFrame([late]), "day").index) == ["2026-01-01"]


def test_open_orders_have_no_money_and_no_rate():
    totals = refund_totals(orders_of(order("HANDLING"))).loc["all"]
    assert (totals["charged"], totals["refunded"]) == (0, 0) and np.isnan(totals["refund_rate"])


def test_no_orders_total_nothing():
    assert refund_totals(orders_of()).loc["all", ["orders", "charged"]].tolist() == [0, Decimal(0)]
    assert refund_totals(orders_of(), "status").empty


@settings(max_examples=30)
@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=30))
def test_sums_of_money_are_exact(centimes):
    orders = orders_of(*[order(fulfilled_amount=Decimal(amount).scaleb(-2)) for amount in centimes])
    assert refund_totals(orders)["charged"].iloc[0].scaleb(2) == sum(centimes)


def test_sums_longer_than_the_usual_28_digits_are_exact():
    orders = orders_of(order(fulfilled_amount=Decimal(10**30)), order(fulfilled_amount=Decimal("0.01")))
    assert str(refund_totals(orders)["charged"].iloc[0]) == "1" + "0" * 30 + ".01"


@pytest.mark.parametrize("amount", [490.5, 490, Decimal("Infinity")])
def test_money_that_is_not_an_exact_decimal_is_refused(amount):
    with pytest.raises(ValueError, match="fulfilled_amount must hold finite Decimals"):
        refund_totals(orders_of(order(fulfilled_amount=amount)))


@pytest.mark.parametrize(
    ("by", "message"), [("colour", "'colour'"), ([], "at least one column"), (["status", "status"], "each once")]
)
def test_groups_that_cannot_be_made_are_refused(by, message):
    with pytest.raises(ValueError, match=message):
        refund_totals(MIXED, by)


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="'refunded_amount'"):
        refund_totals(MIXED.drop(columns="refunded_amount"))
