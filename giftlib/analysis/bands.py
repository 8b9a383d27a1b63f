"""Confidence bands of a smooth curve, and the quantiles that are read from them."""

from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple

import numpy as np

from giftlib.analysis.columns import Floats
from giftlib.analysis.interval_counts import Guesses, Intervals
from giftlib.analysis.smooth import SmoothCurve


class Quantile(NamedTuple):
    """Hold an estimate and the ends of its confidence interval; inf is "later than the orders were watched".

    >>> Quantile(estimate=10.0, low=9.1, high=11.2).high
    11.2
    """

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        said = "not reached" if self.estimate == inf else f"{self.estimate:.1f} s"
        limits = f"more than {self.low:.1f}" if self.high == inf else f"{self.low:.1f} to {self.high:.1f}"
        return f"{said} ({limits} s)"


def outcome_cdf(smooth: SmoothCurve, guesses: Guesses) -> Floats:
    """Give the proportion final with the outcome asked for, by each of the smooth curve's seconds.

    Of the orders that became final in a cell of its grid, a part has the outcome: the expected numbers tell which.
    """
    final = np.isfinite(guesses.high)
    with_outcome, all_ = (
        smooth.expected(smooth.count(guesses.taken(rows))) for rows in (final & ~guesses.otherwise, final)
    )
    seen = np.flatnonzero(all_ > 1e-9)
    if not len(seen):
        return np.zeros_like(smooth.cdf)
    # After the last order that was seen final, nothing is known of the outcome.
    part = np.interp(np.arange(len(all_)), seen, with_outcome[seen] / all_[seen], right=0.0)
    return np.append(0.0, np.cumsum(np.diff(smooth.cdf) * part))


def confidence_band(
    smooth: SmoothCurve, cdf: Floats, intervals: Intervals, level: float, *, certain: bool
) -> dict[str, Floats]:
    """Give a pointwise band of `cdf`, a part of the smooth curve: arrays seconds, estimate, low and high.

    It goes up to the latest time that is known of an order. Before the first poll that showed an order final, none may
    have been: its low end is 0. With `certain`, what is certain of the orders bounds it too: where hardly any order
    lies beyond, a standard error says little.
    """
    from scipy.special import stdtrit

    final = intervals.guesses.high[np.isfinite(intervals.guesses.high)]
    latest = max(intervals.guesses.low.max(), final.max(initial=0))
    inner = smooth.seconds[1:-1]
    seconds = np.append(inner[inner < latest], latest)
    estimate, whole = (np.interp(seconds, smooth.seconds, each) for each in (cdf, smooth.cdf))
    error = np.interp(seconds, inner, smooth.error)
    estimate, whole = estimate.clip(1e-12, 1 - 1e-12), whole.clip(1e-12, 1 - 1e-12)
    part = (estimate / whole).clip(0, 1)
    variance = (part * error * whole * (1 - whole)) ** 2 + whole * part * (1 - part) / intervals.orders
    logit = np.log(estimate / (1 - estimate))
    reach = stdtrit(max(intervals.orders - 2, 1), (1 + level) / 2) * np.sqrt(variance) / (estimate * (1 - estimate))
    if not len(final):
        reach = np.full_like(reach, inf)  # the estimate is the penalty's alone
    low, high = (1 / (1 + np.exp(-(logit + sign * reach).clip(-700, 700))) for sign in (-1, 1))
    if certain:
        fewest, most = intervals.proportions(seconds, level)
        low, high = np.maximum(low, fewest), np.minimum(high, most)
    low = np.where(seconds < intervals.highs.nth(1), 0.0, np.minimum(np.maximum.accumulate(low), estimate))
    high = np.maximum(np.minimum.accumulate(high[::-1])[::-1], estimate)
    return {"seconds": seconds, "estimate": estimate, "low": low, "high": high}


def read_quantile(band: Any, p: float, first_poll: float = 0.0, own: tuple[float, float] = (inf, 0.0)) -> Quantile:
    """Give the seconds at which the estimate, the upper and the lower end of a band, or of its frame, reach `p`.

    Nothing is known of what comes before the first poll: the curve is not trusted to be very steep there. Where times
    are nearer to each other than points of the curve, it may be off by more than its error: the interval reaches to
    `own`, the latest and the earliest that the orders' own quantile may be.
    """
    ends = (np.interp(p, band[name], band["seconds"], left=0.0, right=inf) for name in ("estimate", "high", "low"))
    estimate, low, high = map(float, ends)
    estimate = own[0] if estimate == inf else estimate
    if estimate < first_poll:
        estimate = max(estimate, first_poll * p / float(np.interp(first_poll, band["seconds"], band["estimate"])))
        low, high = (low, high) if high >= first_poll else (0.0, first_poll)
    return Quantile(estimate, min(low, own[0], float(band["seconds"].max())), max(high, own[1]))


def compare_with_band(cdf: Callable[[Any], Any], band: dict[str, Floats]) -> str:
    """Say whether a distribution fits: where it is outside the band by more than one order in a hundred."""
    proportion = cdf(band["seconds"])
    outside = band["seconds"][np.maximum(band["low"] - proportion, proportion - band["high"]) > 0.01]
    return "it fits" if not len(outside) else f"it does not fit from {outside.min():.0f} to {outside.max():.0f} s"
