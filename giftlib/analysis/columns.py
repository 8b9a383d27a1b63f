"""Read columns of DataFrames of orders; a Dask DataFrame has many parts, a pandas one is a single part."""

import re
from collections.abc import Callable, Hashable
from datetime import UTC, tzinfo
from math import inf
from numbers import Real
from reprlib import repr as short
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype
from pandas.util import hash_pandas_object

from giftlib.api import did_you_mean
from giftlib.journal import Journal

Summary = TypeVar("Summary")
Floats = NDArray[np.float64]
_PERIODS = {
    "day": ("placed_at", "%Y-%m-%d"),
    "week": ("placed_at", "%G-W%V"),
    "charge_day": ("charged_at", "%Y-%m-%d"),
    "refund_day": ("refunded_at", "%Y-%m-%d"),
}

MOST_CHECKED = 100_000
"""Of more orders an estimate takes less time than to find out whether one of them is there twice."""


def orders_frame(orders: Any, name: str = "orders", *, most_checked: float = inf) -> Any:
    """Give the frame of a Journal's orders, or the frame that was passed as `name`; raise ValueError for what is none
    and, in a pandas frame with `most_checked` rows at most or in any if that is inf, for an order that is there twice.
    """
    if isinstance(orders, Journal):
        return orders.orders()
    _require_frame(name, orders, "a Journal or a DataFrame")
    if most_checked == inf or (isinstance(orders, pd.DataFrame) and len(orders) <= most_checked):
        require_once(name, orders)
    return orders


def _require_frame(name: str, frame: Any, accepted: str) -> None:
    if not (isinstance(frame, pd.DataFrame) or (hasattr(frame, "columns") and hasattr(frame, "to_delayed"))):
        raise ValueError(f"{name} must be {accepted}, got {short(frame)}")
    if not (columns := frame.columns).is_unique:
        raise ValueError(f"{name} must have each column once, got {columns[columns.duplicated()][0]!r} twice")


def require_columns(name: str, frame: Any, columns: list[str]) -> None:
    """Raise ValueError unless `frame`, which the caller passed as `name`, is one and has all the columns."""
    _require_frame(name, frame, "a DataFrame")
    if missing := [column for column in columns if column not in frame.columns]:
        given = ", ".join(map(str, frame.columns)) or "no column"
        hint = did_you_mean(missing[0], [*frame.columns, *_PERIODS])
        raise ValueError(f"{name} must have the column {missing[0]!r}, got {given}{hint}")


def require_once(name: str, orders: Any) -> None:
    """Raise ValueError if an order, which has an id of its own within its source, is there twice: its intervals would
    be too narrow, its money too much.
    """
    key = [column for column in ("source", "order_id") if column in orders.columns]
    if "order_id" not in key:
        return

    def hashes(part: pd.DataFrame) -> pd.Series:
        return hash_pandas_object(part[key].dropna(subset="order_id"), index=False, categorize=False)

    every = np.sort(np.concatenate([part.to_numpy() for part in each_part(orders, key, hashes)]))
    if len(twice := every[1:][every[1:] == every[:-1]]):
        again = of_parts(orders, key, lambda part: part.dropna(subset="order_id")[hashes(part).isin(twice).to_numpy()])
        raise ValueError(f"{name} must hold each order once, got {again['order_id'].iloc[0]!r} more than once")


def require_seconds(name: str, seconds: Any) -> None:
    """Raise ValueError unless it is a number of seconds from 0 up, or inf."""
    if not isinstance(seconds, Real) or isinstance(seconds, bool) or not float(seconds) >= 0:
        raise ValueError(f"{name} must be a number of seconds, 0 or more, got {seconds!r}")


def zone_of(time_zone: Any) -> tzinfo:
    """Give the time zone; raise ValueError for what is none."""
    try:
        return time_zone if isinstance(time_zone, tzinfo) else ZoneInfo(time_zone)
    except (KeyError, ValueError, IndexError, OSError, TypeError, AttributeError):
        raise ValueError(f"time_zone must be the name of a time zone, got {time_zone!r}") from None


