"""The journal's rows as frames, and the brackets that its looks prove."""

import json
import sqlite3
from decimal import Decimal
from math import inf
from typing import Any

import numpy as np
import pandas as pd

ORDERS = """
WITH done AS (SELECT order_id, MIN(id) AS first FROM polls WHERE shows = 'final' GROUP BY order_id),
late AS (SELECT 1 FROM polls JOIN done USING (order_id) WHERE via = 'list' AND shows = 'open' AND id > first LIMIT 1),
undone AS (
    SELECT polls.order_id, MAX(polls.id) AS last FROM polls LEFT JOIN done USING (order_id)
    WHERE shows = 'open' AND (first IS NULL OR id < first)
    AND (via = 'check' OR (:trust_lists AND NOT EXISTS (SELECT * FROM late)))
    GROUP BY polls.order_id
)
SELECT orders.*,
    (SELECT COUNT(*) FROM polls WHERE polls.order_id = orders.order_id) AS polls,
    u.run AS open_run, u.sent_us AS open_us, u.sent_s AS open_s,
    f.run AS final_run, f.received_us AS final_us, f.received_s AS final_s, f.received_s - f.sent_s AS final_look_s
FROM orders
LEFT JOIN undone USING (order_id) LEFT JOIN polls AS u ON u.id = undone.last
LEFT JOIN done USING (order_id) LEFT JOIN polls AS f ON f.id = done.first
WHERE orders.order_id IS NOT NULL ORDER BY intent
"""

POLLS = """
SELECT polls.*, orders.run AS placed_run, orders.received_us AS placed_us, orders.received_s AS placed_s, told_us
FROM polls JOIN orders USING (order_id) ORDER BY polls.id
"""

_TOLD_PRECISION_US = 1000
"""The API tells an order's time in milliseconds."""


def intents_frame(rows: list[sqlite3.Row]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "intent": _counts(rows, "intent"),
            "sent_at": _utc([row["sent_us"] for row in rows]),
            **{name: _texts(rows, name) for name in ("product_id", "type_id")},
            "quantity": _counts(rows, "quantity"),
            **{name: _texts(rows, name) for name in ("state", "order_id")},
        }
    )


def orders_frame(rows: list[sqlite3.Row]) -> pd.DataFrame:
    brackets = [_bracket(row) for row in rows]
    return pd.DataFrame(
        {
            **{name: _texts(rows, name) for name in ("order_id", "product_id", "type_id")},
            "quantity": _counts(rows, "quantity"),
            "placed_at": _utc([row["told_us"] if row["sent_us"] is None else row["sent_us"] for row in rows]),
            "status": _texts(rows, "status"),
            "polls": _counts(rows, "polls"),
            "not_done_by_s": np.array([low for low, _ in brackets], dtype=float),
            "done_by_s": np.array([high for _, high in brackets], dtype=float),
            "request_s": np.array([_request_s(row) for row in rows], dtype=float),
            "fulfilled_quantity": _counts(rows, "fulfilled_quantity"),
            "price_per_card": _amounts(rows, "price_per_card"),
            "fulfilled_amount": _amounts(rows, "fulfilled_amount"),
            "refunded_quantity": _counts(rows, "refunded_quantity"),
            "refunded_amount": _amounts(rows, "refunded_amount"),
            "problems": pd.array(["; ".join(json.loads(row["problems"])) for row in rows], dtype="str"),
        }
    )


def polls_frame(rows: list[sqlite3.Row]) -> pd.DataFrame:
    order_ids = pd.Series([row["order_id"] for row in rows], dtype="str")
    return pd.DataFrame(
        {
            "order_id": order_ids,
            "attempt": (order_ids.groupby(order_ids).cumcount() + 1).astype("Int64"),
            "via": _texts(rows, "via"),
            "sent_at": _utc([row["sent_us"] for row in rows]),
            "received_at": _utc([row["received_us"] for row in rows]),
            "latency_s": np.array([row["received_s"] - row["sent_s"] for row in rows], dtype=float),
            "elapsed_s": np.array([_elapsed(row) for row in rows], dtype=float),
            "outcome": _texts(rows, "outcome"),
            "http_status": _counts(rows, "http_status"),
            "retry_after_s": np.array([row["retry_after_s"] for row in rows], dtype=float),
            "request_id": _texts(rows, "request_id"),
        }
    )


def _span(row: sqlite3.Row, start: str, end: str, start_run: str, end_run: str) -> float:
    """Seconds between two events: by the monotonic clock within a run, by UTC across runs."""
    if row[start_run] == row[end_run]:
        return float(row[f"{end}_s"] - row[f"{start}_s"])
    return float(row[f"{end}_us"] - row[f"{start}_us"]) / 1e6


def _bracket(row: sqlite3.Row) -> tuple[float, float]:
    """The span in which the order's duration lies: open until after the first, final by the second."""
    low, high = 0.0, inf
    placed_here = row["sent_us"] is not None and row["received_us"] is not None
    if row["open_us"] is not None and placed_here:
        low = _span(row, "received", "open", "run", "open_run")
    elif row["open_us"] is not None and row["told_us"] is not None:
        low = (row["open_us"] - row["told_us"] - _TOLD_PRECISION_US) / 1e6
    if row["final_us"] is not None and placed_here:
        high = _span(row, "sent", "final", "run", "final_run")
    elif row["final_us"] is not None and row["told_us"] is not None:
        high = (row["final_us"] - row["told_us"]) / 1e6
    if high < 0:  # final before it was placed: the API's clock and this one differ, and tell nothing together
        return 0.0, inf
    return max(low, 0.0), high


def _request_s(row: sqlite3.Row) -> float | None:
    """How much of the bracket is the final look's own time, and the placement's."""
    look: float | None = row["final_look_s"]
    if look is None or row["received_us"] is None:
        return look
    return look + float(row["received_s"] - row["sent_s"])


def _elapsed(row: sqlite3.Row) -> float | None:
    if row["placed_us"] is not None:
        return _span(row, "placed", "sent", "placed_run", "run")
    return None if row["told_us"] is None else (row["sent_us"] - row["told_us"]) / 1e6


def _texts(rows: list[sqlite3.Row], name: str) -> Any:
    return pd.array([row[name] for row in rows], dtype="str")


def _counts(rows: list[sqlite3.Row], name: str) -> Any:
    return pd.array([row[name] for row in rows], dtype="Int64")


def _amounts(rows: list[sqlite3.Row], name: str) -> pd.Series:
    return pd.Series([None if row[name] is None else Decimal(row[name]) for row in rows], dtype=object)


def _utc(microseconds: list[int | None]) -> Any:
    return pd.to_datetime(pd.array(microseconds, dtype="Int64"), unit="us", utc=True).as_unit("us")
