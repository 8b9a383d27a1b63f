"""Say how a wait goes, to a person who watches it: as HTML with one picture, and as one line of text.

It shows ids, statuses, amounts and times, nothing else of what the API sent.
"""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from functools import reduce
from html import escape
from itertools import takewhile
from urllib.parse import quote

from giftlib.api import WIDE, Client
from giftlib.journal import Poll

from .picture import MARKS, WIDTH, Picture, Row

OpenIds = dict[str, float] | list[str]
_SAFE = " =:/,;'"


class Panel:
    """Hold what is known of a wait so far.

    Who waits says which orders are open, how many are still `to_place`, how many have `failed`, by how, and when the
    next round of polls begins, `next_at` in the clock's monotonic seconds; `ending` is how the wait ended, once it has.
    """

    def __init__(self, client: Client) -> None:
        self.open_ids: OpenIds = []
        self.to_place = 0
        self.failed: dict[str, int] = {}
        self.next_at = 0.0
        self.ending = ""
        self._client = client
        self._began = client.clock.monotonic()
        self._rows: dict[str, Row] = {}

    def take_in(self, open_ids: OpenIds) -> None:
        """Take in which orders are open, in the order in which they became known."""
        self.open_ids = open_ids
        for order_id in reversed([*takewhile(lambda order_id: order_id not in self._rows, reversed(open_ids))]):
            self._row(order_id)

    def add(self, poll: Poll) -> None:
        """Take in a poll."""
        row = self._row(poll.order_id)
        (row.polls if poll.order else row.failed).append(poll.received.monotonic - self._began)
        order = poll.order if row.status == "open" else None  # what was seen final stays
        if order is not None and order.is_final:
            row.status = str(order.status)
            row.amounts = {"charged": order.fulfilled_amount, "refunded": order.refunded_amount}
        elif order is not None and order.quantity is not None and order.price_per_card is not None:
            row.amounts = {"in flight": WIDE.multiply(order.quantity, order.price_per_card)}

    @property
    def counts(self) -> dict[str, int]:
        """Return how many orders are in each status, "open", "to place", or have failed, by how; those there are."""
        counts = Counter(dict.fromkeys(MARKS, 0) | {"to place": self.to_place} | self.failed)
        counts.update(row.status for row in self._rows.values() if row.status != "open")
        counts["open"] = sum(self._rows[order_id].status == "open" for order_id in self.open_ids)
        return {name: count for name, count in counts.items() if count}

    @property
    def final(self) -> int:
        """Return how many orders are final."""
        return sum(row.status != "open" for row in self._rows.values())

    @property
    def orders(self) -> int:
        """Return how many orders are or were waited for or to be placed."""
        return sum(self.counts.values())

    @property
    def summary(self) -> str:
        """Return in one sentence how the wait goes, or went."""
        elapsed = _duration(self._client.clock.monotonic() - self._began)
        final = f"{self.final} of {_orders(self.orders)} final"
        return f"{self.ending} after {elapsed}: {final}" if self.ending else f"{final} after {elapsed}"

    @property
    def statuses(self) -> str:
        """Return the counts in words."""
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
                texts.append(f"{name} unknown for {_orders(unknown)}")
        return ", ".join(texts)

    @property
    def requests(self) -> str:
        """Return how much of the rate limit is used, and when the next round of polls begins."""
        limit, pause = self._client.rate_limit, self.next_at - self._client.clock.monotonic()
        of_limit = f" of {limit.per_minute}" if limit.per_minute else ""
        text = f"{limit.recent()}{of_limit} requests used in the last minute"
        if self._is_waiting and pause > 0:
            at = (self._client.clock.now_utc() + timedelta(seconds=pause)).astimezone()
            text += f", next poll at {at:%H:%M:%S}, in {_duration(pause)}"
        return text

    def __repr__(self) -> str:
        return "; ".join([self.summary, self.statuses, self.money, self.requests])

    def _repr_html_(self) -> str:
        failures, counts = sum(len(row.failed) for row in self._rows.values()), self.counts
        marked = {name: f'<span style="color: {color}">{mark}</span> ' for name, (mark, color) in MARKS.items()}
        parts = [f"{marked.get(name, '')}{count} {escape(name)}" for name, count in counts.items()]
        parts += [f"\N{MULTIPLICATION SIGN} {failures} failed poll{'s' * (failures > 1)}"] * bool(failures)
        due = self.next_at - self._began if self._is_waiting else 0.0
        svg = Picture(self._rows, counts, self._client.clock.monotonic() - self._began, due).svg()
        image = f'src="data:image/svg+xml,{quote(svg, safe=_SAFE)}" width="{WIDTH}" style="width: 100%"'
        lines = "".join(f"<div>{line}</div>" for line in (" &ensp; ".join(parts), self.money, self.requests))
        return (
            f'<div style="max-width: {WIDTH}px; line-height: 1.7"><strong>{escape(self.summary)}</strong>'
            f'<img {image} alt="timelines of the orders">{lines}</div>'
        )

    @property
    def _is_waiting(self) -> bool:
        return "open" in self.counts and not self.ending

    def _row(self, order_id: str) -> Row:
        return self._rows.setdefault(order_id, Row(self._client.clock.monotonic() - self._began))


def _orders(count: int) -> str:
    return f"{count} order{'s' * (count != 1)}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
