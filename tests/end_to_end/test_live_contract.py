"""What every side of the documentation agrees on, asked of the emulator, and with `-m live` of the vendor's sandbox.

A real key is only used if `validate` says that it is a sandbox key. About 30 requests, under its ceiling.
"""

import os
import re
from decimal import Decimal

import pytest
import requests

from giftlib import Client, poll_order_until_complete
from giftlib.api.client import DEFAULT_BASE_URL
from giftlib.sandbox import Sandbox

SAMPLE_PRODUCT = "507f1f77bcf86cd799439011"
OTHER_SIDES = {
    "category_key": "name", "catalog_totals_in": "meta", "product_id_key": "_id", "validate_shape": "quickstart",
    "request_id_in": "always", "request_id_style": "req-number", "code_separator": "-", "message_at": "top",
    "final_order_has_type": True, "balance_currency": True, "partial_rounding": "up", "balance_moves": False,
    "transactions_listed": False, "test_type_price": Decimal(0), "card_serials": "empty", "fulfilment_s": 0,
}  # fmt: skip
WORLDS = [
    pytest.param({}, id="emulator"),
    pytest.param(OTHER_SIDES, id="emulator-other-sides"),
    pytest.param(None, id="vendor", marks=pytest.mark.live),
]


class Api:
    """A host, a sandbox key, and a client that keeps to the ceiling for both ways of asking."""

    def __init__(self, url, key, clock=None):
        self.client = Client(key, url, clock=clock)
        self.url, self.key = url, key
        self.orders = {}

    def ask(self, path, method="GET", key=None, **kwargs):
        """A plain request, with the key unless another is given."""
        headers = {"X-Access-Token": self.key if key is None else key}
        return requests.request(method, f"{self.url}/v3/{path}", headers=headers, timeout=30, **kwargs)

    def finished(self, type_id, quantity):
        """An order of that type that is final; bought once."""
        if (type_id, quantity) not in self.orders:
            order_id = self.client.place_order(SAMPLE_PRODUCT, type_id, quantity)
            self.orders[type_id, quantity] = poll_order_until_complete(order_id, client=self.client)
        return self.orders[type_id, quantity]


@pytest.fixture(scope="module", params=WORLDS)
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


def succeeded(answer):
    """The data of a success in the envelope."""
    content = answer.json()
    assert answer.status_code == 200 and content["success"] is True and isinstance(content["data"], dict)
    assert answer.headers["X-Request-Id"]
    return content["data"]


def refused(answer, status, code):
    """The error of a refusal in the envelope."""
    content = answer.json()
    assert answer.status_code == status and content["success"] is False and "data" not in content
    assert content["error"]["code"].replace("-", "_") == code
    assert isinstance(content["error"]["message"], str) and content["requestId"]
    return content["error"]


def test_ping_needs_no_key(api):
    data = succeeded(requests.get(f"{api.url}/v3/ping", timeout=30))
    assert data["api"] in ("ok", "error")
    assert set(data["operators"].values()) <= {"up", "down"}


def test_validate_tells_the_environment(api):
    key = succeeded(api.ask("validate"))["apiKey"]
    assert key["type"] == "SANDBOX" and key["isEnabled"] is True and key["scope"] in ("READ-WRITE", "READ-ONLY")


def test_no_key_is_told_and_does_not_count(api):
    refused(api.ask("validate", key=""), 401, "MISSING_ACCESS_TOKEN")
    succeeded(api.ask("validate"))


def test_an_unknown_path_is_answered_by_the_router_without_an_envelope(api):
    answer = api.ask("no/such/path")
    assert answer.status_code == answer.json()["statusCode"] == 404
    assert "success" not in answer.json()


def test_the_catalogue_has_products_by_category(api):
    categories = succeeded(api.ask("gift-cards/catalog"))["categories"]
    assert categories
    for category in categories:
        assert isinstance(category.get("title", category.get("name")), str)
        for product in category["products"]:
            assert isinstance(product["id"], str) and isinstance(product["title"], str)
            assert isinstance(product["enabled"], bool)


