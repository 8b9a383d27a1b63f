"""The one rate limit: a sliding window of a minute."""

from collections import deque

from giftlib.clock import Clock

WINDOW_S = 60.0
_MARGIN_S = 0.001
_MOST_KEPT = 1_000


class RateLimit:
    """Count requests, and say how long to wait so that every window of 60 s holds at most `per_minute` of them.

    A request is counted when it has ended, since it may have arrived as late as that. `per_minute` is None while no
    limit is known.

    >>> from giftlib import SimulatedClock
    >>> limit = RateLimit(SimulatedClock(), per_minute=2)
    >>> limit.count()
    >>> limit.count()
    >>> limit.recent(), limit.delay_s()
    (2, 60.001)
    """

    def __init__(self, clock: Clock, per_minute: int | None = None) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._ended: deque[float] = deque(maxlen=_MOST_KEPT)

    def count(self) -> None:
        """Count a request that has just ended."""
        self._ended.append(self._clock.monotonic())

    def recent(self) -> int:
        """Return how many requests ended within the last 60 s."""
        minute_ago = self._clock.monotonic() - WINDOW_S
        return sum(ended > minute_ago for ended in self._ended)

    def delay_s(self, per_minute: int | None = None) -> float:
        """Return the seconds until one more request fits under `per_minute`, by default the limit's own."""
        limit = self.per_minute if per_minute is None else per_minute
        if limit is None or len(self._ended) < limit:
            return 0.0
        now, oldest = self._clock.monotonic(), self._ended[-limit]
        return 0.0 if oldest <= now - WINDOW_S else oldest + WINDOW_S + _MARGIN_S - now
