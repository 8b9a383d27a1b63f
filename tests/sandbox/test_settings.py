"""What the documentation contradicts itself about or leaves open: each side is a setting, by plain requests."""

import json
import re
from decimal import Decimal
from math import inf

import numpy as np
import pytest
from samples import PRODUCT

from giftlib import InvalidRequestError
from giftlib.api.responses import read
from giftlib.sandbox import Sandbox, Settings

PSN_TYPE = "6126393c6f57860f925a1984"


KEY_FIELDS = ("key", "isEnabled", "type", "allowedips", "scope")


def finished(call, *args, **kwargs):
    """What checkOrder says of an order when it is final."""
    order_id = call.order_id(*args, **kwargs)
    call.sandbox.clock.sleep(10)
    return call.check(order_id).json()["data"]


# Shapes


@pytest.mark.parametrize("key", ["title", "name"])
def test_category_key(open_sandbox, key):
    """A category's title has either key."""
    categories = open_sandbox(category_key=key)("gift-cards/catalog").json()["data"]["categories"]
    assert all(category.keys() == {key, "products"} for category in categories)


def test_catalog_totals(open_sandbox):
    """The catalogue's totals are at the top or in meta."""
    response = open_sandbox(catalog_totals_in="meta")("gift-cards/catalog").json()
    assert response.keys() == {"success", "data", "meta"}
    assert response["meta"].keys() == {"totalCategories", "totalProducts", "timestamp"}


@pytest.mark.parametrize("size", [1, 6, 62, 127])
def test_catalog_size(open_sandbox, size):
    """The catalogue has the number of products that was set."""
    call = open_sandbox(catalog_products=size)
    response = call("gift-cards/catalog").json()
    products = [product for category in response["data"]["categories"] for product in category["products"]]
    assert len({product["id"] for product in products}) == response["totalProducts"] == size
    last = call(f"gift-cards/checkProduct/{products[-1]['id']}").json()["data"]
    type_id, price = last["types"][0]["id"], last["types"][0]["price"]
    assert finished(call, products[-1]["id"], type_id)["price_per_card"] == price


def test_product_id_key(open_sandbox):
    """A product has its ids under either key."""
    data = open_sandbox(product_id_key="_id")(f"gift-cards/checkProduct/{PRODUCT}").json()["data"]
    assert data.keys() == {"_id", "productTitle", "types"}
    assert data["types"][0] == {"_id": "type_001", "name": "PSN 500 DA", "price": 490, "quantity": 150}


@pytest.mark.parametrize(
    ("setting", "more"), [("available_field", {"available": False}), ("cost_field", {"cost": 1960})]
)
def test_type_fields(open_sandbox, setting, more):
    """A type can have a field that no sample shows."""
    data = open_sandbox(**{setting: True})(f"gift-cards/checkProduct/{PRODUCT}").json()["data"]
    assert data["types"][2] == {"id": "type_003", "name": "PSN 2000 DA", "price": 1960, "quantity": 0} | more


@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        ("reference", {"username", "apiKey", *(f"apiKey.{name}" for name in KEY_FIELDS)}),
        ("quickstart", {"username", "apiKey", "apiKey.isEnabled", "apiKey.type", "apiKey.scope"}),
        ("bills", {"account", "account.id", "account.status", "account.currency", "key", "key.type"}),
    ],
)  # fmt: skip
def test_validate_shape(open_sandbox, shape, fields):
    """validate has each documented shape."""
    data = open_sandbox(validate_shape=shape)("validate").json()["data"]
    inner = {f"{name}.{field}" for name, value in data.items() if isinstance(value, dict) for field in value}
    assert data.keys() | inner == fields


def test_balance_currency(open_sandbox):
    """A balance can have its currency."""
    data = open_sandbox(balance_currency=True, opening_balance=Decimal("50000"))("account/balance").json()["data"]
    assert data == {"balance": 50000, "currency": "DZD"}


