import io
from dataclasses import asdict
from decimal import Decimal

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giftlib import Sandbox, process_orders
from giftlib.analysis import reconcile_refunds, refund_totals
from giftlib.api.models import Transaction


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
            "in_flight": Decimal(0),
            "unknown_amounts": 2,
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


def test_own_column():
    """A column of one's own with the name of a total is grouped by, and not read as money."""
    orders = orders_of(order("HANDLING", 1)).assign(price_per_card=Decimal("490.10"), in_flight="mine")
    assert refund_totals(orders, "in_flight").loc["mine", "in_flight"] == Decimal("490.10")


@pytest.mark.parametrize("function", [refund_totals, lambda orders: reconcile_refunds(orders, [])])
@pytest.mark.parametrize("name", ["status", "type_id"])
def test_column_twice(function, name):
    """A column that is there twice is named."""
    orders = pd.concat([MIXED.assign(order_id="a", price_per_card=490)[:1], MIXED[[name]][:1]], axis=1)
    with pytest.raises(ValueError, match=f"orders must have each column once, got '{name}' twice"):
        function(orders)


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


@pytest.mark.parametrize("amount", [Decimal("Infinity"), float("inf"), "1,470", "many", True, 1e15, Decimal("1E+120")])
def test_no_amount(amount):
    """What is no amount raises, and is named."""
    with pytest.raises(ValueError, match="fulfilled_amount must hold finite Decimals"):
        refund_totals(orders_of(order(fulfilled_amount=amount), order()))


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


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**13), st.sampled_from(["float", "text", "Decimal"])), min_size=1, max_size=20),
    st.randoms(use_true_random=False),
)
def test_any_form(amounts, random):
    """Floats, texts and Decimals of centimes, in any order of the rows, have the same exact sum."""
    read = {"float": float, "text": str, "Decimal": Decimal}
    rows = [order(refunded_amount=read[form](str(Decimal(centimes).scaleb(-2)))) for centimes, form in amounts]
    random.shuffle(rows)
    assert refund_totals(orders_of(*rows))["refunded"].item().scaleb(2) == sum(centimes for centimes, _ in amounts)


def test_float_dust():
    """What binary floats make of an amount is read to the centime; other decimals stay."""
    orders = orders_of(order(fulfilled_amount=3 * 1326.13), order(fulfilled_amount="0.125"))
    assert 3 * 1326.13 != 3978.39
    assert refund_totals(orders)["charged"].item() == Decimal("3978.515")


@pytest.mark.parametrize("by", [None, "status", "day", ["type_id", "day"]])
def test_csv(by):
    """Orders read back from a CSV file have the same totals."""
    with Sandbox(seed=3) as sandbox:
        batch = [("p" * 24, type_id, 3) for type_id in ("TEST_REFUND", "TEST_PARTIAL", "type_001")]
        journal = process_orders(batch, client=sandbox.client())
    read = pd.read_csv(io.StringIO(journal.orders().to_csv(index=False)))
    pd.testing.assert_frame_equal(refund_totals(read, by), refund_totals(journal, by))


def test_order_twice():
    """An order that is there twice is named; the same id in another source is another order."""
    orders = orders_of(order(), order()).assign(order_id=["a", "a"], source=["emulator", "emulator"])
    with pytest.raises(ValueError, match="each order once, got 'a'"):
        refund_totals(orders)
    with dask.config.set(scheduler="synchronous"), pytest.raises(ValueError, match="each order once, got 'a'"):
        refund_totals(dd.from_pandas(orders, npartitions=2))
    assert refund_totals(orders.assign(source=["emulator", "emulator 2"]))["orders"].item() == 2
    assert refund_totals(orders.assign(order_id=[None, None]))["orders"].item() == 2


