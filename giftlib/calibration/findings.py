"""What orders and answers prove: how long they take, what they cost, what is delivered and given back."""

from collections.abc import Sequence
from decimal import Decimal
from math import inf
from typing import Any

import numpy as np
import pandas as pd

from giftlib.analysis import Floats
from giftlib.api import FINAL

from .estimates import Estimate, lognormal, roundest, same_time
from .list_lag import LONGEST_S, Watch
from .probes import UNKNOWN_ITEM, Offer
from .sample_orders import Refund
from .session import Inquiry, UnclearError, named_orders

TIMES = ("fulfilment_median_s", "fulfilment_p95_s", "fulfilment_s")
_LAGS = 65
"""So many lags of the lists are tried, from the least to the most that may be."""
_NARROW = 1.1
"""A law whose 95 % quantile is this near to its median is one time, seen through lists that are a little late."""
_PRECISION_S = 1e-5
"""The journal tells times of day in microseconds."""


def read_partial(inquiry: Inquiry, orders: pd.DataFrame) -> None:
    """What became of TEST_PARTIAL orders of three cards and of one."""
    partial = orders[(orders["type_id"] == "TEST_PARTIAL") & orders["fulfilled_quantity"].notna()]
    with inquiry.looking_for("partial_rounding", "partial_status"):
        three = partial[partial["quantity"] == 3]
        delivered, status = _only(three["fulfilled_quantity"]), _only(three["status"])
        evidence = named_orders(list(three["order_id"]))
        inquiry.found("partial_rounding", {1: "down", 2: "up"}.get(delivered), evidence)
        inquiry.found("partial_status", status, evidence)
    with inquiry.looking_for("partial_of_one"):
        one = partial[partial["quantity"] == 1]
        status, counted = _only(one["status"]), "FULFILLED" if _only(one["fulfilled_quantity"]) else "REFUNDED"
        of_part = inquiry.findings["partial_status"].value
        if counted == of_part:
            raise UnclearError("both would be the same")
        found = {counted: "as counted", of_part: "PARTIALLY_FILLED"}.get(status)
        inquiry.found("partial_of_one", found, named_orders(list(one["order_id"])))


def read_prices(inquiry: Inquiry, orders: pd.DataFrame, offers: list[Offer]) -> None:
    """What a card of each kind of type cost, in dinars."""
    priced = orders[orders["price_per_card"].notna()]
    kinds = {"test_type_price": ["TEST_PARTIAL", "TEST_REFUND"], "unknown_type_price": [UNKNOWN_ITEM[1]]}
    for name, type_ids in kinds.items():
        with inquiry.looking_for(name):
            rows = priced[priced["type_id"].isin(type_ids)]
            inquiry.found(name, _only(rows["price_per_card"]), named_orders(list(rows["order_id"])))
    with inquiry.looking_for("known_type_price"):
        listed = {offer.type_id: offer.price for offer in offers}
        rows = priced[priced["type_id"].isin(list(listed))]
        as_listed = bool(len(rows)) and all(rows["price_per_card"] == rows["type_id"].map(listed))
        price = None if as_listed else _only(rows["price_per_card"])
        inquiry.found("known_type_price", price, named_orders(list(rows["order_id"])))


def _only(values: "pd.Series[Any]") -> Any:
    """The value that all rows have; UnclearError if there are several or none."""
    different = set(values)
    if len(different) != 1:
        raise UnclearError("orders of the kind differ" if different else "no order of the kind was seen final")
    return different.pop()


def read_money(inquiry: Inquiry, orders: pd.DataFrame, refund: Refund | None) -> None:
    """Whether the balance follows the orders, and what became of a refund."""
    with inquiry.looking_for("balance_moves"):
        balances = [*inquiry.balances]
        evidence = f"{len(balances)} looks at the balance, {len(orders)} orders"
        charged = sum(orders["fulfilled_amount"].dropna(), Decimal(0))
        if len(set(balances)) < 2 and not charged:
            raise UnclearError("no order cost anything")
        inquiry.found("balance_moves", len(set(balances)) > 1, evidence)
    with inquiry.looking_for("refunds"):
        if refund is None:
            raise UnclearError("no refund was seen")
        if refund.rows[1].total():
            more: tuple[Any, ...] = tuple(rows["REFUND-ORDER"] - 1 for rows in refund.rows)
        elif inquiry.findings["balance_moves"].value is True:
            more = _in_refunds(refund)
        else:
            raise UnclearError("neither transactions nor the balance show any")
        ways: dict[tuple[Any, ...], str] = {(0, 0): "credited", (-1, -1): "missing", (-1, 0): "late", (1, 1): "doubled"}
        inquiry.found("refunds", ways.get(more), refund.evidence)


def _in_refunds(refund: Refund) -> tuple[Decimal, ...]:
    """How much more the balance was, when the order was final and later, than before it was bought, in full refunds."""
    before, *later = refund.balances
    amount = refund.watch.final.refunded_amount if refund.watch.final else None
    if not amount or before is None or None in later:
        raise UnclearError("the balance does not show any")
    return tuple((balance - before) / amount for balance in later if balance is not None)


