"""Estimate a distribution from intervals by nonparametric maximum likelihood (Turnbull 1976, JRSS-B 38: 290-295).

Work and memory depend on the number of distinct intervals, not on the number of orders.
"""

from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from giftlib.analysis.columns import Floats

Indices = NDArray[np.intp]

_MOST_AT_ONCE = 300
"""Newton's step for all values at once takes a matrix of this size squared."""


class Turnbull(NamedTuple):
    """Hold Turnbull intervals (from_s, to_s] and the positive mass of each; an exact time has equal ends."""

    from_s: Floats
    to_s: Floats
    mass: Floats


def estimate_masses(low: Floats, high: Floats, otherwise: NDArray[np.bool_], orders: Floats) -> Turnbull:
    """Give the estimate from distinct intervals (low, high].

    Where `otherwise` holds, the order had another outcome than the one asked for: its mass is in the last interval,
    which has no right end.
    """
    exact = low == high
    latest = max([*low, *high[np.isfinite(high)]])
    # An exact time t is the interval from the float before t, so that all intervals are open at the left.
    start, stop = np.where(exact, np.nextafter(low, -inf), low), high
    if otherwise.any():
        start, stop = _with_others(start, high, exact, otherwise, axis=2 * (latest + 1))
    # A Turnbull interval runs from a start to the next stop, with no other start or stop between the two.
    stops, starts = np.unique(stop), np.unique(start)
    starts = starts[np.searchsorted(starts, stops) - 1]
    kept = np.append(True, stops[:-1] <= starts[1:])
    starts, stops = starts[kept], stops[kept]
    first, last = np.searchsorted(stops, start, "right"), np.searchsorted(stops, stop, "right")
    mass = _npmle(first, last, orders, len(stops))
    some = mass > 1e-9
    starts, stops, mass = starts[some], stops[some], mass[some] / mass[some].sum()
    beyond = stops > latest
    if beyond.any():
        # Nothing is known after the latest time: one interval has all the mass beyond it.
        rest = max(starts[beyond][0], 0.0)
        starts = np.append(starts[~beyond], min(rest, latest))
        stops, mass = np.append(stops[~beyond], inf), np.append(mass[~beyond], mass[beyond].sum())
    return Turnbull(np.where(np.nextafter(stops, -inf) == starts, stops, starts), stops, mass)


def _with_others(
    start: Floats, high: Floats, exact: NDArray[np.bool_], otherwise: NDArray[np.bool_], axis: float
) -> tuple[Floats, Floats]:
    """Put both outcomes on one line: the intervals of orders that ended otherwise are mirrored beyond all times.

    An order that is open after `start` may still have either outcome. So its interval runs from its start to just
    before its mirror image.
    """
    is_open = np.isinf(high)
    first = np.where(otherwise, np.where(exact, np.nextafter(axis - high, -inf), axis - high), start)
    low = np.where(exact, high, start)
    last = np.where(otherwise, axis - low, np.where(is_open, np.nextafter(axis - low, -inf), high))
    return first, np.maximum(last, np.nextafter(first, inf))


def _npmle(first: Indices, stop: Indices, orders: Floats, cells: int) -> Floats:
    """Give the masses that maximise sum(orders * log(mass[first:stop].sum())), to 1e-9 of log-likelihood per order.

    A round is a step of EM and one of the iterative convex minorant (Wellner and Zhan 1997, JASA 92: 945-959): Newton's
    for each value of the cumulative distribution by itself, made monotone by isotonic regression. Where few values
    differ, as they soon do, one for all of them at once follows: without it there are ten times as many rounds.
    """
    n = orders.sum()
    cdf = np.linspace(0.0, 1.0, cells + 1)
    for _ in range(10_000):
        ratio = orders / (cdf[stop] - cdf[first])
        gradient = np.cumsum(np.bincount(first, ratio, cells + 1) - np.bincount(stop, ratio, cells + 1))[:-1]
        if gradient.max() <= n * (1 + 1e-9):
            return np.diff(cdf)
        mass = np.diff(cdf) * gradient / n
        cdf = np.append(0.0, np.cumsum(mass / mass.sum()))
        if cells > 1:
            cdf = _newton_step(cdf, np.arange(cells + 1), first, stop, orders, jointly=False)
            values, level = np.unique(np.maximum.accumulate(cdf), return_inverse=True)
            if 2 < len(values) <= _MOST_AT_ONCE:
                cdf = _newton_step(values, level, level[first], level[stop], orders, jointly=True)
    raise RuntimeError(f"the estimate did not converge on {len(orders)} distinct intervals")


def _newton_step(
    values: Floats, level: Indices, first: Indices, stop: Indices, orders: Floats, *, jointly: bool
) -> Floats:
    """Give values[level] after as much of the step as makes the orders more likely, or unchanged if none does.

    The intervals run from values[first] to values[stop].
    """
    from scipy.optimize import isotonic_regression

    def likelihood(values: Floats) -> float:
        covered = values[stop] - values[first]
        return float(orders @ np.log(covered)) if covered.min() > 0 else -inf

    n, covered = len(values), values[stop] - values[first]
    ratio, weights = orders / covered, orders / covered**2
    slope = (np.bincount(stop, ratio, n) - np.bincount(first, ratio, n))[1:-1]
    curvature = (np.bincount(stop, weights, n) + np.bincount(first, weights, n))[1:-1]
    curvature = np.maximum(curvature, 1e-9 * curvature.max())
    if jointly:
        mixed = np.bincount(first * n + stop, weights, n * n).reshape(n, n)[1:-1, 1:-1]
        # The factor keeps it regular where some weights are so large that rounding hides the others.
        step = np.linalg.solve(np.diag(curvature * (1 + 1e-12)) - mixed - mixed.T, slope)
    else:
        step = slope / curvature
    inner = isotonic_regression(values[1:-1] + step, weights=curvature).x.clip(0.0, 1.0)
    target, before = np.concatenate([[0.0], inner, [1.0]]), likelihood(values)
    for halvings in range(20):
        tried = values + (target - values) / 2**halvings
        if likelihood(tried) > before:
            values = tried
            break
    result: Floats = values[level]
    return result
