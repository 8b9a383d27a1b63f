"""What the emulator was asked, who asked it, and what struck; lock-outs ended; faults aimed, listed and removed."""

import json
import math
import re
from http import HTTPStatus

import pytest
import requests
from samples import PRODUCT

from giftlib import AuthenticationError, Client, PermissionDeniedError, ServerError
from giftlib.sandbox import Fault

PLACE = "/v3/gift-cards/placeOrder"


@pytest.fixture
def quiet(make_sandbox):
    return make_sandbox(latency_s=0, fulfilment_s=1, control=True)


def test_record(quiet):
    """A record has what was asked, by whom, what came back and about which order."""
    client = quiet.client()
    order_id = client.place_order(PRODUCT, "type_001", 2)
    client.list_orders(2, 7)
    client.check_order_status(order_id)
    validated, placed, listed, checked = quiet.requests
    assert (placed.method, placed.path, placed.query, placed.key, placed.status) == ("POST", PLACE, "", "SANDBOX", 200)
    assert placed.body == {"productId": PRODUCT, "typeId": "type_001", "quantity": 2}
    assert placed.order_id == checked.order_id == order_id and listed.order_id is None
    assert listed.query == "page=2&pageSize=7" and validated.body is None and placed.fault is None


def test_no_secret_in_records(quiet):
    """Neither a key nor a card can be read in the records, wherever it was sent."""
    key = quiet.api_key
    body = {
        "productId": key,
        "note": [f"my {key}"],
        "cards": [{"value": "CODE-1", "serial": "SN-1"}],
        "value": "CODE-2",
    }
    requests.post(f"{quiet.url}{PLACE}?key={key}", json=body, headers={"X-Access-Token": key}, timeout=5)
    requests.post(f"{quiet.url}/v3/{key}", data=f"not JSON {key}", headers={"X-Access-Token": "wrong"}, timeout=5)
    quiet.client().request("GET", f"gift-cards/checkOrder/{key}")
    shown = str(quiet.requests) + "".join(map(str, quiet.requests))
    shown += requests.get(f"{quiet.url}/_sandbox/requests", timeout=5).text
    shown += requests.get(quiet.url, timeout=5).text.partition("Latest requests")[2]
    assert all(secret not in shown.partition("Control address")[0] for secret in (key, "CODE-1", "CODE-2", "SN-1"))
    assert [record.key for record in quiet.requests] == ["SANDBOX", None, "SANDBOX"]


def test_keys_by_name(quiet):
    """A key is named by its type, from the second of a type on with a number."""
    for key in (quiet.api_key, quiet.add_key(), quiet.add_key("PRODUCTION"), quiet.add_key(scope="READ-ONLY")):
        quiet.client(key).balance()
    assert [record.key for record in quiet.requests] == ["SANDBOX", "SANDBOX 2", "PRODUCTION", "SANDBOX 3"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"method": "GET"}, 3), ({"path": "/v3/account/*"}, 1), ({"status": 200}, 4), ({"body": {"quantity": 2}}, 1),
        ({"body": {"quantity": 3}}, 0), ({"key": "SANDBOX"}, 4), ({"fault": None, "method": "POST"}, 1), ({}, 4),
        ({"path": "/v3/account/balance", "status": 503}, 0), ({"query": ""}, 4),
    ],
)  # fmt: skip
def test_filters(quiet, wanted, found):
    """Requests are chosen by each field."""
    client = quiet.client()
    client.check_order_status(client.place_order(PRODUCT, "type_001", 2))
    client.balance()
    assert len(quiet.requests.where(**wanted)) == found


def test_assert_requested(quiet):
    """It passes for what was asked, and else says what was asked instead."""
    client = quiet.client()
    client.place_order(PRODUCT, "type_001", 2)
    quiet.assert_requested("POST", PLACE)
    quiet.assert_requested("POST", PLACE, times=1, body={"quantity": 2}, key="SANDBOX")
    quiet.assert_requested("DELETE", "*", times=0)
    for times, fields in ((2, {}), (None, {"body": {"quantity": 3}}), (0, {})):
        with pytest.raises(AssertionError) as caught:
            quiet.assert_requested("POST", PLACE, times=times, **fields)
        assert f"POST {PLACE} {json.dumps({'productId': PRODUCT, 'typeId': 'type_001', 'quantity': 2})} -> 200" in str(
            caught.value
        )
    with pytest.raises(ValueError, match="unknown field 'colour'"):
        quiet.assert_requested("POST", PLACE, colour="red")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"path": "/v3/ping?x=1"}, 'path must be a path that begins with "/" or "*", without a query, got '),
        ({"path": "http://127.0.0.1/v3/ping"}, "path must be"), ({"path": "v3/ping"}, "path must be"),
        ({"path": 5}, "path must be"), ({"method": None}, "method must be a method, such as POST, got None"),
        ({"method": "POST "}, "method must be"), ({"status": "200"}, "status must be a whole number from 100 to 599"),
        ({"status": True}, "status must be"), ({"query": "?page=2"}, 'query must be a query without its "?"'),
        ({"fault": "ping"}, "fault must be a Fault, or None"), ({"key": 1}, "key must be a string"),
        ({"order_id": 1}, "order_id must be"), ({"when_utc": 1}, "when_utc must be a datetime"),
        ({"times": "1"}, "times must be a whole number from 0 up, or None, got '1'"),
        ({"times": True}, "times must be"), ({"times": -1}, "times must be"),
    ],
)  # fmt: skip
def test_impossible_requests(quiet, wanted, expected):
    """What no request could have is an error: it would pass for a request that never came."""
    with pytest.raises(ValueError, match=re.escape(expected)):
        quiet.assert_requested(**{"method": "POST", "path": PLACE, "times": 0} | wanted)


