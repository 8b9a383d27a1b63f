"""The API's HTTP face without sockets: a request in, an answer out."""

import json
import re
from datetime import UTC, datetime
from math import ceil
from typing import Any
from urllib.parse import parse_qs, unquote

from giftlib.clock import Moment

from .catalog import CATEGORIES, PRODUCTS
from .envelope import Answer, Refusal, Request, bare_error, enveloped_error, success
from .gate import Gate
from .orders import Account, BalanceTooLow, OutOfStock, iso, unix_ms
from .settings import Settings

MOST_CARDS = 100_000
"""The largest quantity accepted. Unknown: chosen, so that one request cannot fill the memory."""

_ROUTES = {
    "/v3/ping": ("GET", "ping"),
    "/v3/validate": ("GET", "validate"),
    "/v3/gift-cards/catalog": ("GET", "catalog"),
    "/v3/gift-cards/checkProduct/": ("GET", "checkProduct"),
    "/v3/gift-cards/placeOrder": ("POST", "placeOrder"),
    "/v3/gift-cards/checkOrder/": ("GET", "checkOrder"),
    "/v3/gift-cards/list": ("GET", "list"),
    "/v3/account/balance": ("GET", "balance"),
    "/v3/account/transactions": ("GET", "transactions"),
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "content-type, x-access-token",
}


def route(path: str) -> tuple[str, str, str] | None:
    """The method, the endpoint and the id in a path, or None if there is nothing there."""
    head, slash, tail = path.rpartition("/")
    if path in _ROUTES and not path.endswith("/"):
        return *_ROUTES[path], ""
    if head + slash in _ROUTES and tail:
        return *_ROUTES[head + slash], unquote(tail)
    return None


class Api:
    """The endpoints: requests in, answers out, at the moments given."""

    def __init__(self, api_key: str, settings: Settings, account: Account) -> None:
        self._key = api_key
        self._settings = settings
        self._account = account
        self._gate = Gate(api_key, settings)

    def admit(self, request: Request, now: Moment) -> Answer | str:
        """The endpoint that a request has reached, or the answer to one that reaches none."""
        if request.method == "OPTIONS":
            return Answer(204, b"", dict(_PREFLIGHT))
        found = route(request.path)
        if found is None or request.method != found[0]:
            return bare_error(404 if found is None else 405, f"Route {request.method}:{request.path} not found")
        if found[1] != "ping":
            try:
                self._gate.admit(request, now.monotonic)
            except Refusal as refusal:
                return enveloped_error(refusal, request)
        return found[1]

    def carry_out(self, request: Request, now: Moment) -> Answer:
        """The endpoint's answer to a request that was let through."""
        _, endpoint, item_id = route(request.path)
        try:
            return getattr(self, f"_{endpoint}")(request, now, item_id)
        except Refusal as refusal:
            return enveloped_error(refusal, request)

    def _ping(self, request: Request, now: Moment, _: str) -> Answer:
        operators = dict.fromkeys(("mobilis", "ooredoo", "djezzy", "mobilisFixedPlans"), "up")
        return success({"api": "ok", "operators": operators}, meta=_meta(now))

    def _validate(self, request: Request, now: Moment, _: str) -> Answer:
        key = {
            "key": self._key,
            "isEnabled": True,
            "type": self._settings.key_type,
            "allowedips": list(self._settings.allowed_ips),
            "scope": self._settings.key_scope,
        }
        return success({"username": "+213600000000", "apiKey": key})

    def _catalog(self, request: Request, now: Moment, _: str) -> Answer:
        categories = []
        for title, products in CATEGORIES.items():
            rows = []
            for product in products:
                region = {} if product.region is None else {"region": product.region}
                rows.append({"id": product.id, "title": product.title, "enabled": product.enabled, **region})
            categories.append({"title": title, "products": rows})
        totals = {"totalCategories": len(CATEGORIES), "totalProducts": len(PRODUCTS)}
        return success({"categories": categories}, totals, meta=_meta(now))

    def _checkProduct(self, request: Request, now: Moment, product_id: str) -> Answer:
        product = PRODUCTS.get(product_id)
        if product is None:
            raise Refusal(404, "NOT_FOUND", "Product not found")
        types = [
            {"id": kind.id, "name": kind.name, "price": self._account.price(kind.id), "quantity": kind.stock}
            for kind in product.types
        ]
        data = {"productId": product.id, "productTitle": product.title, "types": types}
        return success(data, meta=_meta(now), requestId=request.id)

    def _placeOrder(self, request: Request, now: Moment, _: str) -> Answer:
        if self._settings.key_scope == "READ-ONLY":
            raise Refusal(403, "FORBIDDEN", "This access token is read-only")
        wish = _read_wish(request.body)
        try:
            order_id = self._account.place(*wish, now)
        except OutOfStock:
            raise Refusal(403, "OUT_OF_STOCK", "Product out of stock") from None
        except BalanceTooLow as error:
            details = {"required": error.required, "available": error.available}
            raise Refusal(403, self._settings.balance_code, "Not enough balance", details) from None
        answer = success({"orderId": order_id}, meta=_meta(now), requestId=request.id)
        answer.order_id = order_id
        return answer

    def _checkOrder(self, request: Request, now: Moment, order_id: str) -> Answer:
        order = self._account.find(order_id)
        if order is None:
            raise Refusal(404, "NOT_FOUND", "Order not found")
        return success(order.shape(now.monotonic, in_list=False))

    def _list(self, request: Request, now: Moment, _: str) -> Answer:
        page, size, start, end = _read_page(request.query)
        settings = self._settings
        if settings.list_hides_s:
            newest = unix_ms(now.utc) - round(1000 * settings.list_hides_s)
            end = newest if end is None else min(end, newest)
        orders, total = self._account.list_orders(page, size, start, end)
        items = [order.shape(now.monotonic - settings.list_lag_s, in_list=True) for order in orders]
        return success(_paged(items, page, size, total), meta=_meta(now))

    def _balance(self, request: Request, now: Moment, _: str) -> Answer:
        return success({"balance": self._account.balance(now.monotonic)}, meta=_meta(now))

    def _transactions(self, request: Request, now: Moment, _: str) -> Answer:
        page, size, start, end = _read_page(request.query)
        if (start is None) != (end is None):
            raise _invalid(['"from" and "to" must be given together'])
        items, total = self._account.list_transactions(page, size, start, end, now.monotonic)
        return success(_paged(items, page, size, total), meta=_meta(now))