def test_a_product_has_types_with_price_and_stock(api):
    product = next(product for product in api.client.catalog() if product.enabled)
    types = succeeded(api.ask(f"gift-cards/checkProduct/{product.product_id}"))["types"]
    for kind in types:
        assert isinstance(kind.get("id", kind.get("_id")), str) and isinstance(kind["name"], str)
        assert isinstance(kind["price"], int | float) and kind["price"] >= 0
        assert isinstance(kind["quantity"], int) and kind["quantity"] >= 0


@pytest.mark.parametrize(
    ("type_id", "quantity", "status", "delivered"),
    [("TEST_REFUND", 2, "REFUNDED", 0), ("TEST_PARTIAL", 4, "PARTIALLY_FILLED", 2), ("string", 1, "FULFILLED", 1)],
)
def test_the_type_settles_the_end_and_the_fields_agree(api, type_id, quantity, status, delivered):
    order_id = api.finished(type_id, quantity).order_id
    data = succeeded(api.ask(f"gift-cards/checkOrder/{order_id}"))
    assert (data["_id"], data["status"], data["quantity"]) == (order_id, status, quantity)
    assert data.get("fulfilled_quantity", 0) == len(data.get("cards", [])) == delivered
    assert data["fulfilled_amount"] == delivered * data["price_per_card"]
    assert all(isinstance(card["value"], str) and card["value"] for card in data.get("cards", []))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", data["time"])


def test_an_order_that_is_handled_shows_no_result_yet(api):
    order_id = api.client.place_order(SAMPLE_PRODUCT, "TEST_REFUND", 1)
    data = succeeded(api.ask(f"gift-cards/checkOrder/{order_id}"))
    assert data["status"] in ("HANDLING", "REFUNDED")
    if data["status"] == "HANDLING":
        assert not {"cards", "fulfilled_quantity", "fulfilled_amount"} & data.keys()


def test_the_list_has_the_order_with_its_product_and_type(api):
    order = api.finished("TEST_PARTIAL", 4)
    data = succeeded(api.ask("gift-cards/list?page=1&pageSize=100"))
    [row] = [row for row in data["items"] if row["_id"] == order.order_id]
    assert (row["product"], row["type"], row["status"]) == (SAMPLE_PRODUCT, "TEST_PARTIAL", "PARTIALLY_FILLED")
    pagination = data["pagination"]
    assert pagination["totalPages"] == -(-pagination["totalResults"] // pagination["pageSize"])


def test_a_page_is_no_longer_than_asked_for(api):
    api.finished("TEST_PARTIAL", 4), api.finished("TEST_REFUND", 2)
    data = succeeded(api.ask("gift-cards/list?page=1&pageSize=1"))
    assert len(data["items"]) == 1 and data["pagination"]["pageSize"] == 1


def test_an_order_nobody_placed_is_not_found(api):
    refused(api.ask("gift-cards/checkOrder/0123456789abcdef01234567"), 404, "NOT_FOUND")


def test_no_cards_cannot_be_ordered(api):
    wish = {"productId": SAMPLE_PRODUCT, "typeId": "TEST_REFUND", "quantity": 0}
    assert refused(api.ask("gift-cards/placeOrder", "POST", json=wish), 400, "ERR_VALIDATION")["details"]


def test_the_balance_is_a_number(api):
    assert isinstance(succeeded(api.ask("account/balance"))["balance"], int | float)


def test_transactions_come_in_pages_and_want_both_ends_of_a_period(api):
    data = succeeded(api.ask("account/transactions?page=1&pageSize=5"))
    assert len(data["items"]) <= 5
    for row in data["items"]:
        assert {"_id", "type", "operation", "amount", "oldBalance", "newBalance", "time"} <= row.keys()
    refused(api.ask("account/transactions?from=2025-10-01T00:00:00Z"), 400, "ERR_VALIDATION")
