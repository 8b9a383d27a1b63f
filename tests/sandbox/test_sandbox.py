"""The sandbox over time: orders, account, ceiling, lock-out, faults and its own life, asked by plain requests."""

import asyncio
import json
import logging
import math
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from giftlib.clock import SimulatedClock, SystemClock
from giftlib.sandbox import Fault, Sandbox

few_examples = settings(max_examples=25)


@contextmanager
def keyed_session(sandbox):
    with requests.Session() as session:
        session.trust_env = False
        session.headers["X-Access-Token"] = sandbox.api_key
        yield session


class Desk:
    """A sandbox and somebody who asks it over one keep-alive session."""

    def __init__(self, sandbox, session):
        self.sandbox, self.session, self.clock = sandbox, session, sandbox.clock

    def get(self, path, **kwargs):
        return self.session.get(f"{self.sandbox.url}/v3/{path}", timeout=5, **kwargs)

    def place(self, type_id="type_001", quantity=1):
        body = {"productId": "507f1f77bcf86cd799439011", "typeId": type_id, "quantity": quantity}
        return self.session.post(f"{self.sandbox.url}/v3/gift-cards/placeOrder", json=body, timeout=5)

    def order_id(self, *args, **kwargs):
        return self.place(*args, **kwargs).json()["data"]["orderId"]

    def status(self, order_id):
        return self.get(f"gift-cards/checkOrder/{order_id}").json()["data"]["status"]

    def listed(self):
        return [row["_id"] for row in self.get("gift-cards/list").json()["data"]["items"]]


@contextmanager
def desk(*args, **options):
    with Sandbox(*args, **{"latency_s": 0, "rate_limit_per_minute": None} | options) as sandbox:
        with keyed_session(sandbox) as session:
            yield Desk(sandbox, session)


# Time


@pytest.mark.parametrize("duration", [0, 0.5, 10, 3600])
def test_an_order_is_final_from_its_due_moment_on(duration):
    with desk(fulfilment_s=duration) as at:
        order_id = at.order_id()
        if duration:
            assert at.status(order_id) == "HANDLING"
            at.clock.sleep(duration * 0.999)
            assert at.status(order_id) == "HANDLING"
            at.clock.sleep(duration * 0.0011)
        assert at.status(order_id) == "FULFILLED"


def test_an_order_can_take_for_ever():
    with desk(fulfilment_s=math.inf) as at:
        order_id = at.order_id("TEST_REFUND")
        at.clock.sleep(1e8)
        assert at.status(order_id) == "HANDLING"
        assert at.sandbox.truth() == {order_id: math.inf}
        assert at.get("account/transactions").json()["data"]["pagination"]["totalResults"] == 1


@few_examples
@given(seed=st.integers(), cadence=st.sampled_from([0.25, 1, 7, 50]))
def test_the_state_follows_truth_whatever_the_cadence_of_looking(seed, cadence):
    with desk(seed) as at:
        order_id = at.order_id()
        duration = at.sandbox.truth()[order_id]
        for _ in range(20):
            at.clock.sleep(cadence)
            assert (at.status(order_id) == "FULFILLED") == (at.clock.monotonic() >= duration)
        assert at.sandbox.truth() == {order_id: duration}


@few_examples
@given(seed=st.integers(), looks=st.lists(st.integers(0, 4), min_size=3, max_size=3))
def test_looking_does_not_change_how_long_later_orders_take(seed, looks):
    def durations(looks):
        with desk(seed, latency_s=None) as at:
            for count in looks:
                order_id = at.order_id()
                for _ in range(count):
                    at.status(order_id)
            return list(at.sandbox.truth().values())

    assert durations(looks) == durations([0, 0, 0])


def test_times_to_fulfilment_follow_the_law_that_was_set():
    with Sandbox(fulfilment_median_s=20, fulfilment_p95_s=50) as sandbox:
        sandbox.add_orders(4000)
        durations = sorted(sandbox.truth().values())
    assert durations[2000] == pytest.approx(20, rel=0.05)
    assert durations[3800] == pytest.approx(50, rel=0.08)


def test_an_answer_takes_the_latency_that_was_set_half_before_and_half_after_it_is_made():
    with desk(latency_s=0.3) as at:
        timestamp = at.get("ping").json()["meta"]["timestamp"]
        assert timestamp == "2026-01-01T00:00:00.150Z"
        assert at.clock.monotonic() == 0.3


