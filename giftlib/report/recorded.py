"""A journal as a report reads it: its orders, the account's transactions, and what the page says of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from giftlib.analysis import read_transactions
from giftlib.api import GiftlibError
from giftlib.journal import Journal
from giftlib.report.archive import metadata_of
from giftlib.report.head import heads_of
from giftlib.report.measured import read_transactions_file, transactions_of
from giftlib.report.provenance import sources_of
from giftlib.report.requirements import Requirement


class Recorded(NamedTuple):
    """The journal's file, its bytes and frames, what a report before noted, the page's heads, and the transactions."""

    path: Path
    journal: bytes
    orders: pd.DataFrame
    polls: pd.DataFrame
    metadata: Any
    heads: list[dict[str, Any]]
    transactions: dict[str, pd.DataFrame]


def read_recorded(path: Path, requirements: Sequence[Requirement], account: pd.DataFrame | None = None) -> Recorded:
    """Read the journal; raises GiftlibError for one without orders, and many others for a damaged one."""
    with Journal(path) as journal:
        orders, polls, intents, known = journal.orders(), journal.polls(), journal.intents(), journal.sources()
    if orders.empty:
        raise GiftlibError("there are no orders to report")
    metadata = metadata_of(path)
    sources = sources_of(metadata or [], orders, known)
    transactions = transactions_of(metadata or [], orders, account)
    heads = heads_of(sources, polls, intents, transactions, requirements)
    return Recorded(path, path.read_bytes(), orders, polls, metadata, heads, transactions)


def read_account(path: Path) -> pd.DataFrame:
    """Read a CSV file of transactions; raises GiftlibError for another."""
    try:
        return read_transactions(read_transactions_file(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise GiftlibError(f"{path} is no CSV file of transactions: {error}") from None


def brief(metadata: Any) -> Any:
    """Leave out the transactions, which have a file of their own."""
    return metadata and [{name: of[name] for name in of if name != "transactions"} for of in metadata]
