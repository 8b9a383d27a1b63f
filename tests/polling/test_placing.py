"""Placing an order: the journal has the intent before the request leaves, and then what became of it."""

import io
import sqlite3
import sys
from contextlib import closing, suppress

import pytest
from samples import PRODUCT
from sandbox_checks import requests_to
from scripted_server import interrupted, success

from giftlib import (
    GiftlibError,
    Journal,
    JournalError,
    NoAnswerError,
    OrderOutcomeUnknownError,
    RateLimitError,
    place_order,
    process_order,
    process_orders,
)
from giftlib.polling import find_order
from giftlib.sandbox import Fault, Sandbox


def test_intent_on_disk(client, tmp_path):
    """The intent is in the journal's file before the order request leaves."""
    path = tmp_path / "journal.sqlite"
    held = []
    real = client.place

    def place(*arguments, **options):
        with closing(sqlite3.connect(path)) as other:
            held.extend(other.execute("SELECT state, product_id, type_id, quantity FROM intents").fetchall())
        return real(*arguments, **options)

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


class LockedOnce:
    """A journal that cannot be written once its order request has been sent."""

    def __init__(self, monkeypatch, journal, failure):
        self.journal = journal
        for name in ("placed", "not_placed", "outcome_unknown"):
            monkeypatch.setattr(journal, name, self.fail(failure, getattr(journal, name)))

    def fail(self, failure, method):
        failures = [failure]

        def write(*arguments):
            if failures:
                raise failures.pop()
            return method(*arguments)

        return write


@pytest.mark.parametrize("failure", [JournalError("disk is full"), KeyboardInterrupt()])
@pytest.mark.parametrize("fault", [Fault.commit_then_drop(), Fault("placeOrder", status=500)])
def test_lost_response_and_journal(sandbox, client, journal, monkeypatch, fault, failure):
    """A lost response is what the caller hears of, and that the journal failed too is a note of it."""
    sandbox.inject(fault)
    LockedOnce(monkeypatch, journal, failure)
    with pytest.raises(OrderOutcomeUnknownError) as caught:
        place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    assert caught.value.__notes__ == [str(failure) or "KeyboardInterrupt"]
    assert journal.intents()["state"].tolist() == ["intended"]


def test_rejected_request_and_journal(sandbox, client, journal, monkeypatch):
    """A rejection stays one, too."""
    sandbox.inject(Fault("placeOrder", status=429))
    LockedOnce(monkeypatch, journal, JournalError("disk is full"))
    with pytest.raises(RateLimitError):
        place_order(PRODUCT, "type_001", 1, client=client, journal=journal)


def test_interrupt_after_placing(sandbox, client, journal, monkeypatch):
    """Ctrl-C while the order's id is recorded loses no id: it is recorded, and in the interrupt's notes."""
    LockedOnce(monkeypatch, journal, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt) as caught:
        place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    [order_id] = sandbox.truth()
    assert journal.unfinished() == [order_id]
    assert order_id in caught.value.__notes__[0]


@pytest.mark.parametrize("failure", [JournalError("disk is full"), KeyboardInterrupt()])
def test_batch_with_unwritable_journal(sandbox, client, journal, monkeypatch, failure):
    """The error that ends a batch has the id of the order that could not be recorded."""
    LockedOnce(monkeypatch, journal, failure)
    with pytest.raises(type(failure)) as caught:
        process_orders([(PRODUCT, "type_001", 1)] * 3, client=client, journal=journal)
    assert next(iter(sandbox.truth())) in f"{caught.value} {caught.value.__notes__}"
    assert caught.value.journal is journal


def test_interrupted_request(sandbox, client, journal):
    """Ctrl-C during an order request says that the order may have been placed."""
    client.validate()
    with interrupted(), pytest.raises(KeyboardInterrupt) as caught:
        place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    assert "may have been placed" in caught.value.__notes__[0]


@pytest.mark.parametrize("output", ["closed", "full"])
def test_output_that_is_gone(sandbox, client, monkeypatch, output):
    """An order is waited for also when nothing can be printed."""
    gone = io.StringIO()
    gone.close()
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr(sys, "stdout", gone if output == "closed" else full)
        order = process_order(PRODUCT, "TEST_PARTIAL", 2, client=client)
        monkeypatch.undo()
        with suppress(OSError):
            full.close()
    assert order.status == "PARTIALLY_FILLED"
