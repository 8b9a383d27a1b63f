"""Read the journal's tables as frames, with the interval in which each order became final."""

import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

TEXT = pd.StringDtype(na_value=np.nan)

INTENTS = """
SELECT intent, sent_us AS sent_at, product_id, type_id, quantity, state, order_id
FROM orders WHERE state != 'watched' ORDER BY intent
"""

# Between two events of one run count monotonic seconds; across runs, which share no monotonic clock, UTC.
# For an order whose placement this journal did not see, they count from `told_us`, the API's time, in milliseconds.
ORDERS = """
WITH done AS (SELECT order_id, MIN(id) AS first FROM polls WHERE shows = 'final' GROUP BY order_id),
late AS (SELECT 1 FROM polls JOIN done USING (order_id) WHERE via = 'list' AND shows = 'open' AND id > first LIMIT 1),
undone AS (
    SELECT polls.order_id, MAX(polls.id) AS last FROM polls LEFT JOIN done USING (order_id)
    WHERE shows = 'open' AND (first IS NULL OR id < first)
    AND (via = 'check' OR (:trust_lists AND NOT EXISTS (SELECT * FROM late)))
    GROUP BY polls.order_id
),
bounds AS (
    SELECT o.*,
        CASE WHEN o.sent_us IS NOT NULL AND o.received_us IS NOT NULL
             THEN IIF(o.run = u.run, u.sent_s - o.received_s, (u.sent_us - o.received_us) / 1e6)
             ELSE (u.sent_us - o.told_us - 1000) / 1e6 END AS low,
        CASE WHEN o.sent_us IS NOT NULL AND o.received_us IS NOT NULL
             THEN IIF(o.run = f.run, f.received_s - o.sent_s, (f.received_us - o.sent_us) / 1e6)
             ELSE (f.received_us - o.told_us) / 1e6 END AS high,
        f.received_s - f.sent_s + IIF(o.received_us IS NULL, 0, o.received_s - o.sent_s) AS request_s
    FROM orders AS o
    LEFT JOIN undone USING (order_id) LEFT JOIN polls AS u ON u.id = undone.last
    LEFT JOIN done USING (order_id) LEFT JOIN polls AS f ON f.id = done.first
    WHERE o.order_id IS NOT NULL
)
SELECT order_id, product_id, type_id, quantity, IIF(sent_us IS NULL, told_us, sent_us) AS placed_at, status,
    (SELECT COUNT(*) FROM polls WHERE polls.order_id = bounds.order_id) AS polls,
    IIF(high < 0, 0.0, MAX(IFNULL(low, 0.0), 0.0)) AS not_done_by_s,  -- final before it was placed: the API's clock
    IIF(high IS NULL OR high < 0, 9e999, high) AS done_by_s,          -- and this one disagree, so nothing is known
    request_s, fulfilled_quantity, price_per_card, fulfilled_amount, refunded_quantity, refunded_amount, problems
FROM bounds ORDER BY intent
"""

POLLS = """
SELECT p.order_id, ROW_NUMBER() OVER (PARTITION BY p.order_id ORDER BY p.id) AS attempt, via,
    p.sent_us AS sent_at, p.received_us AS received_at, p.received_s - p.sent_s AS latency_s,
    CASE WHEN o.received_us IS NULL THEN (p.sent_us - o.told_us) / 1e6
         ELSE IIF(o.run = p.run, p.sent_s - o.received_s, (p.sent_us - o.received_us) / 1e6) END AS elapsed_s,
    outcome, http_status, retry_after_s, request_id
FROM polls AS p JOIN orders AS o USING (order_id) ORDER BY p.id
"""

_COLUMN_TYPES: dict[str, Any] = {
    **dict.fromkeys(("order_id", "product_id", "type_id", "status", "state", "via", "outcome", "request_id"), TEXT),
    **dict.fromkeys(("intent", "quantity", "polls", "fulfilled_quantity", "refunded_quantity", "attempt"), "Int64"),
    **dict.fromkeys(("not_done_by_s", "done_by_s", "request_s", "latency_s", "elapsed_s", "retry_after_s"), float),
    "http_status": "Int64",
}
_AMOUNTS = ("price_per_card", "fulfilled_amount", "refunded_amount")


def read_frame(db: sqlite3.Connection, query: str) -> pd.DataFrame:
    """Return the rows of `INTENTS` or `POLLS`."""
    return _typed(pd.read_sql_query(query, db))


def read_orders(
    db: sqlite3.Connection, trust_lists: bool = True, chunk_size: int = 2**31 - 1
) -> Iterator[pd.DataFrame]:
    """Yield the rows of `ORDERS`, `chunk_size` at a time; one empty frame if there is none."""
    for chunk in pd.read_sql_query(ORDERS, db, params={"trust_lists": trust_lists}, chunksize=chunk_size):
        orders = _typed(chunk)
        for column in _AMOUNTS:
            orders[column] = pd.Series(
                [None if pd.isna(text) else Decimal(text) for text in orders[column]], dtype=object
            )
        problems = ["; ".join(json.loads(texts)) for texts in orders["problems"]]
        yield orders.assign(problems=pd.array(problems, dtype=TEXT))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.astype({name: _COLUMN_TYPES[name] for name in frame if name in _COLUMN_TYPES})
    for name in [name for name in frame if str(name).endswith("_at")]:
        frame[name] = pd.to_datetime(frame[name].astype("Int64"), unit="us", utc=True).dt.as_unit("us")
    return frame
