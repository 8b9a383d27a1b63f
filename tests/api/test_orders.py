"""What an order shows, and what it says is wrong with a response."""

from datetime import UTC, datetime
from decimal import ROUND_DOWN, Context, Decimal, Inexact, localcontext

import pytest
from samples import CODE, FULFILLED, ORDER_ID, SERIAL

from giftlib.api import Order, OrderStatus, as_amount


def test_order():
    """An order has attributes, and the API's names as keys."""
    order = Order.from_response(FULFILLED)
    assert (order.order_id, order["_id"]) == (ORDER_ID, ORDER_ID)
    assert order.status is OrderStatus.FULFILLED and order["status"] == "FULFILLED"
    assert order.fulfilled_amount == order["fulfilled_amount"] == Decimal(490)
    assert order.placed_at == datetime(2025, 10, 29, 1, tzinfo=UTC)
    assert set(order) == set(FULFILLED) and not order.problems


def test_open_order():
    """An order that is not final has no cards and no amounts."""
    order = Order.from_response({"_id": ORDER_ID, "status": "HANDLING", "quantity": 2, "product": "p", "type": "t"})
    assert not order.is_final and "cards" not in order and order.cards == ()
    assert (order.fulfilled_quantity, order.refunded_quantity, order.refunded_amount) == (None, None, None)
    assert (order.product_id, order.type_id) == ("p", "t")
    with pytest.raises(KeyError):
        order["cards"]


@pytest.mark.parametrize(
    ("status", "ordered", "delivered", "price", "refund"),
    [
        ("FULFILLED", 2, 2, 490, "0"),
        ("PARTIALLY_FILLED", 5, 3, 490, "980"),
        ("REFUNDED", 1, 0, 2000, "2000"),
        ("PARTIALLY_FILLED", 3, 1, Decimal("1326.13"), "2652.26"),
        ("PARTIALLY_FILLED", 4, 1, Decimal("0.1"), "0.3"),
    ],
)
def test_refund(status, ordered, delivered, price, refund):
    """The refund is the price of the cards that were not delivered, exactly."""
    order = Order.from_response(
        {
            "_id": ORDER_ID,
            "status": status,
            "quantity": ordered,
            "fulfilled_quantity": delivered,
            "fulfilled_amount": delivered * price,
            "price_per_card": price,
            "cards": [{"value": CODE}] * delivered,
        }
    )
    assert order.refunded_quantity == ordered - delivered
    assert order.refunded_amount == Decimal(refund) and type(order.refunded_amount) is Decimal
    assert not order.problems


@pytest.mark.parametrize("status", ["FULFILLED", "PARTIALLY_FILLED", "REFUNDED"])
def test_more_delivered_than_ordered(status):
    """Of more cards than were ordered no refund is known, and the contradiction is named."""
    order = Order.from_response(FULFILLED | {"status": status, "quantity": 4, "fulfilled_quantity": 9})
    assert order.refunded_quantity is None and order.refunded_amount is None
    assert f"{status} with 9 of 4 cards delivered" in order.problems


@pytest.mark.parametrize("status", ["QUEUED", "fulfilled?", "UNKNOWN_ERROR", "", None, 7, ["FULFILLED"]])
def test_unknown_status(status):
    """A status that is not documented is not final, and is named as a problem."""
    order = Order.from_response(FULFILLED | {"status": status})
    assert not order.is_final and isinstance(order.status, str)
    assert any("status" in problem for problem in order.problems)


@pytest.mark.parametrize("written", ["fulfilled", "Fulfilled", " FULFILLED\n"])
def test_status_in_other_letters(written):
    """A documented status counts in whatever letters it is written."""
    assert Order.from_response(FULFILLED | {"status": written}).status is OrderStatus.FULFILLED


