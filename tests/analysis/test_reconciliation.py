"""Orders against the account: no mismatch when all is well, and each problem by its name."""

import io
import random
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import dask.dataframe as dd
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giftlib import process_orders, reconcile_refunds, refund_totals
from giftlib.api.models import Transaction
from giftlib.sandbox import Sandbox
from giftlib.sandbox.catalog import SAMPLE_PRODUCT

TYPES = ["type_001", "TEST_PARTIAL", "TEST_REFUND"]


def all_transactions(client):
    first = client.transactions(1, 100)
    return [*first, *(row for page in range(2, first.total_pages + 1) for row in client.transactions(page, 100))]


def placed(**settings):
    """A frame of six orders, two per type, and the account's transactions 100 s later."""
    with Sandbox(**settings) as sandbox:
        client = sandbox.client()
        orders = process_orders([(SAMPLE_PRODUCT, type_id, 3) for type_id in TYPES] * 2, client=client).orders()
        sandbox.clock.sleep(settings.pop("later", 100))
        return orders, all_transactions(client)


@settings(max_examples=10, deadline=None)
@given(st.integers(), st.lists(st.tuples(st.sampled_from(TYPES), st.integers(1, 9)), min_size=1, max_size=12))
def test_honest_account(seed, requests):
    """An account that matches the orders gives no mismatch."""
    with Sandbox(seed) as sandbox:
        client = sandbox.client()
        journal = process_orders([(SAMPLE_PRODUCT, *request) for request in requests], client=client)
        assert reconcile_refunds(journal.orders(), all_transactions(client)).empty


@pytest.mark.parametrize(("refunds", "problem"), [("missing", "refund missing"), ("doubled", "refunded twice")])
def test_wrong_account(refunds, problem):
    """A missing or doubled refund is named, with its order."""
    orders, transactions = placed(refunds=refunds)
    found = reconcile_refunds(orders, transactions)
    assert reconcile_refunds(dd.from_pandas(orders, npartitions=2), transactions).equals(found)
    assert found["problem"].tolist() == [problem] * 4
    assert found["order_id"].tolist() == orders["order_id"][orders["refunded_quantity"] > 0].tolist()


def test_late_refund():
    """A late refund is missing until it comes."""
    with Sandbox(refunds="late") as sandbox:
        client = sandbox.client()
        orders = process_orders([(SAMPLE_PRODUCT, "TEST_REFUND", 2)], client=client).orders()
        assert reconcile_refunds(orders, all_transactions(client))["problem"].tolist() == ["refund missing"]
        sandbox.clock.sleep(100)
        assert reconcile_refunds(orders, all_transactions(client)).empty


@pytest.fixture(scope="module")
def honest():
    return placed()


def changed(transactions, of, **fields):
    return [replace(row, **fields) if row is of else row for row in transactions]


def of_type(transactions, name):
    return next(row for row in transactions if row.type == name)


def test_wrong_amounts(honest):
    """A wrong amount is shown beside the expected one."""
    orders, transactions = honest
    charge, refund = of_type(transactions, "ORDER"), of_type(transactions, "REFUND-ORDER")
    for wrong, problem in ((charge, "charge differs"), (refund, "refund differs")):
        found = reconcile_refunds(orders, changed(transactions, wrong, amount=wrong.amount + Decimal("0.01")))
        row = found[found["problem"] == problem].iloc[0]
        assert (row["order_id"], row["transaction_id"]) == (wrong.object_id, wrong.transaction_id)
        assert (row["expected"], row["found"]) == (wrong.amount, wrong.amount + Decimal("0.01"))
        assert "balance does not follow" in found["problem"].tolist()


def test_unmatched(honest):
    """An order without a charge, and transactions without their order, are named."""
    orders, transactions = honest
    charge = of_type(transactions, "ORDER")
    found = reconcile_refunds(orders, [row for row in transactions if row is not charge])
    assert found["problem"].tolist()[0] == "no charge"
    without = orders[orders["order_id"] != charge.object_id]
    found = reconcile_refunds(without, transactions)
    assert set(found["problem"]) == {"transaction with no order"}
    assert set(found["order_id"]) == {charge.object_id}


