"""Estimate a smooth distribution of times from intervals, whatever its shape, by penalised maximum likelihood.

The logarithm of the density, over the logarithm of time, is a smooth curve. The penalty on its third derivative leaves
a lognormal distribution alone (Silverman 1982, Annals of Statistics 10: 795-810), and bends away from it as far as
the orders say. The intervals are counts on a grid (the penalised composite link model: Eilers 2007, Statistical
Modelling 7: 239-254). The estimate is the mean over amounts of smoothing, weighted by Laplace's approximation of their
likelihood. Its standard errors come from the same (Nychka 1988, JASA 83: 1134-1143).
"""

from collections.abc import Callable
from functools import lru_cache, partial
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from giftlib.analysis.columns import Floats
from giftlib.analysis.interval_counts import Guesses

Indices = NDArray[np.intp]

CELLS = 120
_SHAPES = 30
"""So many shapes, the smoothest that the penalty knows, are added to those of a lognormal distribution."""
_PENALTIES = 10.0 ** np.arange(8, -2, -1)
_UNLIKELY = 2.0
"""Less smoothing is not tried once the logarithm of the likelihood has fallen by so much."""
_RIDGE = 1e-2
_BELOW, _BEYOND = 8.0, 20.0
"""The grid begins so many times below the least time above 0, and ends so many times beyond the greatest."""
_ROUNDING = 1e-10
"""So much is added to the mass of each interval: the sums that it is the difference of are no more exact."""
_PRECISION = 0.003
"""The square of the distance to the maximum, in standard errors, that is near enough."""


class Counts(NamedTuple):
    """Hold how many intervals run from one point of the grid to another: arrays of equal length."""

    first: Indices
    last: Indices
    orders: Floats


class SmoothCurve:
    """Hold the estimate on a grid of `seconds`: `cdf` is the proportion final by each of them.

    `logit` and `error` are the logarithm of the odds at the inner points and its standard error.
    """

    def __init__(self, guesses: Guesses) -> None:
        finite = np.concatenate([guesses.low, guesses.high[np.isfinite(guesses.high)]])
        times = finite[finite > 0] if (finite > 0).any() else np.array([1e-3])
        self._grid = np.linspace(np.log(times.min() / _BELOW), np.log(times.max() * _BEYOND), CELLS + 1)
        self.seconds = np.exp(self._grid)
        found = _candidates(self._grid, self.count(guesses))
        evidences, logits, variances = map(np.array, zip(*found, strict=True))
        weights = np.exp(evidences - evidences.max())
        weights /= weights.sum()
        self.logit = weights @ logits
        self.error = np.sqrt(weights @ (variances + (logits - self.logit) ** 2))
        self.cdf = np.concatenate([[0.0], 1 / (1 + np.exp(-self.logit)), [1.0]])

    def count(self, guesses: Guesses) -> Counts:
        """Count intervals on the grid; an end between two points counts for both, the more for the nearer one."""
        with np.errstate(divide="ignore"):
            start, end = (np.interp(np.log(ends), self._grid, np.arange(CELLS + 1)) for ends in guesses[:2])
        start = np.minimum(start, CELLS - 1)
        end = np.maximum(end, np.floor(start) + 1)
        cells, parts = [], []
        for (first, of_first), (last, of_last) in product(_neighbours(start), _neighbours(end)):
            # An interval shorter than a cell is taken for the cell.
            cells.append(np.minimum(first, last - 1) * (CELLS + 1) + last)
            parts.append(of_first * of_last * guesses.orders)
        counted = np.bincount(np.concatenate(cells), np.concatenate(parts)).astype(float)
        first, last = np.divmod(filled := np.flatnonzero(counted), CELLS + 1)
        return Counts(first, last, counted[filled])

    def expected(self, counts: Counts) -> Floats:
        """Give how many of these intervals' orders the estimate expects in each cell between two points."""
        mass = np.diff(self.cdf)
        return mass * _cover(counts, counts.orders / (self.cdf[counts.last] - self.cdf[counts.first]))


def _candidates(grid: Floats, counts: Counts) -> list[tuple[float, Floats, Floats]]:
    """Give the estimates for each amount of smoothing, from much to little, as `_estimate` does."""
    centre = (grid[counts.first] + grid[counts.last]) / 2
    mean = np.average(centre, weights=counts.orders)
    spread = max(np.sqrt(np.average((centre - mean) ** 2, weights=counts.orders)), 0.2)
    z = ((grid[1:] + grid[:-1]) / 2 - mean) / spread
    shapes = np.column_stack([z, z**2 / 2, _smooth_shapes(), np.ones(CELLS)])
    prior = np.append([0.0, -1.0], np.zeros(_SHAPES + 1))
    expand = partial(_expand, shapes, counts)
    at = expand(prior)
    found: list[tuple[float, Floats, Floats]] = []
    for penalty in _PENALTIES:
        penalties = np.array([_RIDGE, _RIDGE, *[penalty] * _SHAPES, 1.0])
        at = _maximise(expand, at, prior, penalties)
        found.append(_estimate(at, prior, penalties))
        if found[-1][0] < max(evidence for evidence, *_ in found) - _UNLIKELY:
            break
    return found


