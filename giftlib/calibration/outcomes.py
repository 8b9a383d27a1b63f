"""What the orders placed show: what they cost, what was delivered and what was given back."""

from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from .probes import Offer, find_balance
from .samples import GUIDES_PRODUCT, LONGEST_S, UNKNOWN_ITEM, watch
from .session import CalibrationSession, UnclearError, name_orders

_LATE_REFUND_S = 61.0
_REFUNDS: dict[tuple[Any, ...], str] = {
    (0, 0): "credited", (-1, -1): "missing", (-1, 0): "late", (1, 1): "doubled",
}  # fmt: skip
"""By how many refunds there were more than one, when the order was final and a minute later."""


class Refund(NamedTuple):
    """Hold a refunded order's id and amount, and what the account showed before it, when it was final and later."""

    order_id: str
    amount: Decimal | None
    balances: list[Decimal | None]
    transactions: list[Counter[str | None]]


def follow_refund(session: CalibrationSession) -> Refund | None:
    """Place an order that is refunded, and ask for the account until a late refund would be there."""
    with session.finding("refunds"):
        before = find_balance(session)
        order_id = session.place(GUIDES_PRODUCT, "TEST_REFUND", 2)
        order = watch(session, order_id)
        if order is None:
            raise UnclearError(f"order {order_id} was not final within {LONGEST_S:g} s")
        refund = Refund(order_id, order.refunded_amount, [before], [])
        for pause_s in (0.0, _LATE_REFUND_S):
            session.client.clock.sleep(pause_s)
            refund.balances.append(find_balance(session))
            refund.transactions.append(_transactions(session, order_id))
        return refund
    return None


def find_transactions(session: CalibrationSession, order_id: str) -> None:
    """Find whether a transaction names the order."""
    with session.finding("transactions_listed"):
        count = _transactions(session, order_id).total()
        session.found("transactions_listed", count > 0, f"{name_orders([order_id])}: {count} transactions")


def _transactions(session: CalibrationSession, order_id: str) -> Counter[str | None]:
    """Return how many transactions name the order, by type."""
    newest = session.newest(session.client.transactions)
    return Counter(each.type for each in newest if each.object_id == order_id)


def find_outcomes(session: CalibrationSession, offers: list[Offer]) -> None:
    """Find what a card costs, in dinars, and what became of TEST_PARTIAL orders of three cards and of one."""
    orders, listed = session.orders(), {offer.type_id: offer.price for offer in offers}
    partial = orders[(orders["type_id"] == "TEST_PARTIAL") & orders["fulfilled_quantity"].notna()]
    three, one = partial[partial["quantity"] == 3], partial[partial["quantity"] == 1]
    _find(session, "partial_rounding", three, three["fulfilled_quantity"], {1: "down", 2: "up"}.get)
    _find(session, "partial_status", three, three["status"])
    status_of_part = session.findings["partial_status"].value

    def way_of_one(outcome: tuple[str, bool]) -> str | None:
        counted = "FULFILLED" if outcome[1] else "REFUNDED"
        if counted == status_of_part:
            raise UnclearError("both would be the same")
        return {counted: "as counted", status_of_part: "PARTIALLY_FILLED"}.get(outcome[0])

    _find(session, "partial_of_one", one, zip(one["status"], one["fulfilled_quantity"] > 0, strict=True), way_of_one)
    priced = orders[orders["price_per_card"].notna()]
    for name, type_ids in {
        "test_type_price": ["TEST_PARTIAL", "TEST_REFUND"],
        "unknown_type_price": UNKNOWN_ITEM[1:],
    }.items():
        rows = priced[priced["type_id"].isin(type_ids)]
        _find(session, name, rows, rows["price_per_card"])
    known = priced[priced["type_id"].isin(list(listed))]
    prices = zip(known["type_id"], known["price_per_card"], strict=True)
    own_prices = [None if price == listed[type_id] else price for type_id, price in prices]
    _find(session, "known_type_price", known, own_prices)


def find_refunds(session: CalibrationSession, refund: Refund | None) -> None:
    """Find whether the balance follows the orders, and what became of the refund."""
    with session.finding("balance_moves"):
        orders, moves = session.orders(), len(set(session.balances)) > 1
        if not moves and not orders["fulfilled_amount"].dropna().sum():
            raise UnclearError("no order cost anything")
        evidence = f"{len(session.balances)} responses with the balance, {len(orders)} orders"
        session.found("balance_moves", moves, evidence)
    with session.finding("refunds"):
        if refund is None:
            raise UnclearError("no refund was seen")
        more: tuple[Any, ...] = tuple(types["REFUND-ORDER"] - 1 for types in refund.transactions)
        if not refund.transactions[0]:
            before, *later = [balance for balance in refund.balances if balance is not None] or [None]
            if session.findings["balance_moves"].value is not True or before is None or not refund.amount:
                raise UnclearError("neither transactions nor the balance show any")
            more = tuple((balance - before) / refund.amount for balance in later if balance is not None)
        evidence = f"{name_orders([refund.order_id])}: {refund.transactions[-1].total()} transactions"
        session.found("refunds", _REFUNDS.get(more), evidence)


def _find(
    session: CalibrationSession, name: str, rows: Any, values: Iterable[Any], read: Callable[[Any], Any] = lambda x: x
) -> None:
    """Keep what the one value that all rows have says; unclear if there are several or none."""
    with session.finding(name):
        different = set(values)
        if len(different) != 1:
            raise UnclearError("orders of the type differ" if different else "no order of the type was shown final")
        session.found(name, read(different.pop()), name_orders(rows["order_id"]))
