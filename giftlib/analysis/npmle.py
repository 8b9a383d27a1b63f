"""The nonparametric maximum-likelihood estimate of a distribution from brackets (Turnbull 1976, JRSS-B 38: 290-295).

Work and memory depend on the number of distinct brackets, not on the number of orders.
"""

from math import inf

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


class Turnbull:
    """Classes (starts, ends] and their positive masses, from distinct brackets (low, high] with counts.

    `cumulative` has one value more than there are classes: the share before the first, then after each. Where
    `is_exact` holds, the class is the single time `ends`. `request` is explained at `time_to_fulfilment`.

    Where `otherwise` holds, the order ended within its bracket in another way than the one asked for. Its mass counts
    in the last class, without a right end.
    """

    def __init__(self, low: Floats, high: Floats, request: Floats, count: Floats, otherwise: NDArray[np.bool_]) -> None:
        exact = low == high
        # Twice: once for the request, once because looks meant for the same moment are not sent at quite the same.
        stop = np.where(exact, high, np.maximum(high - 2 * request, (low + high) / 2))
        # An exact time t is the bracket from the float before t, so that all brackets are open at the left.
        start = np.where(exact, np.nextafter(low, -inf), low)
        finite = [*low, *high[np.isfinite(high)]]
        latest = max(finite)
        if otherwise.any():
            start, stop, high = _with_others(start, stop, high, exact, otherwise, axis=2 * (latest + 1))
        # A class runs from a bracket's start to the next stop, with no other start or stop between the two.
        stops, bracket = np.unique(stop, return_inverse=True)
        ends = np.zeros(len(stops))
        np.maximum.at(ends, bracket, high)
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

    def surely_by(self, seconds: Floats) -> Floats:
        """The share final by `seconds` wherever inside its class the mass lies."""
        share: Floats = self.cumulative[np.searchsorted(self.ends[np.isfinite(self.ends)], seconds, "right")]
        return share

    def perhaps_by(self, seconds: Floats) -> Floats:
        """The share that could be final by `seconds`."""
        share: Floats = self.cumulative[np.searchsorted(self.starts, seconds, "left")]
        return share

    def quantile(self, p: float) -> tuple[float, float]:
        """The ends of the class in which the share reaches `p`."""
        reached = self._reached(p)
        end = float(self.ends[reached])
        return (end if self.is_exact[reached] else float(self.starts[reached])), end

    def within(self, p: float) -> float:
        """How far into that class the share reaches `p`, of 1, were the class filled evenly."""
        reached = self._reached(p)
        return float(min(1.0, (p - self.cumulative[reached]) / self.mass[reached]))

    def _reached(self, p: float) -> int:
        return int(np.flatnonzero(self.cumulative[1:] >= p - 1e-6)[0])


def _with_others(
    start: Floats, stop: Floats, high: Floats, exact: NDArray[np.bool_], otherwise: NDArray[np.bool_], axis: float
) -> tuple[Floats, Floats, Floats]:
    """The brackets on one line with the other ends: those of orders that ended otherwise are mirrored beyond all times.

    An order that is open after `start` may end after that in either way, and so covers one run of classes: from its
    start to just before its mirror image.
    """
    is_open = np.isinf(high)
    first = np.where(otherwise, np.where(exact, np.nextafter(axis - high, -inf), axis - stop), start)
    low = np.where(exact, high, start)
    last = np.where(otherwise, axis - low, np.where(is_open, np.nextafter(axis - low, -inf), stop))
    last = np.maximum(last, np.nextafter(first, inf))
    return first, last, np.where(otherwise | is_open, last, high)


def _npmle(first: Indices, stop: Indices, count: Floats, classes: int) -> Floats:
    """The masses that maximise sum(count * log(mass[first:stop].sum())), until the gap to the
    best log-likelihood is below 1e-9 an order.

    EM steps, which cannot go wrong, alternate with Newton steps on the classes that have mass or deserve some,
    projected to masses of 0 or more (Bertsekas 1982, SIAM J. Control Optim. 20: 221-246), which end the crawl.
    A bracket covers a run of classes, so gradient and Hessian are cumulative sums of the brackets' weights.
    """
    n = count.sum()

    def covered(mass: Floats) -> Floats:
        total: Floats = np.append(0.0, np.cumsum(mass))
        share: Floats = total[stop] - total[first]
        return share

    def gradient(mass: Floats) -> Floats:
        weight = count / covered(mass)
        slopes: Floats = np.cumsum(np.bincount(first, weight, classes + 1) - np.bincount(stop, weight, classes + 1))
        return slopes[:-1]

    def gain(mass: Floats) -> float:
        share = covered(mass)
        return float(count @ np.log(share) - n * mass.sum()) if share.min() > 0 else -inf

    mass = np.full(classes, 1 / classes)
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
        rank = np.searchsorted(free, np.arange(classes + 1))
        cell = rank[first] * (size + 1) + rank[stop]
        weights: Floats = np.bincount(cell, count / covered(mass) ** 2, (size + 1) ** 2).astype(float)
        weight = weights.reshape(size + 1, size + 1)
        # hessian[j, k] sums the weight of the brackets that begin by min(j, k) and stop after max(j, k).
        upper: Floats = np.cumsum(np.cumsum(weight, axis=0)[:-1, :0:-1], axis=1)[:, ::-1]
        hessian = np.triu(upper) + np.triu(upper, 1).T
        hessian[np.diag_indices(size)] *= 1 + 1e-10
        step = np.zeros(classes)
        step[free] = np.linalg.solve(hessian, slope[free])
        before = gain(mass)
        for halvings in range(30):
            tried = np.maximum(mass + step / 2**halvings, 0)
            if gain(tried) > before:
                mass = tried / tried.sum()
                break
    raise RuntimeError(f"the estimate did not converge on {len(count)} distinct brackets")
