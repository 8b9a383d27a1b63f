"""Single requests that show how an API behaves: its catalogue, its lists, wrong ids and quantities."""

from collections.abc import Mapping
from decimal import Decimal
from ipaddress import ip_network
from operator import itemgetter
from typing import Any

from giftlib.api import Order, Response, as_amount, as_count, as_dict, as_dicts, as_id, as_list, as_text

from .session import CalibrationSession, UnclearError, is_accepted, name_orders

Offer = tuple[str, str, Decimal, int]
"""A type of card as checkProduct shows it: product id, type id, price in dinars, stock."""
Ways = tuple[Any, Any] | None
"""What it means if a request is rejected, and if it is accepted; without, its HTTP status and error code are kept."""
_TEST_PRODUCT = "7e57000000000000000000a1"
"""An emulator lists it with `catalog_test_types`, beside the `catalog_products`."""

_UNKNOWN_ID, _MALFORMED_ID, _SAMPLE_ORDER = 23 * "0" + "1", "not-an-id", "6901616fe9e88196b4eb64b3"
_SINCE = {"page": 1, "pageSize": 20, "from": "2026-01-01T00:00:00.000Z"}
_REQUESTS: dict[str, tuple[str, dict[str, Any], Ways]] = {
    "unknown product id": (f"gift-cards/checkProduct/{_UNKNOWN_ID}", {}, None),
    "malformed product id": (f"gift-cards/checkProduct/{_MALFORMED_ID}", {}, None),
    "unknown order id": (f"gift-cards/checkOrder/{_UNKNOWN_ID}", {}, None),
    "malformed order id": (f"gift-cards/checkOrder/{_MALFORMED_ID}", {}, None),
    "sample_order": (f"gift-cards/checkOrder/{_SAMPLE_ORDER}", {}, (False, True)),
    "large_page": ("gift-cards/list", {"page": 1, "pageSize": 101}, ("refused", "clamped")),
    "page_overflow": ("gift-cards/list", {"page": 100_000, "pageSize": 100}, ("refused", "empty")),
    "list_needs_both_ends": ("gift-cards/list", _SINCE, (True, False)),
    "transactions from one end": ("account/transactions", _SINCE, None),
}
_BODIES: dict[str, tuple[dict[str, Any], Ways]] = {
    "quantity 0": ({"quantity": 0}, None),
    "quantity -1": ({"quantity": -1}, None),
    "quantity 1.5": ({"quantity": 1.5}, None),
    "no quantity": ({}, None),
    "text_quantity": ({"quantity": "1"}, ("refused", "read")),
    "unknown_body_keys": ({"quantity": 1, "note": "giftlib"}, ("refused", "ignored")),
}
_ID_STYLES = {"req_": "req_time_number", "req-": "req-number"}
_ID_IN = {(True, True): "always", (False, True): "documented", (False, False): "never"}
_MOST_PRODUCTS, _MOST_CARDS = 6, 100


def find_key(session: CalibrationSession) -> None:
    with session.finding("validate_shape", "key_scope", "allowed_ips"):
        response = session.get("validate")
        key = as_dict(response.data.get("apiKey"))
        shape = "bills" if "account" in response.data else _first(key, key="reference") or (key and "quickstart")
        session.found("validate_shape", shape, response)
        session.found("key_scope", as_text(key.get("scope")), response)
        addresses = tuple(map(_address, as_list(key["allowedips"]))) if "allowedips" in key else None
        session.found("allowed_ips", addresses, response)


def find_balance(session: CalibrationSession) -> Decimal | None:
    """Return what the account holds now, in dinars; None if no response shows it."""
    with session.finding("opening_balance", "balance_currency"):
        response = session.get("account/balance")
        balance = as_amount(response.data.get("balance"))
        session.found("opening_balance", balance, response)
        session.found("balance_currency", "currency" in response.data, response)
        session.balances += [] if balance is None else [balance]
        return balance
    return None


def find_catalogue(session: CalibrationSession) -> list[Offer]:
    """Find how the catalogue and a few of its products are shown; return what these offer."""
    enabled: list[str | None] = []
    id_in_catalogue: bool | None = None
    with session.finding("category_key", "catalog_totals_in", "catalog_products", "request_id_in"):
        response = session.get("gift-cards/catalog")
        id_in_catalogue = "requestId" in response.fields
        categories = response.items("categories")
        listed = [product for category in categories for product in as_dicts(category.get("products"))]
        products = [product for product in listed if product.get("id") != _TEST_PRODUCT]
        session.found("category_key", _first(next(iter(categories), {}), title="title", name="name"), response)
        in_meta = _first(as_dict(response.fields.get("meta")), totalProducts="meta")
        session.found("catalog_totals_in", _first(response.fields, totalProducts="top") or in_meta, response)
        session.found("catalog_products", len(products), response)
        enabled = [as_id(product.get("id")) for product in products if product.get("enabled") is not False]
    offers: list[Offer] = []
    for product_id in list(filter(None, enabled))[:_MOST_PRODUCTS]:
        with session.finding("product_id_key", "available_field", "cost_field", "request_id_in"):
            response = session.get(f"gift-cards/checkProduct/{product_id}")
            session.found("product_id_key", _first(response.data, productId="id", _id="_id"), response)
            session.found("request_id_in", _ID_IN.get((id_in_catalogue, "requestId" in response.fields)), response)
            for item in response.items("types"):
                session.found("available_field", "available" in item, response)
                session.found("cost_field", "cost" in item, response)
                type_id, price = as_id(item.get("id", item.get("_id"))), as_amount(item.get("price"))
                stock = as_count(item.get("quantity"))
                if type_id is not None and price is not None and stock is not None:
                    offers.append((product_id, type_id, price, stock))
    return offers