def test_path_style(open_sandbox):
    """Paths can have hyphens; then the other paths do not exist."""
    call = open_sandbox(path_style="hyphens")
    body = {"productId": PRODUCT, "typeId": "t", "quantity": 1}
    order_id = call("gift-cards/place-order", "POST", json=body).json()["data"]["orderId"]
    assert call(f"gift-cards/check-order/{order_id}").status_code == 200
    assert call(f"gift-cards/check-product/{PRODUCT}").status_code == 200
    assert call.check(order_id).status_code == call.place().status_code == 404


@pytest.mark.parametrize("has_type", [False, True])
def test_final_order_has_type(open_sandbox, has_type):
    """A final order can have product and type."""
    data = finished(open_sandbox(final_order_has_type=has_type))
    assert ({"product", "type"} <= data.keys()) == has_type


@pytest.mark.parametrize(
    ("serials", "card"),
    [
        ("numbered", {"value": "SANDBOX-CARD-1", "serial": "SANDBOX-1"}),
        ("empty", {"value": "SANDBOX-CARD-1", "serial": ""}),
        ("missing", {"value": "SANDBOX-CARD-1"}),
    ],
)
def test_card_serials(open_sandbox, serials, card):
    """A card has its serial or not."""
    assert finished(open_sandbox(card_serials=serials))["cards"] == [card]


# Errors and ids


def test_code_separator(open_sandbox):
    """Error codes can have hyphens."""
    call = open_sandbox(code_separator="-")
    assert call.check("nonsense").json()["error"]["code"] == "NOT-FOUND"


def test_message_at(open_sandbox):
    """An error can have its message at the top too."""
    response = open_sandbox(message_at="top").check("nonsense").json()
    assert response["message"] == response["error"]["message"]


@pytest.mark.parametrize(
    ("where", "with_id"),
    [
        ("documented", {"placeOrder", "checkProduct"}),
        ("always", {"placeOrder", "checkProduct", "list", "balance"}),
        ("never", set()),
    ],
)
def test_request_id_in(open_sandbox, where, with_id):
    """Successes have their request id where the setting says."""
    call = open_sandbox(request_id_in=where)
    responses = {
        "placeOrder": call.place(),
        "checkProduct": call(f"gift-cards/checkProduct/{PRODUCT}"),
        "list": call("gift-cards/list"),
        "balance": call("account/balance"),
    }
    assert {name for name, response in responses.items() if "requestId" in response.json()} == with_id
    for name in with_id:
        assert responses[name].json()["requestId"] == responses[name].headers["X-Request-Id"]
    assert call.check("nonsense").json()["requestId"]


@pytest.mark.parametrize(
    ("style", "form"), [("req_time_number", "req_[0-9]+_[0-9a-f]{6}"), ("req-number", "req-[0-9a-z]+")]
)
def test_request_id_style(open_sandbox, style, form):
    """Request ids have either form, and each is new."""
    call = open_sandbox(request_id_style=style)
    ids = [call("ping").headers["X-Request-Id"] for _ in range(50)]
    assert len(set(ids)) == 50 and all(re.fullmatch(form, request_id) for request_id in ids)


@pytest.mark.parametrize("item", ["nonsense", "68fcdd7ce9e88196b4eb64b"])
def test_malformed_id(open_sandbox, item):
    """A malformed id can have another error than an unknown one."""
    call = open_sandbox(malformed_id="ERR_VALIDATION")
    assert call.check(item).status_code == call(f"gift-cards/checkProduct/{item}").status_code == 400
    assert call.check("68fcdd7ce9e88196b4eb64b3").status_code == 404


def test_bad_key(open_sandbox):
    """A wrong key can have the other code and message."""
    call = open_sandbox(bad_key_code="ERR_AUTH", attempts_left_in="message", lockout_attempts=20)
    error = call("validate", headers={"X-Access-Token": "wrong"}).json()["error"]
    assert error == {"code": "ERR_AUTH", "message": "The provided access token is invalid, 19 attempts left"}


# Orders


