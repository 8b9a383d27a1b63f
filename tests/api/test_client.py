"""The client's endpoints: the documented responses with both sides of their contradictions, and the requests sent."""

import gc
import json
from datetime import timedelta, timezone
from decimal import Decimal

import pytest
from samples import CODE, DAY, KEY, ORDER_ID, PRODUCT, listing, order_row
from scripted_server import reply, success

from giftlib.api import (
    DEFAULT_BASE_URL,
    ApiKey,
    CatalogProduct,
    Client,
    GiftlibError,
    NoAnswerError,
    Product,
    ProductType,
)


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (
            {
                "username": "+213665983439",
                "apiKey": {
                    "key": KEY,
                    "isEnabled": True,
                    "type": "PRODUCTION",
                    "allowedips": ["203.0.113.7"],
                    "scope": "READ-WRITE",
                },
            },
            ApiKey("+213665983439", "PRODUCTION", "READ-WRITE", True, ("203.0.113.7",)),
        ),
        (
            {"username": "u", "apiKey": {"isEnabled": True, "type": "SANDBOX", "scope": "READ-ONLY"}},
            ApiKey("u", "SANDBOX", "READ-ONLY", True, ()),
        ),
        (
            {"account": {"id": "a", "status": "ACTIVE"}, "key": {"type": "SANDBOX"}},
            ApiKey(None, "SANDBOX", None, None, ()),
        ),
        ({}, ApiKey(None, None, None, None, ())),
        ({"username": 5, "apiKey": "SANDBOX", "key": []}, ApiKey(None, None, None, None, ())),
    ],
    ids=["reference", "quickstart", "bills", "empty", "wrong types"],
)
def test_validate(server, client, data, key):
    """The client reads what the API says about the key, without the key itself."""
    server.replies = [success(data)]
    assert client.validate() == key
    assert client.key_type == key.type
    assert KEY not in repr(key)


@pytest.mark.parametrize(
    ("data", "balance"),
    [
        ('{"balance": 1326.13}', "1326.13"),
        ('{"balance": 50000, "currency": "DZD"}', "50000"),
        ('{"balance": "1326.13"}', "1326.13"),
        ('{"balance": 0.1}', "0.1"),
        ('{"balance": 1e3}', "1000"),
        ('{"balance": -0.30}', "-0.30"),
        ('{"balance": 999999999999.99}', "999999999999.99"),
    ],
)
def test_exact_balance(server, client, data, balance):
    """The balance keeps every digit, whether it comes as a number or as a text."""
    server.replies = [reply('{"success": true, "data": %s, "meta": {"timestamp": "x"}}' % data)]
    assert client.balance() == Decimal(balance) and type(client.balance()) is Decimal


@pytest.mark.parametrize(
    "balance",
    ["null", "true", '"NaN"', '"much"', "[]", "{}", "1e999999999", "-1e999999999", "1e99999999999999999999",
     "1e-999999999", "NaN", "Infinity", "-Infinity", "9" * 4000, "9" * 5000, '"\\ud800"', '"1\\u0000"', '""'],
)  # fmt: skip
def test_unreadable_balance(server, client, balance):
    """A balance that is not an amount is a NoAnswerError."""
    server.replies = [reply('{"success": true, "data": {"balance": %s}}' % balance)]
    with pytest.raises(NoAnswerError) as caught:
        client.balance()
    assert caught.value.status == 200


def test_transactions(server, client):
    """A page of transactions has exact amounts, times and page numbers."""
    item = {
        "_id": "68fcdd7ce9e88196b4eb64b3",
        "type": "REFUND-ORDER",
        "operation": "Increment",
        "amount": 443.39,
        "oldBalance": 882.74,
        "newBalance": 1326.13,
        "objid": ORDER_ID,
        "note": "order cancelled",
        "time": "2025-10-29T01:00:00.000Z",
    }
    pagination = {"page": 2, "pageSize": 5, "totalPages": 11, "totalResults": 55}
    server.replies = [success({"items": [item, "junk", None], "pagination": pagination})]
    page = client.transactions(2, 5, since=DAY, until=DAY + timedelta(days=1))
    (row,) = page
    assert (row.transaction_id, row.type, row.operation, row.object_id) == (
        item["_id"], "REFUND-ORDER", "Increment", ORDER_ID)  # fmt: skip
    assert (row.old_balance, row.amount) == (Decimal("882.74"), Decimal("443.39"))
    assert row.old_balance + row.amount == row.new_balance == Decimal("1326.13")
    assert row.time == DAY and row.note == "order cancelled"
    assert (page.page, page.page_size, page.total_pages, page.total_results, len(page)) == (2, 5, 11, 55, 1)


