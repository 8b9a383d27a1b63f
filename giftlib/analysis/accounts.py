"""Read the columns of accounts exactly, whatever they are made of: numbers, texts, or what a CSV file makes of both."""

import re
from collections.abc import Iterable
from dataclasses import asdict
from decimal import Context, Inexact, InvalidOperation, localcontext
from itertools import permutations
from reprlib import repr as short
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import infer_dtype, is_numeric_dtype

from giftlib.analysis.columns import each_part, of_parts, require_columns, statuses_of, times_of
from giftlib.api import FINAL, Transaction, as_amount

CHARGE, REFUND = "ORDER", "REFUND-ORDER"
_NEVER_NEGATIVE = {"quantity", "fulfilled_quantity", "fulfilled_amount", "price_per_card"}
EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])


def amounts_of(values: pd.Series) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Give the amounts as Decimals, None where one is not known, and which are; raise ValueError for what is none.

    A float is the shortest decimal that it stands for, to the centime if that is a millionth of a dinar away.
    """
    amounts: NDArray[np.object_] = np.array(values, object)
    narrow = getattr(values.dtype, "numpy_dtype", values.dtype)
    if narrow in (np.float16, np.float32):  # a float of Python would have digits that theirs have not
        amounts[:] = [*values.to_numpy(narrow, na_value=np.nan)]
    if _are_centimes(amounts):
        _refuse_negative(values, amounts)
        return amounts, np.ones(len(amounts), bool)
    known = values.notna().to_numpy()
    amounts[~known] = None
    for at in np.flatnonzero(known) if not _are_centimes(amounts[known]) else ():
        value = amounts[at]
        amounts[at] = as_amount(str(value) if isinstance(value, float | np.number) else value)
        if amounts[at] is None:
            raise ValueError(
                f"{values.name} must hold finite Decimals, or numbers or texts that are one, got {value!r}"
            )
    _refuse_negative(values[known], amounts[known])
    return amounts, known


def _refuse_negative(values: pd.Series, numbers: Any) -> None:
    """Raise ValueError for a count or amount below 0; only refunds may be, where too many cards were delivered."""
    if values.name in _NEVER_NEGATIVE and len(negative := values[np.asarray(numbers < 0, bool)]):
        raise ValueError(f"{values.name} must be 0 or more, got {negative.iloc[0]} in row {negative.index[0]}")


def _are_centimes(amounts: NDArray[np.object_]) -> bool:
    if infer_dtype(amounts, skipna=False) != "decimal":
        return False
    with localcontext(Context(prec=100, traps=[Inexact, InvalidOperation])):
        try:
            exponent = amounts.sum().as_tuple().exponent
        except (Inexact, InvalidOperation):
            return False
    return isinstance(exponent, int) and exponent >= -2


def counts_of(values: pd.Series) -> pd.Series:
    """Give the counts as whole floats, NaN where one is not known; raise ValueError for what is none."""
    counts = pd.to_numeric(values, errors="coerce").astype(float)
    wrong = values[values.notna() & ~((counts % 1 == 0) & (counts.abs() < 10**12))]
    if len(wrong):
        raise ValueError(f"{values.name} must hold whole numbers below 10**12, got {wrong.iloc[0]!r}")
    _refuse_negative(values, counts)
    return counts


def finals_of(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Say which orders are final, in whatever letters their status is; one that is not documented is not final."""
    return statuses_of(frame["status"]).isin(FINAL).to_numpy()


def ids_of(ids: pd.Series) -> pd.Series:
    """Give ids as texts, None where there is none; a CSV file makes numbers of those that have digits only."""
    return ids.convert_dtypes().map(str, na_action="ignore").astype(object).where(ids.notna(), None)


def require_account(orders: Any, transactions: Any) -> None:
    """Raise ValueError if the orders are of several accounts, as the transactions are of one, or if one side's ids were
    read from a file as numbers, which would alter ids of the other side.
    """
    if "source" in orders.columns:
        sources = of_parts(orders, ["source"], lambda part: part["source"].drop_duplicates()).dropna().unique()
        if len(sources) > 1:
            names = ", ".join(map(str, sources))
            raise ValueError(f"orders must be of one source, as the transactions are, got {names}")
    for of_orders in each_part(orders, ["order_id"], lambda part: part["order_id"]):
        sides = (of_orders, transactions["object_id"]) if isinstance(transactions, pd.DataFrame) else ()
        for numbers, ids in permutations(sides, 2):
            for order_id in ids.dropna().astype(str) if is_numeric_dtype(numbers) else ():
                if re.fullmatch("[0-9.]+[eE][0-9]+|0[0-9]+|[0-9]{16,}", order_id):
                    raise ValueError(f"ids such as {order_id!r} were read as numbers: read the file with dtype=str")


def read_transactions(transactions: Iterable[Transaction] | pd.DataFrame) -> pd.DataFrame:
    """Give each transaction once, oldest first; those of one time in the order of their ids."""
    names = list(Transaction.__dataclass_fields__)
    if not isinstance(transactions, pd.DataFrame):
        is_many = isinstance(transactions, Iterable) and not isinstance(transactions, str)
        given: list[Any] = list(transactions) if is_many else [transactions]
        if wrong := [row for row in given if not isinstance(row, Transaction)]:
            accepted = "Transactions of the client, or a DataFrame of their fields"
            raise ValueError(f"transactions must be {accepted}, got {short(wrong[0])}")
        transactions = pd.DataFrame(map(asdict, given), columns=names, dtype=object)
    require_columns("transactions", transactions, names)
    amounts = {name: amounts_of(transactions[name])[0] for name in ("amount", "old_balance", "new_balance")}
    ids = {name: ids_of(transactions[name]) for name in ("transaction_id", "object_id")}
    rows = transactions.assign(time=times_of(transactions, "time"), **amounts, **ids)
    once = rows["transaction_id"].isna() | ~rows["transaction_id"].duplicated(keep="last")
    return rows[once].sort_values(["time", "transaction_id"], na_position="first", kind="stable", ignore_index=True)
