"""The OpenAPI description against the documentation's samples, against the emulator under every setting, and under
schemathesis; GIFTLIB_SCHEMATHESIS_EXAMPLES=1000 lets it run longer."""

import os
import re
import subprocess
import sys
from copy import deepcopy
from dataclasses import fields
from decimal import Decimal

import pytest
import requests
import test_contract as documented
from jsonschema import Draft202012Validator, FormatChecker
from samples import ORDER_ID, PRODUCT
from thorough import THOROUGH, tries

from giftlib.sandbox import Sandbox, Settings, event_log
from giftlib.sandbox.pages import describe

EXAMPLES = os.environ.get("GIFTLIB_SCHEMATHESIS_EXAMPLES", str(tries(4, 20)))
HYPHENS = {"path_style": "hyphens"}


def operations(description):
    return {
        operation["operationId"]: (path, method, operation | {"components": description["components"]})
        for path, item in description["paths"].items()
        for method, operation in item.items()
    }


def schema_of(operation, status):
    schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    return schema | {"components": operation["components"]}


def wrong_with(schema, content):
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    return [error.message for error in validator.iter_errors(content)]


DEFAULT = operations(describe(Settings()))


# The documentation's samples


def paged(*rows):
    data = {"items": list(rows), "pagination": documented.PAGINATION}
    return {"success": True, "data": data, "meta": {"timestamp": "2025-10-29T01:00:00.000Z"}}


def rejected(code, details=None):
    error = {"code": code, "message": "as in the documentation"} | ({} if details is None else {"details": details})
    return {"success": False, "error": error, "requestId": "req_abc123"}


SAMPLES = [
    ("ping", 200, documented.PING),
    ("validate", 200, documented.VALIDATE),
    (
        "catalog",
        200,
        {
            "success": True,
            "totalCategories": 14,
            "totalProducts": 62,
            "data": {"categories": [{"title": "PSN", "products": [documented.CATALOG_PRODUCT]}]},
            "meta": {"timestamp": "2025-10-29T01:00:00.000Z"},
        },
    ),
    ("checkProduct", 200, documented.CHECK_PRODUCT),
    ("placeOrder", 200, documented.PLACE_ORDER),
    ("checkOrder", 200, documented.HANDLING),
    ("checkOrder", 200, documented.FULFILLED),
    ("list", 200, paged(documented.LIST_FULFILLED)),
    ("list", 200, paged(documented.LIST_REFUNDED)),
    ("balance", 200, documented.BALANCE),
    ("transactions", 200, paged(documented.TRANSACTION)),
    ("validate", 401, rejected("MISSING_ACCESS_TOKEN")),
    ("validate", 401, rejected("INVALID_ACCESS_TOKEN", {"attemptsLeft": 3})),
    ("validate", 403, rejected("IP_BLOCKED")),
    ("placeOrder", 400, rejected("ERR_VALIDATION", ["quantity is required"])),
    ("placeOrder", 403, rejected("INSUFFICIENT_BALANCE", {"required": 1000, "available": 500})),
    ("list", 429, rejected("RATE_LIMIT_EXCEEDED")),
    ("checkOrder", 404, rejected("NOT_FOUND")),
]


@pytest.mark.parametrize(("name", "status", "sample"), SAMPLES)
def test_samples(name, status, sample):
    """The documentation's samples match the description."""
    assert wrong_with(schema_of(DEFAULT[name][2], status), sample) == []


def objects_in(value):
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects_in(inner)


def changed(sample):
    """The sample with each field of each of its objects left out or of another type, and with one more in each."""
    for number, thing in enumerate(objects_in(sample)):
        for name, change in [*((name, None) for name in thing), *((name, ()) for name in thing), ("unheard_of", 1)]:
            copy = deepcopy(sample)
            inner = list(objects_in(copy))[number]
            if change is None:
                del inner[name]
            else:
                inner[name] = None if change == () else change
            yield name, copy


