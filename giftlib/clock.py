"""The system clock and a simulated one: monotonic seconds for waiting, UTC for records.

Any object with `now_utc()`, `monotonic()` and `sleep(seconds)` serves as a clock. On a `SimulatedClock` hours pass in
milliseconds: only `sleep`, and the latency that an emulator declares, move it.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import inf
from typing import NamedTuple, Protocol


class Clock(Protocol):
    """Describe what giftlib needs of a clock."""

    def now_utc(self) -> datetime: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


class Timestamp(NamedTuple):
    """Hold a time in UTC, to say when, and in monotonic seconds, to say how long."""

    utc: datetime
    monotonic: float

    @classmethod
    def now(cls, clock: Clock) -> "Timestamp":
        """Return the clock's present time."""
        return cls(clock.now_utc(), clock.monotonic())


def check_clock(clock: Clock | None) -> None:
    """Raise ValueError for what is neither a clock nor None."""
    is_clock = all(callable(getattr(clock, name, None)) for name in ("now_utc", "monotonic", "sleep"))
    if clock is not None and (not is_clock or isinstance(clock, type)):
        got = type(clock) if isinstance(clock, str) else clock  # no text: it may be a key
        raise ValueError(f"clock must be a clock, such as SimulatedClock(), or None, got {got!r}")


_BOOTTIME = hasattr(time, "CLOCK_BOOTTIME")


class SystemClock:
    """Read the machine's own clocks.

    >>> from giftlib import SystemClock
    >>> SystemClock().now_utc().tzname()
    'UTC'
    """

    def now_utc(self) -> datetime:
        """Return the wall clock's time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since an unspecified start; they never step back, and count suspension where possible."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) if _BOOTTIME else time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        time.sleep(seconds)


def name_of(clock: Clock) -> str:
    """Return in words which clock it is."""
    names = {SystemClock: "system clock", SimulatedClock: "simulated clock"}
    return names.get(type(clock), f"clock {type(clock).__name__}")


class SimulatedClock:
    """Simulate a clock that only `sleep` and an emulator's latency move.

    One object serves a client and an emulator in the same process. The client never sleeps during a request, so every
    run gives the same timeline. Raise ValueError for a start without a time zone.

    >>> from giftlib import SimulatedClock
    >>> clock = SimulatedClock()
    >>> clock.sleep(3600)
    >>> clock.monotonic(), f"{clock.now_utc():%H:%M}"
    (3600.0, '01:00')
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        if not isinstance(start, datetime) or start.tzinfo is None:
            raise ValueError(f"start must be a datetime with a time zone, got {start!r}")
        self._start = start.astimezone(UTC)
        self._elapsed = 0.0
        self._limit = inf
        self._lock = threading.Lock()

    def now_utc(self) -> datetime:
        """Return the simulated wall clock's time, aware, in UTC."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the simulated seconds since the clock was made."""
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Move the time forward by `seconds` and return immediately."""
        if not 0 <= seconds < inf:
            raise ValueError(f"seconds must be finite and not negative, got {seconds!r}")
        with self._lock:
            self._elapsed += seconds

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        """Bound a request: until the block ends, `spend` moves the time forward by `seconds` in all at most."""
        with self._lock:
            outer, self._limit = self._limit, min(self._limit, self._elapsed + seconds)
        try:
            yield
        finally:
            with self._lock:
                self._limit = outer

    def spend(self, seconds: float) -> bool:
        """Move the time forward by an emulated latency; return False if the caller's `time_limit` came first."""
        with self._lock:
            end = self._elapsed + seconds
            self._elapsed = max(self._elapsed, min(end, self._limit))
            return end <= self._limit