REFERENCE_CATALOG = {
    "success": True,
    "totalCategories": 14,
    "totalProducts": 62,
    "data": {
        "categories": [
            {
                "title": "PSN",
                "products": [
                    {"id": "6126393c6f57860f925a1983", "title": "PSN Germany", "enabled": True, "region": "germany"},
                    {"id": "612619816f57860f9259eee3", "title": "PSN UK", "enabled": False},
                ],
            },
            {"title": "Empty", "products": []},
        ]
    },
    "meta": {"timestamp": "2025-10-29T00:00:00.000Z"},
}


@pytest.mark.parametrize("renamed", [{}, {'"title"': '"name"'}, {'"id"': '"_id"'}], ids=["reference", "guide", "_id"])
def test_catalog_names(server, client, renamed):
    """The catalogue reads the same under each of the names that the documents use."""
    text = json.dumps(REFERENCE_CATALOG)
    for old, new in renamed.items():
        text = text.replace(old, new)
    server.replies = [reply(text)]
    assert client.catalog() == [
        CatalogProduct("6126393c6f57860f925a1983", "PSN Germany", "PSN", True, "germany"),
        CatalogProduct("612619816f57860f9259eee3", "PSN UK", "PSN", False, None),
    ]


@pytest.mark.parametrize(
    "data",
    [
        {
            "productId": PRODUCT,
            "productTitle": "PlayStation Network",
            "types": [
                {"id": "type_001", "name": "PSN 500 DA", "price": 490, "quantity": 150},
                {"id": "type_003", "name": "PSN 2000 DA", "price": 1960.5, "quantity": 0, "cost": 1},
            ],
        },
        {
            "_id": PRODUCT,
            "title": "PlayStation Network",
            "types": [
                {"_id": "type_001", "name": "PSN 500 DA", "price": "490", "quantity": "150"},
                {"_id": "type_003", "name": "PSN 2000 DA", "price": "1960.5", "quantity": 0.0},
            ],
        },
    ],
    ids=["reference", "arabic guide"],
)
def test_product_names(server, client, data):
    """A product reads the same under each of the names that the documents use."""
    server.replies = [success(data, requestId="req_1730163600_xyz789")]
    assert client.check_product(PRODUCT) == Product(
        PRODUCT,
        "PlayStation Network",
        (
            ProductType("type_001", "PSN 500 DA", Decimal(490), 150),
            ProductType("type_003", "PSN 2000 DA", Decimal("1960.5"), 0),
        ),
    )


@pytest.mark.parametrize("rows", [None, {}, "x", 7], ids=["null", "object", "text", "number"])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("categories", Client.catalog),
        ("types", lambda client: client.check_product(PRODUCT)),
        ("items", Client.list_orders),
        ("items", Client.transactions),
    ],
    ids=["catalog", "check_product", "list_orders", "transactions"],
)
def test_missing_list(server, client, name, call, rows):
    """A response without its list is an error, not an empty list."""
    server.replies = [success({name: rows})]
    with pytest.raises(NoAnswerError, match=f"no list of {name}"):
        call(client)


@pytest.mark.parametrize(
    "response",
    [
        success({"orderId": ORDER_ID}),
        success({"orderId": ORDER_ID}, meta={"timestamp": "x"}, requestId="req_1730163600_abc123"),
        reply({"data": {"orderId": ORDER_ID, "status": "HANDLING"}}, status=201),
    ],
    ids=["guide", "reference", "another 2xx"],
)
def test_placed_order_id(server, client, response):
    """place_order returns the new order's id."""
    server.replies = [response]
    assert client.place_order(PRODUCT, "type_001", 2) == ORDER_ID


