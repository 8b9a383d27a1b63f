"""What the sandbox sells.

"PSN Germany" and "PSN UK" with their ids and regions, and PSN Germany's type at 2000 dinars, stand in the vendor's
captured samples; "PSN 500 DA" to "PSN 2000 DA" with price and stock in its checkProduct sample; the ids of the game
products, and a category "Mobile & Internet" of what are no gift cards, in public client code. The rest is chosen so
that each case a client must handle occurs once: a product without a region, one that is not enabled, a type without
stock.
"""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Type:
    id: str
    name: str
    price: Decimal
    stock: int


@dataclass(frozen=True)
class Product:
    id: str
    title: str
    types: tuple[Type, ...]
    region: str | None = None
    enabled: bool = True


SAMPLE_PRODUCT = "507f1f77bcf86cd799439011"

_CATEGORIES: dict[str, tuple[Product, ...]] = {
    "PSN": (
        Product(
            "6126393c6f57860f925a1983",
            "PSN Germany",
            (Type("6126393c6f57860f925a1984", "PSN 10 EUR", Decimal(2000), 40),),
            region="germany",
        ),
        Product(
            "612619816f57860f9259eee3",
            "PSN UK",
            (Type("612619816f57860f9259eee4", "PSN 10 GBP", Decimal("2345.50"), 25),),
            region="united-kingdom",
        ),
        Product(
            SAMPLE_PRODUCT,
            "PSN Algeria",
            (
                Type("type_001", "PSN 500 DA", Decimal(490), 150),
                Type("type_002", "PSN 1000 DA", Decimal(980), 87),
                Type("type_003", "PSN 2000 DA", Decimal(1960), 0),
            ),
            region="algeria",
        ),
    ),
    "Game Stores": (
        Product(
            "600b141a658904003143cb65",
            "PUBG Mobile",
            (Type("600b141a658904003143cb66", "PUBG 60 UC", Decimal(185), 300),),
        ),
        Product(
            "600afdf2658904003143c771",
            "Free Fire",
            (Type("600afdf2658904003143c772", "Free Fire 100 diamonds", Decimal(195), 0),),
            enabled=False,
        ),
    ),
    "Mobile & Internet": (
        Product(
            "600afdf2658904003143c7f0",
            "Mobile credit",
            (Type("600afdf2658904003143c7f1", "Credit 500 DA", Decimal(500), 1000),),
        ),
    ),
}


class Catalog:
    """The first `size` products by category; those past the named ones are made up.

    `products` and `types` are by id, `product_of` gives a type's product.
    """

    def __init__(self, size: int) -> None:
        named = [(title, product) for title, products in _CATEGORIES.items() for product in products]
        made_up = [("Made up", _made_up(number)) for number in range(1, size - len(named) + 1)]
        self.categories: dict[str, list[Product]] = {}
        for title, product in (named + made_up)[:size]:
            self.categories.setdefault(title, []).append(product)
        self.products = {product.id: product for products in self.categories.values() for product in products}
        self.types = {kind.id: kind for product in self.products.values() for kind in product.types}
        self.product_of = {kind.id: product.id for product in self.products.values() for kind in product.types}


def _made_up(number: int) -> Product:
    kind = Type(f"{2 * number:024x}", f"Card {number}", Decimal(100 + number), 10)
    return Product(f"{2 * number + 1:024x}", f"Product {number}", (kind,))
