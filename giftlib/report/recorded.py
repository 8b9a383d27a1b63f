"""A journal as a report keeps it, all orders and polls in one file, and what a report reads from it again."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from giftlib.analysis import read_transactions
from giftlib.api import GiftlibError, JournalError
from giftlib.journal import Journal
from giftlib.report.manifest import sha256

_ROWS = (
    "SELECT kind, account, key_type FROM sources ORDER BY source",
    "SELECT * FROM orders ORDER BY number",
    "SELECT intent, source, ref, state, sent_us, sent_s, received_us, received_s, placed FROM intents ORDER BY intent",
    "SELECT polled, via, sent_us, sent_s, received_us, received_s, outcome, request_id FROM polls ORDER BY id",
)
_RUNS = """
SELECT run FROM (SELECT run, 0 AS later, intent AS at FROM intents UNION ALL SELECT run, 1, id FROM polls)
GROUP BY run ORDER BY MIN(later), MIN(IIF(later, NULL, at)), MIN(at)
"""
_IDENTITIES = """
SELECT json_array(kind, account, key_type, instance, order_id) FROM orders JOIN sources USING (source) ORDER BY number
"""
UNREADABLE = (
    JournalError, sqlite3.Error, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError
)  # fmt: skip
"""What a damaged journal may raise."""
_REAL = ["vendor", "other"]
_UNKNOWN = "The journal does not record which API these orders came from."


def record(journals: Iterable[Path], metadata: Any, path: Path) -> None:
    """Write the orders and polls of all journals, in their order, and metadata (JSON) into a new journal at `path`.

    The same orders and polls give the same bytes: runs and emulators, whose names are drawn at random, are named after
    a digest of all that was recorded.
    """
    with TemporaryDirectory() as folder:
        merged = Path(folder, "merged.sqlite")
        with Journal(merged) as journal:
            journal.merge(*journals)
        with closing(sqlite3.connect(merged, isolation_level=None)) as db:
            digest = sha256(repr([db.execute(rows).fetchall() for rows in _ROWS]).encode())[:16]
            names = [(f"{digest} {number}", run) for number, (run,) in enumerate(db.execute(_RUNS).fetchall(), 1)]
            for table in ("intents", "polls"):
                db.executemany(f"UPDATE {table} SET run = ? WHERE run = ?", names)
            db.execute(
                "UPDATE sources SET instance = ? || ' ' || source, host = NULL WHERE kind = 'emulator'", (digest,)
            )
            db.execute("CREATE TABLE report (metadata TEXT NOT NULL)")
            db.execute("INSERT INTO report VALUES (?)", (json.dumps(metadata),))
            db.execute("VACUUM INTO ?", (str(path),))
    Journal(path).close()  # sets the file's mode, which reading would do otherwise


def record_account(account: pd.DataFrame, path: Path) -> None:
    """Write an account's transactions into the journal at `path`, beside those that are there."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE IF NOT EXISTS account (transactions TEXT NOT NULL UNIQUE)")
        db.execute("INSERT OR IGNORE INTO account VALUES (?)", (account.to_csv(index=False),))


class Source(NamedTuple):
    """An API or an emulator, in words, and the orders that were placed there."""

    description: str
    orders: pd.DataFrame


class Recorded(NamedTuple):
    """The frames of a journal, its sources, and the metadata of its notebooks; None if no report made the journal.

    `accounts` are the transactions that were given to reports of it.

    `orders` has a column more: `identity`, the same for the same order in another journal (as for `Journal.merge`); and
    `polls` has `failed`, true where a poll showed no order.
    """

    orders: pd.DataFrame
    polls: pd.DataFrame
    intents: pd.DataFrame
    sources: list[Source]
    metadata: Any
    accounts: Sequence[pd.DataFrame] = ()


def read_recorded(path: Path) -> Recorded:
    """Read the journal; raises many errors, `UNREADABLE`, for a damaged one."""
    with Journal(path) as journal:
        orders, polls, intents, known = journal.orders(), journal.polls(), journal.intents(), journal.sources()
    metadata, accounts = None, []
    with closing(sqlite3.connect(path)) as db:
        orders["identity"] = [identity for (identity,) in db.execute(_IDENTITIES)]
        showed_nothing = [shows is None for (shows,) in db.execute("SELECT shows FROM polls ORDER BY id")]
        polls["failed"] = np.array(showed_nothing, dtype=bool)
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema")}
        if "account" in tables:
            accounts = [_from_csv(text) for (text,) in db.execute("SELECT transactions FROM account ORDER BY rowid")]
        if "report" in tables:
            # Older reports named the column `note`.
            metadata = json.loads(db.execute("SELECT * FROM report").fetchone()[0])
    return Recorded(orders, polls, intents, sources_of(metadata or [], orders, known), metadata, accounts)


