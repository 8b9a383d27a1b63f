"""A card's code and serial are shown by `reveal()` alone."""

import copy
import inspect
import json
import pickle
import pprint
from decimal import Decimal

import pandas as pd
import pytest
from exposure import secrets_in
from samples import CODE, FULFILLED, ORDER_ID, SERIAL

from giftlib.api import Card, GiftlibError, Order


def test_reveal():
    """reveal() returns the card's code and serial."""
    (card,) = Order.from_response(FULFILLED).cards
    assert card.reveal() == (CODE, SERIAL)
    assert card.reveal().value == CODE and card.reveal().serial == SERIAL


def test_numeric_code():
    """A code that comes as a number keeps its digits."""
    (card,) = Order.from_response(FULFILLED | {"cards": [{"value": 1234567890123456, "serial": Decimal("77.0")}]}).cards
    assert card.reveal() == ("1234567890123456", "77.0")


def test_plain_codes():
    """A list of plain texts is read as a list of codes."""
    order = Order.from_response(
        {"_id": "a", "status": "FULFILLED", "quantity": 2, "fulfilled_quantity": 2, "cards": [CODE, "B"]}
    )
    assert [card.reveal().value for card in order.cards] == [CODE, "B"]


def shown(thing):
    """Every way to show an object without meaning to."""
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
def test_no_code_shown(thing):
    """No way to print, copy or store a card or an order shows a code or serial."""
    for text in shown(thing):
        assert CODE not in text and SERIAL not in text


def test_no_code_in_frame():
    """No pandas frame of an order or its cards shows a code or serial."""
    order = Order.from_response(FULFILLED)
    for frame in (pd.DataFrame([order]), pd.DataFrame([dict(order)]), pd.DataFrame(order.cards), pd.Series(order)):
        whole = pd.DataFrame(frame)
        as_json = [whole.to_json(date_format="iso"), whole.to_json(date_format="iso", default_handler=str)]
        text = "".join([repr(frame), str(frame.values.tolist()), frame.to_csv(), whole.to_html(), *as_json])
        assert CODE not in text and SERIAL not in text


@pytest.mark.parametrize("key", [0, "value", "serial", slice(None)])
def test_card_subscript(key):
    """A card cannot be read like a dictionary; the error names reveal()."""
    with pytest.raises(GiftlibError, match="reveal") as caught:
        Card(CODE, SERIAL)[key]
    assert CODE not in str(caught.value)


@pytest.mark.parametrize("dump", [vars, iter, json.dumps, list, dict])
def test_card_as_mapping(dump):
    """A card cannot be turned into a list, a dict or JSON."""
    with pytest.raises((TypeError, GiftlibError)) as caught:
        list(dump(Card(CODE, SERIAL)))
    assert CODE not in str(caught.value) and SERIAL not in str(caught.value)


def test_card_members():
    """No listing of a card's members shows its code."""
    card = Card(CODE, CODE)
    assert not secrets_in(repr(inspect.getmembers(card)) + repr(card.__getstate__()) + repr(Card.__dict__))
    assert card.reveal().value == CODE


def test_pickled_order():
    """A pickled order comes back without codes, and reveal() says so."""
    order = pickle.loads(pickle.dumps(Order.from_response(FULFILLED)))
    assert order.order_id == ORDER_ID and order.fulfilled_amount == 490 and len(order.cards) == 1
    with pytest.raises(GiftlibError, match="no code"):
        order.cards[0].reveal()


def test_copied_order():
    """A copy of an order keeps its codes."""
    assert copy.deepcopy(Order.from_response(FULFILLED)).cards[0].reveal().value == CODE
