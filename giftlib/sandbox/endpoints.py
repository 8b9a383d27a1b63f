"""The endpoints of the API, one method each: a call in, data out; and what they read of a request."""

import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from giftlib.clock import Timestamp

from .account import BalanceTooLow, OutOfStock
from .auth import Key
from .backend import Backend, NotRecorded
from .messages import ErrorResponse, Request
from .orders import Page, unix_ms
from .settings import Settings
from .validators import TEXT, read_json, whole_number

LARGEST_PAGE = 100
_log = logging.getLogger(__name__)


class Call(NamedTuple):
    """A request that was admitted: to which endpoint and item, with which key, when."""

    endpoint: str
    item_id: str
    key: Key
    request: Request
    now: Timestamp


class Endpoints:
    """The `data` that the endpoints of one backend respond with; they raise an ErrorResponse for what they reject."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._settings = backend.settings

    def ping(self, _: Call) -> dict[str, Any]:
        return {"api": "ok", "operators": dict.fromkeys(("mobilis", "ooredoo", "djezzy", "mobilisFixedPlans"), "up")}

    def validate(self, call: Call) -> dict[str, Any]:
        key = call.key
        if self._settings.validate_shape == "bills":
            account = {"id": "600afdf2658904003143c700", "status": "ACTIVE", "currency": "DZD"}
            return {"account": account, "key": {"type": key.type}}
        shown: dict[str, Any] = {"isEnabled": key.enabled, "type": key.type, "scope": key.scope}
        if self._settings.validate_shape == "reference":
            shown |= {"key": key.key, "allowedips": list(key.allowed_ips)}
        return {"username": "+213600000000", "apiKey": shown}

    def catalog(self, call: Call) -> dict[str, Any]:
        categories: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for product in self._backend.accounts[call.key.type].catalog.products.values():
            region = {} if product.region is None else {"region": product.region}
            shown = {"id": product.id, "title": product.title, "enabled": product.enabled, **region}
            categories[product.category].append(shown)
        key = self._settings.category_key
        return {"categories": [{key: title, "products": products} for title, products in categories.items()]}

    def checkProduct(self, call: Call) -> dict[str, Any]:
        settings, account = self._settings, self._backend.accounts[call.key.type]
        product = account.catalog.products.get(call.item_id)
        if product is None:
            raise self._unknown(call.item_id, "Product not found")
        own_key, key = ("productId", "id") if settings.product_id_key == "id" else ("_id", "_id")
        types = []
        for item in product.types:
            price = account.price(item.id, listed=True)
            row = {key: item.id, "name": item.name, "price": price, "quantity": item.stock}
            row |= {"available": item.stock > 0} if settings.available_field else {}
            types.append(row | ({"cost": price} if settings.cost_field else {}))
        return {own_key: product.id, "productTitle": product.title, "types": types}

    def placeOrder(self, call: Call) -> dict[str, Any]:
        if call.key.scope == "READ-ONLY":
            raise ErrorResponse(403, "FORBIDDEN", "This access token is read-only")
        asked = read_order_request(call.request.body, self._settings)
        item = asked["productId"], asked["typeId"], asked["quantity"]
        try:
            order = self._backend.place(call.key.type, *item, call.now)
        except OutOfStock:
            raise ErrorResponse(403, "OUT_OF_STOCK", "Product out of stock") from None
        except BalanceTooLow as error:
            details = {"required": error.required, "available": error.available}
            message = "Your balance is insufficient for this operation"
            raise ErrorResponse(403, self._settings.balance_code, message, details) from None
        except NotRecorded as error:
            _log.error("an order was refused: %s", error)
            raise ErrorResponse(500, "INTERNAL_ERROR", "Internal Server Error") from None
        return {"orderId": order.id, **({"orderRef": asked["ref"]} if "ref" in asked else {})}

    def checkOrder(self, call: Call) -> dict[str, Any]:
        order = self._backend.accounts[call.key.type].find(call.item_id)
        if order is None:
            raise self._unknown(call.item_id, "Order not found")
        return order.to_json(call.now.monotonic, self._settings, in_list=False)

    def list(self, call: Call) -> dict[str, Any]:
        settings = self._settings
        asked = read_page(call.request.query, settings, needs_both_ends=settings.list_needs_both_ends)
        if settings.list_hides_s:
            newest = unix_ms(call.now.utc) - round(1000 * settings.list_hides_s)
            asked = asked._replace(end_ms=newest if asked.end_ms is None else min(asked.end_ms, newest))
        orders, total = self._backend.accounts[call.key.type].list_orders(asked)
        shown_at = call.now.monotonic - settings.list_lag_s
        return self._paged([order.to_json(shown_at, settings, in_list=True) for order in orders], asked, total)

    def balance(self, call: Call) -> dict[str, Any]:
        balance = self._backend.accounts[call.key.type].ledger.balance(call.now.monotonic)
        return {"balance": balance, **({"currency": "DZD"} if self._settings.balance_currency else {})}

    def transactions(self, call: Call) -> dict[str, Any]:
        asked = read_page(call.request.query, self._settings, needs_both_ends=True)
        items, total = self._backend.accounts[call.key.type].ledger.page(asked, call.now.monotonic)
        return self._paged(items, asked, total)

    def _paged(self, items: Sequence[dict[str, Any]], asked: Page, total: int) -> dict[str, Any]:
        pages = ceil(total / asked.size)
        if asked.number > max(pages, 1) and self._settings.page_overflow == "refused":
            problem = f"must be at most {max(pages, 1)}"
            raise invalid(self._settings, Mistake("querystring", "page", asked.number, problem))
        pagination = {"page": asked.number, "pageSize": asked.size, "totalPages": pages, "totalResults": total}
        return {"items": [*items], "pagination": pagination}

    def _unknown(self, item_id: str, message: str) -> ErrorResponse:
        if self._settings.malformed_id == "ERR_VALIDATION" and not re.fullmatch("[0-9a-fA-F]{24}", item_id):
            ajv = 'must match pattern "^[0-9a-fA-F]{24}$"'
            return invalid(self._settings, Mistake("params", "id", item_id, "must be 24 hexadecimal digits", ajv))
        return ErrorResponse(404, "NOT_FOUND", message)


class Mistake(NamedTuple):
    """What is wrong with a field of "body", "querystring" or "params", in the words of Joi and, if they differ, Ajv."""

    where: str
    field: str
    value: Any
    joi: str
    ajv: str = ""


def invalid(settings: Settings, *mistakes: Mistake) -> ErrorResponse:
    """Make the error for a request with these mistakes, of which Ajv names the first."""
    if settings.validation_wording == "Ajv":
        where, field, value, joi, ajv = mistakes[0]
        at = where if ajv.startswith("must have") or not field else f"{where}/{field}"
        return ErrorResponse(400, "ERR_VALIDATION", f"{at} {ajv or joi}", {"field": field, "value": value})
    details = [f'"{each.field}" {each.joi}' if each.field else each.joi for each in mistakes]
    return ErrorResponse(400, "ERR_VALIDATION", "Invalid request parameters", details)


def read_order_request(body: bytes, settings: Settings) -> dict[str, Any]:
    """Read productId, typeId and quantity from the body of placeOrder, and the ref where the settings have one."""
    try:
        given = read_json(body)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        joi = f"the body must be {'JSON' if given is None else 'an object'}"
        raise invalid(settings, Mistake("body", "", None, joi, "must be object"))
    by_ref, most = settings.order_ref == "required", settings.max_quantity
    quantity = 1 if by_ref else _as_whole_number(given.get("quantity"), settings)
    expected = dict.fromkeys(("productId", "typeId"), (TEXT, "must be a text that is not empty", "must be string"))
    if by_ref:
        expected["ref"] = expected["typeId"]
    else:
        bound = f"must be <= {most}" if type(quantity) is int and quantity > 1 else "must be >= 1"
        ajv = bound if type(quantity) is int else "must be integer"
        expected["quantity"] = (whole_number(1, most), f"must be an integer from 1 to {most}", ajv)
    wrong = []
    for name, (validator, joi, ajv) in expected.items():
        if name not in given:
            wrong.append(Mistake("body", name, None, "is required", f"must have required property '{name}'"))
        elif not validator.accepts(quantity if name == "quantity" else given[name]):
            wrong.append(Mistake("body", name, given[name], joi, ajv))
    for name in given if settings.unknown_body_keys == "refused" else ():
        if name not in (*expected, "quantity"):
            wrong.append(Mistake("body", name, given[name], "is not allowed", "must NOT have additional properties"))
    if wrong:
        raise invalid(settings, *wrong)
    return {name: given[name] for name in expected} | {"quantity": quantity}


def _as_whole_number(given: Any, settings: Settings) -> Any:
    """The quantity as an int if that is what it means: JSON has one type of number, 2.0 is 2."""
    if isinstance(given, float) and given.is_integer():
        return int(given)
    if settings.text_quantity == "read" and isinstance(given, str) and re.fullmatch("[1-9][0-9]{0,8}", given):
        return int(given)
    return given


def read_page(query: str, settings: Settings, *, needs_both_ends: bool) -> Page:
    """Read the query of a list; a time without an offset is UTC (unknown: chosen)."""
    given = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
    wrong, numbers, times = [], [], []
    for name, default, most in (("page", 1, 10**9), ("pageSize", 20, LARGEST_PAGE)):
        text = given.get(name, str(default))
        number = int(text) if re.fullmatch(r"[0-9]{1,10}", text) else 0
        if name == "pageSize" and settings.large_page == "clamped":
            number = min(number, LARGEST_PAGE)
        numbers.append(number)
        if not 1 <= number <= most:
            wrong.append(Mistake("querystring", name, text, f"must be an integer from 1 to {most}"))
    for name in ("from", "to"):
        times.append(_as_ms(given.get(name)))
        if name in given and times[-1] is None:
            wrong.append(Mistake("querystring", name, given[name], "must be a time in ISO 8601"))
    if needs_both_ends and ("from" in given) != ("to" in given):
        wrong.append(Mistake("querystring", "", None, '"from" and "to" must be given together', "must have both"))
    if wrong:
        raise invalid(settings, *wrong)
    return Page(*numbers, *times)


def _as_ms(text: str | None) -> int | None:
    try:
        time = datetime.fromisoformat(text or "")
        return unix_ms(time if time.tzinfo else time.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None
