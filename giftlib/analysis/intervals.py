"""Read and count the censoring intervals of orders: what the estimates need of millions of them."""

from dataclasses import dataclass
from functools import cached_property
from itertools import count
from math import inf
from typing import Any

import numpy as np
import pandas as pd

from giftlib.analysis.columns import Floats, column_of, group_keys, of_parts, orders_frame, require_columns

MOST_DISTINCT = 5_000
BOUNDS = ["not_done_by_s", "done_by_s"]
GUESSES = ["open_at_s", "final_at_s"]
_KEYS = ["low", "high", "otherwise"]


@dataclass(frozen=True)
class Intervals:
    """Hold the distinct intervals of some orders.

    `guesses` has the best guesses of the server's moments: a frame of low, high, otherwise (final with another outcome
    than the one asked for) and orders. `lows` and `highs` are the guaranteed bounds, each sorted, in milliseconds and
    with the number of `orders`. `error_s` is the mean of what a guess may be off.
    """

    guesses: pd.DataFrame
    lows: pd.Series
    highs: pd.Series
    error_s: float

    @cached_property
    def orders(self) -> int:
        """Give the number of orders."""
        return int(self.guesses["orders"].sum())

    @cached_property
    def moment(self) -> tuple[float, float] | None:
        """Give the interval in which all orders may have become final at the same time, in seconds, if there is one."""
        low, high = float(self.lows.index[-1]) / 1000, float(self.highs.index[0]) / 1000
        exact = (self.guesses["low"] == self.guesses["high"]).all()
        return (low, high) if low < high < inf or (exact and low == high) else None

    def bounds(self, k: int) -> tuple[float, float]:
        """Give the guaranteed bounds of the k-th smallest time, in seconds."""
        low, high = (each.index[int(np.searchsorted(each.cumsum(), k))] for each in (self.lows, self.highs))
        return float(low) / 1000, float(high) / 1000

    def limits(self, p: float, level: float) -> tuple[float, float]:
        """Give distribution-free confidence limits of the p-quantile: times of orders counted from each end."""
        from scipy.stats import binom

        first, last = (int(binom.ppf(tail, self.orders, p)) for tail in ((1 - level) / 2, (1 + level) / 2))
        return self.bounds(first)[0] if first else 0.0, self.bounds(last + 1)[1] if last < self.orders else inf

    def proportions(self, seconds: Floats, level: float) -> tuple[Floats, Floats]:
        """Give limits of the proportion final by each time, from how many certainly were, and certainly were not.

        They are exact binomial ones (Clopper and Pearson 1934, Biometrika 26: 404-413).
        """
        from scipy.special import betaincinv

        tail, n, ms = (1 - level) / 2, self.orders, seconds * 1000
        final, possible = (
            np.append(0, each.cumsum())[np.searchsorted(each.index.to_numpy(float), bound, "right")]
            for each, bound in ((self.highs, ms), (self.lows, np.nextafter(ms, -inf)))
        )
        low = np.where(final > 0, betaincinv(np.maximum(final, 1), n - final + 1, tail), 0.0)
        high = np.where(possible < n, betaincinv(possible + 1, np.maximum(n - possible, 1), 1 - tail), 1.0)
        return low, high


def count_intervals(orders: Any, by: str | None, outcome: str | None) -> dict[object, Intervals]:
    """Give the distinct intervals of each group of orders; without `by` the one group is "all"."""
    orders = orders_frame(orders)
    needed = [*BOUNDS, *(["status"] if outcome else []), *([column_of(by)] if by else [])]
    require_columns("orders", orders, needed)
    optional = [name for name in (*GUESSES, "guess_error_s", "request_s") if name in orders.columns]
    counted = of_parts(orders, list(dict.fromkeys(needed + optional)), lambda part: _count_part(part, by, outcome))
    if counted.empty:
        raise ValueError("orders must have at least one row, got an empty frame")
    return {group: _put_together(rows) for group, rows in counted.groupby("group")}


def read_bounds(orders: pd.DataFrame) -> tuple[Floats, Floats]:
    """Give the bounds (low, high) of each order in seconds. Raises ValueError if one is missing or out of order."""
    require_columns("orders", orders, BOUNDS)
    return _interval(orders, BOUNDS)


