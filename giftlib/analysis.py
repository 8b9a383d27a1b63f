"""What the journal's orders say: how long until they are final, and what was charged and refunded.

A poll only brackets the moment of an order's final state, so times are intervals here, never points.
"""

from collections.abc import Iterator
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext
from functools import cached_property
from math import inf

import numpy as np
import pandas as pd

from giftlib.columns import FINAL_STATUSES, require_columns
from giftlib.laws import LAWS, Fit, fit_law
from giftlib.turnbull import Turnbull

REPLICATES = 200
_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation])


def time_to_fulfilment(
    orders: pd.DataFrame, by: str | None = None, *, request_s: float = 0.0
) -> "FulfilmentCurve | dict[object, FulfilmentCurve]":
    """The distribution of T, the seconds from an order's placement to its final state, whichever that is.

    Of `orders` only `not_done_by_s` and `done_by_s` are read: `not_done_by_s < T <= done_by_s`. Equal ends are a time
    known exactly; an infinite `done_by_s` is an order that was still open when last looked at (right-censored).
    With `by`, a column's name, the answer is a dict of curves in the order of the group's names; rows without a group
    are the group "unknown". `by="status"` splits by kind of final state, but then the open orders are a group of
    their own, and the other groups, short of their slow orders, look faster than they are.

    `request_s` is the longest that a look took. A bracket ends when a look's answer came, the next begins when the
    look was sent; where all orders were looked at after the same delays, such brackets overlap by the length of the
    request, and maximum likelihood moves all mass into the overlaps: the curve jumps far above the truth there. With
    `request_s` brackets are shortened by as much while the masses are sought; classes are reported to their full end.

    Raises ValueError when a column is missing, there is no order, an end is missing, negative or out of order, or
    `request_s` is negative or not finite.
    """
    require_columns("orders", orders, ["not_done_by_s", "done_by_s"] + ([] if by is None else [by]))
    if orders.empty:
        raise ValueError("orders must have at least one row, got an empty frame")
    if not 0 <= request_s < inf:
        raise ValueError(f"request_s must be finite and 0 or more, got {request_s!r}")
    ends = {column: _seconds(orders, column) for column in ("not_done_by_s", "done_by_s")}
    low, high = ends.values()
    if np.isinf(low).any():
        raise ValueError("not_done_by_s must be finite, got inf")
    if (crossed := low > high).any():
        raise ValueError(f"not_done_by_s must not exceed done_by_s, got {low[crossed][0]} > {high[crossed][0]}")
    if by is None:
        return FulfilmentCurve(_counted(pd.DataFrame(ends), list(ends)), request_s)
    counted = _counted(pd.DataFrame(ends | {"group": _keys(orders, by).to_numpy()}), ["group", *ends])
    return {group: FulfilmentCurve(rows.drop(columns="group").reset_index(drop=True), request_s)
            for group, rows in counted.groupby("group")}


class FulfilmentCurve:
    """The nonparametric maximum-likelihood estimate of T's distribution from interval-censored times.

    The data place mass on certain intervals only (Turnbull 1976, JRSS-B 38: 290-295) and say nothing of where inside
    such a class the mass lies. `n` is the number of orders, `n_final` of those that were seen final; `brackets` holds
    the distinct brackets: not_done_by_s, done_by_s, orders.
    """

    def __init__(self, brackets: pd.DataFrame, request_s: float = 0.0) -> None:
        self.brackets = brackets
        self.request_s = request_s
        self.n = int(brackets["orders"].sum())
        self.n_final = int(brackets["orders"][np.isfinite(brackets["done_by_s"])].sum())
        self._estimate = Turnbull(*self._columns(), request_s)

    def __repr__(self) -> str:
        low, high = self.quantile(0.5)
        median = (f"{low:.1f} s" if low == high else f"after {low:.1f} s" if high == inf
                  else f"between {low:.1f} and {high:.1f} s")
        return f"FulfilmentCurve({self.n} orders, {self.n_final} final, median {median})"

    def cdf(self, seconds: float | np.ndarray) -> float | np.ndarray:
        """The share of orders certainly final by `seconds`: a class' mass counts at its right end, mass without a
        right end never. A float for a number, an array for an array. NaN raises ValueError."""
        at = np.asarray(seconds, dtype=float)
        if np.isnan(at).any():
            raise ValueError("seconds must be numbers, got nan")
        share = self._estimate.surely_by(at)
        return share if share.ndim else float(share)

    def quantile(self, p: float) -> tuple[float, float]:
        """The interval (low, high], in seconds, that holds the p-quantile of the estimate: the class in which the
        curve reaches `p`. Equal ends are an exact time; `high` is inf when the curve does not reach `p`.
        ValueError unless 0 < p < 1."""
        return self._estimate.quantile(_share("p", p))

    def band(self, level: float = 0.95) -> pd.DataFrame:
        """A pointwise confidence band: a frame of seconds (the finite ends of the classes), low and high.

        From 200 bootstrap samples of the orders with a fixed seed, so the same orders give the same band. Where
        a sample's curve is undefined, its lowest value counts for `low` and its highest for `high`.
        """
        tail = (1 - _share("level", level)) / 2
        classes = self.frame()
        seconds = np.unique(classes[["from_s", "to_s"]].to_numpy())
        seconds = seconds[np.isfinite(seconds)]
        return pd.DataFrame({
            "seconds": seconds,
            "low": np.quantile([r.surely_by(seconds) for r in self._replicates], tail, axis=0, method="lower"),
            "high": np.quantile([r.perhaps_by(seconds) for r in self._replicates], 1 - tail, axis=0, method="higher"),
        })

    def quantile_band(self, p: float, level: float = 0.95) -> tuple[float, float]:
        """Confidence limits, in seconds, of the p-quantile, from the samples of `band`; the upper one may be inf."""
        tail = (1 - _share("level", level)) / 2
        lows, highs = zip(*(r.quantile(_share("p", p)) for r in self._replicates))
        return (float(np.quantile(lows, tail, method="lower")),
                float(np.quantile(highs, 1 - tail, method="higher")))

    def frame(self) -> pd.DataFrame:
        """The classes, one row each: from_s, to_s (equal for an exact time, inf for orders not final while looked
        at), mass, cdf_low and cdf_high (the share final before and after the class)."""
        e = self._estimate
        return pd.DataFrame({"from_s": np.where(e.is_exact, e.ends, e.starts), "to_s": e.ends, "mass": e.mass,
                             "cdf_low": e.cumulative[:-1], "cdf_high": e.cumulative[1:]})

    @cached_property
    def fits(self) -> dict[str, Fit]:
        """Maximum-likelihood fits by name, "lognormal" and "log-logistic", to all brackets, open ones included.

        Empty when the orders cannot tell two parameters: fewer than three classes, or an exact time of 0.
        """
        low, high, count = self._columns()
        if len(self._estimate.mass) < 3 or not high.all():
            return {}
        return {law: fit_law(law, low, high, count) for law in LAWS}

    @cached_property
    def _replicates(self) -> "list[Turnbull]":
        low, high, count = self._columns()
        samples = np.random.default_rng(0).multinomial(self.n, count / self.n, size=REPLICATES)
        return [Turnbull(low[drawn], high[drawn], sample[drawn], self.request_s)
                for sample in samples for drawn in [sample > 0]]

    def _columns(self) -> list[np.ndarray]:
        return [self.brackets[column].to_numpy(float) for column in ("not_done_by_s", "done_by_s", "orders")]


