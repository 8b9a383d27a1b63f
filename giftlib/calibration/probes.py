"""Single requests that show what an API does: its catalogue, its lists, what it makes of wrong ids and quantities."""

from collections.abc import Mapping
from decimal import Decimal
from ipaddress import ip_network
from typing import Any, NamedTuple

from giftlib.api import Order, Response, as_amount, as_count, as_dict, as_dicts, as_id, as_list, as_text, as_time
from giftlib.sandbox.settings import KEY_SCOPES

from .session import Inquiry, UnclearError, is_accepted, outcome_of

UNKNOWN_ITEM = ("string", "string")
"""Product and type of an order that a captured sample has (DOC-REAL): the sandbox knows neither."""
_UNKNOWN_ID = 23 * "0" + "1"
_SAMPLE_ORDER = "6901616fe9e88196b4eb64b3"
_MOST_PRODUCTS = 6
_MOST_CARDS = 100


class Offer(NamedTuple):
    """A type as checkProduct tells it: `price` in dinars, `stock` in cards."""

    product_id: str
    type_id: str
    price: Decimal
    stock: int


def ask_about_the_key(inquiry: Inquiry) -> str | None:
    """What validate tells; gives the key's scope if it does."""
    with inquiry.looking_for("validate_shape", "allowed_ips"):
        answer = inquiry.get("validate")
        key = as_dict(answer.data.get("apiKey"))
        shape = "bills" if "account" in answer.data else "reference" if "key" in key else "quickstart" if key else None
        inquiry.found("validate_shape", shape, answer)
        if "allowedips" in key:
            inquiry.found("allowed_ips", tuple(map(_address, as_list(key["allowedips"]))), answer)
        inquiry.unclear("validate does not tell", "allowed_ips")
        scope = as_text(key.get("scope"))
        return scope if scope in KEY_SCOPES else None
    return None


def ask_about_the_balance(inquiry: Inquiry) -> Decimal | None:
    """What the account holds now, in dinars; None if it cannot be told."""
    with inquiry.looking_for("opening_balance", "balance_currency"):
        answer = inquiry.get("account/balance")
        balance = as_amount(answer.data.get("balance"))
        inquiry.found("opening_balance", balance, answer)
        inquiry.found("balance_currency", "currency" in answer.data, answer)
        inquiry.balances += [] if balance is None else [balance]
        return balance
    return None


def ask_about_the_catalogue(inquiry: Inquiry) -> list[Offer]:
    """The catalogue and a few of its products; gives what these offer."""
    product_ids: list[str] = []
    told: list[bool] = []
    with inquiry.looking_for("category_key", "catalog_totals_in", "catalog_products", "request_id_in"):
        answer = inquiry.get("gift-cards/catalog")
        told.append("requestId" in answer.fields)
        categories = answer.items("categories")
        products = [product for category in categories for product in as_dicts(category.get("products"))]
        inquiry.found("category_key", _one_of(next(iter(categories), {}), "title", "name"), answer)
        places = {"top": answer.fields, "meta": as_dict(answer.fields.get("meta"))}
        totals_in = [place for place, fields in places.items() if "totalProducts" in fields]
        inquiry.found("catalog_totals_in", next(iter(totals_in), None), answer)
        inquiry.found("catalog_products", len(products), answer)
        enabled = [as_id(product.get("id")) for product in products if product.get("enabled") is not False]
        product_ids = [product_id for product_id in enabled if product_id is not None][:_MOST_PRODUCTS]
    offers: list[Offer] = []
    for product_id in product_ids:
        with inquiry.looking_for("product_id_key", "available_field", "cost_field", "request_id_in"):
            answer = inquiry.get(f"gift-cards/checkProduct/{product_id}")
            own_key = _one_of(answer.data, "productId", "_id")
            inquiry.found("product_id_key", "id" if own_key == "productId" else own_key, answer)
            if told:
                ways = {(True, True): "always", (False, True): "documented", (False, False): "never"}
                inquiry.found("request_id_in", ways.get((told[0], "requestId" in answer.fields)), answer)
            for row in answer.items("types"):
                inquiry.found("available_field", "available" in row, answer)
                inquiry.found("cost_field", "cost" in row, answer)
                type_id, price = as_id(row.get("id", row.get("_id"))), as_amount(row.get("price"))
                stock = as_count(row.get("quantity"))
                if type_id is not None and price is not None and stock is not None:
                    offers.append(Offer(product_id, type_id, price, stock))
    return offers


def ask_about_ids(inquiry: Inquiry) -> None:
    """What ids get that nobody has, or that are none; and how errors are worded."""
    for what in ("Product", "Order"):
        for kind, item_id in (("unknown", _UNKNOWN_ID), ("malformed", "not-an-id")):
            name = f"{kind} {what.lower()} id"
            sought = (name, "malformed_id", "code_separator", "message_at", "request_id_style")
            with inquiry.looking_for(*sought if what == "Order" else (name,)):
                answer = inquiry.ask(f"gift-cards/check{what}/{item_id}")
                inquiry.found(name, outcome_of(answer), answer)
                if answer.fields.get("success") is False:
                    _read_the_wording(inquiry, answer)
                    if name == "malformed order id":
                        found = {404: "NOT_FOUND", 400: "ERR_VALIDATION"}.get(answer.status)
                        inquiry.found("malformed_id", found, answer)
    with inquiry.looking_for("sample_order"):
        answer = inquiry.ask(f"gift-cards/checkOrder/{_SAMPLE_ORDER}")
        inquiry.found("sample_order", is_accepted(answer), answer)