def group_keys(orders: pd.DataFrame, name: str, zone: tzinfo = UTC) -> pd.Series:
    """Give the group of each row: the column's value, or "unknown". "day" and "week" are the day and the ISO week of
    `placed_at`, "charge_day" and "refund_day" the days of `charged_at` and `refunded_at`.

    Raises ValueError for an own column of such a name that holds other days; a Parquet folder's holds those of UTC.
    """
    if name not in _PERIODS:
        return _or_unknown(orders[name])
    column, form = _PERIODS[name]
    times = times_of(orders, column)
    keys = _or_unknown(times.dt.tz_convert(zone).dt.strftime(form))
    if name in orders:
        own = _or_unknown(orders[name]).map(str)
        if (differs := ((own != keys) & (own != _or_unknown(times.dt.strftime(form)))).to_numpy()).any():
            got = f"{own[differs].iloc[0]!r} for {times[differs].iloc[0]}; rename the column to group by it"
            raise ValueError(f"{name} must be that of {column} in UTC or in time_zone, got {got}")
    return keys


def _or_unknown(keys: pd.Series) -> pd.Series:
    return keys.astype(object).where(keys.notna(), "unknown")


def statuses_of(values: pd.Series) -> pd.Series:
    """Give statuses in the API's letters, whatever theirs are; raise ValueError for what is no text."""
    codes, found = pd.factorize(values)
    if wrong := [status for status in found if not isinstance(status, str)]:
        raise ValueError(f"{values.name} must hold texts, got {wrong[0]!r}")
    statuses = np.array([*map(in_capitals, found), None], object)  # the last is for those that are missing, of code -1
    return pd.Series(statuses[codes], values.index, dtype=object)


def in_capitals(status: str) -> str:
    """Give a status as the API writes it.

    >>> in_capitals(" Partially-filled")
    'PARTIALLY_FILLED'
    """
    return re.sub(r"[\s-]+", "_", status.strip()).upper()


def times_of(frame: pd.DataFrame, column: str) -> pd.Series:
    """Give the times of a column in UTC, those without an offset read as UTC; raise ValueError for what is none."""
    raw = frame[column]
    if raw.dtype == object or is_numeric_dtype(raw):  # a number is no time: it does not say what it counts
        raw = raw.astype(object).where(raw.isna(), raw.map(str))
    times = pd.to_datetime(raw, utc=True, format="ISO8601", errors="coerce")
    if len(wrong := frame[column][raw.notna() & times.isna()]):
        raise ValueError(f"{column} must hold times or ISO 8601 texts, got {wrong.iloc[0]!r}")
    return times


def seconds_of(values: pd.Series) -> Floats:
    """Give seconds or timedeltas as floats, NaN where one is not known; raise ValueError for what is neither."""
    numbers = values.dt.total_seconds() if values.dtype.kind == "m" else values
    try:
        if numbers.dtype.kind in "Mbc":
            raise TypeError
        return numbers.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError, OverflowError):
        got = next((each for each in values.dropna() if not isinstance(each, Real)), values.iloc[0])
        message = f"{values.name} must hold seconds as numbers or timedeltas, got {short(got)} among {values.dtype}"
        raise ValueError(message) from None


def columns_of(name: Any, frame: Any) -> list[Any]:
    """Give the columns that `group_keys` reads; raise ValueError for what cannot name a column."""
    if name is None or not isinstance(name, Hashable):
        raise ValueError(f"by must be the name of a column, got {name!r}")
    if name not in _PERIODS:
        return [name]
    return [_PERIODS[name][0], *([name] if name in frame.columns else [])]


def of_parts(frame: Any, columns: list[str], summarise: Callable[[pd.DataFrame], Any]) -> Any:
    """Summarise each part where it lies, and put the summaries together in memory."""
    return pd.concat(each_part(frame, columns, summarise), ignore_index=True)


def each_part(frame: Any, columns: list[str], summarise: Callable[[pd.DataFrame], Summary]) -> list[Summary]:
    """Summarise each part where it lies; of a Dask frame's, only these columns are read."""
    if isinstance(frame, pd.DataFrame):
        return [summarise(frame)]
    from dask.base import compute
    from dask.delayed import delayed

    return list(compute(*map(delayed(summarise), frame[columns].to_delayed())))
