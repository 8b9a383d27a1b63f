"""What frames of orders have in common."""

from typing import Any

import pandas as pd

FINAL_STATUSES = ("FULFILLED", "PARTIALLY_FILLED", "REFUNDED")


def require_columns(name: str, frame: Any, columns: list[str]) -> None:
    """ValueError unless `frame`, which the caller knows as `name`, has all the columns."""
    if missing := [column for column in columns if column not in frame.columns]:
        given = ", ".join(map(str, frame.columns)) or "no column"
        raise ValueError(f"{name} must have the column {missing[0]!r}, got {given}")


def group_keys(orders: pd.DataFrame, name: str) -> pd.Series:
    """The group of each row: the column's value, "unknown" where there is none; "day" is the UTC day of `placed_at`."""
    if name == "day":
        days = pd.to_datetime(orders["placed_at"], utc=True)
        return days.dt.strftime("%Y-%m-%d").astype(object).where(days.notna(), "unknown")
    return orders[name].astype(object).where(orders[name].notna(), "unknown")


def column_of(name: str) -> str:
    """The column that `group_keys` reads."""
    return "placed_at" if name == "day" else name
