import warnings
from datetime import timedelta
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giftlib import (
    ApiError,
    AuthenticationError,
    Journal,
    NoAnswerError,
    NotFoundError,
    OrderStatus,
    PollTimeoutError,
    ServerError,
    SimulatedClock,
    check_order_status,
    poll_order_until_complete,
)
from giftlib.polling.schedules import every
from giftlib.sandbox import Fault, Sandbox

PRODUCT = "507f1f77bcf86cd799439011"


class SteppingClock(SimulatedClock):
    """Its wall clock steps by `step` when 10 s have passed."""

    def __init__(self, step):
        super().__init__()
        self._step = step

    def now_utc(self):
        return super().now_utc() + (self._step if self.monotonic() > 10 else timedelta(0))


def wait(sandbox, *, faults=(), journal=None, client=None, timeout=60, interval=5, **more):
    """Place an order, wait for it from the moment it is placed, and give the order or error and the seconds taken."""
    client = client or sandbox.client()
    [order_id] = sandbox.add_orders(1)
    for fault in faults:
        sandbox.inject(fault)
    started = sandbox.clock.monotonic()
    try:
        result = poll_order_until_complete(
            order_id, client=client, journal=journal, timeout=timeout, interval=interval, **more
        )
    except PollTimeoutError as error:
        result = error
    return result, sandbox.clock.monotonic() - started


# The deadline: budget 60 s, interval 5 s.


@pytest.mark.parametrize("latency_s", [0, 0.2, 3, 14.9])
def test_a_an_order_that_is_never_final_is_given_up_at_the_deadline(latency_s):
    with Sandbox(fulfilment_s=inf, latency_s=latency_s) as sandbox:
        error, seconds = wait(sandbox)
    assert isinstance(error, PollTimeoutError)
    assert seconds == pytest.approx(60.0, abs=1e-6)
    assert error.last_status == OrderStatus.HANDLING
    assert error.elapsed == pytest.approx(60.0)


@pytest.mark.parametrize("request_timeout", [15, 25, 30, 100])
def test_b_answers_that_take_25_s_do_not_move_the_deadline(request_timeout):
    from giftlib import Client

    with Sandbox(fulfilment_s=inf, latency_s=25) as sandbox:
        client = Client(sandbox.api_key, sandbox.url, clock=sandbox.clock, request_timeout=request_timeout)
        error, seconds = wait(sandbox, client=client)
    assert isinstance(error, PollTimeoutError)
    assert seconds == pytest.approx(60.0, abs=1e-6)
    assert isinstance(error.__cause__, NoAnswerError)


def test_c_a_503_at_the_third_look_does_not_end_the_wait():
    with Sandbox(fulfilment_s=22, latency_s=0.2) as sandbox:
        order, seconds = wait(sandbox, faults=[Fault("checkOrder", call=3, status=503)])
    assert order.status == OrderStatus.FULFILLED
    assert 22 <= seconds < 28


@pytest.mark.parametrize("latency_s", [0, 0.2])
@pytest.mark.parametrize("final_at", [58, 59.5])
def test_d_an_order_final_just_before_the_deadline_is_found(latency_s, final_at):
    with Sandbox(fulfilment_s=final_at, latency_s=latency_s) as sandbox:
        order, seconds = wait(sandbox)
    assert order.status == OrderStatus.FULFILLED
    assert final_at <= seconds <= 60


@pytest.mark.parametrize("step", [timedelta(hours=1), -timedelta(hours=1)], ids=["e_forth", "f_back"])
def test_steps_of_the_wall_clock_change_nothing(step):
    # An order's due time in the emulator follows the monotonic hand, so only the client could be led astray.
    with Sandbox(fulfilment_s=inf, clock=SteppingClock(step), latency_s=0.2) as sandbox:
        journal = Journal()
        error, seconds = wait(sandbox, journal=journal)
    assert isinstance(error, PollTimeoutError)
    assert seconds == pytest.approx(60.0, abs=1e-6)
    assert journal.polls()["latency_s"].round(6).eq(0.2).all()


@settings(max_examples=60)
@given(
    timeout=st.floats(0.5, 400),
    interval=st.floats(0.5, 100),
    latency=st.floats(0, 40),
    fails=st.lists(st.tuples(st.integers(1, 20), st.sampled_from([429, 500, 503])), max_size=4),
)
def test_whatever_happens_the_wait_ends_at_its_deadline(timeout, interval, latency, fails):
    faults = [Fault("checkOrder", call=call, status=status, headers={"Retry-After": "3600"}) for call, status in fails]
    with Sandbox(fulfilment_s=inf, latency_s=latency, rate_limit_per_minute=None) as sandbox:
        error, seconds = wait(sandbox, faults=faults, timeout=timeout, interval=interval, max_attempts=10_000)
    assert isinstance(error, PollTimeoutError)
    assert seconds == pytest.approx(timeout, abs=1e-6)


