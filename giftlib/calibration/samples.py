"""Orders placed to see what becomes of them, and what they show: prices, cards delivered, refunds."""

from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import cycle, islice
from typing import Any

from giftlib.api import Order, errors
from giftlib.clock import Timestamp
from giftlib.polling import Poller, process_orders, track_orders

from .durations import find_lists
from .probes import Offer, find_balance
from .session import CalibrationSession, UnclearError, name_orders

_GUIDES_PRODUCT = "507f1f77bcf86cd799439011"
_UNKNOWN_ITEM = ("string", "string")
"""Product and type of an order in a captured sample (DOC-REAL): the sandbox knows neither."""
_LONGEST_S, _IMPATIENT_S = 300.0, 60.0
"""How long orders are waited for, and how long where the first ones were not final within five minutes."""
_LEAST_PAUSE_S, _OF_AGE = 1.0, 6.0
"""The least pause between polls; later it is a sixth of the order's age."""
_FOR_MORE, _MOST_MORE = 20, 10
"""How many polls of the list may go to more orders that are polled closely, and how many such orders there may be."""
_LATE_REFUND_S = 61.0
_REFUNDS: dict[Any, str] = {(0, 0): "credited", (-1, -1): "missing", (-1, 0): "late", (1, 1): "doubled"}
"""By how many refunds there were more than one, when the order was final and a minute later."""


def try_order(session: CalibrationSession, offers: list[Offer]) -> tuple[tuple[str, str], str] | None:
    """Place an order of unknown ids, or else of the first offer; return item and order id, None if it was rejected."""
    items = [("unknown ids", _UNKNOWN_ITEM), *(("known ids", offer[:2]) for offer in offers[:1])]
    for name, item in items:
        with session.finding(name):
            try:
                order_id = session.place(*item, 1)
            except errors.PermissionDeniedError as error:
                if error.code.startswith(("IP_", "API_")):
                    raise
                session.found("key_scope", "READ-ONLY", f"{error.status} {error.code}")
                return None
            session.found(name, "placed", name_orders([order_id]))
            session.found("key_scope", "READ-WRITE", name_orders([order_id]))
            return item, order_id
    return None


def watch(session: CalibrationSession, order_id: str, *, in_list: bool = False) -> Order | None:
    """Poll an order just placed by itself and in the list, in turn, until it is final or five minutes old.

    Return it if it is final. With `in_list`, poll on until the list shows it final as well, unless lists fail.
    """
    clock, poller = session.client.clock, Poller(session.client, session.journal, None)
    placed, final = clock.monotonic(), None
    lists_fail = listed_final = False
    while True:
        if final is None:
            session.wait(at_once=True)
            order = poller.check(order_id).order
            final = order if order is not None and order.is_final else None
        if not lists_fail:
            lists_fail = True
            with session.finding("list_lag_s", "list_hides_s"):
                sent = Timestamp.now(clock)
                newest = session.newest(session.client.list_orders, at_once=True)
                lists_fail = False
                shown = [each for each in newest if each.order_id == order_id]
                session.hidden_s = max(session.hidden_s, 0.0 if shown else sent.monotonic - placed)
                for listed in shown:
                    poller.record("list", sent, {order_id: listed})
                    listed_final = listed.is_final
        age = clock.monotonic() - placed
        if age >= _LONGEST_S or (final and (listed_final or lists_fail or not in_list)):
            return final
        clock.sleep(max(_LEAST_PAUSE_S, age / _OF_AGE))


def place_many(
    session: CalibrationSession, item: tuple[str, str], offers: list[Offer], orders: int, others: list[str]
) -> None:
    """Place so many orders of all types, only a few if that is 0, and wait for them and then for the `others`.

    Where lists are late or hide orders, first poll some closely, one after the other, and place a third as many then:
    each is polled singly.
    """
    options: Any = {"client": session.client, "journal": session.journal}
    by_price = {price: (product_id, type_id, 1) for product_id, type_id, price, stock in reversed(offers) if stock}
    samples = [
        (_GUIDES_PRODUCT, "TEST_PARTIAL", 3),
        (_GUIDES_PRODUCT, "TEST_PARTIAL", 1),
        (_GUIDES_PRODUCT, "TEST_REFUND", 2),
    ]
    items = [*samples, *list(by_price.values())[-2:], (*item, 1)]
    if not find_lists(session):
        until = len(session.latencies) + _FOR_MORE
        with session.finding():
            for number in range(_MOST_MORE if orders else 0):
                if len(session.latencies) >= until:
                    break
                order_id = session.place(*item, 1)
                session.client.clock.sleep(number * 0.618 % 1)  # so that not all are polled at the same age
                watch(session, order_id, in_list=number == 0)
        orders //= 3
    with session.finding():
        many = islice(cycle(items), max(orders, len(items)))
        process_orders(many, timeout=_LONGEST_S if orders else _IMPATIENT_S, **options)
    with session.finding():
        track_orders(others, timeout=_IMPATIENT_S, **options)


