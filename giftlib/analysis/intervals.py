"""Check and count censoring intervals low < T <= high, in seconds: what the estimate needs of millions of orders."""

from collections.abc import Iterable
from itertools import count
from typing import Any

import numpy as np
import pandas as pd

from giftlib.analysis.columns import Floats, column_of, group_keys, of_parts, require_columns

MOST_DISTINCT = 5_000
BOUNDS = ["not_done_by_s", "done_by_s", "request_s"]
_DISTINCT = [*BOUNDS, "otherwise"]


def count_intervals(orders: Any, by: str | None, outcome: str | None) -> dict[object, pd.DataFrame]:
    """Give the distinct intervals of each group with their number of `orders`; without `by` the one group is "all".

    With `outcome`, the column `otherwise` marks orders with another outcome. See `time_to_fulfilment` for the rest.
    """
    needed = [*BOUNDS[:2], *(["status"] if outcome else []), *([column_of(by)] if by else [])]
    require_columns("orders", orders, needed)
    columns = list(dict.fromkeys(needed + [name for name in BOUNDS[2:] if name in orders.columns]))
    counted = of_parts(orders, columns, lambda part: _count_part(part, by, outcome))
    if counted.empty:
        raise ValueError("orders must have at least one row, got an empty frame")
    return {group: widen(rows, power=rows["power"].max())[0] for group, rows in counted.groupby("group")}


def read_bounds(orders: pd.DataFrame) -> tuple[Floats, Floats]:
    """Give the bounds (low, high) of each order in seconds. Raises ValueError if one is missing or out of order."""
    require_columns("orders", orders, BOUNDS[:2])
    low, high = (_seconds(orders, column) for column in BOUNDS[:2])
    if np.isinf(low).any():
        raise ValueError("not_done_by_s must be finite, got inf")
    if (crossed := low > high).any():
        raise ValueError(f"not_done_by_s must not exceed done_by_s, got {low[crossed][0]} > {high[crossed][0]}")
    return low, high


def widen(intervals: pd.DataFrame, most: int = MOST_DISTINCT, power: int = -1) -> tuple[pd.DataFrame, int]:
    """Give the distinct intervals with the sums of their `orders`, `most` of them or fewer, and the power used.

    Where there are more, all are widened to multiples of the least power of two of milliseconds, from `power` on, that
    leaves so few; -1 stands for no widening. Each power's multiples are among those of the one before. So widening
    parts, putting them together and widening from their greatest power on gives what the whole gives.
    """
    for tried in count(power):
        # A sample has no more distinct intervals than the whole, and is faster to count.
        if len(_distinct(intervals[: 10 * most], tried)) <= most and len(all_ := _distinct(intervals, tried)) <= most:
            return all_, tried
    raise AssertionError


def _distinct(intervals: pd.DataFrame, power: int) -> pd.DataFrame:
    if power >= 0:
        # To whole milliseconds first; the rounding keeps 1.001 s from being 1000.9999999999999 ms.
        ms = (intervals[BOUNDS].to_numpy(float) * 1000).round(6)
        step = 2.0**power
        wider = np.ceil(np.ceil(ms) / step) * step
        wider[:, 0] = np.floor(np.floor(ms[:, 0]) / step) * step
        kept = {name: intervals[name].to_numpy() for name in ("otherwise", "orders")}
        intervals = pd.DataFrame(wider / 1000, columns=BOUNDS).assign(**kept)
    return intervals.groupby(_DISTINCT)["orders"].sum().reset_index()


def _count_part(orders: pd.DataFrame, by: str | None, outcome: str | None) -> pd.DataFrame:
    low, high = read_bounds(orders)
    final = np.isfinite(high)
    request = np.zeros(len(orders))
    if "request_s" in orders:
        request[final] = _seconds(orders.loc[final, ["request_s"]], "request_s")
    otherwise = np.zeros(len(orders), bool)
    if outcome is not None:
        otherwise = final & ~orders["status"].eq(outcome).fillna(False).to_numpy(bool)
    bounds = dict(zip(BOUNDS, (low, high, request), strict=True))
    intervals = pd.DataFrame(bounds | {"otherwise": otherwise, "orders": 1})
    parts: Iterable[Any] = [("all", intervals)] if by is None else intervals.groupby(group_keys(orders, by).to_numpy())
    counted = [intervals[:0]]
    for group, rows in parts:
        distinct, power = widen(rows)
        counted.append(distinct.assign(group=group, power=power))
    return pd.concat(counted)


def _seconds(orders: pd.DataFrame, column: str) -> Floats:
    try:
        seconds = orders[column].to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        raise ValueError(f"{column} must hold seconds as numbers, got {orders[column].dtype} values") from None
    if (bad := ~(seconds >= 0)).any():
        raise ValueError(f"{column} must be 0 seconds or more, got {seconds[bad][0]}")
    # 15.3 - 5.1 is 10.200000000000001: intervals that only touch must not overlap by so little.
    rounded: Floats = seconds.round(9)
    return rounded
