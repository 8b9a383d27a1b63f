"""The sandbox over time: orders, account, rate limit, lock-out, faults, start and end, by plain requests."""

import asyncio
import json
import logging
import math
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_http import Caller, calling, connect
from samples import ORDER_ID, PRODUCT
from thorough import tries

from giftlib.clock import SimulatedClock, SystemClock
from giftlib.sandbox import Fault, Outcome, Sandbox

few_examples = settings(max_examples=tries(8, 25))


# Time


@pytest.mark.parametrize("duration", [0, 0.5, 10, 3600])
def test_due_time(duration):
    """An order is final from its due time on."""
    with calling(fulfilment_s=duration) as at:
        order_id = at.order_id()
        if duration:
            assert at.status(order_id) == "HANDLING"
            at.clock.sleep(duration * 0.999)
            assert at.status(order_id) == "HANDLING"
            at.clock.sleep(duration * 0.0011)
        assert at.status(order_id) == "FULFILLED"


def test_never_final():
    """An order can stay HANDLING for ever."""
    with calling(fulfilment_s=math.inf) as at:
        order_id = at.order_id(type_id="TEST_REFUND")
        at.clock.sleep(1e8)
        assert at.status(order_id) == "HANDLING"
        assert at.sandbox.truth() == {order_id: math.inf}
        assert at("account/transactions").json()["data"]["pagination"]["totalResults"] == 1


@few_examples
@given(seed=st.integers(), cadence=st.sampled_from([0.25, 1, 7, 50]))
def test_status_follows_truth(seed, cadence):
    """The status follows the truth, however often it is polled."""
    with calling(seed) as at:
        order_id = at.order_id()
        duration = at.sandbox.truth()[order_id]
        for _ in range(20):
            at.clock.sleep(cadence)
            assert (at.status(order_id) == "FULFILLED") == (at.clock.monotonic() >= duration)
        assert at.sandbox.truth() == {order_id: duration}


@few_examples
@given(seed=st.integers(), polls=st.lists(st.integers(0, 4), min_size=3, max_size=3))
def test_polls_change_nothing(seed, polls):
    """Polls do not change how long later orders take."""

    def durations(polls):
        with calling(seed, latency_s=None) as at:
            for count in polls:
                order_id = at.order_id()
                for _ in range(count):
                    at.status(order_id)
            return list(at.sandbox.truth().values())

    assert durations(polls) == durations([0, 0, 0])


def test_fulfilment_distribution():
    """Times to fulfilment follow the distribution that was set."""
    with Sandbox(fulfilment_median_s=20, fulfilment_p95_s=50) as sandbox:
        sandbox.add_orders(4000)
        durations = sorted(sandbox.truth().values())
    assert durations[2000] == pytest.approx(20, rel=0.05)
    assert durations[3800] == pytest.approx(50, rel=0.08)


def test_latency():
    """A response takes the latency that was set, half before and half after it is made."""
    with calling(latency_s=0.3) as at:
        timestamp = at("ping").json()["meta"]["timestamp"]
        assert timestamp == "2026-01-01T00:00:00.150Z"
        assert at.clock.monotonic() == 0.3


def test_latency_distribution():
    """Latencies follow the distribution that was set."""
    with calling(latency_s=None) as at:
        spans = []
        for _ in range(400):
            before = at.clock.monotonic()
            at("ping")
            spans.append(at.clock.monotonic() - before)
    spans.sort()
    assert spans[200] == pytest.approx(0.15, rel=0.15)
    assert spans[380] == pytest.approx(0.4, rel=0.25)


@pytest.mark.parametrize("latency", [45, 100])
def test_latency_time_out(latency):
    """A latency beyond the client's time limit ends there, and the order stays placed."""
    with calling(latency_s=latency, fulfilment_s=5) as at:
        at.clock.sleep(1)
        with pytest.raises(requests.ConnectionError), at.clock.time_limit(30):
            at.place()
        assert at.clock.monotonic() == 31
        (record,) = at.sandbox.requests
        assert record.status is None
        assert list(at.sandbox.truth()) == [record.order_id]


def test_latency_system_clock():
    """On the system clock latency is real."""
    with calling(0, SystemClock(), latency_s=0.01, fulfilment_s=0.001) as at:
        response = at.place()
        assert response.elapsed.total_seconds() >= 0.009
        assert at.status(response.json()["data"]["orderId"]) == "FULFILLED"


