"""Compare orders with the account's transactions: what does not match, and why."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import tzinfo
from decimal import Decimal, localcontext
from itertools import accumulate, groupby
from math import inf
from typing import Any, NamedTuple

import pandas as pd

from giftlib.analysis import accounts
from giftlib.analysis.columns import (
    orders_frame,
    require_columns,
    require_seconds,
    seconds_of,
    statuses_of,
    times_of,
    zone_of,
)
from giftlib.api import Transaction

Row = dict[Any, Any]
_NOTHING = Decimal(0)
_OUTGOING = {"FLEXY", "ADSL", accounts.CHARGE, "WITHDRAW", "SEND", "SERVICE"}
"""The documented types that lower the balance; all others raise it."""


class _Mismatch(NamedTuple):
    order_id: str | None
    transaction_id: str | None
    problem: str
    expected: Decimal | None
    found: Decimal | None


def reconcile_refunds(
    orders: Any,
    transactions: "Iterable[Transaction] | pd.DataFrame",
    *,
    late_after_s: float = inf,
    time_zone: str = "UTC",
) -> pd.DataFrame:
    """Compare every order with its `ORDER` and `REFUND-ORDER` transactions, and all these with the running balance.

    `orders` is a journal or its frame in pandas or Dask. `transactions` are those of the account since the first of the
    orders, in any order, as `Client.all_transactions` gives them or a frame of their fields; both frames may come from
    CSV files. A transaction that is there twice, as when pages of a growing list overlap, counts once. Transactions of
    other types count for the balance only; those of one time follow each other as their balances do.

    Gives one row per mismatch, none if all is well: order_id, transaction_id, problem, expected and found (dinars,
    Decimal, None where there is none). The problems: "no charge" (of an order that costs something), "no charge, price
    unknown", "charged twice", "charge differs", "charge not comparable, price unknown", "refund missing", "refund
    differs" (all its parts together), "refund missing, amount unknown", "refund not comparable, amount unknown",
    "refunded twice" (again when the parts had added up), "refund not due", "in flight" (refunded while the journal has
    it open), "delivered too many" (more cards than ordered), "transaction with no order", and "balance does not
    follow": the new balance is not the old one and the amount, or the old balance is not the new one of the transaction
    before. What an order should have cost is known once it is final. A refund without an amount is that of the cards
    refunded, if `refunded_quantity` or the status says how many, at their price.

    Two more say when a correct refund came: "refund late", over `late_after_s` seconds after the order was seen final
    (`placed_at` and `done_by_s`), and "refunded on another day" than the order was placed, in `time_zone`: by the day,
    the orders and the account then have different sums.

    Raises ValueError for a missing column, an order that is there twice, and for what is no amount, count or time.

    >>> from giftlib import Sandbox, process_orders
    >>> with Sandbox(seed=1, refunds="missing") as sandbox:
    ...     client = sandbox.client()
    ...     journal = process_orders([("507f1f77bcf86cd799439011", "TEST_REFUND", 2)], client=client)
    ...     reconcile_refunds(journal.orders(), client.transactions())[["problem", "expected", "found"]]
              problem expected found
    0  refund missing      980  None
    """
    orders, zone = orders_frame(orders), zone_of(time_zone)
    require_columns("orders", orders, ["order_id", "status", "quantity", "price_per_card", "refunded_amount"])
    orders = orders if isinstance(orders, pd.DataFrame) else orders.compute()
    require_seconds("late_after_s", late_after_s)
    rows = list(_in_order(accounts.read_transactions(transactions).to_dict("records")))
    accounts.require_account(orders, transactions)
    read = _read(orders)
    order_ids, of_orders = {order["order_id"] for order in read}, (accounts.CHARGE, accounts.REFUND)
    with localcontext(accounts.EXACT):
        mismatches = [
            *_of_orders(read, rows, late_after_s, zone),
            *(_Mismatch(row["object_id"], row["transaction_id"], "transaction with no order", None, row["amount"])
              for row in rows if row["type"] in of_orders and row["object_id"] not in order_ids),
            *_of_the_balance(rows),
        ]  # fmt: skip
    return pd.DataFrame(mismatches, columns=_Mismatch._fields).astype({"expected": object, "found": object})


def _read(orders: pd.DataFrame) -> list[Row]:
    counts = ["fulfilled_quantity", "refunded_quantity"]
    orders = orders.reindex(columns=[*dict.fromkeys([*orders.columns, "placed_at", "done_by_s", *counts])])
    read = pd.DataFrame({
        "order_id": accounts.ids_of(orders["order_id"]), "status": statuses_of(orders["status"]),
        "is_final": accounts.finals_of(orders), "refunded_quantity": accounts.counts_of(orders["refunded_quantity"]),
        "quantity": accounts.counts_of(orders["quantity"]), "price": accounts.amounts_of(orders["price_per_card"])[0],
        "refund": accounts.amounts_of(orders["refunded_amount"])[0], "placed_at": times_of(orders, "placed_at"),
        "done_by_s": seconds_of(orders["done_by_s"]),
        "extra": accounts.counts_of(orders["fulfilled_quantity"]) - accounts.counts_of(orders["quantity"]),
    })  # fmt: skip
    return read[read["order_id"].notna()].to_dict("records")


def _of_orders(orders: list[Row], rows: list[Row], late_after_s: float, zone: tzinfo) -> Iterator[_Mismatch]:
    of_order: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        of_order.setdefault((row["object_id"], row["type"]), []).append(row)
    for order in orders:
        order_id, price, refund = order["order_id"], order["price"], _refund(order)
        is_known = order["is_final"] and price is not None and pd.notna(order["quantity"])
        cost = int(order["quantity"]) * price if is_known else None
        charges, refunds = (of_order.get((order_id, type_), []) for type_ in (accounts.CHARGE, accounts.REFUND))
        if not charges and cost != 0:
            yield _Mismatch(order_id, None, "no charge" if cost else "no charge, price unknown", cost, None)
        for charge in charges[1:]:
            yield _Mismatch(order_id, charge["transaction_id"], "charged twice", None, charge["amount"])
        if charges and cost is not None and charges[0]["amount"] != cost:
            yield _Mismatch(order_id, charges[0]["transaction_id"], "charge differs", cost, charges[0]["amount"])
        if charges and cost is None and order["is_final"]:
            unknown = "charge not comparable, price unknown"
            yield _Mismatch(order_id, charges[0]["transaction_id"], unknown, None, charges[0]["amount"])
        if order["extra"] > 0 or (refund is not None and refund < 0):
            paid = None if cost is None or refund is None else cost - refund
            yield _Mismatch(order_id, None, "delivered too many", cost, paid)
        yield from _of_refunds(order, refund, refunds, late_after_s, zone)


def _refund(order: Row) -> Decimal | None:
    """Give an order's refund or, where only its amount is not known, the price of the cards that it did not deliver."""
    cards = order["refunded_quantity"]
    if order["refund"] is not None or not order["is_final"]:
        refund: Decimal | None = order["refund"]
        return refund
    if order["extra"] > 0:
        return _NOTHING if order["price"] is None else -int(order["extra"]) * order["price"]
    if pd.isna(cards):
        cards = {"FULFILLED": 0, "REFUNDED": order["quantity"]}.get(order["status"])
    if cards == 0:
        return _NOTHING
    return None if pd.isna(cards) or order["price"] is None else int(cards) * order["price"]


