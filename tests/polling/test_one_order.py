"""Waiting for one order: the deadline holds whatever happens, and every poll is recorded."""

import io
import sys
import warnings
from datetime import timedelta
from math import inf

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from samples import FULFILLED, ORDER_ID, PRODUCT
from scripted_server import reply
from thorough import tries

from giftlib import (
    ApiError,
    AuthenticationError,
    Client,
    NoAnswerError,
    NotFoundError,
    OrderStatus,
    PollTimeoutError,
    ServerError,
    SimulatedClock,
    SystemClock,
    check_order_status,
    poll_order_until_complete,
    process_order,
    process_orders,
    track_orders,
)
from giftlib.polling.schedules import at_times, every
from giftlib.sandbox import Fault, Sandbox


class SteppingClock(SimulatedClock):
    """Its wall clock steps by `step` when 10 s have passed."""

    def __init__(self, step):
        super().__init__()
        self._step = step

    def now_utc(self):
        return super().now_utc() + (self._step if self.monotonic() > 10 else timedelta(0))


def wait(sandbox, *, faults=(), journal=None, client=None, timeout=60, interval=None, **more):
    """Place an order, wait for it at once, and return the order or the error, with the seconds that it took."""
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


@pytest.mark.parametrize("latency_s", [0, 0.2, 3, 14.9])
def test_deadline(make_sandbox, latency_s):
    """An order that is not final at the deadline is given up exactly then."""
    sandbox = make_sandbox(fulfilment_s=inf, latency_s=latency_s)
    error, seconds = wait(sandbox)
    assert isinstance(error, PollTimeoutError)
    assert seconds == pytest.approx(60.0, abs=1e-6)
    assert error.last_status == OrderStatus.HANDLING
    assert error.elapsed == pytest.approx(60.0)


@pytest.mark.parametrize("request_timeout", [15, 25, 30, 100])
def test_slow_responses(make_sandbox, request_timeout):
    """Responses that take 25 s do not move the deadline."""
    sandbox = make_sandbox(fulfilment_s=inf, latency_s=25)
    client = Client(sandbox.api_key, sandbox.url, clock=sandbox.clock, request_timeout=request_timeout)
    error, seconds = wait(sandbox, client=client)
    assert isinstance(error, PollTimeoutError)
    assert seconds == pytest.approx(60.0, abs=1e-6)
    assert isinstance(error.__cause__, NoAnswerError)


def test_one_failed_poll(make_sandbox):
    """A 503 does not end the wait."""
    sandbox = make_sandbox(fulfilment_s=22, latency_s=0.2)
    order, seconds = wait(sandbox, faults=[Fault("checkOrder", call=3, status=503)])
    assert order.status == OrderStatus.FULFILLED
    assert 22 <= seconds < 28


@pytest.mark.parametrize("latency_s", [0, 0.2])
@pytest.mark.parametrize("final_at", [58, 59.5])
def test_final_before_deadline(make_sandbox, latency_s, final_at):
    """An order that is final just before the deadline is found."""
    sandbox = make_sandbox(fulfilment_s=final_at, latency_s=latency_s)
    order, seconds = wait(sandbox)
    assert order.status == OrderStatus.FULFILLED
    assert final_at <= seconds <= 60


@pytest.mark.parametrize("step", [timedelta(hours=1), -timedelta(hours=1)], ids=["forward", "back"])
def test_wall_clock_steps(make_sandbox, journal, step):
    """A step of the wall clock changes neither the deadline nor a latency."""
    # The emulator's orders follow its monotonic time, so a step could only mislead the client.
    sandbox = make_sandbox(fulfilment_s=inf, clock=SteppingClock(step), latency_s=0.2)
    error, seconds = wait(sandbox, journal=journal)
    assert isinstance(error, PollTimeoutError)
    assert seconds == pytest.approx(60.0, abs=1e-6)
    assert journal.polls()["latency_s"].round(6).eq(0.2).all()


