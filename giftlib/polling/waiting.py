"""How a caller wants to wait, and when each poll is due."""

from collections.abc import Collection
from dataclasses import dataclass
from math import inf

from giftlib.api import Client, check_callable, check_count, check_seconds, check_type
from giftlib.journal import Journal

from .poller import Poller
from .progress import OnPoll
from .schedules import PollTime, Schedule, next_pause


@dataclass(frozen=True)
class Waiting:
    """Hold what a caller asks for; raise ValueError for arguments with which no order can be waited for."""

    interval: float | None
    timeout: float
    schedule: Schedule | None
    client: Client | None
    journal: Journal | None
    on_poll: OnPoll | None
    progress: bool | None
    max_attempts: int = 1

    def __post_init__(self) -> None:
        check_count("max_attempts", self.max_attempts)
        check_seconds("timeout", self.timeout)
        check_callable("schedule", self.schedule)
        check_callable("on_poll", self.on_poll)
        if self.journal is not None:
            check_type("journal", self.journal, Journal)
        if self.interval is not None:
            check_seconds("interval", self.interval)
            if self.schedule is not None:
                given = f"interval={self.interval!r}, schedule={self.schedule!r}"
                raise ValueError(f"give interval or schedule, not both: got {given}")


class PollTimes:
    """Say when each poll of one order, or round of polls of many, is due, in the clock's monotonic seconds."""

    def __init__(self, poller: Poller, schedule: Schedule) -> None:
        self.started = poller.client.clock.monotonic()
        self._planned = self.started + next_pause(schedule, 0.0, [])
        self._poller = poller
        self._polls: list[PollTime] = []

    def next_at(self, deadlines: Collection[float], earliest: float = -inf) -> float:
        """Return when the next poll is due: as planned, or in time for its response before a deadline."""
        due, response_s = max(self._planned, self._poller.held_until, earliest), self._poller.response_s
        first, last = min(deadlines), max(deadlines)
        if not self._polls:
            return min(due, first - response_s)
        ended = self.started + self._polls[-1].received
        first, last = (ended + _latest_pause(deadline - ended, response_s) for deadline in (first, last))
        # Orders placed one after another run out one after another: they need not have a round each.
        second_later = self.started + self._polls[-1].sent + 1
        return min(due, max(first, min(second_later, last)))

    def since_last(self, now: float) -> float:
        """Return the seconds since the last poll was sent; 0 before the first."""
        return now - self.started - self._polls[-1].sent if self._polls else 0.0

    def record(self, sent: float, schedule: Schedule) -> float:
        """Plan the next poll after one that was sent then and has just ended; return the pause before it."""
        elapsed = self._poller.client.clock.monotonic() - self.started
        self._polls.append(PollTime(sent - self.started, elapsed))
        pause_s = next_pause(schedule, elapsed, self._polls)
        self._planned = self.started + elapsed + pause_s
        return pause_s


def _latest_pause(left_s: float, response_s: float) -> float:
    """Return the longest pause that leaves time for a response: as much as it takes, or half of what is left."""
    return left_s - response_s if response_s < left_s else left_s / 2
