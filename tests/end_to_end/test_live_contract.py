"""What all of the documentation agrees on, tried with the emulator, and with `-m live` with the vendor's sandbox.

A real key is only used if `validate` says that it is a sandbox key. About 30 requests, within its rate limit.
"""

import os
import re
from decimal import Decimal

import pytest
import requests
from samples import PRODUCT

from giftlib import Client, poll_order_until_complete
from giftlib.api import DEFAULT_BASE_URL
from giftlib.sandbox import Sandbox

OTHER_SIDES = {
    "category_key": "name", "catalog_totals_in": "meta", "product_id_key": "_id", "validate_shape": "quickstart",
    "request_id_in": "always", "request_id_style": "req-number", "code_separator": "-", "message_at": "top",
    "final_order_has_type": True, "balance_currency": True, "partial_rounding": "up", "balance_moves": False,
    "transactions_listed": False, "test_type_price": Decimal(0), "card_serials": "empty", "fulfilment_s": 0,
}  # fmt: skip
SOURCES = [
    pytest.param({}, id="emulator"),
    pytest.param(OTHER_SIDES, id="emulator-other-sides"),
    pytest.param(None, id="vendor", marks=pytest.mark.live),
]


class Api:
    """A host, a sandbox key, and a client."""

    def __init__(self, url, key, clock=None):
        self.client = Client(key, url, clock=clock)
        self.url, self.key = url, key
        self.orders = {}

    def request(self, path, method="GET", key=None, **kwargs):
        """Send a plain request, with the key unless another is given."""
        headers = {"X-Access-Token": self.key if key is None else key}
        return requests.request(method, f"{self.url}/v3/{path}", headers=headers, timeout=30, **kwargs)

    def finished(self, type_id, quantity):
        """A final order of that type; placed once."""
        if (type_id, quantity) not in self.orders:
            order_id = self.client.place_order(PRODUCT, type_id, quantity)
            self.orders[type_id, quantity] = poll_order_until_complete(order_id, client=self.client)
        return self.orders[type_id, quantity]


@pytest.fixture(scope="module", params=SOURCES)
def api(request):
    if request.param is not None:
        with Sandbox(**request.param) as sandbox:
            yield Api(sandbox.url, sandbox.api_key, sandbox.clock)
        return
    if request.config.getoption("markexpr") != "live":
        pytest.skip("speaks to the vendor: only with -m live")
    key, url = (os.environ.get(f"LIVE_ONECLICKDZ_{name}", "").strip() for name in ("API_KEY", "BASE_URL"))
    if not key:
        pytest.skip("needs a sandbox key in ONECLICKDZ_API_KEY")
    api = Api(url or DEFAULT_BASE_URL, key)
    if api.client.validate().type != "SANDBOX":
        pytest.skip("the key in ONECLICKDZ_API_KEY is no sandbox key: orders would cost real money")
    yield api


def succeeded(response):
    """The data of a successful response with its envelope."""
    content = response.json()
    assert response.status_code == 200 and content["success"] is True and isinstance(content["data"], dict)
    assert response.headers["X-Request-Id"]
    return content["data"]


def rejected(response, status, code):
    """The error of a rejected request with its envelope."""
    content = response.json()
    assert response.status_code == status and content["success"] is False and "data" not in content
    assert content["error"]["code"].replace("-", "_") == code
    assert isinstance(content["error"]["message"], str) and content["requestId"]
    return content["error"]


def test_ping(api):
    """A ping needs no key."""
    data = succeeded(requests.get(f"{api.url}/v3/ping", timeout=30))
    assert data["api"] in ("ok", "error")
    assert set(data["operators"].values()) <= {"up", "down"}


def test_key_type(api):
    """The API says which type a key has."""
    key = succeeded(api.request("validate"))["apiKey"]
    assert key["type"] == "SANDBOX" and key["isEnabled"] is True and key["scope"] in ("READ-WRITE", "READ-ONLY")


def test_missing_key(api):
    """A request without a key is rejected, and does not count against the key."""
    rejected(api.request("validate", key=""), 401, "MISSING_ACCESS_TOKEN")
    succeeded(api.request("validate"))


def test_unknown_path(api):
    """The response to an unknown path is the router's, without an envelope."""
    response = api.request("no/such/path")
    assert response.status_code == response.json()["statusCode"] == 404
    assert "success" not in response.json()


