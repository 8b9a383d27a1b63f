"""The sandbox's responses against the documentation's samples, by plain requests."""

import re
from decimal import Decimal

import pytest
import requests
from samples import ORDER_ID, PRODUCT

ISO_MS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

# The samples of the vendor's documentation. Card codes are not compared: the sandbox has its own.
PING = {
    "success": True,
    "data": {"api": "ok", "operators": {"mobilis": "up", "ooredoo": "up", "djezzy": "up", "mobilisFixedPlans": "up"}},
    "meta": {"timestamp": "2025-10-29T00:00:00.000Z"},
}
VALIDATE = {
    "success": True,
    "data": {
        "username": "+213665983439",
        "apiKey": {
            "key": "ea27b376-9f5c-4b09-883f-1b96cd7b541c",
            "isEnabled": True,
            "type": "SANDBOX",
            "allowedips": [],
            "scope": "READ-WRITE",
        },
    },
}
CATALOG_PRODUCT = {"id": "6126393c6f57860f925a1983", "title": "PSN Germany", "enabled": True, "region": "germany"}
CHECK_PRODUCT = {
    "success": True,
    "data": {
        "productId": PRODUCT,
        "productTitle": "PSN",
        "types": [
            {"id": "type_001", "name": "PSN 500 DA", "price": 490, "quantity": 150},
            {"id": "type_002", "name": "PSN 1000 DA", "price": 980, "quantity": 87},
            {"id": "type_003", "name": "PSN 2000 DA", "price": 1960, "quantity": 0},
        ],
    },
    "meta": {"timestamp": "2025-10-29T01:00:00.000Z"},
    "requestId": "req_1730163600_xyz789",
}
PLACE_ORDER = {
    "success": True,
    "data": {"orderId": ORDER_ID},
    "meta": {"timestamp": "2025-10-29T01:00:00.000Z"},
    "requestId": "req_1730163600_abc123",
}
HANDLING = {
    "success": True,
    "data": {
        "_id": ORDER_ID,
        "status": "HANDLING",
        "quantity": 2,
        "product": PRODUCT,
        "type": "type_001",
        "time": "2025-10-29T01:00:00.000Z",
    },
}
FULFILLED = {
    "success": True,
    "data": {
        "_id": ORDER_ID,
        "status": "FULFILLED",
        "quantity": 2,
        "fulfilled_quantity": 2,
        "fulfilled_amount": 980,
        "price_per_card": 490,
        "cards": [
            {"value": "SANDBOX-CARD-1", "serial": "SANDBOX-1"},
            {"value": "SANDBOX-CARD-2", "serial": "SANDBOX-2"},
        ],
        "time": "2025-10-29T01:00:00.000Z",
    },
}
LIST_FULFILLED = {
    "_id": "69001dc6e9e88196b4eb64b3",
    "quantity": 1,
    "price_per_card": 0,
    "fulfilled_quantity": 1,
    "fulfilled_amount": 0,
    "cards": [{"value": "SANDBOX-CARD-1", "serial": "SANDBOX-1"}],
    "status": "FULFILLED",
    "product": "string",
    "type": "string",
    "time": "2025-10-28T01:35:02.000Z",
}
LIST_REFUNDED = {
    "_id": "68fcdd7ce9e88196b4eb64b3",
    "quantity": 1,
    "price_per_card": 490,
    "fulfilled_quantity": 0,
    "fulfilled_amount": 0,
    "cards": [],
    "status": "REFUNDED",
    "product": PRODUCT,
    "type": "TEST_REFUND",
    "time": "2025-10-25T14:23:24.000Z",
}
BALANCE = {"success": True, "data": {"balance": 1326.13}, "meta": {"timestamp": "2025-10-29T01:00:00.000Z"}}
TRANSACTION = {
    "_id": "6901616fe9e88196b4eb64b4",
    "type": "ORDER",
    "operation": "Decrement",
    "amount": 490,
    "oldBalance": 1326,
    "newBalance": 836,
    "objid": ORDER_ID,
    "note": "",
    "time": "2025-10-29T01:00:00.000Z",
}
PAGINATION = {"page": 1, "pageSize": 5, "totalPages": 11, "totalResults": 55}
ANY = object()


