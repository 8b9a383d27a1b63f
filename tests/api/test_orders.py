"""What an order shows, what it says is wrong with an answer, and what it never shows."""

import copy
import json
import pickle
import pprint
from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import pytest

from giftlib.api.errors import GiftlibError
from giftlib.api.orders import Card, Order, OrderStatus

CODE, SERIAL = "AAAA-BBBB-CCCC-0001", "SN-77700001"
ORDER_ID = "6901616fe9e88196b4eb64b3"
FULFILLED = {
    "_id": ORDER_ID,
    "status": "FULFILLED",
    "quantity": 1,
    "fulfilled_quantity": 1,
    "fulfilled_amount": 490,
    "price_per_card": 490,
    "cards": [{"value": CODE, "serial": SERIAL}],
    "time": "2025-10-29T01:00:00.000Z",
}


def test_an_order_reads_as_an_object_and_under_the_names_of_the_api():
    order = Order.from_response(FULFILLED)
    assert (order.order_id, order["_id"]) == (ORDER_ID, ORDER_ID)
    assert order.status is OrderStatus.FULFILLED and order["status"] == "FULFILLED"
    assert order.fulfilled_amount == order["fulfilled_amount"] == Decimal(490)
    assert order.placed_at == datetime(2025, 10, 29, 1, tzinfo=UTC)
    assert set(order) == set(FULFILLED) and not order.problems


def test_a_card_gives_its_code_and_serial_when_asked():
    (card,) = Order.from_response(FULFILLED).cards
    assert card.reveal() == (CODE, SERIAL)
    assert card.reveal().value == CODE and card.reveal().serial == SERIAL


def test_a_code_that_comes_as_a_number_is_not_lost():
    (card,) = Order.from_response(FULFILLED | {"cards": [{"value": 1234567890123456, "serial": Decimal("77.0")}]}).cards
    assert card.reveal() == ("1234567890123456", "77.0")


def test_an_open_order_has_none_of_the_final_fields():
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
def test_the_refund_is_what_was_not_delivered_exactly(status, ordered, delivered, price, refund):
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


@pytest.mark.parametrize("status", ["QUEUED", "fulfilled", "UNKNOWN_ERROR", "", None, 7, ["FULFILLED"]])
def test_a_status_nobody_documented_is_not_final_and_named(status):
    order = Order.from_response(FULFILLED | {"status": status})
    assert not order.is_final and isinstance(order.status, str)
    assert any("status" in problem for problem in order.problems)


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
def test_what_is_wrong_with_an_answer_is_named_and_the_rest_is_read(change, problem):
    order = Order.from_response(FULFILLED | change)
    assert problem in order.problems
    assert CODE not in " ".join(order.problems)
    readable = {"_id", "status", "quantity", "time"} - set(change)
    assert all(name in order for name in readable)


def test_a_field_that_is_null_is_not_there():
    order = Order.from_response(dict.fromkeys(FULFILLED))
    assert dict(order) == {} and order.order_id is None and order.status == ""


def test_an_answer_without_id_goes_by_the_id_that_was_asked_for():
    order = Order.from_response({"status": "HANDLING", "quantity": 1}, order_id="asked")
    assert order.order_id == "asked" and "_id is missing" in order.problems


@pytest.mark.parametrize("raw", ["HAND\x00LING\x1b[31m", "\ud800", "a\nb", "x" * 5000, "AAAA-BBBB-CCCC-0001", "a/../b"])
def test_an_id_or_a_status_that_cannot_be_one_is_not_read(raw):
    order = Order.from_response({"_id": f"{raw} ", "status": raw, "quantity": 1}, order_id="asked")
    assert order.order_id == "asked" and order.status == ""
    assert {"_id is not an id", "status is not a name"} <= set(order.problems)


@pytest.mark.parametrize(
    ("raw", "shown"), [("a\x00b\x1b[31m", "a b [31m"), ("\ud800", ""), ("a\nb", "a b"), ("x" * 5000, "x" * 200)]
)
def test_texts_of_an_answer_become_one_short_printable_line(raw, shown):
    order = Order.from_response({"_id": "an-id", "type": raw, "quantity": 1})
    assert order.type_id == shown
    assert (repr(order) + "".join(order.problems)).isprintable()
    (repr(order) + "".join(order.problems)).encode()


@pytest.mark.parametrize(
    "raw", ["2025-10-29T02:00:00+01:00", "2025-10-29T01:00:00Z", "2025-10-29T01:00:00", "20251029T010000Z"]
)
def test_times_are_utc_whatever_their_offset(raw):
    placed_at = Order.from_response({"time": raw}).placed_at
    assert placed_at == datetime(2025, 10, 29, 1, tzinfo=UTC) and placed_at.tzinfo is UTC


def shown(thing):
    """Every way in which somebody might show an object without meaning to."""
    yield from (repr(thing), str(thing), f"{thing}", "%s" % (thing,), pprint.pformat(thing))
    yield from (repr(copy.copy(thing)), repr(copy.deepcopy(thing)), repr([thing]), repr({"a": thing}))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield repr(pickle.dumps(thing, protocol))
    yield repr(getattr(thing, "__dict__", ""))
    yield json.dumps({"thing": thing}, default=str)


@pytest.mark.parametrize(
    "thing",
    [
        Card(CODE, SERIAL),
        Order.from_response(FULFILLED),
        dict(Order.from_response(FULFILLED)),
        Order.from_response(FULFILLED).cards,
    ],
    ids=["card", "order", "dict of the order", "cards"],
)
def test_nothing_shows_a_code_or_serial(thing):
    for text in shown(thing):
        assert CODE not in text and SERIAL not in text


def test_no_frame_shows_a_code_or_serial():
    order = Order.from_response(FULFILLED)
    for frame in (pd.DataFrame([order]), pd.DataFrame([dict(order)]), pd.DataFrame(order.cards), pd.Series(order)):
        whole = pd.DataFrame(frame)
        as_json = [whole.to_json(date_format="iso"), whole.to_json(date_format="iso", default_handler=str)]
        text = "".join([repr(frame), str(frame.values.tolist()), frame.to_csv(), whole.to_html(), *as_json])
        assert CODE not in text and SERIAL not in text


@pytest.mark.parametrize("key", [0, "value", "serial", slice(None)])
def test_a_card_is_not_read_like_a_dictionary(key):
    with pytest.raises(GiftlibError, match="reveal") as caught:
        Card(CODE, SERIAL)[key]
    assert CODE not in str(caught.value)


@pytest.mark.parametrize("dump", [vars, iter, json.dumps, list, dict])
def test_a_card_cannot_be_taken_apart(dump):
    with pytest.raises((TypeError, GiftlibError)) as caught:
        list(dump(Card(CODE, SERIAL)))
    assert CODE not in str(caught.value) and SERIAL not in str(caught.value)


def test_a_pickled_order_comes_back_without_codes_and_says_so():
    order = pickle.loads(pickle.dumps(Order.from_response(FULFILLED)))
    assert order.order_id == ORDER_ID and order.fulfilled_amount == 490 and len(order.cards) == 1
    with pytest.raises(GiftlibError, match="no code"):
        order.cards[0].reveal()


def test_a_copy_keeps_its_codes():
    assert copy.deepcopy(Order.from_response(FULFILLED)).cards[0].reveal().value == CODE