def test_latencies_follow_the_law_that_was_set():
    with desk(latency_s=None) as at:
        spans = []
        for _ in range(400):
            before = at.clock.monotonic()
            at.get("ping")
            spans.append(at.clock.monotonic() - before)
    spans.sort()
    assert spans[200] == pytest.approx(0.15, rel=0.15)
    assert spans[380] == pytest.approx(0.4, rel=0.25)


@pytest.mark.parametrize("latency", [45, 100])
def test_a_latency_beyond_the_callers_limit_is_cut_at_the_limit_with_the_order_kept(latency):
    with desk(latency_s=latency, fulfilment_s=5) as at:
        at.clock.sleep(1)
        with pytest.raises(requests.ConnectionError), at.clock.time_limit(30):
            at.place()
        assert at.clock.monotonic() == 31
        (record,) = at.sandbox.requests
        assert record.status is None
        assert list(at.sandbox.truth()) == [record.order_id]


def test_on_the_system_clock_latency_is_waited_for():
    with desk(0, SystemClock(), latency_s=0.01, fulfilment_s=0.001) as at:
        answer = at.place()
        assert answer.elapsed.total_seconds() >= 0.009
        assert at.status(answer.json()["data"]["orderId"]) == "FULFILLED"


def test_a_caller_who_hangs_up_has_placed_the_order_all_the_same():
    with desk(0, SystemClock(), latency_s=0.01) as at:
        with pytest.raises(requests.ReadTimeout):
            at.session.post(
                at.sandbox.url + "/v3/gift-cards/placeOrder",
                json={"productId": "p", "typeId": "t", "quantity": 1},
                timeout=0.002,
            )
        while not at.sandbox.requests:
            at.get("ping")
        assert len(at.sandbox.truth()) == 1


def test_the_time_of_day_may_step_back_without_disordering_the_list():
    class SteppingClock(SimulatedClock):
        step = timedelta()

        def now_utc(self):
            return super().now_utc() + self.step

    with desk(0, SteppingClock()) as at:
        (first,) = at.sandbox.add_orders(1)
        at.clock.step = timedelta(hours=-1)
        (second,) = at.sandbox.add_orders(1)
        assert at.listed() == [second, first]


@pytest.mark.parametrize("lag", [0, 3, 60])
def test_a_list_may_lag_behind_the_orders_themselves(lag):
    with desk(fulfilment_s=10, list_lag_s=lag) as at:
        order_id = at.order_id()
        at.clock.sleep(9.9 + lag)
        shown = at.get("gift-cards/list").json()["data"]["items"][0]
        assert (shown["_id"], shown["status"], "cards" in shown) == (order_id, "HANDLING", False)
        at.clock.sleep(0.2)
        assert at.get("gift-cards/list").json()["data"]["items"][0]["status"] == "FULFILLED"


def test_a_list_may_hide_young_orders():
    with desk(list_hides_s=5) as at:
        first = at.order_id()
        at.clock.sleep(4)
        second = at.order_id()
        assert at.listed() == []
        at.clock.sleep(1)
        assert at.listed() == [first]
        assert at.get("gift-cards/list").json()["data"]["pagination"]["totalResults"] == 1
        at.clock.sleep(4)
        assert at.listed() == [second, first]


# Determinism


def story(seed):
    """All that a caller sees in one run."""
    with desk(seed, latency_s=None, rate_limit_per_minute=20) as at:
        seen = [at.sandbox.api_key]
        for type_id in ("type_001", "TEST_PARTIAL", "TEST_REFUND"):
            seen.append(at.place(type_id, 4).text)
        order_ids = at.listed()
        for _ in range(10):
            at.clock.sleep(2)
            for order_id in order_ids:
                answer = at.get(f"gift-cards/checkOrder/{order_id}")
                seen.append((at.clock.monotonic(), answer.status_code, answer.text, answer.headers["X-Request-Id"]))
        at.clock.sleep(60)
        seen += [at.get("account/transactions").text, at.sandbox.truth(), at.sandbox.requests]
    return seen


def test_the_same_seed_tells_the_same_story():
    assert story(7) == story(7)


def test_another_seed_tells_another_story():
    one, other = story(1), story(2)
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
def test_the_balance_is_the_opening_one_less_what_was_charged(seed, orders, rounding):
    opening = Decimal("1000000.07")
    with desk(seed, opening_balance=opening, partial_rounding=rounding) as at:

        def data(path):
            return json.loads(at.get(path).text, parse_float=Decimal, parse_int=Decimal)["data"]

        for type_id, quantity, wait in orders:
            at.place(type_id, quantity)
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