# What the wait makes of what it sees.


def test_looks_are_made_at_once_and_an_interval_after_each_answer():
    with Sandbox(fulfilment_s=12, latency_s=1) as sandbox:
        journal = Journal()
        wait(sandbox, journal=journal)
    polls = journal.polls()
    assert polls["elapsed_s"].tolist() == pytest.approx([0, 6, 12])
    assert polls["outcome"].tolist() == ["HANDLING", "HANDLING", "FULFILLED"]


def test_a_schedule_takes_the_place_of_the_interval():
    with Sandbox(fulfilment_s=12, latency_s=0) as sandbox:
        journal = Journal()
        wait(sandbox, journal=journal, schedule=every(6, first=7))
        assert journal.polls()["elapsed_s"].tolist() == pytest.approx([7, 13])
        with pytest.raises(ValueError, match="interval or schedule, not both"):
            wait(sandbox, schedule=every(6, first=7), interval=3)


def test_when_the_attempts_run_out_no_pause_follows_the_last():
    with Sandbox(fulfilment_s=inf, latency_s=0) as sandbox:
        error, seconds = wait(sandbox, max_attempts=3)
    assert isinstance(error, PollTimeoutError)
    assert error.attempts == 3
    assert seconds == 10


@pytest.mark.parametrize(
    ("retry_after", "waited"), [("12", 12), ("0", 5), ("-1", 5), ("soon", 5), ("NaN", 5), ("inf", 5), ("3600", 60)]
)
def test_retry_after_is_kept_to_within_reason(retry_after, waited):
    fault = Fault("checkOrder", call=1, status=429, headers={"Retry-After": retry_after})
    with Sandbox(fulfilment_s=1, latency_s=0) as sandbox:
        journal = Journal()
        order, seconds = wait(sandbox, journal=journal, faults=[fault], timeout=300)
    assert order.is_final
    assert seconds == pytest.approx(waited)
    assert journal.polls()["outcome"].tolist() == ["RATE_LIMIT_EXCEEDED", "FULFILLED"]


@pytest.mark.parametrize("fault", [
    Fault("checkOrder", status=500),
    Fault("checkOrder", status=502, body="html"),
    Fault("checkOrder", status=503, body="empty"),
    Fault("checkOrder", status=429),
    Fault("checkOrder", cut="before"),
    Fault("checkOrder", cut="within"),
    Fault("checkOrder", cut="after"),
    Fault("checkOrder", delay_s=60),
    Fault("checkOrder", body=b"{not json"),
])  # fmt: skip
def test_a_look_that_fails_is_recorded_and_the_wait_goes_on(fault):
    with Sandbox(fulfilment_s=1) as sandbox:
        journal = Journal()
        order, _ = wait(sandbox, journal=journal, faults=[fault])
    assert order.status == OrderStatus.FULFILLED
    assert journal.polls()["attempt"].tolist() == [1, 2]
    assert journal.polls()["outcome"][0] not in OrderStatus.__members__


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_look_that_will_always_fail_ends_the_wait_at_the_first(status):
    with Sandbox() as sandbox:
        sandbox.inject(Fault("checkOrder", status=status, times=99))
        journal = Journal()
        [order_id] = sandbox.add_orders(1)
        with pytest.raises(ApiError) as caught:
            poll_order_until_complete(order_id, client=sandbox.client(), journal=journal)
        assert caught.value.status == status
        assert len(journal.polls()) == 1
        assert len(sandbox.requests) == 1


def test_a_wrong_key_costs_one_request():
    from giftlib import Client

    with Sandbox() as sandbox:
        client = Client("wrong-key", sandbox.url, clock=sandbox.clock)
        with pytest.raises(AuthenticationError) as caught:
            poll_order_until_complete("6901616fe9e88196b4eb64b3", client=client)
        assert caught.value.details == {"attemptsLeft": 4}
        assert len(sandbox.requests) == 1


def test_an_unknown_order_is_not_waited_for():
    with Sandbox() as sandbox, pytest.raises(NotFoundError):
        poll_order_until_complete("000000000000000000000000", client=sandbox.client())


def test_an_unknown_status_is_warned_of_once_and_waited_through():
    body = b'{"success": true, "data": {"status": "QUEUED", "quantity": 1}}'
    with Sandbox(fulfilment_s=1) as sandbox:
        journal = Journal()
        with pytest.warns(UserWarning, match="QUEUED") as seen:
            order, _ = wait(sandbox, journal=journal, faults=[Fault("checkOrder", times=2, body=body)])
    assert len(seen) == 1
    assert order.is_final
    assert journal.polls()["outcome"].tolist() == ["QUEUED", "QUEUED", "FULFILLED"]


