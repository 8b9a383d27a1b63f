"""Answer what analysts ask: is one group slower than another, how many orders are enough, is this order late."""

from collections.abc import Sequence
from itertools import combinations
from math import ceil, erfc, inf, isfinite, nan, sqrt
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from giftlib.analysis.bands import Quantile, read_quantile
from giftlib.analysis.columns import MOST_CHECKED, orders_frame, require_seconds
from giftlib.analysis.fulfilment import FulfilmentCurve, time_to_fulfilment
from giftlib.analysis.turnbull import estimate_masses
from giftlib.api import check_seconds

_COLUMNS = ["a", "b", "median_a", "median_b", "difference", "difference_low", "difference_high", "ratio", "ratio_low"]
_COLUMNS += ["ratio_high", "p_value", "sentence"]
_BATCHES, _BATCH = 99, 101
"""So many times so many permutations, 9,999, are drawn."""
_FEWEST_NORMAL = 100
"""From so many orders in both groups on, the permutations are taken to be normally distributed."""
_SOON_S = 30.0
"""The guide: "most orders complete within 30 seconds"."""


def compare_groups(orders: Any, by: str, *, level: float = 0.95) -> pd.DataFrame:
    """Compare the times to fulfilment of each pair of groups: a frame with one row per pair.

    `orders` is a Journal or a frame as for `time_to_fulfilment`; `by` is one of its columns (`type_id`, `source`),
    "day" or "week". Columns: a, b, their medians in seconds (median_a, median_b), difference (b - a) and ratio (b / a)
    of the medians, each with low and high (difference_low, ...), p_value, and a sentence.

    The intervals are made of those of the two medians (Zou and Donner 2008, Statistics in Medicine 27: 1693-1702).
    `p_value` tests that the groups have one distribution, by permutation of interval scores (Fay 1996, Biometrics 52:
    811-822; of those that generalize Wilcoxon's test), and is adjusted for the number of pairs (Holm 1979, Scand. J.
    Statistics 6: 65-70). The permutations have a fixed seed. It takes both groups to have been polled alike.

    Raises ValueError for fewer than two groups, and what `time_to_fulfilment` raises.

    >>> slow = pd.DataFrame({"not_done_by_s": [10.0, 15, 20] * 9, "done_by_s": [15.0, 20, 25] * 9, "type_id": "slow"})
    >>> fast = pd.DataFrame({"not_done_by_s": [0.0, 5, 10] * 9, "done_by_s": [5.0, 10, 15] * 9, "type_id": "fast"})
    >>> compare_groups(pd.concat([fast, slow]), "type_id")["sentence"][0]
    'slow is 9.4 s slower than fast, 95 % 2.4 to 17.9 s'
    """
    if by is None:
        raise ValueError("by must be the name of a column, got None")
    curves = time_to_fulfilment(orders, by)
    if len(curves) < 2:
        raise ValueError(f"{by} must have two groups or more, got {', '.join(map(repr, curves))}")
    medians = {group: curve.quantile(0.5, level) for group, curve in curves.items()}
    pairs = list(combinations(curves, 2))
    p_values = adjusted([_p_value(curves[a], curves[b]) for a, b in pairs])
    rows = []
    for (a, b), p_value in zip(pairs, p_values, strict=True):
        first, other = medians[a], medians[b]
        difference, ratio = _difference(first, other), _ratio(first, other)
        sentence = _sentence(a, b, difference, p_value, level)
        rows.append((a, b, first.estimate, other.estimate, *difference, *ratio, p_value, sentence))
    return pd.DataFrame(rows, columns=_COLUMNS)


