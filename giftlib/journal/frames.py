"""Read the journal's tables as frames, with the interval in which each order became final."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from .tables import Database

TEXT = pd.StringDtype(na_value=np.nan)

SOURCES = """
SELECT name, kind, host, account, key_type, COUNT(order_id) AS orders, COALESCE(SUM(is_final), 0) AS final
FROM sources LEFT JOIN orders USING (source) GROUP BY source ORDER BY source
"""

INTENTS = """
SELECT intent, i.sent_us AS sent_at, i.product_id, i.type_id, i.quantity, i.state, order_id, ref, name AS source
FROM intents AS i JOIN sources USING (source) LEFT JOIN orders ON number = placed ORDER BY intent
"""

# Between two events of one run count monotonic seconds; across runs, which share no monotonic clock, UTC.
# For an order whose placement this journal did not see, they count from `told_us`, the API's time, in milliseconds.
ORDERS = """
WITH done AS (SELECT polled, MIN(id) AS first FROM polls WHERE shows = 'final' GROUP BY polled),
late AS (
    SELECT DISTINCT source FROM polls JOIN done USING (polled) JOIN orders ON number = polled
    WHERE via = 'list' AND shows = 'open' AND id > first
),
undone AS (
    SELECT polls.polled, MAX(polls.id) AS last
    FROM polls JOIN orders ON number = polls.polled LEFT JOIN done USING (polled)
    WHERE shows = 'open' AND (first IS NULL OR id < first)
    AND (via = 'check' OR (:trust_lists AND source NOT IN late))
    GROUP BY polls.polled
),
bounds AS (
    SELECT o.*, i.ref, COALESCE(i.sent_us, o.told_us) AS placed_us,
        CASE WHEN i.received_us IS NOT NULL
             THEN IIF(i.run = u.run, u.sent_s - i.received_s, (u.sent_us - i.received_us) / 1e6)
             ELSE (u.sent_us - o.told_us - 1000) / 1e6 END AS low,
        CASE WHEN i.received_us IS NOT NULL
             THEN IIF(i.run = f.run, f.received_s - i.sent_s, (f.received_us - i.sent_us) / 1e6)
             ELSE (f.received_us - o.told_us) / 1e6 END AS high,
        (u.received_s - u.sent_s + IIF(i.received_us IS NULL, 0, i.received_s - i.sent_s)) / 2 AS open_error,
        (f.received_s - f.sent_s + IIF(i.received_us IS NULL, 0, i.received_s - i.sent_s)) / 2 AS final_error
    FROM orders AS o LEFT JOIN intents AS i ON i.placed = o.number
    LEFT JOIN undone ON undone.polled = o.number LEFT JOIN polls AS u ON u.id = undone.last
    LEFT JOIN done ON done.polled = o.number LEFT JOIN polls AS f ON f.id = done.first
)
SELECT order_id, product_id, type_id, quantity, placed_us AS placed_at, status,
    (SELECT COUNT(*) FROM polls WHERE polled = number) AS polls,
    IIF(high < 0, 0.0, MAX(IFNULL(low, 0.0), 0.0)) AS not_done_by_s,  -- final before it was placed: the API's clock
    IIF(high IS NULL OR high < 0, 9e999, high) AS done_by_s,          -- and this one disagree, so nothing is known
    IIF(high < 0, 0.0, MAX(IFNULL(low + open_error, 0.0), 0.0)) AS open_at_s,
    IIF(high IS NULL OR high < 0, 9e999, MAX(high - final_error, 0.0)) AS final_at_s,
    MAX(IFNULL(open_error, 0.0), IFNULL(final_error, 0.0)) AS guess_error_s,
    fulfilled_quantity, price_per_card, fulfilled_amount, refunded_quantity, refunded_amount, problems,
    ref, name AS source
FROM bounds JOIN sources USING (source) ORDER BY number
"""

POLLS = """
SELECT o.order_id, ROW_NUMBER() OVER (PARTITION BY polled ORDER BY p.id) AS attempt, via,
    p.sent_us AS sent_at, p.received_us AS received_at, p.received_s - p.sent_s AS latency_s,
    CASE WHEN i.received_us IS NULL THEN (p.sent_us - o.told_us) / 1e6
         ELSE IIF(i.run = p.run, p.sent_s - i.received_s, (p.sent_us - i.received_us) / 1e6) END AS elapsed_s,
    outcome, http_status, retry_after_s, request_id, name AS source
FROM polls AS p JOIN orders AS o ON o.number = polled JOIN sources USING (source)
LEFT JOIN intents AS i ON i.placed = polled ORDER BY p.id
"""

_COLUMN_TYPES: dict[str, Any] = {
    **dict.fromkeys(("order_id", "product_id", "type_id", "status", "state", "via", "outcome", "request_id"), TEXT),
    **dict.fromkeys(("ref", "source", "name", "kind", "host", "account", "key_type"), TEXT),
    **dict.fromkeys(("intent", "quantity", "polls", "fulfilled_quantity", "refunded_quantity", "attempt"), "Int64"),
    **dict.fromkeys(("orders", "final"), "Int64"),
    **dict.fromkeys(("not_done_by_s", "done_by_s", "open_at_s", "final_at_s", "guess_error_s"), float),
    **dict.fromkeys(("latency_s", "elapsed_s", "retry_after_s"), float),
    "http_status": "Int64",
}
_ALL = 2**31 - 1
_AMOUNTS = ("price_per_card", "fulfilled_amount", "refunded_amount")


def read_frame(database: Database, query: str) -> pd.DataFrame:
    """Return the rows of one of these queries; raise JournalError if they cannot be read."""
    with database.reading() as db:
        return _typed(pd.read_sql_query(query, db))


def read_orders(database: Database, trust_lists: bool = True, chunk_size: int = _ALL) -> Iterator[pd.DataFrame]:
    """Yield the rows of `ORDERS`, `chunk_size` at a time; one empty frame if there is none."""
    with database.reading() as db:
        for chunk in pd.read_sql_query(ORDERS, db, params={"trust_lists": trust_lists}, chunksize=chunk_size):
            orders = _typed(chunk)
            for column in _AMOUNTS:
                amounts = [None if pd.isna(text) else Decimal(text) for text in orders[column]]
                orders[column] = pd.Series(amounts, dtype=object)
            problems = ["; ".join(json.loads(texts)) for texts in orders["problems"]]
            yield orders.assign(problems=pd.array(problems, dtype=TEXT))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.astype({name: _COLUMN_TYPES[name] for name in frame if name in _COLUMN_TYPES})
    for name in [name for name in frame if str(name).endswith("_at")]:
        frame[name] = pd.to_datetime(frame[name].astype("Int64"), unit="us", utc=True).dt.as_unit("us")
    return frame
