"""How long orders, responses and lists take: one time for all, or a lognormal distribution, with 99.9 % intervals."""

from math import inf
from typing import NamedTuple

import numpy as np
import pandas as pd

from giftlib.analysis import Floats, fit_distribution, profile_interval
from giftlib.api import FINAL

from .session import NOT_SEARCHED, CalibrationSession, UnclearError, name_orders

_CONFIDENCE = 0.999
_PRECISION_S, _API_PRECISION_S = 1e-5, 0.002
"""The journal's times have microseconds, the API's milliseconds."""


class Estimate(NamedTuple):
    """Hold a time in seconds and the bounds of its interval."""

    value: float
    low: float
    high: float


def roundest(low: float, high: float) -> Estimate:
    """Return the number with the fewest decimals near the middle of an interval, as a person would set it."""
    middle = (low + high) / 2
    rounded = (round(middle, decimals) for decimals in range(10))
    return Estimate(next((value for value in rounded if low <= value <= high), middle), low, high)


def same_time(low: Floats, high: Floats) -> Estimate | None:
    """Return the one time that lies in all the intervals, certain as they are; None if there is none."""
    first, last = float(low.max()), float(high.min())
    return roundest(first, last) if first <= last else None


def fit_lognormal(low: Floats, high: Floats) -> list[Estimate]:
    """Return median and 95th percentile of the lognormal distribution fitted to the intervals."""
    fit = fit_distribution("lognormal", low, high, np.ones(len(low)))
    ends = {p: profile_interval(fit, low, high, p, confidence=_CONFIDENCE) for p in (0.5, 0.95)}
    return [Estimate(fit.quantile(p), *interval) for p, interval in ends.items()]


def read_polls(session: CalibrationSession) -> pd.DataFrame:
    """Return when polls and lists last showed each order open and first final, in seconds since it was placed."""
    placed = session.orders().merge(session.journal.intents()["order_id"], on="order_id")
    polls = session.journal.polls().merge(placed[["order_id", "placed_at"]], on="order_id")
    polls["received_s"] = (polls["received_at"] - polls["placed_at"]).dt.total_seconds()
    seen = pd.DataFrame(index=pd.Index(placed["order_id"]))
    for via in ("check", "list"):
        rows = polls[polls["via"] == via]
        seen[f"open_{via}"] = rows[rows["outcome"] == "HANDLING"].groupby("order_id")["elapsed_s"].max()
        seen[f"final_{via}"] = rows[rows["outcome"].isin(FINAL)].groupby("order_id")["received_s"].min()
        seen["shown"] = rows.groupby("order_id")["received_s"].min()
    return seen


def find_lists(session: CalibrationSession) -> bool:
    """Find how long lists hide a new order and how late they show it final; return whether both may be 0."""
    seen = read_polls(session)
    late_s = (seen["open_list"] - seen[["final_check", "final_list"]].min(axis=1)).max()
    in_time_s = (seen["final_list"] - seen["open_check"].fillna(0.0)).min()
    bounds = {"list_hides_s": (session.hidden_s, seen["shown"].min()), "list_lag_s": (late_s, in_time_s)}
    for name, (least, most) in bounds.items():
        session.findings.pop(name, None)
        with session.finding(name):
            if np.isnan(most):
                raise UnclearError("no list showed it")
            low, high = max(float(np.nan_to_num(least)) - _API_PRECISION_S, 0.0), float(most) + _API_PRECISION_S
            if low > high:
                raise UnclearError("it differs from order to order")
            value = roundest(low, high).value if low else 0.0
            session.found(name, value, f"polls of {name_orders(seen.index)}", low, high)
    return all(session.findings[name].value == 0 for name in bounds)


def find_latency(session: CalibrationSession) -> None:
    """Find how long responses took."""
    with session.finding("latency_s", "latency_median_s", "latency_p95_s"):
        if not session.responses:
            raise UnclearError("there was no response")
        taken = np.array([response.latency_s for response in session.responses])
        low, high = np.maximum(taken * (1 - 1e-4) - 1e-6, 0.0), taken * (1 + 1e-4) + 1e-6
        same = same_time(low, high)
        _found(session, "latency", f"{len(taken)} responses", [same] if same else fit_lognormal(low, high))


def find_fulfilment(session: CalibrationSession) -> None:
    """Find how long orders were HANDLING.

    Where lists may lag, the intervals allow for every lag that they may have. If that may be none, the value is that
    for no lag, and its interval spans both.
    """
    with session.finding("fulfilment_s", "fulfilment_median_s", "fulfilment_p95_s"):
        seen, lag = read_polls(session), session.findings["list_lag_s"]
        if not len(seen):
            raise UnclearError("no order was placed")
        certain, prompt = _intervals(seen, lag.low or 0.0, lag.high or 0.0), _intervals(seen, 0.0, 0.0)
        if (certain[0] > certain[1]).any():
            raise UnclearError("the polls contradict each other")
        possible = [prompt, certain] if lag.value == 0 and (prompt[0] <= prompt[1]).all() else [certain]
        times = [time for intervals in possible if (time := same_time(*intervals))]
        # Intervals that only touch do so at the time of a poll, when some orders were open and others final.
        times = [time for time in times if not 0 < time.low > time.high - 3 * _PRECISION_S]
        fits = (
            [times] if len(times) == len(possible) else zip(*(fit_lognormal(*each) for each in possible), strict=True)
        )
        spans = [Estimate(one[0].value, min(time.low for time in one), max(time.high for time in one)) for one in fits]
        final = np.isfinite(certain[1]).sum()
        _found(session, "fulfilment", f"{name_orders(seen.index)}, {final} final", spans)


def _intervals(seen: pd.DataFrame, least_s: float, most_s: float) -> tuple[Floats, Floats]:
    """Return the seconds between which each order became final, if lists lag by so much."""
    low = np.fmax(np.fmax(seen["open_check"].to_numpy(float), seen["open_list"].to_numpy(float) - most_s), 0.0)
    high = np.fmin(np.fmin(seen["final_check"].to_numpy(float), seen["final_list"].to_numpy(float) - least_s), inf)
    return low, high + _PRECISION_S


def _found(session: CalibrationSession, name: str, evidence: str, times: list[Estimate]) -> None:
    """Keep the one time that all took, or else median and 95th percentile to three digits."""
    if len(times) == 1:
        session.found(f"{name}_s", times[0].value, evidence, times[0].low, times[0].high)
        reason = "all took the same time" if times[0].value < inf else "no order was shown final"
        session.missing(reason, f"{name}_median_s", f"{name}_p95_s", found=NOT_SEARCHED)
        return
    session.found(f"{name}_s", None, evidence)
    for which, time in zip(("median", "p95"), times, strict=True):
        session.found(f"{name}_{which}_s", float(f"{time.value:.3g}"), evidence, time.low, time.high)