def assert_shape(got, sample, path="response"):
    """Same keys and same JSON types all the way down, lists by their first item."""
    if isinstance(sample, dict):
        assert got.keys() == sample.keys(), path
        for key in sample:
            assert_shape(got[key], sample[key], f"{path}.{key}")
    elif isinstance(sample, list):
        assert isinstance(got, list), path
        if sample:
            assert got, path
        for item in got:
            assert_shape(item, sample[0], f"{path}[]")
    elif type(sample) in (int, float):
        assert type(got) in (int, float), path
    else:
        assert type(got) is type(sample), path
        if isinstance(sample, str) and ISO_MS.fullmatch(sample):
            assert ISO_MS.fullmatch(got), path


@pytest.mark.parametrize(
    ("path", "sample"),
    [
        ("ping", PING),
        ("validate", VALIDATE),
        (f"gift-cards/checkProduct/{PRODUCT}", CHECK_PRODUCT),
        (f"gift-cards/checkOrder/{ORDER_ID}", FULFILLED),
        ("account/balance", BALANCE),
    ],
)
def test_sample_shapes(call, path, sample):
    """A response has the shape of the documentation's sample."""
    response = call(path)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("application/json")
    assert_shape(response.json(), sample)


def test_sample_order(call):
    """The guide's own order has the response of the guide."""
    assert call.check(ORDER_ID).json() == FULFILLED


def test_sample_order_unlisted(call):
    """The guide's order is in no list and on no account."""
    assert call("gift-cards/list").json()["data"]["items"] == []
    assert call("account/transactions").json()["data"]["items"] == []
    assert call.sandbox.truth() == {}


def test_sample_order_off(open_sandbox):
    """Without its setting the guide's order is unknown."""
    assert open_sandbox(sample_order=False).check(ORDER_ID).status_code == 404


def test_sample_product(call):
    """The sample product has the sample's types."""
    data = call(f"gift-cards/checkProduct/{PRODUCT}").json()["data"]
    assert data["types"] == CHECK_PRODUCT["data"]["types"]


def test_prices(open_sandbox):
    """A price that was set shows in checkProduct and is charged."""
    call = open_sandbox(prices={"type_001": Decimal("512.25")})
    assert call(f"gift-cards/checkProduct/{PRODUCT}").json()["data"]["types"][0]["price"] == 512.25
    call.order_id(type_id="type_001", quantity=2)
    assert call("account/transactions").json()["data"]["items"][0]["amount"] == 1024.5


def test_catalog(call):
    """The catalogue has its totals beside data, and the captured products."""
    response = call("gift-cards/catalog").json()
    assert response.keys() == {"success", "totalCategories", "totalProducts", "data", "meta"}
    categories = response["data"]["categories"]
    products = [product for category in categories for product in category["products"]]
    assert (response["totalCategories"], response["totalProducts"]) == (len(categories), len(products))
    assert all(category.keys() == {"title", "products"} for category in categories)
    assert CATALOG_PRODUCT in products
    assert {"612619816f57860f9259eee3", PRODUCT} < {product["id"] for product in products}
    for product in products:
        assert {"id", "title", "enabled"} <= product.keys() <= {"id", "title", "enabled", "region"}


def test_catalog_products(call):
    """Every product of the catalogue can be checked."""
    for category in call("gift-cards/catalog").json()["data"]["categories"]:
        for product in category["products"]:
            assert_shape(call(f"gift-cards/checkProduct/{product['id']}").json(), CHECK_PRODUCT)


@pytest.mark.parametrize(
    "settings",
    [
        {"key_type": "SANDBOX", "key_scope": "READ-WRITE", "allowed_ips": ()},
        {"key_type": "PRODUCTION", "key_scope": "READ-ONLY", "allowed_ips": ("127.0.0.1",)},
    ],
)
def test_validate(open_sandbox, settings):
    """validate gives the key and its properties."""
    call = open_sandbox(**settings)
    assert call("validate").json()["data"]["apiKey"] == {
        "key": call.sandbox.api_key,
        "isEnabled": True,
        "type": settings["key_type"],
        "allowedips": list(settings["allowed_ips"]),
        "scope": settings["key_scope"],
    }