@pytest.mark.parametrize(
    ("rounding", "one", "status", "delivered"),
    [
        ("down", "as counted", "REFUNDED", 0),
        ("up", "as counted", "FULFILLED", 1),
        ("down", "PARTIALLY_FILLED", "PARTIALLY_FILLED", 0),
        ("up", "PARTIALLY_FILLED", "PARTIALLY_FILLED", 1),
    ],
)
def test_partial_of_one(open_sandbox, rounding, one, status, delivered):
    """Half of one card is what the settings say."""
    data = finished(open_sandbox(partial_rounding=rounding, partial_of_one=one), type_id="TEST_PARTIAL")
    assert (data["status"], data["fulfilled_quantity"], len(data["cards"])) == (status, delivered, delivered)


def test_partial_status(open_sandbox):
    """An order filled in part can be FULFILLED."""
    data = finished(open_sandbox(partial_status="FULFILLED"), type_id="TEST_PARTIAL", quantity=4)
    assert (data["status"], data["fulfilled_quantity"]) == ("FULFILLED", 2)


def test_known_type_price(open_sandbox):
    """An order can pay another price than the catalogue's."""
    call = open_sandbox(known_type_price=Decimal(0), unknown_type_price=Decimal("7.50"), test_type_price=Decimal(3))
    assert call(f"gift-cards/checkProduct/{PRODUCT}").json()["data"]["types"][0]["price"] == 490
    prices = [finished(call, type_id=type_)["price_per_card"] for type_ in ("type_001", "string", "TEST_REFUND")]
    assert prices == [0, 7.5, 3]


def test_price_by_type(open_sandbox):
    """A type's own price goes before all others."""
    call = open_sandbox(prices={"type_001": Decimal(1), "string": Decimal(2)}, known_type_price=5, unknown_type_price=6)
    assert [finished(call, type_id=type_)["price_per_card"] for type_ in ("type_001", "string")] == [1, 2]


def test_unknown_body_keys(open_sandbox):
    """Unknown keys in the body can be rejected by name."""
    call = open_sandbox(unknown_body_keys="refused")
    body = {"productId": "p", "typeId": "t", "quantity": 1, "ref": "mine"}
    response = call("gift-cards/placeOrder", "POST", json=body)
    assert (response.status_code, response.json()["error"]["details"]) == (400, ['"ref" is not allowed'])
    assert call.sandbox.truth() == {}


def test_order_ref(open_sandbox):
    """An order can need a ref, and is then of one card."""
    call = open_sandbox(order_ref="required")
    assert call.place().json()["error"]["details"] == ['"ref" is required']
    data = call("gift-cards/placeOrder", "POST", json={"productId": "p", "typeId": "t", "ref": "mine"}).json()["data"]
    assert data["orderRef"] == "mine"
    assert call.check(data["orderId"]).json()["data"]["quantity"] == 1


@pytest.mark.parametrize(("rule", "status"), [("refused", 400), ("read", 200)])
def test_text_quantity(open_sandbox, rule, status):
    """A quantity written as text is rejected or read."""
    call = open_sandbox(text_quantity=rule)
    assert call.place(quantity="2").status_code == status
    assert call.place(quantity="two").status_code == call.place(quantity="-2").status_code == 400


def test_max_quantity(open_sandbox):
    """The largest quantity is the one that was set."""
    call = open_sandbox(max_quantity=9)
    assert (call.place(quantity=9).status_code, call.place(quantity=10).status_code) == (200, 400)


# Lists


def test_list_order(open_sandbox):
    """Lists can begin with the oldest."""
    call = open_sandbox(list_order="oldest first")
    ids = [call.order_id() for _ in range(5)]
    pages = [call(f"gift-cards/list?page={page}&pageSize=2").json()["data"]["items"] for page in (1, 2, 3, 4)]
    assert [row["_id"] for page in pages for row in page] == ids
    rows = [call(f"account/transactions?page={page}&pageSize=2").json()["data"]["items"] for page in (1, 2, 3)]
    assert [row["objid"] for page in rows for row in page] == ids


