"""Clocks: monotonic seconds for waiting, UTC for records.

Anything with `now_utc()`, `monotonic()` and `sleep(seconds)` serves as a clock. `SimulatedClock` makes hours
pass in milliseconds: nothing moves it but the `sleep` of whoever waits and the latency that an emulator declares.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import inf
from typing import NamedTuple, Protocol


class Moment(NamedTuple):
    """One reading of both hands of a clock: UTC to tell when, monotonic seconds to tell how long."""

    utc: datetime
    monotonic: float


class Clock(Protocol):
    """What giftlib asks of a clock."""

    def now_utc(self) -> datetime: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


def read(clock: Clock) -> Moment:
    """What the clock shows now."""
    return Moment(clock.now_utc(), clock.monotonic())


_BOOTTIME = hasattr(time, "CLOCK_BOOTTIME")


class SystemClock:
    """The machine's own clocks."""

    def now_utc(self) -> datetime:
        """The wall clock's time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an unspecified start; never steps back, and where the system can tell counts a suspension."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) if _BOOTTIME else time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        time.sleep(seconds)


class SimulatedClock:
    """A clock that stands still until somebody sleeps on it.

    One object serves a client and an emulator in the same process. As the client is never asleep and in a request
    at once, every run gives the same timeline.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._limit = inf
        self._lock = threading.Lock()

    def now_utc(self) -> datetime:
        """The simulated wall clock's time, aware, in UTC."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Simulated seconds since the clock was made."""
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Move the time on by `seconds` and return at once."""
        if not 0 <= seconds < inf:
            raise ValueError(f"seconds must be finite and not negative, got {seconds!r}")
        with self._lock:
            self._elapsed += seconds

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        """Bound a request: until the block ends, `spend` moves the time on by no more than `seconds` in all."""
        with self._lock:
            outer, self._limit = self._limit, min(self._limit, self._elapsed + seconds)
        try:
            yield
        finally:
            with self._lock:
                self._limit = outer

    def spend(self, seconds: float) -> bool:
        """Move the time on by an emulated latency; False if the caller's `time_limit` came first."""
        with self._lock:
            end = self._elapsed + seconds
            self._elapsed = max(self._elapsed, min(end, self._limit))
            return end <= self._limit