def test_ping(call):
    """ping needs no key."""
    assert requests.get(call.sandbox.url + "/v3/ping", timeout=5).status_code == 200


def test_place_order(call):
    """Placing an order gives its id."""
    response = call.place().json()
    assert_shape(response, PLACE_ORDER)
    assert re.fullmatch("[0-9a-f]{24}", response["data"]["orderId"])


def test_order_id_time(call):
    """An order id begins with the time of placement."""
    call.sandbox.clock.sleep(100.7)
    assert int(call.order_id()[:8], 16) == int(call.sandbox.clock.now_utc().timestamp())


def test_handling(call):
    """An order that is HANDLING has product and type, and no result."""
    order_id = call.order_id(quantity=2)
    response = call.check(order_id).json()
    assert_shape(response, HANDLING)
    assert response["data"] == HANDLING["data"] | {"_id": order_id, "time": "2026-01-01T00:00:00.000Z"}
    row = call("gift-cards/list").json()["data"]["items"][0]
    assert row == response["data"]


@pytest.mark.parametrize(
    ("type_id", "quantity", "rounding", "status", "delivered"),
    [
        ("type_001", 2, "down", "FULFILLED", 2),
        ("anything", 1, "down", "FULFILLED", 1),
        ("TEST_REFUND", 2, "down", "REFUNDED", 0),
        ("TEST_PARTIAL", 4, "down", "PARTIALLY_FILLED", 2),
        ("TEST_PARTIAL", 5, "down", "PARTIALLY_FILLED", 2),
        ("TEST_PARTIAL", 5, "up", "PARTIALLY_FILLED", 3),
        ("TEST_PARTIAL", 1, "down", "REFUNDED", 0),
        ("TEST_PARTIAL", 1, "up", "FULFILLED", 1),
    ],
)
def test_outcomes(open_sandbox, type_id, quantity, rounding, status, delivered):
    """The type determines the outcome of an order."""
    call = open_sandbox(partial_rounding=rounding)
    price = 0 if type_id == "anything" else 490
    order_id = call.order_id(type_id=type_id, quantity=quantity)
    assert call.check(order_id).json()["data"]["status"] == "HANDLING"
    call.sandbox.clock.sleep(10)
    data = call.check(order_id).json()["data"]
    assert data == {
        "_id": order_id,
        "status": status,
        "quantity": quantity,
        "fulfilled_quantity": delivered,
        "fulfilled_amount": delivered * price,
        "price_per_card": price,
        "cards": [{"value": f"SANDBOX-CARD-{n + 1}", "serial": f"SANDBOX-{n + 1}"} for n in range(delivered)],
        "time": "2026-01-01T00:00:00.000Z",
    }
    row = call("gift-cards/list").json()["data"]["items"][0]
    assert row == data | {"product": PRODUCT, "type": type_id}


@pytest.mark.parametrize(("product", "sample"), [("string", LIST_FULFILLED), (PRODUCT, LIST_REFUNDED)])
def test_list_rows(call, product, sample):
    """Final rows of the list are like the captured ones."""
    order_id = call.order_id(product, sample["type"], sample["quantity"])
    call.sandbox.clock.sleep(10)
    row = call("gift-cards/list").json()["data"]["items"][0]
    assert row == sample | {"_id": order_id, "time": "2026-01-01T00:00:00.000Z"}


def test_list_pages(call):
    """The list is in pages, newest first."""
    ids = []
    for _ in range(7):
        ids += call.sandbox.add_orders(1)
        call.sandbox.clock.sleep(1)
    seen = []
    for page in (1, 2, 3, 4):
        response = call(f"gift-cards/list?page={page}&pageSize=3").json()
        assert response.keys() == {"success", "data", "meta"}
        assert response["data"]["pagination"] == {"page": page, "pageSize": 3, "totalPages": 3, "totalResults": 7}
        assert_shape(response["data"]["pagination"], PAGINATION)
        seen += [row["_id"] for row in response["data"]["items"]]
    assert seen == ids[::-1]


