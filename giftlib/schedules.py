"""When to look next: plain functions of the time waited and the looks made. No clock, no I/O.

A schedule is called with the seconds since the wait began and the looks so far, each as the seconds at which it was
sent and answered; it gives the seconds to pause before the next look.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from giftlib.arguments import check_seconds


class Look(NamedTuple):
    """Seconds from the beginning of the wait to the sending and to the answer of a look."""

    sent: float
    received: float


@dataclass(frozen=True)
class Schedule:
    """A named rule; it prints as the call that made it."""

    name: str
    pause: Callable[[float, Sequence[Look]], float]

    def __call__(self, elapsed: float, looks: Sequence[Look]) -> float:
        return self.pause(elapsed, looks)

    def __repr__(self) -> str:
        return self.name


def every(seconds: float) -> Schedule:
    """Look at once, then pause `seconds` after each answer: the vendor's guide, with its 5 to 10 s."""
    seconds = check_seconds("seconds", seconds)
    return Schedule(f"every({seconds:g})", lambda elapsed, looks: seconds if looks else 0.0)


def wait_then(first: float, *, every: float) -> Schedule:
    """Pause `first` seconds before the first look, then `every` seconds after each answer."""
    first, pause = check_seconds("first", first), check_seconds("every", every)
    return Schedule(f"wait_then({first:g}, every={pause:g})", lambda elapsed, looks: pause if looks else first)


class Evaluation(NamedTuple):
    """What a schedule costs and what it buys: requests an order, and seconds from done to seen."""

    requests_per_order: float
    mean_delay_s: float
    p95_delay_s: float


def evaluate(schedule: Schedule, durations: ArrayLike) -> Evaluation:
    """The schedule on orders of these `durations` in seconds, answers taking no time."""
    durations = np.asarray(durations, dtype=float)
    if durations.size == 0 or not np.isfinite(durations).all() or (durations < 0).any():
        raise ValueError("durations must be finite numbers of seconds from 0 up, at least one")
    looks: list[Look] = []
    time, longest = schedule(0.0, looks), durations.max()
    looks.append(Look(time, time))
    while time < longest:
        time += schedule(time, looks)
        looks.append(Look(time, time))
    times = [look.sent for look in looks]
    seen = np.searchsorted(times, durations)
    delays = np.array(times)[seen] - durations
    return Evaluation(float((seen + 1).mean()), float(delays.mean()), float(np.quantile(delays, 0.95)))
