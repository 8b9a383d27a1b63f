from datetime import UTC, datetime, timedelta

import pytest

from giftlib.clock import SimulatedClock, SystemClock


def test_sleeping_moves_both_hands_of_a_simulated_clock_and_takes_no_time():
    clock = SimulatedClock(datetime(2026, 1, 1, tzinfo=UTC))
    clock.sleep(300)
    assert clock.monotonic() == 300
    assert clock.now_utc() == datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_simulated_clock_refuses_to_sleep_a_time_that_is_none(seconds):
    with pytest.raises(ValueError, match="seconds"):
        SimulatedClock().sleep(seconds)


def test_a_latency_beyond_the_callers_limit_ends_at_the_limit():
    clock = SimulatedClock()
    with clock.time_limit(15):
        assert clock.spend(10)
        assert not clock.spend(10)
    assert clock.monotonic() == 15
    assert clock.spend(10)
    assert clock.monotonic() == 25


def test_an_outer_limit_holds_within_an_inner_one():
    clock = SimulatedClock()
    with clock.time_limit(5), clock.time_limit(60):
        assert not clock.spend(10)
    assert clock.monotonic() == 5


def test_the_system_clock_tells_utc_and_never_steps_back():
    clock = SystemClock()
    first = clock.monotonic()
    clock.sleep(0)
    assert clock.monotonic() >= first
    assert clock.now_utc().utcoffset() == timedelta(0)
