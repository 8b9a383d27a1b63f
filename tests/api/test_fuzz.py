"""Random JSON and random bytes as the response of every endpoint.

GIFTLIB_FUZZ_CASES says how many cases there are in all, 500 by default: half of them JSON, half of them bytes.
"""

import json
import os
import pickle
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import DAY, KEY, ORDER_ID, PRODUCT
from scripted_server import Do, ScriptedServer, reply
from thorough import tries

from giftlib.api import Client, GiftlibError, OrderOutcomeUnknownError
from giftlib.polling import find_order

FUZZ_CASES = int(os.environ.get("GIFTLIB_FUZZ_CASES", tries(120, 500)))
NAMES = st.sampled_from(
    ["success", "data", "error", "code", "message", "details", "requestId", "items", "pagination", "totalPages",
     "totalResults", "categories", "products", "types", "id", "_id", "title", "enabled", "price", "quantity",
     "balance", "apiKey", "key", "type", "allowedips", "orderId", "status", "fulfilled_quantity", "fulfilled_amount",
     "price_per_card", "cards", "value", "serial", "product", "time", "amount", "oldBalance"]
)  # fmt: skip
ODDITIES = ["HANDLING", "FULFILLED", "PARTIALLY_FILLED", "REFUNDED", ORDER_ID, "\ud800", "\x00", "NaN", "sNaN", "1_0",
            "9" * 31, "2025-10-29T01:00:00.000Z", "9999-12-31T23:59:59-14:00", 10**40, -1, 0, 2, 1e308]  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(ODDITIES),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=8),
    max_leaves=12,
)
BODIES = st.one_of(
    JSON,
    st.builds(lambda data: {"success": True, "data": data}, st.dictionaries(NAMES, JSON, max_size=6)),
    st.builds(
        lambda data: {"data": data | {"_id": ORDER_ID, "status": "FULFILLED"}}, st.dictionaries(NAMES, JSON, max_size=6)
    ),
).map(json.dumps)


LOST_ORDER = OrderOutcomeUnknownError(PRODUCT, "type_001", 2, DAY, DAY + timedelta(seconds=15))
CALLS = {
    "validate": Client.validate,
    "balance": Client.balance,
    "transactions": Client.transactions,
    "catalog": Client.catalog,
    "check_product": lambda client: client.check_product(PRODUCT),
    "place_order": lambda client: client.place_order(PRODUCT, "type_001", 1),
    "check_order_status": lambda client: client.check_order_status(ORDER_ID),
    "list_orders": Client.list_orders,
    "find_order": lambda client: find_order(LOST_ORDER, client=client),
}


fuzzed = settings(max_examples=max(FUZZ_CASES // 2, 1), suppress_health_check=list(HealthCheck), database=None)


@pytest.fixture(scope="module")
def fuzzed_client():
    """One server for all cases, and a connection that lives as long as the cases let it."""
    with ScriptedServer(b"") as server:
        yield Client(KEY, server.url, allow_production=True, request_timeout=2), server


def only_giftlib_errors(fuzzed_client, call, response):
    client, server = fuzzed_client
    server.replies, client._validated = [response], None
    try:
        result = CALLS[call](client)
    except GiftlibError as error:
        str(error).encode()
        return
    repr(result).encode()
    for order in {"check_order_status": lambda: [result], "list_orders": lambda: result}.get(call, list)():
        (repr(order) + repr(order.problems)).encode()
        assert order.is_final in (True, False) and pickle.dumps(order)
        assert not any(isinstance(field, float) for field in (*order.values(), order.refunded_amount))


@fuzzed
@given(call=st.sampled_from(list(CALLS)), body=BODIES, status=st.sampled_from([200, 200, 200, 400, 403, 429, 503]))
def test_any_json(fuzzed_client, call, body, status):
    """Any JSON is read, or raises an error of giftlib."""
    only_giftlib_errors(fuzzed_client, call, reply(body, status=status))


@fuzzed
@given(
    call=st.sampled_from(list(CALLS)),
    raw=st.binary(max_size=300),
    head=st.sampled_from([None, b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]),
)
def test_any_bytes(fuzzed_client, call, raw, head):
    """Any bytes, as a body (head None), after a head or for a head, are read or raise an error of giftlib."""
    only_giftlib_errors(fuzzed_client, call, reply(raw) if head is None else [head + raw, Do.CLOSE])