def _of_refunds(
    order: Row, due: Decimal | None, refunds: list[Row], late_after_s: float, zone: tzinfo
) -> Iterator[_Mismatch]:
    order_id, again = order["order_id"], "refunded twice"
    totals = list(accumulate([_NOTHING, *(row["amount"] for row in refunds)], _plus))
    if not order["is_final"]:
        due, again = _NOTHING, "in flight"
    elif due is not None and due <= 0:
        due, again = _NOTHING, "refund not due"
    if due is None and refunds:
        unknown = "refund not comparable, amount unknown"
        yield _Mismatch(order_id, refunds[-1]["transaction_id"], unknown, None, totals[-1])
    elif due is None:
        yield _Mismatch(order_id, None, "refund missing, amount unknown", None, None)
    elif due in totals:
        parts = totals.index(due)
        yield from _of_times(order, refunds[:parts], late_after_s, zone)
        for refund in refunds[parts:]:
            yield _Mismatch(order_id, refund["transaction_id"], again, None, refund["amount"])
    elif refunds:
        yield _Mismatch(order_id, refunds[-1]["transaction_id"], "refund differs", due, totals[-1])
    else:
        yield _Mismatch(order_id, None, "refund missing", due, None)


def _plus(total: Decimal | None, amount: Decimal | None) -> Decimal | None:
    return None if total is None or amount is None else total + amount


def _of_times(order: Row, refunds: list[Row], late_after_s: float, zone: tzinfo) -> Iterator[_Mismatch]:
    """Name the parts of a correct refund that came late, or on another day than the order was placed."""
    placed_at = order["placed_at"]
    for row in refunds:
        if pd.isna(placed_at) or pd.isna(row["time"]):
            continue
        late = (row["time"] - placed_at).total_seconds() - order["done_by_s"] > late_after_s
        other_day = len({time.tz_convert(zone).date() for time in (placed_at, row["time"])}) > 1
        for problem, holds in (("refund late", late), ("refunded on another day", other_day)):
            if holds:
                yield _Mismatch(order["order_id"], row["transaction_id"], problem, row["amount"], row["amount"])


def _in_order(rows: list[Row]) -> Iterator[Row]:
    """Let each transaction of one time begin with the balance that another left, as far as that can be."""
    before: Decimal | None = None
    for _, same in groupby(rows, key=lambda row: str(row["time"])):
        for row in _chain(list(same), before):
            yield row
            before = row["new_balance"]


def _chain(rows: list[Row], before: Decimal | None) -> Iterator[Row]:
    """Give an order in which each begins with the balance that the one before left; after a gap it begins anew.

    That is an Eulerian path through the balances, found by Hierholzer's algorithm.
    """
    leaving: dict[Decimal | None, list[Row]] = {}
    for row in reversed(rows):
        leaving.setdefault(row["old_balance"], []).append(row)
    reached = Counter(row["new_balance"] for row in rows)
    gaps = [balance for balance, out in leaving.items() if len(out) > reached[balance]]
    for start in [before, *gaps, *leaving]:
        way: list[Row] = [{"new_balance": start}]
        back: list[Row] = []
        while way:
            if out := leaving.get(way[-1]["new_balance"]):
                way.append(out.pop())
            else:
                back.append(way.pop())
        yield from reversed(back[:-1])


def _of_the_balance(rows: list[Row]) -> Iterator[_Mismatch]:
    before: Decimal | None = None
    for row in rows:
        old, new, amount = row["old_balance"], row["new_balance"], row["amount"]
        if before is not None and old is not None and old != before:
            yield _Mismatch(row["object_id"], row["transaction_id"], "balance does not follow", before, old)
        if None not in (old, new, amount):
            due = old - amount if row["type"] in _OUTGOING else old + amount
            if new != due:
                yield _Mismatch(row["object_id"], row["transaction_id"], "balance does not follow", due, new)
        before = new
