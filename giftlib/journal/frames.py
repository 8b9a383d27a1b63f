"""Read the journal's tables as frames, with the interval in which each order became final."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from .tables import Database

TEXT = pd.StringDtype(na_value=np.nan)
UTC_TIME = "datetime64[us, UTC]"

SOURCES = """
SELECT name, kind, host, account, key_type, COUNT(order_id) AS orders, COALESCE(SUM(is_final), 0) AS final
FROM sources LEFT JOIN orders USING (source) GROUP BY source ORDER BY source
"""

INTENTS = """
SELECT intent, i.sent_us AS sent_at, i.product_id, i.type_id, i.quantity, i.state, order_id, ref, name AS source
FROM intents AS i JOIN sources USING (source) LEFT JOIN orders ON number = placed ORDER BY intent
"""


def _age(poll: str, here: str, there: str) -> str:
    """Return the SQL for the seconds from an order's placement to a poll of it: `here` within one run, else `there`.

    Within a run monotonic seconds count. Across runs, which share no monotonic clock, and for an order whose placement
    this journal did not see, the API's clock counts; NULL if no response had its time.
    """
    return f"CASE WHEN i.run = {poll}.run AND i.received_s IS NOT NULL THEN {here} ELSE ({there}) / 1e6 END"


def _least_age(poll: str) -> str:
    there = f"{poll}.earliest_us - COALESCE(o.told_us + 1000, i.latest_us)"
    return _age(poll, f"{poll}.sent_s - i.received_s", there)


def _greatest_age(poll: str) -> str:
    there = f"{poll}.latest_us - COALESCE(o.told_us, i.earliest_us)"
    return _age(poll, f"{poll}.received_s - i.sent_s", there)


def _watched(poll: str) -> str:
    return f"{poll}.sent_s - (SELECT MIN(sent_s) FROM polls AS p WHERE p.polled = number AND p.run = {poll}.run)"


_ELAPSED = _age(
    "p",
    "p.sent_s - i.received_s",
    """IIF(p.sent_us BETWEEN p.earliest_us AND p.latest_us,
        p.sent_us, (p.earliest_us + p.latest_us) / 2 - (p.received_s - p.sent_s) * 5e5)
    - COALESCE(o.told_us, (i.earliest_us + i.latest_us) / 2)""",
)
"""Where the wall clock here agrees with the API's, it is the finer one."""

ORDERS = f"""
WITH done AS (SELECT polled, MIN(id) AS first FROM polls WHERE shows = 'final' GROUP BY polled),
late AS (  -- by how much at least the lists of a source lag
    SELECT source, MAX(0.0, IFNULL(MAX(
        IIF(p.run = f.run, p.sent_s - f.received_s, (p.earliest_us - f.latest_us) / 1e6)), 0.0)) AS lag_s
    FROM polls AS p JOIN done USING (polled) JOIN polls AS f ON f.id = first JOIN orders ON number = p.polled
    WHERE p.via = 'list' AND p.shows = 'open' AND p.id > first GROUP BY source
),
undone AS (  -- the last poll that showed it open: for a guess of any kind, since single polls are few; for certain
    SELECT polls.polled, MAX(polls.id) AS guessed,
        MAX(polls.id) FILTER (WHERE via = 'check' OR (:trust_lists AND lag_s IS NULL)) AS certain
    FROM polls JOIN orders ON number = polls.polled LEFT JOIN done USING (polled) LEFT JOIN late USING (source)
    WHERE shows = 'open' AND (first IS NULL OR id < first)
    GROUP BY polls.polled
),
ages AS (
    SELECT o.*, i.ref, COALESCE(i.sent_us, o.told_us) AS placed_us,
        {_least_age("u")} AS open_low, {_greatest_age("u")} AS open_high, {_watched("u")} AS watched,
        {_least_age("g")} AS guess_low, {_greatest_age("g")} AS guess_high, {_watched("g")} AS guess_watched,
        IIF(g.via = 'list', IFNULL(lag_s, 0.0), 0.0) AS open_lag,
        IIF(f.via = 'list', IFNULL(lag_s, 0.0), 0.0) AS final_lag,
        {_least_age("f")} AS final_low, {_greatest_age("f")} AS final_high
    FROM orders AS o LEFT JOIN intents AS i ON i.placed = o.number LEFT JOIN late ON late.source = o.source
    LEFT JOIN undone ON undone.polled = o.number
    LEFT JOIN polls AS u ON u.id = undone.certain LEFT JOIN polls AS g ON g.id = undone.guessed
    LEFT JOIN done ON done.polled = o.number LEFT JOIN polls AS f ON f.id = done.first
),
bounds AS (SELECT *, MAX(COALESCE(open_low, watched, 0.0), 0.0) AS certain FROM ages),
guesses AS (  -- nothing is known of an order that was final before it was placed, or was still open: a clock was set
    SELECT *, final_high < certain AS is_wrong,
        MAX(COALESCE((open_low + open_high) / 2, watched, 0.0),
            COALESCE((guess_low + guess_high) / 2, guess_watched, 0.0) - open_lag, 0.0) AS open_at,
        IFNULL(MAX((final_low + final_high) / 2 - final_lag, certain), 9e999) AS final_at
    FROM bounds
)
SELECT order_id, product_id, type_id, quantity, placed_us AS placed_at, status,
    (SELECT COUNT(*) FROM polls WHERE polled = number) AS polls,
    IIF(is_wrong, 0.0, certain) AS not_done_by_s,
    IIF(is_wrong, 9e999, IFNULL(final_high, 9e999)) AS done_by_s,
    IIF(is_wrong, 0.0, MIN(open_at, final_at)) AS open_at_s,
    IIF(is_wrong, 9e999, final_at) AS final_at_s,
    MAX(IFNULL((open_high - open_low) / 2, 0.0), IFNULL((guess_high - guess_low) / 2, 0.0) + open_lag,
        IFNULL((final_high - final_low) / 2, 0.0) + final_lag) AS guess_error_s,
    fulfilled_quantity, price_per_card, fulfilled_amount, refunded_quantity, refunded_amount, problems,
    ref, name AS source
FROM guesses JOIN sources USING (source) ORDER BY number
"""