@pytest.mark.parametrize(
    ("data", "status", "cards", "refund"),
    [
        (order_row(), "HANDLING", 0, None),
        (
            {"_id": ORDER_ID, "status": "PARTIALLY_FILLED", "quantity": 5, "fulfilled_quantity": 3,
             "fulfilled_amount": 1470, "price_per_card": 490,
             "cards": [{"value": "AAAA", "serial": "111111111"}, {"value": "BBBB", "serial": "222222222"},
                       {"value": "CCCC", "serial": "333333333"}], "time": "2025-10-29T01:00:00.000Z"},
            "PARTIALLY_FILLED", 3, 980,
        ),
        (
            {"_id": ORDER_ID, "quantity": 1, "price_per_card": 2000, "fulfilled_quantity": 0, "fulfilled_amount": 0,
             "cards": [], "status": "REFUNDED", "product": "6126393c6f57860f925a1983",
             "type": "6126393c6f57860f925a1984", "time": "2025-10-29T01:00:00.000Z"},
            "REFUNDED", 0, 2000,
        ),
        (
            {"_id": ORDER_ID, "quantity": 1, "price_per_card": 0, "fulfilled_quantity": 1, "fulfilled_amount": 0,
             "cards": [{"value": "SANDBOX-CARD-1", "serial": "SANDBOX-1"}], "status": "FULFILLED",
             "product": "string", "type": "string", "time": "2025-10-29T01:00:00.000Z"},
            "FULFILLED", 1, 0,
        ),
    ],
    ids=["handling", "partial", "refunded row", "sandbox row"],
)  # fmt: skip
def test_order_from_check_and_list(server, client, data, status, cards, refund):
    """An order reads the same from a status check and from the order list."""
    server.replies = [success(data), listing(data)]
    for order in (client.check_order_status(ORDER_ID), *client.list_orders()):
        assert (order.status, len(order.cards), order.refunded_amount) == (status, cards, refund)
        assert order.problems == () and set(order) == set(data)
        assert all(card.reveal().value == raw["value"] for card, raw in zip(order.cards, data.get("cards", ())))


def test_null_cards(server, client):
    """A list of cards that is null counts as missing."""
    server.replies = [success(order_row() | {"cards": None})]
    assert "cards" not in client.check_order_status(ORDER_ID)


def test_cards_not_a_list(server, client):
    """Cards that are not a list are named as a problem, and their code is hidden."""
    server.replies = [success(order_row() | {"cards": {"value": CODE}})]
    order = client.check_order_status(ORDER_ID)
    assert "cards is not a list" in order.problems and CODE not in repr(vars(order))


def test_other_order(server, client):
    """A response about another order is a NoAnswerError."""
    server.replies = [success(order_row("another"))]
    with pytest.raises(NoAnswerError, match="another order"):
        client.check_order_status(ORDER_ID)


@pytest.mark.parametrize(
    ("call", "method", "path", "query"),
    [
        (Client.validate, "GET", "/v3/validate", {}),
        (Client.catalog, "GET", "/v3/gift-cards/catalog", {}),
        (Client.balance, "GET", "/v3/account/balance", {}),
        (lambda c: c.transactions(), "GET", "/v3/account/transactions", {"page": ["1"], "pageSize": ["20"]}),
        (lambda c: c.list_orders(3, 100), "GET", "/v3/gift-cards/list", {"page": ["3"], "pageSize": ["100"]}),
        (
            lambda c: c.list_orders(since=DAY.astimezone(timezone(timedelta(hours=1))), until=DAY),
            "GET", "/v3/gift-cards/list",
            {"page": ["1"], "pageSize": ["20"], "from": ["2025-10-29T02:00:00.000+01:00"],
             "to": ["2025-10-29T01:00:00.000+00:00"]},
        ),
        (lambda c: c.check_product("p-1"), "GET", "/v3/gift-cards/checkProduct/p-1", {}),
        (lambda c: c.check_order_status("a&b;c=é"), "GET", "/v3/gift-cards/checkOrder/a%26b%3Bc%3D%C3%A9", {}),
        (lambda c: c.place_order("p", "t", 2), "POST", "/v3/gift-cards/placeOrder", {}),
    ],
)  # fmt: skip
def test_request(server, client, call, method, path, query):
    """Each method sends the documented path and query, with the key in its header only."""
    with pytest.raises(GiftlibError):
        server.replies = [reply({"success": False}, status=418)]
        call(client)
    (request,) = server.requests
    assert (request.method, request.path, request.query) == (method, path, query)
    assert request.headers["x-access-token"] == KEY
    assert "authorization" not in request.headers and KEY not in request.target and KEY.encode() not in request.body


def test_order_request_body(server, client):
    """An order request has the documented body."""
    server.replies = [success({"orderId": ORDER_ID})]
    client.place_order(PRODUCT, "TEST_PARTIAL", 4)
    (request,) = server.requests
    assert json.loads(request.body) == {"productId": PRODUCT, "typeId": "TEST_PARTIAL", "quantity": 4}
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "bad", ["", " ", "a b", "a/b", "a\\b", "..", "a..b", ".", "a?b", "a#b", "a%2Fb", "a\n", "\x00", "\ud800",
            "x" * 101, None, 5, b"id", ["id"], True]
)  # fmt: skip
def test_bad_id(server, client, bad):
    """An id that cannot be one is a ValueError, and nothing is sent."""
    for name, call in [
        ("order_id", lambda: client.check_order_status(bad)),
        ("product_id", lambda: client.check_product(bad)),
        ("product_id", lambda: client.place_order(bad, "type", 1)),
        ("type_id", lambda: client.place_order("product", bad, 1)),
    ]:
        with pytest.raises(ValueError, match=f"^{name} must be"):
            call()
    assert not server.requests