@pytest.mark.parametrize(("name", "status", "sample"), SAMPLES)
def test_changed_samples(name, status, sample):
    """A sample with a field missing, added or null does not match."""
    schema = schema_of(DEFAULT[name][2], status)
    for field, copy in changed(sample):
        if field != "region":
            assert wrong_with(schema, copy), (field, copy)


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        ("HANDLING", {}),
        ("REFUNDED", {}),
        ("ON_HOLD", {}),
        ("FULFILLED", {"cards": []}),
        ("FULFILLED", {"fulfilled_quantity": 0}),
        ("FULFILLED", {"fulfilled_amount": "980"}),
        ("FULFILLED", {"quantity": 1.5}),
        ("FULFILLED", {"time": "29/10/2025"}),
        ("FULFILLED", {"product": PRODUCT}),
    ],
)
def test_contradictory_orders(status, changes):
    """An order whose fields do not fit its status does not match."""
    order = documented.FULFILLED["data"] | {"status": status} | changes
    assert wrong_with(schema_of(DEFAULT["checkOrder"][2], 200), documented.FULFILLED | {"data": order})


# The emulator's responses


class Reader:
    """Asks a sandbox by its own description, and compares each response with it."""

    def __init__(self, call):
        self.sandbox = call.sandbox
        self.session = call.session
        self.operations = operations(self.session.get(self.sandbox.url + "/openapi.json", timeout=5).json())
        self.seen = set()

    def ask(self, name, item="", key=None, **kwargs):
        path, method, operation = self.operations[name]
        url = self.sandbox.url + re.sub("{.*}", item, path)
        headers = {"X-Access-Token": self.sandbox.api_key if key is None else key}
        response = self.session.request(method, url, headers=headers, timeout=5, **kwargs)
        expected = operation["responses"][str(response.status_code)]
        content = response.json(parse_float=Decimal)
        assert wrong_with(schema_of(operation, response.status_code), content) == [], (name, content)
        for header, description in expected["headers"].items():
            value = response.headers[header]
            number = description["schema"]["type"] == "integer"
            assert wrong_with(description["schema"], int(value) if number else value) == []
        self.seen.add((name, str(response.status_code)))
        return content

    def place(self, type_id, quantity):
        """Place an order, and give its id."""
        body = {"productId": "p", "typeId": type_id, "quantity": quantity}
        if self.sandbox.settings.order_ref == "required":
            body = {"productId": "p", "typeId": type_id, "ref": "r"}
        return self.ask("placeOrder", json=body).get("data", {}).get("orderId", "none")

    def walk(self):
        """Ask for all there is, rightly and wrongly."""
        self.ask("ping", key="")
        for name in ("validate", "catalog", "balance"):
            self.ask(name)
        self.ask("checkProduct", documented.CHECK_PRODUCT["data"]["productId"])
        bodies = {"type_001": (2,), "type_003": (1,), "TEST_REFUND": (2,), "TEST_PARTIAL": (5, 1), "any": (1,)}
        orders = [self.place(type_id, quantity) for type_id, quantities in bodies.items() for quantity in quantities]
        for pause in (0, 100):
            self.sandbox.clock.sleep(pause)
            for order in orders:
                self.ask("checkOrder", order)
            for query in ("", "?page=9", "?pageSize=0", "?pageSize=1000", "?from=2020-01-01T00:00:00Z"):
                self.ask("list", params=query[1:])
                self.ask("transactions", params=query[1:])
        self.ask("checkOrder", ORDER_ID)
        self.ask("checkOrder", "no-such-order")
        self.ask("checkProduct", "no-such-product")
        self.ask("placeOrder", json={"quantity": 0, "unknown": 1})
        self.ask("placeOrder", data=b" " * (2**20 + 1))
        self.ask("placeOrder", data={"quantity": "1"})  # as a form
        self.place("TEST_PARTIAL", 100_000)
        keys = ["", "wrong"]
        keys += [self.sandbox.add_key(scope="READ-ONLY"), self.sandbox.add_key(enabled=False)]
        keys += [self.sandbox.add_key(allowed_ips=("203.0.113.7",)), self.sandbox.add_key("PRODUCTION")]
        items = {"checkOrder": orders[0], "checkProduct": "p", "ping": ""}
        for key in keys:
            for name in self.operations:
                self.ask(name, items.get(name, ""), key=key)


