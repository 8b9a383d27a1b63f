"""Each fault of the sandbox as giftlib's caller meets it: what a wait records, what a purchase leaves behind."""

import pytest
from alterations import (
    hyphenated,
    null,
    numbers_as_text,
    open_again,
    too_few_cards,
    unknown_status,
    without,
)

from giftlib import (
    GiftlibError,
    Journal,
    NoAnswerError,
    OrderOutcomeUnknownError,
    place_order,
    poll_order_until_complete,
)
from giftlib.polling import recover_orders
from giftlib.sandbox import Fault, Sandbox

PRODUCT = "507f1f77bcf86cd799439011"
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
def test_a_wait_records_a_fault_and_goes_on(fault, outcome):
    with Sandbox(fulfilment_s=1, faults=[Fault("checkOrder", **fault)]) as sandbox:
        journal = Journal()
        [order_id] = sandbox.add_orders(1)
        order = poll_order_until_complete(order_id, client=sandbox.client(), journal=journal, timeout=90)
    assert order.status == "FULFILLED" and not order.problems
    outcomes = journal.polls()["outcome"].tolist()
    assert (outcomes[0], outcomes[-1]) == (outcome, "FULFILLED")
    # What comes behind a length too small may arrive late enough to spoil the next answer as well.
    assert len(outcomes) == 2 or "Content-Length" in fault.get("headers", {})


@pytest.mark.parametrize("fault", [fault for fault, _ in FAULTS.values()], ids=FAULTS)
def test_after_a_faulty_purchase_the_journal_and_the_sandbox_agree(fault):
    with Sandbox(faults=[Fault("placeOrder", **fault)]) as sandbox:
        journal, client = Journal(), sandbox.client()
        try:
            place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
        except GiftlibError as error:
            told = error
        bought = list(sandbox.truth())
        assert isinstance(told, OrderOutcomeUnknownError) or not bought
        recover_orders(journal, client)
        assert journal.unfinished() == bought
        assert sum(request.method == "POST" for request in sandbox.requests) == 1


def test_where_nobody_listens_a_wait_goes_on_and_a_purchase_was_not_made():
    with Sandbox(fulfilment_s=1) as sandbox:
        journal, client = Journal(), sandbox.client()
        [order_id] = sandbox.add_orders(1)
        with sandbox.refusing():
            with pytest.raises(NoAnswerError):
                client.check_order_status(order_id)
            client.key_type = "SANDBOX"
            with pytest.raises(NoAnswerError):
                place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
        assert journal.intents()["state"].tolist() == ["not placed"]
        assert poll_order_until_complete(order_id, client=client, journal=journal).status == "FULFILLED"


def test_the_key_does_not_follow_a_redirect():
    with Sandbox() as other:
        elsewhere = {"Location": f"{other.url}/v3/ping"}
        with Sandbox(faults=[Fault(status=302, headers=elsewhere, rate=1)]) as sandbox:
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
def test_an_order_that_contradicts_itself_is_a_result_with_its_problems(alter, problem):
    with Sandbox(fulfilment_s=1, faults=[Fault("checkOrder", call=2, alter=alter)]) as sandbox:
        journal = Journal()
        [order_id] = sandbox.add_orders(1, quantity=2)
        order = poll_order_until_complete(order_id, client=sandbox.client(), journal=journal)
    assert order.status == "FULFILLED"
    assert problem in order.problems
    assert problem in journal.orders()["problems"].item()


@pytest.mark.filterwarnings("ignore:.*giftlib does not know")
@pytest.mark.parametrize("alter", [unknown_status, without("status"), null("status")])
def test_a_status_that_nobody_knows_does_not_end_the_wait(alter):
    with Sandbox(fulfilment_s=1, faults=[Fault("checkOrder", alter=alter, times=3)]) as sandbox:
        journal = Journal()
        [order_id] = sandbox.add_orders(1)
        poll_order_until_complete(order_id, client=sandbox.client(), journal=journal)
    assert journal.polls()["outcome"].eq("FULFILLED").tolist() == [False, False, False, True]


def test_a_final_order_that_seems_open_again_stays_final():
    with Sandbox(fulfilment_s=1, faults=[Fault("checkOrder", call=3, alter=open_again)]) as sandbox:
        client, journal = sandbox.client(), Journal()
        [order_id] = sandbox.add_orders(1)
        poll_order_until_complete(order_id, client=client, journal=journal)
        poll_order_until_complete(order_id, client=client, journal=journal)
    assert journal.polls()["outcome"].tolist() == ["HANDLING", "FULFILLED", "HANDLING", "FULFILLED"]
    order = journal.orders().iloc[0]
    assert (order["status"], order["fulfilled_quantity"]) == ("FULFILLED", 1)
    first_final = journal.polls().iloc[1]
    assert order["done_by_s"] == pytest.approx(first_final["elapsed_s"] + first_final["latency_s"])