def read_guesses(orders: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Give the best guesses (low, high) of the server's moments for each order, and by how much each may be off.

    Without columns for them, they are the bounds, moved by half of the time that the requests took if it is known.
    """
    low, high = read_bounds(orders)
    error = np.zeros(len(low))
    if "guess_error_s" in orders:
        error = np.nan_to_num(_seconds(orders, "guess_error_s"))
    elif "request_s" in orders:
        final = np.isfinite(high)
        error[final] = _seconds(orders[final], "request_s") / 2
    if set(GUESSES) <= set(orders.columns):
        return *_interval(orders, GUESSES), error
    shift = np.minimum(error, np.where(np.isfinite(high), high - low, 0) / 4)
    return low + np.where(low > 0, shift, 0), high - shift, error


def widen(guesses: pd.DataFrame, most: int = MOST_DISTINCT, power: int = -1) -> tuple[pd.DataFrame, int]:
    """Give the distinct intervals with the sums of their `orders`, `most` of them or fewer, and the power used.

    Where there are more, their ends are rounded to multiples of the least power of two of milliseconds, from `power`
    on, that leaves so few; -1 stands for no rounding. None gets shorter than one multiple.
    """
    for tried in count(power):
        # A sample has no more distinct intervals than the whole, and is faster to count.
        if len(_distinct(guesses[: 10 * most], tried)) <= most and len(all_ := _distinct(guesses, tried)) <= most:
            return all_, tried
    raise AssertionError


def round_guesses(guesses: pd.DataFrame, step: float) -> pd.DataFrame:
    """Give the intervals with ends that are multiples of `step` seconds; none gets shorter than one step."""
    low, high = (guesses[name].to_numpy(float) for name in ("low", "high"))
    start, stop = (np.floor(ends / step + 0.5) * step for ends in (low, high))
    stop = np.where(low == high, start, np.maximum(stop, start + step))
    return guesses.assign(low=start.round(9), high=stop.round(9))


def _distinct(guesses: pd.DataFrame, power: int) -> pd.DataFrame:
    if power >= 0:
        guesses = round_guesses(guesses, 2.0**power / 1000)
    return guesses.groupby(_KEYS)["orders"].sum().reset_index()


def _count_part(orders: pd.DataFrame, by: str | None, outcome: str | None) -> pd.DataFrame:
    """Give one row for each distinct guess (`of` is "guess"), each low and each high bound of each group."""
    bounds = pd.DataFrame(dict(zip(("low", "high"), read_bounds(orders), strict=True)))
    low, high, error = read_guesses(orders)
    otherwise = np.zeros(len(low), bool)
    if outcome is not None:
        otherwise = np.isfinite(high) & ~orders["status"].eq(outcome).fillna(False).to_numpy(bool)
    guesses = pd.DataFrame({"low": low, "high": high, "otherwise": otherwise, "orders": 1, "error": error})
    keys = np.full(len(low), "all", object) if by is None else group_keys(orders, by).to_numpy()
    counted = []
    for group, rows in guesses.groupby(pd.Series(keys, guesses.index)):
        distinct, power = widen(rows)
        counted.append(distinct.assign(of="guess", power=power, group=group))
        for name, rounded in (("low", np.floor), ("high", np.ceil)):
            # To whole milliseconds; the rounding before keeps 1.001 s from being 1000.9999999999999 ms.
            values = rounded((bounds.loc[rows.index, name] * 1000).round(6)).value_counts()
            marginal = pd.DataFrame({"low": values.index, "high": values.index, "orders": values.to_numpy()})
            counted.append(marginal.assign(of=name, otherwise=False, error=0.0, group=group))
        counted[-1].loc[0, "error"] = rows["error"].sum()
    return pd.concat(counted, ignore_index=True) if counted else pd.DataFrame({"group": []})


def _put_together(rows: pd.DataFrame) -> Intervals:
    guesses, _ = widen(rows[rows["of"] == "guess"], power=int(rows["power"].max()))
    lows, highs = (rows[rows["of"] == name].groupby("low")["orders"].sum() for name in ("low", "high"))
    return Intervals(guesses, lows, highs, float(rows["error"].sum() / guesses["orders"].sum()))


def _interval(orders: pd.DataFrame, names: list[str]) -> tuple[Floats, Floats]:
    low, high = (_seconds(orders, name) for name in names)
    if np.isinf(low).any():
        raise ValueError(f"{names[0]} must be finite, got inf")
    if (crossed := low > high).any():
        raise ValueError(f"{names[0]} must not exceed {names[1]}, got {low[crossed][0]} > {high[crossed][0]}")
    return low, high


def _seconds(orders: pd.DataFrame, column: str) -> Floats:
    values = orders[column]
    if values.dtype.kind == "m":
        values = values.dt.total_seconds()
    try:
        if values.dtype.kind in "Mb":
            raise TypeError
        seconds = values.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        message = f"{column} must hold seconds as numbers or timedeltas, got {values.dtype} values"
        raise ValueError(message) from None
    if (bad := ~(seconds >= 0)).any():
        raise ValueError(f"{column} must be 0 seconds or more, got {seconds[bad][0]}")
    # 15.3 - 5.1 is 10.200000000000001: intervals that only touch must not overlap by so little.
    rounded: Floats = seconds.round(9)
    return rounded