@pytest.mark.parametrize("written", ["partially_filled", "PARTIALLY-FILLED", "Partially Filled"])
def test_separators_of_a_status(written):
    """Hyphens and spaces stand for underscores, as in error codes."""
    assert Order.from_response(FULFILLED | {"status": written}).status is OrderStatus.PARTIALLY_FILLED


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"fulfilled_quantity": 0}, "FULFILLED with 0 of 1 cards delivered"),
        ({"status": "PARTIALLY_FILLED"}, "PARTIALLY_FILLED with 1 of 1 cards delivered"),
        ({"status": "REFUNDED"}, "REFUNDED with 1 of 1 cards delivered"),
        ({"cards": []}, "1 cards delivered, 0 in the response"),
        ({"cards": [{"serial": SERIAL}, None, 3, {"value": ""}]}, "1 cards delivered, 0 in the response"),
        ({"cards": "AAAA"}, "cards is not a list"),
        ({"cards": {"value": CODE}}, "cards is not a list"),
        ({"fulfilled_amount": 489}, "charged 489 for 1 cards at 490 each"),
        ({"fulfilled_amount": None}, "fulfilled_amount is missing"),
        ({"quantity": None}, "quantity is missing"),
        ({"quantity": "1"}, "quantity is a text, not a number"),
        ({"price_per_card": "490.00"}, "price_per_card is a text, not a number"),
        ({"quantity": 1.5}, "quantity is not a whole number from 0 up"),
        ({"quantity": -1}, "quantity is not a whole number from 0 up"),
        ({"quantity": True}, "quantity is not a whole number from 0 up"),
        ({"quantity": [1]}, "quantity is not a whole number from 0 up"),
        ({"price_per_card": -490}, "price_per_card is not an amount from 0 up"),
        ({"price_per_card": Decimal("1e999999999")}, "price_per_card is not an amount from 0 up"),
        ({"price_per_card": Decimal("1e-999999999")}, "price_per_card is not an amount from 0 up"),
        ({"price_per_card": "NaN"}, "price_per_card is not an amount from 0 up"),
        ({"price_per_card": "sNaN"}, "price_per_card is not an amount from 0 up"),
        ({"price_per_card": "Infinity"}, "price_per_card is not an amount from 0 up"),
        ({"price_per_card": 10**4000}, "price_per_card is not an amount from 0 up"),
        ({"price_per_card": "9" * 5000}, "price_per_card is not an amount from 0 up"),
        ({"time": "yesterday"}, "time is not an ISO-8601 time"),
        ({"time": 1761699600}, "time is not an ISO-8601 time"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "time is not an ISO-8601 time"),
        ({"_id": 5}, "_id is not an id"),
    ],
)
def test_problems(change, problem):
    """What is wrong with a response is named, and the rest is read."""
    order = Order.from_response(FULFILLED | change)
    assert problem in order.problems
    assert CODE not in " ".join(order.problems)
    readable = {"_id", "status", "quantity", "time"} - set(change)
    assert all(name in order for name in readable)


def test_null_fields():
    """A field that is null counts as missing."""
    order = Order.from_response(dict.fromkeys(FULFILLED))
    assert dict(order) == {} and order.order_id is None and order.status == ""


def test_missing_id():
    """An order without an id has the id that was requested."""
    order = Order.from_response({"status": "HANDLING", "quantity": 1}, order_id="requested")
    assert order.order_id == "requested" and "_id is missing" in order.problems


@pytest.mark.parametrize("raw", ["HAND\x00LING\x1b[31m", "\ud800", "a\nb", "x" * 5000, "AAAA-BBBB-CCCC-0001", "a/../b"])
def test_impossible_id_and_status(raw):
    """An id or a status that cannot be one is not read."""
    order = Order.from_response({"_id": f"{raw} ", "status": raw, "quantity": 1}, order_id="requested")
    assert order.order_id == "requested" and order.status == ""
    assert {"_id is not an id", "status is not a name"} <= set(order.problems)


@pytest.mark.parametrize(
    ("raw", "shown"), [("a\x00b\x1b[31m", "a b [31m"), ("\ud800", ""), ("a\nb", "a b"), ("x" * 5000, "x" * 200)]
)
def test_printable_texts(raw, shown):
    """A text of a response becomes one short printable line."""
    order = Order.from_response({"_id": "an-id", "type": raw, "quantity": 1})
    assert order.type_id == shown
    assert (repr(order) + "".join(order.problems)).isprintable()
    (repr(order) + "".join(order.problems)).encode()


@pytest.mark.parametrize(
    "raw", ["2025-10-29T02:00:00+01:00", "2025-10-29T01:00:00Z", "2025-10-29T01:00:00", "20251029T010000Z"]
)
def test_placed_at(raw):
    """Times are in UTC, whatever their offset in the response."""
    placed_at = Order.from_response({"time": raw}).placed_at
    assert placed_at == datetime(2025, 10, 29, 1, tzinfo=UTC) and placed_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("3978.3900000000003", "3978.39"),
        ("0.30000000000000004", "0.30"),
        ("836.0299999999999", "836.03"),
        ("0.125", "0.125"),
    ],
)
def test_dust_of_floats(raw, read):
    """What binary floats make of an amount is read to the centime; other decimals stay."""
    assert as_amount(Decimal(raw)) == as_amount(raw) == Decimal(read)


@pytest.mark.parametrize(
    "context", [Context(prec=3), Context(prec=5, rounding=ROUND_DOWN), Context(traps=[Inexact], prec=4)]
)
def test_any_decimal_context(context):
    """Money is exact whatever precision a program has set for its own numbers."""
    fields = {"status": "PARTIALLY_FILLED", "quantity": 7, "fulfilled_quantity": 3, "fulfilled_amount": "37037.01",
              "price_per_card": "12345.67", "cards": [CODE] * 3}  # fmt: skip
    with localcontext(context):
        order = Order.from_response(FULFILLED | fields)
        assert str(order.refunded_amount) == "49382.68"
        assert not [problem for problem in order.problems if "charged" in problem]


@pytest.mark.parametrize(
    ("written", "plain"), [("2E3", "2000"), ("9.8E+2", "980"), ("4.905e2", "490.5"), ("0E+5", "0"), ("1e0", "1")]
)
def test_plain_amounts(written, plain):
    """An amount prints as people write it, however the response does."""
    assert str(as_amount(Decimal(written))) == str(as_amount(written)) == plain
