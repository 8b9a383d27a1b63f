"""The money of an account: its balance, its transactions, and the refunds that are due later."""

from decimal import Decimal
from heapq import heappop, heappush
from math import isfinite
from typing import Any, NamedTuple

from giftlib.clock import Timestamp

from .orders import Order, Page, Timeline, iso, unix_ms
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
    """The balance and its changes. `id_bytes` is the middle part of all ids of the account."""

    def __init__(self, settings: Settings, id_bytes: str) -> None:
        self.id_bytes = id_bytes
        self._settings = settings
        self._centimes = _to_centimes(settings.opening_balance)
        self._transactions: Timeline[Transaction] = Timeline()
        self._refunds: list[tuple[float, int, int, int, Order]] = []

    def funds(self, now: float) -> Decimal:
        """Give the dinars that orders can be paid from at monotonic second `now`."""
        while self._refunds and self._refunds[0][0] <= now:
            *_, ms, order = heappop(self._refunds)
            self._add("REFUND-ORDER", (order.quantity - order.delivers) * order.price, order.id, ms)
        return _to_dinars(self._centimes)

    def balance(self, now: float) -> Decimal:
        """Give the dinars that the API shows at monotonic second `now`."""
        return self.funds(now) if self._settings.balance_moves else Decimal(self._settings.opening_balance)

    def deposit(self, amount: Decimal, now: Timestamp) -> None:
        """Credit dinars."""
        self.funds(now.monotonic)
        self._add("DEPOSIT", amount, "", unix_ms(now.utc))

    def charge(self, order: Order, number: int) -> None:
        """Charge for the account's `number`-th order, and plan its refund: of two due together the older is first."""
        self._add("ORDER", -order.quantity * order.price, order.id, order.ms)
        if order.delivers < order.quantity and isfinite(order.duration):
            delay = order.duration + (_LATE_REFUND_S if self._settings.refunds == "late" else 0.0)
            for part in range(_REFUND_COUNT.get(self._settings.refunds, 1)):
                heappush(self._refunds, (order.placed + delay, number, part, order.ms + int(1000 * delay), order))

    def page(self, asked: Page, now: float) -> tuple[list[dict[str, Any]], int]:
        """Give a page of the transactions as the API shows them at monotonic second `now`, and how many in all."""
        self.funds(now)
        if not self._settings.transactions_listed:
            return [], 0
        rows, total = self._transactions.page(asked, self._settings.list_order == "newest first")
        return [self._to_json(row) for row in rows], total

    def _add(self, type: str, change: Decimal, order_id: str, ms: int) -> None:
        ms = self._transactions.not_before_last(ms)
        self._centimes += _to_centimes(change)
        row = Transaction(len(self._transactions) + 1, type, _to_centimes(change), self._centimes, order_id, ms)
        self._transactions.add(ms, row)

    def _to_json(self, row: Transaction) -> dict[str, Any]:
        return {
            "_id": f"{row.ms // 1000:08x}{self.id_bytes}{0x800000 + row.number:06x}",
            "type": row.type,
            "operation": "Decrement" if row.type == "ORDER" else "Increment",
            "amount": _to_dinars(abs(row.change)),
            "oldBalance": _to_dinars(row.balance - row.change),
            "newBalance": _to_dinars(row.balance),
            "objid": row.order_id,
            "note": "",
            "time": iso(row.ms),
        }


def _to_centimes(dinars: Decimal) -> int:
    return int(Decimal(dinars).scaleb(2))


def _to_dinars(centimes: int) -> Decimal:
    return Decimal(centimes) / 100