@settings(max_examples=tries(15, 60))
@given(
    timeout=st.floats(0.5, 150),
    interval=st.floats(0.5, 100),
    latency=st.floats(0, 40),
    fails=st.lists(st.tuples(st.integers(1, 20), st.sampled_from([429, 500, 503])), max_size=4),
)
def test_any_wait_ends_at_deadline(timeout, interval, latency, fails):
    """Whatever fails, however slow, the wait ends at its deadline."""
    faults = [Fault("checkOrder", call=call, status=status, headers={"Retry-After": "3600"}) for call, status in fails]
    with Sandbox(fulfilment_s=inf, latency_s=latency, rate_limit_per_minute=None) as sandbox:
        error, seconds = wait(sandbox, faults=faults, timeout=timeout, interval=interval, max_attempts=10_000)
    assert isinstance(error, PollTimeoutError)
    assert seconds == pytest.approx(timeout, abs=1e-6)


@settings(max_examples=tries(15, 60))
@given(
    timeout=st.floats(1, 320),
    latency=st.floats(0.01, 14),
    schedule=st.builds(
        lambda seconds, first: every(seconds, first=first), st.floats(0.5, 400), st.sampled_from([0, 7, 300, 1000])
    ),
    part=st.floats(0, 1),
)
def test_last_poll_leaves_time(timeout, latency, schedule, part):
    """An order that is final three requests before the deadline is found, whenever its polls are due."""
    assume(timeout > 3 * latency + 0.1)
    final_at = part * (timeout - 3 * latency - 0.1)
    with Sandbox(fulfilment_s=final_at, latency_s=latency, rate_limit_per_minute=None) as sandbox:
        order, seconds = wait(sandbox, timeout=timeout, schedule=schedule, max_attempts=10_000)
    assert order.status == OrderStatus.FULFILLED
    assert seconds <= timeout + 1e-6


@pytest.mark.parametrize("timeout", [10, 300])
def test_first_poll_at_deadline(make_sandbox, timeout):
    """A first poll due at the deadline is sent in time for its response, and once more just before the deadline."""
    sandbox = make_sandbox(fulfilment_s=timeout - 1, latency_s=0.2)
    order, seconds = wait(sandbox, schedule=every(5, first=timeout), timeout=timeout)
    assert order.is_final
    assert seconds <= timeout


def test_retry_after_beyond_deadline(make_sandbox):
    """A Retry-After that ends after the deadline is kept as long as there is time for a response."""
    sandbox = make_sandbox(fulfilment_s=20, latency_s=0.2)
    fault = Fault("checkOrder", status=429, headers={"Retry-After": "3600"})
    order, seconds = wait(sandbox, faults=[fault], timeout=30)
    assert order.is_final and seconds <= 30
    first, second, *_ = [request.when_utc for request in sandbox.requests]
    assert (second - first).total_seconds() > 14


@pytest.mark.parametrize(("again", "polls"), [(1, [0, 15, 20.2]), (2, [0, 15, 22.6])])
def test_retry_after_until_an_answer(make_sandbox, journal, again, polls):
    """The poll before the deadline, sent before the Retry-After is over, ends it if it shows the order."""
    sandbox = make_sandbox(fulfilment_s=18, latency_s=0.2)
    faults = [Fault("checkOrder", times=again, status=429, headers={"Retry-After": "3600"})]
    wait(sandbox, journal=journal, faults=faults, timeout=30)
    assert journal.polls()["elapsed_s"].tolist() == pytest.approx(polls, abs=0.3)


def test_first_time_of_schedule(make_sandbox):
    """A poll planned at 0 s is sent at once though a real clock has moved on since the wait began."""

    class Moving(SimulatedClock):
        def monotonic(self):
            self.sleep(1e-6)
            return super().monotonic()

    sandbox = make_sandbox(fulfilment_s=0, clock=Moving(), latency_s=0)
    assert wait(sandbox, schedule=at_times([0, 40]))[1] < 1