def compare_counts(a: Sequence[int] | pd.Series, b: Sequence[int] | pd.Series) -> float:
    """Give the p-value that two groups of counts, as of orders by outcome, have one distribution: by permutation.

    >>> compare_counts([50, 50], [80, 20]) < 0.001 < compare_counts([5, 5], [8, 2])
    True
    """
    both = np.array([a, b])
    expected = both[0].sum() * both.sum(axis=0) / max(both.sum(), 1)
    drawn = np.random.default_rng(0).multivariate_hypergeometric(
        both.sum(axis=0), both[0].sum(), _BATCHES * _BATCH, method="marginals"
    )
    chi2 = (np.square(np.vstack([both[:1], drawn]) - expected) / np.where(expected > 0, expected, 1)).sum(axis=1)
    return float(np.mean(chi2 >= chi2[0] - 1e-9))


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number by Holm's method.

    >>> adjusted([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    larger = np.empty(len(p_values))
    larger[order] = np.minimum(np.maximum.accumulate(np.array(p_values)[order] * factors), 1.0)
    return [float(each) for each in larger]


def orders_needed(precision_s: float, p: float = 0.5, *, like: Any, level: float = 0.95) -> int:
    """Give how many orders like these are needed to know their p-quantile to `precision_s` seconds, up and down.

    `like` is a Journal or a frame of orders. The width of their interval falls with the square root of their number, so
    it says how many give another width. Raises ValueError if they do not bound it.

    >>> orders = pd.DataFrame({"not_done_by_s": [0, 5, 10] * 20, "done_by_s": [5, 10, 15] * 20})
    >>> orders_needed(1.0, like=orders) > 100
    True
    """
    check_seconds("precision_s", precision_s)
    curve = time_to_fulfilment(orders_frame(like, "like", most_checked=MOST_CHECKED))
    _, low, high = curve.quantile(p, level)
    if high == inf:
        raise ValueError(f"like must have orders enough to bound the {p:g} quantile, got {curve!r}")
    return max(ceil(curve.n * ((high - low) / (2 * precision_s)) ** 2), 1)


class RemainingTime(NamedTuple):
    """Hold what is to be expected of an order that has been open for `age_s` seconds.

    `soon` is the chance, with its 95 % interval, that it is final within 30 s, `median_s` the seconds in which half of
    such orders become final, `worry_after_s` the age that 5 % of them exceed; inf where the orders do not say.
    """

    age_s: float
    soon: Quantile
    median_s: float
    worry_after_s: float


def remaining_time(orders: Any, age_s: float) -> RemainingTime:
    """Tell what to expect of an order that has been open for `age_s` seconds, from other `orders`.

    Raises ValueError for an age to which none of them was watched.

    >>> orders = pd.DataFrame({"not_done_by_s": [0, 5, 10] * 9, "done_by_s": [5, 10, 15] * 9})
    >>> remaining_time(orders, 4.0).soon.estimate > 0.9
    True
    """
    require_seconds("age_s", age_s)
    curve = time_to_fulfilment(orders)
    band, seconds = curve.band(), np.array([age_s, age_s + _SOON_S])
    still_open = 1 - float(curve.cdf(age_s))
    if still_open < 1e-6 or age_s > band["seconds"].max():
        raise ValueError(f"age_s must be an age at which orders were watched and open, got {age_s!r} of {curve!r}")
    now, then = np.asarray(curve.cdf(seconds))
    low_now, low_then = np.interp(seconds, band["seconds"], band["low"])
    high_now, high_then = np.interp(seconds, band["seconds"], band["high"], right=1.0)
    soon = Quantile(_chance(now, then), _chance(high_now, low_then), _chance(low_now, high_then))
    half, most = (read_quantile(band, 1 - still_open * part).estimate for part in (0.5, 0.05))
    return RemainingTime(age_s, soon, half - age_s, most)


def _chance(now: float, then: float) -> float:
    return max(float(then - now) / float(1 - now), 0.0) if now < 1 else 0.0


def _p_value(a: FulfilmentCurve, b: FulfilmentCurve) -> float:
    """Give the two-sided p-value that a difference between the mean scores of two groups is chance."""
    low, high, otherwise, orders = pd.concat([a.intervals, b.intervals]).to_numpy(float).T
    _, ends, mass = estimate_masses(low, high, otherwise > 0, orders)
    cdf = np.append(0.0, np.cumsum(mass))
    before = np.searchsorted(ends, np.where(low < high, low, np.nextafter(low, -inf)), "right")
    scores = cdf[before] + cdf[np.searchsorted(ends, high, "right")] - 1
    few, n = min(a.n, b.n), a.n + b.n
    mean = np.average(scores, weights=orders)
    excess = abs((scores - mean)[: len(a.intervals)] @ orders[: len(a.intervals)])
    if few >= _FEWEST_NORMAL:
        variance = a.n * b.n / (n - 1) * np.average((scores - mean) ** 2, weights=orders)
        return erfc(excess / sqrt(2 * variance)) if variance > 1e-12 else 1.0
    rng, colours = np.random.default_rng(0), orders.astype(int)
    drawn = (rng.multivariate_hypergeometric(colours, few, _BATCH, method="count") for _ in range(_BATCHES))
    # The masses are exact to so many digits; a permutation that is as extreme as the orders counts.
    extreme = sum(np.count_nonzero(abs(counts @ (scores - mean)) >= excess - 1e-5) for counts in drawn)
    return (extreme + 1) / (_BATCHES * _BATCH + 1)


def _difference(a: Quantile, b: Quantile) -> Quantile:
    estimate = b.estimate - a.estimate if isfinite(a.estimate) or isfinite(b.estimate) else nan
    if not isfinite(estimate):
        return Quantile(estimate, b.low - a.high, b.high - a.low)
    low = estimate - sqrt((b.estimate - b.low) ** 2 + (a.high - a.estimate) ** 2)
    return Quantile(estimate, low, estimate + sqrt((b.high - b.estimate) ** 2 + (a.estimate - a.low) ** 2))


def _ratio(a: Quantile, b: Quantile) -> Quantile:
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = _difference(*(Quantile(*np.log(median)) for median in (a, b)))
    return Quantile(*(float(each) for each in np.exp(difference)))


def _sentence(a: Any, b: Any, difference: Quantile, p_value: float, level: float) -> str:
    estimate, low, high = difference
    known = isfinite(estimate)
    limits = f"{estimate:+.1f} s, {level * 100:g} % {low:+.1f} to {high:+.1f} s" if known else "a median is not reached"
    if p_value > 1 - level:
        return f"no difference between {a} and {b} is shown: {limits}"
    if low <= 0 <= high:
        return f"{a} and {b} differ, but it is not shown that their medians do: {limits}"
    near, far = (low, high) if low > 0 else (-high, -low)
    by, word = f"{abs(estimate):.1f} s " if known else "", "slower" if low > 0 else "faster"
    limits = f"{near:.1f} to {far:.1f} s" if far < inf else f"more than {near:.1f} s"
    return f"{b} is {by}{word} than {a}, {level * 100:g} % {limits}"
