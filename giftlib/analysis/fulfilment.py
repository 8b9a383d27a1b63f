"""How long orders take until they are final.

A poll only brackets the moment of an order's final state, so times are intervals here, never points.
"""

from functools import cached_property
from math import inf
from typing import Any, overload

import numpy as np
import pandas as pd

from giftlib.analysis.columns import FINAL_STATUSES
from giftlib.analysis.distributions import LAWS, Fit, fit_law
from giftlib.analysis.intervals import BOUNDS, count_brackets, widen
from giftlib.analysis.npmle import Floats, Turnbull

REPLICATES = 200
MOST_RESAMPLED = 1_000


@overload
def time_to_fulfilment(orders: Any, by: None = None, *, end: str | None = None) -> "FulfilmentCurve": ...
@overload
def time_to_fulfilment(orders: Any, by: str, *, end: str | None = None) -> "dict[Any, FulfilmentCurve]": ...
def time_to_fulfilment(
    orders: Any, by: str | None = None, *, end: str | None = None
) -> "FulfilmentCurve | dict[Any, FulfilmentCurve]":
    """The distribution of T, the seconds from an order's placement to its final state, whichever that is.

    `orders` is a pandas or a Dask frame, of which `not_done_by_s` and `done_by_s` are read: `not_done_by_s < T <=
    done_by_s`. Equal ends are a time known exactly; an infinite `done_by_s` is an order that was still open when last
    looked at (right-censored). With `by`, a column's name or "day" (of `placed_at`, UTC), the answer is a dict of
    curves in the order of the group's names; rows without a group are the group "unknown".

    With `end`, a final status, T is the time to that end alone, and orders that end otherwise never get there: the
    curve rises to the share of all orders that end so (the cumulative incidence among competing ends; the estimate is
    the joint maximum-likelihood one of this end and all others taken together, Hudgens, Satten and Longini 2001,
    Biometrics 57: 74-80). An open order may still end either way. The groups of `by="status"` leave the open orders
    out of the ends they will have, and so look faster than they are.

    `request_s`, when there is such a column, is how much of the bracket is the requests' own time. A bracket ends when
    a look's answer came, the next begins when the look was sent; where all orders were looked at after the same
    delays, such brackets overlap by the length of a request, and maximum likelihood moves all mass into the overlaps:
    the curve jumps far above the truth there. So brackets are shortened by twice as much, to the half at most, while
    the masses are sought; classes are reported to their full end. That is studied for requests of 0.15 s (see
    docs/figures.md); where they take a second and more, `fits` are nearer to the truth than the classes.

    More than 5,000 distinct brackets are first widened to multiples of the least power of two of milliseconds that
    leaves so few: 0.128 s for a million orders looked at each 5 s from any moment on.

    Raises ValueError when a column is missing, there is no order, an end is missing, negative or out of order,
    `request_s` is missing for a final order or negative, or `end` is no final status.
    """
    if end is not None and end not in FINAL_STATUSES:
        raise ValueError(f"end must be one of {', '.join(FINAL_STATUSES)}, got {end!r}")
    curves = {group: FulfilmentCurve(brackets) for group, brackets in count_brackets(orders, by, end).items()}
    return curves["all"] if by is None else curves


