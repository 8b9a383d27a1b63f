"""What frames of orders have in common."""

import pandas as pd

FINAL_STATUSES = ("FULFILLED", "PARTIALLY_FILLED", "REFUNDED")


def require_columns(name: str, frame: pd.DataFrame, columns: list[str]) -> None:
    """ValueError unless `frame`, which the caller knows as `name`, has all the columns."""
    if missing := [column for column in columns if column not in frame]:
        given = ", ".join(map(str, frame)) or "no column"
        raise ValueError(f"{name} must have the column {missing[0]!r}, got {given}")
