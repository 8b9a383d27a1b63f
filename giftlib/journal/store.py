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

from giftlib.api import JournalError, Source, as_html

from .frames import INTENTS, ORDERS, POLLS, SOURCES, read_frames
from .merging import merge_journals
from .parquet import export_orders
from .rows import number_of
from .tables import Database
from .writer import JournalWriter


class Journal(JournalWriter):
    """Keep orders and polls in memory, or in a file that outlives the process.

    Several threads may share a journal, and several processes a file. Each order belongs to a *source*: the vendor or
    another host, with the account and kind of key, or one emulator; ids are unique within a source.

    Raise JournalError for a file that is no journal, or one of another version, and wherever one cannot be read or
    written. Where `GIFTLIB_JOURNAL_DIR` names a folder, a journal "in memory" is a new file there, so that a killed
    process loses none of its orders.

    >>> from giftlib import Journal, Sandbox, process_orders
    >>> with Sandbox(seed=1) as sandbox, Journal() as journal:
    ...     _ = process_orders([("507f1f77bcf86cd799439011", "TEST_PARTIAL", 4)] * 2, client=sandbox.client(),
    ...         journal=journal)
    ...     print(journal, journal.orders()["refunded_quantity"].tolist())
    Journal(2 orders, 2 final; emulator) [2, 2]
    """

    def __init__(self, path: str | PathLike[str] = ":memory:") -> None:
        if path == ":memory:" and (folder := os.environ.get("GIFTLIB_JOURNAL_DIR")):
            path = Path(folder, f"{time_ns()}-{uuid4().hex}.sqlite")
        super().__init__(Database(path))

    def __repr__(self) -> str:
        sources = self.sources()
        names = [*sources["name"][:3], *["…"] * (len(sources) > 3)]
        origin = f"; {', '.join(names)}" if names else ""
        return f"Journal({sources['orders'].sum()} orders, {sources['final'].sum()} final{origin})"

    def _repr_html_(self) -> str:
        sources = self.sources().astype(object)
        sources = sources.where(sources.notna(), None)
        facts: dict[str, object] = {
            row["name"]: ", ".join([
                *[row["host"]] * (row["kind"] == "vendor"), *[f"{row['key_type']} key"] * (row["key_type"] is not None),
                f"{row['orders']} orders, {row['final']} final",
            ])
            for row in sources.to_dict("records")
        }  # fmt: skip
        return as_html("Journal", facts or {"orders": 0})

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the journal cannot be used afterwards."""
        self._database.close()

    def save(self, path: str | PathLike[str]) -> None:
        """Write a copy to a new file at `path`; raise JournalError if there is one, or if it cannot be written."""
        if Path(path).exists():
            raise JournalError(f"{path} cannot be written: there is something already")
        with self._database.reading(f"{path} cannot be written") as db:
            db.execute("VACUUM INTO ?", (str(Path(path).absolute()),))

    def merge(self, *paths: str | PathLike[str]) -> None:
        """Add what the journals in these files hold; what both hold stays once, and an order seen final stays final.

        The files stay as they are. Raise JournalError for a file that is no journal or empty, or if a `ref` stands for
        one order here and for another there; nothing of that file is added, and those before it stay.
        """
        merge_journals(self._database, paths)

    def sources(self) -> pd.DataFrame:
        """Return one row per source of orders, in the order in which they were first seen.

        Columns: name (as in `source` of the other frames), kind ("vendor", "emulator", "other" or "unknown"), host,
        account, key_type, orders and final (numbers of orders).
        """
        return next(read_frames(self._database, SOURCES))

    def unfinished(self, source: Source | None = None) -> list[str]:
        """Return the ids of the orders not yet seen final, of all sources or of that of a client (`client.source`).

        They are in the order in which the journal came to know them. Orders of a source that is not known are included.
        """
        with self._database.reading() as db:
            found = db.execute(
                "SELECT order_id FROM orders JOIN sources USING (source)"
                " WHERE NOT is_final AND (? OR kind = 'unknown' OR source = ?) ORDER BY number",
                (source is None, source and number_of(db, source, add=False)),
            )
            return [order_id for (order_id,) in found]

    def intents(self) -> pd.DataFrame:
        """Return one row per order request, in the order in which they were begun.

        Columns: intent (its number), sent_at (UTC), product_id, type_id, quantity, state, order_id (None unless
        placed), ref, source (a name in `sources()`). The states: "intended" (under way, or its process was killed),
        "placed", "not placed" (rejected, nothing was ordered), "unknown" (the response was lost).
        """
        return next(read_frames(self._database, INTENTS))

    def orders(self, *, trust_lists: bool = True) -> pd.DataFrame:
        """Return one row per order, in the order in which the journal came to know them.

        Columns: order_id, product_id, type_id, quantity, placed_at (UTC), status (None before the first poll),
        polls, not_done_by_s, done_by_s, open_at_s, final_at_s, guess_error_s, fulfilled_quantity, price_per_card,
        fulfilled_amount, refunded_quantity, refunded_amount (dinars, Decimal, None where unknown), problems (text),
        ref, source (a name in `sources()`).

        The seconds T from placement to the final status lie in `not_done_by_s < T <= done_by_s`: the last poll that
        showed the order open was sent after the first, the response of the first poll that showed it final came by
        the second (infinity while there is none). Both count from the order request, which takes time itself. Within
        one run they are monotonic seconds. Between runs, and for an order placed elsewhere, they are those of the API's
        clock, which its responses show, from the time of placement that it reports; a wall clock here that is wrong or
        was set does not matter. If no response has a time, `done_by_s` is infinite for an order that was placed in one
        run and seen final in another. Nothing is known (0 and infinity) of an order that was final before it was placed
        or was still open: the API's clock was set.

        Within these guaranteed bounds, `open_at_s` and `final_at_s` are the best guesses of the times at which the
        server answered the two polls, from the time at which it placed the order: the middle of each request. Each is
        off by `guess_error_s` at most, half of what the requests took. Estimates use them.

        The order list may lag behind the orders. Once a list has shown an order open that was final before, no list
        bounds any interval of its source from below; with `trust_lists=False` none ever does, which holds also where no
        lag was noticed. Guesses use lists all the same, earlier by the lag that was seen, which `guess_error_s` has
        too; a lag that was not seen shifts them.
        """
        return next(read_frames(self._database, ORDERS, trust_lists=trust_lists))

    def to_parquet(self, directory: str | PathLike[str]) -> None:
        """Write `orders()` to a new or empty directory, for `dask.dataframe.read_parquet(directory)`.

        The files are partitioned by `day`, the UTC day of `placed_at` ("unknown" without one), and hold up to 100,000
        orders each, so the journal may be larger than the memory. Amounts are exact: Arrow decimals with as many
        decimals as the finest amount needs, two or more. Nothing is written unless everything is.

        Raise ValueError for a directory that is not empty, JournalError if there is no order, if the files cannot be
        written, or without pyarrow (`pip install "giftlib[scale]"`).
        """
        export_orders(self._database, directory)

    def polls(self) -> pd.DataFrame:
        """Return one row per poll, in the order in which they were made.

        Columns: order_id, attempt (from 1 for each order), via ("check" or "list"; one list request gives a row to
        every order that it shows, one that failed to one of those that it was sent for), sent_at, received_at (UTC, by
        the wall clock here), latency_s, elapsed_s (to the sending of this poll: from the response to the order request,
        or in another run and for an order placed elsewhere from the time that the API reports, by its clock; missing if
        that is not known), outcome (a status, an error code, "NO_ANSWER" or
        "INTERRUPTED"), http_status, retry_after_s, request_id, source.
        """
        return next(read_frames(self._database, POLLS))