def sources_of(notebooks: Sequence[Mapping[str, Any]], orders: pd.DataFrame, known: pd.DataFrame) -> list[Source]:
    """List the sources of a report's orders: those of the vendor first, then those with most orders.

    The first is the one that the report judges: real money comes before a simulation, whatever their numbers. Each
    account at a real API is a source of its own.

    `notebooks` is the metadata of the notebooks that ran; `orders` has their orders in the same sequence, and after
    them those that no notebook placed, whose sources are `known` (`journal.sources()`). Raises ValueError if the
    metadata counts more orders than there are.
    """
    descriptions = [_description(notebook) for notebook in notebooks]
    if len(set(descriptions)) > 1:
        numbers = pd.Series([notebook["name"].partition("_")[0] for notebook in notebooks])
        together = numbers.groupby(descriptions).agg(", ".join)
        descriptions = [f"{each} Notebooks: {together[each]}." for each in descriptions]
    counts = [notebook["orders"] for notebook in notebooks]
    if sum(counts) > len(orders):
        raise ValueError(f"the metadata counts {sum(counts)} orders, the journal {len(orders)}")
    names = known.set_index("name").apply(_of_source, axis="columns") if len(known) else pd.Series(dtype=str)
    source_of_each = np.array([*np.repeat(descriptions, counts), *orders["source"].iloc[sum(counts) :].map(names)])
    real = known.loc[known["kind"].isin(_REAL), "name"]
    account_of_each = orders["source"].where(orders["source"].isin(real), "").to_numpy()
    sources = [
        Source(f"{description}{_accounts(known, frame)}", frame)
        for (description, _), frame in orders.groupby([source_of_each, account_of_each], sort=False)
    ]
    return sorted(sources, key=lambda source: (not source.description.startswith("Vendor"), -len(source.orders)))


def _accounts(known: pd.DataFrame, orders: pd.DataFrame) -> str:
    """Name the accounts by their last digits: an account is a telephone number."""
    real = known["kind"].isin(_REAL) & known["name"].isin(orders["source"])
    ends = known.loc[real, "account"].dropna().drop_duplicates().str[-4:]
    return f" Account ending in {', '.join(ends)}." if len(ends) else ""


def _description(notebook: Mapping[str, Any]) -> str:
    if "base_url" in notebook:
        return _of_source({"kind": notebook["environment"], "host": notebook["base_url"], **notebook})
    emulator = "Emulator: measured on the embedded emulator and its simulated clock; not the vendor's figures."
    if notebook["settings"] is None:
        return f"{emulator} The notebook's cells show its settings."
    changed = ", ".join(f"{name} = {value}" for name, value in notebook["settings"].items())
    return f"{emulator} Settings: {changed}." if changed else emulator


def _of_source(source: Mapping[str, Any]) -> str:
    key = str(source["key_type"]).lower()
    return {
        "vendor": f"Vendor {key}: measured on the API at {source['host']} with a {key} key.",
        "other": f"Other host: measured on the API at {source['host']} with a {key} key; it is not the vendor's.",
        "emulator": "Emulator: measured on an emulator; not the vendor's figures.",
    }.get(source["kind"], _UNKNOWN)


def transactions_of(recorded: Recorded) -> dict[str, pd.DataFrame]:
    """Give the transactions of each account, by the source's name: those that notebooks kept, and that were given.

    A notebook's are of the account of its orders, which stand together in the journal; those that were given are of
    the source that each names, as a report's own do, or else of the sources whose orders they name. Transactions of
    several accounts at once cannot be told apart otherwise, and those that a notebook kept are left out.
    """
    found: dict[str, list[pd.DataFrame]] = {}
    orders, start = recorded.orders, 0
    for notebook in recorded.metadata or []:
        names = orders["source"].iloc[start : start + notebook["orders"]].unique()
        start += notebook["orders"]
        if "transactions" in notebook and len(names) == 1:
            found.setdefault(names[0], []).append(_from_csv(notebook["transactions"]))
    for account in recorded.accounts:
        if set() < set(account.get("source", ())) <= set(orders["source"]):
            for name, of_source in account.groupby("source"):
                found.setdefault(str(name), []).append(of_source)
            continue
        named = orders.loc[orders["order_id"].isin(account["object_id"]), "source"].unique()
        for name in named if len(named) else orders["source"].unique()[:1]:
            found.setdefault(name, []).append(account)
    return {name: read_transactions(pd.concat(frames)) for name, frames in found.items()}


def read_account(path: Path) -> pd.DataFrame:
    """Read a CSV file of transactions; raises GiftlibError for another."""
    try:
        raw = _from_csv(path.read_text(encoding="utf-8"))
        return read_transactions(raw.replace("^'", "", regex=True))  # which a report's has for Excel
    except ValueError as error:
        raise GiftlibError(f"{path} is no CSV file of transactions: {error}") from None


def _from_csv(text: str) -> pd.DataFrame:
    return pd.read_csv(StringIO(text), dtype=str, keep_default_na=False, na_values=[""])  # each field as it is written
