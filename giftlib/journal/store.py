"""Keep every order placed or watched and every poll of it, in SQLite, and return them as frames.

Nothing secret is written: no card code, no serial, no key. Each event has UTC and the monotonic seconds of its run, so
that durations within a run do not depend on changes of the wall clock.
"""

import os
from os import PathLike
from pathlib import Path
from time import time_ns
from uuid import uuid4

import pandas as pd

from .frames import INTENTS, POLLS, read_frame, read_orders
from .parquet import export_orders
from .tables import open_database
from .writer import JournalWriter


class Journal(JournalWriter):
    """Keep orders and polls in memory, or in a file that outlives the process; several processes may share a file.

    Raise JournalError for a file that is no journal, or one of another version. Where `GIFTLIB_JOURNAL_DIR` names a
    folder, a journal "in memory" is a new file there, so that a killed process loses none of its orders.

    >>> from giftlib import Journal, Sandbox, process_orders
    >>> with Sandbox(seed=1) as sandbox, Journal() as journal:
    ...     _ = process_orders([("507f1f77bcf86cd799439011", "TEST_PARTIAL", 4)] * 2, client=sandbox.client(),
    ...         journal=journal)
    ...     print(journal, journal.orders()["refunded_quantity"].tolist())
    Journal(2 orders, 2 final) [2, 2]
    """

    def __init__(self, path: str | PathLike[str] = ":memory:") -> None:
        if path == ":memory:" and (folder := os.environ.get("GIFTLIB_JOURNAL_DIR")):
            path = Path(folder, f"{time_ns()}-{uuid4().hex}.sqlite")
        super().__init__(open_database(path))

    def __repr__(self) -> str:
        orders, final = self._db.execute("SELECT COUNT(order_id), COALESCE(SUM(is_final), 0) FROM orders").fetchone()
        return f"Journal({orders} orders, {final} final)"

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the journal cannot be used afterwards."""
        self._db.close()

    def save(self, path: str | PathLike[str]) -> None:
        """Write a copy to a new file at `path`."""
        self._db.execute("VACUUM INTO ?", (str(path),))

    def unfinished(self) -> list[str]:
        """Return the ids of the orders not yet seen final, in the order in which they were placed."""
        rows = self._db.execute(
            "SELECT order_id FROM orders WHERE order_id IS NOT NULL AND NOT is_final ORDER BY intent"
        )
        return [order_id for (order_id,) in rows]

    def intents(self) -> pd.DataFrame:
        """Return one row per order request, in the order in which they were begun.

        Columns: intent (its number), sent_at (UTC), product_id, type_id, quantity, state, order_id (None unless
        placed). The states: "intended" (under way, or its process was killed), "placed", "not placed" (rejected,
        nothing was ordered), "unknown" (the response was lost).
        """
        return read_frame(self._db, INTENTS)

    def orders(self, *, trust_lists: bool = True) -> pd.DataFrame:
        """Return one row per order, in the order in which they were placed.

        Columns: order_id, product_id, type_id, quantity, placed_at (UTC), status (None before the first poll),
        polls, not_done_by_s, done_by_s, request_s, fulfilled_quantity, price_per_card, fulfilled_amount,
        refunded_quantity, refunded_amount (dinars, Decimal, None where unknown), problems (text).

        The seconds T from placement to the final status lie in `not_done_by_s < T <= done_by_s`: the last poll that
        showed the order open was sent after the first, the response of the first poll that showed it final came by
        the second (infinity while there is none). Both count from the order request, which takes time itself; it and
        the final poll make up `request_s` of the interval (NaN while there is no final poll). For an order placed
        elsewhere they count from the time that the API reports: its clock and this one must agree.

        The order list may lag behind the orders. Once a list has shown an order open that was final before, no list
        bounds any interval of this journal from below; with `trust_lists=False` none ever does.
        """
        return next(read_orders(self._db, trust_lists))

    def to_parquet(self, directory: str | PathLike[str]) -> None:
        """Write `orders()` to a new or empty directory, for `dask.dataframe.read_parquet(directory)`.

        The files are partitioned by `day`, the UTC day of `placed_at` ("unknown" without one), and hold up to 100,000
        orders each, so the journal may be larger than the memory. Amounts are exact: Arrow decimals with as many
        decimals as the finest amount needs, two or more. Nothing is written unless everything is.

        Raise ValueError for a directory that is not empty, JournalError if there is no order, if the files cannot be
        written, or without pyarrow (`pip install "giftlib[scale]"`).
        """
        export_orders(self._db, directory)

    def polls(self) -> pd.DataFrame:
        """Return one row per poll, in the order in which they were made.

        Columns: order_id, attempt (from 1 for each order), via ("check" or "list"; one list request gives a row to
        every order that it shows), sent_at, received_at (UTC), latency_s, elapsed_s (from the response to the order
        request, or for an order placed elsewhere from the time that the API reports, to the sending of this poll),
        outcome (a status, an error code, "NO_ANSWER" or "INTERRUPTED"), http_status, retry_after_s, request_id.
        """
        return read_frame(self._db, POLLS)
