"""What the sandbox sells.

"PSN Germany" and "PSN UK" with their ids and regions, and PSN Germany's type at 2000 dinars, are in the vendor's
captured samples; "PSN 500 DA" to "PSN 2000 DA" with price and stock in its checkProduct sample; the ids of the game
products, and a category "Mobile & Internet" of products that are no gift cards, in public client code. The rest is
chosen so that each case a client must handle occurs once: a product without a region, one that is not enabled, a type
without stock.
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
    category: str
    id: str
    title: str
    types: tuple[Type, ...]
    region: str | None = None
    enabled: bool = True


SAMPLE_PRODUCT = "507f1f77bcf86cd799439011"

# fmt: off
_PRODUCTS = (
    Product("PSN", "6126393c6f57860f925a1983", "PSN Germany", region="germany", types=(
        Type("6126393c6f57860f925a1984", "PSN 10 EUR", Decimal(2000), 40),)),
    Product("PSN", "612619816f57860f9259eee3", "PSN UK", region="united-kingdom", types=(
        Type("612619816f57860f9259eee4", "PSN 10 GBP", Decimal("2345.50"), 25),)),
    Product("PSN", SAMPLE_PRODUCT, "PSN Algeria", region="algeria", types=(
        Type("type_001", "PSN 500 DA", Decimal(490), 150),
        Type("type_002", "PSN 1000 DA", Decimal(980), 87),
        Type("type_003", "PSN 2000 DA", Decimal(1960), 0))),
    Product("Game Stores", "600b141a658904003143cb65", "PUBG Mobile", types=(
        Type("600b141a658904003143cb66", "PUBG 60 UC", Decimal(185), 300),)),
    Product("Game Stores", "600afdf2658904003143c771", "Free Fire", enabled=False, types=(
        Type("600afdf2658904003143c772", "Free Fire 100 diamonds", Decimal(195), 0),)),
    Product("Mobile & Internet", "600afdf2658904003143c7f0", "Mobile credit", types=(
        Type("600afdf2658904003143c7f1", "Credit 500 DA", Decimal(500), 1000),)),
)
# fmt: on


class Catalog:
    """The first `size` products; those after the named ones are made up.

    `products` and `types` are by id, `product_of` gives a type's product.
    """

    def __init__(self, size: int) -> None:
        made_up = map(_made_up, range(1, size - len(_PRODUCTS) + 1))
        self.products = {product.id: product for product in (*_PRODUCTS[:size], *made_up)}
        self.types = {item.id: item for product in self.products.values() for item in product.types}
        self.product_of = {item.id: product.id for product in self.products.values() for item in product.types}
        self.categories: dict[str, list[Product]] = {}
        for product in self.products.values():
            self.categories.setdefault(product.category, []).append(product)


def _made_up(number: int) -> Product:
    item = Type(f"{2 * number:024x}", f"Card {number}", Decimal(100 + number), 10)
    return Product("Made up", f"{2 * number + 1:024x}", f"Product {number}", (item,))
