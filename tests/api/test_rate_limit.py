"""At most so many requests in every 60 s, whatever the clock and the network do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import KEY, ORDER_ID, SANDBOX_KEY
from scripted_server import ScriptedServer, success

from giftlib.api import Client, NoAnswerError, RateLimit
from giftlib.clock import SimulatedClock

PAUSES = st.lists(st.floats(0, 3) | st.floats(0, 100), min_size=1, max_size=10)


@given(per_minute=st.integers(1, 130), pauses=PAUSES, lasts=st.lists(st.floats(0, 20), min_size=1, max_size=5))
def test_every_window(per_minute, pauses, lasts):
    """Whatever the pauses and however long requests take, every window of 60 s holds at most `per_minute` of them."""
    clock = SimulatedClock()
    limit, ended = RateLimit(clock, per_minute), []
    for number in range(2 * per_minute + 5):
        clock.sleep(pauses[number % len(pauses)])
        clock.sleep(limit.delay_s())
        assert limit.delay_s() == 0
        clock.sleep(lasts[number % len(lasts)])
        limit.count()
        ended.append(clock.monotonic())
    assert all(later - earlier >= 60 for earlier, later in zip(ended, ended[per_minute:], strict=False))


def test_full_use():
    """The limit costs no more than it must: 121 requests at 60 per minute take 2 minutes."""
    clock = SimulatedClock()
    limit = RateLimit(clock, 60)
    for _ in range(121):
        clock.sleep(limit.delay_s())
        limit.count()
    assert clock.monotonic() == pytest.approx(120, abs=0.01)


def test_no_known_limit():
    """While no limit is known, no request waits."""
    limit = RateLimit(SimulatedClock())
    for _ in range(500):
        limit.count()
    assert limit.delay_s() == 0


def test_lower_limit_than_its_own():
    """A caller may ask when a request fits under a lower limit than the key's."""
    clock = SimulatedClock()
    limit = RateLimit(clock, 60)
    for _ in range(3):
        limit.count()
        clock.sleep(10)
    assert limit.delay_s() == 0
    assert [limit.delay_s(most) for most in (4, 3, 2, 1)] == pytest.approx([0, 30, 40, 50], abs=0.01)


def test_recent_requests():
    """Only requests of the last 60 s count as recent."""
    clock = SimulatedClock()
    limit = RateLimit(clock, 60)
    for _ in range(3):
        limit.count()
        clock.sleep(25)
    assert limit.recent() == 2


@settings(max_examples=5)
@given(key=st.sampled_from([("SANDBOX", 60), ("PRODUCTION", 120)]), before=st.integers(0, 130), pauses=PAUSES)
def test_client_with_known_key(key, before, pauses):
    """A client that knows its key's type keeps to its rate limit, whatever it requested before."""
    key_type, most = key
    clock = SimulatedClock()
    with ScriptedServer(success({"apiKey": {"type": key_type}, "balance": 1})) as server:
        client = Client(KEY, server.url, clock=clock, request_timeout=100)
        times = []
        for number in range(before + 140):
            clock.sleep(pauses[number % len(pauses)] * (0.05 if number < before else 1))
            (client.validate if number == before else client.balance)()
            times.append(clock.monotonic())
        assert client.rate_limit.per_minute == most
    assert len(server.requests) == len(times)
    for number in range(before + 1, len(times)):
        assert sum(times[number] - 60 < time for time in times[: number + 1]) <= most


def test_oversleeping_clock(server):
    """A sleep that lasts too long does not bring requests too close together later."""

    class Oversleeping(SimulatedClock):
        def sleep(self, seconds):
            super().sleep(seconds + (5 if self.monotonic() == 0 else 0))

    server.replies = [SANDBOX_KEY]
    clock, times = Oversleeping(), []
    client = Client(KEY, server.url, clock=clock)
    for _ in range(125):
        client.validate()
        times.append(clock.monotonic())
    assert all(later - earlier >= 60 for earlier, later in zip(times, times[60:], strict=False))


def test_late_requests(server):
    """Requests that reach the API late stay within the rate limit."""
    clock, sent, ended = SimulatedClock(), [], []

    class Late:
        def __iter__(self):
            clock.spend(10 if len(sent) <= 5 else 0)
            yield SANDBOX_KEY

    server.replies = [Late()]
    client = Client(KEY, server.url, clock=clock)
    for _ in range(125):
        sent.append(clock.monotonic())
        client.validate()
        ended.append(clock.monotonic())
    assert ended[4] == 50
    assert all(later - earlier >= 60 for earlier, later in zip(ended, ended[60:], strict=False))


def test_no_room_in_time(server):
    """A request that does not fit within its time-out is not sent."""
    server.replies = [SANDBOX_KEY]
    client = Client(KEY, server.url, clock=SimulatedClock(), request_timeout=10)
    for _ in range(60):
        client.validate()
    with pytest.raises(NoAnswerError, match="the rate limit of 60 requests per minute leaves no room") as caught:
        client.check_order_status(ORDER_ID, timeout=10)
    assert not caught.value.sent and len(server.requests) == 60


def test_wait_for_room(server):
    """A request without a time-out of its own waits until it fits."""
    server.replies = [SANDBOX_KEY]
    client = Client(KEY, server.url, clock=SimulatedClock(), request_timeout=10)
    for _ in range(61):
        client.validate()
    assert client.clock.monotonic() == pytest.approx(60, abs=0.01)