def read_times(inquiry: Inquiry, orders: pd.DataFrame) -> None:
    """How long orders were HANDLING: all the same time, or by a lognormal law.

    What lists showed counts for as much earlier as lists are late. Where that is known to lie between two ends, so do
    the times; the value is that for lists that are not late if that may be.
    """
    timed = orders[~orders["order_id"].isin(inquiry.placed_by_body)]
    with inquiry.looking_for(*TIMES):
        if not len(timed):
            raise UnclearError("no order was bought")
        lag = inquiry.findings["list_lag_s"]
        known = _brackets(timed, inquiry.journal.polls(), lag.low or 0.0, lag.high or 0.0)
        best = 0 if lag.value == 0 else len(known) // 2
        final = np.isfinite(known[best][1])
        evidence = f"{named_orders(list(timed['order_id']))}, {final.sum()} final"
        if not final.any():
            inquiry.found("fulfilment_s", inf, evidence, low=float(known[best][0].max()), high=inf)
            inquiry.needless("no order was seen final", *TIMES[:2])
            return
        laws = [lognormal(*known[place]) for place in (0, best, -1)]
        times = [same_time(low, high) for low, high in known]
        same = [time for time in times if time and not _only_touches(time)]
        if same and (lag.value != 0 or times[0] in same or laws[1][1].value < _NARROW * laws[1][0].value):
            time = _spanning(same, 0 if lag.value == 0 else len(same) // 2)
            inquiry.found("fulfilment_s", time.value, evidence, low=time.low, high=time.high)
            inquiry.needless("all took the same time", *TIMES[:2])
            return
        inquiry.found("fulfilment_s", None, evidence)
        _found_law(inquiry, "fulfilment", [_spanning(list(times), 1) for times in zip(*laws, strict=True)], evidence)


def _only_touches(time: Estimate) -> bool:
    """Whether spans have but a moment in common, at which some orders were seen final and others open: no time at all
    but the moment of the looks."""
    return time.low > 0 and time.high - time.low < 3 * _PRECISION_S


def _spanning(times: list[Estimate], best: int) -> Estimate:
    """The best of several estimates, with an interval that spans all of theirs."""
    return Estimate(times[best].value, min(time.low for time in times), max(time.high for time in times))


def _brackets(
    orders: pd.DataFrame, polls: pd.DataFrame, least_late_s: float, most_late_s: float
) -> list[tuple[Floats, Floats]]:
    """Between which seconds after its purchase each order became final, for each lag of the lists that may be.

    UnclearError if the looks contradict each other whatever the lag.
    """
    polls = polls.merge(orders[["order_id", "placed_at"]], on="order_id")
    received_s = (polls["received_at"] - polls["placed_at"]).dt.total_seconds()
    is_open, is_final = polls["outcome"] == "HANDLING", polls["outcome"].isin(FINAL)

    def by_order(seconds: "pd.Series[float]", shown: "pd.Series[bool]", via: str, which: str, none: float) -> Floats:
        chosen = seconds[shown & (polls["via"] == via)].groupby(polls["order_id"]).agg(which)
        return chosen.reindex(orders["order_id"], fill_value=none).to_numpy(float)

    open_s, listed_open_s = (by_order(polls["elapsed_s"], is_open, via, "max", -inf) for via in ("check", "list"))
    final_s, listed_final_s = (by_order(received_s, is_final, via, "min", inf) for via in ("check", "list"))
    known, step = [], (most_late_s - least_late_s) / (_LAGS - 1)
    for late_s in np.linspace(least_late_s, most_late_s, _LAGS):
        slack = step if late_s else 0.0
        low = np.maximum(open_s, listed_open_s - late_s - slack)
        high = np.minimum(final_s, listed_final_s - late_s + slack) + _PRECISION_S
        if (low <= high).all() and (high > 0).all():
            known.append((np.maximum(low, 0.0), high))
    if not known:
        raise UnclearError("the looks contradict each other")
    return known


def read_latency(inquiry: Inquiry) -> None:
    """How long answers took: all the same time, or by a lognormal law."""
    with inquiry.looking_for("latency_median_s", "latency_p95_s", "latency_s"):
        if not inquiry.latencies:
            raise UnclearError("nothing was answered")
        taken = np.array(inquiry.latencies)
        low, high = np.maximum(taken * (1 - 1e-4) - 1e-6, 0.0), taken * (1 + 1e-4) + 1e-6
        evidence = f"{len(taken)} answers"
        if same := same_time(low, high):
            inquiry.found("latency_s", same.value, evidence, low=same.low, high=same.high)
            inquiry.needless("all took the same time", "latency_median_s", "latency_p95_s")
        else:
            inquiry.found("latency_s", None, evidence)
            _found_law(inquiry, "latency", lognormal(low, high), evidence)


def _found_law(inquiry: Inquiry, name: str, law: Sequence[Estimate], evidence: str) -> None:
    """Keep median and 95 % quantile, to three digits."""
    for which, time in zip(("median", "p95"), law, strict=True):
        inquiry.found(f"{name}_{which}_s", float(f"{time.value:.3g}"), evidence, low=time.low, high=time.high)


def read_lists(inquiry: Inquiry, watches: list[Watch]) -> None:
    """How long lists hide a new order, and how late they show it final."""
    looks = f"{sum(watch.looks for watch in watches)} looks at {named_orders([w.bought.order_id for w in watches])}"
    spans = {"list_hides_s": [watch.hiding() for watch in watches], "list_lag_s": [watch.lag() for watch in watches]}
    for name, known in spans.items():
        with inquiry.looking_for(name):
            ends = [span for span in known if span is not None]
            if not ends:
                raise UnclearError(f"no list showed it within {LONGEST_S:g} s")
            low, high = max(low for low, _ in ends), min(high for _, high in ends)
            if low > high:
                raise UnclearError("it differs from order to order")
            found = Estimate(0.0, low, high) if low == 0 else roundest(low, high)
            inquiry.found(name, found.value, looks, low=found.low, high=found.high)
