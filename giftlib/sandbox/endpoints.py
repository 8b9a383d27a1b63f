"""The endpoints of the API, one method each: what is asked for in, an answer out, at the moment given."""

import re
from collections.abc import Sequence
from math import ceil
from typing import Any, NamedTuple

from giftlib.clock import Timestamp

from .account import BalanceTooLow, OutOfStock
from .auth import Key
from .backend import World
from .catalog import Product
from .orders import unix_ms
from .request_parsing import invalid, read_page, read_wish
from .responses import Answer, Envelope, Refusal, Request


class Call(NamedTuple):
    """A request that was let through: by which key, to which item, when."""

    request: Request
    key: Key
    item_id: str
    now: Timestamp

    @property
    def now_ms(self) -> int:
        return unix_ms(self.now.utc)


class Endpoints:
    """The answers of one world; a Refusal is raised for what is refused."""

    def __init__(self, world: World, envelope: Envelope) -> None:
        self._world = world
        self._settings = world.settings
        self._success = envelope.success

    def ping(self, request: Request, now: Timestamp) -> Answer:
        operators = dict.fromkeys(("mobilis", "ooredoo", "djezzy", "mobilisFixedPlans"), "up")
        return self._success({"api": "ok", "operators": operators}, request, now_ms=unix_ms(now.utc))

    def validate(self, call: Call) -> Answer:
        key = call.key
        if self._settings.validate_shape == "bills":
            account = {"id": "600afdf2658904003143c700", "status": "ACTIVE", "currency": "DZD"}
            return self._success({"account": account, "key": {"type": key.type}}, call.request)
        shown: dict[str, Any] = {"isEnabled": key.enabled, "type": key.type, "scope": key.scope}
        if self._settings.validate_shape == "reference":
            shown |= {"key": key.key, "allowedips": list(key.allowed_ips)}
        return self._success({"username": "+213600000000", "apiKey": shown}, call.request)

    def catalog(self, call: Call) -> Answer:
        catalog, key = self._world.account(call.key).catalog, self._settings.category_key
        categories = [
            {key: title, "products": [_catalog_row(product) for product in products]}
            for title, products in catalog.categories.items()
        ]
        totals = {"totalCategories": len(catalog.categories), "totalProducts": len(catalog.products)}
        data = {"categories": categories}
        if self._settings.catalog_totals_in == "top":
            return self._success(data, call.request, totals=totals, now_ms=call.now_ms)
        return self._success(data, call.request, meta=totals, now_ms=call.now_ms)

    def checkProduct(self, call: Call) -> Answer:
        account = self._world.account(call.key)
        product = account.catalog.products.get(call.item_id)
        if product is None:
            raise self._unknown(call.item_id, "Product not found")
        own_key, key = ("productId", "id") if self._settings.product_id_key == "id" else ("_id", "_id")
        types = []
        for kind in product.types:
            row = {key: kind.id, "name": kind.name, "price": account.listed_price(kind.id), "quantity": kind.stock}
            row |= {"available": kind.stock > 0} if self._settings.available_field else {}
            types.append(row | ({"cost": account.listed_price(kind.id)} if self._settings.cost_field else {}))
        data = {own_key: product.id, "productTitle": product.title, "types": types}
        return self._success(data, call.request, now_ms=call.now_ms, tells_id=True)

    def placeOrder(self, call: Call) -> Answer:
        if call.key.scope == "READ-ONLY":
            raise Refusal(403, "FORBIDDEN", "This access token is read-only")
        wish = read_wish(call.request.body, self._settings)
        try:
            order = self._world.place(call.key.type, wish.product, wish.type, wish.quantity, call.now)
        except OutOfStock:
            raise Refusal(403, "OUT_OF_STOCK", "Product out of stock") from None
        except BalanceTooLow as error:
            details = {"required": error.required, "available": error.available}
            raise Refusal(403, self._settings.balance_code, "Not enough balance", details) from None
        data = {"orderId": order.id} | ({} if wish.ref is None else {"orderRef": wish.ref})
        answer = self._success(data, call.request, now_ms=call.now_ms, tells_id=True)
        answer.order_id = order.id
        return answer

    def checkOrder(self, call: Call) -> Answer:
        order = self._world.account(call.key).find(call.item_id)
        if order is None:
            raise self._unknown(call.item_id, "Order not found")
        return self._success(order.shape(call.now.monotonic, self._settings, in_list=False), call.request)

    def list(self, call: Call) -> Answer:
        settings = self._settings
        wish = read_page(call.request.query, settings, needs_both_ends=settings.list_needs_both_ends)
        end_ms = wish.end_ms
        if settings.list_hides_s:
            newest = call.now_ms - round(1000 * settings.list_hides_s)
            end_ms = newest if end_ms is None else min(end_ms, newest)
        orders, total = self._world.account(call.key).list_orders(wish.page, wish.size, wish.start_ms, end_ms)
        seen_at = call.now.monotonic - settings.list_lag_s
        items = [order.shape(seen_at, settings, in_list=True) for order in orders]
        return self._paged(call, items, wish.page, wish.size, total)

    def balance(self, call: Call) -> Answer:
        data: dict[str, Any] = {"balance": self._world.account(call.key).balance(call.now.monotonic)}
        data |= {"currency": "DZD"} if self._settings.balance_currency else {}
        return self._success(data, call.request, now_ms=call.now_ms)

    def transactions(self, call: Call) -> Answer:
        wish = read_page(call.request.query, self._settings, needs_both_ends=True)
        account = self._world.account(call.key)
        items, total = account.list_transactions(*wish, call.now.monotonic)
        return self._paged(call, items, wish.page, wish.size, total)

    def _paged(self, call: Call, items: Sequence[Any], page: int, size: int, total: int) -> Answer:
        pages = ceil(total / size)
        if page > max(pages, 1) and self._settings.page_overflow == "refused":
            raise invalid(f'"page" must be at most {max(pages, 1)}')
        pagination = {"page": page, "pageSize": size, "totalPages": pages, "totalResults": total}
        return self._success({"items": [*items], "pagination": pagination}, call.request, now_ms=call.now_ms)

    def _unknown(self, item_id: str, message: str) -> Refusal:
        if self._settings.malformed_id == "ERR_VALIDATION" and not re.fullmatch("[0-9a-fA-F]{24}", item_id):
            return invalid("the id must be 24 hexadecimal digits")
        return Refusal(404, "NOT_FOUND", message)


def _catalog_row(product: Product) -> dict[str, Any]:
    region = {} if product.region is None else {"region": product.region}
    return {"id": product.id, "title": product.title, "enabled": product.enabled, **region}