def follow_refund(session: CalibrationSession) -> tuple[str | None, str | None, str] | None:
    """Place an order that is refunded; return what became of the refund by transactions and by the balance, and ids."""
    with session.finding("refunds"):
        balances = [find_balance(session)]
        order_id = session.place(_GUIDES_PRODUCT, "TEST_REFUND", 2)
        order = watch(session, order_id)
        if order is None:
            raise UnclearError(f"order {order_id} was not final within {_LONGEST_S:g} s")
        types = []
        for pause_s in (0.0, _LATE_REFUND_S):
            session.client.clock.sleep(pause_s)
            balances.append(find_balance(session))
            types.append(count_transactions(session, order_id))
        before, *later = [balance for balance in balances if balance is not None] or [Decimal(0)]
        by_balance = tuple((balance - before) / order.refunded_amount for balance in later if order.refunded_amount)
        by_type = tuple(counts["REFUND-ORDER"] - 1 for counts in types if types[0])
        evidence = f"{name_orders([order_id])}: {types[1].total()} transactions"
        return _REFUNDS.get(by_type), _REFUNDS.get(by_balance), evidence
    return None


def count_transactions(session: CalibrationSession, order_id: str) -> Counter[str | None]:
    """Return how many transactions name the order, by type, and keep whether any does."""
    with session.finding("transactions_listed"):
        newest = session.newest(session.client.transactions)
        counts = Counter(each.type for each in newest if each.object_id == order_id)
        evidence = f"{name_orders([order_id])}: {counts.total()} transactions"
        session.found("transactions_listed", counts.total() > 0, evidence)
        return counts
    raise UnclearError("transactions cannot be read")


def find_refunds(session: CalibrationSession, refund: tuple[str | None, str | None, str] | None) -> None:
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
        by_type, by_balance, evidence = refund
        moves = session.findings["balance_moves"].value is True
        session.found("refunds", by_type or (by_balance if moves else None), evidence)


def find_outcomes(session: CalibrationSession, offers: list[Offer]) -> None:
    """Find what became of TEST_PARTIAL orders of three cards and of one, and what a card costs, in dinars."""
    orders, listed = session.orders(), {type_id: price for _, type_id, price, _ in offers}
    partial = orders[(orders["type_id"] == "TEST_PARTIAL") & orders["fulfilled_quantity"].notna()]
    three, one = partial[partial["quantity"] == 3], partial[partial["quantity"] == 1]
    _find(session, "partial_rounding", three, three["fulfilled_quantity"], {1: "down", 2: "up"}.get)
    _find(session, "partial_status", three, three["status"])
    counted = ["FULFILLED" if delivered else "REFUNDED" for delivered in one["fulfilled_quantity"]]
    of_part = session.findings["partial_status"].value
    agrees = [(status == each, status == of_part) for status, each in zip(one["status"], counted, strict=True)]
    ways = {(True, False): "as counted", (False, True): "PARTIALLY_FILLED"}
    _find(session, "partial_of_one", one, agrees, ways.get)
    priced = orders[orders["price_per_card"].notna()]
    test, unknown, known = (
        priced[priced["type_id"].isin(list(ids))] for ids in (["TEST_PARTIAL", "TEST_REFUND"], _UNKNOWN_ITEM, listed)
    )
    _find(session, "test_type_price", test, test["price_per_card"])
    _find(session, "unknown_type_price", unknown, unknown["price_per_card"])
    prices = zip(known["type_id"], known["price_per_card"], strict=True)
    _find(session, "known_type_price", known, (None if listed[each] == price else price for each, price in prices))


def _find(
    session: CalibrationSession, name: str, rows: Any, values: Iterable[Any], read: Callable[[Any], Any] = lambda x: x
) -> None:
    """Keep what the one value that all rows have says; unclear if there are several or none."""
    with session.finding(name):
        different = set(values)
        if len(different) != 1:
            raise UnclearError("orders of the type differ" if different else "no order of the type was shown final")
        session.found(name, read(different.pop()), name_orders(rows["order_id"]))