class _Expansion(NamedTuple):
    """Hold the log-likelihood at some weights of the shapes, with its derivatives.

    `up_to` is the sum of mass times shape up to each point of the grid. The last shape is constant: its sums are those
    of the mass, and its weight stays 0. `pairs` is the curvature without its part that may be negative.
    """

    weights: Floats
    up_to: Floats
    likelihood: float
    slope: Floats
    pairs: Floats
    curvature: Floats


def _expand(shapes: Floats, counts: Counts, weights: Floats) -> _Expansion:
    logarithm = shapes @ weights
    mass = np.exp(logarithm - logarithm.max())
    moments = (mass / mass.sum())[:, None] * shapes
    up_to = np.zeros((CELLS + 1, len(weights)))
    moments.cumsum(axis=0, out=up_to[1:])
    within = up_to.take(counts.last, axis=0) - up_to.take(counts.first, axis=0)
    covered = np.maximum(within[:, -1], 0.0) + _ROUNDING
    n, mean = counts.orders.sum(), up_to[-1]
    surplus = _cover(counts, counts.orders / covered) - n
    slope = surplus @ moments
    within *= (np.sqrt(counts.orders) / covered)[:, None]
    pairs = within.T @ within - n * mean[:, None] * mean
    bend = moments.T @ (surplus[:, None] * shapes)
    return _Expansion(weights, up_to, float(counts.orders @ np.log(covered)), slope, pairs, pairs - bend)


def _maximise(expand: Callable[[Floats], _Expansion], at: _Expansion, prior: Floats, penalties: Floats) -> _Expansion:
    """Go to the maximum of the penalised likelihood, by Newton's steps."""
    from scipy.linalg.lapack import dposv

    def penalised(at: _Expansion) -> float:
        return at.likelihood - float(penalties @ (at.weights - prior) ** 2) / 2

    precision, height = np.diag(penalties), penalised(at)
    for _ in range(100):
        slope = at.slope - penalties * (at.weights - prior)
        _, step, not_positive = dposv(at.curvature + precision, slope)
        if not_positive:  # Newton's step might lead down, or so far that rounding errors count
            values, vectors = np.linalg.eigh(at.curvature + precision)
            step = vectors @ (slope @ vectors / np.maximum(np.abs(values), 10.0))
        if (gain := float(slope @ step)) < _PRECISION:
            break
        for halvings in range(20):
            with np.errstate(over="ignore", invalid="ignore"):  # a step too far is tried, but not taken
                tried = expand(at.weights + step / 2**halvings)
            if (rise := penalised(tried) - height) >= 1e-4 * gain / 2**halvings:
                break
        else:
            break
        at, height = tried, height + rise
    return at


def _estimate(at: _Expansion, prior: Floats, penalties: Floats) -> tuple[float, Floats, Floats]:
    """Give the evidence for an amount of smoothing, and the curve's logarithm of the odds with its variance."""
    from scipy.linalg.lapack import dtrtri

    outer = at.up_to[-1][:, None] * at.slope
    # Fisher's information but for the intervals' squares: unlike the curvature it is never negative.
    half = np.linalg.cholesky(at.pairs - outer - outer.T + np.diag(penalties))
    evidence = at.likelihood - float(penalties @ (at.weights - prior) ** 2) / 2
    evidence += float(np.log(penalties).sum() / 2 - np.log(half.diagonal()).sum())
    slopes = at.up_to[1:-1] - at.up_to[1:-1, -1:] * at.up_to[-1]
    errors = slopes @ dtrtri(half, lower=1)[0].T
    cdf = at.up_to[1:-1, -1].clip(1e-12, 1 - 1e-12)
    odds = cdf * (1 - cdf)
    return evidence, np.log(cdf / (1 - cdf)), (errors**2).sum(axis=1) / odds**2


def _cover(counts: Counts, weights: Floats) -> Floats:
    """Give for each cell the sum of the weights of the intervals that cover it."""
    starts, ends = (np.bincount(points, weights, CELLS + 1) for points in (counts.first, counts.last))
    return np.cumsum(starts - ends, dtype=float)[:-1]


def _neighbours(points: Floats) -> list[tuple[Indices, Floats]]:
    """Give the points of the grid before and after each place on it, with their parts of it."""
    before = np.minimum(points.astype(np.intp), CELLS - 1)
    part = points - before
    return [(before, 1 - part), (before + 1, part)]


@lru_cache
def _smooth_shapes() -> Floats:
    """Give the smoothest shapes that the penalty is not zero for, each scaled to a penalty of 1."""
    differences = np.diff(np.eye(CELLS), n=3, axis=0)
    values, vectors = np.linalg.eigh(differences.T @ differences)
    chosen = slice(3, 3 + _SHAPES)
    return np.asarray(vectors[:, chosen] / np.sqrt(values[chosen]))