def test_client_hangs_up():
    """A client that closes the connection has placed the order all the same."""
    with calling(0, SystemClock(), latency_s=0.01) as at:
        with pytest.raises(requests.ReadTimeout):
            body = {"productId": "p", "typeId": "t", "quantity": 1}
            at("gift-cards/placeOrder", "POST", json=body, timeout=0.002)
        while not at.sandbox.requests:
            at("ping")
        assert len(at.sandbox.truth()) == 1


def test_time_steps_back():
    """The time of day can step back without changing the order of the list."""

    class SteppingClock(SimulatedClock):
        step = timedelta()

        def now_utc(self):
            return super().now_utc() + self.step

    with calling(0, SteppingClock()) as at:
        (first,) = at.sandbox.add_orders(1)
        at.clock.step = timedelta(hours=-1)
        (second,) = at.sandbox.add_orders(1)
        assert at.listed() == [second, first]


@pytest.mark.parametrize("lag", [0, 3, 60])
def test_list_lag(lag):
    """A list can lag behind the orders."""
    with calling(fulfilment_s=10, list_lag_s=lag) as at:
        order_id = at.order_id()
        at.clock.sleep(9.9 + lag)
        shown = at("gift-cards/list").json()["data"]["items"][0]
        assert (shown["_id"], shown["status"], "cards" in shown) == (order_id, "HANDLING", False)
        at.clock.sleep(0.2)
        assert at("gift-cards/list").json()["data"]["items"][0]["status"] == "FULFILLED"


def test_list_hides():
    """A list can hide new orders."""
    with calling(list_hides_s=5) as at:
        first = at.order_id()
        at.clock.sleep(4)
        second = at.order_id()
        assert at.listed() == []
        at.clock.sleep(1)
        assert at.listed() == [first]
        assert at("gift-cards/list").json()["data"]["pagination"]["totalResults"] == 1
        at.clock.sleep(4)
        assert at.listed() == [second, first]


# Determinism


def run_of(seed):
    """All that a caller sees in one run."""
    with calling(seed, latency_s=None, rate_limit_per_minute=20) as at:
        seen = [at.sandbox.api_key]
        for type_id in ("type_001", "TEST_PARTIAL", "TEST_REFUND"):
            seen.append(at.place(type_id=type_id, quantity=4).text)
        order_ids = at.listed()
        for _ in range(10):
            at.clock.sleep(2)
            for order_id in order_ids:
                response = at(f"gift-cards/checkOrder/{order_id}")
                seen.append(
                    (at.clock.monotonic(), response.status_code, response.text, response.headers["X-Request-Id"])
                )
        at.clock.sleep(60)
        seen += [at("account/transactions").text, at.sandbox.truth(), at.sandbox.requests]
    return seen


def test_same_seed():
    """The same seed gives the same run."""
    assert run_of(7) == run_of(7)


def test_other_seed():
    """Another seed gives another run."""
    one, other = run_of(1), run_of(2)
    assert one[0] != other[0]
    assert set(one[-2]).isdisjoint(other[-2])
    assert list(one[-2].values()) != list(other[-2].values())


# The account


orders = st.lists(
    st.tuples(
        st.sampled_from(["type_001", "TEST_REFUND", "TEST_PARTIAL", "612619816f57860f9259eee4", "other"]),
        st.integers(1, 9),
        st.sampled_from([0, 1, 13]),
    ),
    max_size=12,
)


@few_examples
@given(seed=st.integers(), orders=orders, rounding=st.sampled_from(["down", "up"]))
def test_balance(seed, orders, rounding):
    """The balance is the opening balance less what was charged, and the transactions show how."""
    opening = Decimal("1000000.07")
    with calling(seed, opening_balance=opening, partial_rounding=rounding) as at:

        def data(path):
            return json.loads(at(path).text, parse_float=Decimal, parse_int=Decimal)["data"]

        for type_id, quantity, wait in orders:
            at.place(type_id=type_id, quantity=quantity)
            at.clock.sleep(wait)
            assert data("account/balance")["balance"] >= 0
        at.clock.sleep(100_000)
        rows = data("gift-cards/list?pageSize=100")["items"]
        moves = data("account/transactions?pageSize=100")["items"][::-1]
        assert data("account/balance")["balance"] == opening - sum(row["fulfilled_amount"] for row in rows)
    balance = opening
    for move in moves:
        assert move["oldBalance"] == balance
        balance += -move["amount"] if move["type"] == "ORDER" else move["amount"]
        assert move["newBalance"] == balance
    assert [move["time"] for move in moves] == sorted(move["time"] for move in moves)
    charged = {row["_id"]: row["fulfilled_amount"] for row in rows}
    for order_id, amount in charged.items():
        sign = {"ORDER": 1, "REFUND-ORDER": -1}
        assert amount == sum(sign[move["type"]] * move["amount"] for move in moves if move["objid"] == order_id)