@pytest.mark.parametrize("path", ["gift-cards/list", "account/transactions"])
def test_list_period(call, path):
    """Lists can be limited to a period; both ends are included."""
    for _ in range(5):
        call.sandbox.add_orders(1)
        call.sandbox.clock.sleep(1)
    period = "from=2026-01-01T00:00:01Z&to=2026-01-01T00:00:03.000Z"
    data = call(f"{path}?{period}&pageSize=2").json()["data"]
    assert [row["time"][17:19] for row in data["items"]] == ["03", "02"]
    assert data["pagination"]["totalResults"] == 3
    rest = call(f"{path}?{period}&pageSize=2&page=2").json()["data"]
    assert [row["time"][17:19] for row in rest["items"]] == ["01"]
    assert call(f"{path}?from=2027-01-01&to=2025-01-01").json()["data"]["items"] == []


def test_list_half_period(call):
    """The list accepts one end of a period without the other."""
    call.sandbox.add_orders(1)
    assert call("gift-cards/list?from=2026-01-01T00:00:01Z").json()["data"]["items"] == []
    assert len(call("gift-cards/list?to=2026-01-01T00:00:01Z").json()["data"]["items"]) == 1


@pytest.mark.parametrize(
    "query",
    ["pageSize=101", "pageSize=0", "page=0", "page=-1", "page=one", "page=1.5", "page=", "from=yesterday", "to="],
)
@pytest.mark.parametrize("path", ["gift-cards/list", "account/transactions"])
def test_bad_query(call, path, query):
    """A wrong query is rejected."""
    assert_rejected(call(f"{path}?{query}"), 400, "ERR_VALIDATION", details=ANY)


@pytest.mark.parametrize("query", ["from=2026-01-01T00:00:00Z", "to=2026-01-01T00:00:00Z"])
def test_transactions_period(call, query):
    """transactions needs both ends of a period."""
    assert_rejected(call(f"account/transactions?{query}"), 400, "ERR_VALIDATION", details=ANY)


def test_debit_and_refund(open_sandbox):
    """An order is charged when it is placed, and refunded in part when cards are missing."""
    call = open_sandbox(opening_balance=Decimal("10000.13"))
    order_id = call.order_id(type_id="TEST_PARTIAL", quantity=4)
    call.sandbox.clock.sleep(12)
    response = call("account/transactions").json()
    assert response.keys() == {"success", "data", "meta"}
    refund, order = response["data"]["items"]
    assert_shape(order, TRANSACTION)
    assert order | {"_id": ""} == {
        "_id": "",
        "type": "ORDER",
        "operation": "Decrement",
        "amount": 1960,
        "oldBalance": 10000.13,
        "newBalance": 8040.13,
        "objid": order_id,
        "note": "",
        "time": "2026-01-01T00:00:00.000Z",
    }
    assert refund | {"_id": ""} == {
        "_id": "",
        "type": "REFUND-ORDER",
        "operation": "Increment",
        "amount": 980,
        "oldBalance": 8040.13,
        "newBalance": 9020.13,
        "objid": order_id,
        "note": "",
        "time": "2026-01-01T00:00:10.000Z",
    }
    assert refund["_id"] != order["_id"]


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("1326.13", "1326.13"),
        ("490.00", "490"),
        ("0", "0"),
        ("1000", "1000"),
        ("12345678901234567890.12", "12345678901234567890.12"),
    ],
)
def test_exact_money(open_sandbox, amount, written):
    """Amounts are written exactly."""
    call = open_sandbox(opening_balance=Decimal(amount))
    assert f'"balance":{written}}}' in call("account/balance").text


def assert_rejected(response, status, code, details=None):
    body = response.json()
    assert (response.status_code, body["error"]["code"]) == (status, code)
    assert body.keys() == {"success", "error", "requestId"}
    assert body["success"] is False
    assert body["requestId"] == response.headers["X-Request-Id"]
    if details is None:
        assert body["error"].keys() == {"code", "message"}
    else:
        assert body["error"].keys() == {"code", "message", "details"}
        if details is not ANY:
            assert body["error"]["details"] == details