def test_poll_times(make_sandbox, journal):
    """Polls are sent immediately, and an interval after each response."""
    sandbox = make_sandbox(fulfilment_s=12, latency_s=1)
    wait(sandbox, journal=journal)
    polls = journal.polls()
    assert np.diff(polls["elapsed_s"]) == pytest.approx([6, 6])
    assert polls["outcome"].tolist() == ["HANDLING", "HANDLING", "FULFILLED"]


def test_schedule(make_sandbox, journal):
    """A schedule replaces the interval."""
    sandbox = make_sandbox(fulfilment_s=12, latency_s=0)
    wait(sandbox, journal=journal, schedule=every(6, first=7))
    assert journal.polls()["elapsed_s"].tolist() == pytest.approx([7, 13])
    with pytest.raises(ValueError, match="interval or schedule, not both"):
        wait(sandbox, schedule=every(6, first=7), interval=3)


def test_max_attempts(make_sandbox):
    """No pause follows the last attempt."""
    sandbox = make_sandbox(fulfilment_s=inf, latency_s=0)
    error, seconds = wait(sandbox, max_attempts=3)
    assert isinstance(error, PollTimeoutError)
    assert error.attempts == 3
    assert seconds == 10


@pytest.mark.parametrize(
    ("retry_after", "waited"), [("12", 12), ("0", 5), ("-1", 5), ("soon", 5), ("NaN", 5), ("inf", 5), ("3600", 60)]
)
def test_retry_after(make_sandbox, journal, retry_after, waited):
    """Retry-After is kept, up to a minute."""
    fault = Fault("checkOrder", call=1, status=429, headers={"Retry-After": retry_after})
    sandbox = make_sandbox(fulfilment_s=1, latency_s=0)
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
def test_failed_poll(make_sandbox, journal, fault):
    """A poll that fails is recorded, and the wait continues."""
    sandbox = make_sandbox(fulfilment_s=1)
    order, _ = wait(sandbox, journal=journal, faults=[fault])
    assert order.status == OrderStatus.FULFILLED
    assert journal.polls()["attempt"].tolist() == [1, 2]
    assert journal.polls()["outcome"][0] not in OrderStatus.__members__


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_lasting_error(sandbox, client, journal, status):
    """An error that lasts ends the wait at the first poll."""
    sandbox.inject(Fault("checkOrder", status=status, times=99))
    [order_id] = sandbox.add_orders(1)
    with pytest.raises(ApiError) as caught:
        poll_order_until_complete(order_id, client=client, journal=journal)
    assert caught.value.status == status
    assert len(journal.polls()) == (status in (401, 403))  # after the others the journal has no such order
    assert [request.path for request in sandbox.requests[1:]] == [f"/v3/gift-cards/checkOrder/{order_id}"]


def test_wrong_key(sandbox):
    """A wrong key costs one request."""
    client = Client("wrong-key", sandbox.url, clock=sandbox.clock)
    with pytest.raises(AuthenticationError) as caught:
        poll_order_until_complete(ORDER_ID, client=client)
    assert caught.value.details == {"attemptsLeft": 4}
    assert len(sandbox.requests) == 1


def test_unknown_order(client):
    """An order that does not exist is not waited for."""
    with pytest.raises(NotFoundError):
        poll_order_until_complete("000000000000000000000000", client=client)


def test_unknown_status(make_sandbox, journal):
    """A status that giftlib does not know causes one warning, and the wait continues."""
    body = b'{"success": true, "data": {"status": "QUEUED", "quantity": 1}}'
    sandbox = make_sandbox(fulfilment_s=1)
    with pytest.warns(UserWarning, match="QUEUED") as seen:
        order, _ = wait(sandbox, journal=journal, faults=[Fault("checkOrder", times=2, body=body)])
    assert len(seen) == 1
    assert order.is_final
    assert journal.polls()["outcome"].tolist() == ["QUEUED", "QUEUED", "FULFILLED"]