def test_add_orders():
    """Orders that were added are on the account and made no request."""
    with calling(fulfilment_s=1) as at:
        ids = at.sandbox.add_orders(3, "TEST_PARTIAL", quantity=4)
        assert len(set(ids)) == 3
        assert at.sandbox.requests == []
        assert at.listed() == ids[::-1]
        assert at("account/balance").json()["data"]["balance"] == 10_000_000 - 3 * 4 * 490
        assert at.sandbox.truth() == dict.fromkeys(ids, 1.0)


def test_many_clients():
    """Many clients at once place and poll without losing an order."""
    with calling(fulfilment_s=0) as at:

        def place_and_look(_):
            with Caller(at.sandbox) as own:
                return [own.status(own.order_id()) for _ in range(10)] + at.sandbox.add_orders(1)[:0]

        with ThreadPoolExecutor(4) as pool:
            seen = [status for statuses in pool.map(place_and_look, range(4)) for status in statuses]
        assert seen == ["FULFILLED"] * 40
        assert len(at.sandbox.truth()) == 44


# Rate limit and lock-out


def test_rate_limit():
    """The rate limit rejects what exceeds it and says when there is room."""
    with calling(rate_limit_per_minute=3) as at:
        for _ in range(3):
            assert at("account/balance").status_code == 200
            at.clock.sleep(10.5)
        rejected = at("account/balance")
        assert rejected.status_code == 429
        assert rejected.json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
        assert rejected.headers["Retry-After"] == "29"  # the first was 31.5 s ago
        at.clock.sleep(28)
        assert at("account/balance").headers["Retry-After"] == "1"
        at.clock.sleep(1)
        assert at("account/balance").status_code == 200
        assert at("account/balance").status_code == 429


def test_rate_limited_order():
    """An order rejected by the rate limit is not placed."""
    with calling(rate_limit_per_minute=1) as at:
        assert [at.place().status_code for _ in range(3)] == [200, 429, 429]
        assert len(at.sandbox.truth()) == 1


@few_examples
@given(waits=st.lists(st.floats(0, 30), max_size=40))
def test_retry_after(waits):
    """No minute has more requests than the rate limit, and Retry-After is enough."""
    admitted = []
    with calling(rate_limit_per_minute=4) as at:
        for wait in waits:
            at.clock.sleep(wait)
            response = at("validate")
            if response.status_code == 429:
                at.clock.sleep(int(response.headers["Retry-After"]))
                assert at("validate").status_code == 200
            admitted.append(at.clock.monotonic())
    for fifth, first in zip(admitted[4:], admitted, strict=False):
        assert fifth - first >= 60 - 1e-5


def test_rate_limit_exceptions():
    """ping and rejected keys do not count for the rate limit."""
    with calling(rate_limit_per_minute=1) as at:
        for _ in range(3):
            assert at("ping").status_code == 200
            assert at("validate", headers={"X-Access-Token": None}).status_code == 401
            at("validate", headers={"X-Access-Token": "wrong"})
        assert at("validate").status_code == 200


def codes(at, keys):
    responses = [at("validate", headers={"X-Access-Token": key}).json() for key in keys]
    return [response["error"]["code"] if "error" in response else "good" for response in responses]


@pytest.mark.parametrize("attempts", [1, 5, 20])
def test_lockout(attempts):
    """Wrong keys block the address for some time."""
    with calling(lockout_attempts=attempts) as at:
        left = []
        for _ in range(attempts):
            response = at("validate", headers={"X-Access-Token": "wrong"})
            assert response.status_code == 401
            left.append(response.json()["error"]["details"]["attemptsLeft"])
        assert left == list(range(attempts))[::-1]
        blocked = at("validate")
        assert (blocked.status_code, blocked.json()["error"]["code"]) == (403, "IP_BLOCKED")
        at.clock.sleep(899)
        assert codes(at, ["wrong", None, at.sandbox.api_key]) == ["IP_BLOCKED"] * 3
        at.clock.sleep(1)
        assert codes(at, [at.sandbox.api_key]) == ["good"]


