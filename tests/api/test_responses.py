"""What the client reads from a response besides its data: error texts, Retry-After, the request id, odd JSON."""

import time

import pytest
from samples import DAY, KEY, ORDER_ID, order_row
from scripted_server import reply, success

from giftlib.api import Client, NoAnswerError, NotFoundError, RateLimitError, ServerError
from giftlib.clock import SimulatedClock


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "Route GET:/x not found", "error": "Not Found", "statusCode": 404}, "Route GET:/x not found"),
        ({"success": False, "message": "Product out of stock"}, "Product out of stock"),
        ({"success": False, "error": None}, "no explanation given"),
        ({"success": False, "error": {"message": ["a"]}}, "no explanation given"),
        ("<html><h1>Not Found</h1>", "no explanation given"),
        (b"\xff\xfe", "no explanation given"),
        (b"", "no explanation given"),
        ([], "no explanation given"),
        ({"success": True, "data": {"balance": 5}}, "no explanation given"),
    ],
    ids=["router", "top-level message", "null error", "list message", "HTML", "not text", "empty", "list", "success"],
)
def test_error_without_envelope(server, client, body, message):
    """An error response without the usual envelope is named by its status and the header's request id."""
    server.replies = [reply(body, status=404, X_Request_Id="req-hdr")]
    with pytest.raises(NotFoundError) as caught:
        client.balance()
    assert caught.value.request_id == "req-hdr" and caught.value.code == "NOT_FOUND"
    assert str(caught.value) == f"GET /v3/account/balance: 404 NOT_FOUND: {message} (request req-hdr)"


NOW = "Wed, 29 Oct 2025 01:00:00 GMT"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("5", 5), ("0", 0), ("3600", 3600), (" 7 ", 7), ("1.5", 1.5),
        ("Wed, 29 Oct 2025 01:01:30 GMT", 90), ("Wed, 29 Oct 2025 02:01:30 +0100", 90),
        ("Wednesday, 29-Oct-25 01:01:30 GMT", 90), ("Wed Oct 29 01:01:30 2025", 90),
        ("Wed, 29 Oct 2025 00:00:00 GMT", 0),
        ("-1", None), ("soon", None), ("NaN", None), ("inf", None), ("1e9", None), ("", None), ("²", None),
        ("99999999999", 99999999999), ("9" * 400, float("9" * 200)), ("5;q=1", None),
        ("Wed, 99 Oct 2025 01:01:30 GMT", None), ("Wed, 29 Oct 99999 01:01:30 GMT", None),
        ("30, 30", 30), ("5,7", 7), ("7, soon", 7), ("5, Wed, 29 Oct 2025 01:01:30 GMT", 90),
        ("Wed, 29 Oct 2025 01:01:30 GMT, Wed, 29 Oct 2025 01:00:05 GMT", 90),
    ],
)  # fmt: skip
def test_retry_after(server, client, monkeypatch, header, seconds):
    """Retry-After is read as seconds or as a date, and ignored where it makes no sense."""
    monkeypatch.setenv("TZ", "Etc/GMT-9")
    time.tzset()
    server.replies = [reply(status=429, Retry_After=header, Date=NOW)]
    try:
        with pytest.raises(RateLimitError) as caught:
            client.balance()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert caught.value.retry_after == seconds


def test_retry_after_without_date(server):
    """A Retry-After date counts from the client's clock if the response has no Date."""
    client = Client(KEY, server.url, clock=SimulatedClock(DAY))
    server.replies = [reply(status=503, Retry_After="Wed, 29 Oct 2025 01:01:30 GMT")]
    with pytest.raises(ServerError) as caught:
        client.balance()
    assert caught.value.retry_after == 90


@pytest.mark.parametrize(
    ("response", "request_id"),
    [
        (success(order_row(), requestId="req-fpg"), "req-fpg"),
        (reply({"data": order_row()}, X_Request_Id="req-hdr"), "req-hdr"),
        (success(order_row(), requestId=7), None),
    ],
)
def test_request_id(server, client, response, request_id):
    """The request id comes from the body, or from the header."""
    server.replies = [response]
    assert client.check_order_status(ORDER_ID).request_id == request_id


@pytest.mark.parametrize("opening", ['{"a": ', "["])
@pytest.mark.parametrize("depth", [100, 300, 900, 100_000])
def test_deep_nesting(server, client, depth, opening):
    """JSON that is nested deeply is read, or is a NoAnswerError."""
    nested = opening * depth + "1" + ("]" if opening == "[" else "}") * depth
    server.replies = [reply('{"success": true, "data": {"balance": 5, "x": %s}}' % nested)]
    try:
        assert client.balance() == 5
    except NoAnswerError:
        assert depth > 200


def test_too_many_rows(server, client):
    """A page of more than 10,000 rows is a NoAnswerError."""
    server.replies = [success({"items": [{}] * 20_000, "pagination": {"totalPages": 1}})]
    with pytest.raises(NoAnswerError, match="more than 10000 items"):
        client.list_orders()
