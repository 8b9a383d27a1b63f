"""An account: its orders, their prices and outcomes, and its ledger; no HTTP, no threads."""

import random
from decimal import Decimal
from math import inf
from typing import Any

from giftlib.clock import Timestamp

from .catalog import SAMPLE_PRODUCT, Catalog
from .ledger import Ledger
from .orders import Order, Page, Timeline, draw_seconds, unix_ms
from .settings import Settings

SAMPLE_ORDER = "6901616fe9e88196b4eb64b3"
_SAMPLE = Order(SAMPLE_ORDER, SAMPLE_PRODUCT, "type_001", 2, Decimal(490), 1761699600000, -inf, 0.0, 2, "FULFILLED")
TEST_TYPES = ("TEST_REFUND", "TEST_PARTIAL")


class OutOfStock(ValueError):
    """The type has fewer cards than the order wants."""


class BalanceTooLow(ValueError):
    """The account cannot pay: `required` and `available` in dinars."""

    def __init__(self, required: Decimal, available: Decimal) -> None:
        super().__init__(f"the account holds {available} dinars and the order costs {required}")
        self.required = required
        self.available = available


class Account:
    """The orders and the money of one environment. Calls must come in the order of their times.

    `all_orders` has the orders of all environments together.
    """

    def __init__(self, seed: Any, settings: Settings, *, environment: str, all_orders: Timeline[Order]) -> None:
        self.catalog = Catalog(settings.catalog_products)
        self.orders: dict[str, Order] = {}
        self._settings = settings
        self._seed = seed
        self._simulates_tests = environment == "SANDBOX" or settings.production_test_types == "simulated"
        self._all_orders = all_orders
        self._own_orders: Timeline[Order] = Timeline()
        self.ledger = Ledger(settings, random.Random(f"{seed}:ids").randbytes(5).hex())
        self._shared: dict[Any, Any] = {}

    def draft(self, product: str | None, type_id: str, quantity: int, now: Timestamp) -> Order:
        """Make the next order, which `add` places. Without a product it is the one that has the type.

        Raises OutOfStock or BalanceTooLow if it cannot be placed.
        """
        number = len(self.orders)
        self.require(type_id, quantity, now.monotonic)
        ms = self._all_orders.not_before_last(unix_ms(now.utc))
        delivers, outcome = self._result(type_id, quantity)
        return Order(
            id=f"{ms // 1000:08x}{self.ledger.id_bytes}{number + 1:06x}",
            product=self._share(product or self.catalog.product_of.get(type_id, SAMPLE_PRODUCT)),
            type=self._share(type_id),
            quantity=quantity,
            price=self._share(self._price(type_id)),
            ms=ms,
            placed=now.monotonic,
            duration=draw_seconds("fulfilment", self._settings, random.Random(f"{self._seed}:order:{number}")),
            delivers=delivers,
            outcome=outcome,
        )

    def add(self, order: Order) -> None:
        """Place a drafted order and charge for it."""
        self.ledger.charge(order, len(self.orders))
        self.orders[order.id] = order
        self._own_orders.add(order.ms, order)
        self._all_orders.add(order.ms, order)

    def require(self, type_id: str, quantity: int, now: float, times: int = 1) -> None:
        """Raise OutOfStock or BalanceTooLow unless so many such orders could be placed at monotonic second `now`."""
        known = self.catalog.types.get(type_id)
        if self._settings.check_stock and known and known.stock < quantity:
            raise OutOfStock(f"{type_id} has {known.stock} cards, the order wants {quantity}")
        cost, funds = times * quantity * self._price(type_id), self.ledger.funds(now)
        if self._settings.check_balance and cost > funds:
            raise BalanceTooLow(cost, funds)

    def listed_price(self, type_id: str) -> Decimal:
        """Give the price of a card of the type that checkProduct shows, dinars."""
        return Decimal(self._settings.prices.get(type_id, self.catalog.types[type_id].price))

    def find(self, order_id: str) -> Order | None:
        """Give the order with the id, the documentation's own included."""
        if order_id == SAMPLE_ORDER and self._settings.sample_order:
            return _SAMPLE
        return self.orders.get(order_id)

    def list_orders(self, asked: Page) -> tuple[list[Order], int]:
        """Give a page of the orders, and how many there are in all."""
        orders = self._all_orders if self._settings.list_mixes_environments else self._own_orders
        return orders.page(asked, self._settings.list_order == "newest first")

    def _price(self, type_id: str) -> Decimal:
        """What an order pays for a card of the type, dinars."""
        settings = self._settings
        if type_id in settings.prices:
            return Decimal(settings.prices[type_id])
        if type_id in TEST_TYPES:
            return Decimal(settings.test_type_price)
        if type_id not in self.catalog.types:
            return Decimal(settings.unknown_type_price)
        known = settings.known_type_price
        return self.catalog.types[type_id].price if known is None else Decimal(known)

    def _result(self, type_id: str, quantity: int) -> tuple[int, str]:
        """How many cards such an order delivers, and its final status."""
        settings = self._settings
        if type_id not in TEST_TYPES or not self._simulates_tests:
            return quantity, "FULFILLED"
        if type_id == "TEST_REFUND":
            return 0, "REFUNDED"
        delivers = (quantity + (settings.partial_rounding == "up")) // 2
        if quantity == 1 and settings.partial_of_one == "as counted":
            return delivers, "FULFILLED" if delivers else "REFUNDED"
        return delivers, settings.partial_status

    def _share(self, value: Any) -> Any:
        """Give an equal object, the same for all orders: a million of them share few strings and prices."""
        return self._shared.setdefault(value, value) if len(self._shared) < 10_000 else value