@pytest.fixture
def read(open_sandbox):
    def open_one(**settings):
        return Reader(open_sandbox(6, **{"fulfilment_s": None} | settings))

    return open_one


def other_values(declared):
    """What a setting may be beside its default, where it has few choices."""
    accepted = declared.metadata["validator"].accepted
    choices = accepted.split(" or ") if isinstance(declared.default, str) else []
    if isinstance(declared.default, bool):
        choices = [True, False]
    return [choice for choice in choices if choice != declared.default]


ALTERNATIVES = [{declared.name: value} for declared in fields(Settings) for value in other_values(declared)]


ALONE = ("key_type", "key_scope", "order_ref", "check_balance")  # with these much else cannot be asked for


def together(alternatives):
    """Settings of which each holds many of these, no setting twice; for thorough tests each is alone."""
    groups = []
    for each in alternatives:
        free = [group for group in groups if not {*each, *ALONE} & {*group}]
        if THOROUGH or not free or not {*each}.isdisjoint(ALONE):
            groups.append({})
            free = groups[-1:]
        free[0].update(each)
    return groups


@pytest.mark.parametrize("settings", [{}, *together(ALTERNATIVES)], ids=str)
def test_every_setting(read, settings):
    """Each response matches the description, with every setting."""
    read(**{"fulfilment_s": 50, "lockout_attempts": 1000} | settings).walk()


def test_every_response(read, tmp_path, monkeypatch):
    """Every response that is described can occur."""
    at_work, blocked, busy = read(lockout_attempts=1000), read(lockout_attempts=1), read(rate_limit_per_minute=1)
    at_work.walk()
    blocked.ask("balance", key="wrong")
    busy.ask("balance")
    items = {"checkOrder": "x", "checkProduct": "x"}
    for name in DEFAULT:
        blocked.ask(name, items.get(name, ""))
        busy.ask(name, items.get(name, ""))
    full = read(state=tmp_path / "state")
    monkeypatch.setattr(event_log, "MOST_BYTES", 0)
    full.place("type_001", 1)
    described = {(name, status) for name, (_, _, operation) in DEFAULT.items() for status in operation["responses"]}
    assert at_work.seen | blocked.seen | busy.seen | full.seen == described


# The document


@pytest.mark.parametrize("settings", [{}, HYPHENS], ids=str)
def test_document(read, settings):
    """The document says where it is served and which key is needed."""
    sandbox = read(**settings).sandbox
    response = requests.get(sandbox.url + "/openapi.json", timeout=5)
    document = response.json()
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert document["servers"] == [{"url": "/"}]
    assert document == describe(sandbox.settings)
    assert sandbox.api_key not in response.text
    [scheme] = document["components"]["securitySchemes"].values()
    assert scheme == {"type": "apiKey", "in": "header", "name": "X-Access-Token"}
    keyless = [name for name, (_, _, operation) in operations(document).items() if operation.get("security") == []]
    assert keyless == ["ping"]


@pytest.mark.parametrize("largest", [1, 7, 100_000])
def test_bounds(largest):
    """Bounds are those of the settings."""
    place = operations(describe(Settings(max_quantity=largest)))["placeOrder"][2]
    schema = place["requestBody"]["content"]["application/json"]["schema"]
    for quantity, good in (
        (0, False),
        (1, True),
        (largest, True),
        (largest + 1, False),
        (1.5, False),
        ("1", True),
        ("0", False),
        (str(largest), True),
        (str(largest + 1), False),
        (str(10 * largest), False),
    ):
        assert (not wrong_with(schema, {"productId": "p", "typeId": "t", "quantity": quantity})) is good


def test_schemas():
    """Each schema is a valid one."""
    for _, _, operation in DEFAULT.values():
        for status in operation["responses"]:
            Draft202012Validator.check_schema(schema_of(operation, status))


