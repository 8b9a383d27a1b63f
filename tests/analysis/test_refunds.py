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


def test_hand_worked():
    """The totals are those worked out by hand."""
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
def test_groups(by, orders):
    """There is one row per group, and the groups are sorted."""
    assert list(refund_totals(MIXED, by)["orders"].items()) == list(orders.items())
    assert list(refund_totals(MIXED, by).index.names) == ([by] if isinstance(by, str) else by)


def test_utc_day():
    """A day is the UTC day."""
    late = order(placed_at=pd.Timestamp("2026-01-02 00:30", tz="Africa/Algiers"))
    assert list(refund_totals(pd.DataFrame([late]), "day").index) == ["2026-01-01"]


def test_open_orders():
    """Open orders have no money and no refund rate."""
    totals = refund_totals(orders_of(order("HANDLING"))).loc["all"]
    assert (totals["charged"], totals["refunded"]) == (0, 0) and np.isnan(totals["refund_rate"])


def test_no_orders():
    """Without orders there is nothing to add up."""
    assert refund_totals(orders_of()).loc["all", ["orders", "charged"]].tolist() == [0, Decimal(0)]
    assert refund_totals(orders_of(), "status").empty


@settings(max_examples=30)
@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=30))
def test_exact_sums(centimes):
    """Sums of money are exact to the centime."""
    orders = orders_of(*[order(fulfilled_amount=Decimal(amount).scaleb(-2)) for amount in centimes])
    assert refund_totals(orders)["charged"].iloc[0].scaleb(2) == sum(centimes)


def test_long_sums():
    """Sums with more than the usual 28 digits are exact too."""
    orders = orders_of(order(fulfilled_amount=Decimal(10**30)), order(fulfilled_amount=Decimal("0.01")))
    assert str(refund_totals(orders)["charged"].iloc[0]) == "1" + "0" * 30 + ".01"


@pytest.mark.parametrize("amount", [490.5, 490, Decimal("Infinity")])
def test_inexact_amount(amount):
    """An amount that is not a finite Decimal raises."""
    with pytest.raises(ValueError, match="fulfilled_amount must hold finite Decimals"):
        refund_totals(orders_of(order(fulfilled_amount=amount)))


@pytest.mark.parametrize(
    ("by", "message"), [("colour", "'colour'"), ([], "at least one column"), (["status", "status"], "each once")]
)
def test_invalid_groups(by, message):
    """Groups that cannot be made raise."""
    with pytest.raises(ValueError, match=message):
        refund_totals(MIXED, by)


def test_missing_column():
    """The message names a missing column."""
    with pytest.raises(ValueError, match="'refunded_amount'"):
        refund_totals(MIXED.drop(columns="refunded_amount"))
