"""The products that the sandbox sells; catalog.toml lists them, with their sources."""

from decimal import Decimal
from pathlib import Path
from tomllib import loads
from typing import NamedTuple

from .settings import Settings

SAMPLE_PRODUCT = "507f1f77bcf86cd799439011"
TEST_TYPES = ("TEST_REFUND", "TEST_PARTIAL")
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


PRODUCTS = [
    Product(**row | {"types": tuple(Type(**item | {"price": Decimal(item["price"])}) for item in row["types"])})
    for row in loads(Path(__file__).with_name("catalog.toml").read_text("utf-8"), parse_float=Decimal)["products"]
]


class Catalog:
    """As many products as the settings say; those after the listed ones are made up.

    `products` and `types` are by id, `product_of` gives a type's product.
    """

    def __init__(self, settings: Settings) -> None:
        size, price = settings.catalog_products, Decimal(settings.test_type_price)
        made_up = map(_made_up, range(1, size - len(PRODUCTS) + 1))
        tests = Product(
            "Sandbox", _TEST_PRODUCT, "Test outcomes", tuple(Type(id, id, price, 1000) for id in TEST_TYPES)
        )
        listed = [tests] if settings.catalog_test_types else []
        self.products = {product.id: product for product in (*PRODUCTS[:size], *made_up, *listed)}
        self.types = {item.id: item for product in self.products.values() for item in product.types}
        self.product_of = {item.id: product.id for product in self.products.values() for item in product.types}


def _made_up(number: int) -> Product:
    item = Type(f"{2 * number:024x}", f"Card {number}", Decimal(100 + number), 10)
    return Product("Made up", f"{2 * number + 1:024x}", f"Product {number}", (item,))
