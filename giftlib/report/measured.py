"""What a report judges: the numbers of one source's orders, each computed once."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

import pandas as pd

from giftlib.analysis import FulfilmentCurve, dinars, reconcile_refunds, refund_totals, time_to_fulfilment
from giftlib.api import FINAL
from giftlib.report.tables import plural


class Money:
    """Hold what orders cost: `totals` of all, and the same `by_status`.

    An open order, which has no price yet, counts with that of another order of its type, if there is one.
    """

    def __init__(self, orders: pd.DataFrame) -> None:
        same = orders.groupby(["source", "product_id", "type_id"], dropna=False)["price_per_card"]
        known = orders["price_per_card"]
        priced = orders.assign(price_per_card=known.where(known.notna(), same.transform("first")))
        self.totals, self.by_status = refund_totals(priced).iloc[0], refund_totals(priced, by="status")
        self._is_open = self.by_status["open_orders"] > 0

    @property
    def unknown(self) -> int:
        """The number of amounts of final orders that are not known."""
        return int(self.by_status.loc[~self._is_open, "unknown_amounts"].sum())

    @property
    def in_flight(self) -> str:
        """Say how much is in flight."""
        known, unknown = self.totals["in_flight"], int(self.by_status.loc[self._is_open, "unknown_amounts"].sum())
        unpriced = f"{plural(unknown, 'order')} of unknown price"
        if unknown:
            return f"at least {dinars(known)} DA ({unpriced})" if known else unpriced
        return f"up to {dinars(known)} DA" if known else "0 DA"


class Measured:
    """Hold the orders of one source with their polls and requests, and count what the checks judge.

    `transactions` are those of the accounts, by the name that the orders' column `source` has. `mismatches` is what
    `reconcile_refunds` gives for these (None where no account is known), `reconciled` how many of the orders were
    compared. Raises ValueError for ill-typed orders.
    """

    def __init__(
        self, orders: pd.DataFrame, polls: pd.DataFrame, intents: pd.DataFrame, transactions: Mapping[str, pd.DataFrame]
    ) -> None:
        self.orders, self.polls, self.money = orders, polls, Money(orders)
        limited = polls["http_status"].eq(429).fillna(False)
        self.limited = polls[limited]
        self.failed = polls[polls["failed"] & ~limited]
        self.unclear = intents[intents["state"].isin(["unknown", "intended"])]
        compared = [frame for name, frame in orders.groupby("source", sort=False) if name in transactions]
        rows = [reconcile_refunds(frame, transactions[frame["source"].iloc[0]]) for frame in compared]
        self.mismatches = pd.concat(rows, ignore_index=True) if rows else None
        unknown = orders["status"].isin(FINAL) & orders["refunded_amount"].isna()
        self.unknown_refunds = int(unknown.sum())
        self.reconciled = sum(len(frame) - int(unknown[frame.index].sum()) for frame in compared)

    @cached_property
    def curve(self) -> FulfilmentCurve:
        """The time to fulfilment of these orders."""
        return time_to_fulfilment(self.orders)

    @property
    def problems(self) -> pd.Series:
        """What is the matter with the orders whose responses contradict each other, cannot be right or lack fields."""
        return self.orders.loc[self.orders["problems"] != "", "problems"]

    @property
    def lacking(self) -> int:
        """The number of orders whose responses only lack fields."""
        return int(self.problems.str.fullmatch(r"\w+ is missing(; \w+ is missing)*").sum())

    @property
    def open(self) -> int:
        """The number of orders that are not final."""
        return int(self.money.totals["open_orders"])

    @property
    def outcomes(self) -> pd.Series:
        """The number of orders by status."""
        return self.orders["status"].fillna("unknown").value_counts().sort_index()

    @cached_property
    def shortfalls(self) -> dict[Any, Decimal]:
        """By how much each wrong refund is too small, negative where too large, by its row in `wrong`."""
        return {
            row: of["expected"] - (of["found"] or 0)
            for row, of in self.wrong.iterrows()
            if of["problem"] == "refund missing" or (of["problem"] == "refund differs" and of["found"] is not None)
        }

    @property
    def missing(self) -> Decimal:
        """The dinars that are due as refunds and were not credited."""
        return sum((short for short in self.shortfalls.values() if short > 0), Decimal(0))

    @property
    def too_much(self) -> Decimal:
        """The dinars that other refunds are above what was due."""
        return -sum((short for short in self.shortfalls.values() if short < 0), Decimal(0))

    @property
    def wrong(self) -> pd.DataFrame:
        """The mismatches of these orders; not transactions of orders that this report does not have."""
        rows = self.mismatches
        if rows is None:
            return pd.DataFrame()
        elsewhere = rows["problem"].isin(["transaction with no order", "refunded on another day"])
        return rows[~elsewhere & ~rows["problem"].str.contains("not comparable")]

    @property
    def period(self) -> Sequence[pd.Timestamp]:
        """When the first order was placed and when the last response came; nothing where neither is known."""
        times = pd.concat([self.orders["placed_at"], self.polls["received_at"]]).dropna()
        return [times.min(), times.max()] if len(times) else []