def _meta(now: Moment) -> dict[str, str]:
    return {"timestamp": iso(unix_ms(now.utc))}


def _paged(items: list[Any], page: int, size: int, total: int) -> dict[str, Any]:
    pagination = {"page": page, "pageSize": size, "totalPages": ceil(total / size), "totalResults": total}
    return {"items": items, "pagination": pagination}


def _invalid(details: list[str]) -> Refusal:
    return Refusal(400, "ERR_VALIDATION", "Invalid request parameters", details)


def _read_wish(body: bytes) -> tuple[str, str, int]:
    """Product, type and quantity of an order; keys that are not known are passed over."""
    try:
        wish = json.loads(body)
    except (ValueError, RecursionError):
        raise _invalid(["the body must be JSON"]) from None
    if not isinstance(wish, dict):
        raise _invalid(["the body must be an object"])
    wrong = []
    for name in ("productId", "typeId"):
        if not isinstance(wish.get(name), str) or not wish[name]:
            wrong.append(f'"{name}" must be a text that is not empty' if name in wish else f'"{name}" is required')
    quantity = wish.get("quantity")
    if isinstance(quantity, float) and quantity.is_integer():
        quantity = int(quantity)  # JSON has one kind of number: 2.0 is 2
    if "quantity" not in wish:
        wrong.append('"quantity" is required')
    elif type(quantity) is not int or not 1 <= quantity <= MOST_CARDS:
        wrong.append(f'"quantity" must be an integer from 1 to {MOST_CARDS}')
    if wrong:
        raise _invalid(wrong)
    return wish["productId"], wish["typeId"], quantity


def _read_page(query: str) -> tuple[int, int, int | None, int | None]:
    """Page number, page size and the period in milliseconds; a time without an offset is UTC (unknown: chosen)."""
    given = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
    wrong = []
    numbers = []
    for name, default, most in (("page", 1, 10**9), ("pageSize", 20, 100)):
        text = given.get(name, str(default))
        number = int(text) if re.fullmatch(r"[0-9]{1,10}", text) else 0
        numbers.append(number)
        if not 1 <= number <= most:
            wrong.append(f'"{name}" must be an integer from 1 to {most}')
    times = []
    for name in ("from", "to"):
        times.append(None)
        if name in given:
            try:
                moment = datetime.fromisoformat(given[name])
                times[-1] = unix_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
            except ValueError:
                wrong.append(f'"{name}" must be a time in ISO 8601')
    if wrong:
        raise _invalid(wrong)
    return *numbers, *times
