"""Estimate a distribution from intervals by nonparametric maximum likelihood (Turnbull 1976, JRSS-B 38: 290-295).

Work and memory depend on the number of distinct intervals, not on the number of orders.
"""

from math import inf

import numpy as np
from numpy.typing import NDArray

from giftlib.analysis.columns import Floats

Indices = NDArray[np.intp]


class Turnbull:
    """Estimate from distinct censoring intervals (low, high] with counts; `time_to_fulfilment` explains `request`.

    The result is Turnbull intervals (starts, ends] with positive masses, and `cumulative`, which has one value more:
    the proportion before the first, then after each. Where `is_exact` holds, the interval is the single time `ends`.
    Where `otherwise` holds, the order had another outcome than the one asked for. Its mass counts in the last
    interval, which has no right end.
    """

    def __init__(self, low: Floats, high: Floats, request: Floats, count: Floats, otherwise: NDArray[np.bool_]) -> None:
        exact = low == high
        # Twice: once for the request, once because polls planned for the same time are not sent at quite the same.
        stop = np.where(exact, high, np.maximum(high - 2 * request, (low + high) / 2))
        # An exact time t is the interval from the float before t, so that all intervals are open at the left.
        start = np.where(exact, np.nextafter(low, -inf), low)
        finite = [*low, *high[np.isfinite(high)]]
        latest = max(finite)
        if otherwise.any():
            start, stop, high = _with_others(start, stop, high, exact, otherwise, axis=2 * (latest + 1))
        # A Turnbull interval runs from a start to the next stop, with no other start or stop between the two.
        stops, place = np.unique(stop, return_inverse=True)
        ends = np.zeros(len(stops))
        np.maximum.at(ends, place, high)
        starts = np.unique(start)
        starts = starts[np.searchsorted(starts, stops) - 1]
        kept = np.append(True, stops[:-1] <= starts[1:])
        starts, stops, ends = starts[kept], stops[kept], np.maximum.accumulate(ends[kept])
        first, last = np.searchsorted(stops, start, "right"), np.searchsorted(stops, stop, "right")
        mass = _npmle(first, last, count, len(stops))
        some = mass > 1e-9
        starts, ends, mass = starts[some], ends[some], mass[some] / mass[some].sum()
        inside = ends <= latest
        if otherwise.any() and not inside.all():
            beyond = np.flatnonzero(~inside)[0]
            starts, ends = starts[: beyond + 1], np.append(ends[:beyond], inf)
            mass = np.append(mass[:beyond], mass[beyond:].sum())
        self.starts, self.ends, self.mass = starts, ends, mass
        self.cumulative = np.minimum(np.append(0.0, np.cumsum(self.mass)), 1.0)
        self.is_exact = np.nextafter(self.ends, -inf) == self.starts

    def cdf_low(self, seconds: Floats) -> Floats:
        """Give the least proportion final by `seconds`: masses lie at the right ends of their intervals."""
        low: Floats = self.cumulative[np.searchsorted(self.ends[np.isfinite(self.ends)], seconds, "right")]
        return low

    def cdf_high(self, seconds: Floats) -> Floats:
        """Give the greatest proportion final by `seconds`: masses lie at the left ends of their intervals."""
        high: Floats = self.cumulative[np.searchsorted(self.starts, seconds, "left")]
        return high

    def quantile(self, p: float) -> tuple[float, float]:
        """Give the ends of the interval in which the curve reaches `p`."""
        reached = self._reached(p)
        end = float(self.ends[reached])
        return (end if self.is_exact[reached] else float(self.starts[reached])), end

    def within(self, p: float) -> float:
        """Give how far into that interval the curve reaches `p`, from 0 to 1, if the mass is spread evenly there."""
        reached = self._reached(p)
        return float(min(1.0, (p - self.cumulative[reached]) / self.mass[reached]))

    def _reached(self, p: float) -> int:
        return int(np.flatnonzero(self.cumulative[1:] >= p - 1e-6)[0])


def _with_others(
    start: Floats, stop: Floats, high: Floats, exact: NDArray[np.bool_], otherwise: NDArray[np.bool_], axis: float
) -> tuple[Floats, Floats, Floats]:
    """Put both outcomes on one line: the intervals of orders that ended otherwise are mirrored beyond all times.

    An order that is open after `start` may still have either outcome. So its interval runs from its start to just
    before its mirror image.
    """
    is_open = np.isinf(high)
    first = np.where(otherwise, np.where(exact, np.nextafter(axis - high, -inf), axis - stop), start)
    low = np.where(exact, high, start)
    last = np.where(otherwise, axis - low, np.where(is_open, np.nextafter(axis - low, -inf), stop))
    last = np.maximum(last, np.nextafter(first, inf))
    return first, last, np.where(otherwise | is_open, last, high)


def _npmle(first: Indices, stop: Indices, count: Floats, cells: int) -> Floats:
    """Give the masses that maximise sum(count * log(mass[first:stop].sum())), to 1e-9 of log-likelihood per order.

    EM steps, which always improve, alternate with Newton steps on the Turnbull intervals that have or should gain
    mass. These are projected to masses of 0 or more (Bertsekas 1982, SIAM J. Control Optim. 20: 221-246), and converge
    where EM is slow. A censoring interval covers consecutive Turnbull intervals, so gradient and Hessian are
    cumulative sums of the weights.
    """
    n = count.sum()

    def covered(mass: Floats) -> Floats:
        total: Floats = np.append(0.0, np.cumsum(mass))
        proportion: Floats = total[stop] - total[first]
        return proportion

    def gradient(mass: Floats) -> Floats:
        weight = count / covered(mass)
        slopes: Floats = np.cumsum(np.bincount(first, weight, cells + 1) - np.bincount(stop, weight, cells + 1))
        return slopes[:-1]

    def gain(mass: Floats) -> float:
        proportion = covered(mass)
        return float(count @ np.log(proportion) - n * mass.sum()) if proportion.min() > 0 else -inf

    mass = np.full(cells, 1 / cells)
    for step_number in range(10_000):
        slope = gradient(mass) - n
        if slope.max() <= 1e-9 * n:
            return mass
        mass = mass * (1 + slope / n)
        if step_number < 50:
            continue
        mass[mass < 1e-14] = 0
        slope = gradient(mass) - n
        free = np.flatnonzero((mass > 1e-12) | (slope > 0))
        size = len(free)
        rank = np.searchsorted(free, np.arange(cells + 1))
        cell = rank[first] * (size + 1) + rank[stop]
        weights: Floats = np.bincount(cell, count / covered(mass) ** 2, (size + 1) ** 2).astype(float)
        weight = weights.reshape(size + 1, size + 1)
        # hessian[j, k] sums the weight of the intervals that begin by min(j, k) and stop after max(j, k).
        upper: Floats = np.cumsum(np.cumsum(weight, axis=0)[:-1, :0:-1], axis=1)[:, ::-1]
        hessian = np.triu(upper) + np.triu(upper, 1).T
        hessian[np.diag_indices(size)] *= 1 + 1e-10
        step = np.zeros(cells)
        step[free] = np.linalg.solve(hessian, slope[free])
        before = gain(mass)
        for halvings in range(30):
            tried = np.maximum(mass + step / 2**halvings, 0)
            if gain(tried) > before:
                mass = tried / tried.sum()
                break
    raise RuntimeError(f"the estimate did not converge on {len(count)} distinct intervals")