GOOD_ORDER = {"productId": "p", "typeId": "t", "quantity": 1}


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        "text",
        GOOD_ORDER | {"productId": None},
        GOOD_ORDER | {"productId": ""},
        GOOD_ORDER | {"productId": 7},
        GOOD_ORDER | {"typeId": ["t"]},
        *(
            GOOD_ORDER | {"quantity": bad}
            for bad in (0, -1, 1.5, "0", "02", " 2", "2.0", "x", True, None, 10**30, 1e300)
        ),
        *({key: value for key, value in GOOD_ORDER.items() if key != left_out} for left_out in GOOD_ORDER),
    ],
)
def test_bad_order(call, body):
    """A wrong order is rejected and nothing is placed."""
    assert_rejected(call("gift-cards/placeOrder", "POST", json=body), 400, "ERR_VALIDATION", details=ANY)
    assert call.sandbox.truth() == {}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"quantity": NaN}', b"9" * 5000])
def test_not_json(call, body):
    """A body that is not JSON is rejected."""
    assert_rejected(call("gift-cards/placeOrder", "POST", data=body), 400, "ERR_VALIDATION", details=ANY)


def test_validation_details(call):
    """The details name every wrong field."""
    details = call("gift-cards/placeOrder", "POST", json={"quantity": 0}).json()["error"]["details"]
    assert [re.match('"(.+?)"', detail)[1] for detail in details] == ["productId", "typeId", "quantity"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("multipart/form-data; boundary=x", 415),
        ("", 415),
        ("application/json; charset=utf-8", 200), ("Application/JSON", 200), (None, 200),
    ],
)  # fmt: skip
def test_content_type(call, content_type, status):
    """Only JSON is read, as Fastify does; nothing is sold to a form."""
    body = b'{"productId": "p", "typeId": "t", "quantity": 1}'
    response = call("gift-cards/placeOrder", "POST", data=body, headers={"Content-Type": content_type})
    assert response.status_code == status
    assert len(call.sandbox.truth()) == (status == 200)
    if status == 415:
        assert response.json()["code"] == "FST_ERR_CTP_INVALID_MEDIA_TYPE"


def test_unknown_body_keys(call):
    """Unknown keys in the body are ignored."""
    response = call("gift-cards/placeOrder", "POST", json=GOOD_ORDER | {"ref": "mine", "orderRef": 3})
    assert response.status_code == 200


def test_quantity_as_float(call):
    """The quantity 2.0 is 2."""
    assert call.place(quantity=2.0).status_code == 200
    assert '"quantity":2,' in call("gift-cards/list").text


def test_chunked_body(call):
    """A body in chunks is read."""
    chunks = iter([b'{"productId": "p", "typeId"', b': "t", "quantity": 1}'])
    assert call("gift-cards/placeOrder", "POST", data=chunks).status_code == 200


@pytest.mark.parametrize("path", ["gift-cards/checkOrder/", "gift-cards/checkProduct/"])
@pytest.mark.parametrize("item", ["68fcdd7ce9e88196b4eb64b3", "nonsense", "%00", "%D8%A7", "a%2Fb"])
def test_unknown_id(call, path, item):
    """An unknown id is not found."""
    assert_rejected(call(path + item), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nothing", 404),
        ("GET", "gift-cards", 404),
        ("GET", "gift-cards/checkOrder", 404),
        ("GET", "gift-cards/checkOrder/", 404),
        ("GET", "gift-cards/checkOrder/a/b", 404),
        ("GET", "gift-cards/list/", 404),
        ("GET", "gift-cards/placeOrder", 404),
        ("POST", "gift-cards/list", 404),
        ("DELETE", "gift-cards/checkOrder/abc", 404),
    ],
)
def test_router_errors(call, method, path, status):
    """The router's own errors have no envelope."""
    response = call(path, method)
    assert response.status_code == response.json()["statusCode"] == status
    assert response.json().keys() == {"message", "error", "statusCode"}
    assert response.json()["error"] == "Not Found"