def test_lockout_count():
    """Only wrong keys in a row count, and a missing key is not a wrong one."""
    with calling(lockout_attempts=2) as at:
        good = at.sandbox.api_key
        keys = ["wrong", good, "wrong", None, good, None, None, None, good]
        assert "IP_BLOCKED" not in codes(at, keys)
        assert codes(at, ["wrong", None, "wrong", good])[-1] == "IP_BLOCKED"


# Faults


def test_fault_calls():
    """A fault affects its calls and no others."""
    with calling(faults=[Fault("validate", call=2, times=2, status=503)]) as at:
        assert [at.outcome("validate") for _ in range(5)] == [200, 503, 503, 200, 200]


def test_fault_counts():
    """A fault counts the requests of its endpoint from when it was injected."""
    with calling() as at:
        at("validate")
        at.sandbox.inject(Fault("validate", call=2, status=500))
        assert [at.outcome(path) for path in ("validate", "ping", "validate", "validate")] == [200, 200, 500, 200]


def test_fault_any_endpoint():
    """A fault of any endpoint counts the requests of all."""
    with calling(faults=[Fault(call=3, status=500)]) as at:
        assert [at.outcome(path) for path in ("validate", "ping", "gift-cards/list")] == [200, 200, 500]


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("ping", "ping"),
        ("validate", "validate"),
        ("catalog", "gift-cards/catalog"),
        ("checkProduct", f"gift-cards/checkProduct/{PRODUCT}"),
        ("checkOrder", f"gift-cards/checkOrder/{ORDER_ID}"),
        ("list", "gift-cards/list"),
        ("balance", "account/balance"),
        ("transactions", "account/transactions"),
    ],
)
def test_fault_endpoint(endpoint, path):
    """Every endpoint can fail alone."""
    with calling(faults=[Fault(endpoint, status=500)]) as at:
        others = {"ping", "validate", "account/balance"} - {path}
        assert {at.outcome(other) for other in others} == {200}
        assert [at.outcome(path), at.outcome(path)] == [500, 200]


@pytest.mark.parametrize(
    ("fault", "content_type", "check"),
    [
        (Fault(status=503), "application/json", lambda text: '"code":"SERVICE_UNAVAILABLE"' in text),
        (Fault(status=503, code="AUTH_UNAVAILABLE"), "application/json", lambda text: "AUTH_UNAVAILABLE" in text),
        (Fault(status=418), "application/json", lambda text: '"code":"HTTP_418"' in text),
        (Fault(status=404, body="router"), "application/json", lambda text: json.loads(text)["error"] == "Not Found"),
        (Fault(status=502, body="html"), "text/html", lambda text: text.startswith("<html>")),
        (Fault(status=520, body="empty"), "", lambda text: text == ""),
        (Fault(status=200, body=b"{oops"), "application/json", lambda text: text == "{oops"),
        (Fault(body=b"{oops"), "application/json", lambda text: text == "{oops"),
        (Fault(status=204, body="html"), "", lambda text: text == ""),
    ],
)
def test_fault_body(fault, content_type, check):
    """A fault responds with its body."""
    with calling(faults=[fault]) as at:
        response = at("validate")
        assert response.status_code == (fault.status or 200)
        assert response.headers.get("Content-Type", "").startswith(content_type)
        assert check(response.text)
        assert response.headers["X-Request-Id"]
        assert at("validate").status_code == 200


def test_fault_headers():
    """A fault adds its headers."""
    with calling(faults=[Fault(status=503, headers={"Retry-After": "5"}), Fault(call=2, headers={"X-Odd": "1"})]) as at:
        assert at("validate").headers["Retry-After"] == "5"
        response = at("validate")
        assert (response.status_code, response.headers["X-Odd"]) == (200, "1")


@pytest.mark.parametrize(
    ("fault", "placed"),
    [
        (Fault("placeOrder", status=503), False),
        (Fault("placeOrder", status=200, body=b"garbage"), False),
        (Fault("placeOrder", body=b"garbage"), True),
        (Fault("placeOrder", cut="before"), False),
        (Fault("placeOrder", cut="within"), True),
        (Fault("placeOrder", cut="after"), True),
        (Fault("placeOrder", status=500, cut="after"), False),
        (Fault.commit_then_drop(), True),
    ],
)
def test_fault_place_order(fault, placed):
    """An order is placed under a fault or not, as the fault says."""
    with calling(faults=[fault]) as at:
        try:
            response = at.place()
        except requests.RequestException:
            assert fault.cut
        else:
            assert not fault.cut
            assert response.status_code == (fault.status or 200)
        (record,) = at.sandbox.requests
        assert at.listed() == list(at.sandbox.truth()) == ([record.order_id] if placed else [])
        assert (record.order_id is not None) == placed


