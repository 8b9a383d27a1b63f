"""Say when to poll next: plain functions of the time waited and the polls made. No clock, no I/O.

Call a schedule with the seconds since the wait began and the polls so far, each as its `PollTime`. It gives the
seconds to pause before the next poll. A schedule prints as the call that makes it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor, inf, isfinite
from numbers import Real
from random import Random
from typing import Any, NamedTuple

from giftlib.api import check_seconds


class PollTime(NamedTuple):
    """Hold the seconds from the beginning of the wait until a poll was sent and until its response was received.

    >>> PollTime(sent=5.0, received=5.2)
    PollTime(sent=5.0, received=5.2)
    """

    sent: float
    received: float


Pause = Callable[[float, Sequence[PollTime]], float]


@dataclass(frozen=True)
class Schedule:
    """Give a rule its name. Any function of the same two arguments is a schedule too.

    >>> Schedule("later and later", lambda elapsed, polls: elapsed + 1)(9.0, [])
    10.0
    """

    name: str
    pause: Pause

    def __call__(self, elapsed: float, polls: Sequence[PollTime]) -> float:
        return self.pause(elapsed, polls)

    def __repr__(self) -> str:
        return self.name


def every(seconds: float, *, first: float = 0.0, counts_request: bool = False) -> Schedule:
    """Poll after `first` seconds, then pause `seconds` after each response. The vendor's guide asks for 5 to 10 s.

    With `counts_request` the pause includes the request: it runs from one sending to the next. Raises ValueError
    for a time that is not a positive number (`first` may be 0), as all rules do.

    >>> schedule = every(5, first=7)
    >>> schedule(0.0, []), schedule(7.2, [PollTime(7.0, 7.2)])
    (7.0, 5.0)
    """
    seconds, first = check_seconds("seconds", seconds), _from_zero("first", first)
    options = (f", first={first:g}" if first else "") + (", counts_request=True" if counts_request else "")

    def pause(elapsed: float, polls: Sequence[PollTime]) -> float:
        if not polls:
            return first
        return max(polls[-1].sent + seconds - elapsed, 0.0) if counts_request else seconds

    return Schedule(f"every({seconds:g}{options})", pause)


def exponential(first: float, factor: float, most: float, *, initial: float = 0.0) -> Schedule:
    """Poll after `initial` seconds, then pause `first` seconds, and each time `factor` times as long, up to `most`.

    >>> schedule = exponential(1, factor=2, most=10)
    >>> [schedule(0.0, [PollTime(0.0, 0.0)] * polls) for polls in range(6)]
    [0.0, 1.0, 2.0, 4.0, 8.0, 10.0]
    """
    first, most = check_seconds("first", first), check_seconds("most", most)
    initial = _from_zero("initial", initial)
    if not 1 <= factor < inf:
        raise ValueError(f"factor must be a finite number from 1 up, got {factor!r}")

    def pause(_: float, polls: Sequence[PollTime]) -> float:
        if not polls:
            return initial
        try:
            return min(first * float(factor) ** (len(polls) - 1), most)
        except OverflowError:
            return most

    options = f", initial={initial:g}" if initial else ""
    return Schedule(f"exponential({first:g}, factor={factor:g}, most={most:g}{options})", pause)


def at_times(times: Sequence[float]) -> Schedule:
    """Poll at these seconds after the wait began, then go on with the last gap; a time that has passed is skipped.

    Raises ValueError unless each time is later than the one before.

    >>> schedule = at_times([3, 8, 20])
    >>> schedule(3.5, [PollTime(3.0, 3.5)]), schedule(20.0, [PollTime(20.0, 20.0)])
    (4.5, 12.0)
    """
    planned = [float(time) for time in times]
    gaps = [later - earlier for earlier, later in zip([0.0, *planned], planned, strict=False)]
    if not planned or not all(map(isfinite, planned)) or planned[0] < 0 or min([*gaps[1:], gaps[-1]]) <= 0:
        raise ValueError(f"times must be seconds from 0 up, each later than the one before, got {list(times)!r}")
    return Schedule(f"at_times([{', '.join(f'{time:g}' for time in planned)}])", planned_pause(planned, gaps[-1]))


def with_jitter(schedule: Schedule, proportion: float, *, seed: int = 0) -> Schedule:
    """Make each pause longer by a random part of it, from 0 to `proportion`; seed and number of polls determine it.

    >>> schedule = with_jitter(every(5), 0.2, seed=3)
    >>> 5 <= schedule(0.0, [PollTime(0.0, 0.1)]) <= 6
    True
    """
    proportion = _from_zero("proportion", proportion)

    def pause(elapsed: float, polls: Sequence[PollTime]) -> float:
        return schedule(elapsed, polls) * (1 + proportion * Random(f"{seed}:{len(polls)}").random())

    return Schedule(f"with_jitter({schedule!r}, {proportion:g}, seed={seed})", pause)


def planned_pause(times: Sequence[float], gap: float, closest: float = 0.0) -> Pause:
    """Poll at the times, then every `gap`; never sooner than `closest` after the last poll was sent. All in seconds."""

    def pause(elapsed: float, polls: Sequence[PollTime]) -> float:
        earliest = max(elapsed + 1e-6, polls[-1].sent + closest - 1e-6) if polls else elapsed
        place = (bisect_right if polls else bisect_left)(times, earliest)
        if place < len(times):
            return times[place] - elapsed
        return times[-1] + gap * (floor((earliest - times[-1]) / gap) + 1) - elapsed

    return pause


def next_pause(schedule: Pause, elapsed: float, polls: list[PollTime]) -> float:
    """Return the pause that a schedule gives; raise ValueError if it gives none."""
    accepted = "it must return the seconds to pause, a finite number from 0 up"
    try:
        pause: Any = schedule(elapsed, polls)
    except Exception as error:
        raise ValueError(f"schedule {schedule!r} raised {type(error).__name__}: {error}; {accepted}") from error
    if isinstance(pause, Real) and not isinstance(pause, bool) and 0 <= float(pause) < inf:
        return float(pause)
    raise ValueError(f"schedule {schedule!r} returned {pause!r}; {accepted}")


def _from_zero(name: str, value: float) -> float:
    if isinstance(value, bool) or not 0 <= value < inf:
        raise ValueError(f"{name} must be a finite number from 0 up, got {value!r}")
    return float(value)