def test_list_needs_both_ends(open_sandbox):
    """A list can need both ends of a period."""
    call = open_sandbox(list_needs_both_ends=True)
    assert call("gift-cards/list?from=2026-01-01T00:00:00Z").status_code == 400
    assert call("gift-cards/list?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z").status_code == 200


def test_large_page(open_sandbox):
    """A page size that is too large can be lowered to the largest."""
    call = open_sandbox(large_page="clamped")
    assert call("gift-cards/list?pageSize=500").json()["data"]["pagination"]["pageSize"] == 100


def test_page_overflow(open_sandbox):
    """A page after the last one can be rejected."""
    call = open_sandbox(page_overflow="refused")
    assert call("gift-cards/list").status_code == 200
    call.order_id()
    assert [call(f"gift-cards/list?page={page}").status_code for page in (1, 2)] == [200, 400]


# The account


def test_balance_moves(open_sandbox):
    """A balance can stay the same."""
    call = open_sandbox(balance_moves=False, opening_balance=Decimal("1326.13"))
    call.order_id(quantity=2)
    assert call("account/balance").json()["data"]["balance"] == 1326.13


def test_check_balance(open_sandbox):
    """An order beyond the balance can be accepted."""
    call = open_sandbox(check_balance=False, opening_balance=Decimal(0))
    call.order_id(quantity=2)
    assert call("account/balance").json()["data"]["balance"] == -980


def test_transactions_listed(open_sandbox):
    """Transactions can be empty."""
    call = open_sandbox(transactions_listed=False)
    finished(call, type_id="TEST_REFUND")
    data = call("account/transactions").json()["data"]
    assert (data["items"], data["pagination"]["totalResults"]) == ([], 0)


# The settings themselves


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"productId": "p", "typeId": "t", "quantity": 0}, "quantity", "body/quantity must be >= 1"),
        ({"productId": "p", "typeId": "t", "quantity": 10**6}, "quantity", "body/quantity must be <= 10000"),
        ({"productId": "p", "typeId": "t", "quantity": 1.5}, "quantity", "body/quantity must be integer"),
        ({"productId": 7, "typeId": "t", "quantity": 1}, "productId", "body/productId must be string"),
        ({"productId": "p", "quantity": 1}, "typeId", "body must have required property 'typeId'"),
        ([], "", "body must be object"),
    ],
)
def test_validation_wording(open_sandbox, body, field, message):
    """In Ajv's words a 400 names the first wrong field with its value, and the client keeps the field."""
    call = open_sandbox(validation_wording="Ajv")
    error = call("gift-cards/placeOrder", "POST", json=body).json()["error"]
    assert (error["code"], error["message"], error["details"]["field"]) == ("ERR_VALIDATION", message, field)
    if isinstance(body, dict):
        assert error["details"]["value"] == body.get(field)
        client = call.sandbox.client()
        with pytest.raises(InvalidRequestError) as caught:
            read(client.request("POST", "gift-cards/placeOrder", body=body), lambda response: response)
        assert caught.value.details["field"] == field


def test_open_list_rows(open_sandbox):
    """A row of the list for an open order may have its price, and no cards and dinars yet."""
    call = open_sandbox(open_list_rows="with zeros")
    order_id = call("gift-cards/placeOrder", "POST", json={"productId": "p", "typeId": "TEST_PARTIAL", "quantity": 2})
    [row] = call("gift-cards/list").json()["data"]["items"]
    assert order_id.json()["data"]["orderId"] == row["_id"]
    zeros = {"fulfilled_quantity": 0, "fulfilled_amount": 0, "price_per_card": 490, "cards": []}
    assert row["status"] == "HANDLING" and zeros.items() <= row.items()
    [order] = call.sandbox.client().list_orders()
    assert not order.is_final and order.problems == ()


@pytest.mark.parametrize("name", list(Settings.__dataclass_fields__))
def test_meanings(name):
    """The table has each setting's value, meaning and source."""
    expected = str(Settings())
    [(value, meaning)] = re.findall(rf"^  {name} +(.{{24}})(.*(?:\n {{59}}.*)*)", expected, re.MULTILINE)
    assert value.strip() in str(getattr(Settings(), name)) or value.strip().endswith("…")
    assert re.search(r"DOC|LIVE|[Uu]nknown|same|over all", meaning)