def find_rejections(session: CalibrationSession) -> None:
    """Find the responses to wrong ids, pages and times, how errors are worded, and whether the sample order exists."""
    for name, (path, params, ways) in _REQUESTS.items():
        with session.finding(name):
            response = session.request(path, params)
            if name == "page_overflow" and is_accepted(response) and response.items("items"):
                raise UnclearError("a page past the end has orders")
            _found(session, name, response, ways)
            if response.fields.get("success") is not False:
                continue
            error, found = as_dict(response.fields.get("error")), session.found
            code = error["code"] if response.code else ""
            found("code_separator", next((mark for mark in "_-" if mark in code), None), response)
            found("message_at", _first(response.fields, message="top") or _first(error, message="error"), response)
            found("request_id_style", _ID_STYLES.get((response.request_id or "")[:4]), response)
            if name == "malformed order id":
                found("malformed_id", {404: "NOT_FOUND", 400: "ERR_VALIDATION"}.get(response.status), response)
    unread = ("malformed_id", "code_separator", "message_at", "request_id_style")
    session.missing("no error response could be read", *unread)


def find_wrong_orders(session: CalibrationSession, item: tuple[str, str], offers: list[Offer]) -> list[str]:
    """Find the responses to badly worded order requests and to one for too many cards; return ids of orders placed."""
    requests = {name: (item, *asked) for name, asked in _BODIES.items()}
    for product_id, type_id, _, stock in sorted(offers, key=itemgetter(3))[:1]:
        if stock < _MOST_CARDS:
            requests["check_stock"] = ((product_id, type_id), {"quantity": stock + 1}, (True, False))
    order_ids = []
    for name, ((product_id, type_id), asked, ways) in requests.items():
        with session.finding(name):
            body = {"productId": product_id, "typeId": type_id, **asked}
            response = session.request("gift-cards/placeOrder", body=body)
            if (order_id := as_id(as_dict(response.fields.get("data")).get("orderId"))) is not None:
                session.journal.watch(order_id)
                order_ids.append(order_id)
            if name == "check_stock" and not is_accepted(response) and "STOCK" not in (response.code or ""):
                raise UnclearError(f"rejected for another reason: {response.status} {response.code}")
            _found(session, name, response, ways)
    session.missing("no type among the products checked is scarce", "check_stock")
    return order_ids


def find_list_order(session: CalibrationSession) -> None:
    """Find which end of the list is the newest."""
    with session.finding("list_order"):
        listed = [order for order in session.newest(session.client.list_orders) if order.order_id]
        times = [order.placed_at for order in listed if order.placed_at]
        if len(set(times)) < 2:
            raise UnclearError("the list has fewer than two orders")
        ways = {"newest first": sorted(times, reverse=True), "oldest first": sorted(times)}
        way = next((name for name, ordered in ways.items() if ordered == times), None)
        session.found("list_order", way, name_orders(str(order.order_id) for order in listed))


def find_final_order(session: CalibrationSession, order_id: str) -> None:
    """Find what checkOrder shows of an order with cards."""
    with session.finding("final_order_has_type", "card_serials"):
        response = session.get(f"gift-cards/checkOrder/{order_id}")
        order = Order.from_response(response.data)
        if not order.is_final or not order.cards:
            raise UnclearError("no order with cards was shown final")
        session.found("final_order_has_type", "type" in order and "product" in order, response)
        serial = order.cards[0].reveal().serial
        session.found("card_serials", "missing" if serial is None else "numbered" if serial else "empty", response)


def _found(session: CalibrationSession, name: str, response: Response, ways: Ways) -> None:
    if ways and not is_accepted(response) and response.fields.get("success") is not False:
        raise UnclearError(f"rejected before the API: {response.status}")
    outcome = str(response.status) if is_accepted(response) else f"{response.status} {response.code or 'without code'}"
    session.found(name, ways[is_accepted(response)] if ways else outcome, response)


def _first(fields: Mapping[str, Any], **values: str) -> str | None:
    """Return the value for the first name that the fields have."""
    return next((value for name, value in values.items() if name in fields), None)


def _address(raw: Any) -> str | None:
    try:
        return raw if isinstance(raw, str) and "%" not in raw and ip_network(raw, strict=False) else None
    except ValueError:
        return None
