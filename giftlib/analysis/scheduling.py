"""Fit a schedule to past orders, evaluate schedules, and find the best that any schedule can do."""

from dataclasses import dataclass
from functools import cached_property
from reprlib import repr as short
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from giftlib.analysis.columns import Floats, require_seconds
from giftlib.analysis.distributions import Fit, fit_with_prior
from giftlib.api import check_seconds
from giftlib.polling import PollTime, Schedule, at_times, planned_pause

_CLOSEST_S, _WIDEST_S = 5.0, 10.0
"""The guide: "Poll every 5-10 seconds"."""
_REQUEST_COST_S = 1.5
"""Seconds of delay that a request costs for `fitted`: with it the polls of the prior are 5 s apart at most."""
_PLANNED_S = 3600.0
_MOST_POLLS = 200_000
_STEP_S, _LONGEST_S = 0.05, 400.0
"""The grid of `optimum`."""


class Evaluation(NamedTuple):
    """Hold what a schedule costs: requests per order, and seconds from the final status to the poll that shows it.

    >>> Evaluation(requests_per_order=4.0, mean_delay_s=2.5, p95_delay_s=4.8).mean_delay_s
    2.5
    """

    requests_per_order: float
    mean_delay_s: float
    p95_delay_s: float


@dataclass(frozen=True, repr=False)
class FittedSchedule(Schedule):
    """Keep a schedule with the distribution that it is made from; `fitted` makes it.

    >>> schedule = fitted(pd.DataFrame({"not_done_by_s": [5, 5, 10], "done_by_s": [10, 10, 15]}))
    >>> schedule.fit.family, round(schedule.expected.requests_per_order, 1)
    ('lognormal', 2.4)
    """

    fit: Fit

    @cached_property
    def expected(self) -> Evaluation:
        """Evaluate the schedule for orders that follow its distribution."""
        return evaluate(self, self.fit.distribution)


def fitted(orders: pd.DataFrame, *, closest: float = _CLOSEST_S) -> FittedSchedule:
    """Poll when orders like these past ones are likely to have become final.

    A lognormal distribution is fitted to the intervals of `orders`, with a weak prior (`fit_with_prior`), so an empty
    frame will do. The rate of polls is sqrt(hazard / 2c), the best for mean delay + c x requests where polls are dense
    (Keller 1974, Management Science 21: 256-260); the first comes after one full unit. Gaps are from `closest` to 10
    seconds. c is 1.5 s for the guide's 5 s, and proportional to the square of `closest`.

    >>> schedule = fitted(pd.DataFrame({"not_done_by_s": [5, 5, 10], "done_by_s": [10, 10, 15]}))
    >>> round(schedule(0.0, []), 1)
    7.7
    """
    closest = check_seconds("closest", closest)
    fit, widest = fit_with_prior(orders), max(_WIDEST_S, closest)
    options = "" if closest == _CLOSEST_S else f", closest={closest:g}"
    pause = planned_pause(_by_hazard(fit, closest, widest), widest, closest)
    return FittedSchedule(f"fitted({len(orders)} orders{options})", pause, fit)


def evaluate(schedule: Schedule, orders: Any) -> Evaluation:
    """Evaluate a schedule on many orders, with responses that take no time.

    `orders` is a frozen distribution of scipy.stats (the expectations are then exact integrals), an array of durations
    in seconds (their means), or a frame of orders (the distribution that `fitted` fits to them). Raises ValueError for
    durations that are none and for a distribution without a mean.

    >>> evaluate(at_times([5, 10]), [4.0, 8.0, 9.0])
    Evaluation(requests_per_order=1.6666666666666667, mean_delay_s=1.3333333333333333, p95_delay_s=1.9)
    """
    if isinstance(orders, pd.DataFrame):
        orders = fit_with_prior(orders).distribution
    return _on_distribution(schedule, orders) if hasattr(orders, "isf") else _on_durations(schedule, orders)


def optimum(distribution: Any, request_cost_s: float, *, closest: float = 0.0) -> Schedule:
    """Find the schedule with the least mean delay + `request_cost_s` x requests per order, by dynamic programming.

    With F the `distribution` (a frozen one of scipy.stats) and S = 1 - F, the cost from a poll at s on that shows the
    order open is J(s) = min over u of request_cost_s S(s) + integral of F(t) - F(s) from s to u + J(u) (Barlow, Hunter
    and Proschan 1963, J. SIAM 11: 1078-1095). Polls are at least `closest` seconds apart, on a grid of 0.05 s up to
    the time that one order in 100,000 exceeds, 400 s at most.

    >>> from scipy.stats import uniform
    >>> optimum(uniform(10, 10), request_cost_s=2)
    at_times([15.3, 18.65])
    """
    if not hasattr(distribution, "isf"):
        raise ValueError(f"distribution must be a frozen distribution of scipy.stats, got {short(distribution)}")
    check_seconds("request_cost_s", request_cost_s)
    require_seconds("closest", closest)
    times = np.arange(0.0, min(float(distribution.isf(1e-5)), _LONGEST_S) + _STEP_S, _STEP_S)
    final = distribution.cdf(times)
    area = np.concatenate([[0.0], np.cumsum((final[1:] + final[:-1]) / 2 * _STEP_S)])
    gap = max(round(closest / _STEP_S), 1)
    last = len(times) - 1
    cost, following = np.zeros(len(times)), np.full(len(times), last)
    for i in range(last - 1, -1, -1):
        first = min(i + (gap if i else 1), last)  # the first poll may come at once
        totals = area[first:] - final[i] * times[first:] + cost[first:]
        best = int(np.argmin(totals))
        following[i] = first + best
        cost[i] = request_cost_s * (1 - final[i]) + totals[best] - area[i] + final[i] * times[i]
    polls = [int(following[0])]
    while polls[-1] < last:
        polls.append(int(following[polls[-1]]))
    if len(polls) > 2:
        polls.pop()  # it stands where the grid ends, whatever the gap before it
    return at_times([float(times[i]) for i in polls])