def test_methods_in_any_letters(quiet):
    """A method is the same in small letters."""
    quiet.client().place_order(PRODUCT, "type_001", 2)
    assert len(quiet.requests.where(method="post", status=HTTPStatus.OK)) == 1
    with pytest.raises(AssertionError):
        quiet.assert_requested("post", PLACE, times=0)


def test_fault_in_record(quiet):
    """A record has the fault that affected its request."""
    fault = Fault("balance", status=503)
    quiet.inject(fault)
    with pytest.raises(ServerError):
        quiet.client().balance()
    quiet.client().balance()
    assert [record.fault for record in quiet.requests] == [fault, None]


def test_aimed_faults(quiet):
    """A fault affects only requests for its order, with its key, or with its body."""
    first, second = quiet.add_orders(2)
    client, other = quiet.client(), quiet.client(quiet.add_key())
    quiet.inject(Fault("checkOrder", order=second, status=503))
    client.check_order_status(first)
    with pytest.raises(ServerError):
        client.check_order_status(second)
    quiet.inject(Fault(key="SANDBOX 2", status=503, times=9))
    client.balance()
    with pytest.raises(ServerError):
        other.balance()
    quiet.clear_faults()
    quiet.inject(Fault("placeOrder", sent={"quantity": 3}, status=400))
    client.place_order(PRODUCT, "type_001", 2)
    with pytest.raises(Exception, match="400"):
        client.place_order(PRODUCT, "type_001", 3)


def test_planned_faults(quiet):
    """Faults that may still affect a request are listed, in Python and at the control address, and can be removed."""
    quiet.inject(Fault("balance", status=503, times=2))
    quiet.inject(Fault(rate=0.5, delay_s=1))
    shown = requests.get(f"{quiet.url}/_sandbox/faults", timeout=5).json()
    assert shown == [{"endpoint": "balance", "times": 2, "status": 503}, {"delay_s": 1, "rate": 0.5}]
    for left in (2, 1):
        assert len(quiet.faults) == left + (left == 1)
        with pytest.raises(ServerError):
            quiet.client().balance()
    assert quiet.faults == [Fault(rate=0.5, delay_s=1)]
    assert requests.post(f"{quiet.url}/_sandbox/clear_faults", json={}, timeout=5).ok
    assert quiet.faults == []


@pytest.mark.parametrize("by_control", [False, True])
def test_unblock(quiet, by_control):
    """A lock-out is ended without losing orders."""
    quiet.add_orders(1)
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            Client("wrong-key-1", quiet.url).balance()
    with pytest.raises(PermissionDeniedError, match="IP_BLOCKED"):
        quiet.client().balance()
    if by_control:
        assert requests.post(f"{quiet.url}/_sandbox/unblock", json={}, timeout=5).ok
    else:
        quiet.unblock()
    assert quiet.client().balance() and len(quiet.truth()) == 1


@pytest.mark.parametrize("quantity", ["NaN", "1e999", "-Infinity"])
def test_not_finite_body(quiet, quantity):
    """A number that JSON does not have is kept as text, so that the records are JSON."""
    headers = {"X-Access-Token": quiet.api_key, "Content-Type": "application/json"}
    body = f'{{"quantity": {quantity}}}'
    assert requests.post(f"{quiet.url}{PLACE}", data=body, headers=headers, timeout=5).status_code == 400
    quiet.inject(Fault("placeOrder", sent={"quantity": math.nan}, status=500))
    for name in ("requests", "faults"):
        shown = requests.get(f"{quiet.url}/_sandbox/{name}", timeout=5).text
        [row] = json.loads(shown, parse_constant=pytest.fail)
        assert row.get("body", body) == body


@pytest.mark.parametrize("depth", [10, 48, 60, 500, 900, 980, 5000, 100_000])
def test_deep_body(quiet, finalizers, depth):
    """However deep a body is nested, the request gets its response, and the log can be read without the key.

    No finalizer that runs meanwhile reaches the limit of recursion.
    """
    quiet.inject(Fault("placeOrder", status=500, sent={"a": 1}))
    headers = {"X-Access-Token": quiet.api_key, "Content-Type": "application/json"}
    body = f'{{"typeId": "{quiet.api_key}", "x": {"[" * depth}{"]" * depth}}}'
    assert requests.post(f"{quiet.url}{PLACE}", data=body, headers=headers, timeout=5).status_code == 400
    assert quiet.requests.where(status=400) and quiet.api_key not in str(quiet.requests[-1])
    assert requests.get(f"{quiet.url}/_sandbox/requests", timeout=5).ok and requests.get(quiet.url, timeout=5).ok
    assert finalizers == []
