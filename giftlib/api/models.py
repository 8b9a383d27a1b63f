"""What the API returns besides orders: the key, the catalogue, products, and the account's transactions."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Self, TypeVar

from .parsing import as_amount, as_count, as_flag, as_list, as_text, as_time

Item = TypeVar("Item")


def _read(parse: Callable[[Any], Any], *names: str) -> Any:
    """Return a dataclass field that is read from the first of these names that a response has."""
    return field(metadata={"parse": parse, "names": names})


def _as_texts(raw: Any) -> tuple[str, ...]:
    return tuple(filter(None, map(as_text, as_list(raw))))


class _Model:
    """Read each field of a dataclass from a response, tolerantly: what is missing or of the wrong type is None."""

    @classmethod
    def from_response(cls, data: Mapping[str, Any], **given: Any) -> Self:
        for declared in fields(cls):  # type: ignore[arg-type]  # each subclass is a dataclass
            if declared.name not in given:
                raw = next((data[name] for name in declared.metadata["names"] if name in data), None)
                given[declared.name] = declared.metadata["parse"](raw)
        return cls(**given)


@dataclass(frozen=True)
class ApiKey(_Model):
    """Describe the key, without the key itself: `type` is `SANDBOX` or `PRODUCTION`."""

    username: str | None = _read(as_text, "username")
    type: str | None = _read(as_text, "type")
    scope: str | None = _read(as_text, "scope")
    is_enabled: bool | None = _read(as_flag, "isEnabled")
    allowed_ips: tuple[str, ...] = _read(_as_texts, "allowedips")


@dataclass(frozen=True)
class CatalogProduct(_Model):
    """Describe a product of the catalogue; it can be ordered only while `enabled`."""

    product_id: str | None = _read(as_text, "id", "_id")
    title: str | None = _read(as_text, "title", "name")
    category: str | None = _read(as_text)
    enabled: bool | None = _read(as_flag, "enabled")
    region: str | None = _read(as_text, "region")


@dataclass(frozen=True)
class ProductType(_Model):
    """Describe one denomination of a product: `price` is this account's, in dinars; `quantity` is the stock."""

    type_id: str | None = _read(as_text, "id", "_id")
    name: str | None = _read(as_text, "name")
    price: Decimal | None = _read(as_amount, "price")
    quantity: int | None = _read(as_count, "quantity")


@dataclass(frozen=True)
class Product(_Model):
    """Describe a product with its denominations."""

    product_id: str | None = _read(as_text, "productId", "_id")
    title: str | None = _read(as_text, "productTitle", "title")
    types: tuple[ProductType, ...] = _read(tuple)


@dataclass(frozen=True)
class Transaction(_Model):
    """Describe a transaction of the account in dinars; `object_id` is presumably the order's id."""

    transaction_id: str | None = _read(as_text, "_id")
    type: str | None = _read(as_text, "type")
    operation: str | None = _read(as_text, "operation")
    amount: Decimal | None = _read(as_amount, "amount")
    old_balance: Decimal | None = _read(as_amount, "oldBalance")
    new_balance: Decimal | None = _read(as_amount, "newBalance")
    object_id: str | None = _read(as_text, "objid")
    note: str | None = _read(as_text, "note")
    time: datetime | None = _read(as_time, "time")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Hold one page of a list, in the API's order; iterating and `len` go over `items`.

    `retry_after` is the seconds that the API asks to wait before the next request, or None.
    """

    items: tuple[Item, ...]
    page: int
    page_size: int
    total_pages: int
    total_results: int
    retry_after: float | None = None

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