@pytest.mark.parametrize("path", ["ping", "account/balance", "gift-cards/catalog", "gift-cards/checkOrder/unknown"])
def test_head(call, path):
    """HEAD gets the head of what GET gets, and the connection can be used again."""
    head, whole = call(path, "HEAD"), call(path)
    assert head.content == b"" and head.status_code == whole.status_code
    assert head.headers["Content-Length"] == str(len(whole.content))


@pytest.mark.parametrize("path", ["gift%2Dcards/catalog", "%67ift-cards/%63atalog", "gift-cards%2Fcatalog"])
def test_encoded_path(call, path):
    """Percent-encoded letters of a path are decoded before it is routed."""
    url = f"{call.sandbox.url}/v3/{path}"
    assert requests.get(url, headers={"X-Access-Token": call.sandbox.api_key}, timeout=5).status_code == 200


@pytest.mark.parametrize("path", ["ping", "validate", "nothing", "gift-cards/checkOrder/abc"])
def test_response_headers(call, path):
    """Every response has its own id, and pages of any origin may read it."""
    responses = [call(path), call(path), call(path, headers={"X-Access-Token": None})]
    assert len({response.headers["X-Request-Id"] for response in responses}) == 3
    assert all(response.headers["Access-Control-Allow-Origin"] == "*" for response in responses)


def test_preflight(call):
    """A browser's preflight request is allowed."""
    response = requests.options(call.sandbox.url + "/v3/gift-cards/placeOrder", timeout=5)
    assert (response.status_code, response.content) == (204, b"")
    assert "x-access-token" in response.headers["Access-Control-Allow-Headers"].lower()
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    asked = {"Access-Control-Request-Headers": "x-access-token, x-mine"}
    response = requests.options(call.sandbox.url + "/v3/gift-cards/placeOrder", headers=asked, timeout=5)
    assert response.headers["Access-Control-Allow-Headers"] == "x-access-token, x-mine"
    assert "POST" in response.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("code", ["INSUFFICIENT_BALANCE", "NO_BALANCE"])
def test_balance_too_low(open_sandbox, code):
    """An order that the balance cannot pay is rejected."""
    call = open_sandbox(opening_balance=Decimal("500.50"), balance_code=code)
    assert_rejected(call.place(quantity=2), 403, code, {"required": 980, "available": 500.5})
    assert call.place(quantity=1).status_code == 200
    assert call("account/balance").json()["data"]["balance"] == 10.5


@pytest.mark.parametrize(
    ("type_id", "quantity", "status"),
    [("type_003", 1, 403), ("type_002", 88, 403), ("type_002", 87, 200), ("TEST_REFUND", 500, 200), ("other", 9, 200)],
)
def test_check_stock(open_sandbox, type_id, quantity, status):
    """With its setting, an order for more cards than in stock is rejected."""
    response = open_sandbox(check_stock=True).place(type_id=type_id, quantity=quantity)
    assert response.status_code == status
    if status == 403:
        assert_rejected(response, 403, "OUT_OF_STOCK")


def test_no_check_stock(call):
    """By default the stock does not matter."""
    assert call.place(type_id="type_003", quantity=1).status_code == 200


def test_read_only_key(open_sandbox):
    """A read-only key reads and cannot place orders."""
    call = open_sandbox(key_scope="READ-ONLY")
    assert_rejected(call.place(), 403, "FORBIDDEN")
    assert call("account/balance").status_code == 200
    assert call.sandbox.truth() == {}


def test_allowed_ips(open_sandbox):
    """An address that is not allowed is rejected."""
    assert_rejected(open_sandbox(allowed_ips=("203.0.113.7",))("account/balance"), 403, "IP_NOT_ALLOWED")


@pytest.mark.parametrize("path", ["validate", "gift-cards/catalog", "gift-cards/list", "account/balance"])
@pytest.mark.parametrize(
    ("key", "code", "details"),
    [
        (None, "MISSING_ACCESS_TOKEN", None),
        ("", "MISSING_ACCESS_TOKEN", None),
        ("wrong", "INVALID_ACCESS_TOKEN", {"attemptsLeft": 4}),
    ],
)
def test_key_needed(call, path, key, code, details):
    """All endpoints but ping need a key."""
    assert_rejected(call(path, headers={"X-Access-Token": key}), 401, code, details)