@pytest.mark.parametrize("settings", [{}, *ALTERNATIVES], ids=str)
def test_example_of_an_order(settings):
    """The order that a mock shows is one that checkOrder and the list can give."""
    described = operations(describe(Settings(**settings)))
    checked, listed = (schema_of(described[name][2], 200) for name in ("checkOrder", "list"))
    components = {"components": checked["components"]}
    [example] = components["components"]["schemas"]["Order"]["examples"]
    row = listed["properties"]["data"]["properties"]["items"]["items"]
    for schema in (checked["properties"]["data"], row):
        assert wrong_with(schema | components, example) == []


FOR_VALIDATORS = ("dependentSchemas", "if", "then", "else", "not")


def read_by_generators(value):
    """The objects of the description without the parts that only validators read."""
    if isinstance(value, dict):
        yield value
        value = [inner for name, inner in value.items() if name not in FOR_VALIDATORS]
    for inner in value if isinstance(value, list) else ():
        yield from read_by_generators(inner)


@pytest.mark.parametrize("settings", [{}, *ALTERNATIVES], ids=str)
def test_generators(settings):
    """What generators are known to misread is not there: a reference that is also a model, a value without a type, an
    object as a parameter."""
    for part in read_by_generators(describe(Settings(**settings))):
        assert "properties" not in part or "$ref" not in part, part
        assert "const" not in part, part
        assert part.get("type") in ("string", "integer") or "enum" not in part, part
        assert part.get("in") != "query" or part["schema"]["type"] in ("string", "integer"), part


# What schemathesis makes of it

OTHERWISE = {
    **HYPHENS,
    "order_ref": "required",
    "unknown_body_keys": "refused",
    "malformed_id": "ERR_VALIDATION",
    "list_needs_both_ends": True,
    "large_page": "clamped",
    "final_order_has_type": True,
    "request_id_in": "always",
    "message_at": "top",
    "code_separator": "-",
    "wrong_method": "405",
    "text_quantity": "refused",
}


BOTH_ENDS = """
import schemathesis

@schemathesis.hook
def before_call(context, case, kwargs):
    # OpenAPI has no words for parameters that are given together or not at all, so the description says it in a text.
    query = case.query or {}
    for end, other in (("from", "to"), ("to", "from")):
        if end in query and case.operation.label.endswith(ENDPOINTS):
            query.setdefault(other, query[end])
"""


@pytest.mark.parametrize("settings", [{}, OTHERWISE], ids=["default settings", "other settings"])
def test_schemathesis(settings, tmp_path):
    """All its checks in all its phases; orders are in all states, since a second passes with each request."""
    quiet = {"latency_s": 1, "max_quantity": 20, "rate_limit_per_minute": None, "lockout_attempts": 10**9}
    with Sandbox(7, **quiet, **settings) as sandbox:
        command = [sys.executable, "-m", "schemathesis.cli", "run", sandbox.url + "/openapi.json", "--no-color"]
        command += ["-H", f"X-Access-Token: {sandbox.api_key}", "--checks", "all", "--continue-on-failure"]
        if sandbox.settings.wrong_method == "404":
            command += ["--exclude-checks", "unsupported_method"]  # it wants 405, and Fastify gives 404
        command += ["--generation-deterministic", "--max-examples", EXAMPLES]
        together = ("transactions", "list") if sandbox.settings.list_needs_both_ends else ("transactions",)
        (tmp_path / "both_ends.py").write_text(BOTH_ENDS.replace("ENDPOINTS", str(together)))
        hooks = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
        done = subprocess.run(
            command, cwd=tmp_path, env=hooks | {"SCHEMATHESIS_HOOKS": "both_ends"},
            capture_output=True, text=True, timeout=3600, check=False,
        )  # fmt: skip
        done_well = [record.path for record in sandbox.requests if record.status == 200]
    assert done.returncode == 0, done.stdout + done.stderr
    for path in describe(sandbox.settings)["paths"]:
        assert any(asked.startswith(path.partition("{")[0]) for asked in done_well), path
