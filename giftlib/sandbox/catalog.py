"""The products that the sandbox sells; catalog.toml lists them, with their sources."""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from tomllib import loads
from typing import NamedTuple

SAMPLE_PRODUCT = "507f1f77bcf86cd799439011"
_TEST_PRODUCT = "7e57000000000000000000a1"


class Type(NamedTuple):
    id: str
    name: str
    price: Decimal
    stock: int


class Product(NamedTuple):
    category: str
    id: str
    title: str
    types: tuple[Type, ...]
    region: str | None = None
    enabled: bool = True


_PRODUCTS = [
    Product(**row | {"types": tuple(Type(**item | {"price": Decimal(item["price"])}) for item in row["types"])})
    for row in loads(Path(__file__).with_name("catalog.toml").read_text("utf-8"), parse_float=Decimal)["products"]
]


class Catalog:
    """The first `size` products; those after the listed ones are made up.

    `products` and `types` are by id, `product_of` gives a type's product.
    """

    def __init__(self, size: int, test_types: Iterable[Type] = ()) -> None:
        made_up = map(_made_up, range(1, size - len(_PRODUCTS) + 1))
        tests = [Product("Sandbox", _TEST_PRODUCT, "Test outcomes", tuple(test_types))] if test_types else []
        self.products = {product.id: product for product in (*_PRODUCTS[:size], *made_up, *tests)}
        self.types = {item.id: item for product in self.products.values() for item in product.types}
        self.product_of = {item.id: product.id for product in self.products.values() for item in product.types}


def _made_up(number: int) -> Product:
    item = Type(f"{2 * number:024x}", f"Card {number}", Decimal(100 + number), 10)
    return Product("Made up", f"{2 * number + 1:024x}", f"Product {number}", (item,))