def _read_the_wording(inquiry: Inquiry, answer: Response) -> None:
    error = as_dict(answer.fields.get("error"))
    if answer.code is not None:
        separators = [separator for separator in "_-" if separator in error["code"]]
        inquiry.found("code_separator", next(iter(separators), None), answer)
    place = "top" if "message" in answer.fields else "error" if "message" in error else None
    inquiry.found("message_at", place, answer)
    styles = {"req_": "req_time_number", "req-": "req-number"}
    inquiry.found("request_id_style", styles.get((answer.request_id or "")[:4]), answer)


def ask_about_lists(inquiry: Inquiry) -> None:
    """What lists make of pages that are too large or past the end, and of a time without the other."""
    since = {"from": inquiry.clock.now_utc().isoformat(timespec="milliseconds")}
    with inquiry.looking_for("large_page"):
        answer = inquiry.ask("gift-cards/list", {"page": 1, "pageSize": 101})
        inquiry.found("large_page", "clamped" if is_accepted(answer) else "refused", answer)
    with inquiry.looking_for("page_overflow"):
        answer = inquiry.get("gift-cards/list", {"page": 1, "pageSize": 100})
        pages = as_count(as_dict(answer.data.get("pagination")).get("totalPages")) or 0
        answer = inquiry.ask("gift-cards/list", {"page": pages + 10, "pageSize": 100})
        ends = "refused" if not is_accepted(answer) else None if answer.items("items") else "empty"
        inquiry.found("page_overflow", ends, answer)
    with inquiry.looking_for("list_needs_both_ends"):
        answer = inquiry.ask("gift-cards/list", {"page": 1, "pageSize": 20, **since})
        inquiry.found("list_needs_both_ends", not is_accepted(answer), answer)
    with inquiry.looking_for("transactions from one end"):
        answer = inquiry.ask("account/transactions", {"page": 1, "pageSize": 20, **since})
        inquiry.found("transactions from one end", outcome_of(answer), answer)


def ask_about_purchases(inquiry: Inquiry, item: tuple[str, str], offers: list[Offer]) -> None:
    """What purchases of the item get that are worded badly, and one of more cards than there are."""
    body: Mapping[str, Any] = {"productId": item[0], "typeId": item[1]}
    for name, given in {"quantity 0": 0, "quantity -1": -1, "quantity 1.5": 1.5, "no quantity": None}.items():
        with inquiry.looking_for(name):
            answer = inquiry.order(body if given is None else {**body, "quantity": given})
            inquiry.found(name, outcome_of(answer), answer)
    with inquiry.looking_for("text_quantity"):
        answer = inquiry.order({**body, "quantity": "1"})
        inquiry.found("text_quantity", "read" if is_accepted(answer) else "refused", answer)
    with inquiry.looking_for("unknown_body_keys"):
        answer = inquiry.order({**body, "quantity": 1, "note": "giftlib"})
        inquiry.found("unknown_body_keys", "ignored" if is_accepted(answer) else "refused", answer)
    scarce = min(offers, key=lambda offer: offer.stock, default=None)
    if scarce is None or scarce.stock >= _MOST_CARDS:
        inquiry.unclear("no type of the products looked at is scarce", "check_stock")
        return
    with inquiry.looking_for("check_stock"):
        answer = inquiry.order({"productId": scarce.product_id, "typeId": scarce.type_id, "quantity": scarce.stock + 1})
        if not is_accepted(answer) and "STOCK" not in (answer.code or ""):
            raise UnclearError(f"refused for something else: {outcome_of(answer)}")
        inquiry.found("check_stock", not is_accepted(answer), answer)


def ask_about_the_order_of_lists(inquiry: Inquiry) -> None:
    """Which end of the list is the newest."""
    with inquiry.looking_for("list_order"):
        answer = inquiry.get("gift-cards/list", {"page": 1, "pageSize": 100})
        times = [moment for row in answer.items("items") if (moment := as_time(row.get("time")))]
        orders = {"newest first": sorted(times, reverse=True), "oldest first": sorted(times)}
        if len(set(times)) < 2:
            raise UnclearError("the list has fewer than two orders")
        inquiry.found("list_order", next((name for name, order in orders.items() if order == times), None), answer)


def ask_about_a_final_order(inquiry: Inquiry, order_id: str) -> None:
    """What checkOrder tells of an order with cards."""
    with inquiry.looking_for("final_order_has_type", "card_serials"):
        answer = inquiry.get(f"gift-cards/checkOrder/{order_id}")
        order = Order.from_response(answer.data)
        if not order.is_final or not order.cards:
            raise UnclearError("no order with cards was seen final")
        inquiry.found("final_order_has_type", "type" in order and "product" in order, answer)
        serial = order.cards[0].reveal().serial
        kind = "missing" if serial is None else "numbered" if serial else "empty"
        inquiry.found("card_serials", kind, answer)


def _one_of(fields: Mapping[str, Any], *names: str) -> str | None:
    return next((name for name in names if name in fields), None)


def _address(told: Any) -> str | None:
    try:
        return told if isinstance(told, str) and "%" not in told and ip_network(told, strict=False) else None
    except ValueError:
        return None
