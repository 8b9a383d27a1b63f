"""Compare orders with the account's transactions: what does not match, and why."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from decimal import Decimal
from typing import Any, NamedTuple

import pandas as pd

from giftlib.analysis.columns import require_columns
from giftlib.api import FINAL, Transaction

_CHARGE, _REFUND = "ORDER", "REFUND-ORDER"
_OUTGOING = {"FLEXY", "ADSL", _CHARGE, "WITHDRAW", "SEND", "SERVICE"}
"""The documented types that lower the balance; all others raise it."""


class _Mismatch(NamedTuple):
    order_id: str | None
    transaction_id: str | None
    problem: str
    expected: Decimal | None
    found: Decimal | None


def reconcile_refunds(orders: pd.DataFrame, transactions: "Iterable[Transaction] | pd.DataFrame") -> pd.DataFrame:
    """Compare every order with its `ORDER` and `REFUND-ORDER` transactions, and all these with the running balance.

    `orders` is a journal's frame. `transactions` are those of the account since the first of the orders, in any order,
    as `Client.transactions` gives them or a frame of their fields. A transaction that is there twice, as when pages of
    a growing list overlap, counts once. Transactions of other types count for the balance only.

    Gives one row per mismatch, none if all is well: order_id, transaction_id, problem, expected and found (dinars,
    Decimal, None where there is none). The problems: "no charge" (of an order that costs something), "charged twice",
    "charge differs", "refund missing", "refunded twice", "refund differs", "refund not due" (also while the order is
    open), "transaction with no order", and "balance does not follow": the new balance is not the old one and the
    amount, or the old balance is not the new one of the transaction before. What an order should have cost is known
    once it is final. Raises ValueError for a missing column.

    >>> from giftlib import Sandbox, process_orders
    >>> with Sandbox(seed=1, refunds="missing") as sandbox:
    ...     client = sandbox.client()
    ...     journal = process_orders([("507f1f77bcf86cd799439011", "TEST_REFUND", 2)], client=client)
    ...     reconcile_refunds(journal.orders(), client.transactions())[["problem", "expected", "found"]]
              problem expected found
    0  refund missing      980  None
    """
    require_columns("orders", orders, ["order_id", "status", "quantity", "price_per_card", "refunded_amount"])
    if "source" in orders and len(sources := orders["source"].dropna().unique()) > 1:
        raise ValueError(f"orders must be of one source, as the transactions are, got {', '.join(map(str, sources))}")
    rows = _rows(transactions)
    mismatches = [*_of_orders(orders, rows), *_without_order(set(orders["order_id"]), rows), *_of_the_balance(rows)]
    return pd.DataFrame(mismatches, columns=_Mismatch._fields).astype({"expected": object, "found": object})


def _rows(transactions: "Iterable[Transaction] | pd.DataFrame") -> list[dict[str, Any]]:
    """Give each transaction once, oldest first."""
    if isinstance(transactions, pd.DataFrame):
        require_columns("transactions", transactions, list(Transaction.__dataclass_fields__))
        rows: list[dict[Any, Any]] = transactions.astype(object).where(transactions.notna(), None).to_dict("records")
    else:
        rows = [asdict(transaction) for transaction in transactions]
    once = {row["transaction_id"] or number: row for number, row in enumerate(rows)}
    # An id begins with its time and ends with a counter, so it puts transactions of the same time in order.
    return sorted(once.values(), key=lambda row: (row["time"] is not None, row["time"], row["transaction_id"] or ""))


def _of_orders(orders: pd.DataFrame, rows: list[dict[str, Any]]) -> Iterator[_Mismatch]:
    of_order: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        of_order.setdefault((row["object_id"], row["type"]), []).append(row)
    for order in orders.to_dict("records"):
        order_id, is_final = order["order_id"], order["status"] in FINAL
        if pd.isna(order_id):
            continue
        price, refund, quantity = (
            None if pd.isna(order[name]) else order[name] for name in ("price_per_card", "refunded_amount", "quantity")
        )
        cost = int(quantity) * price if is_final and price is not None and quantity is not None else None
        charges, refunds = (of_order.get((order_id, type_), []) for type_ in (_CHARGE, _REFUND))
        if not charges and cost != 0:
            yield _Mismatch(order_id, None, "no charge", cost, None)
        for charge in charges[1:]:
            yield _Mismatch(order_id, charge["transaction_id"], "charged twice", None, charge["amount"])
        if charges and cost is not None and charges[0]["amount"] != cost:
            yield _Mismatch(order_id, charges[0]["transaction_id"], "charge differs", cost, charges[0]["amount"])
        if refund and not refunds:
            yield _Mismatch(order_id, None, "refund missing", refund, None)
        for again in refunds[1:]:
            yield _Mismatch(order_id, again["transaction_id"], "refunded twice", None, again["amount"])
        if refunds and refund != refunds[0]["amount"] and (refund is not None or not is_final):
            problem = "refund differs" if refund else "refund not due"
            yield _Mismatch(order_id, refunds[0]["transaction_id"], problem, refund, refunds[0]["amount"])


def _without_order(order_ids: set[str], rows: list[dict[str, Any]]) -> Iterator[_Mismatch]:
    for row in rows:
        if row["type"] in (_CHARGE, _REFUND) and row["object_id"] not in order_ids:
            yield _Mismatch(row["object_id"], row["transaction_id"], "transaction with no order", None, row["amount"])


def _of_the_balance(rows: list[dict[str, Any]]) -> Iterator[_Mismatch]:
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