def test_on_poll(make_sandbox):
    """on_poll gets every poll, and its errors do not end the wait."""
    seen = []

    def observe(poll):
        seen.append(poll.outcome)
        raise RuntimeError("observer")

    sandbox = make_sandbox(fulfilment_s=12)
    with pytest.warns(UserWarning, match="on_poll raised RuntimeError: observer") as warned:
        order, _ = wait(sandbox, on_poll=observe)
    assert order.is_final
    assert seen == ["HANDLING", "HANDLING", "HANDLING", "FULFILLED"]
    assert len(warned) == 1


def test_warnings_as_errors(sandbox, client):
    """Where a filter makes errors of warnings, what is warned of in a wait is shown, and the wait goes on."""

    def observe(poll):
        raise RuntimeError("observer")

    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("error")
        assert poll_order_until_complete(sandbox.add_orders(1)[0], client=client, on_poll=observe).is_final
    [warning] = shown
    assert str(warning.message) == "on_poll raised RuntimeError: observer; the wait continues"
    assert warning.filename == __file__


@pytest.mark.parametrize("what", ["poll_order_until_complete", "process_order", "process_orders", "track_orders"])
def test_line_of_a_warning(make_sandbox, what):
    """A warning names the caller's line, not one of giftlib."""
    odd = Fault("checkOrder", alter=lambda data: data | {"status": "QUEUED"})
    client = make_sandbox(faults=[odd]).client()
    with pytest.warns(UserWarning, match="does not know") as warned:
        if what == "poll_order_until_complete":
            poll_order_until_complete(client.place_order(PRODUCT, "type_001", 1), client=client)
        elif what == "process_order":
            process_order(PRODUCT, "type_001", 1, client=client)
        elif what == "process_orders":
            process_orders([(PRODUCT, "type_001", 1)], client=client)
        else:
            track_orders([client.place_order(PRODUCT, "type_001", 1)], client=client)
    assert {warning.filename for warning in warned} == {__file__}


