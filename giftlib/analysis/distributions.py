"""Laws of how long orders take, fitted to brackets `low < T <= high`, in seconds."""

from dataclasses import dataclass
from functools import cached_property
from math import exp, log
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LAWS = ("lognormal", "log-logistic")

_PRIOR_ORDERS, _PRIOR_MEDIAN_S, _PRIOR_SPREAD = 8, 10.0, 0.8
"""The weak prior: as if so many orders had been timed exactly, of the guide's "most within 30 seconds"."""


@dataclass(frozen=True)
class Fit:
    """T = median_s * exp(spread * Z), Z standard normal ("lognormal") or logistic ("log-logistic").

    `aic` compares laws on the same orders: smaller is better.
    """

    law: str
    median_s: float
    spread: float
    aic: float

    @cached_property
    def distribution(self) -> Any:
        """The same as a frozen distribution of scipy.stats."""
        from scipy import stats

        if self.law == "lognormal":
            return stats.lognorm(s=self.spread, scale=self.median_s)
        return stats.fisk(c=1 / self.spread, scale=self.median_s)

    def cdf(self, seconds: Any) -> Any:
        """The share final by `seconds` (a number or an array)."""
        return self.distribution.cdf(seconds)

    def quantile(self, p: float) -> float:
        """The seconds by which a share `p` is final. ValueError unless 0 < p < 1."""
        if not 0 < p < 1:
            raise ValueError(f"p must lie between 0 and 1, both excluded, got {p!r}")
        return float(self.distribution.ppf(p))


def fit_law(law: str, low: Floats, high: Floats, count: Floats) -> Fit:
    """The maximum-likelihood fit; equal ends are an exact time, an infinite `high` an order still open."""
    from scipy import stats
    from scipy.optimize import minimize

    standard = stats.norm if law == "lognormal" else stats.logistic
    exact = low == high
    with np.errstate(divide="ignore"):
        log_low, log_high = np.log(low), np.log(high)

    def loss(parameters: Floats) -> float:
        centre, spread = parameters[0], np.exp(parameters[1])
        a, b = (log_low - centre) / spread, (log_high - centre) / spread
        share = np.where(a > 0, standard.sf(a) - standard.sf(b), standard.cdf(b) - standard.cdf(a))
        density = standard.logpdf(b[exact]) - parameters[1] - log_high[exact]
        return float(-(count[~exact] @ np.log(np.maximum(share[~exact], 1e-300)) + count[exact] @ density))

    middles = np.log(np.maximum(np.where(np.isfinite(high), (low + high) / 2, low), 1e-3))
    start = [np.median(middles), log(max(float(middles.std()), 0.1))]
    # A simplex of a size that fits: the default one is next to flat where a coordinate starts near 0.
    simplex = np.array(start) + np.array([[0.0, 0.0], [0.3, 0.0], [0.0, 0.3]])
    best = minimize(
        loss, start, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-8, "initial_simplex": simplex}
    )
    # Further digits are the rounding errors of this processor's sums and logarithms.
    median_s, spread = (float(f"{exp(x):.6g}") for x in best.x)
    return Fit(law, median_s, spread, 4 + 2 * float(best.fun))


def expected_law(orders: pd.DataFrame) -> Fit:
    """A lognormal law for orders to come, from the brackets of past ones and a weak prior.

    The prior counts as 8 orders with a median of 10 s and a standard deviation of 0.8 of the logarithm; so a few
    orders, or none, give a sensible law, and many give their own. Raises ValueError for a frame without brackets.
    """
    brackets = np.array([_column(orders, "not_done_by_s"), _column(orders, "done_by_s")])
    if (brackets[0] > brackets[1]).any():
        raise ValueError("orders must have not_done_by_s of at most done_by_s in every row")
    from scipy.stats import norm

    z = norm.ppf((np.arange(_PRIOR_ORDERS) + 0.5) / _PRIOR_ORDERS)
    prior = _PRIOR_MEDIAN_S * np.exp(_PRIOR_SPREAD * z / z.std())
    low, high = np.concatenate([brackets, [prior, prior]], axis=1)
    return fit_law("lognormal", low, high, np.ones(len(low)))


def _column(orders: pd.DataFrame, name: str) -> Floats:
    try:
        seconds = orders[name].to_numpy(dtype=float)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"orders must have a column {name!r} of seconds, got {', '.join(map(str, orders))}") from None
    if not (seconds >= 0).all():
        raise ValueError(f"orders must have {name} of 0 or more in every row, got {seconds.min()}")
    return seconds
