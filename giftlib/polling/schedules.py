"""When to look next: plain functions of the time waited and the looks made. No clock, no I/O.

A schedule is called with the seconds since the wait began and the looks so far, each as the seconds at which it was
sent and answered; it gives the seconds to pause before the next look.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from giftlib.analysis.distributions import Fit, Floats, expected_law
from giftlib.api.validation import check_seconds

CLOSEST_S = 5.0
"""The guide: "Poll every 5-10 seconds"."""
WIDEST_S = 10.0

_WORTH_S = 1.5
"""Seconds of delay that a request is worth to `learned`: with it the looks of the prior law are 5 s apart at most."""
_PLANNED_S = 3600.0
_MOST_LOOKS = 200_000


class PollTime(NamedTuple):
    """Seconds from the beginning of the wait to the sending and to the answer of a look."""

    sent: float
    received: float


@dataclass(frozen=True)
class Schedule:
    """A named rule; it prints as the call that made it."""

    name: str
    pause: Callable[[float, Sequence[PollTime]], float]

    def __call__(self, elapsed: float, looks: Sequence[PollTime]) -> float:
        return self.pause(elapsed, looks)

    def __repr__(self) -> str:
        return self.name


def every(seconds: float, *, initial: float = 0.0, counts_request: bool = False) -> Schedule:
    """PollTime after `initial` seconds, then pause `seconds` after each answer: the vendor's guide, with its 5 to 10 s.

    With `counts_request` the interval includes the request: it runs from sending to sending.
    """
    seconds, initial = check_seconds("seconds", seconds), _check_share("initial", initial, inf)
    options = (f", initial={initial:g}" if initial else "") + (", counts_request=True" if counts_request else "")
    return Schedule(f"every({seconds:g}{options})", _steady(initial, seconds, counts_request))


def wait_then(first: float, *, every: float, counts_request: bool = False) -> Schedule:
    """Pause `first` seconds before the first look, then `every` seconds; otherwise as `every`."""
    first, pause = check_seconds("first", first), check_seconds("every", every)
    options = ", counts_request=True" if counts_request else ""
    return Schedule(f"wait_then({first:g}, every={pause:g}{options})", _steady(first, pause, counts_request))


def growing(first: float, *, factor: float, most: float, initial: float = 0.0) -> Schedule:
    """PollTime after `initial` seconds, then pause `first`, and each time `factor` times as long, up to `most`."""
    first, most = check_seconds("first", first), check_seconds("most", most)
    initial = _check_share("initial", initial, inf)
    if not 1 <= factor < inf:
        raise ValueError(f"factor must be a finite number from 1 up, got {factor!r}")

    def pause(_: float, looks: Sequence[PollTime]) -> float:
        if not looks:
            return initial
        steps = min(len(looks) - 1, 1000 / max(factor - 1, 1e-3))  # a power beyond every float is far beyond `most`
        return float(min(first * np.exp(min(steps * np.log(factor), 690.0)), most))

    options = f", initial={initial:g}" if initial else ""
    return Schedule(f"growing({first:g}, factor={factor:g}, most={most:g}{options})", pause)


def fixed(moments: Sequence[float]) -> Schedule:
    """PollTime at these seconds after the wait began, then go on with the last gap; a moment that has passed is skipped."""
    planned = [float(moment) for moment in moments]
    gaps = np.diff([0.0, *planned])
    if not planned or not np.isfinite(planned).all() or planned[0] < 0 or (gaps[1:] <= 0).any() or gaps[-1] <= 0:
        raise ValueError(f"moments must be seconds from 0 up, each later than the one before, got {list(moments)!r}")
    shown = ", ".join(f"{moment:g}" for moment in planned)
    return Schedule(f"fixed([{shown}])", _planned(planned, float(gaps[-1]), 0.0))


def with_jitter(schedule: Schedule, share: float, *, seed: int = 0) -> Schedule:
    """The same, each pause longer by a random share of it, 0 to `share`; the seed and the look's number settle it."""
    share = _check_share("share", share, 10.0)

    def pause(elapsed: float, looks: Sequence[PollTime]) -> float:
        return schedule(elapsed, looks) * (1 + share * Random(f"{seed}:{len(looks)}").random())

    return Schedule(f"with_jitter({schedule!r}, {share:g}, seed={seed})", pause)


class Evaluation(NamedTuple):
    """What a schedule costs and what it buys: requests an order, and seconds from done to seen."""

    requests_per_order: float
    mean_delay_s: float
    p95_delay_s: float


@dataclass(frozen=True, repr=False)
class LearnedSchedule(Schedule):
    """A schedule made from a law."""

    law: Fit

    @cached_property
    def expects(self) -> Evaluation:
        """What it costs and buys if orders follow its law."""
        return evaluate(self, self.law.distribution)


def learned(orders: pd.DataFrame, *, closest: float = CLOSEST_S) -> LearnedSchedule:
    """PollTime where orders like these past ones are likely to have become final.

    A lognormal law is fitted to the brackets of `orders`, with a weak prior (`expected_law`), so an
    empty frame will do. Looks are placed at the rate sqrt(hazard / 2c), which makes mean delay + c x requests
    smallest where looks are dense (Keller 1974, Management Science 21: 256-260), the first after one full unit;
    never closer than `closest` seconds, nor further apart than 10 s. c is 1.5 s at the guide's 5 s and goes with the
    square of `closest`.
    """
    closest = check_seconds("closest", closest)
    law = expected_law(orders)
    planned = _by_hazard(law, closest)
    options = "" if closest == CLOSEST_S else f", closest={closest:g}"
    pause = _planned(planned, max(WIDEST_S, closest), closest)
    return LearnedSchedule(f"learned({len(orders)} orders{options})", pause, law)


