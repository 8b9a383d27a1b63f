"""Placing an order: the journal has the intent before the request leaves, and then what became of it."""

import sqlite3
from contextlib import closing

import pytest
from samples import PRODUCT
from sandbox_checks import requests_to
from scripted_server import success

from giftlib import GiftlibError, Journal, NoAnswerError, OrderOutcomeUnknownError, place_order, process_order
from giftlib.polling import find_order
from giftlib.sandbox import Fault, Sandbox


def test_intent_on_disk(client, tmp_path):
    """The intent is in the journal's file before the order request leaves."""
    path = tmp_path / "journal.sqlite"
    held = []
    real = client.place

    def place(*arguments):
        with closing(sqlite3.connect(path)) as other:
            held.extend(other.execute("SELECT state, product_id, type_id, quantity FROM intents").fetchall())
        return real(*arguments)

    client.place = place
    place_order(PRODUCT, "type_001", 3, client=client, journal=Journal(path))
    assert held == [("intended", PRODUCT, "type_001", 3)]


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault("placeOrder", status=400), "not placed"),
        (Fault("placeOrder", status=401), "not placed"),
        (Fault("placeOrder", status=403), "not placed"),
        (Fault("placeOrder", status=429), "not placed"),
        (Fault("placeOrder", status=404), "unknown"),
        (Fault("placeOrder", status=500), "unknown"),
        (Fault("placeOrder", status=503, body="empty"), "unknown"),
        (Fault("placeOrder", cut="before"), "unknown"),
        (Fault("placeOrder", cut="within"), "unknown"),
        (Fault("placeOrder", body=b"<html>"), "unknown"),
        (Fault("placeOrder", body=b'{"success": true, "data": {}}'), "unknown"),
        (Fault("placeOrder", delay_s=20), "unknown"),
    ],
)
def test_state_after_failure(sandbox, client, journal, fault, state):
    """The journal says whether a failed request proves that nothing was placed."""
    client.validate()
    sandbox.inject(fault)
    with pytest.raises(GiftlibError):
        place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    assert requests_to(sandbox, "placeOrder") == 1
    assert journal.intents()["state"].tolist() == [state]


def test_no_server(journal):
    """Where no server listens, no order was placed, and the journal says so."""
    with Sandbox() as closed:
        client = closed.client()
        client.validate()
    with pytest.raises(NoAnswerError):
        place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    assert journal.intents()["state"].tolist() == ["not placed"]


def test_lost_response_in_journal(make_sandbox, journal):
    """A lost response leaves no order in the journal, and find_order finds it."""
    sandbox = make_sandbox(faults=[Fault.commit_then_drop()])
    client = sandbox.client()
    with pytest.raises(OrderOutcomeUnknownError) as caught:
        place_order(PRODUCT, "type_001", 2, client=client, journal=journal)
    [found] = find_order(caught.value, client=client)
    assert found.order_id in sandbox.truth()
    assert requests_to(sandbox, "placeOrder") == 1
    assert journal.orders().empty


def test_unwritable_journal(server, scripted_client, tmp_path):
    """If the journal cannot be written after an order was placed, the error has the order's id."""
    server.replies = [success({"orderId": "placed-order"})]
    with Journal(tmp_path / "j") as journal, closing(sqlite3.connect(tmp_path / "j")) as other:
        other.execute("CREATE TRIGGER full BEFORE UPDATE ON intents BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
        with pytest.raises(GiftlibError, match="the order placed-order was placed, .* cannot be written") as caught:
            place_order(PRODUCT, "type_001", 1, client=scripted_client, journal=journal)
    assert caught.value.order_id == "placed-order"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("", "type_001", 1), "product_id"), ((5, "type_001", 1), "product_id"), (("..", "type_001", 1), "product_id"),
        ((PRODUCT, "", 1), "type_id"), ((PRODUCT, None, 1), "type_id"),
        ((PRODUCT, "type_001", 0), "quantity"), ((PRODUCT, "type_001", -1), "quantity"),
        ((PRODUCT, "type_001", True), "quantity"), ((PRODUCT, "type_001", 2.5), "quantity"),
        ((PRODUCT, "type_001", "2"), "quantity"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", [place_order, process_order])
def test_bad_order(sandbox, client, place, arguments, name):
    """A bad argument is named, and nothing is sent."""
    with pytest.raises(ValueError, match=f"{name} must be"):
        place(*arguments, client=client)
    assert not sandbox.requests


def test_impossible_quantity(sandbox, client, journal):
    """A quantity that no journal can hold is a ValueError, and nothing is sent."""
    with pytest.raises(ValueError, match="must be"):
        place_order(PRODUCT, "t", 10**20, client=client, journal=journal)
    assert not sandbox.requests


def test_client_of_wrong_type():
    """A client that is not one is a ValueError."""
    with pytest.raises(ValueError, match="must be"):
        place_order(PRODUCT, "t", 1, client="x")
