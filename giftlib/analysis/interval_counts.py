"""Read and count the censoring intervals of orders: what the estimates need of millions of them."""

from dataclasses import dataclass
from functools import cached_property
from itertools import count
from math import inf
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from giftlib.analysis.columns import Floats, columns_of, each_part, group_keys, require_columns, seconds_of, statuses_of
from giftlib.api import FINAL

MOST_DISTINCT = 5_000
BOUNDS = ["not_done_by_s", "done_by_s"]
GUESSES = ["open_at_s", "final_at_s"]
_FEWEST_ALIKE = 20
"""From so many orders on, times that may all be the same are taken to be the same."""


class Guesses(NamedTuple):
    """Hold distinct intervals, sorted: arrays of their ends in seconds, and of the number of orders with each.

    Where `otherwise` holds, the order is final with another outcome than the one asked for.
    """

    low: Floats
    high: Floats
    otherwise: NDArray[np.bool_]
    orders: Floats

    def taken(self, rows: Any) -> "Guesses":
        """Give some of the rows."""
        return Guesses(self.low[rows], self.high[rows], self.otherwise[rows], self.orders[rows])

    def rounded(self, step: float) -> "Guesses":
        """Give the intervals with ends that are multiples of `step` seconds; none gets shorter than one step."""
        start, stop = (np.floor(ends / step + 0.5) * step for ends in (self.low, self.high))
        stop = np.where(self.low == self.high, start, np.maximum(stop, start + step))
        return self._replace(low=start.round(9), high=stop.round(9))


class Sorted(NamedTuple):
    """Hold distinct times in milliseconds, sorted, and the number of orders with each."""

    ms: Floats
    orders: Floats

    def nth(self, k: int) -> float:
        """Give the k-th smallest of all, in seconds."""
        return float(self.ms[np.searchsorted(self.orders.cumsum(), k)]) / 1000

    def up_to(self, ms: Floats) -> Floats:
        """Give how many of all are at most as large as each of `ms`."""
        before: Floats = np.append(0, self.orders.cumsum())[np.searchsorted(self.ms, ms, "right")]
        return before


@dataclass(frozen=True)
class Intervals:
    """Hold the distinct intervals of some orders.

    `guesses` are the best guesses of when the server answered, `lows` and `highs` the guaranteed bounds, `error_s` the
    mean of what a guess may be off, `orders` their number, `reach` the greatest low and the least high that the guesses
    may stand for.
    """

    guesses: Guesses
    lows: Sorted
    highs: Sorted
    error_s: float
    orders: int
    reach: tuple[float, float]

    @cached_property
    def common_time(self) -> tuple[float, float] | None:
        """Give the interval in which all orders may have become final at the same time, in seconds, if there is one."""
        low, high = float(self.lows.ms[-1]) / 1000, float(self.highs.ms[0]) / 1000
        exact = (self.guesses.low == self.guesses.high).all()
        if self.reach[0] > self.reach[1] + 0.001:  # bounds without lists exclude little; the guesses know better
            return None
        return (low, high) if low < high < inf or (exact and low == high) else None

    def one_time(self, p: float, level: float) -> tuple[float, float, float]:
        """Give the p-quantile of orders that share a `common_time`, and its limits.

        From few orders they are distribution-free limits: the times of orders counted from each end.
        """
        from scipy.stats import binom

        assert self.common_time is not None
        first, last = (int(binom.ppf(tail, self.orders, p)) for tail in ((1 - level) / 2, (1 + level) / 2))
        low, high = (self.lows.nth(max(first, 1)), self.highs.nth(min(last + 1, self.orders)))
        if self.orders >= _FEWEST_ALIKE:
            low, high = self.common_time
        return sum(self.common_time) / 2, low if first else 0.0, high if last < self.orders else inf

    def proportions(self, seconds: Floats, level: float) -> tuple[Floats, Floats]:
        """Give limits of the proportion final by each time, from how many certainly were, and certainly were not.

        They are exact binomial ones (Clopper and Pearson 1934, Biometrika 26: 404-413).
        """
        from scipy.special import betaincinv

        tail, n, ms = (1 - level) / 2, self.orders, seconds * 1000
        final, possible = self.highs.up_to(ms), self.lows.up_to(np.nextafter(ms, -inf))
        low = np.where(final > 0, betaincinv(np.maximum(final, 1), n - final + 1, tail), 0.0)
        high = np.where(possible < n, betaincinv(possible + 1, np.maximum(n - possible, 1), 1 - tail), 1.0)
        return low, high


def count_intervals(orders: Any, by: str | None, outcome: str | None) -> dict[object, Intervals]:
    """Give the distinct intervals of each group of a frame's orders; without `by` the one group is "all"."""
    needed = [*BOUNDS, *(["status"] if outcome else []), *([] if by is None else columns_of(by, orders))]
    require_columns("orders", orders, needed)
    optional = [name for name in (*GUESSES, "guess_error_s", "request_s") if name in orders.columns]
    parts = each_part(orders, list(dict.fromkeys(needed + optional)), lambda part: _count_part(part, by, outcome))
    groups: set[Any] = {group for part in parts for group in part}
    if not groups:
        raise ValueError("orders must have at least one row, got an empty frame")
    # Numbers have no order with the text "unknown".
    in_order = sorted(groups, key=lambda group: (isinstance(group, str), group))
    return {group: _put_together([part[group] for part in parts if group in part]) for group in in_order}