def evaluate(schedule: Schedule, orders: Any) -> Evaluation:
    """The schedule on many orders, answers taking no time.

    `orders` is a law (a frozen distribution of scipy.stats: the expectations are then exact integrals), an array of
    durations in seconds (their means), or a frame of orders (the law that `learned` would fit to them). Raises
    ValueError for durations that are none and for a law without a mean.
    """
    if isinstance(orders, pd.DataFrame):
        orders = expected_law(orders).distribution
    return _on_law(schedule, orders) if hasattr(orders, "cdf") else _on_durations(schedule, orders)


def _on_durations(schedule: Schedule, durations: ArrayLike) -> Evaluation:
    durations = np.asarray(durations, dtype=float)
    if durations.size == 0 or not np.isfinite(durations).all() or (durations < 0).any():
        raise ValueError("durations must be finite numbers of seconds from 0 up, at least one")
    times = _look_times(schedule, durations.max())
    seen = np.searchsorted(times, durations)
    delays = times[seen] - durations
    return Evaluation(float((seen + 1).mean()), float(delays.mean()), float(np.quantile(delays, 0.95)))


def _on_law(schedule: Schedule, law: Any) -> Evaluation:
    from scipy.optimize import brentq

    if not np.isfinite(law.mean()):
        raise ValueError("orders must be a law with a finite mean, got one without")
    ends = _look_times(schedule, float(law.isf(1e-7)))
    starts = np.append(0.0, ends[:-1])
    by_start = law.cdf(starts)
    # The mean delay is the integral of F(t) - F(start) from each look to the next, by Gauss-Legendre.
    nodes, weights = np.polynomial.legendre.leggauss(16)
    width = (ends - starts)[:, None]
    inside = law.cdf(starts[:, None] + width * (nodes + 1) / 2) - by_start[:, None]

    def share_not_within(delay: float) -> float:
        return float((law.cdf(np.maximum(ends - delay, starts)) - by_start).sum() - 0.05)

    longest = float((ends - starts).max())
    p95 = brentq(share_not_within, 0.0, longest) if longest > 0 and share_not_within(0.0) > 0 else 0.0
    requests = 1 + law.sf(ends[:-1]).sum()
    return Evaluation(float(requests), float((inside * weights * width / 2).sum()), float(p95))


def _look_times(schedule: Schedule, longest: float) -> Floats:
    """When the looks are made until one is at `longest` or later, answers taking no time."""
    looks: list[PollTime] = []
    time = -1.0
    while time < longest:
        time = max(time, 0.0)
        time += schedule(time, looks)
        looks.append(PollTime(time, time))
        if len(looks) > _MOST_LOOKS:
            raise ValueError(f"{schedule!r} must reach {longest:g} s within {_MOST_LOOKS} looks, got to {time:g} s")
    return np.array([look.sent for look in looks])


def _steady(initial: float, seconds: float, counts_request: bool) -> Callable[[float, Sequence[PollTime]], float]:
    def pause(elapsed: float, looks: Sequence[PollTime]) -> float:
        if not looks:
            return initial
        return max(looks[-1].sent + seconds - elapsed, 0.0) if counts_request else seconds

    return pause


def _planned(moments: list[float], gap: float, closest: float) -> Callable[[float, Sequence[PollTime]], float]:
    """PollTime at the moments, then every `gap`; never sooner than `closest` after the last look was sent."""
    times = np.array(moments)

    def pause(elapsed: float, looks: Sequence[PollTime]) -> float:
        earliest = max(elapsed + 1e-6, looks[-1].sent + closest - 1e-6) if looks else elapsed
        place = int(np.searchsorted(times, earliest, "right" if looks else "left"))
        if place < len(times):
            return float(times[place] - elapsed)
        beyond = times[-1] + gap * (np.floor((earliest - times[-1]) / gap) + 1)
        return float(beyond - elapsed)

    return pause


def _by_hazard(law: Fit, closest: float) -> list[float]:
    """The moments at which the looks of `learned` are planned, for the time that one order in 10,000 takes."""
    with np.errstate(over="ignore"):  # a law may reach beyond every float
        longest = float(np.clip(law.distribution.isf(1e-4), 2 * closest, _PLANNED_S))
    seconds = np.linspace(0.0, longest, 20_001)[1:]
    hazard = np.exp(law.distribution.logpdf(seconds) - law.distribution.logsf(seconds))
    rate = np.sqrt(hazard / (2 * _WORTH_S)) * CLOSEST_S / closest
    units = np.cumsum(rate) * seconds[0]
    moments = [min(float(np.interp(1.0, units, seconds)), seconds[-1])]
    while moments[-1] < seconds[-1]:
        due = float(np.interp(np.interp(moments[-1], seconds, units) + 1, units, seconds))
        moments.append(moments[-1] + min(max(due - moments[-1], closest), max(WIDEST_S, closest)))
    return moments


def _check_share(name: str, value: float, most: float) -> float:
    if isinstance(value, bool) or not 0 <= value <= most or value == inf:
        accepted = "a finite number from 0 up" if most == inf else f"a number from 0 to {most:g}"
        raise ValueError(f"{name} must be {accepted}, got {value!r}")
    return float(value)
