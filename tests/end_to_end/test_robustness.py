"""Each fault of the sandbox, as a wait and an order request meet it."""

import pytest
from alterations import hyphenated, null, numbers_as_text, open_again, too_few_cards, unknown_status, without
from samples import PRODUCT

from giftlib import GiftlibError, NoAnswerError, OrderOutcomeUnknownError, place_order, poll_order_until_complete
from giftlib.polling import recover_orders
from giftlib.sandbox import Fault

ABSURD = {value: {"Retry-After": value} for value in ("3600", "-1", "soon", "NaN", "Wed, 21 Oct 2099 07:28:00 GMT")}
FAULTS = {
    "500": ({"status": 500}, "INTERNAL_ERROR"),
    "502 of a proxy": ({"status": 502, "body": "html"}, "HTTP_502"),
    "503 and nothing": ({"status": 503, "body": "empty"}, "SERVICE_UNAVAILABLE"),
    "503 of a router": ({"status": 503, "body": "router"}, "SERVICE_UNAVAILABLE"),
    "hyphenated code": ({"status": 503, "alter": hyphenated}, "SERVICE_UNAVAILABLE"),
    "429": ({"status": 429, "headers": {"Retry-After": "8"}}, "RATE_LIMIT_EXCEEDED"),
    **{f"503, Retry-After {v}": ({"status": 503, "headers": h}, "SERVICE_UNAVAILABLE") for v, h in ABSURD.items()},
    "reset before": ({"cut": "before"}, "NO_ANSWER"),
    "cut within": ({"cut": "within"}, "NO_ANSWER"),
    "reset within": ({"cut": "within", "reset": True}, "NO_ANSWER"),
    "reset after": ({"cut": "after", "reset": True}, "NO_ANSWER"),
    "truncated": ({"body": "truncated"}, "NO_ANSWER"),
    "not UTF-8": ({"body": "garbled"}, "NO_ANSWER"),
    "empty": ({"body": b""}, "NO_ANSWER"),
    "100 MB": ({"body": 10**8}, "NO_ANSWER"),
    "dripping": ({"drip_s": 1}, "NO_ANSWER"),
    "late": ({"delay_s": 20}, "NO_ANSWER"),
    "length too large": ({"headers": {"Content-Length": "5000"}}, "NO_ANSWER"),
    "length too small": ({"headers": {"Content-Length": "30"}}, "NO_ANSWER"),
    "redirect": ({"status": 307, "headers": {"Location": "http://127.0.0.1:1/"}}, "NO_ANSWER"),
    "no data": ({"alter": lambda data: None}, "NO_ANSWER"),
    "a list for data": ({"alter": lambda data: [data]}, "NO_ANSWER"),
}  # fmt: skip


@pytest.mark.parametrize(("fault", "outcome"), FAULTS.values(), ids=FAULTS)
def test_wait_with_fault(make_sandbox, journal, fault, outcome):
    """A wait records a fault and continues."""
    sandbox = make_sandbox(fulfilment_s=1, faults=[Fault("checkOrder", **fault)])
    [order_id] = sandbox.add_orders(1)
    order = poll_order_until_complete(order_id, client=sandbox.client(), journal=journal, timeout=90)
    assert order.status == "FULFILLED" and not order.problems
    outcomes = journal.polls()["outcome"].tolist()
    assert (outcomes[0], outcomes[-1]) == (outcome, "FULFILLED")
    # What follows a length that is too small may arrive late enough to break the next response too.
    assert len(outcomes) == 2 or "Content-Length" in fault.get("headers", {})


@pytest.mark.parametrize("fault", [fault for fault, _ in FAULTS.values()], ids=FAULTS)
def test_order_with_fault(make_sandbox, journal, fault):
    """After a fault the journal has exactly the orders that were placed."""
    sandbox = make_sandbox(faults=[Fault("placeOrder", **fault)])
    client = sandbox.client()
    with pytest.raises(GiftlibError) as caught:
        place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    placed = list(sandbox.truth())
    assert isinstance(caught.value, OrderOutcomeUnknownError) or not placed
    recover_orders(journal, client)
    assert journal.unfinished() == placed
    assert sum(request.method == "POST" for request in sandbox.requests) == 1


def test_no_server_meanwhile(make_sandbox, journal):
    """While no server listens, no order is placed and the wait continues."""
    sandbox = make_sandbox(fulfilment_s=1)
    client = sandbox.client()
    [order_id] = sandbox.add_orders(1)
    client.validate()
    with sandbox.refusing():
        with pytest.raises(NoAnswerError):
            client.check_order_status(order_id)
        with pytest.raises(NoAnswerError):
            place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    assert journal.intents()["state"].tolist() == ["not placed"]
    assert poll_order_until_complete(order_id, client=client, journal=journal).status == "FULFILLED"


def test_redirect_between_sandboxes(make_sandbox):
    """The key does not follow a redirect."""
    other = make_sandbox()
    elsewhere = {"Location": f"{other.url}/v3/ping"}
    sandbox = make_sandbox(faults=[Fault(status=302, headers=elsewhere, rate=1)])
    with pytest.raises(NoAnswerError, match="redirected"):
        sandbox.client().balance()
    assert other.requests == []


@pytest.mark.parametrize(
    ("alter", "problem"),
    [
        (too_few_cards, "2 cards delivered, 1 in the response"),
        (without("cards"), "2 cards delivered, 0 in the response"),
        (null("cards"), "2 cards delivered, 0 in the response"),
        (without("price_per_card"), "price_per_card is missing"),
        (null("quantity"), "quantity is missing"),
        (numbers_as_text, "fulfilled_quantity is a text, not a number"),
    ],
)
def test_contradicting_order(make_sandbox, journal, alter, problem):
    """A final order that contradicts itself is a result with its problems."""
    sandbox = make_sandbox(fulfilment_s=1, faults=[Fault("checkOrder", call=2, alter=alter)])
    [order_id] = sandbox.add_orders(1, quantity=2)
    order = poll_order_until_complete(order_id, client=sandbox.client(), journal=journal)
    assert order.status == "FULFILLED"
    assert problem in order.problems
    assert problem in journal.orders()["problems"].item()


@pytest.mark.filterwarnings("ignore:.*giftlib does not know")
@pytest.mark.parametrize("alter", [unknown_status, without("status"), null("status")])
def test_unusual_status(make_sandbox, journal, alter):
    """An unknown or missing status does not end the wait."""
    sandbox = make_sandbox(fulfilment_s=1, faults=[Fault("checkOrder", alter=alter, times=3)])
    [order_id] = sandbox.add_orders(1)
    poll_order_until_complete(order_id, client=sandbox.client(), journal=journal)
    assert journal.polls()["outcome"].eq("FULFILLED").tolist() == [False, False, False, True]


def test_order_open_again(make_sandbox, journal):
    """An order that a later poll shows open again stays final."""
    sandbox = make_sandbox(fulfilment_s=1, faults=[Fault("checkOrder", call=3, alter=open_again)])
    client = sandbox.client()
    [order_id] = sandbox.add_orders(1)
    poll_order_until_complete(order_id, client=client, journal=journal)
    poll_order_until_complete(order_id, client=client, journal=journal)
    assert journal.polls()["outcome"].tolist() == ["HANDLING", "FULFILLED", "HANDLING", "FULFILLED"]
    order = journal.orders().iloc[0]
    assert (order["status"], order["fulfilled_quantity"]) == ("FULFILLED", 1)
    first_final = journal.polls().iloc[1]
    assert order["done_by_s"] == pytest.approx(first_final["elapsed_s"] + first_final["latency_s"], abs=1)
