"""The head of the page: the verdict, the numbers and two figures of each source."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from giftlib.analysis import FulfilmentCurve
from giftlib.report.checks import checks_of, verdict_of
from giftlib.report.measured import Measured, period_of
from giftlib.report.pictures import curve_picture, money_picture
from giftlib.report.provenance import Source
from giftlib.report.requirements import Requirement
from giftlib.report.words import moment, span

_MOST_ROWS = 50
_KEY = ["source", "order_id"]


def heads_of(
    sources: Sequence[Source],
    polls: pd.DataFrame,
    intents: pd.DataFrame,
    transactions: Mapping[str, pd.DataFrame],
    requirements: Sequence[Requirement] = (),
) -> list[dict[str, Any]]:
    """Compute what the page says of each source; the requirements are for the first, which the report judges.

    Requests of a source that has no order here count for the first too. Raises ValueError for ill-typed orders.
    """
    others = pd.concat([pd.Series(dtype=str), *(source.orders["source"] for source in sources[1:])])
    heads: list[dict[str, Any]] = []
    for source in sources:
        theirs = intents["source"].isin(source.orders["source"])
        mine = theirs if heads else theirs | ~intents["source"].isin(others)
        keys = pd.MultiIndex.from_frame(source.orders[_KEY])
        of_these = pd.MultiIndex.from_frame(polls[_KEY]).isin(keys)
        measured = Measured(source.orders, polls[of_these], intents[mine], transactions)
        results = [] if heads else [requirement.judge(measured) for requirement in requirements]
        heads.append(_head(source, measured) | {"required": results})
    return heads


def _head(source: Source, measured: Measured) -> dict[str, Any]:
    checks = checks_of(measured)
    period = period_of(source.orders, measured.polls)
    return {
        "description": source.description,
        "orders": len(source.orders),
        "verdict": verdict_of(checks),
        "checks": checks,
        "period": span(*period) if len(period) else "",
        "outcomes": source.orders["status"].fillna("unknown").value_counts().sort_index().to_dict(),
        "totals": measured.totals,
        "missing": measured.missing,
        "times": {"median": _time(measured.curve, 0.5), "95th percentile": _time(measured.curve, 0.95)},
        "curve": curve_picture(measured.curve),
        "money": money_picture(measured.orders),
        "evidence": _evidence(measured),
    }


def _time(curve: FulfilmentCurve, p: float) -> tuple[str, str]:
    """Give the estimate and its interval in words."""
    estimate, _, interval = str(curve.quantile(p)).partition(" (")
    return estimate, interval.removesuffix(")").replace(" ", "\u00a0")


def _evidence(measured: Measured) -> dict[str, tuple[str, pd.DataFrame]]:
    """Give the rows behind the checks that found something, by the id of their place on the page."""
    missed = pd.concat([measured.failed, measured.limited])
    grouped = missed.groupby(["outcome", "http_status"], dropna=False).size().reset_index(name="polls")
    unclear = measured.unclear.assign(sent_at=[moment(time) for time in measured.unclear["sent_at"]])
    rows = {
        "mismatches": ("Where account and orders differ", measured.mismatches),
        "failed": ("Polls that returned no status", grouped),
        "unclear": ("Order requests of unknown outcome",
                    unclear[["intent", "sent_at", "type_id", "quantity", "state", "source"]]),
    }  # fmt: skip
    found = {place: (name, frame) for place, (name, frame) in rows.items() if frame is not None and len(frame)}
    return {place: (_title(name, len(frame)), frame.iloc[:_MOST_ROWS]) for place, (name, frame) in found.items()}


def _title(name: str, rows: int) -> str:
    return name if rows <= _MOST_ROWS else f"{name}: the first {_MOST_ROWS} of {rows:,}"