@pytest.mark.parametrize("count", [2.5, float("inf"), "two"])
@pytest.mark.parametrize("column", ["quantity", "fulfilled_quantity", "refunded_quantity"])
def test_no_count(column, count):
    """A count that is no whole number raises, and is named."""
    with pytest.raises(ValueError, match=f"{column} must hold whole numbers"):
        refund_totals(pd.DataFrame([order()]).astype({column: object}).assign(**{column: [count]}))


@pytest.mark.parametrize("status", ["fulfilled", "Partially-Filled", " refunded "])
def test_status_in_other_letters(status):
    """A final status counts as final in whatever letters it is written."""
    assert refund_totals(pd.DataFrame([order() | {"status": status}]))["open_orders"].item() == 0


def test_status_no_text():
    """A status that is no text raises."""
    with pytest.raises(ValueError, match=r"status must hold texts, got .*3"):
        refund_totals(pd.DataFrame([order() | {"status": 3}]))


def test_unknown_counts():
    """A final order of which no counts are known has no refund rate, and its amounts are counted as unknown."""
    unknown = {"fulfilled_quantity": None, "refunded_quantity": None, "fulfilled_amount": None, "refunded_amount": None}
    totals = refund_totals(orders_of(order("REFUNDED") | unknown)).loc["all"]
    assert np.isnan(totals["refund_rate"]) and totals["unknown_amounts"] == 2
    assert refund_totals(orders_of(order("REFUNDED") | unknown, order("REFUNDED", 2, 0)))["refund_rate"].item() == 1


def test_over_delivery():
    """More cards than were ordered are no negative refund."""
    totals = refund_totals(orders_of(order("FULFILLED", 2, 3), order("REFUNDED", 1, 0))).loc["all"]
    assert (totals["cards_refunded"], totals["refunded"]) == (1, Decimal("490.50"))


TIMES = [
    "2026-01-01T23:30:00Z",
    "2026-01-02 00:45:00.5+01:00",
    "2026-01-01",
    pd.Timestamp("2026-01-01 05:00", tz="UTC"),
]


def test_times_of_any_form():
    """Texts, times and times without an offset may stand together; what is no time is named."""
    orders = orders_of(*[order(placed_at=time) for time in [*TIMES, None]])
    assert refund_totals(orders, "day")["orders"].to_dict() == {"2026-01-01": 4, "unknown": 1}
    for wrong in ("yesterday", 1.7e9):
        with pytest.raises(ValueError, match="placed_at must hold times"):
            refund_totals(orders_of(order(placed_at=wrong)), "day")


def test_time_zone():
    """Days are those of the time zone of one's choice."""
    assert list(refund_totals(orders_of(order()), "day", time_zone="Africa/Algiers").index) == ["2026-01-02"]
    with pytest.raises(ValueError, match="time_zone must be"):
        refund_totals(orders_of(order()), "day", time_zone="Mars/Base")


def test_transactions():
    """With transactions refunds have the account's day, and the money of open orders is in flight."""
    orders = orders_of(order("REFUNDED", 2, 0, "490"), order("HANDLING", 3)).assign(order_id=["a", "b"])
    rows = [("ORDER", 980, "a", "2026-01-01T23:30Z"), ("ORDER", 1470, "b", "2026-01-01T23:31Z"),
            ("REFUND-ORDER", 980, "a", "2026-01-02T00:01Z")]  # fmt: skip
    books = [Transaction(str(n), kind, "", Decimal(amount), None, None, of, "", pd.Timestamp(time))
             for n, (kind, amount, of, time) in enumerate(rows)]  # fmt: skip
    totals = refund_totals(orders, "refund_day", transactions=books)
    assert totals["refunded"].to_dict() == {"2026-01-02": 980, "unknown": 0}
    assert totals["in_flight"].to_dict() == {"2026-01-02": 0, "unknown": 1470}
    assert list(refund_totals(orders, "charge_day", transactions=books).index) == ["2026-01-01"]
    assert refund_totals(orders.assign(price_per_card=[490, 500.5]))["in_flight"].item() == Decimal("1501.5")


