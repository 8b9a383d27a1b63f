"""What the API returns besides orders: the key, the catalogue, products, and the account's transactions."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from .parsing import as_amount, as_count, as_dict, as_flag, as_list, as_text, as_time

Item = TypeVar("Item")


@dataclass(frozen=True)
class ApiKey:
    """Describe the key, without the key itself: `type` is `SANDBOX` or `PRODUCTION`."""

    username: str | None
    type: str | None
    scope: str | None
    is_enabled: bool | None
    allowed_ips: tuple[str, ...]

    @classmethod
    def from_response(cls, data: Mapping[str, Any]) -> "ApiKey":
        key = as_dict(data.get("apiKey") or data.get("key"))
        return cls(
            username=as_text(data.get("username")),
            type=as_text(key.get("type")),
            scope=as_text(key.get("scope")),
            is_enabled=as_flag(key.get("isEnabled")),
            allowed_ips=tuple(filter(None, map(as_text, as_list(key.get("allowedips"))))),
        )


@dataclass(frozen=True)
class CatalogProduct:
    """Describe a product of the catalogue; it can be ordered only while `enabled`."""

    product_id: str | None
    title: str | None
    category: str | None
    enabled: bool | None
    region: str | None

    @classmethod
    def from_response(cls, product: Mapping[str, Any], category: Mapping[str, Any]) -> "CatalogProduct":
        return cls(
            product_id=as_text(product.get("id", product.get("_id"))),
            title=as_text(product.get("title", product.get("name"))),
            category=as_text(category.get("title", category.get("name"))),
            enabled=as_flag(product.get("enabled")),
            region=as_text(product.get("region")),
        )


@dataclass(frozen=True)
class ProductType:
    """Describe one denomination of a product: `price` is this account's, in dinars; `quantity` is the stock."""

    type_id: str | None
    name: str | None
    price: Decimal | None
    quantity: int | None

    @classmethod
    def from_response(cls, item: Mapping[str, Any]) -> "ProductType":
        return cls(
            type_id=as_text(item.get("id", item.get("_id"))),
            name=as_text(item.get("name")),
            price=as_amount(item.get("price")),
            quantity=as_count(item.get("quantity")),
        )


@dataclass(frozen=True)
class Product:
    """Describe a product with its denominations."""

    product_id: str | None
    title: str | None
    types: tuple[ProductType, ...]

    @classmethod
    def from_response(cls, data: Mapping[str, Any], types: Iterable[Mapping[str, Any]]) -> "Product":
        return cls(
            product_id=as_text(data.get("productId", data.get("_id"))),
            title=as_text(data.get("productTitle", data.get("title"))),
            types=tuple(map(ProductType.from_response, types)),
        )


@dataclass(frozen=True)
class Transaction:
    """Describe a transaction of the account in dinars; `object_id` is presumably the order's id."""

    transaction_id: str | None
    type: str | None
    operation: str | None
    amount: Decimal | None
    old_balance: Decimal | None
    new_balance: Decimal | None
    object_id: str | None
    note: str | None
    time: datetime | None

    @classmethod
    def from_response(cls, item: Mapping[str, Any]) -> "Transaction":
        return cls(
            transaction_id=as_text(item.get("_id")),
            type=as_text(item.get("type")),
            operation=as_text(item.get("operation")),
            amount=as_amount(item.get("amount")),
            old_balance=as_amount(item.get("oldBalance")),
            new_balance=as_amount(item.get("newBalance")),
            object_id=as_text(item.get("objid")),
            note=as_text(item.get("note")),
            time=as_time(item.get("time")),
        )


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Hold one page of a list, in the API's order; iterating and `len` go over `items`."""

    items: tuple[Item, ...]
    page: int
    page_size: int
    total_pages: int
    total_results: int

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