def test_open_order(honest):
    """An open order needs no refund; one that the account has already is in flight."""
    orders, transactions = honest
    refund = of_type(transactions, "REFUND-ORDER")
    is_open = orders["order_id"] == refund.object_id
    unseen = orders.assign(
        status=orders["status"].mask(is_open, "HANDLING"), refunded_amount=orders["refunded_amount"].mask(is_open, None)
    )
    assert reconcile_refunds(unseen, transactions)["problem"].tolist() == ["in flight"]


def test_overlapping_pages(honest):
    """Transactions of overlapping pages count once; a frame of transactions will do too."""
    orders, transactions = honest
    assert reconcile_refunds(orders, transactions + transactions[:3]).empty
    assert reconcile_refunds(orders, pd.DataFrame(map(asdict, transactions))).empty


def test_other_types(honest):
    """Transactions of other types count for the balance."""
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
def test_missing_column(honest, column):
    """The message names a missing column."""
    with pytest.raises(ValueError, match=f"orders must have the column '{column}'"):
        reconcile_refunds(honest[0].drop(columns=column), honest[1])


@pytest.mark.parametrize("word", ["decrement", "OUT", "Debit", None])
def test_undocumented_operation(honest, word):
    """The type says whether a transaction lowers the balance, not the undocumented field `operation`."""
    orders, transactions = honest
    assert reconcile_refunds(orders, [replace(row, operation=word) for row in transactions]).empty


def test_free_order(honest):
    """An order that costs nothing needs no transaction."""
    orders, _ = honest
    free = orders.assign(price_per_card=Decimal(0), refunded_amount=Decimal(0), fulfilled_amount=Decimal(0))
    assert reconcile_refunds(free, []).empty


@pytest.mark.parametrize("dtype", ["float", "Float64", "Int64", object])
def test_count_types(honest, dtype):
    """Counts may have any type of column."""
    orders, transactions = honest
    assert reconcile_refunds(orders.assign(quantity=orders["quantity"].astype(dtype)), transactions).empty


@pytest.mark.parametrize("unknown", [None, float("nan"), pd.NA])
def test_unknown_amounts(honest, unknown):
    """A charge or refund that cannot be compared is a row, not a match."""
    orders, transactions = honest
    blank = orders.astype({"price_per_card": object, "refunded_amount": object})
    blank.loc[:, ["price_per_card", "refunded_amount"]] = unknown
    problems = reconcile_refunds(blank, transactions)["problem"].value_counts().to_dict()
    assert problems == {"charge not comparable, price unknown": 6, "refund not comparable, amount unknown": 4}


@pytest.mark.parametrize(
    ("columns", "problems"),
    [
        ({}, ["refund missing"]),
        ({"status": "Refunded"}, ["refund missing"]),
        ({"quantity": None}, ["charge not comparable, price unknown", "refund missing, amount unknown"]),
        ({"status": "PARTIALLY_FILLED"}, ["refund missing, amount unknown"]),
        ({"status": "PARTIALLY_FILLED", "refunded_quantity": 1}, ["refund missing"]),
        ({"status": "FULFILLED"}, []),
        ({"status": "HANDLING"}, []),
    ],
)
def test_refund_without_amount(columns, problems):
    """A refund of unknown amount that did not come is named, with the amount where cards and price tell it."""
    found = reconcile_refunds(one_order(refunded_amount=None, **columns), refunded())
    assert found["problem"].tolist() == problems
    due = found["expected"][found["problem"] == "refund missing"].tolist()
    assert due == [(490 * columns.get("refunded_quantity", 3))] * len(due)


def test_row_without_order(honest):
    """A row without an order id is skipped."""
    orders, transactions = honest
    more = orders.reset_index(drop=True).reindex(range(len(orders) + 1))
    more.loc[len(orders), "status"] = "REFUNDED"
    assert pd.isna(more["order_id"].iloc[-1])
    assert reconcile_refunds(more, transactions).empty


