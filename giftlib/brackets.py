"""Brackets low < T <= high in seconds, checked and counted: what the estimate needs of millions of orders."""

from itertools import count
from math import inf
from typing import Any

import numpy as np
import pandas as pd

from giftlib.columns import column_of, group_keys, require_columns
from giftlib.parts import of_parts

MOST_DISTINCT = 5_000
_ENDS = ["not_done_by_s", "done_by_s", "request_s"]


def count_brackets(orders: Any, by: str | None, end: str | None) -> dict[object, pd.DataFrame]:
    """The distinct brackets of each group, with their number of `orders`; without `by` the one group is "all".

    With `end`, an order that ended otherwise is one that never gets there. See `time_to_fulfilment` for the rest.
    """
    needed = [*_ENDS[:2], *(["status"] if end else []), *([column_of(by)] if by else [])]
    require_columns("orders", orders, needed)
    columns = list(dict.fromkeys(needed + [name for name in _ENDS[2:] if name in orders.columns]))
    counted = of_parts(orders, columns, lambda part: _count_part(part, by, end))
    if counted.empty:
        raise ValueError("orders must have at least one row, got an empty frame")
    return {group: widen(rows.drop(columns="group")) for group, rows in counted.groupby("group")}


def widen(brackets: pd.DataFrame, most: int = MOST_DISTINCT) -> pd.DataFrame:
    """The distinct brackets with the sums of their `orders`: `most` of them, or fewer.

    Where there are more, all are widened to multiples of the least power of two of milliseconds that leaves so few.
    Each power's multiples are among those of the one before, so that widened parts widen to what the whole does.
    """
    for power in count(-1):
        # A sample has no more distinct brackets than the whole, and is sooner counted.
        if len(_distinct(brackets[: 10 * most], power)) <= most and len(all_ := _distinct(brackets, power)) <= most:
            return all_
    raise AssertionError


def _distinct(brackets: pd.DataFrame, power: int) -> pd.DataFrame:
    if power >= 0:
        # To whole milliseconds first; the rounding keeps 1.001 s from being 1000.9999999999999 ms.
        ms = (brackets[_ENDS] * 1000).round(6)
        step = 2.0**power
        floor, ceil = np.floor(np.floor(ms) / step) * step, np.ceil(np.ceil(ms) / step) * step
        wider = floor[_ENDS[:1]].join(ceil[_ENDS[1:]]) / 1000
        brackets = wider.assign(orders=brackets["orders"])
    return brackets.groupby(_ENDS)["orders"].sum().reset_index()


def _count_part(orders: pd.DataFrame, by: str | None, end: str | None) -> pd.DataFrame:
    low, high = (_seconds(orders, column) for column in _ENDS[:2])
    if np.isinf(low).any():
        raise ValueError("not_done_by_s must be finite, got inf")
    if (crossed := low > high).any():
        raise ValueError(f"not_done_by_s must not exceed done_by_s, got {low[crossed][0]} > {high[crossed][0]}")
    final = np.isfinite(high)
    request = np.zeros(len(orders))
    if "request_s" in orders:
        request[final] = _seconds(orders[final], "request_s")
    if end is not None:
        otherwise = final & (orders["status"] != end).to_numpy()
        low, high = np.where(otherwise, inf, low), np.where(otherwise, inf, high)
        request = np.where(otherwise, 0.0, request)
    brackets = pd.DataFrame({"not_done_by_s": low, "done_by_s": high, "request_s": request, "orders": 1})
    if by is None:
        return widen(brackets).assign(group="all")
    groups = [widen(rows).assign(group=group) for group, rows in brackets.groupby(group_keys(orders, by).to_numpy())]
    return pd.concat(groups) if groups else brackets.assign(group=[])


def _seconds(orders: pd.DataFrame, column: str) -> np.ndarray:
    try:
        seconds = orders[column].to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        raise ValueError(f"{column} must hold seconds as numbers, got {orders[column].dtype} values") from None
    if (bad := ~(seconds >= 0)).any():
        raise ValueError(f"{column} must be 0 seconds or more, got {seconds[bad][0]}")
    return seconds
