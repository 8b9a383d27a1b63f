"""The simulated clock moves only by `sleep` and `spend`; the system clock is UTC."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from giftlib.clock import SimulatedClock, SystemClock


def test_simulated_sleep():
    """A sleep moves both times of a simulated clock."""
    clock = SimulatedClock(datetime(2026, 1, 1, tzinfo=UTC))
    clock.sleep(300)
    assert clock.monotonic() == 300
    assert clock.now_utc() == datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_impossible_sleep(seconds):
    """A sleep that is negative or not finite is a ValueError."""
    with pytest.raises(ValueError, match="seconds"):
        SimulatedClock().sleep(seconds)


def test_time_limit():
    """A latency beyond the caller's limit ends at the limit."""
    clock = SimulatedClock()
    with clock.time_limit(15):
        assert clock.spend(10)
        assert not clock.spend(10)
    assert clock.monotonic() == 15
    assert clock.spend(10)
    assert clock.monotonic() == 25


def test_nested_limits():
    """An outer limit holds within an inner one."""
    clock = SimulatedClock()
    with clock.time_limit(5), clock.time_limit(60):
        assert not clock.spend(10)
    assert clock.monotonic() == 5


def test_system_clock():
    """The system clock is in UTC, and its monotonic time does not step back."""
    clock = SystemClock()
    first = clock.monotonic()
    clock.sleep(0)
    assert clock.monotonic() >= first
    assert clock.now_utc().utcoffset() == timedelta(0)


@pytest.mark.parametrize("start", [datetime(2026, 1, 1), "2026-01-01", None, 5])
def test_start_without_zone(start):
    """A clock starts at an aware time."""
    with pytest.raises(ValueError, match="start must be a datetime with a time zone"):
        SimulatedClock(start)


def test_start_in_another_zone():
    """A start in another zone is the same time in UTC."""
    start = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    assert SimulatedClock(start).now_utc() == datetime(2026, 1, 1, tzinfo=UTC)
