"""Distributions of how long orders take, fitted to censoring intervals `low < T <= high` in seconds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import exp, inf, log
from numbers import Real
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from giftlib.analysis.columns import Floats, require_columns, require_once
from giftlib.analysis.interval_counts import BOUNDS, read_intervals

FAMILIES = ("lognormal", "log-logistic")
Z95 = 1.6448536
"""The 95 % quantile of the standard normal distribution."""

_FAR, _LARGEST, _LEAST_SPREAD = 3.0, 20.0, 1e-4
"""A median or spread so many times e away must be less likely; both are within e to this power and its inverse. A
smaller spread is that of a single time."""
_PRIOR_ORDERS, _PRIOR_MEDIAN_S, _PRIOR_SPREAD = 8, 10.0, 0.8
"""The weak prior: as if so many orders had been timed exactly, of the guide's "most within 30 seconds"."""


@dataclass(frozen=True)
class Fit:
    """Hold a fitted distribution: T = median_s * exp(spread * Z), Z standard normal or, for "log-logistic", logistic.

    `aic` compares families on the same orders: smaller is better. `verdict` says whether the distribution fits.

    >>> fit = Fit("log-logistic", median_s=10.0, spread=0.5, aic=0.0)
    >>> round(fit.quantile(0.9), 2), round(float(fit.cdf(30)), 2), float(fit.distribution.median())
    (30.0, 0.9, 10.0)
    """

    family: str
    median_s: float
    spread: float
    aic: float
    verdict: str = ""
    _intervals: tuple[Floats, Floats, Floats] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def distribution(self) -> Any:
        """Give the same as a frozen distribution of scipy.stats."""
        from scipy import stats

        if self.family == "lognormal":
            return stats.lognorm(s=self.spread, scale=self.median_s)
        return stats.fisk(c=1 / self.spread, scale=self.median_s)

    def cdf(self, seconds: Any) -> Any:
        """Give the proportion final by `seconds` (a number or an array)."""
        with np.errstate(over="ignore"):  # of a distribution next to a single time
            return self.distribution.cdf(seconds)

    def quantile(self, p: float) -> float:
        """Give the seconds by which a proportion `p` is final. Raises ValueError unless 0 < p < 1."""
        return float(self.distribution.ppf(check_proportion("p", p)))

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Give a frame of estimate, standard error, low and high: median and 95th percentile in seconds, and spread.

        Intervals of times are profile-likelihood intervals, that of the spread comes from its standard error. Where the
        orders' times are so nearly equal that they tell no standard error, it is NaN.

        Raises ValueError for a distribution that was not fitted to orders.

        >>> low, high = np.array([0.0, 5, 10, 20]), np.array([5.0, 10, 15, np.inf])
        >>> fit = fit_distribution("lognormal", low, high, count=np.array([3.0, 9, 4, 2]))
        >>> fit.summary().round(1).loc["median"].tolist()
        [8.3, 1.2, 6.0, 11.2]
        """
        if self._intervals is None:
            raise ValueError(f"a fit to orders has a summary, got {self!r}, which was made by hand")
        covariance = np.linalg.inv(_information(self, *self._intervals))
        slope = log(self.quantile(0.95) / self.median_s)  # of the 95th percentile's logarithm by that of the spread
        by_logarithms = np.array([[1.0, 0.0], [1.0, slope], [0.0, 1.0]])
        with np.errstate(invalid="ignore"):  # the likelihood of nearly equal times may be no parabola at its maximum
            errors = np.sqrt(np.einsum("ij,jk,ik->i", by_logarithms, covariance, by_logarithms))
        wide = NormalDist().inv_cdf((1 + check_proportion("level", level)) / 2) * errors[2]
        rows = {
            name: [time := self.quantile(p), time * error, *profile_interval(self, *self._intervals, p, level=level)]
            for name, p, error in (("median", 0.5, errors[0]), ("95 %", 0.95, errors[1]))
        }
        rows["spread"] = list(self.spread * np.array([1.0, errors[2], exp(-wide), exp(min(wide, 700.0))]))
        return pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "error", "low", "high"])


def fit_distribution(family: str, low: Floats, high: Floats, count: Floats) -> Fit:
    """Fit by maximum likelihood. Equal bounds are an exact time; an infinite `high` is an order that is still open.

    >>> low, high = np.array([0.0, 5, 10, 20]), np.array([5.0, 10, 15, np.inf])
    >>> fit_distribution("lognormal", low, high, count=np.array([3.0, 9, 4, 2])).median_s
    8.29983
    """
    from scipy.optimize import minimize

    likelihood = _log_likelihood(family, low, high, count)
    middles = np.log(np.maximum(np.where(np.isfinite(high), (low + high) / 2, low), 1e-3))
    start = [np.median(middles), log(max(float(middles.std()), 0.1))]
    # A simplex of a size that fits: the default one is next to flat where a coordinate starts near 0.
    simplex = np.array(start) + np.array([[0.0, 0.0], [0.3, 0.0], [0.0, 0.3]])

    def loss(parameters: Floats) -> float:
        return -float(likelihood(*parameters))

    options: Any = {"xatol": 1e-8, "fatol": 1e-8, "initial_simplex": simplex}
    best = minimize(loss, start, method="Nelder-Mead", options=options)
    # Further digits are the rounding errors of this processor's sums and logarithms.
    median_s, spread = (float(f"{exp(max(min(x, _LARGEST), -_LARGEST)):.6g}") for x in best.x)
    return Fit(family, median_s, spread, 4 + 2 * float(best.fun), _intervals=(low, high, count))


def is_identified(fit: Fit) -> bool:
    """Tell whether the orders say what the distribution is: whether quite different ones make them less likely."""
    if fit._intervals is None or not _LEAST_SPREAD < fit.spread < exp(_FAR):
        return False
    likelihood, centre, spread = _log_likelihood(fit.family, *fit._intervals), log(fit.median_s), log(fit.spread)
    others = [(centre - _FAR, spread), (centre + _FAR, spread), (centre, spread - _FAR), (centre, spread + _FAR)]
    return max(float(likelihood(*other)) for other in others) < 2 - fit.aic / 2 - 1e-3


def profile_interval(
    fit: Fit, low: Floats, high: Floats, count: Floats, p: float = 0.5, *, level: float = 0.95
) -> tuple[float, float]:
    """Give the profile-likelihood interval, in seconds, of the p-quantile of orders to which `fit` was fitted.

    It holds each quantile for which some spread up to 4 makes the log-likelihood fall by at most half the quantile of
    chi-squared with one degree of freedom. Its ends may be 0 and inf.

    >>> low, high, count = np.array([0.0, 5, 10, 20]), np.array([5.0, 10, 15, np.inf]), np.array([3.0, 9, 4, 2])
    >>> fit = fit_distribution("lognormal", low, high, count)
    >>> [round(seconds, 1) for seconds in profile_interval(fit, low, high, count)]
    [6.0, 11.2]
    """
    from scipy import stats
    from scipy.optimize import brentq

    likelihood = _log_likelihood(fit.family, low, high, count)
    least = (4 - fit.aic) / 2 - stats.chi2.ppf(check_proportion("level", level), 1) / 2
    z = log(fit.quantile(p) / fit.median_s) / fit.spread
    spreads = np.append(np.geomspace(min(fit.spread, 0.01) / 1000, 4, 300), fit.spread)

    def excess(log_quantile: float) -> float:
        return float(likelihood(log_quantile - z * spreads, np.log(spreads)).max() - least)

    ends, middle = [], log(fit.quantile(p))
    for sign in (-1, 1):
        steps = (middle + sign * 0.1 * 2.0**power for power in range(13))
        outside = next((end for end in steps if excess(end) < 0), None)
        ends.append(sign * inf if outside is None else brentq(excess, middle, outside, xtol=1e-6))
    return float(np.exp(ends[0])), float(np.exp(ends[1]))


def _information(fit: Fit, low: Floats, high: Floats, count: Floats) -> Floats:
    """Give the observed information about the logarithms of median and spread, by central differences."""
    likelihood, step = _log_likelihood(fit.family, low, high, count), 1e-3
    at = np.log([fit.median_s, fit.spread])

    def second(first: Floats, other: Floats) -> float:
        signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
        return sum(a * b * float(likelihood(*(at + a * first + b * other))) for a, b in signs) / (4 * step**2)

    steps = np.eye(2) * step
    return -np.array([[second(first, other) for other in steps] for first in steps])


def fit_with_prior(orders: pd.DataFrame) -> Fit:
    """Fit a lognormal distribution for orders to come to the intervals of past ones and a weak prior.

    The prior counts as 8 orders with a median of 10 s and a standard deviation of 0.8 of the logarithm. So few orders,
    or none, give a sensible distribution, and many give their own. Raises ValueError for a frame without intervals.

    >>> round(fit_with_prior(pd.DataFrame({"not_done_by_s": [], "done_by_s": []})).median_s, 2)
    10.0
    """
    from scipy.stats import norm

    require_columns("orders", orders, BOUNDS)
    require_once("orders", orders)
    z = norm.ppf((np.arange(_PRIOR_ORDERS) + 0.5) / _PRIOR_ORDERS)
    prior = _PRIOR_MEDIAN_S * np.exp(_PRIOR_SPREAD * z / z.std())
    low, high = np.concatenate([read_intervals(orders)[1], [prior, prior]], axis=1)
    # An exact time of 0 has no density; the API's times have a precision of 1 ms.
    return fit_distribution("lognormal", low, np.maximum(high, 1e-3), np.ones(len(low)))


def check_proportion(name: str, value: float) -> float:
    """Give back a number between 0 and 1, both excluded. Raises ValueError for others."""
    if not isinstance(value, Real) or not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, both excluded, got {value!r}")
    return value


def _log_likelihood(family: str, low: Floats, high: Floats, count: Floats) -> Callable[[Any, Any], Floats]:
    """Give the log-likelihood of the intervals as a function of the logarithms of median and spread."""
    from scipy import special, stats

    cdf, logpdf = (special.ndtr, stats.norm.logpdf) if family == "lognormal" else (special.expit, stats.logistic.logpdf)
    exact = low == high
    with np.errstate(divide="ignore"):
        log_low, log_high = np.log(low), np.log(high)

    def likelihood(centre: Any, log_spread: Any) -> Floats:
        centre, log_spread = np.asarray(centre)[..., None], np.asarray(log_spread)[..., None]
        a, b = ((bound - centre) / np.exp(log_spread) for bound in (log_low, log_high))
        upper = a > 0  # of the two tails the smaller one is exact; both families are symmetric
        proportion = (cdf(np.where(upper, -a, b)) - cdf(np.where(upper, -b, a)))[..., ~exact]
        density = logpdf(b[..., exact]) - log_spread - log_high[exact]
        total: Floats = np.log(np.maximum(proportion, 1e-300)) @ count[~exact] + density @ count[exact]
        return total

    return likelihood