def test_orders_of_somebody_else_are_on_the_account_and_made_no_request():
    with desk(fulfilment_s=1) as at:
        ids = at.sandbox.add_orders(3, "TEST_PARTIAL", quantity=4)
        assert len(set(ids)) == 3
        assert at.sandbox.requests == []
        assert at.listed() == ids[::-1]
        assert at.get("account/balance").json()["data"]["balance"] == 10_000_000 - 3 * 4 * 490
        assert at.sandbox.truth() == dict.fromkeys(ids, 1.0)


def test_many_callers_at_once_place_and_look_without_losing_an_order():
    with desk(fulfilment_s=0) as at:

        def place_and_look(_):
            with keyed_session(at.sandbox) as session:
                own = Desk(at.sandbox, session)
                return [own.status(own.order_id()) for _ in range(10)] + at.sandbox.add_orders(1)[:0]

        with ThreadPoolExecutor(4) as pool:
            seen = [status for statuses in pool.map(place_and_look, range(4)) for status in statuses]
        assert seen == ["FULFILLED"] * 40
        assert len(at.sandbox.truth()) == 44


# Ceiling and lock-out


def test_the_ceiling_refuses_what_exceeds_it_and_tells_when_there_is_room():
    with desk(rate_limit_per_minute=3) as at:
        for _ in range(3):
            assert at.get("account/balance").status_code == 200
            at.clock.sleep(10.5)
        refused = at.get("account/balance")
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
        assert refused.headers["Retry-After"] == "29"  # the first was 31.5 s ago
        at.clock.sleep(28)
        assert at.get("account/balance").headers["Retry-After"] == "1"
        at.clock.sleep(1)
        assert at.get("account/balance").status_code == 200
        assert at.get("account/balance").status_code == 429


def test_an_order_refused_by_the_ceiling_is_not_placed():
    with desk(rate_limit_per_minute=1) as at:
        assert [at.place().status_code for _ in range(3)] == [200, 429, 429]
        assert len(at.sandbox.truth()) == 1


@few_examples
@given(waits=st.lists(st.floats(0, 30), max_size=40))
def test_no_minute_has_more_requests_than_the_ceiling_and_retry_after_is_enough(waits):
    admitted = []
    with desk(rate_limit_per_minute=4) as at:
        for wait in waits:
            at.clock.sleep(wait)
            answer = at.get("validate")
            if answer.status_code == 429:
                at.clock.sleep(int(answer.headers["Retry-After"]))
                assert at.get("validate").status_code == 200
            admitted.append(at.clock.monotonic())
    for fifth, first in zip(admitted[4:], admitted, strict=False):
        assert fifth - first >= 60 - 1e-5


def test_ping_and_refused_keys_do_not_count_against_the_ceiling():
    with desk(rate_limit_per_minute=1) as at:
        for _ in range(3):
            assert at.get("ping").status_code == 200
            assert at.get("validate", headers={"X-Access-Token": None}).status_code == 401
            at.get("validate", headers={"X-Access-Token": "wrong"})
        assert at.get("validate").status_code == 200


def codes(at, keys):
    answers = [at.get("validate", headers={"X-Access-Token": key}).json() for key in keys]
    return [answer["error"]["code"] if "error" in answer else "good" for answer in answers]


@pytest.mark.parametrize("attempts", [1, 5, 20])
def test_wrong_keys_lock_the_address_out_for_a_while(attempts):
    with desk(lockout_attempts=attempts) as at:
        left = []
        for _ in range(attempts):
            answer = at.get("validate", headers={"X-Access-Token": "wrong"})
            assert answer.status_code == 401
            left.append(answer.json()["error"]["details"]["attemptsLeft"])
        assert left == list(range(attempts))[::-1]
        blocked = at.get("validate")
        assert (blocked.status_code, blocked.json()["error"]["code"]) == (403, "IP_BLOCKED")
        at.clock.sleep(899)
        assert codes(at, ["wrong", None, at.sandbox.api_key]) == ["IP_BLOCKED"] * 3
        at.clock.sleep(1)
        assert codes(at, [at.sandbox.api_key]) == ["good"]