DUE = Decimal(1470)


def books(*rows, together=False):
    """Transactions of order "b": (type, amount) each, with balances that follow."""
    balance, made = Decimal(2000), []
    for number, (kind, amount) in enumerate(rows):
        new = balance + (-amount if kind == "ORDER" else amount)
        time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=0 if together else number)
        made.append(Transaction(f"{random.Random(number).random()}", kind, "", amount, balance, new, "b", "", time))
        balance = new
    return made


def one_order(**columns):
    row = {"order_id": "b", "status": "REFUNDED", "quantity": 3, "price_per_card": Decimal(490), "refunded_amount": DUE}
    return pd.DataFrame([row | columns])


def refunded(*parts):
    return books(("ORDER", DUE), *(("REFUND-ORDER", Decimal(part)) for part in parts))


@pytest.mark.parametrize(
    ("parts", "problems"),
    [((490, 980), []), ((490, 490, 490), []), ((1470, 1470), ["refunded twice"]), ((490, 490), ["refund differs"])],
)
def test_parts(parts, problems):
    """Refunds in parts that add up are fine; what comes after, or is missing, is named."""
    assert reconcile_refunds(one_order(), refunded(*parts))["problem"].tolist() == problems


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8), st.randoms(use_true_random=False), st.booleans())
def test_any_split(centimes, shuffler, together):
    """Any split of a refund adds up, whatever the order of the rows, with floats, and when all have the same time."""
    parts = [Decimal(part).scaleb(-2) for part in centimes]
    order = one_order(quantity=1, price_per_card=float(sum(parts)), refunded_amount=str(sum(parts)))
    rows = books(("ORDER", sum(parts)), *(("REFUND-ORDER", part) for part in parts), together=together)
    shuffler.shuffle(rows)
    frame = pd.DataFrame(map(asdict, rows))
    amounts = ["amount", "old_balance", "new_balance"]
    assert reconcile_refunds(order, rows).empty
    assert reconcile_refunds(order, frame.astype(dict.fromkeys(amounts, float))).empty


def test_csv(honest):
    """Orders and transactions read back from CSV files have the same mismatches."""
    orders, transactions = honest
    missing = [row for row in transactions if row is not of_type(transactions, "REFUND-ORDER")]
    for rows in (transactions, missing):
        frames = [orders, pd.DataFrame(map(asdict, rows))]
        read = [pd.read_csv(io.StringIO(frame.to_csv(index=False))) for frame in frames]
        assert reconcile_refunds(*read).equals(reconcile_refunds(orders, rows))


def test_order_twice(honest):
    """An order that is there twice is named."""
    with pytest.raises(ValueError, match="each order once, got '[0-9a-f]{24}'"):
        reconcile_refunds(pd.concat([honest[0]] * 2), honest[1])


@pytest.mark.parametrize("columns", [
    {"refunded_amount": Decimal(-490)}, {"refunded_amount": None, "fulfilled_quantity": 4},
])  # fmt: skip
def test_over_delivery(columns):
    """More cards than were ordered are named, with their worth, and no refund is due."""
    order = one_order(status="FULFILLED", **columns)
    found = reconcile_refunds(order, books(("ORDER", DUE)))
    assert found[["problem", "expected", "found"]].values.tolist() == [["delivered too many", 1470, 1960]]


def test_unknown_price():
    """A charge that is missing is named as such when the price is not known."""
    assert reconcile_refunds(one_order(price_per_card=None, refunded_amount=None), [])["problem"].tolist() == [
        "no charge, price unknown", "refund missing, amount unknown"
    ]  # fmt: skip


def test_when_refunded():
    """A correct refund that came on another day, or late, is named as that."""
    rows = refunded(1470)
    order = one_order(placed_at="2025-12-31T23:59:50Z", done_by_s=5.0)
    assert reconcile_refunds(order, rows)["problem"].tolist() == ["refunded on another day"]
    assert reconcile_refunds(order, rows, time_zone="Africa/Algiers").empty
    late = reconcile_refunds(order, rows, time_zone="Africa/Algiers", late_after_s=5)
    assert late[["problem", "expected", "found"]].values.tolist() == [["refund late", 1470, 1470]]


