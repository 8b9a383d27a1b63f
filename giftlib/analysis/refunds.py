"""Add up what was ordered, delivered, charged and refunded, in exact dinars."""

from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import infer_dtype

from giftlib.analysis.columns import column_of, group_keys, of_parts, require_columns
from giftlib.api import FINAL

_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation])
_NOTHING = Decimal(0)
_COUNTS = ["orders", "open_orders", "cards_ordered", "cards_delivered", "cards_refunded", "ordered_of_final"]
_AMOUNTS = {"charged": "fulfilled_amount", "refunded": "refunded_amount"}


def refund_totals(orders: Any, by: str | list[str] | None = None) -> pd.DataFrame:
    """Add up what was ordered, delivered and refunded: one row per group, or the single row "all".

    `orders` is a pandas or a Dask frame; set Dask's `dataframe.convert-string` to False, as it otherwise makes texts
    of Decimals, which raise. `by` is a column's name, or a list of several; "day" is the UTC day of `placed_at`, as
    text. A missing group is "unknown".

    Columns: orders, open_orders (not final), cards_ordered (open orders included), cards_delivered, cards_refunded,
    charged and refunded (exact Decimal dinars), refund_rate (cards refunded / cards ordered, final orders only; NaN
    without any). Open orders count no delivery, no refund and no money; an amount that is not known counts nothing.

    Raises ValueError for a missing column, and for an amount that is not a finite Decimal.

    >>> from giftlib import Sandbox, process_orders
    >>> with Sandbox(seed=1) as sandbox:
    ...     journal = process_orders([("507f1f77bcf86cd799439011", "TEST_REFUND", 2)], client=sandbox.client())
    >>> refund_totals(journal.orders()).loc["all", ["cards_refunded", "refunded"]].to_dict()
    {'cards_refunded': 2, 'refunded': Decimal('980')}
    """
    names = [] if by is None else [by] if isinstance(by, str) else list(by)
    if by is not None and (not names or len(set(names)) < len(names)):
        raise ValueError(f"by must name at least one column, each once, got {by!r}")
    columns = ["status", "quantity", "fulfilled_quantity", "refunded_quantity", *_AMOUNTS.values()]
    columns = list(dict.fromkeys([*columns, *map(column_of, names)]))
    require_columns("orders", orders, columns)
    sums = of_parts(orders, columns, lambda part: _sums_of_part(part, names))
    totals = _sums(sums, sums[[f"by {name}" for name in names]])
    totals.index.names = names or ["group"]
    ordered = totals.pop("ordered_of_final")
    return totals.assign(refund_rate=totals["cards_refunded"] / ordered.astype(float).replace(0.0, np.nan))


def _sums_of_part(orders: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    final = orders["status"].isin(FINAL).to_numpy(bool)
    ordered, delivered, refunded = (
        orders[name].fillna(0).to_numpy(int) for name in ("quantity", "fulfilled_quantity", "refunded_quantity")
    )
    rows = pd.DataFrame(
        dict(zip(_COUNTS, [1, ~final, ordered, delivered * final, refunded * final, ordered * final], strict=True))
        | {
            name: np.where(final, orders[column].to_numpy(object), np.array(_NOTHING))
            for name, column in _AMOUNTS.items()
        }
    )
    keys = pd.DataFrame({f"by {name}": group_keys(orders, name).to_numpy() for name in names})
    return _sums(rows, keys).reset_index(drop=not names)


def _sums(rows: pd.DataFrame, keys: pd.DataFrame) -> pd.DataFrame:
    """Sum counts and amounts of the rows by equal keys, which become the sorted index; without keys sum all rows."""
    groups: dict[Any, Any] = keys.groupby(list(keys)).indices if len(keys.columns) else {"all": np.arange(len(rows))}
    counts, amounts = rows[_COUNTS].to_numpy(int), {name: rows[name].to_numpy() for name in _AMOUNTS}
    sums = [
        [*counts[at].sum(axis=0), *(_exact_sum(_AMOUNTS[name], amounts[name][at]) for name in _AMOUNTS)]
        for at in groups.values()
    ]
    index = (pd.MultiIndex.from_tuples(list(groups), names=list(keys)) if len(keys.columns) > 1
             else pd.Index(list(groups), dtype=object, name=next(iter(keys), None)))  # fmt: skip
    totals = pd.DataFrame(sums, index=index, columns=[*_COUNTS, *_AMOUNTS])
    return totals.astype(dict.fromkeys(_COUNTS, "int64") | dict.fromkeys(_AMOUNTS, object))


def _exact_sum(column: str, amounts: NDArray[np.object_]) -> Decimal:
    with localcontext(_EXACT):
        if infer_dtype(amounts, skipna=False) == "decimal":
            total: Decimal = amounts.sum()
            if total.is_finite():
                return total
        known = amounts[pd.notna(amounts)].tolist()
        for amount in known:
            if not (isinstance(amount, Decimal) and amount.is_finite()):
                raise ValueError(f"{column} must hold finite Decimals or None, got {amount!r}")
        return sum(known, _NOTHING)


def dinars(amount: Decimal) -> str:
    """Format an amount as people read it: with two decimals or none.

    >>> dinars(Decimal("1470")), dinars(Decimal("980.5"))
    ('1,470', '980.50')
    """
    return f"{amount:,.0f}" if amount == amount.to_integral_value() else f"{amount:,.2f}"
