"""Say how a wait goes, to a person who watches it: as HTML with one picture, and as one line of text.

It shows ids, statuses, amounts and times, nothing else of what the API sent. The picture is an image, with colours that
are seen on white and on black: so it stays in a saved notebook, also where that is not trusted.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
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
_WIDTH, _LEFT, _TOP = 640, 76, 16
_MOST_NAMED, _MOST_ROWS = 20, 200
_STEPS_S = (5, 10, 20, 30, 60, 120, 300, 600, 1200)
_SAFE = " =:/,;'"


@dataclass
class _Row:
    """Hold what is known of one order, times in seconds since the wait began."""

    since: float
    polls: list[float] = field(default_factory=list)
    status: str = "open"
    amounts: dict[str, Decimal | None] = field(default_factory=lambda: {"in flight": None})


class Panel:
    """Hold what is known of a wait so far.

    Who waits says which orders are open, how many are still `to_place`, how many have `failed`, by how, and when the
    next round of polls begins, `next_at` in the clock's monotonic seconds; `ending` is how the wait ended, once it has.
    """

    def __init__(self, client: Client) -> None:
        self.open_ids: Collection[str] = ()
        self.to_place = 0
        self.failed: dict[str, int] = {}
        self.next_at = 0.0
        self.ending = ""
        self._client = client
        self._began = client.clock.monotonic()
        self._failed_polls = 0
        self._rows = defaultdict[str, _Row](lambda: _Row(self._elapsed))

    def add(self, poll: Poll) -> None:
        """Take in a poll."""
        row, order = self._rows[poll.order_id], poll.order
        if order is None:
            self._failed_polls += 1
            return
        row.polls.append(poll.received.monotonic - self._began)
        if row.status != "open":  # what was seen final stays
            return
        if order.is_final:
            row.status = str(order.status)
            row.amounts = {"charged": order.fulfilled_amount, "refunded": order.refunded_amount}
        elif order.quantity is not None and order.price_per_card is not None:
            row.amounts = {"in flight": WIDE.multiply(order.quantity, order.price_per_card)}

    @property
    def counts(self) -> dict[str, int]:
        """Return how many orders are in each status, "open", "to place", or have failed, by how; those there are.

        An open order has a row from here on.
        """
        counts = Counter(dict.fromkeys(_MARKS, 0) | {"to place": self.to_place} | self.failed)
        counts.update(row.status for row in self._rows.values() if row.status != "open")
        counts["open"] = sum(self._rows[order_id].status == "open" for order_id in self.open_ids)
        return {name: count for name, count in counts.items() if count}

    @property
    def final(self) -> int:
        return sum(row.status != "open" for row in self._rows.values())

    @property
    def orders(self) -> int:
        return sum(self.counts.values())

    @property
    def summary(self) -> str:
        final, elapsed = f"{self.final} of {_counted(self.orders, 'order')} final", _duration(self._elapsed)
        return f"{self.ending} after {elapsed}: {final}" if self.ending else f"{final} after {elapsed}"

    @property
    def statuses(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in self.counts.items()) or "no order yet"

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
                texts.append(f"{name} unknown for {_counted(unknown, 'order')}")
        return ", ".join(texts)

    @property
    def requests(self) -> str:
        """Return how much of the rate limit is used, what failed, and when the next round of polls begins."""
        limit, pause = self._client.rate_limit, self.next_at - self._client.clock.monotonic()
        of_limit = f" of {limit.per_minute}" if limit.per_minute else ""
        text = f"{limit.recent()}{of_limit} requests used in the last minute"
        if self._failed_polls:
            text += f", {_counted(self._failed_polls, 'failed poll')}"
        if self.open_ids and not self.ending and pause > 0:
            at = (self._client.clock.now_utc() + timedelta(seconds=pause)).astimezone()
            text += f", next poll at {at:%H:%M:%S}, in {_duration(pause)}"
        return text

    def __repr__(self) -> str:
        return "; ".join([self.summary, self.statuses, self.money, self.requests])

    def _repr_html_(self) -> str:
        marked = {name: f'<span style="color: {color}">{mark}</span> ' for name, (mark, color) in _MARKS.items()}
        parts = [f"{marked.get(name, '')}{count} {escape(name)}" for name, count in self.counts.items()]
        svg = "".join(_draw(self._rows, self._elapsed))
        image = f'src="data:image/svg+xml,{quote(svg, safe=_SAFE)}" width="{_WIDTH}" style="width: 100%"'
        lines = "".join(f"<div>{line}</div>" for line in (" &ensp; ".join(parts), self.money, self.requests))
        return (
            f'<div style="max-width: {_WIDTH}px; line-height: 1.7"><strong>{escape(self.summary)}</strong>'
            f'<img {image} alt="timelines of the orders">{lines}</div>'
        )

    @property
    def _elapsed(self) -> float:
        return self._client.clock.monotonic() - self._began


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'s' * (count != 1)}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _draw(rows: Mapping[str, _Row], elapsed: float) -> Iterator[str]:
    """Draw a row per order, from when it became known to its last poll, as SVG."""
    named = len(rows) <= _MOST_NAMED
    ids = list(rows)[:: ceil(len(rows) / _MOST_ROWS) or 1]
    height = 17.0 if named else 220 / len(ids)
    bottom = _TOP + height * len(ids) + 4
    step = next((step for step in _STEPS_S if step >= elapsed / 6), ceil(elapsed / 6 / 3600) * 3600)

    def x(seconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - 8) * seconds / (6 * step)

    yield (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {bottom + 20:.0f}' fill='{_INK}' "
        f"font-family='sans-serif' font-size='11'>"
    )
    for number in range(7):
        time, anchor = number * step, "middle" if number < 6 else "end"
        text = f"{time // 60} min" if step >= 60 else f"{time} s"
        yield f"<path d='M{x(time):.1f} {_TOP - 4}V{bottom:.1f}' stroke='{_INK}' opacity='.25'/>"
        yield f"<text x='{x(time):.1f}' y='{bottom + 14:.1f}' text-anchor='{anchor}'>{text}</text>"
    if not named:
        yield f"<text x='{_LEFT + 4}' y='{_TOP - 4}'>{len(ids)} of {len(rows)} orders</text>"
    thick = 3 if named else max(0.8 * height, min(height + 0.5, 1.6))
    for place, order_id in enumerate(ids):
        row, y = rows[order_id], _TOP + height * (place + 0.5)
        (mark, color), is_open = _MARKS[row.status], row.status == "open"
        end = x(elapsed if is_open else max(row.since, row.polls[-1]))
        pale = " opacity='.5'" * is_open
        yield f"<path d='M{x(row.since):.1f} {y:.1f}H{end:.1f}' stroke='{color}' stroke-width='{thick:.2f}'{pale}/>"
        if named:
            text = escape(order_id if len(order_id) <= 9 else f"…{order_id[-6:]}", quote=False)
            ticks = "".join(f"M{x(at):.1f} {y - 3:.1f}v6" for at in row.polls)
            yield f"<text x='{_LEFT - 10}' y='{y + 4:.1f}' text-anchor='end'>{text}</text>"
            yield f"<path d='{ticks}' stroke='{_INK}'/>"
            if not is_open:
                at = f"x='{end:.1f}' y='{y + 4.5:.1f}' text-anchor='middle'"
                yield f"<text {at} font-size='13' fill='{color}'>{mark}</text>"
    yield "</svg>"
