"""Orders bought to see what becomes of them: how long they take, what they cost, what is given back."""

from collections import Counter
from decimal import Decimal
from itertools import cycle, islice
from typing import NamedTuple

import pandas as pd

from giftlib.api import PermissionDeniedError, as_name
from giftlib.polling import process_orders, track_orders

from .list_lag import LONGEST_S, Watch
from .probes import UNKNOWN_ITEM, Offer, ask_about_the_balance
from .session import Bought, Inquiry, UnclearError, named_orders, reason_of

GUIDES_PRODUCT = "507f1f77bcf86cd799439011"
_LATE_REFUND_S = 61.0
_IMPATIENT_S = 60.0
"""How long orders are waited for where the first ones were not final within five minutes."""
_FOR_MORE = 25
"""Requests to watch more orders with."""


def try_an_order(inquiry: Inquiry, offers: list[Offer]) -> tuple[tuple[str, str], Bought] | None:
    """Buy a card of unknown ids, or if those are refused of the first offer; None if the key may not buy."""
    items = [("unknown ids", UNKNOWN_ITEM), *(("known ids", offer[:2]) for offer in offers[:1])]
    for name, item in items:
        with inquiry.looking_for(name):
            try:
                bought = inquiry.buy(*item, 1)
            except PermissionDeniedError as error:
                if error.code.startswith(("IP_", "API_")):
                    raise
                inquiry.found("key_scope", "READ-ONLY", reason_of(error))
                return None
            inquiry.found(name, "placed", named_orders([bought.order_id]))
            inquiry.found("key_scope", "READ-WRITE", named_orders([bought.order_id]))
            return item, bought
    return None


class Refund(NamedTuple):
    """What the account showed of an order that was refunded: before, when it was final, and a minute later."""

    watch: Watch
    balances: list[Decimal | None]
    rows: list[Counter[str | None]]
    evidence: str


def follow_a_refund(inquiry: Inquiry) -> Refund | None:
    """Buy what is refunded, and look at the account until a late refund would be there."""
    with inquiry.looking_for("refunds"):
        before = ask_about_the_balance(inquiry)
        watch = Watch(inquiry, inquiry.buy(GUIDES_PRODUCT, "TEST_REFUND", 2))
        if not watch.until_final() or watch.final_by is None:
            raise UnclearError(f"order {watch.bought.order_id} was not final within {LONGEST_S:g} s")
        order_id = watch.bought.order_id
        balances, rows = [before, ask_about_the_balance(inquiry)], [_movements(inquiry, order_id)]
        watch.until_listed()
        inquiry.clock.sleep(max(watch.final_by + _LATE_REFUND_S - inquiry.clock.monotonic(), 0.0))
        balances.append(ask_about_the_balance(inquiry))
        rows.append(_movements(inquiry, order_id))
        return Refund(watch, balances, rows, f"{named_orders([order_id])}: {rows[1].total()} transactions")
    return None


def look_at_the_transactions(inquiry: Inquiry, bought: Bought) -> None:
    """Whether any names the order."""
    with inquiry.looking_for("transactions_listed"):
        rows = _movements(inquiry, bought.order_id)
        evidence = f"{named_orders([bought.order_id])}: {rows.total()} transactions"
        inquiry.found("transactions_listed", rows.total() > 0, evidence)


def watch_more(inquiry: Inquiry, item: tuple[str, str]) -> list[Watch]:
    """Some more orders, watched one by one: they tell more than many where lists are of little use."""
    watches: list[Watch] = []
    until = len(inquiry.latencies) + _FOR_MORE
    with inquiry.looking_for():
        while len(inquiry.latencies) < until:
            watches.append(Watch(inquiry, inquiry.buy(*item, 1)))
            watches[-1].until_final()
    return watches


def _movements(inquiry: Inquiry, order_id: str) -> Counter[str | None]:
    """How many transactions name the order, by their types, on the first page and the last."""
    return Counter(
        as_name(row.get("type"))
        for answer in inquiry.first_and_last("account/transactions")
        for row in answer.items("items")
        if row.get("objid") == order_id
    )


def buy_many(
    inquiry: Inquiry, item: tuple[str, str], offers: list[Offer], orders: int, *, patiently: bool
) -> pd.DataFrame:
    """Buy orders of all kinds, wait for them, and give those that were bought here.

    A third if lists are late or hide orders, since then each is looked at singly, and a few if none may ever be
    final.
    """
    kinds = [
        (GUIDES_PRODUCT, "TEST_PARTIAL", 3),
        (GUIDES_PRODUCT, "TEST_PARTIAL", 1),
        (GUIDES_PRODUCT, "TEST_REFUND", 2),
        *((offer.product_id, offer.type_id, 1) for offer in _of_two_prices(offers)),
        (*item, 1),
    ]
    lists = [inquiry.findings[name] for name in ("list_lag_s", "list_hides_s")]
    if any(finding.value != 0 for finding in lists):
        orders //= 3
    count = max(orders, len(kinds)) if patiently else len(kinds)
    timeout = LONGEST_S if patiently else _IMPATIENT_S
    with inquiry.looking_for():
        process_orders(
            list(islice(cycle(kinds), count)), timeout=timeout, client=inquiry.client, journal=inquiry.journal
        )
    with inquiry.looking_for():
        track_orders(inquiry.placed_by_body, timeout=_IMPATIENT_S, client=inquiry.client, journal=inquiry.journal)
    bought = inquiry.journal.orders()
    return bought[bought["placed_at"] >= inquiry.began].reset_index(drop=True)


def _of_two_prices(offers: list[Offer]) -> list[Offer]:
    """Up to two offers in stock that cost something different."""
    by_price = {offer.price: offer for offer in reversed(offers) if offer.stock}
    return list(by_price.values())[-2:]
