"""The money of an account: its balance, its transactions, and the refunds that are due later."""

from decimal import Decimal
from heapq import heappop, heappush
from typing import Any, NamedTuple

from .orders import Order, Page, Timeline, iso
from .settings import Settings

_LATE_REFUND_S = 60.0
_REFUND_COUNT = {"missing": 0, "doubled": 2}


class Transaction(NamedTuple):
    """A change of the balance; amounts in centimes, `order_id` empty for a deposit."""

    number: int
    type: str
    change: int
    balance: int
    order_id: str
    ms: int


class Ledger:
    """Balance and transactions. `centimes` is the balance once `pay_refunds` was called for the time; `id_bytes` is the
    middle part of all ids of the account."""

    def __init__(self, settings: Settings, id_bytes: str) -> None:
        self.centimes = to_centimes(settings.opening_balance)
        self._settings = settings
        self.id_bytes = id_bytes
        self._transactions: Timeline[Transaction] = Timeline()
        self._refunds: list[tuple[float, int, int, int, Order]] = []

    def add(self, type: str, change: int, order_id: str, ms: int) -> int:
        """Book a change in centimes; gives its time in milliseconds since 1970."""
        ms = self._transactions.not_before_last(ms)
        self.centimes += change
        row = Transaction(len(self._transactions) + 1, type, change, self.centimes, order_id, ms)
        self._transactions.add(ms, row)
        return ms

    def plan_refunds(self, order: Order, number: int) -> None:
        """Plan what is paid back of the account's `number`-th order; if two are due together the older order is first."""
        delay = order.duration + (_LATE_REFUND_S if self._settings.refunds == "late" else 0.0)
        for part in range(_REFUND_COUNT.get(self._settings.refunds, 1)):
            heappush(self._refunds, (order.placed + delay, number, part, order.ms + int(1000 * delay), order))

    def pay_refunds(self, now: float) -> None:
        """Credit the refunds that are due at monotonic second `now`, oldest first."""
        while self._refunds and self._refunds[0][0] <= now:
            *_, ms, order = heappop(self._refunds)
            self.add("REFUND-ORDER", to_centimes((order.quantity - order.delivers) * order.price), order.id, ms)

    def page(self, asked: Page) -> tuple[list[dict[str, Any]], int]:
        """Give a page of the transactions as the API shows them, and how many there are in all."""
        if not self._settings.transactions_listed:
            return [], 0
        rows, total = self._transactions.page(asked, self._settings.list_order == "newest first")
        return [self._to_json(row) for row in rows], total

    def _to_json(self, row: Transaction) -> dict[str, Any]:
        return {
            "_id": f"{row.ms // 1000:08x}{self.id_bytes}{0x800000 + row.number:06x}",
            "type": row.type,
            "operation": "Decrement" if row.type == "ORDER" else "Increment",
            "amount": to_dinars(abs(row.change)),
            "oldBalance": to_dinars(row.balance - row.change),
            "newBalance": to_dinars(row.balance),
            "objid": row.order_id,
            "note": "",
            "time": iso(row.ms),
        }


def to_centimes(dinars: Decimal) -> int:
    return int(Decimal(dinars).scaleb(2))


def to_dinars(centimes: int) -> Decimal:
    return Decimal(centimes) / 100