def test_only_wrong_keys_in_a_row_count_and_a_missing_one_is_not_wrong():
    with desk(lockout_attempts=2) as at:
        good = at.sandbox.api_key
        keys = ["wrong", good, "wrong", None, good, None, None, None, good]
        assert "IP_BLOCKED" not in codes(at, keys)
        assert codes(at, ["wrong", None, "wrong", good])[-1] == "IP_BLOCKED"


# Faults


def outcome(at, path="ping"):
    try:
        return at.get(path).status_code
    except requests.RequestException as error:
        return type(error)


def test_a_fault_strikes_its_calls_and_no_others():
    with desk(faults=[Fault("validate", call=2, times=2, status=503)]) as at:
        assert [outcome(at, "validate") for _ in range(5)] == [200, 503, 503, 200, 200]


def test_a_fault_counts_the_requests_of_its_endpoint_from_when_it_was_injected():
    with desk() as at:
        at.get("validate")
        at.sandbox.inject(Fault("validate", call=2, status=500))
        assert [outcome(at, path) for path in ("validate", "ping", "validate", "validate")] == [200, 200, 500, 200]


def test_a_fault_of_any_endpoint_counts_them_all():
    with desk(faults=[Fault(call=3, status=500)]) as at:
        assert [outcome(at, path) for path in ("validate", "ping", "gift-cards/list")] == [200, 200, 500]


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("ping", "ping"),
        ("validate", "validate"),
        ("catalog", "gift-cards/catalog"),
        ("checkProduct", "gift-cards/checkProduct/507f1f77bcf86cd799439011"),
        ("checkOrder", "gift-cards/checkOrder/6901616fe9e88196b4eb64b3"),
        ("list", "gift-cards/list"),
        ("balance", "account/balance"),
        ("transactions", "account/transactions"),
    ],
)
def test_every_endpoint_can_fail_alone(endpoint, path):
    with desk(faults=[Fault(endpoint, status=500)]) as at:
        others = {"ping", "validate", "account/balance"} - {path}
        assert {outcome(at, other) for other in others} == {200}
        assert [outcome(at, path), outcome(at, path)] == [500, 200]


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
def test_a_fault_answers_with_its_body(fault, content_type, check):
    with desk(faults=[fault]) as at:
        answer = at.get("validate")
        assert answer.status_code == (fault.status or 200)
        assert answer.headers.get("Content-Type", "").startswith(content_type)
        assert check(answer.text)
        assert answer.headers["X-Request-Id"]
        assert at.get("validate").status_code == 200


def test_a_fault_brings_its_headers():
    with desk(faults=[Fault(status=503, headers={"Retry-After": "5"}), Fault(call=2, headers={"X-Odd": "1"})]) as at:
        assert at.get("validate").headers["Retry-After"] == "5"
        answer = at.get("validate")
        assert (answer.status_code, answer.headers["X-Odd"]) == (200, "1")


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
def test_a_struck_order_is_placed_or_not_as_the_fault_says(fault, placed):
    with desk(faults=[fault]) as at:
        try:
            answer = at.place()
        except requests.RequestException:
            assert fault.cut
        else:
            assert not fault.cut
            assert answer.status_code == (fault.status or 200)
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
def test_a_cut_connection_fails_in_its_own_way_and_the_next_request_works(cut, error):
    with desk(faults=[Fault("validate", call=2, cut=cut)]) as at:
        assert outcome(at, "validate") == 200
        with pytest.raises(requests.RequestException, match=error):
            at.get("validate")
        assert outcome(at, "validate") == 200


def test_commit_then_drop_strikes_the_order_it_is_told_to():
    with desk(faults=[Fault.commit_then_drop(call=2)]) as at:
        first = at.order_id()
        with pytest.raises(requests.ConnectionError):
            at.place()
        third = at.order_id()
        listed = at.listed()
        assert (listed[0], listed[2], len(listed)) == (third, first, 3)
        assert [record.status for record in at.sandbox.requests[:3]] == [200, None, 200]
        assert [record.order_id for record in at.sandbox.requests[:3]] == listed[::-1]


def test_a_delayed_answer_is_about_the_moment_before_the_delay():
    with desk(faults=[Fault("checkOrder", delay_s=20)], fulfilment_s=10) as at:
        order_id = at.order_id()
        assert at.status(order_id) == "HANDLING"
        assert at.clock.monotonic() == 20
        assert at.status(order_id) == "FULFILLED"


def test_a_request_that_is_refused_at_the_gate_is_not_counted_by_a_fault():
    with desk(faults=[Fault("validate", status=500)]) as at:
        assert at.get("validate", headers={"X-Access-Token": None}).status_code == 401
        assert outcome(at, "validate") == 500


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
def test_a_fault_that_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError, match="must be|does nothing"):
        Fault(**bad)


