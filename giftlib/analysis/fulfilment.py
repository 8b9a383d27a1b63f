"""Estimate how long orders take until they are final.

A poll only bounds the time at which an order became final, so times are intervals here, never points.
"""

from dataclasses import replace
from functools import cached_property
from math import ceil, inf
from typing import Any, overload

import numpy as np
import pandas as pd

from giftlib.analysis.bands import Quantile, compare_with_band, confidence_band, outcome_cdf, read_quantile
from giftlib.analysis.columns import MOST_CHECKED, Floats, in_capitals, orders_frame
from giftlib.analysis.distributions import FAMILIES, Fit, check_proportion, fit_distribution, is_identified
from giftlib.analysis.interval_counts import Intervals, count_intervals
from giftlib.analysis.smooth import SmoothCurve
from giftlib.analysis.turnbull import estimate_masses
from giftlib.api import FINAL, as_html, did_you_mean


@overload
def time_to_fulfilment(orders: Any, by: None = None, *, outcome: str | None = None) -> "FulfilmentCurve": ...
@overload
def time_to_fulfilment(orders: Any, by: str, *, outcome: str | None = None) -> "dict[Any, FulfilmentCurve]": ...
def time_to_fulfilment(
    orders: Any, by: str | None = None, *, outcome: str | None = None
) -> "FulfilmentCurve | dict[Any, FulfilmentCurve]":
    """Estimate the distribution of T, the seconds from an order's placement to its final status, whichever it is.

    `orders` is a Journal or a pandas or Dask frame with `not_done_by_s < T <= done_by_s`, as `Journal.orders` gives it.
    Equal bounds are an exact time; an infinite `done_by_s` is an order that was open at its last poll (right-censored).
    With `by`, a column's name, "day" or "week" (of `placed_at`, UTC), the result is a dict of curves, sorted by group;
    rows without a group are the group "unknown".

    These bounds are guaranteed, but as wide as the requests took longer. Estimates use the best guess of the times at
    which the server answered, the columns `open_at_s` and `final_at_s`. A frame without them may have `request_s`,
    the part of the interval that its requests took; else the bounds are used.

    With `outcome`, a final status in any letters, T is the time to that outcome, which orders with another outcome
    never have: the curve rises to the proportion of all orders with this outcome, and the outcomes' curves add up to
    the curve of all, up to the last order that was seen final. An open order may still have any outcome.
    `by="status"` groups leave open orders out, and so look too fast.

    More than 5,000 distinct intervals are first rounded to multiples of the least power of two of milliseconds that
    leaves so few: 0.128 s for a million orders polled every 5 s from any time on.

    Raises ValueError if a column or every order is missing, an order is there twice (of up to 100,000), a bound is
    missing, negative or out of order, a column `day` or `week` holds others than those of `placed_at`, or `outcome`, or
    with it the status of an order with a finite `done_by_s`, is not a final status.

    >>> time_to_fulfilment(pd.DataFrame({"not_done_by_s": [0, 5, 5, 10], "done_by_s": [5, 10, 10, np.inf]}))
    FulfilmentCurve(4 orders, 3 final, median 7.1 s (more than 0.0 s))
    """
    asked = in_capitals(outcome) if isinstance(outcome, str) else outcome
    if asked is not None and asked not in FINAL:
        hint = did_you_mean(outcome, map(str, FINAL))
        raise ValueError(f"outcome must be one of {', '.join(sorted(FINAL))}, got {outcome!r}{hint}")
    counted = count_intervals(orders_frame(orders, most_checked=MOST_CHECKED), by, asked)
    curves = {group: FulfilmentCurve(intervals, asked) for group, intervals in counted.items()}
    return curves["all"] if by is None else curves