def test_catalog(api):
    """The catalogue has products by category."""
    categories = succeeded(api.request("gift-cards/catalog"))["categories"]
    assert categories
    for category in categories:
        assert isinstance(category.get("title", category.get("name")), str)
        for product in category["products"]:
            assert isinstance(product["id"], str) and isinstance(product["title"], str)
            assert isinstance(product["enabled"], bool)


def test_product_types(api):
    """A product has types with price and stock."""
    product = next(product for product in api.client.catalog() if product.enabled)
    types = succeeded(api.request(f"gift-cards/checkProduct/{product.product_id}"))["types"]
    for item in types:
        assert isinstance(item.get("id", item.get("_id")), str) and isinstance(item["name"], str)
        assert isinstance(item["price"], int | float) and item["price"] >= 0
        assert isinstance(item["quantity"], int) and item["quantity"] >= 0


@pytest.mark.parametrize(
    ("type_id", "quantity", "status", "delivered"),
    [("TEST_REFUND", 2, "REFUNDED", 0), ("TEST_PARTIAL", 4, "PARTIALLY_FILLED", 2), ("string", 1, "FULFILLED", 1)],
)
def test_outcome_by_type(api, type_id, quantity, status, delivered):
    """The type decides the outcome of an order, and the fields agree."""
    order_id = api.finished(type_id, quantity).order_id
    data = succeeded(api.request(f"gift-cards/checkOrder/{order_id}"))
    assert (data["_id"], data["status"], data["quantity"]) == (order_id, status, quantity)
    assert data.get("fulfilled_quantity", 0) == len(data.get("cards", [])) == delivered
    assert data["fulfilled_amount"] == delivered * data["price_per_card"]
    assert all(isinstance(card["value"], str) and card["value"] for card in data.get("cards", []))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", data["time"])


def test_order_being_handled(api):
    """An order that is being handled shows no result yet."""
    order_id = api.client.place_order(PRODUCT, "TEST_REFUND", 1)
    data = succeeded(api.request(f"gift-cards/checkOrder/{order_id}"))
    assert data["status"] in ("HANDLING", "REFUNDED")
    if data["status"] == "HANDLING":
        assert not {"cards", "fulfilled_quantity", "fulfilled_amount"} & data.keys()


def test_list(api):
    """The list has the order with its product and type."""
    order = api.finished("TEST_PARTIAL", 4)
    data = succeeded(api.request("gift-cards/list?page=1&pageSize=100"))
    [row] = [row for row in data["items"] if row["_id"] == order.order_id]
    assert (row["product"], row["type"], row["status"]) == (PRODUCT, "TEST_PARTIAL", "PARTIALLY_FILLED")
    pagination = data["pagination"]
    assert pagination["totalPages"] == -(-pagination["totalResults"] // pagination["pageSize"])


def test_page_size(api):
    """A page is no longer than requested."""
    api.finished("TEST_PARTIAL", 4), api.finished("TEST_REFUND", 2)
    data = succeeded(api.request("gift-cards/list?page=1&pageSize=1"))
    assert len(data["items"]) == 1 and data["pagination"]["pageSize"] == 1


def test_unknown_order_id(api):
    """An order that does not exist is not found."""
    rejected(api.request("gift-cards/checkOrder/0123456789abcdef01234567"), 404, "NOT_FOUND")


def test_zero_cards(api):
    """An order of no cards is rejected."""
    order = {"productId": PRODUCT, "typeId": "TEST_REFUND", "quantity": 0}
    assert rejected(api.request("gift-cards/placeOrder", "POST", json=order), 400, "ERR_VALIDATION")["details"]


def test_balance(api):
    """The balance is a number."""
    assert isinstance(succeeded(api.request("account/balance"))["balance"], int | float)


def test_transaction_pages(api):
    """Transactions come in pages, and a period needs both its ends."""
    data = succeeded(api.request("account/transactions?page=1&pageSize=5"))
    assert len(data["items"]) <= 5
    for row in data["items"]:
        assert {"_id", "type", "operation", "amount", "oldBalance", "newBalance", "time"} <= row.keys()
    rejected(api.request("account/transactions?from=2025-10-01T00:00:00Z"), 400, "ERR_VALIDATION")
