"""The two figures at the head: drawn here, so that they take the page's colours and name each mark's value."""

from collections.abc import Iterator
from decimal import Decimal
from math import floor, inf, log10
from typing import Any

import numpy as np
from markupsafe import Markup

from giftlib.analysis import FulfilmentCurve, dinars, refund_totals
from giftlib.report.words import duration

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 440, 44, 420, 12, 196
_PARTS = {"charged": "charged", "refunded": "refunded", "in_flight": "in flight"}


def curve_picture(curve: FulfilmentCurve) -> Markup:
    """Draw the proportion of orders that are final, with its confidence band, median and 95th percentile."""
    band = curve.band()
    final = np.asarray(band["seconds"])[np.isfinite(band["seconds"])]
    step = _step(max(final.max(initial=0), 1.0))
    right = float(step * (floor(max(final.max(initial=0), 1.0) / step - 1e-9) + 1))

    def x(seconds: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * min(seconds / right, 1.0), 1)

    def y(proportion: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * proportion, 1)

    at = np.linspace(0, right, 161)
    at = at[at <= final.max(initial=0)]
    low, estimate, high = (np.interp(at, band["seconds"], band[name]) for name in ("low", "estimate", "high"))
    low[0] = estimate[0] = 0.0
    marks = [_grid(f"{100 * part:g} %", y(part)) for part in (0, 0.25, 0.5, 0.75, 1)]
    marks += [_tick(f"{seconds:g}", x(seconds)) for seconds in np.arange(0, right + step / 2, step)]
    outline = [*zip(at, high, strict=True), *zip(at[::-1], low[::-1], strict=True)]
    for shape, name, points in (("polygon", "band", outline), ("polyline", "line", [*zip(at, estimate, strict=True)])):
        path = " ".join(f"{x(seconds)},{y(part)}" for seconds, part in points)
        marks.append(Markup('<{} class="{}" points="{}"/>').format(shape, name, path))
    for seconds in at[::8][1:]:
        part, *interval = (
            100 * np.interp(seconds, band["seconds"], band[name]) for name in ("estimate", "low", "high")
        )
        said = f"by {_words(seconds)}: {part:.0f} % of the orders are final ({interval[0]:.0f} to {interval[1]:.0f} %)"
        marks.append(_mark("dot", x(seconds), y(part / 100), said))
    half, most = curve.quantile(0.5), curve.quantile(0.95)
    for name, p, time in (("half", 0.5, half), ("95 %", 0.95, most)):
        if time.estimate < inf:
            at_x = x(time.estimate)
            marks.append(Markup('<path class="drop" d="M{} {}V{}"/>').format(at_x, y(p), _BOTTOM))
            marks.append(_mark("point", at_x, y(p), f"{name} final by {time}"))
            beside, anchor = (-6, "end") if at_x > _RIGHT - 90 else (6, "start")
            label = Markup('<text x="{}" y="{}" class="{}">{} by {:.1f} s</text>')
            marks.append(label.format(at_x + beside, _BOTTOM - (8 if p == 0.5 else 26), anchor, name, time.estimate))
    said = f"{curve.n_final:,} of {curve.n:,} orders became final: half by {half}, 95 % by {most}."
    return _picture("Time to fulfilment", said, 230, marks, "seconds since placement")


def money_picture(orders: Any) -> tuple[Markup, str]:
    """Draw what was charged, refunded and is in flight, by status; give the picture and its sum in words."""
    totals = refund_totals(orders, by="status")
    paid = totals[list(_PARTS)].sum(axis=1)
    most = max([*paid, Decimal(1)])
    marks: list[Markup] = []
    for row, (status, of) in enumerate(totals.iterrows()):
        top, left = 20 + 48 * row, Decimal(2)
        amounts = {words: of[name] for name, words in _PARTS.items() if of[name]}
        parts = ", ".join(f"{dinars(amount)} {words}" for words, amount in amounts.items()) or "0"
        marks.append(Markup('<text x="2" y="{}"><tspan class="strong">{}</tspan> {}</text>').format(top, status, parts))
        for words, amount in amounts.items():
            wide = Decimal(_WIDTH - 4) * amount / most
            said = f"{status}: {dinars(amount)} DA {words}"
            box = f"{left:.1f}", top + 6, f"{wide:.1f}"
            marks.append(_bar(words.replace(" ", "-"), box, said))
            left += wide
    said = "; ".join(f"{status}: {', '.join(_amounts(of)) or 'nothing'}" for status, of in totals.iterrows())
    return _picture("Money by outcome", f"Dinars. {said}.", 28 + 48 * len(totals), marks, ""), said


def _amounts(of: Any) -> Iterator[str]:
    return (f"{dinars(of[name])} {words}" for name, words in _PARTS.items() if of[name])


def _step(longest: float) -> float:
    """Give a round step of which about six make the axis."""
    base = 10 ** floor(log10(longest / 6))
    return float(next(base * factor for factor in (1, 2, 5, 10) if base * factor * 6.5 >= longest))


def _words(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 120 else duration(seconds)


def _grid(text: str, y: float) -> Markup:
    line = Markup('<path class="grid" d="M{} {}H{}"/><text x="{}" y="{}" class="end">{}</text>')
    return line.format(_LEFT, y, _RIGHT, _LEFT - 6, y + 4, text)


def _tick(text: str, x: float) -> Markup:
    return Markup('<text x="{}" y="{}" class="middle">{}</text>').format(x, _BOTTOM + 17, text)


def _mark(kind: str, x: float, y: float, said: str) -> Markup:
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
        kind, x, y, 8 if kind == "dot" else 4, said
    )


def _bar(kind: str, box: tuple[Any, ...], said: str) -> Markup:
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="16"><title>{}</title></rect>').format(
        kind, *box, said
    )


def _picture(name: str, said: str, height: int, marks: list[Markup], axis: str) -> Markup:
    label = Markup('<text x="{}" y="{}" class="end">{}</text>').format(_RIGHT, height - 2, axis) if axis else ""
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}: {}">{}{}</svg>').format(
        _WIDTH, height, name, said, Markup("\n").join(marks), label
    )