def test_late_in_timedeltas():
    """Timedeltas are seconds too, and what is no time is named."""
    rows, order = refunded(1470), one_order(placed_at="2025-12-31T23:59:50Z", done_by_s=5.0)
    options = {"time_zone": "Africa/Algiers", "late_after_s": 5}
    late = reconcile_refunds(order.assign(done_by_s=pd.to_timedelta([5.0], unit="s")), rows, **options)
    pd.testing.assert_frame_equal(late, reconcile_refunds(order, rows, **options))
    with pytest.raises(ValueError, match="done_by_s must hold seconds as numbers or timedeltas, got 'soon'"):
        reconcile_refunds(order.assign(done_by_s="soon"), rows)


def test_same_time():
    """Transactions of one time follow their balances, also where a balance comes back; a gap among them is named."""
    order = pd.concat([one_order(), one_order(order_id="c", status="FULFILLED", refunded_amount=Decimal(0))])
    rows = books(("ORDER", DUE), ("REFUND-ORDER", DUE), ("ORDER", DUE), ("DEPOSIT", Decimal(5)), together=True)
    rows[2] = replace(rows[2], object_id="c")
    for seed in range(10):
        shuffled = [
            replace(row, transaction_id=f"{seed}{random.Random(f'{seed}{n}').random()}") for n, row in enumerate(rows)
        ]
        assert reconcile_refunds(order, shuffled).empty
    gap = reconcile_refunds(order, [*rows[:3], replace(rows[3], old_balance=Decimal(600), new_balance=Decimal(605))])
    assert gap["problem"].tolist() == ["balance does not follow"]


@pytest.mark.parametrize("zone", ["Nowhere", "", None, 1, "../etc"])
@pytest.mark.parametrize("totals", [False, True])
def test_no_time_zone(honest, zone, totals):
    """What is no time zone is refused, whether or not anything was refunded."""
    orders, transactions = honest
    with pytest.raises(ValueError, match="time_zone must be the name of a time zone"):
        if totals:
            refund_totals(orders, by="day", time_zone=zone)
        else:
            reconcile_refunds(orders.iloc[:0], transactions, time_zone=zone)


@pytest.mark.parametrize("ids", [["0012", "0034"], ["690e3", "691e3"], ["12345678901234567890", "2"]])
@pytest.mark.parametrize("side", ["orders", "transactions"])
def test_ids_read_as_numbers(honest, ids, side):
    """Ids that a CSV file made into other numbers are refused; books that are right do not look wrong."""
    orders, transactions = honest[0], pd.DataFrame([asdict(row) for row in honest[1]])
    names = dict(zip(orders["order_id"], ids * len(orders), strict=False))
    orders = orders.assign(order_id=orders["order_id"].map(names)).iloc[:2]
    transactions = transactions.assign(object_id=transactions["object_id"].map(names))
    if side == "orders":
        orders = orders.assign(order_id=orders["order_id"].astype(float))
    else:
        transactions = transactions.assign(object_id=transactions["object_id"].astype(float))
    with pytest.raises(ValueError, match="read the file with dtype=str"):
        reconcile_refunds(orders, transactions)


@pytest.mark.parametrize("transactions", [None, "t.csv", 5, [{"id": "a"}], ["a"]])
def test_no_transactions(honest, transactions):
    """What is no list of transactions is named."""
    with pytest.raises(ValueError, match="transactions must be Transactions of the client, or a DataFrame .*, got "):
        reconcile_refunds(honest[0], transactions)


@pytest.mark.parametrize("seconds", ["5", float("nan"), -1, None, True])
def test_no_seconds(honest, seconds):
    """What is no number of seconds is named."""
    with pytest.raises(ValueError, match="late_after_s must be a number of seconds, 0 or more, got "):
        reconcile_refunds(*honest, late_after_s=seconds)
