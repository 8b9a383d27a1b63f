"""Each error response has its class, and each error survives a copy."""

import copy
import pickle
from decimal import Decimal

import pytest
from samples import DAY
from scripted_server import reply

from giftlib.api import (
    ApiError,
    NoAnswerError,
    OrderOutcomeUnknownError,
    ProductionKeyError,
    RateLimitError,
    ServerError,
    errors,
)


@pytest.mark.parametrize(
    ("status", "code", "name", "normal"),
    [
        (400, "ERR_VALIDATION", "InvalidRequestError", "ERR_VALIDATION"),
        (401, "MISSING_ACCESS_TOKEN", "AuthenticationError", "MISSING_ACCESS_TOKEN"),
        (401, "INVALID-ACCESS-TOKEN", "AuthenticationError", "INVALID_ACCESS_TOKEN"),
        (401, "err_auth", "AuthenticationError", "ERR_AUTH"),
        (403, "NO_BALANCE", "InsufficientBalanceError", "NO_BALANCE"),
        (403, "NO-BALANCE", "InsufficientBalanceError", "NO_BALANCE"),
        (400, "INSUFFICIENT_BALANCE", "InsufficientBalanceError", "INSUFFICIENT_BALANCE"),
        (403, "insufficient-balance", "InsufficientBalanceError", "INSUFFICIENT_BALANCE"),
        (403, "OUT-OF-STOCK", "OutOfStockError", "OUT_OF_STOCK"),
        (409, "NO_STOCK", "OutOfStockError", "NO_STOCK"),
        (403, "DUPLICATED-REF", "PermissionDeniedError", "DUPLICATED_REF"),
        (403, "IP_BLOCKED", "PermissionDeniedError", "IP_BLOCKED"),
        (403, "IP_NOT_ALLOWED", "PermissionDeniedError", "IP_NOT_ALLOWED"),
        (404, "NOT_FOUND", "NotFoundError", "NOT_FOUND"),
        (404, None, "NotFoundError", "NOT_FOUND"),
        (413, None, "InvalidRequestError", "PAYLOAD_TOO_LARGE"),
        (418, None, "InvalidRequestError", "HTTP_418"),
        (429, "RATE_LIMIT_EXCEEDED", "RateLimitError", "RATE_LIMIT_EXCEEDED"),
        (429, None, "RateLimitError", "RATE_LIMIT_EXCEEDED"),
        (500, None, "ServerError", "INTERNAL_ERROR"),
        (502, "", "ServerError", "HTTP_502"),
        (503, "AUTH_UNAVAILABLE", "ServerError", "AUTH_UNAVAILABLE"),
        (503, 503, "ServerError", "SERVICE_UNAVAILABLE"),
        (524, None, "ServerError", "HTTP_524"),
        (999, None, "ServerError", "HTTP_999"),
        (200, "NO_BALANCE", "InsufficientBalanceError", "NO_BALANCE"),
        (200, "SOMETHING", "ApiError", "SOMETHING"),
        (200, None, "ApiError", "HTTP_200"),
    ],
)
def test_error_class(server, client, status, code, name, normal):
    """An error response raises the class of its code and status, with all that the API says of it."""
    details = {"required": 1000.5, "available": 500}
    error = {"code": code, "message": "because\nof that", "details": details}
    server.replies = [reply({"success": False, "error": error, "requestId": "req-fpg"}, status=status)]
    with pytest.raises(ApiError) as caught:
        client.balance()
    raised = caught.value
    assert type(raised) is getattr(errors, name)
    assert (raised.status, raised.code, raised.request_id, raised.retry_after) == (status, normal, "req-fpg", None)
    assert raised.details == {"required": Decimal("1000.5"), "available": 500}
    assert str(raised) == f"GET /v3/account/balance: {status} {normal}: because of that (request req-fpg)"


@pytest.mark.parametrize(
    "error",
    [
        RateLimitError("m", status=429, code="C", request_id="r", details={"a": 1}, retry_after=5.0),
        NoAnswerError("m", sent=False, status=502),
        errors.PollTimeoutError("id", "HANDLING", 3, 15.0),
        OrderOutcomeUnknownError("p", "t", 2, DAY, DAY),
        ProductionKeyError("m"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_copied_error(error):
    """An error keeps its class, message and attributes in a copy and in another process."""
    for twin in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is type(error) and str(twin) == str(error) and vars(twin) == vars(error)


def test_pickled_deep_error(server, client):
    """An error whose details were nested deeply can be pickled."""
    deep = {"x": 1}
    for _ in range(600):
        deep = {"x": deep}
    server.replies = [reply({"success": False, "error": {"details": deep}}, status=500)]
    with pytest.raises(ServerError) as caught:
        client.balance()
    assert pickle.loads(pickle.dumps(caught.value)).status == 500


def test_poll_timeout_is_timeout():
    """A program that catches Python's TimeoutError catches a wait that ran out of time too."""
    assert issubclass(errors.PollTimeoutError, TimeoutError)