@pytest.mark.parametrize("side", ["orders", "transactions"])
def test_ids_read_as_numbers(side):
    """Totals of days refuse ids that a CSV file made into other numbers, as the reconciliation does."""
    with Sandbox(seed=1) as sandbox:
        client = sandbox.client()
        orders = process_orders([("p", "TEST_REFUND", 1)], client=client).orders()
        transactions = pd.DataFrame([asdict(row) for row in client.transactions()])
    orders, transactions = orders.assign(order_id="0012"), transactions.assign(object_id="0012")
    if side == "orders":
        orders["order_id"] = orders["order_id"].astype(float)
    else:
        transactions["object_id"] = transactions["object_id"].astype(float)
    with pytest.raises(ValueError, match="read the file with dtype=str"):
        refund_totals(orders, by="refund_day", transactions=transactions)


@pytest.mark.parametrize("dtype", ["float32", "Float32", "float16"])
def test_narrow_floats(dtype):
    """Of floats with few bits the amount is the shortest decimal that is theirs, too."""
    amount = "3978.39" if dtype != "float16" else "78.4"
    orders = orders_of(*[order()] * 20).assign(fulfilled_amount=pd.Series([float(amount)] * 20, dtype=dtype))
    assert refund_totals(orders)["charged"].item() == 20 * Decimal(amount)


def test_narrow_floats_unknown():
    """A float with few bits that is missing is no amount."""
    amounts = pd.Series([0.1, None], dtype="float32")
    totals = refund_totals(orders_of(order(), order()).assign(fulfilled_amount=amounts)).loc["all"]
    assert (totals["charged"], totals["unknown_amounts"]) == (Decimal("0.1"), 1)


@pytest.mark.parametrize("column", ["quantity", "fulfilled_quantity", "fulfilled_amount"])
def test_negative(column):
    """What cannot be negative is named with its row; a refund is negative where too many cards were delivered."""
    orders = orders_of(order(), order()).set_axis(["x", "y"])
    orders.loc["y", column] = -3
    with pytest.raises(ValueError, match=f"{column} must be 0 or more, got .*-3.* in row y"):
        refund_totals(orders)


def test_negative_price():
    """A price below 0 is named, in the reconciliation too."""
    orders = orders_of(order("HANDLING")).assign(price_per_card=-1, order_id="a")
    for read in (refund_totals, lambda orders: reconcile_refunds(orders, [])):
        with pytest.raises(ValueError, match="price_per_card must be 0 or more, got -1 in row 0"):
            read(orders)


def test_own_day():
    """A frame's own days count if they are those of UTC or of the time zone; others are named."""
    late = orders_of(order(), order(placed_at=None))
    utc = late.assign(day=pd.Series(["2026-01-01", "unknown"], dtype="category"))
    there = late.assign(day=["2026-01-02", None])
    for orders in (late, utc, there):
        assert list(refund_totals(orders, "day", time_zone="Africa/Algiers").index) == ["2026-01-02", "unknown"]
    assert list(refund_totals(utc, "day").index) == ["2026-01-01", "unknown"]
    with pytest.raises(ValueError, match="day must be that of placed_at in UTC or in time_zone, got '2026-01-02' for"):
        refund_totals(there, "day")
    with dask.config.set(scheduler="synchronous"), pytest.raises(ValueError, match="day must be that of placed_at"):
        refund_totals(dd.from_pandas(there, npartitions=1), "day")


@pytest.mark.parametrize("by", ["refund_day", ["status", "charge_day"]])
def test_days_of_the_account(by):
    """The account's days need its transactions, and the message says so."""
    with pytest.raises(ValueError, match="transactions must be given"):
        refund_totals(MIXED, by)


@pytest.mark.parametrize("by", [[["status"]], [None]])
def test_no_names(by):
    """What cannot name a column is named."""
    with pytest.raises(ValueError, match="by must be the name of a column, got"):
        refund_totals(MIXED, by)
