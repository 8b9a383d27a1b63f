"""What the API tells besides orders: the key, the catalogue, products, and the account's transactions."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class ApiKey:
    """What the API knows of the key, without the key: `type` is `SANDBOX` or `PRODUCTION`."""

    username: str | None
    type: str | None
    scope: str | None
    is_enabled: bool | None
    allowed_ips: tuple[str, ...]


@dataclass(frozen=True)
class CatalogProduct:
    """A product of the catalogue; it can be ordered only while `enabled`."""

    product_id: str | None
    title: str | None
    category: str | None
    enabled: bool | None
    region: str | None


@dataclass(frozen=True)
class ProductType:
    """One denomination of a product: `price` is this account's, in dinars; `quantity` is the stock."""

    type_id: str | None
    name: str | None
    price: Decimal | None
    quantity: int | None


@dataclass(frozen=True)
class Product:
    """A product with its denominations."""

    product_id: str | None
    title: str | None
    types: tuple[ProductType, ...]


@dataclass(frozen=True)
class Transaction:
    """A movement of the account in dinars; `object_id` is presumably the order's id."""

    transaction_id: str | None
    type: str | None
    operation: str | None
    amount: Decimal | None
    old_balance: Decimal | None
    new_balance: Decimal | None
    object_id: str | None
    note: str | None
    time: datetime | None


@dataclass(frozen=True)
class Page(Generic[Item]):
    """One page of a list, in the API's order; iterating and `len` go over `items`."""

    items: tuple[Item, ...]
    page: int
    page_size: int
    total_pages: int
    total_results: int

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
