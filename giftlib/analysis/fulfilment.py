"""Estimate how long orders take until they are final.

A poll only bounds the time at which an order became final, so times are intervals here, never points.
"""

from functools import cached_property
from math import inf
from typing import Any, overload

import numpy as np
import pandas as pd

from giftlib.analysis.columns import Floats
from giftlib.analysis.distributions import FAMILIES, Fit, check_proportion, fit_distribution
from giftlib.analysis.intervals import BOUNDS, count_intervals, widen
from giftlib.analysis.npmle import Turnbull
from giftlib.api import FINAL

REPLICATES = 200
MOST_RESAMPLED = 1_000


@overload
def time_to_fulfilment(orders: Any, by: None = None, *, outcome: str | None = None) -> "FulfilmentCurve": ...
@overload
def time_to_fulfilment(orders: Any, by: str, *, outcome: str | None = None) -> "dict[Any, FulfilmentCurve]": ...
def time_to_fulfilment(
    orders: Any, by: str | None = None, *, outcome: str | None = None
) -> "FulfilmentCurve | dict[Any, FulfilmentCurve]":
    """Estimate the distribution of T, the seconds from an order's placement to its final status, whichever it is.

    `orders` is a pandas or a Dask frame with `not_done_by_s < T <= done_by_s`, as `Journal.orders` gives it. Equal
    bounds are an exact time; an infinite `done_by_s` is an order that was open at its last poll (right-censored).
    With `by`, a column's name or "day" (of `placed_at`, UTC), the result is a dict of curves, sorted by group; rows
    without a group are the group "unknown".

    With `outcome`, a final status, T is the time to that outcome, which orders with another outcome never have: the
    curve rises to the proportion of all orders with this outcome (the cumulative incidence among competing risks, by
    maximum likelihood of this outcome and all others jointly: Hudgens, Satten and Longini 2001, Biometrics 57: 74-80).
    An open order may still have any outcome. `by="status"` groups leave open orders out, and so look too fast.

    `request_s`, if there is such a column, is the part of the interval that the requests took. An interval ends when
    a poll's response came, the next one begins when the poll was sent. If all orders were polled after the same
    delays, such intervals overlap by the length of a request, and maximum likelihood moves all mass into the overlaps:
    there the curve jumps far above the truth. So the estimate takes intervals that are shorter by twice `request_s`,
    by half at most, and reports Turnbull intervals up to their full end. This is tested for requests of 0.15 s (see
    docs/figures.md); where they take a second and more, `fits` are nearer to the truth than the curve.

    More than 5,000 distinct intervals are first widened to multiples of the least power of two of milliseconds that
    leaves so few: 0.128 s for a million orders polled every 5 s from any time on.

    Raises ValueError if a column or every order is missing, a bound is missing, negative or out of order, `request_s`
    of a final order is missing or negative, or `outcome` is not a final status.

    >>> time_to_fulfilment(pd.DataFrame({"not_done_by_s": [0, 5, 5, 10], "done_by_s": [5, 10, 10, np.inf]}))
    FulfilmentCurve(4 orders, 3 final, median between 5.0 and 10.0 s)
    """
    if outcome is not None and outcome not in FINAL:
        raise ValueError(f"outcome must be one of {', '.join(sorted(FINAL))}, got {outcome!r}")
    curves = {group: FulfilmentCurve(intervals) for group, intervals in count_intervals(orders, by, outcome).items()}
    return curves["all"] if by is None else curves


