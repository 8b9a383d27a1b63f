"""What a report judges: the numbers of one source's orders, each computed once."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from io import StringIO
from typing import Any

import pandas as pd

from giftlib.analysis import FulfilmentCurve, read_transactions, reconcile_refunds, refund_totals, time_to_fulfilment
from giftlib.api import FINAL

_OPEN = "HANDLING"
_MISSING = ("refund missing", "refund differs")


def read_transactions_file(text: str) -> pd.DataFrame:
    """Read a CSV text of transactions, every field as it is written."""
    return pd.read_csv(StringIO(text), dtype=str, keep_default_na=False, na_values=[""])


def transactions_of(
    notebooks: Sequence[Mapping[str, Any]], orders: pd.DataFrame, account: pd.DataFrame | None = None
) -> dict[str, pd.DataFrame]:
    """Give the transactions of each account, by the source's name: those that notebooks kept, and `account`'s.

    A notebook's are of the account of its orders, which stand together in `orders`; those of `account` are of the
    sources whose orders they name. Transactions of several accounts at once cannot be told apart, and are left out.
    """
    found: dict[str, list[pd.DataFrame]] = {}
    start = 0
    for notebook in notebooks:
        names = orders["source"].iloc[start : start + notebook["orders"]].unique()
        start += notebook["orders"]
        if "transactions" in notebook and len(names) == 1:
            found.setdefault(names[0], []).append(read_transactions_file(notebook["transactions"]))
    if account is not None:
        named = orders.loc[orders["order_id"].isin(account["object_id"]), "source"].unique()
        for name in named if len(named) else orders["source"].unique()[:1]:
            found.setdefault(name, []).append(account)
    return {name: read_transactions(pd.concat(frames)) for name, frames in found.items()}


class Measured:
    """Hold the orders of one source with their polls and requests, and count what the checks judge.

    `transactions` are those of the accounts, by the name that the orders' column `source` has. `mismatches` is what
    `reconcile_refunds` gives for these, `reconciled` how many of the orders were compared.
    """

    def __init__(
        self, orders: pd.DataFrame, polls: pd.DataFrame, intents: pd.DataFrame, transactions: Mapping[str, pd.DataFrame]
    ) -> None:
        self.orders, self.polls = _priced(orders), polls
        self.totals = refund_totals(self.orders).iloc[0]
        limited = polls["http_status"].eq(429).fillna(False)
        self.limited = polls[limited]
        self.failed = polls[~polls["outcome"].isin([*FINAL, _OPEN]) & ~limited]
        self.unclear = intents[intents["state"].isin(["unknown", "intended"])]
        compared = [frame for name, frame in orders.groupby("source", sort=False) if name in transactions]
        rows = [reconcile_refunds(frame, transactions[frame["source"].iloc[0]]) for frame in compared]
        self.mismatches = pd.concat(rows, ignore_index=True) if rows else None
        self.reconciled = sum(map(len, compared))

    @cached_property
    def curve(self) -> FulfilmentCurve:
        """The time to fulfilment of these orders."""
        return time_to_fulfilment(self.orders)

    @cached_property
    def contradictions(self) -> pd.DataFrame:
        """The orders whose responses contradict each other or cannot be right."""
        return self.orders[self.orders["problems"] != ""]

    @property
    def open(self) -> int:
        """The number of orders that are not final."""
        return int(self.totals["open_orders"])

    @property
    def missing(self) -> Decimal:
        """The dinars that are due as refunds and were not credited."""
        rows = self.mismatches
        if rows is None:
            return Decimal(0)
        due = rows.loc[rows["problem"].isin(_MISSING), ["expected", "found"]].to_numpy(object)
        return sum((expected - (found or Decimal(0)) for expected, found in due), Decimal(0))

    @property
    def wrong(self) -> pd.DataFrame:
        """The mismatches of these orders; not transactions of orders that this report does not have."""
        rows = self.mismatches
        elsewhere = ("transaction with no order", "refunded on another day")
        return pd.DataFrame() if rows is None else rows[~rows["problem"].isin(elsewhere)]


def _priced(orders: pd.DataFrame) -> pd.DataFrame:
    """Give each order without a price, as open ones are, that of another order of its type, if there is one."""
    same = orders.groupby(["source", "product_id", "type_id"], dropna=False)["price_per_card"]
    known = orders["price_per_card"]
    return orders.assign(price_per_card=known.where(known.notna(), same.transform("first")))


def period_of(orders: pd.DataFrame, polls: pd.DataFrame) -> Sequence[pd.Timestamp]:
    """Give when the first order was placed and when the last response came; nothing where neither is known."""
    times = pd.concat([orders["placed_at"], polls["received_at"]]).dropna()
    return [times.min(), times.max()] if len(times) else []