class FulfilmentCurve:
    """Hold the estimate of T's distribution; `time_to_fulfilment` makes it.

    `n` counts orders, `n_final` those seen final, at times `seen_final`, `n_outcome` those with the outcome asked for.

    >>> curve = time_to_fulfilment(pd.DataFrame({"not_done_by_s": [0, 5, 5], "done_by_s": [5, 10, np.inf]}))
    >>> curve.n, curve.n_final
    (3, 2)
    """

    def __init__(self, intervals: Intervals, outcome: str | None) -> None:
        self.outcome, self._counted = outcome, intervals
        guesses, final = intervals.guesses, np.isfinite(intervals.guesses.high)
        self.n, self.seen_final = intervals.orders, intervals.highs
        self.n_final = int(guesses.orders[final].sum())
        self.n_outcome = int(guesses.orders[final & ~guesses.otherwise].sum())

    def __repr__(self) -> str:
        [fact] = _facts(self, [0.5])
        return f"FulfilmentCurve({self.n} orders, {self.n_final} final, {(': ' if self.outcome else ' ').join(fact)})"

    def _repr_html_(self) -> str:
        return as_html(f"FulfilmentCurve: {self.n} orders, {self.n_final} final", dict(_facts(self, [0.5, 0.9, 0.95])))

    @property
    def intervals(self) -> pd.DataFrame:
        """Give the distinct intervals that the estimate uses: a frame of low, high, otherwise and orders."""
        return pd.DataFrame(self._counted.guesses._asdict())

    def cdf(self, seconds: float | Floats) -> float | Floats:
        """Give the estimated proportion of orders final by `seconds`: a float for a number, an array for an array.

        >>> curve = time_to_fulfilment(pd.DataFrame({"not_done_by_s": [0, 5] * 9, "done_by_s": [5, 10] * 9}))
        >>> round(curve.cdf(5), 1)
        0.5
        """
        at = np.asarray(seconds, dtype=float)
        if np.isnan(at).any():
            raise ValueError("seconds must be numbers, got nan")
        proportion = np.interp(at, self._smooth.seconds, self._cdf)
        return proportion if proportion.ndim else float(proportion)

    def quantile(self, p: float, level: float = 0.95) -> Quantile:
        """Give the time by which a proportion `p` of the orders is final, with its confidence interval, in seconds.

        An end is infinite, or 0, where so few orders say no more, the estimate where the curve does not reach `p`
        within the time watched. Raises ValueError unless 0 < p < 1 and 0 < level < 1.

        >>> curve = time_to_fulfilment(pd.DataFrame({"not_done_by_s": [0, 5] * 9, "done_by_s": [5, 10] * 9}))
        >>> print(curve.quantile(0.5))
        5.0 s (0.0 to 9.8 s)
        """
        check_proportion("p", p)
        check_proportion("level", level)
        if self.outcome is None and self._counted.common_time:
            return Quantile(*self._counted.one_time(p, level))
        own = (inf, 0.0) if self.outcome else self.sample_bounds(p)[::-1]
        return read_quantile(self._band(level), p, self._counted.highs.nth(1), own)

    def sample_bounds(self, p: float) -> tuple[float, float]:
        """Give the bounds within which these orders' own p-quantile lies for certain: low < T <= high, in seconds.

        That is the k-th smallest time, k = p times the number of orders, rounded up.

        >>> curve = time_to_fulfilment(pd.DataFrame({"not_done_by_s": [0, 5] * 9, "done_by_s": [5, 10] * 9}))
        >>> curve.sample_bounds(0.75)
        (5.0, 10.0)
        """
        k = ceil(round(check_proportion("p", p) * self.n, 9))
        return self._counted.lows.nth(k), self._counted.highs.nth(k)

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Give median, 90th and 95th percentile: a frame of estimate, low and high in seconds, one row each.

        >>> curve = time_to_fulfilment(pd.DataFrame({"not_done_by_s": [0, 5] * 9, "done_by_s": [5, 10] * 9}))
        >>> list(curve.summary().index)
        ['median', '90 %', '95 %']
        """
        rows = {"median": 0.5, "90 %": 0.9, "95 %": 0.95}
        return pd.DataFrame([self.quantile(p, level) for p in rows.values()], index=list(rows))

    def band(self, level: float = 0.95) -> pd.DataFrame:
        """Give the curve with a pointwise confidence band: a frame of seconds, estimate, low and high.

        >>> curve = time_to_fulfilment(pd.DataFrame({"not_done_by_s": [0, 5] * 9, "done_by_s": [5, 10] * 9}))
        >>> list(curve.band())
        ['seconds', 'estimate', 'low', 'high']
        """
        return pd.DataFrame(self._band(check_proportion("level", level)))

    def proportion(self, level: float = 0.95) -> Quantile:
        """Give the proportion of all orders that are final, with the `outcome` if one was asked for, and its interval.

        The interval goes from the lower limit of the fewest that may end so to the upper one of the most (Clopper and
        Pearson 1934, Biometrika 26: 404-413). Raises ValueError unless 0 < level < 1.

        >>> orders = pd.DataFrame({"not_done_by_s": [0, 5], "done_by_s": [5, 10], "status": ["REFUNDED", "FULFILLED"]})
        >>> time_to_fulfilment(orders, outcome="REFUNDED").proportion().estimate
        0.5
        """
        from scipy.stats import binomtest

        check_proportion("level", level)
        fewest, most = self.n_outcome, self.n_outcome + self.n - self.n_final
        low, high = (binomtest(k, self.n).proportion_ci(level) for k in (fewest, most))
        estimate = fewest / self.n_final if self.n_final == self.n else float(self._cdf[-2])
        return Quantile(min(max(estimate, fewest / self.n), most / self.n), float(low.low), float(high.high))

    def frame(self) -> pd.DataFrame:
        """Give the estimate without smoothing (Turnbull): intervals from_s to to_s in seconds (equal for an exact time,
        inf for orders never seen final), their mass, and the proportion before and after them: cdf_low, cdf_high.

        Ends are rounded to 0.5 s, or to three times what guesses may be off where that is less.

        >>> time_to_fulfilment(pd.DataFrame({"not_done_by_s": [0, 5], "done_by_s": [5, 10]})).frame().to_numpy()[1]
        array([ 5. , 10. ,  0.5,  0.5,  1. ])
        """
        step = round(min(3 * self._counted.error_s, 0.5), 3)
        guesses = self._counted.guesses
        masses = estimate_masses(*(guesses.rounded(step) if step else guesses))
        after = np.minimum(np.cumsum(masses.mass), 1.0)
        return pd.DataFrame(masses._asdict() | {"cdf_low": np.append(0.0, after[:-1]), "cdf_high": after})

    @cached_property
    def fits(self) -> dict[str, Fit]:
        """Give maximum-likelihood fits to all intervals, open ones included, by family: "lognormal", "log-logistic".

        Those that the orders do not identify are left out; with an `outcome` there is none.

        >>> orders = pd.DataFrame({"not_done_by_s": [0, 5, 5, 10], "done_by_s": [5, 10, 10, 15]})
        >>> round(time_to_fulfilment(orders).fits["lognormal"].median_s, 1)
        6.9
        """
        low, high, _, orders = self._counted.guesses
        if self.outcome is not None or self._counted.common_time or not self.n_final or not high.all():
            return {}
        band, fits = self._band(0.99), [fit_distribution(family, low, high, orders) for family in FAMILIES]
        judged = {fit.family: compare_with_band(fit.cdf, band) for fit in fits if is_identified(fit)}
        return {fit.family: replace(fit, verdict=judged[fit.family]) for fit in fits if fit.family in judged}

    def _band(self, level: float) -> dict[str, Floats]:
        return confidence_band(self._smooth, self._cdf, self._counted, level, certain=self.outcome is None)

    @cached_property
    def _smooth(self) -> SmoothCurve:
        return SmoothCurve(self._counted.guesses)

    @cached_property
    def _cdf(self) -> Floats:
        return self._smooth.cdf if self.outcome is None else outcome_cdf(self._smooth, self._counted.guesses)


def _facts(curve: FulfilmentCurve, proportions: list[float]) -> list[tuple[str, str]]:
    """Give in words the proportion with the outcome asked for, or else these quantiles."""
    if curve.outcome is not None:
        return [(f"{curve.n_outcome} {curve.outcome}", "{:.0%}, 95 % {:.0%} to {:.0%}".format(*curve.proportion()))]
    return [("median" if p == 0.5 else f"{100 * p:g}th percentile", str(curve.quantile(p))) for p in proportions]
