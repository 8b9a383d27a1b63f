"""Add up what was ordered, delivered, charged and refunded, in exact dinars."""

from collections.abc import Iterable
from datetime import tzinfo
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from giftlib.analysis import accounts
from giftlib.analysis.columns import columns_of, group_keys, of_parts, orders_frame, require_columns, zone_of
from giftlib.api import Transaction

_NOTHING = Decimal(0)
_AMOUNTS = ["charged", "refunded", "in_flight"]
_COUNTS = ["orders", "open_orders", "cards_ordered", "cards_delivered", "cards_refunded", "unknown_amounts"]
_OF_RATE = ["ordered_of_rate", "refunded_of_rate"]
_COLUMNS = ["status", "quantity", "fulfilled_quantity", "refunded_quantity", "fulfilled_amount", "refunded_amount"]


def refund_totals(
    orders: Any,
    by: str | list[str] | None = None,
    *,
    transactions: "Iterable[Transaction] | pd.DataFrame | None" = None,
    time_zone: str = "UTC",
) -> pd.DataFrame:
    """Add up what was ordered, delivered and refunded: one row per group, or the single row "all".

    `orders` is a journal, or its frame in pandas or Dask, also read back from a CSV file. `by` is a column's name, or a
    list of several; "day" is the day of `placed_at` in `time_zone`, as text, "week" its ISO week. With the account's
    `transactions`, as `reconcile_refunds` takes them, "charge_day" and "refund_day" are the days of an order's last
    `ORDER` and `REFUND-ORDER` transaction, by which the account counts. A missing group is "unknown". A column of the
    frame that has such a name must hold these days, or those of UTC, as a Parquet folder's `day` does.

    Columns: orders, open_orders (not final), cards_ordered (open orders included), cards_delivered, cards_refunded,
    charged, refunded and in_flight (exact Decimal dinars), unknown_amounts (how many amounts are not known and count
    nothing), refund_rate (cards refunded / cards ordered, of final orders with known counts; NaN without any). Open
    orders count no delivery and no refund; the money paid for them is in flight: what the transactions say, or else
    quantity times price. More cards than were ordered are no negative refund.

    Raises ValueError for a missing column, an order that is there twice, days that are others than these, and for what
    is no amount, count or time.

    >>> from giftlib import Sandbox, process_orders
    >>> with Sandbox(seed=1) as sandbox:
    ...     journal = process_orders([("507f1f77bcf86cd799439011", "TEST_REFUND", 2)], client=sandbox.client())
    >>> refund_totals(journal.orders()).loc["all", ["cards_refunded", "refunded"]].to_dict()
    {'cards_refunded': 2, 'refunded': Decimal('980')}
    """
    names = [] if by is None else [by] if isinstance(by, str) or not isinstance(by, Iterable) else list(by)
    orders, zone = orders_frame(orders), zone_of(time_zone)
    of_groups = [column for name in names for column in columns_of(name, orders)]
    if by is not None and (not names or len(set(names)) < len(names)):
        raise ValueError(f"by must name at least one column, each once, got {by!r}")
    if transactions is None and {"charged_at", "refunded_at"} & {*of_groups} - {*orders.columns}:
        raise ValueError(f"transactions must be given, as their days are asked for, got None with by={by!r}")
    account = None if transactions is None else _of_orders(transactions)
    given = [] if account is None else list(account)
    needed = [*_COLUMNS, *of_groups, *(["order_id"] if given else [])]
    needed += ["price_per_card"] if "price_per_card" in orders.columns else []
    require_columns("orders", orders, columns := [name for name in dict.fromkeys(needed) if name not in given])
    if given:
        accounts.require_account(orders, transactions)
    sums = of_parts(orders, columns, lambda part: _sums_of_part(part[columns], names, account, zone))
    totals = _sums(sums, sums[[f"by {name}" for name in names]])
    totals.index.names = names or ["group"]
    ordered, refunded = (totals.pop(name) for name in _OF_RATE)
    return totals.assign(refund_rate=refunded / ordered.astype(float).replace(0.0, np.nan))


def _of_orders(transactions: "Iterable[Transaction] | pd.DataFrame") -> pd.DataFrame:
    """Give for each order's id when the account last charged and refunded it, and what of its money is still out."""
    rows = accounts.read_transactions(transactions)
    charges, refunds = (rows[rows["type"] == type_] for type_ in (accounts.CHARGE, accounts.REFUND))
    with localcontext(accounts.EXACT):
        change = pd.concat([charges, refunds.assign(amount=[a and -a for a in refunds["amount"]])])
        paid = change.dropna(subset="amount").groupby("object_id")["amount"].sum()
    times = [some.groupby("object_id")["time"].max() for some in (charges, refunds)]
    return pd.concat([*times, paid.astype(object)], axis=1, keys=["charged_at", "refunded_at", "still paid"])


