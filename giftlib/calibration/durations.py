"""How long orders, responses and lists take: one time for all, or a lognormal distribution, with 99.9 % intervals."""

from itertools import pairwise
from math import inf
from typing import NamedTuple

import numpy as np
import pandas as pd

from giftlib.analysis import Floats, fit_distribution, profile_interval
from giftlib.api import FINAL

from .session import NOT_SEARCHED, CalibrationSession, UnclearError, name_orders

_CONFIDENCE = 0.999
_LAGS = 5
"""The lag that lists may have is divided by so many; intervals are made for each part of it."""
_NARROW = 1.1
"""A distribution whose 95th percentile is this near to its median is one time, seen through lists a little late."""
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
    intervals = low, high, np.ones(len(low))
    fit = fit_distribution("lognormal", *intervals)
    ends = {p: profile_interval(fit, *intervals, p, level=_CONFIDENCE) for p in (0.5, 0.95)}
    return [Estimate(fit.quantile(p), *interval) for p, interval in ends.items()]


def read_polls(session: CalibrationSession) -> pd.DataFrame:
    """Return when polls and lists last showed each order open and first final, in seconds since it had been placed.

    Placing it had taken `placing_s`.
    """
    placed = session.orders().merge(session.journal.intents()["order_id"], on="order_id")
    polls = session.journal.polls().merge(placed[["order_id", "placed_at"]], on="order_id")
    polls["received_s"] = polls["elapsed_s"] + polls["latency_s"]
    polls["placing_s"] = (polls["received_at"] - polls["placed_at"]).dt.total_seconds() - polls["received_s"]
    seen = pd.DataFrame(index=pd.Index(placed["order_id"]))
    seen["placing_s"] = polls.groupby("order_id")["placing_s"].max()
    for via in ("check", "list"):
        rows = polls[polls["via"] == via]
        seen[f"open_{via}"] = rows[rows["outcome"] == "HANDLING"].groupby("order_id")["elapsed_s"].max()
        seen[f"final_{via}"] = rows[rows["outcome"].isin(FINAL)].groupby("order_id")["received_s"].min()
        seen["shown"] = rows.groupby("order_id")["received_s"].min()
    return seen


def find_lists(session: CalibrationSession) -> bool:
    """Find how long lists hide a new order and how late they show it final; return whether both may be 0."""
    seen = read_polls(session)
    shown_s = (seen["shown"] + seen["placing_s"]).min() + _API_PRECISION_S
    late_s = (seen["open_list"] - seen[["final_check", "final_list"]].min(axis=1)).max()
    in_time_s = (seen["final_list"] - np.fmax(seen["open_check"], -seen["placing_s"])).min()
    bounds = {
        "list_hides_s": (max(session.hidden_s - _API_PRECISION_S, 0.0), shown_s),
        "list_lag_s": (max(late_s, _API_PRECISION_S) if late_s >= 0 else 0.0, in_time_s),
    }
    for name, (low, high) in bounds.items():
        session.findings.pop(name, None)
        with session.finding(name):
            if np.isnan(high):
                raise UnclearError("no list showed it")
            if low > high:
                raise UnclearError("it differs from order to order")
            value = roundest(low, high).value if low else 0.0
            session.found(name, value, f"polls of {name_orders(seen.index)}", float(low), float(high))
    return all(session.findings[name].value == 0 for name in bounds)


def find_latency(session: CalibrationSession) -> None:
    """Find how long responses took."""
    with session.finding("latency_s", "latency_median_s", "latency_p95_s"):
        if not session.latencies:
            raise UnclearError("there was no response")
        taken = np.array(session.latencies)
        low, high = np.maximum(taken * (1 - 1e-4) - 1e-6, 0.0), taken * (1 + 1e-4) + 1e-6
        same = same_time(low, high)
        _found(session, "latency", f"{len(taken)} responses", [same] if same else fit_lognormal(low, high))


def find_fulfilment(session: CalibrationSession) -> None:
    """Find how long orders were HANDLING, whatever the lag of lists; if that may be 0, the value is that for 0."""
    with session.finding("fulfilment_s", "fulfilment_median_s", "fulfilment_p95_s"):
        seen, lag = read_polls(session), session.findings["list_lag_s"]
        if not len(seen):
            raise UnclearError("no order was placed")
        least, most = lag.low or 0.0, lag.high or 0.0
        certain, prompt = _intervals(seen, least, most), _intervals(seen, 0.0, 0.0)
        by_lag = [_intervals(seen, *lags) for lags in dict.fromkeys(pairwise(np.linspace(least, most, _LAGS)))]
        possible = [each for each in by_lag if (each[0] <= each[1]).all()]
        if not possible:
            raise UnclearError("the polls contradict each other")
        is_prompt = lag.value == 0 and (prompt[0] <= prompt[1]).all()
        likely = prompt if is_prompt else possible[len(possible) // 2]
        times = [time for ends in ([prompt, certain] if is_prompt else [certain]) if (time := same_time(*ends))]
        # Intervals that only touch do so at the time of a poll, when some orders were open and others final.
        fits = [[time for time in times if not 0 < time.low > time.high - 3 * _PRECISION_S]]
        if len(fits[0]) <= is_prompt:
            quantiles = [fit_lognormal(*ends) for ends in (likely, *possible)]
            if not fits[0] or quantiles[0][1].value > _NARROW * quantiles[0][0].value:
                fits = [list(one) for one in zip(*quantiles, strict=True)]
        estimates = [
            Estimate(one[0].value, min(time.low for time in one), max(time.high for time in one)) for one in fits
        ]
        final = seen[["final_check", "final_list"]].notna().any(axis=1).sum()
        _found(session, "fulfilment", f"{name_orders(seen.index)}, {final} final", estimates)


def _intervals(seen: pd.DataFrame, least_s: float, most_s: float) -> tuple[Floats, Floats]:
    """Return the seconds between which each order became final, if lists lag by so much."""
    open_s, listed_open_s, final_s, listed_final_s, placing_s = (
        seen[name].to_numpy(float) for name in ("open_check", "open_list", "final_check", "final_list", "placing_s")
    )
    low = np.fmax(np.fmax(open_s, listed_open_s - most_s), 0.0)
    high = np.fmin(np.fmin(final_s, listed_final_s - least_s) + placing_s, inf)
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
