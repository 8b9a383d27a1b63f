"""Read columns of DataFrames of orders; a Dask DataFrame has many parts, a pandas one is a single part."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from giftlib.journal import Journal

Summary = TypeVar("Summary")
Floats = NDArray[np.float64]
_PERIODS = {"day": "%Y-%m-%d", "week": "%G-W%V"}


def orders_frame(orders: Any) -> Any:
    """Give the frame of a Journal's orders; anything else is returned as it is."""
    return orders.orders() if isinstance(orders, Journal) else orders


def require_columns(name: str, frame: Any, columns: list[str]) -> None:
    """Raise ValueError unless `frame`, which the caller passed as `name`, has all the columns."""
    if missing := [column for column in columns if column not in frame.columns]:
        given = ", ".join(map(str, frame.columns)) or "no column"
        raise ValueError(f"{name} must have the column {missing[0]!r}, got {given}")


def group_keys(orders: pd.DataFrame, name: str) -> pd.Series:
    """Give the group of each row: the column's value, or "unknown". "day" and "week" are the UTC day and the ISO
    week of `placed_at`.
    """
    if name in _PERIODS:
        times = pd.to_datetime(orders["placed_at"], utc=True)
        return times.dt.strftime(_PERIODS[name]).astype(object).where(times.notna(), "unknown")
    return orders[name].astype(object).where(orders[name].notna(), "unknown")


def column_of(name: str) -> str:
    """Give the column that `group_keys` reads."""
    return "placed_at" if name in _PERIODS else name


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
