"""An order request is sent once, and its error says whether an order may have been placed."""

import pytest
from samples import DAY, KEY, ORDER_ID, PRODUCT, SANDBOX_KEY
from scripted_server import Do, reply, success

from giftlib.api import (
    ApiError,
    AuthenticationError,
    Client,
    GiftlibError,
    InvalidRequestError,
    NoAnswerError,
    NotFoundError,
    OrderOutcomeUnknownError,
    OrderRequest,
    ProductionKeyError,
    ServerError,
)
from giftlib.clock import SimulatedClock

REJECTIONS = [(status, code) for status in (400, 401, 403, 429) for code in (None, "NO_BALANCE", "OUT_OF_STOCK")]


@pytest.mark.parametrize(("status", "code"), [*REJECTIONS, (404, "OUT-OF-STOCK"), (422, "NO_BALANCE")])
def test_rejected_order(server, client, status, code):
    """A rejected order request raises the API's error and is sent once."""
    server.replies = [reply({"success": False, "error": {"code": code}}, status=status, Retry_After="0")]
    with pytest.raises(ApiError) as caught:
        client.place_order(PRODUCT, "type_001", 1)
    assert caught.value.status == status and len(server.requests) == 1


LOST = {
    "404": (reply(status=404), NotFoundError),
    "409": (reply({"success": False, "error": {"code": "DUPLICATED-REF"}}, status=409), InvalidRequestError),
    "500": (reply(status=500), ServerError),
    "502 in HTML": (reply("<html>", status=502), ServerError),
    "503 to try again": (reply(status=503, Retry_After="0"), ServerError),
    "504": (reply({"success": False, "error": {"code": "X"}}, status=504), ServerError),
    "no order id": (success({}), NoAnswerError),
    "null order id": (success({"orderId": None}), NoAnswerError),
    "order id as a number": (success({"orderId": 5}), NoAnswerError),
    "order id that is a path": (success({"orderId": "../validate"}), NoAnswerError),
    "arabic guide": (success({"orderRef": ORDER_ID}), NoAnswerError),
    "not JSON": (reply("fine"), NoAnswerError),
    "reset": ([Do.RESET], NoAnswerError),
}


@pytest.mark.parametrize(("response", "cause"), LOST.values(), ids=LOST)
def test_lost_response(server, response, cause):
    """If the response is lost, the error says what was ordered and when, and nothing is sent again."""
    server.replies = [response]
    clock = SimulatedClock(DAY)
    client = Client(KEY, server.url, clock=clock, allow_production=True)
    with pytest.raises(OrderOutcomeUnknownError, match="Do not send it again") as caught:
        client.place_order(PRODUCT, "type_001", 2)
    lost = caught.value
    assert (lost.product_id, lost.type_id, lost.quantity) == (PRODUCT, "type_001", 2)
    assert lost.sent_at == lost.gave_up_at == DAY
    assert type(lost.__cause__) is cause
    assert len(server.requests) == 1


def test_stale_connection(server, client):
    """A connection that the server has closed does not make the client send an order twice."""
    server.replies = [[success({"balance": 1})], [Do.CLOSE], success({"orderId": ORDER_ID})]
    client.balance()
    with pytest.raises(OrderOutcomeUnknownError):
        client.place_order(PRODUCT, "type_001", 1)
    assert [request.method for request in server.requests] == ["GET", "POST"]


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 Processing\r\nX: 1\r\n\r\n", b"HTTP/1.1 199 \r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nContent-Length: 5\r\n\r\n",
    ],
)  # fmt: skip
def test_interim_response(server, client, interim, times):
    """The response to an order is read after all interim ones (RFC 9110, 15.2)."""
    server.replies = [[interim] * times + [Do.PAUSE, success({"orderId": "first"})], success({"balance": 7})]
    assert client.place_order(PRODUCT, "type_001", 1) == "first"
    assert client.balance() == 7