def test_an_observer_sees_every_look_and_cannot_end_the_wait():
    seen = []

    def observe(poll):
        seen.append(poll.outcome)
        raise RuntimeError("observer")

    with Sandbox(fulfilment_s=12) as sandbox:
        with pytest.warns(UserWarning, match="on_poll raised RuntimeError: observer") as warned:
            order, _ = wait(sandbox, on_poll=observe)
    assert order.is_final
    assert seen == ["HANDLING", "HANDLING", "HANDLING", "FULFILLED"]
    assert len(warned) == 1


@pytest.mark.parametrize("when", ["asleep", "in a request"])
def test_ctrl_c_ends_the_wait_at_once_with_the_journal_complete(when, monkeypatch):
    class Interrupting(SimulatedClock):
        def sleep(self, seconds):
            super().sleep(seconds)
            if self.monotonic() > 10:
                raise KeyboardInterrupt

    with Sandbox(fulfilment_s=inf, clock=Interrupting() if when == "asleep" else None) as sandbox:
        client, journal = sandbox.client(), Journal()
        if when == "in a request":
            real = client.check_order_status
            answers = iter([real, real])

            def check(*args, **kwargs):
                return next(answers, interrupt)(*args, **kwargs)

            def interrupt(*args, **kwargs):
                raise KeyboardInterrupt

            monkeypatch.setattr(client, "check_order_status", check)
        with pytest.raises(KeyboardInterrupt):
            wait(sandbox, client=client, journal=journal)
    outcomes = journal.polls()["outcome"].tolist()
    assert outcomes == ["HANDLING", "HANDLING"] + (["INTERRUPTED"] if when == "in a request" else [])
    assert len(journal.unfinished()) == 1


def test_a_time_out_says_that_the_order_has_not_failed_and_how_to_go_on():
    with Sandbox(fulfilment_s=70) as sandbox:
        client = sandbox.client()
        [order_id] = sandbox.add_orders(1)
        sandbox.inject(Fault("checkOrder", call=4, status=503))
        with pytest.raises(PollTimeoutError, match="not failed") as caught:
            poll_order_until_complete(order_id, timeout=60, client=client)
        error = caught.value
        assert (error.order_id, error.last_status) == (order_id, "HANDLING")
        assert order_id in str(error)
        assert isinstance(error.__cause__, ServerError)
        assert poll_order_until_complete(order_id, client=client).is_final


@pytest.mark.parametrize("outcome", ["TEST_REFUND", "TEST_PARTIAL", "type_001"])
def test_every_final_state_is_a_result(outcome):
    with Sandbox() as sandbox:
        client = sandbox.client()
        order_id = client.place_order(PRODUCT, outcome, 4)
        order = poll_order_until_complete(order_id, client=client)
    expected = {"TEST_REFUND": "REFUNDED", "TEST_PARTIAL": "PARTIALLY_FILLED", "type_001": "FULFILLED"}
    assert order.status == expected[outcome]
    assert order.problems == ()


@pytest.mark.parametrize(
    "arguments",
    [
        {"order_id": ""}, {"order_id": None}, {"order_id": 5}, {"order_id": "a/b"}, {"order_id": ".."},
        {"order_id": "../balance"}, {"order_id": "a b"}, {"order_id": "a?b"}, {"order_id": "x\n"},
        {"max_attempts": 0}, {"max_attempts": True}, {"max_attempts": 2.5},
        {"interval": 0}, {"interval": -1}, {"interval": inf}, {"interval": "5"},
        {"timeout": 0}, {"timeout": -1}, {"timeout": inf}, {"timeout": float("nan")}, {"timeout": None},
    ],
)  # fmt: skip
def test_bad_arguments_are_named_before_a_request_leaves(arguments):
    [(name, value)] = arguments.items()
    with Sandbox() as sandbox:
        with pytest.raises(ValueError, match=f"{name} must be") as caught:
            poll_order_until_complete(**{"order_id": "6901616fe9e88196b4eb64b3"} | arguments, client=sandbox.client())
        assert repr(value) in str(caught.value)
        assert not sandbox.requests


def test_no_bar_is_shown_where_time_is_simulated(capfd):
    with Sandbox() as sandbox:
        wait(sandbox)
    assert capfd.readouterr().err == ""


def test_a_bar_is_shown_where_it_is_asked_for(capfd):
    with Sandbox() as sandbox:
        wait(sandbox, progress=True)
    assert "order" in capfd.readouterr().err


def test_one_look_gives_the_order_as_it_is():
    with Sandbox(fulfilment_s=100) as sandbox, warnings.catch_warnings():
        [order_id] = sandbox.add_orders(1)
        assert check_order_status(order_id, client=sandbox.client()).status == OrderStatus.HANDLING
