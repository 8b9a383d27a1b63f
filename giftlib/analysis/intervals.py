"""Brackets low < T <= high in seconds, checked and counted: what the estimate needs of millions of orders."""

from collections.abc import Iterable
from itertools import count
from typing import Any

import numpy as np
import pandas as pd

from giftlib.analysis.columns import column_of, group_keys, require_columns
from giftlib.analysis.npmle import Floats
from giftlib.analysis.partitions import of_parts

MOST_DISTINCT = 5_000
BOUNDS = ["not_done_by_s", "done_by_s", "request_s"]
_DISTINCT = [*BOUNDS, "otherwise"]


def count_brackets(orders: Any, by: str | None, end: str | None) -> dict[object, pd.DataFrame]:
    """The distinct brackets of each group, with their number of `orders`; without `by` the one group is "all".

    `otherwise` tells, with `end`, which ended in another way. See `time_to_fulfilment` for the rest.
    """
    needed = [*BOUNDS[:2], *(["status"] if end else []), *([column_of(by)] if by else [])]
    require_columns("orders", orders, needed)
    columns = list(dict.fromkeys(needed + [name for name in BOUNDS[2:] if name in orders.columns]))
    counted = of_parts(orders, columns, lambda part: _count_part(part, by, end))
    if counted.empty:
        raise ValueError("orders must have at least one row, got an empty frame")
    return {group: widen(rows, power=rows["power"].max())[0] for group, rows in counted.groupby("group")}


def widen(brackets: pd.DataFrame, most: int = MOST_DISTINCT, power: int = -1) -> tuple[pd.DataFrame, int]:
    """The distinct brackets with the sums of their `orders`, `most` of them or fewer, and the power it took.

    Where there are more, all are widened to multiples of the least power of two of milliseconds, from `power` on, that
    leaves so few; -1 stands for no widening. Each power's multiples are among those of the one before, so parts that
    were widened first, put together and widened from their greatest power on, give what the whole gives.
    """
    for tried in count(power):
        # A sample has no more distinct brackets than the whole, and is sooner counted.
        if len(_distinct(brackets[: 10 * most], tried)) <= most and len(all_ := _distinct(brackets, tried)) <= most:
            return all_, tried
    raise AssertionError


def _distinct(brackets: pd.DataFrame, power: int) -> pd.DataFrame:
    if power >= 0:
        # To whole milliseconds first; the rounding keeps 1.001 s from being 1000.9999999999999 ms.
        ms = (brackets[BOUNDS].to_numpy(float) * 1000).round(6)
        step = 2.0**power
        wider = np.ceil(np.ceil(ms) / step) * step
        wider[:, 0] = np.floor(np.floor(ms[:, 0]) / step) * step
        kept = {name: brackets[name].to_numpy() for name in ("otherwise", "orders")}
        brackets = pd.DataFrame(wider / 1000, columns=BOUNDS).assign(**kept)
    return brackets.groupby(_DISTINCT)["orders"].sum().reset_index()


def _count_part(orders: pd.DataFrame, by: str | None, end: str | None) -> pd.DataFrame:
    low, high = (_seconds(orders, column) for column in BOUNDS[:2])
    if np.isinf(low).any():
        raise ValueError("not_done_by_s must be finite, got inf")
    if (crossed := low > high).any():
        raise ValueError(f"not_done_by_s must not exceed done_by_s, got {low[crossed][0]} > {high[crossed][0]}")
    final = np.isfinite(high)
    request = np.zeros(len(orders))
    if "request_s" in orders:
        request[final] = _seconds(orders.loc[final, ["request_s"]], "request_s")
    otherwise = np.zeros(len(orders), bool)
    if end is not None:
        otherwise = final & ~orders["status"].eq(end).fillna(False).to_numpy(bool)
    bounds = dict(zip(BOUNDS, (low, high, request), strict=True))
    brackets = pd.DataFrame(bounds | {"otherwise": otherwise, "orders": 1})
    parts: Iterable[Any] = [("all", brackets)] if by is None else brackets.groupby(group_keys(orders, by).to_numpy())
    counted = [brackets[:0]]
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
    # 15.3 - 5.1 is 10.200000000000001: brackets that only touch must not overlap by so little.
    rounded: Floats = seconds.round(9)
    return rounded