POLLS = f"""
SELECT o.order_id, ROW_NUMBER() OVER (PARTITION BY polled ORDER BY p.id) AS attempt, via,
    p.sent_us AS sent_at, p.received_us AS received_at, p.received_s - p.sent_s AS latency_s,
    {_ELAPSED} AS elapsed_s, outcome, http_status, retry_after_s, request_id, name AS source
FROM polls AS p JOIN orders AS o ON o.number = polled JOIN sources USING (source)
LEFT JOIN intents AS i ON i.placed = polled ORDER BY p.id
"""

TIMES = ("placed_at", "sent_at", "received_at")
"""In UTC."""
AMOUNTS = ("price_per_card", "fulfilled_amount", "refunded_amount")
COLUMN_TYPES: dict[str, Any] = {
    **dict.fromkeys(("order_id", "product_id", "type_id", "status", "state", "via", "outcome", "request_id"), TEXT),
    **dict.fromkeys(("problems", "ref", "source", "name", "kind", "host", "account", "key_type"), TEXT),
    **dict.fromkeys(("intent", "quantity", "polls", "fulfilled_quantity", "refunded_quantity", "attempt"), "Int64"),
    **dict.fromkeys(("orders", "final", "http_status"), "Int64"),
    **dict.fromkeys(("not_done_by_s", "done_by_s", "open_at_s", "final_at_s", "guess_error_s"), float),
    **dict.fromkeys(("latency_s", "elapsed_s", "retry_after_s"), float),
    **dict.fromkeys(TIMES, UTC_TIME),
    **dict.fromkeys(AMOUNTS, object),
}
_ALL = 2**31 - 1


def read_frames(database: Database, query: str, *, rows: int = _ALL, **parameters: bool) -> Iterator[pd.DataFrame]:
    """Yield what one of these queries finds, so many rows at a time; one empty frame if there is none."""
    with database.reading() as db:
        for frame in pd.read_sql_query(query, db, params=parameters, chunksize=rows):
            for name in frame:
                frame[name] = _typed(frame[name])
            yield frame


def _typed(column: pd.Series) -> pd.Series:
    if column.name in TIMES:
        return pd.to_datetime(column.astype("Int64"), unit="us", utc=True).dt.as_unit("us")
    if column.name in AMOUNTS:
        return pd.Series([None if pd.isna(text) else Decimal(text) for text in column], dtype=object)
    if column.name == "problems":
        column = column.map(lambda texts: "; ".join(json.loads(texts)))
    return column.astype(COLUMN_TYPES[str(column.name)])