@pytest.mark.parametrize("when", ["asleep", "in a request"])
def test_ctrl_c(make_sandbox, journal, monkeypatch, when):
    """Ctrl-C ends the wait immediately, and the journal is complete."""

    class Interrupting(SimulatedClock):
        def sleep(self, seconds):
            super().sleep(seconds)
            if self.monotonic() > 10:
                raise KeyboardInterrupt

    sandbox = make_sandbox(fulfilment_s=inf, clock=Interrupting() if when == "asleep" else None)
    client = sandbox.client()
    if when == "in a request":
        real = client.check_order_status
        checks = iter([real, real])

        def check(*args, **kwargs):
            return next(checks, interrupt)(*args, **kwargs)

        def interrupt(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr(client, "check_order_status", check)
    with pytest.raises(KeyboardInterrupt):
        wait(sandbox, client=client, journal=journal)
    outcomes = journal.polls()["outcome"].tolist()
    assert outcomes == ["HANDLING", "HANDLING"] + (["INTERRUPTED"] if when == "in a request" else [])
    assert len(journal.unfinished()) == 1


def test_timeout_error(make_sandbox):
    """The error of a time-out says that the order has not failed and how to continue."""
    sandbox = make_sandbox(fulfilment_s=70)
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


@pytest.mark.parametrize("type_id", ["TEST_REFUND", "TEST_PARTIAL", "type_001"])
def test_every_outcome(client, type_id):
    """Every final status is a result."""
    order_id = client.place_order(PRODUCT, type_id, 4)
    order = poll_order_until_complete(order_id, client=client)
    expected = {"TEST_REFUND": "REFUNDED", "TEST_PARTIAL": "PARTIALLY_FILLED", "type_001": "FULFILLED"}
    assert order.status == expected[type_id]
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
def test_bad_argument(sandbox, client, arguments):
    """A bad argument is named, and nothing is sent."""
    [(name, value)] = arguments.items()
    with pytest.raises(ValueError, match=f"{name} must be") as caught:
        poll_order_until_complete(**{"order_id": ORDER_ID} | arguments, client=client)
    assert repr(value) in str(caught.value)
    assert not sandbox.requests


def test_no_bar_in_simulated_time(sandbox, capfd):
    """No bar is shown where time is simulated."""
    wait(sandbox)
    assert capfd.readouterr().err == ""


def test_check_order_status(sandbox, client):
    """One status check returns the order as it is."""
    [order_id] = sandbox.add_orders(1)
    assert check_order_status(order_id, client=client).status == OrderStatus.HANDLING


@pytest.mark.parametrize("orders", [1, 2])
def test_http_status_of_a_poll(server, scripted_client, journal, orders):
    """A poll, of one order or by a page of the list, has the HTTP status of its response, which need not be 200."""
    final = [FULFILLED | {"_id": f"6955b9000ed5f1fab300000{number}"} for number in range(orders)]
    pagination = {"totalPages": 1, "totalResults": orders}
    server.replies = [reply({"success": True, "data": final[0] | {"items": final, "pagination": pagination}}, 202)]
    ids = [order["_id"] for order in final]
    for order_id in ids:
        journal.watch(order_id, source=scripted_client.source)
    track_orders(ids, client=scripted_client, journal=journal)
    assert journal.unfinished() == [] and set(journal.polls()["http_status"]) == {202}


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize(("asked", "waited"), [("30", 30), ("2", 5), ("99999999999", 60), ("30, 20", 30)])
def test_retry_after_of_an_open_order(make_sandbox, journal, status, asked, waited):
    """Retry-After is kept in the response to a successful poll too."""
    fault = Fault("checkOrder", call=1, status=status, body="envelope", headers={"Retry-After": asked})
    sandbox = make_sandbox(fulfilment_s=1, latency_s=0, faults=[fault])
    [order_id] = sandbox.add_orders(1)
    poll_order_until_complete(order_id, client=sandbox.client(), journal=journal)
    assert journal.polls()["elapsed_s"].tolist() == pytest.approx([0, waited])
    assert journal.polls()["retry_after_s"].iloc[0] == float(asked.split(",")[0])


class Bare:
    """A stream that only takes texts."""

    def write(self, text):
        pass

    def flush(self):
        pass


class Broken(Bare):
    """A terminal that was closed."""

    def isatty(self):
        return True

    def write(self, text):
        raise BrokenPipeError


CLOSED = io.StringIO()
CLOSED.close()


@pytest.mark.parametrize("progress", [None, True])
@pytest.mark.parametrize("stream", [None, Bare(), Broken(), CLOSED], ids=["none", "bare", "broken", "closed"])
@pytest.mark.parametrize("what", ["process_order", "process_orders", "track_orders"])
@pytest.mark.filterwarnings("always")
def test_no_standard_error(monkeypatch, what, stream, progress):
    """Orders are waited for where a bar and a warning cannot be shown."""
    odd = Fault("checkOrder", alter=lambda data: data | {"status": "QUEUED"})
    with Sandbox(clock=SystemClock(), fulfilment_s=0.02, latency_s=0, faults=[odd]) as sandbox:
        options, delivered = {"client": sandbox.client(), "progress": progress, "interval": 0.01}, []
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(warnings, "showwarning", lambda message, *_: stream and stream.write(str(message)))
        if what == "process_order":
            process_order(PRODUCT, "type_001", 2, deliver=delivered.append, **options)
        elif what == "process_orders":
            process_orders([(PRODUCT, "type_001", 1)], **options)
        else:
            track_orders(sandbox.add_orders(1), **options)
        monkeypatch.undo()
        assert {order["status"] for order in sandbox.latest_orders()} == {"FULFILLED"}
        assert len(delivered) == 2 * (what == "process_order")
