"""Draw how a wait goes: the proportions of the statuses, and one row per order.

It is an image, with colours that are seen on white and on black: so it stays in a saved notebook, also where that is
not trusted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from html import escape
from math import ceil

MARKS = {
    "FULFILLED": ("●", "#009E73"),
    "PARTIALLY_FILLED": ("■", "#E69F00"),
    "REFUNDED": ("▼", "#D55E00"),
    "open": ("○", "#8A8A8A"),
}
"""Shapes and colours of the plots (Okabe and Ito, safe for the colour-blind)."""
_INK = "#767676"
WIDTH, _LEFT, _TOP = 640, 76, 36
_MOST_NAMED, _MOST_ROWS = 20, 200
_STEPS_S = (5, 10, 20, 30, 60, 120, 300, 600, 1200)


@dataclass
class Row:
    """Hold what is known of one order, times in seconds since the wait began."""

    since: float
    polls: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    status: str = "open"
    amounts: dict[str, Decimal | None] = field(default_factory=lambda: {"in flight": None})


@dataclass(frozen=True)
class Picture:
    """Hold what is drawn: rows by order id, counts by status, the seconds since the wait began and to the next poll."""

    rows: Mapping[str, Row]
    counts: Mapping[str, int]
    elapsed: float
    due: float

    def svg(self) -> str:
        """Draw the proportions as one bar, and below it a row per order, from when it became known to its last poll."""
        named, ids = len(self.rows) <= _MOST_NAMED, list(self.rows)
        if len(ids) > _MOST_ROWS:
            ids = [ids[place * len(ids) // _MOST_ROWS] for place in range(_MOST_ROWS)]
        height = 17.0 if named else 220 / len(ids)
        bottom = _TOP + height * len(ids) + 4
        shapes = [*self._proportions(), *self._axis(bottom)]
        if not named:
            for y, text in ((_TOP + 10, f"{len(ids)} of {len(self.rows)}"), (_TOP + 24, "orders")):
                shapes.append(f"<text x='{_LEFT - 10}' y='{y}' text-anchor='end'>{text}</text>")
        for place, order_id in enumerate(ids):
            shapes += self._timeline(order_id, _TOP + height * (place + 0.5), height, named)
        return (
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {bottom + 20:.0f}' fill='{_INK}' "
            f"font-family='sans-serif' font-size='11'>{''.join(shapes)}</svg>"
        )

    def _proportions(self) -> Iterator[str]:
        left, of = 0.0, max(sum(self.counts.values()), 1)
        for name, count in self.counts.items():
            color, width = MARKS.get(name, MARKS["open"])[1], WIDTH * count / of
            pale = "" if name in MARKS and name != "open" else " opacity='.35'"
            yield f"<rect x='{left:.1f}' y='6' width='{max(width - 1, 0.5):.1f}' height='8' fill='{color}'{pale}/>"
            left += width

    def _axis(self, bottom: float) -> Iterator[str]:
        for number in range(7):
            seconds = number * self._step
            text = f"{seconds // 60} min" if self._step >= 60 else f"{seconds} s"
            x, anchor = self._x(seconds), "middle" if number < 6 else "end"
            yield f"<path d='M{x:.1f} {_TOP - 4}V{bottom:.1f}' stroke='{_INK}' opacity='.25'/>"
            yield f"<text x='{x:.1f}' y='{bottom + 14:.1f}' text-anchor='{anchor}'>{text}</text>"
        if self.elapsed < self.due < 6 * self._step:
            yield f"<path d='M{self._x(self.due):.1f} {_TOP - 4}V{bottom:.1f}' stroke='{_INK}' stroke-dasharray='2 3'/>"
            yield f"<text x='{self._x(self.due):.1f}' y='{_TOP - 8}' text-anchor='middle'>next poll</text>"

    def _timeline(self, order_id: str, y: float, height: float, named: bool) -> Iterator[str]:
        row, (mark, color) = self.rows[order_id], MARKS[self.rows[order_id].status]
        end = self._x(max([row.since, *row.polls[-1:]]) if row.status != "open" else self.elapsed)
        thick = 3 if named else max(0.8 * height, min(height + 0.5, 1.6))
        pale = " opacity='.5'" if row.status == "open" else ""
        line = f"<path d='M{self._x(row.since):.1f} {y:.1f}H{end:.1f}'"
        yield f"{line} stroke='{color}' stroke-width='{thick:.2f}'{pale}/>"
        if named:
            text = escape(order_id if len(order_id) <= 9 else f"…{order_id[-6:]}", quote=False)
            yield f"<text x='{_LEFT - 10}' y='{y + 4:.1f}' text-anchor='end'>{text}</text>"
            ticks = "".join(f"M{self._x(at):.1f} {y - 3:.1f}v6" for at in row.polls)
            ticks += "".join(f"M{self._x(at) - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6" for at in row.failed)
            yield f"<path d='{ticks}' stroke='{_INK}'/>"
            if row.status != "open":
                at = f"x='{end:.1f}' y='{y + 4.5:.1f}' text-anchor='middle'"
                yield f"<text {at} font-size='13' fill='{color}'>{mark}</text>"

    @property
    def _step(self) -> int:
        most = self.elapsed / 6
        return next((step for step in _STEPS_S if step >= most), ceil(most / 3600) * 3600)

    def _x(self, seconds: float) -> float:
        return _LEFT + (WIDTH - _LEFT - 8) * seconds / (6 * self._step)