class FulfilmentCurve:
    """The nonparametric maximum-likelihood estimate of T's distribution from interval-censored times.

    The data place mass on certain intervals only (Turnbull 1976, JRSS-B 38: 290-295) and say nothing of where inside
    such a class the mass lies. `n` is the number of orders, `n_final` of those that were seen final; `brackets` holds
    the distinct brackets: not_done_by_s, done_by_s, request_s, orders.
    """

    def __init__(self, brackets: pd.DataFrame) -> None:
        self._counted = brackets
        never = brackets["otherwise"]
        bounds = brackets[["not_done_by_s", "done_by_s"]].to_numpy()
        latest = bounds[np.isfinite(bounds)].max(initial=0.0)
        self.brackets = brackets[[*BOUNDS, "orders"]].assign(
            not_done_by_s=brackets["not_done_by_s"].mask(never, latest),
            done_by_s=brackets["done_by_s"].mask(never, inf),
            request_s=brackets["request_s"].mask(never, 0.0),
        )
        self.n = int(brackets["orders"].sum())
        self.n_final = int(brackets["orders"][np.isfinite(self.brackets["done_by_s"])].sum())
        low, high, request, count = _columns(brackets)
        self._estimate = Turnbull(low, high, request, count, brackets["otherwise"].to_numpy(bool))

    def __repr__(self) -> str:
        low, high = self.quantile(0.5)
        median = (
            f"{low:.1f} s"
            if low == high
            else f"after {low:.1f} s"
            if high == inf
            else f"between {low:.1f} and {high:.1f} s"
        )
        return f"FulfilmentCurve({self.n} orders, {self.n_final} final, median {median})"

    def cdf(self, seconds: float | Floats) -> float | Floats:
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

    def point(self, p: float) -> float:
        """One number inside `quantile(p)`, in seconds, as if the class were filled evenly; inf if its end is. The data
        do not know so much; it is for comparison with other single numbers. ValueError unless 0 < p < 1."""
        low, high = self.quantile(p)
        return low if low == high else low + (high - low) * self._estimate.within(p)

    def band(self, level: float = 0.95) -> pd.DataFrame:
        """A pointwise confidence band: a frame of seconds (the finite ends of the classes, and the last looks at open
        orders), low and high.

        From 200 bootstrap samples of the orders with a fixed seed, so the same orders give the same band. Where
        a sample's curve is undefined, its lowest value counts for `low` and its highest for `high`. More than 1,000
        distinct brackets are widened as for the estimate itself, which widens the band.
        """
        tail = (1 - _share("level", level)) / 2
        classes = self.frame()
        still_open = self.brackets["not_done_by_s"][np.isinf(self.brackets["done_by_s"])]
        seconds = np.unique([*classes["from_s"], *classes["to_s"], *still_open])
        seconds = seconds[np.isfinite(seconds)]
        return pd.DataFrame(
            {
                "seconds": seconds,
                "low": np.quantile([r.surely_by(seconds) for r in self._replicates], tail, axis=0, method="lower"),
                "high": np.quantile(
                    [r.perhaps_by(seconds) for r in self._replicates], 1 - tail, axis=0, method="higher"
                ),
            }
        )

    def quantile_band(self, p: float, level: float = 0.95) -> tuple[float, float]:
        """Confidence limits, in seconds, of the p-quantile, from the samples of `band`; the upper one may be inf."""
        tail = (1 - _share("level", level)) / 2
        lows, highs = zip(*(r.quantile(_share("p", p)) for r in self._replicates), strict=True)
        return (float(np.quantile(lows, tail, method="lower")), float(np.quantile(highs, 1 - tail, method="higher")))

    def frame(self) -> pd.DataFrame:
        """The classes, one row each: from_s, to_s (equal for an exact time, inf for orders not final while looked
        at), mass, cdf_low and cdf_high (the share final before and after the class)."""
        e = self._estimate
        return pd.DataFrame(
            {
                "from_s": np.where(e.is_exact, e.ends, e.starts),
                "to_s": e.ends,
                "mass": e.mass,
                "cdf_low": e.cumulative[:-1],
                "cdf_high": e.cumulative[1:],
            }
        )

    @cached_property
    def fits(self) -> dict[str, Fit]:
        """Maximum-likelihood fits by name, "lognormal" and "log-logistic", to all brackets, open ones included.

        Empty when the orders cannot tell two parameters: fewer than three classes, or an exact time of 0.
        """
        low, high, _, count = _columns(self.brackets)
        if len(self._estimate.mass) < 3 or not high.all():
            return {}
        return {law: fit_law(law, low, high, count) for law in LAWS}

    @cached_property
    def _replicates(self) -> list[Turnbull]:
        brackets = widen(self._counted, MOST_RESAMPLED)[0]
        low, high, request, count = _columns(brackets)
        otherwise = brackets["otherwise"].to_numpy(bool)
        samples = np.random.default_rng(0).multinomial(self.n, count / self.n, size=REPLICATES).astype(float)
        return [
            Turnbull(low[drawn], high[drawn], request[drawn], sample[drawn], otherwise[drawn])
            for sample in samples
            for drawn in [sample > 0]
        ]


def _columns(brackets: pd.DataFrame) -> list[Floats]:
    return [brackets[column].to_numpy(float) for column in (*BOUNDS, "orders")]


def _share(name: str, value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, both excluded, got {value!r}")
    return value
