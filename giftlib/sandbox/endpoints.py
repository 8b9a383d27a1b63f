"""The endpoints of the API, one method each: a call in, a result out."""

import logging
import re
from collections.abc import Sequence
from math import ceil
from typing import Any, NamedTuple

from giftlib.clock import Timestamp

from .account import BalanceTooLow, OutOfStock
from .auth import Key
from .backend import Backend, NotRecorded
from .catalog import Product
from .orders import Page, unix_ms
from .request_parsing import invalid, read_order_request, read_page
from .responses import ErrorResponse, Request, Result

_log = logging.getLogger(__name__)


class Call(NamedTuple):
    """A request that was admitted: to which endpoint and item, with which key, when."""

    endpoint: str
    item_id: str
    key: Key
    request: Request
    now: Timestamp


class Endpoints:
    """What the endpoints return for one backend; they raise an ErrorResponse for what they reject."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._settings = backend.settings

    def ping(self, _: Call) -> Result:
        operators = dict.fromkeys(("mobilis", "ooredoo", "djezzy", "mobilisFixedPlans"), "up")
        return Result({"api": "ok", "operators": operators})

    def validate(self, call: Call) -> Result:
        key = call.key
        if self._settings.validate_shape == "bills":
            account = {"id": "600afdf2658904003143c700", "status": "ACTIVE", "currency": "DZD"}
            return Result({"account": account, "key": {"type": key.type}})
        shown: dict[str, Any] = {"isEnabled": key.enabled, "type": key.type, "scope": key.scope}
        if self._settings.validate_shape == "reference":
            shown |= {"key": key.key, "allowedips": list(key.allowed_ips)}
        return Result({"username": "+213600000000", "apiKey": shown})

    def catalog(self, call: Call) -> Result:
        catalog = self._backend.accounts[call.key.type].catalog
        categories = [
            {self._settings.category_key: title, "products": [_catalog_row(product) for product in products]}
            for title, products in catalog.categories.items()
        ]
        totals = {"totalCategories": len(catalog.categories), "totalProducts": len(catalog.products)}
        return Result({"categories": categories}, totals)

    def checkProduct(self, call: Call) -> Result:
        settings, account = self._settings, self._backend.accounts[call.key.type]
        product = account.catalog.products.get(call.item_id)
        if product is None:
            raise self._unknown(call.item_id, "Product not found")
        own_key, key = ("productId", "id") if settings.product_id_key == "id" else ("_id", "_id")
        types = []
        for item in product.types:
            price = account.listed_price(item.id)
            row = {key: item.id, "name": item.name, "price": price, "quantity": item.stock}
            row |= {"available": item.stock > 0} if settings.available_field else {}
            types.append(row | ({"cost": price} if settings.cost_field else {}))
        return Result({own_key: product.id, "productTitle": product.title, "types": types})

    def placeOrder(self, call: Call) -> Result:
        if call.key.scope == "READ-ONLY":
            raise ErrorResponse(403, "FORBIDDEN", "This access token is read-only")
        asked = read_order_request(call.request.body, self._settings)
        try:
            order = self._backend.place(call.key.type, asked.product, asked.type, asked.quantity, call.now)
        except OutOfStock:
            raise ErrorResponse(403, "OUT_OF_STOCK", "Product out of stock") from None
        except BalanceTooLow as error:
            details = {"required": error.required, "available": error.available}
            raise ErrorResponse(403, self._settings.balance_code, "Not enough balance", details) from None
        except NotRecorded as error:
            _log.error("an order was refused: %s", error)
            raise ErrorResponse(500, "INTERNAL_ERROR", "Internal Server Error") from None
        ref = {} if asked.ref is None else {"orderRef": asked.ref}
        return Result({"orderId": order.id, **ref}, order_id=order.id)

    def checkOrder(self, call: Call) -> Result:
        order = self._backend.accounts[call.key.type].find(call.item_id)
        if order is None:
            raise self._unknown(call.item_id, "Order not found")
        return Result(order.to_json(call.now.monotonic, self._settings, in_list=False))

    def list(self, call: Call) -> Result:
        settings = self._settings
        asked = read_page(call.request.query, settings, needs_both_ends=settings.list_needs_both_ends)
        if settings.list_hides_s:
            newest = unix_ms(call.now.utc) - round(1000 * settings.list_hides_s)
            asked = asked._replace(end_ms=newest if asked.end_ms is None else min(asked.end_ms, newest))
        orders, total = self._backend.accounts[call.key.type].list_orders(asked)
        shown_at = call.now.monotonic - settings.list_lag_s
        return self._paged([order.to_json(shown_at, settings, in_list=True) for order in orders], asked, total)

    def balance(self, call: Call) -> Result:
        balance = self._backend.accounts[call.key.type].ledger.balance(call.now.monotonic)
        return Result({"balance": balance, **({"currency": "DZD"} if self._settings.balance_currency else {})})

    def transactions(self, call: Call) -> Result:
        asked = read_page(call.request.query, self._settings, needs_both_ends=True)
        items, total = self._backend.accounts[call.key.type].ledger.page(asked, call.now.monotonic)
        return self._paged(items, asked, total)

    def _paged(self, items: Sequence[dict[str, Any]], asked: Page, total: int) -> Result:
        pages = ceil(total / asked.size)
        if asked.number > max(pages, 1) and self._settings.page_overflow == "refused":
            raise invalid(f'"page" must be at most {max(pages, 1)}')
        pagination = {"page": asked.number, "pageSize": asked.size, "totalPages": pages, "totalResults": total}
        return Result({"items": [*items], "pagination": pagination})

    def _unknown(self, item_id: str, message: str) -> ErrorResponse:
        if self._settings.malformed_id == "ERR_VALIDATION" and not re.fullmatch("[0-9a-fA-F]{24}", item_id):
            return invalid("the id must be 24 hexadecimal digits")
        return ErrorResponse(404, "NOT_FOUND", message)


def _catalog_row(product: Product) -> dict[str, Any]:
    region = {} if product.region is None else {"region": product.region}
    return {"id": product.id, "title": product.title, "enabled": product.enabled, **region}
