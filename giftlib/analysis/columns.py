"""Read columns of DataFrames of orders; a Dask DataFrame has many parts, a pandas one is a single part."""

from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

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


def orders_frame(orders: Any) -> Any:
    """Give the frame of a Journal's orders; anything else is returned as it is."""
    return orders.orders() if isinstance(orders, Journal) else orders


def require_columns(name: str, frame: Any, columns: list[str]) -> None:
    """Raise ValueError unless `frame`, which the caller passed as `name`, has all the columns."""
    if missing := [column for column in columns if column not in frame.columns]:
        given = ", ".join(map(str, frame.columns)) or "no column"
        hint = did_you_mean(missing[0], [*frame.columns, *_PERIODS])
        raise ValueError(f"{name} must have the column {missing[0]!r}, got {given}{hint}")


def zone_of(time_zone: Any) -> tzinfo:
    """Give the time zone; raise ValueError for what is none."""
    try:
        return time_zone if isinstance(time_zone, tzinfo) else ZoneInfo(time_zone)
    except (KeyError, ValueError, IndexError, OSError, TypeError, AttributeError):
        raise ValueError(f"time_zone must be the name of a time zone, got {time_zone!r}") from None


def group_keys(orders: pd.DataFrame, name: str, zone: tzinfo = UTC) -> pd.Series:
    """Give the group of each row: the column's value, or "unknown". "day" and "week" are the day and the ISO week of
    `placed_at`, "charge_day" and "refund_day" the days of `charged_at` and `refunded_at`.
    """
    keys: pd.Series = orders[column_of(name)]
    if name in _PERIODS:
        column, form = _PERIODS[name]
        keys = times_of(orders, column).dt.tz_convert(zone).dt.strftime(form)
    return keys.astype(object).where(keys.notna(), "unknown")


def times_of(frame: pd.DataFrame, column: str) -> pd.Series:
    """Give the times of a column in UTC, those without an offset read as UTC; raise ValueError for what is none."""
    raw = frame[column]
    if raw.dtype == object or is_numeric_dtype(raw):  # a number is no time: it does not say what it counts
        raw = raw.astype(object).where(raw.isna(), raw.map(str))
    times = pd.to_datetime(raw, utc=True, format="ISO8601", errors="coerce")
    if len(wrong := frame[column][raw.notna() & times.isna()]):
        raise ValueError(f"{column} must hold times or ISO 8601 texts, got {wrong.iloc[0]!r}")
    return times


def column_of(name: str) -> str:
    """Give the column that `group_keys` reads."""
    return _PERIODS[name][0] if name in _PERIODS else name


def of_parts(frame: Any, columns: list[str], summarise: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """Summarise the columns of each part where it lies, and put the summaries together in memory."""
    return pd.concat(each_part(frame, columns, summarise), ignore_index=True)


def each_part(frame: Any, columns: list[str], summarise: Callable[[pd.DataFrame], Summary]) -> list[Summary]:
    """Summarise the columns of each part where it lies."""
    frame = frame[columns]
    if isinstance(frame, pd.DataFrame):
        return [summarise(frame)]
    from dask.base import compute
    from dask.delayed import delayed

    return list(compute(*map(delayed(summarise), frame.to_delayed())))