class FulfilmentCurve:
    """Hold the nonparametric maximum-likelihood estimate of T's distribution; `time_to_fulfilment` makes it.

    The data place mass on certain intervals only (Turnbull 1976, JRSS-B 38: 290-295) and do not say where it lies
    inside such a Turnbull interval. `n` is the number of orders, `n_final` that of orders seen final; `intervals` is a
    frame of the distinct censoring intervals: not_done_by_s, done_by_s, request_s, orders.

    >>> curve = time_to_fulfilment(pd.DataFrame({"not_done_by_s": [0, 5, 5], "done_by_s": [5, 10, np.inf]}))
    >>> curve.n, curve.n_final
    (3, 2)
    """

    def __init__(self, intervals: pd.DataFrame) -> None:
        self._counted = intervals
        never = intervals["otherwise"]
        bounds = intervals[["not_done_by_s", "done_by_s"]].to_numpy()
        latest = bounds[np.isfinite(bounds)].max(initial=0.0)
        self.intervals = intervals[[*BOUNDS, "orders"]].assign(
            not_done_by_s=intervals["not_done_by_s"].mask(never, latest),
            done_by_s=intervals["done_by_s"].mask(never, inf),
            request_s=intervals["request_s"].mask(never, 0.0),
        )
        self.n = int(intervals["orders"].sum())
        self.n_final = int(intervals["orders"][np.isfinite(self.intervals["done_by_s"])].sum())
        self._estimate = _estimate(intervals, intervals["orders"].to_numpy(float))

    def __repr__(self) -> str:
        low, high = self.quantile(0.5)
        median = f"after {low:.1f} s" if high == inf else f"between {low:.1f} and {high:.1f} s"
        median = f"{low:.1f} s" if low == high else median
        return f"FulfilmentCurve({self.n} orders, {self.n_final} final, median {median})"

    def cdf(self, seconds: float | Floats) -> float | Floats:
        """Give the least proportion of orders final by `seconds`: the mass of a Turnbull interval counts at its right
        end, mass without a right end never. A float for a number, an array for an array. Raises ValueError for NaN.

        >>> time_to_fulfilment(pd.DataFrame({"not_done_by_s": [0, 5], "done_by_s": [5, 10]})).cdf(7)
        0.5
        """
        at = np.asarray(seconds, dtype=float)
        if np.isnan(at).any():
            raise ValueError("seconds must be numbers, got nan")
        proportion = self._estimate.cdf_low(at)
        return proportion if proportion.ndim else float(proportion)

    def quantile(self, p: float) -> tuple[float, float]:
        """Give the Turnbull interval (low, high], in seconds, in which the curve reaches `p`: equal ends are an exact
        time, `high` is inf if the curve does not reach `p`. Raises ValueError unless 0 < p < 1.

        >>> time_to_fulfilment(pd.DataFrame({"not_done_by_s": [0, 5], "done_by_s": [5, 10]})).quantile(0.75)
        (5.0, 10.0)
        """
        return self._estimate.quantile(check_proportion("p", p))

    def point(self, p: float) -> float:
        """Give one number inside `quantile(p)`, in seconds, as if the mass were spread evenly there; inf if its end is.
        The data do not say so much: use it to compare with other single numbers. Raises ValueError unless 0 < p < 1.

        >>> time_to_fulfilment(pd.DataFrame({"not_done_by_s": [0, 5], "done_by_s": [5, 10]})).point(0.75)
        7.5
        """
        low, high = self.quantile(p)
        return low if low == high else low + (high - low) * self._estimate.within(p)

    def band(self, level: float = 0.95) -> pd.DataFrame:
        """Give a pointwise confidence band: a frame of seconds, low and high.

        `seconds` are the finite ends of the Turnbull intervals and the last polls of open orders. The band comes from
        200 bootstrap samples of the orders with a fixed seed, so the same orders give the same band. Where a sample's
        curve is not identified, its lowest value counts for `low` and its highest for `high`. More than 1,000 distinct
        intervals are widened as for the estimate, which widens the band. Raises ValueError unless 0 < level < 1.

        >>> orders = pd.DataFrame({"not_done_by_s": [0, 5] * 20, "done_by_s": [5, 10] * 20})
        >>> time_to_fulfilment(orders).band().to_numpy()[1].tolist()
        [5.0, 0.325, 0.675]
        """
        tail = (1 - check_proportion("level", level)) / 2
        turnbull = self.frame()
        still_open = self.intervals["not_done_by_s"][np.isinf(self.intervals["done_by_s"])]
        seconds = np.unique([*turnbull["from_s"], *turnbull["to_s"], *still_open])
        seconds = seconds[np.isfinite(seconds)]
        low, high = ([getattr(r, cdf)(seconds) for r in self._replicates] for cdf in ("cdf_low", "cdf_high"))
        low = np.quantile(low, tail, axis=0, method="lower")
        high = np.quantile(high, 1 - tail, axis=0, method="higher")
        return pd.DataFrame({"seconds": seconds, "low": low, "high": high})

    def quantile_band(self, p: float, level: float = 0.95) -> tuple[float, float]:
        """Give confidence limits of the p-quantile, in seconds, from the samples of `band`; the upper one may be inf.

        >>> time_to_fulfilment(pd.DataFrame({"not_done_by_s": [0, 5], "done_by_s": [5, 10]})).quantile_band(0.5)
        (0.0, 10.0)
        """
        tail = (1 - check_proportion("level", level)) / 2
        lows, highs = zip(*(r.quantile(check_proportion("p", p)) for r in self._replicates), strict=True)
        return (float(np.quantile(lows, tail, method="lower")), float(np.quantile(highs, 1 - tail, method="higher")))

    def frame(self) -> pd.DataFrame:
        """Give the Turnbull intervals, one row per interval: from_s and to_s in seconds (equal for an exact time, inf
        for orders that were never seen final), mass, and the proportion final before and after: cdf_low, cdf_high.

        >>> time_to_fulfilment(pd.DataFrame({"not_done_by_s": [0, 5], "done_by_s": [5, 10]})).frame().to_numpy()[1]
        array([ 5. , 10. ,  0.5,  0.5,  1. ])
        """
        e = self._estimate
        starts = np.where(e.is_exact, e.ends, e.starts)
        frame = pd.DataFrame({"from_s": starts, "to_s": e.ends, "mass": e.mass})
        return frame.assign(cdf_low=e.cumulative[:-1], cdf_high=e.cumulative[1:])

    @cached_property
    def fits(self) -> dict[str, Fit]:
        """Give maximum-likelihood fits to all intervals, open ones included, by family: "lognormal", "log-logistic".
        Empty if the orders do not identify two parameters: fewer than three Turnbull intervals, or an exact time of 0.

        >>> orders = pd.DataFrame({"not_done_by_s": [0, 5, 5, 10], "done_by_s": [5, 10, 10, 15]})
        >>> round(time_to_fulfilment(orders).fits["lognormal"].median_s, 1)
        6.9
        """
        low, high, count = (self.intervals[name].to_numpy(float) for name in (*BOUNDS[:2], "orders"))
        if len(self._estimate.mass) < 3 or not high.all():
            return {}
        return {family: fit_distribution(family, low, high, count) for family in FAMILIES}

    @cached_property
    def _replicates(self) -> list[Turnbull]:
        intervals = widen(self._counted, MOST_RESAMPLED)[0]
        weights = intervals["orders"].to_numpy(float) / self.n
        samples = np.random.default_rng(0).multinomial(self.n, weights, size=REPLICATES)
        return [_estimate(intervals, sample.astype(float)) for sample in samples]


def _estimate(intervals: pd.DataFrame, count: Floats) -> Turnbull:
    drawn = count > 0
    low, high, request, otherwise = (intervals[name].to_numpy()[drawn] for name in (*BOUNDS, "otherwise"))
    return Turnbull(low, high, request, count[drawn], otherwise)