def test_table(open_sandbox):
    """The table marks what differs and is safe to show as HTML."""
    settings = open_sandbox(path_style="hyphens", prices={"<b>": Decimal(1)}).sandbox.settings
    marked = [line.split()[1:3] for line in str(settings).splitlines() if line.startswith("* ")]
    assert marked == [
        ["fulfilment_s", "10"], ["latency_s", "0"], ["rate_limit_per_minute", "None"], ["prices", "{'<b>':"],
        ["path_style", "hyphens"],
    ]  # fmt: skip
    assert max(map(len, str(settings).splitlines())) <= 120
    assert "<b>" not in settings._repr_html_() and "&lt;b&gt;" in settings._repr_html_()


ODD = Settings.of(
    fulfilment_s=inf, latency_s=0.25, rate_limit_per_minute=None, allowed_ips=("127.0.0.1",), check_stock=True,
    prices={"a": Decimal("1.50"), "b": 3, "c": Decimal("1E+3")}, opening_balance=Decimal("0.01"),
    test_type_price=Decimal("7.000"), partial_rounding="up", fulfilment_p95_s=np.float32(60), lockout_s=np.int64(5),
)  # fmt: skip


def test_file(tmp_path):
    """Settings are the same after a file."""
    ODD.write(tmp_path / "settings.json")
    again = Settings.read(tmp_path / "settings.json")
    assert again == ODD and again.to_json() == ODD.to_json()
    assert json.loads((tmp_path / "settings.json").read_text()).keys() == ODD.changes().keys()


def test_plain_numbers(tmp_path):
    """A file written by hand can have plain numbers."""
    path = tmp_path / "settings.json"
    path.write_text(
        '{"opening_balance": 1326.13, "latency_s": 0.2, "prices": {"a": 490, "b": 1e3}, "wrong_method": 405}'
    )
    settings = Settings.read(path)
    prices = {"a": Decimal(490), "b": Decimal(1000)}
    assert settings == Settings.of(opening_balance=Decimal("1326.13"), latency_s=0.2, prices=prices, wrong_method="405")
    settings.write(path)
    assert Settings.read(path) == settings


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "Expecting value"),
        ("[]", "must be a JSON object"),
        ('{"latency": 1}', "unknown setting 'latency'; accepted are .*latency_s"),
        ('{"latency_s": -1}', "latency_s must be seconds from 0 to 1e9, or None, got -1"),
        ('{"prices": {"a": "cheap"}}', "prices must be type ids with dinars .*, got {'a': 'cheap'}"),
        ('{"opening_balance": "NaN"}', "opening_balance must be dinars"),
        ('{"check_stock": "yes"}', "check_stock must be True or False, got 'yes'"),
        ('{"latency_s": true}', "latency_s must be seconds from 0 to 1e9, or None, got True"),
        ('{"opening_balance": 1e400}', "a number is not finite"),
        ('{"test_type_price": -0.0}', "test_type_price must be dinars"),
        ('{"lockout_s": 1e12}', "lockout_s must be seconds from 1e-9 to 1e9"),
    ],
)
def test_bad_file(tmp_path, content, expected):
    """A wrong file is one line that names the file."""
    path = tmp_path / "settings.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"settings.json is no settings file: .*{expected}") as error:
        Settings.read(path)
    assert "\n" not in str(error.value)


def test_immutable():
    """Settings do not change with the objects they were made from."""
    prices, addresses = {"a": Decimal(1)}, ["127.0.0.1"]
    settings = Settings(prices=prices, allowed_ips=addresses)
    prices["a"], addresses[0] = -1, 7
    assert settings == Settings(prices={"a": Decimal(1)}, allowed_ips=("127.0.0.1",))


def test_settings_and_changes():
    """Settings given as a whole can be changed by name."""
    with Sandbox(settings=ODD, latency_s=0) as sandbox:
        assert sandbox.settings == ODD.but(latency_s=0)