@pytest.mark.parametrize("bad", [0, -1, True, False, 2.5, 2.0, "2", None, Decimal(2), [1], float("nan")])
def test_bad_count(server, client, bad):
    """A quantity or page that is not a whole number from 1 up is a ValueError, and nothing is sent."""
    for name, call in [
        ("quantity", lambda: client.place_order("product", "type", bad)),
        ("page", lambda: client.list_orders(bad)),
        ("page_size", lambda: client.list_orders(1, bad)),
        ("page_size", lambda: client.transactions(1, bad)),
    ]:
        with pytest.raises(ValueError, match=f"^{name} must be"):
            call()
    with pytest.raises(ValueError, match="page_size must be a whole number from 1 to 100, got 101"):
        client.list_orders(1, 101)
    assert not server.requests


@pytest.mark.parametrize("bounds", [{"since": DAY}, {"until": DAY}, {"since": DAY, "until": DAY.replace(tzinfo=None)},
                                    {"since": DAY, "until": DAY - timedelta(microseconds=1)},
                                    {"since": "2025-10-29", "until": "2025-10-30"}])  # fmt: skip
@pytest.mark.parametrize("method", [Client.list_orders, Client.transactions])
def test_bad_period(server, client, method, bounds):
    """A period needs two aware datetimes."""
    with pytest.raises(ValueError, match="since|until"):
        method(client, **bounds)
    assert not server.requests


@pytest.mark.parametrize("bad", ["5", float("nan"), -1])
def test_bad_request_timeout(server, client, bad):
    """The time-out of one request is checked before the request is sent."""
    with pytest.raises(ValueError, match="must be"):
        client.check_order_status("a", timeout=bad)
    assert not server.requests
    gc.collect()


@pytest.mark.parametrize("blank", ["", "  ", "\n", None])
def test_blank_base_url(blank):
    """A blank address means the vendor's."""
    assert Client(KEY, blank).base_url == Client(KEY).base_url == DEFAULT_BASE_URL == "https://api.oneclickdz.com"


@pytest.mark.parametrize(
    "url", ["https://api.oneclickdz.com", "https://api.oneclickdz.com/", "https://host:8443", "HTTPS://Host.example",
            "http://localhost:8080", "http://LOCALHOST", "http://127.0.0.1:1", "http://127.8.9.1", "http://[::1]:80",
            "https://[2001:db8::1]", " https://api.oneclickdz.com "]
)  # fmt: skip
def test_accepted_base_url(url):
    """An address is https, or plain http for this machine."""
    assert Client(KEY, url).base_url == url.strip().rstrip("/")


@pytest.mark.parametrize(
    "url",
    ["http://api.oneclickdz.com", "http://localhost.example", "http://127.0.0.1.example", "http://10.0.0.1",
     "http://localhost@evil.example", "http://127.0.0.1\\@evil.example", "http://local\thost", "http://0.0.0.0",
     "https://api.oneclickdz.com/v3/gift-cards", "https://api.oneclickdz.com/v2",
     "https://host/v3/v3", "https://host/?a", "https://host?", "https://host#", "https://user@host",
     "https://:secret@host", "https://user:secret@host", "https://ho st", "https://host:port", "https://", "https:", "https://api.test:99999",
     "//host", "host", "api.oneclickdz.com", "ftp://host", "file:///etc/passwd", KEY, 5, b"https://host"],
)  # fmt: skip
def test_rejected_base_url(url):
    """Any other address is a ValueError that does not repeat it, since it may hold a secret."""
    with pytest.raises(ValueError, match="^base_url must be https") as caught:
        Client(KEY, url)
    assert KEY not in str(caught.value) and "secret@" not in str(caught.value)


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), 10**400, "5", None, True])
def test_bad_timeout(bad):
    """request_timeout must be a finite number of seconds above 0."""
    with pytest.raises(ValueError, match="^request_timeout must be"):
        Client(KEY, request_timeout=bad)


@pytest.mark.parametrize("allowed", ["no", 1, None])
def test_allow_production_flag(allowed):
    """Only True allows orders with real money."""
    with pytest.raises(ValueError, match="allow_production must be True or False"):
        Client(KEY, "http://127.0.0.1:1", allow_production=allowed)