def best_delay(distribution: Any, requests_per_order: float, *, closest: float = 0.0) -> float:
    """Give the least mean delay, in seconds, that is possible with so many requests per order.

    Between two optimal schedules it is the line from one to the other: each is then used for a proportion of orders.
    Raises ValueError for a number of requests that no optimal schedule needs.

    >>> from scipy.stats import uniform
    >>> round(best_delay(uniform(10, 10), 2), 2)
    1.6
    """
    cheap, dear = 0.02, 1e3
    few, many = (evaluate(optimum(distribution, cost, closest=closest), distribution) for cost in (dear, cheap))
    if not few.requests_per_order <= requests_per_order <= many.requests_per_order:
        possible = f"from {few.requests_per_order:.3g} to {many.requests_per_order:.3g} here"
        raise ValueError(f"requests_per_order must be {possible}, got {requests_per_order!r}")
    while dear / cheap > 1.001 and many.requests_per_order - few.requests_per_order > 0.005:
        middle = float(np.sqrt(cheap * dear))
        found = evaluate(optimum(distribution, middle, closest=closest), distribution)
        if found.requests_per_order > requests_per_order:
            cheap, many = middle, found
        else:
            dear, few = middle, found
    requests, delays = zip(few[:2], many[:2], strict=True)
    return float(np.interp(requests_per_order, requests, delays))


def _on_durations(schedule: Schedule, durations: ArrayLike) -> Evaluation:
    try:
        durations = np.asarray(durations, dtype=float)
    except (TypeError, ValueError):
        accepted = "a distribution of scipy.stats, durations in seconds or a DataFrame of orders"
        raise ValueError(f"orders must be {accepted}, got {short(durations)}") from None
    if durations.size == 0 or not np.isfinite(durations).all() or (durations < 0).any():
        raise ValueError("durations must be finite numbers of seconds from 0 up, at least one")
    times = _poll_times(schedule, durations.max())
    seen = np.searchsorted(times, durations)
    delays = times[seen] - durations
    return Evaluation(float((seen + 1).mean()), float(delays.mean()), float(np.quantile(delays, 0.95)))


def _on_distribution(schedule: Schedule, distribution: Any) -> Evaluation:
    from scipy.optimize import brentq

    if not np.isfinite(distribution.mean()):
        raise ValueError("orders must be a distribution with a finite mean, got one without")
    ends = _poll_times(schedule, float(distribution.isf(1e-7)))
    starts = np.append(0.0, ends[:-1])
    by_start = distribution.cdf(starts)
    # The mean delay is the integral of F(t) - F(start) from each poll to the next, by Gauss-Legendre.
    nodes, weights = np.polynomial.legendre.leggauss(16)
    width = (ends - starts)[:, None]
    inside = distribution.cdf(starts[:, None] + width * (nodes + 1) / 2) - by_start[:, None]

    def over_5_percent(delay: float) -> float:
        """The proportion of orders seen later than `delay`, less 0.05."""
        return float((distribution.cdf(np.maximum(ends - delay, starts)) - by_start).sum() - 0.05)

    longest = float((ends - starts).max())
    p95 = brentq(over_5_percent, 0.0, longest) if longest > 0 and over_5_percent(0.0) > 0 else 0.0
    requests = 1 + distribution.sf(ends[:-1]).sum()
    return Evaluation(float(requests), float((inside * weights * width / 2).sum()), float(p95))


def _poll_times(schedule: Schedule, longest: float) -> Floats:
    """Give the times of the polls until one is at `longest` or later, with responses that take no time."""
    polls: list[PollTime] = []
    time = -1.0
    while time < longest:
        time = max(time, 0.0)
        time += schedule(time, polls)
        polls.append(PollTime(time, time))
        if len(polls) > _MOST_POLLS:
            raise ValueError(f"{schedule!r} must reach {longest:g} s within {_MOST_POLLS} polls, got to {time:g} s")
    return np.array([poll.sent for poll in polls])


def _by_hazard(fit: Fit, closest: float, widest: float) -> list[float]:
    """Give the times of the polls of `fitted`, up to the time that one order in 10,000 exceeds."""
    with np.errstate(over="ignore"):  # a distribution may reach beyond every float
        longest = float(np.clip(fit.distribution.isf(1e-4), 2 * closest, _PLANNED_S))
    seconds = np.linspace(0.0, longest, 20_001)[1:]
    hazard = np.exp(fit.distribution.logpdf(seconds) - fit.distribution.logsf(seconds))
    rate = np.sqrt(hazard / (2 * _REQUEST_COST_S)) * _CLOSEST_S / closest
    units = np.cumsum(rate) * seconds[0]
    times = [min(float(np.interp(1.0, units, seconds)), float(seconds[-1]))]
    while times[-1] < seconds[-1]:
        due = float(np.interp(np.interp(times[-1], seconds, units) + 1, units, seconds))
        times.append(times[-1] + min(max(due - times[-1], closest), widest))
    return times