@pytest.mark.parametrize(
    ("cut", "error"),
    [
        ("before", "Connection reset"),
        ("within", "IncompleteRead"),
        ("after", "Remote end closed connection without response"),
    ],
)
def test_fault_cut(cut, error):
    """Each cut fails in its own way, and the next request works."""
    with calling(faults=[Fault("validate", call=2, cut=cut)]) as at:
        assert at.outcome("validate") == 200
        with pytest.raises(requests.RequestException, match=error):
            at("validate")
        assert at.outcome("validate") == 200


def test_commit_then_drop():
    """commit_then_drop loses the response of the order it is given."""
    with calling(faults=[Fault.commit_then_drop(call=2)]) as at:
        first = at.order_id()
        with pytest.raises(requests.ConnectionError):
            at.place()
        third = at.order_id()
        listed = at.listed()
        assert (listed[0], listed[2], len(listed)) == (third, first, 3)
        assert [record.status for record in at.sandbox.requests[:3]] == [200, None, 200]
        assert [record.order_id for record in at.sandbox.requests[:3]] == listed[::-1]


def test_fault_delay():
    """A delayed response reports the status from before the delay."""
    with calling(faults=[Fault("checkOrder", delay_s=20)], fulfilment_s=10) as at:
        order_id = at.order_id()
        assert at.status(order_id) == "HANDLING"
        assert at.clock.monotonic() == 20
        assert at.status(order_id) == "FULFILLED"


def test_fault_after_auth():
    """A request without a key is not counted by a fault."""
    with calling(faults=[Fault("validate", status=500)]) as at:
        assert at("validate", headers={"X-Access-Token": None}).status_code == 401
        assert at.outcome("validate") == 500


@pytest.mark.parametrize(
    "bad",
    [
        {"endpoint": "placeorder", "status": 500},
        {"call": 0, "status": 500},
        {"call": True, "status": 500},
        {"times": 0, "status": 500},
        {"status": 99},
        {"status": "500"},
        {"status": 500, "body": "xml"},
        {"cut": "middle"},
        {"delay_s": -1},
        {"delay_s": math.inf},
        {"status": 500, "cut": "before"},
        {"body": "html"},
        {"code": "NO_STATUS"},
        {},
    ],
)
def test_bad_fault(bad):
    """A fault that makes no sense is rejected."""
    with pytest.raises(ValueError, match="must be|does nothing"):
        Fault(**bad)


def test_not_a_fault():
    """What is not a fault is rejected."""
    with pytest.raises(ValueError, match="faults must be a list of Faults"):
        Sandbox(faults=["placeOrder"])


# Settings


@pytest.mark.parametrize(
    "bad",
    [
        {"fulfilment_median_s": 0},
        {"fulfilment_median_s": math.inf},
        {"fulfilment_median_s": "10"},
        {"fulfilment_p95_s": 9},
        {"fulfilment_s": -1},
        {"fulfilment_s": math.nan},
        {"latency_median_s": 0},
        {"latency_p95_s": 0.1},
        {"latency_s": math.inf},
        {"rate_limit_per_minute": 0},
        {"rate_limit_per_minute": 1.5},
        {"lockout_attempts": None},
        {"lockout_s": 0},
        {"key_type": "TEST"},
        {"key_scope": "READ"},
        {"allowed_ips": "127.0.0.1"},
        {"partial_rounding": "half"},
        {"prices": {"type_001": 4.9}},
        {"prices": [("type_001", 490)]},
        {"test_type_price": Decimal("1.005")},
        {"unknown_type_price": Decimal(-1)},
        {"opening_balance": Decimal("NaN")},
        {"check_stock": 1},
        {"balance_code": "POOR"},
        {"sample_order": None},
    ],
)
def test_bad_setting(bad):
    """A wrong setting is rejected by name."""
    (name,) = bad
    with pytest.raises(ValueError, match=f"{name} must be .+, got "):
        Sandbox(**bad)


def test_unknown_setting():
    """An unknown setting is rejected with the known ones."""
    with pytest.raises(TypeError, match="'latency'.*latency_s.*sample_order"):
        Sandbox(latency=1)


@pytest.mark.parametrize("bad", [{"n": -1}, {"n": 1.5}, {"n": 1, "quantity": 0}, {"n": True}])
def test_bad_add_orders(bad):
    """Impossible numbers of orders are rejected."""
    with Sandbox() as sandbox, pytest.raises(ValueError, match="must be a whole number"):
        sandbox.add_orders(**bad)


