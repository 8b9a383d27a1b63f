"""What a report judges: the numbers of one source's orders, each computed once."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property

import pandas as pd

from giftlib.analysis import FulfilmentCurve, reconcile_refunds, refund_totals, time_to_fulfilment


class Measured:
    """Hold the orders of one source with their polls and requests, and count what the checks judge.

    `transactions` are those of the accounts, by the name that the orders' column `source` has. `mismatches` is what
    `reconcile_refunds` gives for these (None where no account is known), `reconciled` how many of the orders were
    compared. Raises ValueError for ill-typed orders.
    """

    def __init__(
        self, orders: pd.DataFrame, polls: pd.DataFrame, intents: pd.DataFrame, transactions: Mapping[str, pd.DataFrame]
    ) -> None:
        self.orders, self.polls = _priced(orders), polls
        self.totals = refund_totals(self.orders).iloc[0]
        limited = polls["http_status"].eq(429).fillna(False)
        self.limited = polls[limited]
        self.failed = polls[polls["failed"] & ~limited]
        self.unclear = intents[intents["state"].isin(["unknown", "intended"])]
        compared = [frame for name, frame in orders.groupby("source", sort=False) if name in transactions]
        rows = [reconcile_refunds(frame, transactions[frame["source"].iloc[0]]) for frame in compared]
        self.mismatches = pd.concat(rows, ignore_index=True) if rows else None
        self.reconciled = sum(map(len, compared))

    @cached_property
    def curve(self) -> FulfilmentCurve:
        """The time to fulfilment of these orders."""
        return time_to_fulfilment(self.orders)

    @property
    def contradictions(self) -> pd.DataFrame:
        """The orders whose responses contradict each other or cannot be right."""
        return self.orders[self.orders["problems"] != ""]

    @property
    def open(self) -> int:
        """The number of orders that are not final."""
        return int(self.totals["open_orders"])

    @property
    def outcomes(self) -> pd.Series:
        """The number of orders by status."""
        return self.orders["status"].fillna("unknown").value_counts().sort_index()

    @property
    def missing(self) -> Decimal:
        """The dinars that are due as refunds and were not credited."""
        rows = self.mismatches
        if rows is None:
            return Decimal(0)
        due = rows.loc[rows["problem"].isin(["refund missing", "refund differs"]), ["expected", "found"]]
        return sum((expected - (found or Decimal(0)) for expected, found in due.to_numpy(object)), Decimal(0))

    @property
    def wrong(self) -> pd.DataFrame:
        """The mismatches of these orders; not transactions of orders that this report does not have."""
        rows = self.mismatches
        elsewhere = ("transaction with no order", "refunded on another day")
        return pd.DataFrame() if rows is None else rows[~rows["problem"].isin(elsewhere)]

    @property
    def period(self) -> Sequence[pd.Timestamp]:
        """When the first order was placed and when the last response came; nothing where neither is known."""
        times = pd.concat([self.orders["placed_at"], self.polls["received_at"]]).dropna()
        return [times.min(), times.max()] if len(times) else []


def _priced(orders: pd.DataFrame) -> pd.DataFrame:
    """Give each order without a price, as open ones are, that of another order of its type, if there is one."""
    same = orders.groupby(["source", "product_id", "type_id"], dropna=False)["price_per_card"]
    known = orders["price_per_card"]
    return orders.assign(price_per_card=known.where(known.notna(), same.transform("first")))