def _sums_of_part(orders: pd.DataFrame, names: list[str], account: pd.DataFrame | None, zone: tzinfo) -> pd.DataFrame:
    if account is not None:
        orders = orders.assign(**account.reindex(accounts.ids_of(orders["order_id"])).set_index(orders.index))
    final = accounts.finals_of(orders)
    counts = pd.DataFrame({name: accounts.counts_of(orders[name]).to_numpy() for name in _COLUMNS[1:4]})
    refunds, refund_known = accounts.amounts_of(orders["refunded_amount"][final])
    for at in np.flatnonzero(~(counts["refunded_quantity"].to_numpy()[final] >= 0)):
        refunds[at] = refunds[at] and max(refunds[at], _NOTHING)
    counts["refunded_quantity"] = counts["refunded_quantity"].clip(lower=0)
    rated = final & counts.notna().all(axis=1).to_numpy()
    ordered, delivered, refunded = counts.fillna(0).to_numpy(int).T
    one = np.ones(len(orders), int)
    rows: dict[str, Any] = {
        "orders": one, "open_orders": one * ~final, "cards_ordered": ordered, "cards_delivered": delivered * final,
        "cards_refunded": refunded * final, "unknown_amounts": 0 * one,
        "ordered_of_rate": ordered * rated, "refunded_of_rate": refunded * rated,
    }  # fmt: skip
    for name, where, (amounts, known) in (
        ("charged", final, accounts.amounts_of(orders["fulfilled_amount"][final])),
        ("refunded", final, (refunds, refund_known)),
        ("in_flight", ~final, _in_flight(orders[~final])),
    ):
        rows[name] = np.full(len(orders), _NOTHING)
        rows[name][np.flatnonzero(where)[known]] = amounts[known]
        rows["unknown_amounts"][where] += ~known
    keys = pd.DataFrame({f"by {name}": group_keys(orders, name, zone) for name in names}, index=orders.index)
    return _sums(rows, keys).reset_index(drop=not names)


def _in_flight(orders: pd.DataFrame) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Give the money paid for each open order, and where it is known."""
    orders = orders.reindex(columns=["quantity", "price_per_card", "still paid"])
    (paid, is_paid), (prices, priced) = (accounts.amounts_of(orders[name]) for name in ("still paid", "price_per_card"))
    priced = priced & accounts.counts_of(orders["quantity"]).notna().to_numpy()
    with localcontext(accounts.EXACT):
        for at in np.flatnonzero(priced & ~is_paid):
            paid[at] = int(orders["quantity"].iloc[at]) * prices[at]
    return paid, is_paid | priced


def _sums(rows: Any, keys: pd.DataFrame) -> pd.DataFrame:
    """Sum counts and amounts of the rows by equal keys, which become the sorted index; without keys sum all rows."""
    groups: dict[Any, Any] = keys.groupby(list(keys)).indices if len(keys.columns) else {"all": np.arange(len(keys))}
    places = np.concatenate([*groups.values(), np.array([], int)])
    starts = np.cumsum([0, *map(len, groups.values())])[:-1]
    index = (pd.MultiIndex.from_tuples(list(groups), names=list(keys)) if len(keys.columns) > 1
             else pd.Index(list(groups), dtype=object, name=next(iter(keys), None)))  # fmt: skip
    totals = pd.DataFrame(index=index)
    with localcontext(accounts.EXACT):
        for name in [*_COUNTS[:-1], *_AMOUNTS, _COUNTS[-1], *_OF_RATE]:
            # A row more with nothing lets no rows at all have a sum.
            nothing = np.array([_NOTHING if name in _AMOUNTS else 0])
            totals[name] = np.add.reduceat(np.append(np.asarray(rows[name])[places], nothing), starts)
    return totals


def dinars(amount: Decimal) -> str:
    """Format an amount as people read it: with two decimals or none.

    >>> dinars(Decimal("1470")), dinars(Decimal("980.5"))
    ('1,470', '980.50')
    """
    return f"{amount:z,.0f}" if amount == amount.to_integral_value() else f"{amount:z,.2f}"