@pytest.mark.parametrize("most", [-1, "x", None, 1.5])
def test_bad_latest_orders(most):
    """An impossible number of orders to show is rejected."""
    with Sandbox() as sandbox, pytest.raises(ValueError, match="most must be a whole number from 0 up, got"):
        sandbox.latest_orders(most)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"settings": {}}, "settings must be Settings or None, got {}"),
        ({"host": None}, "host must be a string, got None"),
        ({"outcomes": {1: Outcome()}}, "outcomes must be type ids with an Outcome"),
        ({"api_key": "sk_live_0123456789 "}, "api_key must be a text of .* [(]not shown[)]$"),
    ],
)  # fmt: skip
def test_bad_argument(given, expected):
    """A wrong argument is rejected by name; a key is not shown."""
    with pytest.raises(ValueError, match=expected) as error:
        Sandbox(**given)
    assert "sk_live" not in str(error.value)


def test_add_orders_balance():
    """Orders that are added need a balance too."""
    with Sandbox(opening_balance=500) as sandbox:
        with pytest.raises(ValueError, match="holds 500 dinars"):
            sandbox.add_orders(1, quantity=2)
        assert sandbox.truth() == {}


# Start and end


def test_closed():
    """After close an open session gets a connection error."""
    with calling() as at:
        at("ping")
        at.sandbox.close()
        with pytest.raises(requests.ConnectionError):
            at("ping")


def test_same_port():
    """A new sandbox on an old one's port has its own state only."""
    with calling() as at:
        order_id = at.order_id()
        port = int(at.sandbox.url.rsplit(":", 1)[1])
        at.sandbox.close()
        with Sandbox(port=port, latency_s=0) as new:
            assert new.url == at.sandbox.url
            assert at(f"gift-cards/checkOrder/{order_id}").status_code == 404


def test_close_at_once():
    """close does not wait for responses that are not sent yet."""
    with calling(0, SystemClock(), latency_s=600) as at, ThreadPoolExecutor(1) as pool:
        request = pool.submit(at.outcome)
        while not at.sandbox._service.request_count:
            pass
        at.sandbox.close()
        assert request.result() is requests.ConnectionError


def test_close_twice():
    """A second close does nothing."""
    sandbox = Sandbox()
    sandbox.close()
    sandbox.close()
    assert "closed" in repr(sandbox)


def test_taken_port():
    """A taken port is an error of the constructor."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            Sandbox(port=taken.getsockname()[1])


@pytest.mark.parametrize("port", [-1, 65536, 70000, "8080"])
def test_bad_port(port):
    """An impossible port is named."""
    with pytest.raises(ValueError, match=f"port must be a whole number from 0 to 65535, got {port!r}"):
        Sandbox(port=port)


def test_url():
    """It listens on loopback, and its address has no version."""
    with Sandbox() as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
        assert sandbox.url.count("/") == 2


def test_repr():
    """The key is not in the repr."""
    with Sandbox() as sandbox:
        assert sandbox.api_key not in repr(sandbox)
        assert sandbox.url in repr(sandbox)


async def _ask_inside_a_loop():
    with calling() as at:
        return at("ping").status_code


def test_inside_event_loop():
    """It works where an event loop runs already."""
    assert asyncio.run(_ask_inside_a_loop()) == 200


def test_silent(capfd, caplog):
    """It prints and logs nothing."""
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.INFO, logger="tornado.access")
    faults = [Fault("ping", cut=cut, call=n) for n, cut in enumerate(("before", "within", "after"), 1)]
    with calling(faults=faults) as at:
        for path in ("ping", "ping", "ping", "ping", "nothing", "validate"):
            at.outcome(path)
        at.outcome("gift-cards/checkOrder/unknown")
    assert [record for record in caplog.records if record.name.startswith(("tornado", "asyncio", "giftlib"))] == []
    assert capfd.readouterr() == ("", "")


def test_one_write():
    """Head and body of a response leave in one write."""
    with calling() as at:  # two writes would cost 40 ms each time: Nagle and delayed acknowledgements
        with connect(at.sandbox) as connection:
            for _ in range(5):
                connection.sendall(b"GET /v3/ping HTTP/1.1\r\nHost: sandbox\r\n\r\n")
                head, body = connection.recv(65536).split(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 OK\r\n")
                assert json.loads(body)["success"] is True