def read_intervals(orders: pd.DataFrame) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats], Floats]:
    """Give of each order the bounds (low, high) in seconds, the best guesses likewise, and what a guess may be off.

    Without columns for them, guesses are the bounds, moved by half of the time that the requests took if it is known.
    Raises ValueError if a column or a value is missing, or out of order.
    """
    require_columns("orders", orders, BOUNDS)
    low, high = bounds = _interval(orders, BOUNDS)
    error = np.zeros(len(low))
    if "guess_error_s" in orders:
        error = np.nan_to_num(_seconds(orders, "guess_error_s"))
    elif "request_s" in orders:
        final = np.isfinite(high)
        error[final] = _seconds(orders[final], "request_s") / 2
    if set(GUESSES) <= set(orders.columns):
        return bounds, _interval(orders, GUESSES), error
    shift = np.minimum(error, np.where(np.isfinite(high), high - low, 0) / 4)
    return bounds, (low + np.where(low > 0, shift, 0), high - shift), error


def widen(guesses: Guesses, most: int = MOST_DISTINCT, power: int = -1) -> tuple[Guesses, int]:
    """Give the distinct intervals with the sums of their `orders`, `most` of them or fewer, and the power used.

    Where there are more, their ends are rounded to multiples of the least power of two of milliseconds, from `power`
    on, that leaves so few; -1 stands for no rounding.
    """
    for tried in count(power):
        # A sample has no more distinct intervals than the whole, and is faster to count.
        if len(guesses.low) > 10 * most and len(_distinct(guesses.taken(slice(10 * most)), tried).low) > most:
            continue
        if len((distinct := _distinct(guesses, tried)).low) <= most:
            return distinct, tried
    raise AssertionError


def _distinct(guesses: Guesses, power: int) -> Guesses:
    low, high, otherwise, orders = guesses.rounded(2.0**power / 1000) if power >= 0 else guesses
    (low_codes, lows), (high_codes, highs) = pd.factorize(low), pd.factorize(high)
    codes, pairs = pd.factorize((low_codes * len(highs) + high_codes) * 2 + otherwise)
    pair, of_others = np.divmod(pairs, 2)
    low, high, otherwise = lows[pair // len(highs)], highs[pair % len(highs)], of_others.astype(bool)
    counted = Guesses(low, high, otherwise, np.bincount(codes, orders, len(pairs)).astype(float))
    return counted.taken(np.lexsort((otherwise, high, low)))


_Part = tuple[Guesses, int, Sorted, Sorted, float, float, float]


def _count_part(orders: pd.DataFrame, by: str | None, outcome: str | None) -> dict[object, _Part]:
    bounds, (low, high), error = read_intervals(orders)
    otherwise = np.zeros(len(low), bool)
    if outcome is not None:
        final, statuses = np.isfinite(high), statuses_of(orders["status"])
        if len(wrong := orders["status"][final & ~statuses.isin(FINAL)]):
            raise ValueError(f"status must be a final one where done_by_s is finite, got {wrong.iloc[0]!r}")
        otherwise = final & (statuses != outcome).to_numpy()
    if by is None:
        rows: dict[object, Any] = {"all": slice(None)} if len(low) else {}
    else:
        keys = group_keys(orders, by).to_numpy()
        rows = dict(pd.Series(keys).groupby(keys).indices)
    all_ = Guesses(low, high, otherwise, np.ones(len(low)))
    counted: dict[object, _Part] = {}
    for group, row in rows.items():
        guesses, power = widen(all_.taken(row))
        # To whole milliseconds; the rounding before keeps 1.001 s from being 1000.9999999999999 ms.
        lows, highs = ((end[row] * 1000).round(6) for end in bounds)
        ones = np.ones(len(lows))
        sums = _count(np.floor(lows), ones), _count(np.ceil(highs), ones)
        reach = float((low - error)[row].max()), float((high + error)[row].min())
        counted[group] = (guesses, power, *sums, float(error[row].sum()), *reach)
    return counted


def _put_together(parts: list[_Part]) -> Intervals:
    guesses, powers, lows, highs, errors, greatest, least = zip(*parts, strict=True)
    distinct = guesses[0], lows[0], highs[0]
    if len(parts) > 1:
        joined = [[np.concatenate(ends) for ends in zip(*each, strict=True)] for each in (guesses, lows, highs)]
        distinct = widen(Guesses(*joined[0]), power=max(powers))[0], _count(*joined[1]), _count(*joined[2])
    orders = int(distinct[0].orders.sum())
    return Intervals(*distinct, sum(errors) / orders, orders, (max(greatest), min(least)))


def _count(ms: Floats, orders: Floats) -> Sorted:
    """Add up the orders of equal times."""
    codes, distinct = pd.factorize(ms)
    place = np.argsort(distinct)
    return Sorted(distinct[place], np.bincount(codes, orders, len(distinct)).astype(float)[place])


def _interval(orders: pd.DataFrame, names: list[str]) -> tuple[Floats, Floats]:
    low, high = (_seconds(orders, name) for name in names)
    if np.isinf(low).any():
        raise ValueError(f"{names[0]} must be finite, got inf")
    if (crossed := low > high).any():
        raise ValueError(f"{names[0]} must not exceed {names[1]}, got {low[crossed][0]} > {high[crossed][0]}")
    return low, high


def _seconds(orders: pd.DataFrame, column: str) -> Floats:
    seconds = seconds_of(orders[column])
    if (bad := ~(seconds >= 0)).any():
        raise ValueError(f"{column} must be 0 seconds or more, got {seconds[bad][0]}")
    # 15.3 - 5.1 is 10.200000000000001: intervals that only touch must not overlap by so little.
    return seconds.round(9)