def test_other_protocol(server, client):
    """What follows 101, for which nobody asked, is not taken for the response to the next order."""
    interim = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
    server.replies = [[interim, Do.PAUSE, success({"orderId": "first"})], success({"orderId": "second"})]
    with pytest.raises(OrderOutcomeUnknownError):
        client.place_order(PRODUCT, "type_001", 1)
    assert client.place_order(PRODUCT, "type_001", 1) == "second"


def test_second_response(server, client):
    """A second response to an earlier request is not taken for the response to an order."""
    responses = [success({"balance": 1}), success({"orderId": "stale"})]
    server.replies = [responses, success({"orderId": "mine"})]
    client.balance()
    assert client.place_order(PRODUCT, "type_001", 1) == "mine"


@pytest.mark.parametrize("code", ["OUT_OF_STOCK", "INSUFFICIENT_BALANCE"])
@pytest.mark.parametrize("status", [200, 500, 504])
def test_rejection_code_without_4xx(server, client, status, code):
    """Only an error response 4xx proves that nothing was ordered, whatever code another response has."""
    server.replies = [reply({"success": False, "error": {"code": code}, "data": {"orderId": "x"}}, status=status)]
    with pytest.raises(OrderOutcomeUnknownError):
        client.place_order(PRODUCT, "type_001", 1)


def test_rejected_key(server, client):
    """A 401 is an AuthenticationError, whatever else the response says."""
    server.replies = [reply({"success": False, "error": {"code": "OUT_OF_STOCK"}}, status=401)]
    with pytest.raises(AuthenticationError):
        client.place_order(PRODUCT, "type_001", 1)


@pytest.mark.parametrize("key_type", ["PRODUCTION", "sandbox", "SANDBOX2", "", None, True, ["SANDBOX"]])
def test_production_key(server, key_type):
    """Without a sandbox key no order is sent, unless allow_production is True."""
    server.replies = [success({"apiKey": {"type": key_type}}), success({"orderId": ORDER_ID})]
    with pytest.raises(ProductionKeyError, match="allow_production=True"):
        Client(KEY, server.url).place_order(PRODUCT, "type_001", 1)
    assert [request.method for request in server.requests] == ["GET"]
    assert Client(KEY, server.url, allow_production=True).place_order(PRODUCT, "type_001", 1) == ORDER_ID


@pytest.mark.parametrize("response", [reply(status=401), reply(status=500), reply("?"), [Do.CLOSE]])
def test_unknown_key_type(server, response):
    """No order is sent while the API does not say what type of key it is."""
    server.replies = [response]
    with pytest.raises(GiftlibError) as caught:
        Client(KEY, server.url).place_order(PRODUCT, "type_001", 1)
    assert not isinstance(caught.value, OrderOutcomeUnknownError)
    assert [request.method for request in server.requests] == ["GET"]


def test_sandbox_key(server):
    """The type of a sandbox key is requested once, then orders are sent."""
    server.replies = [SANDBOX_KEY, success({"orderId": "a"}), success({"orderId": "b"})]
    client = Client(KEY, server.url)
    assert [client.place_order(PRODUCT, "type_001", 1) for _ in range(2)] == ["a", "b"]
    assert [request.method for request in server.requests] == ["GET", "POST", "POST"]


@pytest.mark.parametrize("too_late_s", [0.001, 3600])
def test_not_after(server, client, too_late_s):
    """An order request leaves only while there is time for it, also in a process that was suspended."""
    until = client.clock.monotonic() + client.request_timeout
    server.replies = [success({"orderId": ORDER_ID})]
    assert client.place(OrderRequest(PRODUCT, "type_001", 1), not_after=until + 60) == ORDER_ID
    with pytest.raises(NoAnswerError, match="not sent") as caught:
        client.place(OrderRequest(PRODUCT, "type_001", 1), not_after=until - too_late_s)
    assert not caught.value.sent and len(server.requests) == 1