def test_what_is_not_a_fault_is_refused():
    with pytest.raises(ValueError, match="fault must be a Fault"):
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
def test_a_bad_setting_is_refused_by_name(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=f"{name} must be .+, got "):
        Sandbox(**bad)


def test_an_unknown_setting_is_refused_with_the_known_ones():
    with pytest.raises(TypeError, match="'latency'.*latency_s.*sample_order"):
        Sandbox(latency=1)


@pytest.mark.parametrize("bad", [{"n": -1}, {"n": 1.5}, {"n": 1, "quantity": 0}, {"n": True}])
def test_impossible_numbers_of_orders_are_refused(bad):
    with Sandbox() as sandbox, pytest.raises(ValueError, match="must be a whole number"):
        sandbox.add_orders(**bad)


def test_orders_of_somebody_else_need_a_balance_too():
    with Sandbox(opening_balance=500) as sandbox:
        with pytest.raises(ValueError, match="holds 500 dinars"):
            sandbox.add_orders(1, quantity=2)
        assert sandbox.truth() == {}


# Its own life


def test_after_close_an_open_session_is_refused():
    with desk() as at:
        at.get("ping")
        at.sandbox.close()
        with pytest.raises(requests.ConnectionError):
            at.get("ping")


def test_a_new_sandbox_on_the_port_of_an_old_one_shows_its_own_state_only():
    with desk() as at:
        order_id = at.order_id()
        port = int(at.sandbox.url.rsplit(":", 1)[1])
        at.sandbox.close()
        with Sandbox(port=port, latency_s=0) as new:
            assert new.url == at.sandbox.url
            assert at.get(f"gift-cards/checkOrder/{order_id}").status_code == 404


def test_close_does_not_wait_for_answers_under_way():
    with desk(0, SystemClock(), latency_s=600) as at, ThreadPoolExecutor(1) as pool:
        request = pool.submit(outcome, at)
        while not at.sandbox._service.request_count:
            pass
        at.sandbox.close()
        assert request.result() is requests.ConnectionError


def test_closing_twice_is_closing_once():
    sandbox = Sandbox()
    sandbox.close()
    sandbox.close()
    assert "closed" in repr(sandbox)


def test_a_taken_port_is_an_error_in_the_caller():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            Sandbox(port=taken.getsockname()[1])


@pytest.mark.parametrize("port", [-1, 65536, 70000, "8080"])
def test_a_port_that_cannot_be_is_named(port):
    with pytest.raises(ValueError, match=f"port must be a whole number from 0 to 65535, got {port!r}"):
        Sandbox(port=port)


def test_it_listens_on_loopback_and_its_address_has_no_version():
    with Sandbox() as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
        assert sandbox.url.count("/") == 2


def test_the_key_is_not_in_the_repr():
    with Sandbox() as sandbox:
        assert sandbox.api_key not in repr(sandbox)
        assert sandbox.url in repr(sandbox)


async def _ask_inside_a_loop():
    with desk() as at:
        return at.get("ping").status_code


def test_it_works_where_an_event_loop_is_running_already():
    assert asyncio.run(_ask_inside_a_loop()) == 200


def test_it_prints_and_logs_nothing(capfd, caplog):
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.INFO, logger="tornado.access")
    faults = [Fault("ping", cut=cut, call=n) for n, cut in enumerate(("before", "within", "after"), 1)]
    with desk(faults=faults) as at:
        for path in ("ping", "ping", "ping", "ping", "nothing", "validate"):
            outcome(at, path)
        outcome(at, "gift-cards/checkOrder/unknown")
    assert [record for record in caplog.records if record.name.startswith(("tornado", "asyncio", "giftlib"))] == []
    assert capfd.readouterr() == ("", "")


def test_head_and_body_of_an_answer_leave_together_on_a_connection_that_is_kept():
    with desk() as at:  # two writes would cost 40 ms each time: Nagle and delayed acknowledgements
        with socket.create_connection(("127.0.0.1", int(at.sandbox.url.rsplit(":", 1)[1]))) as connection:
            for _ in range(5):
                connection.sendall(b"GET /v3/ping HTTP/1.1\r\nHost: sandbox\r\n\r\n")
                head, body = connection.recv(65536).split(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 OK\r\n")
                assert json.loads(body)["success"] is True