def refund_totals(orders: pd.DataFrame, by: str | list[str] | None = None) -> pd.DataFrame:
    """What was ordered, delivered and refunded: one row a group, or the single row "all".

    `by` names a column, or several; "day" is the UTC day of `placed_at`, as text. A missing group is "unknown".
    Columns: orders, open_orders (not final), cards_ordered (open orders included), cards_delivered, cards_refunded,
    charged and refunded (exact Decimal dinars), refund_rate (cards refunded / cards ordered, final orders only; NaN
    without any). Open orders count no delivery, no refund and no money; an amount nobody knows counts nothing.

    Raises ValueError for a missing column, and for an amount that is not a finite Decimal.
    """
    names = [] if by is None else [by] if isinstance(by, str) else list(by)
    require_columns("orders", orders, [
        "status", "quantity", "fulfilled_quantity", "refunded_quantity", "fulfilled_amount", "refunded_amount",
        *("placed_at" if name == "day" else name for name in names),
    ])
    if by is None:
        groups = [(("all",), orders)]
    elif not names:
        raise ValueError("by must name at least one column, got an empty list")
    else:
        groups = list(orders.groupby([_keys(orders, name) for name in names]))
    index = (pd.MultiIndex.from_tuples((key for key, _ in groups), names=names) if len(names) > 1
             else pd.Index([key[0] for key, _ in groups], name="group" if by is None else names[0], dtype=object))
    return pd.DataFrame([_totals(rows) for _, rows in groups], index=index, columns=list(_totals(orders[:0])))


def _totals(orders: pd.DataFrame) -> dict[str, object]:
    final = orders[orders["status"].isin(FINAL_STATUSES)]
    ordered, refunded = final["quantity"].sum(), final["refunded_quantity"].sum()
    return {
        "orders": len(orders),
        "open_orders": len(orders) - len(final),
        "cards_ordered": int(orders["quantity"].sum()),
        "cards_delivered": int(final["fulfilled_quantity"].sum()),
        "cards_refunded": int(refunded),
        "charged": _exact_sum(final["fulfilled_amount"]),
        "refunded": _exact_sum(final["refunded_amount"]),
        "refund_rate": float(refunded / ordered) if ordered else np.nan,
    }


def _exact_sum(amounts: pd.Series) -> Decimal:
    def checked() -> Iterator[Decimal]:
        for amount in amounts.dropna():
            if not (isinstance(amount, Decimal) and amount.is_finite()):
                raise ValueError(f"{amounts.name} must hold finite Decimals or None, got {amount!r}")
            yield amount

    with localcontext(_EXACT):
        return sum(checked(), Decimal(0))


def _seconds(orders: pd.DataFrame, column: str) -> np.ndarray:
    try:
        seconds = orders[column].to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        raise ValueError(f"{column} must hold seconds as numbers, got {orders[column].dtype} values") from None
    if (bad := ~(seconds >= 0)).any():
        raise ValueError(f"{column} must be 0 seconds or more, got {seconds[bad][0]}")
    return seconds


def _share(name: str, value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, both excluded, got {value!r}")
    return value


def _keys(orders: pd.DataFrame, name: str) -> pd.Series:
    if name == "day":
        days = pd.to_datetime(orders["placed_at"], utc=True)
        return days.dt.strftime("%Y-%m-%d").astype(object).where(days.notna(), "unknown")
    return orders[name].astype(object).where(orders[name].notna(), "unknown")


def _counted(brackets: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return brackets.groupby(columns).size().reset_index(name="orders")
