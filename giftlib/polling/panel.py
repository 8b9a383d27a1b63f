"""Draw how a wait goes, for a person who watches it: as HTML with one picture, and as one line of text.

It shows ids, statuses, amounts and times, nothing else of what the API sent. The picture is an image, with colours that
are seen on white and on black: so it stays in a saved notebook, also where that is not trusted.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import reduce
from html import escape
from math import ceil
from urllib.parse import quote

from giftlib.api import WIDE, Client
from giftlib.journal import Poll

_MARKS = {
    "FULFILLED": ("●", "#009E73"),
    "PARTIALLY_FILLED": ("■", "#E69F00"),
    "REFUNDED": ("▼", "#D55E00"),
    "open": ("○", "#8A8A8A"),
}
"""Shapes and colours of the plots (Okabe and Ito, safe for the colour-blind)."""
_INK = "#767676"
_WIDTH, _LEFT, _TOP = 640, 76, 36
_MOST_NAMED, _MOST_ROWS = 20, 200
_SAFE = " =:/,;'"
_STEPS_S = (5, 10, 20, 30, 60, 120, 300, 600, 1200)


@dataclass
class _Row:
    """Hold what is known of one order, times in seconds since the wait began."""

    since: float
    polls: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    status: str = "open"
    amounts: dict[str, Decimal | None] = field(default_factory=lambda: {"in flight": None})


class Panel:
    """Hold what is known of a wait so far.

    Who waits sets `open_ids`, how many orders are still `to_place`, how many have `failed`, by how, and when the next
    round of polls begins, `next_at` in the clock's monotonic seconds. `ending` says how the wait ended, once it has.
    """

    def __init__(self, client: Client) -> None:
        self.open_ids: Collection[str] = ()
        self.to_place = 0
        self.failed: dict[str, int] = {}
        self.next_at = 0.0
        self.ending = ""
        self._client = client
        self._began = client.clock.monotonic()
        self._rows: dict[str, _Row] = {}

    def add(self, poll: Poll) -> None:
        """Take in a poll."""
        row = self._row(poll.order_id)
        (row.polls if poll.order else row.failed).append(poll.received.monotonic - self._began)
        order = poll.order if row.status == "open" else None  # what was seen final stays
        if order is not None and order.is_final:
            row.status = str(order.status)
            row.amounts = {"charged": order.fulfilled_amount, "refunded": order.refunded_amount}
        elif order is not None and None not in (order.quantity, order.price_per_card):
            row.amounts = {"in flight": WIDE.multiply(Decimal(order.quantity or 0), order.price_per_card or Decimal(0))}

    @property
    def counts(self) -> dict[str, int]:
        """Return how many orders are in each status, "open", "to place", or have failed, by how; those there are."""
        counts = Counter(dict.fromkeys(_MARKS, 0) | {"to place": self.to_place} | self.failed)
        counts.update(row.status for row in self._rows.values() if row.status != "open")
        counts["open"] = self._open
        return {name: count for name, count in counts.items() if count}

    @property
    def done(self) -> int:
        """Return how many orders are waited for no longer."""
        return sum(self.counts.values()) - self._open - self.to_place

    @property
    def title(self) -> str:
        """Return in one sentence how the wait goes, or went."""
        orders, took = sum(self.counts.values()), _duration(self._elapsed)
        final = f"{self.done - sum(self.failed.values())} of {_orders(orders)} final"
        return f"{self.ending} after {took}: {final}" if self.ending else f"{final} after {took}"

    @property
    def is_complete(self) -> bool:
        """Return whether all orders are final."""
        return not self._open and not self.to_place and not any(self.failed.values())

    @property
    def money(self) -> str:
        """Return what was charged and refunded, and what was paid for open orders, as far as it is known."""
        texts = []
        for name in ("charged", "refunded", "in flight"):
            amounts = [row.amounts[name] for row in self._rows.values() if name in row.amounts]
            known = [amount for amount in amounts if amount is not None]
            if known or name != "in flight":
                texts.append(f"{name} {reduce(WIDE.add, known, Decimal(0)):,f} dinars")
            if unknown := len(amounts) - len(known):
                texts.append(f"{name} unknown for {_orders(unknown)}")
        return ", ".join(texts)

    @property
    def requests(self) -> str:
        """Return how much of the rate limit is used, and when the next round of polls begins."""
        limit = self._client.rate_limit
        of_limit = f" of {limit.per_minute}" if limit.per_minute else ""
        text = f"{limit.recent()}{of_limit} requests used in the last minute"
        pause = self.next_at - self._client.clock.monotonic()
        if self._is_waiting and pause > 0:
            at = (self._client.clock.now_utc() + timedelta(seconds=pause)).astimezone()
            text += f", next poll at {at:%H:%M:%S}, in {_duration(pause)}"
        return text

    def __repr__(self) -> str:
        return "; ".join([self.title, self.listed, self.money, self.requests])

    def _repr_html_(self) -> str:
        failures = sum(len(row.failed) for row in self._rows.values())
        parts = [
            f'<span style="color: {_MARKS[name][1]}">{_MARKS[name][0]}</span> {count} {name}' if name in _MARKS
            else f"{count} {escape(name)}"
            for name, count in self.counts.items()
        ]  # fmt: skip
        parts += [f"\N{MULTIPLICATION SIGN} {failures} failed poll{'s' * (failures > 1)}"] * bool(failures)
        picture = f"data:image/svg+xml,{quote(self._svg(), safe=_SAFE)}"
        lines = "".join(f"<div>{line}</div>" for line in (" &ensp; ".join(parts), self.money, self.requests))
        return (
            f'<div style="max-width: {_WIDTH}px; line-height: 1.7"><strong>{escape(self.title)}</strong>'
            f'<img src="{picture}" width="{_WIDTH}" alt="timelines of the orders" style="width: 100%">{lines}</div>'
        )

    @property
    def listed(self) -> str:
        """Return the counts in words."""
        return ", ".join(f"{count} {name}" for name, count in self.counts.items()) or "no order yet"

    @property
    def _open(self) -> int:
        return sum(self._row(order_id).status == "open" for order_id in self.open_ids)

    @property
    def _is_waiting(self) -> bool:
        return self._open > 0 and not self.ending

    @property
    def _elapsed(self) -> float:
        return self._client.clock.monotonic() - self._began

    def _row(self, order_id: str) -> _Row:
        return self._rows.setdefault(order_id, _Row(self._elapsed))

    def _svg(self) -> str:
        """Draw the proportions as one bar, and below it a row per order, from when it became known to its last poll."""
        named, ids = len(self._rows) <= _MOST_NAMED, list(self._rows)
        if len(ids) > _MOST_ROWS:
            ids = [ids[place * len(ids) // _MOST_ROWS] for place in range(_MOST_ROWS)]
        height = 17.0 if named else 220 / len(ids)
        bottom = _TOP + height * len(ids) + 4
        shapes = [*self._proportions(), *self._axis(bottom)]
        for place, order_id in enumerate(ids):
            shapes += self._timeline(order_id, _TOP + height * (place + 0.5), height, named)
        return (
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {bottom + 20:.0f}' fill='{_INK}' "
            f"font-family='sans-serif' font-size='11'>{''.join(shapes)}</svg>"
        )

    def _proportions(self) -> Iterator[str]:
        left, of = 0.0, max(sum(self.counts.values()), 1)
        for name, count in self.counts.items():
            color, width = _MARKS.get(name, _MARKS["open"])[1], _WIDTH * count / of
            pale = "" if name in _MARKS and name != "open" else " opacity='.35'"
            yield f"<rect x='{left:.1f}' y='6' width='{max(width - 1, 0.5):.1f}' height='8' fill='{color}'{pale}/>"
            left += width

    def _axis(self, bottom: float) -> Iterator[str]:
        for number in range(7):
            seconds = number * self._step
            text = f"{seconds // 60} min" if self._step >= 60 else f"{seconds} s"
            x, anchor = self._x(seconds), "middle" if number < 6 else "end"
            yield f"<path d='M{x:.1f} {_TOP - 4}V{bottom:.1f}' stroke='{_INK}' opacity='.25'/>"
            yield f"<text x='{x:.1f}' y='{bottom + 14:.1f}' text-anchor='{anchor}'>{text}</text>"
        if self._is_waiting and self._elapsed < (due := self.next_at - self._began) < 6 * self._step:
            yield f"<path d='M{self._x(due):.1f} {_TOP - 4}V{bottom:.1f}' stroke='{_INK}' stroke-dasharray='2 3'/>"
            yield f"<text x='{self._x(due):.1f}' y='{_TOP - 8}' text-anchor='middle'>next poll</text>"

    def _timeline(self, order_id: str, y: float, height: float, named: bool) -> Iterator[str]:
        row, (mark, color) = self._rows[order_id], _MARKS[self._rows[order_id].status]
        end = self._x(max([row.since, *row.polls[-1:]]) if row.status != "open" else self._elapsed)
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
        most = self._elapsed / 6
        return next((step for step in _STEPS_S if step >= most), ceil(most / 3600) * 3600)

    def _x(self, seconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - 8) * seconds / (6 * self._step)


def _orders(count: int) -> str:
    return f"{count} order{'s' * (count != 1)}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
