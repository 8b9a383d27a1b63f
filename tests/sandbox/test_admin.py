"""The control address, and that it is off unless asked for."""

import math

import pytest
import requests

from giftlib import SystemClock
from giftlib.sandbox import Sandbox


@pytest.fixture
def sandbox():
    with Sandbox(4, control=True, latency_s=0, fulfilment_s=math.inf) as sandbox:
        yield sandbox


def post(sandbox, name, **given):
    return requests.post(f"{sandbox.url}/_sandbox/{name}", json=given, timeout=5)


def read(sandbox, name):
    return requests.get(f"{sandbox.url}/_sandbox/{name}", timeout=5).json()


@pytest.mark.parametrize("name", ["truth", "settings", "reset", "advance"])
def test_off_by_default(name):
    """Without `control` there is no control address."""
    with Sandbox() as sandbox:
        for method in ("GET", "POST"):
            response = requests.request(method, f"{sandbox.url}/_sandbox/{name}", json={"seconds": 1}, timeout=5)
            assert response.status_code == 404
        assert sandbox.clock.monotonic() < 5


def test_reads(sandbox):
    """It gives the truth, the settings and the requests."""
    order_ids = post(sandbox, "orders", n=2, type_id="TEST_REFUND", quantity=3).json()["order_ids"]
    sandbox.client().balance()
    assert read(sandbox, "truth") == dict.fromkeys(order_ids)
    assert read(sandbox, "settings") == {"fulfilment_s": "inf", "latency_s": 0}
    assert [(row["path"], row["status"]) for row in read(sandbox, "requests")] == [("/v3/account/balance", 200)]


def test_advance(sandbox):
    """It moves the simulated clock."""
    before = sandbox.clock.monotonic()
    response = post(sandbox, "advance", seconds=90.5)
    assert sandbox.clock.monotonic() == before + 90.5
    assert response.json() == {"now": sandbox.clock.now_utc().isoformat()}


def test_advance_system_clock():
    """The system clock cannot be moved."""
    with Sandbox(clock=SystemClock(), control=True) as sandbox:
        response = post(sandbox, "advance", seconds=1)
    assert (response.status_code, response.json()["error"]) == (
        409,
        "the sandbox is on the system clock, which cannot be moved",
    )


def test_inject(sandbox):
    """It injects a fault."""
    assert post(sandbox, "faults", endpoint="balance", status=503, times=1).status_code == 200
    client = sandbox.client()
    with pytest.raises(Exception, match="503"):
        client.balance()
    assert client.balance() > 0


def test_deposit_and_reset(sandbox):
    """It deposits, and it resets."""
    post(sandbox, "deposit", amount="0.25")
    assert str(sandbox.client().balance()) == "10000000.25"
    post(sandbox, "orders")
    post(sandbox, "reset")
    assert read(sandbox, "truth") == {}
    assert str(sandbox.client().balance()) == "10000000"


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("advance", {}, "seconds must be seconds from 0 to 1e9, got None"),
        ("advance", {"seconds": -1}, "seconds must be seconds from 0 to 1e9, got -1"),
        ("advance", {"seconds": "1"}, "seconds must be"),
        ("advance", {"seconds": math.inf}, ""),
        ("faults", {"endpoint": "nowhere"}, "endpoint must be"),
        ("faults", {"alter": "x"}, "unknown field 'alter'; accepted are "),
        ("orders", {"n": -1}, "n must be a whole number"),
        ("orders", {"type_id": 7}, "type_id must be a string"),
        ("orders", {"n": 2, "quantity": 15_000, "type_id": "type_001"}, "holds 10000000 dinars"),
        ("faults", {"status": 503, "headers": {"Retry-After": 5}}, "headers must be strings"),
        ("faults", {"status": 503, "headers": []}, "headers must be strings"),
        ("faults", {"status": 503, "headers": {"A": "b\r\nC: d"}}, "headers must be strings"),
        ("faults", {"status": 503, "code": 5}, "code must be a string"),
        ("deposit", {"amount": "1" + 29 * "0"}, "amount must be dinars"),
        ("deposit", {"amount": "1.005"}, "amount must be dinars"),
        ("reset", {"now": True}, "unknown field 'now'; accepted are none"),
        ("orders", {"count": 5}, "unknown field 'count'; accepted are n, type_id, quantity"),
        (
            "next_order",
            {"afters": 5},
            "unknown field 'afters'; accepted are delivered, after_s; did you mean 'after_s'?",
        ),
        ("deposit", {}, "amount must be dinars as int or Decimal"),
    ],
)
def test_bad_input(sandbox, name, given, expected):
    """A wrong value is an error that says what is wrong, and nothing changes."""
    response = requests.post(
        f"{sandbox.url}/_sandbox/{name}", data=requests.compat.json.dumps(given), timeout=5,
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert response.status_code == 400 and expected in response.json()["error"]
    assert sandbox.truth() == {} and sandbox.clock.monotonic() == 0


@pytest.mark.parametrize(
    ("method", "name", "headers", "status"),
    [
        ("POST", "reset", {"Content-Type": "text/plain"}, 415),
        ("POST", "reset", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ("POST", "reset", {"Content-Type": "application/json", "Host": "evil.example"}, 403),
        ("GET", "truth", {"Host": "evil.example:80"}, 403),
        ("GET", "reset", {}, 405),
        ("POST", "truth", {"Content-Type": "application/json"}, 405),
        ("OPTIONS", "reset", {}, 405),
        ("GET", "nothing", {}, 404),
    ],
)
def test_other_sites(sandbox, method, name, headers, status):
    """A page of another site can use nothing of it."""
    sandbox.add_orders(1)
    response = requests.request(method, f"{sandbox.url}/_sandbox/{name}", data=b"{}", headers=headers, timeout=5)
    assert response.status_code == status
    assert not any(header.startswith("Access-Control") for header in response.headers)
    assert len(sandbox.truth()) == 1


def test_not_the_api(sandbox):
    """Its requests are not requests of the API: no fault, no record."""
    post(sandbox, "faults", status=503, times=3)
    assert read(sandbox, "truth") == {}
    assert read(sandbox, "requests") == []


def test_allowed_host(make_sandbox):
    """An allowed name reaches the control address, in any letters; no other name does."""
    sandbox = make_sandbox(control=True, allow_host=["Gift-Cards", "Emulator:8080"])
    for host, status in (
        ("gift-cards:8080", 200),
        ("GIFT-CARDS", 200),
        ("emulator:8080", 200),
        ("emulator:80", 403),
        ("emulator", 403),
        ("evil.example", 403),
        ("gift-cards.example", 403),
    ):
        response = requests.get(f"{sandbox.url}/_sandbox/truth", headers={"Host": host}, timeout=5)
        assert response.status_code == status
        page = requests.get(sandbox.url, headers={"Host": host}, timeout=5).text
        assert (f"curl http://{host}/v3/ping" in page) == (status == 200)


@pytest.mark.parametrize("names", ["gift-cards", 5, [7], ["http://gift-cards"], ["a b"], [""]])
def test_bad_allowed_host(names):
    """Names are a list."""
    with pytest.raises(ValueError, match="allow_host must be a tuple"):
        Sandbox(control=True, allow_host=names)
