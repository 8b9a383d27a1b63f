"""Requests and responses as values, and how the API words its responses: envelopes, bare errors, exact numbers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from .faults import Fault
from .orders import iso
from .settings import Settings
from .validators import EXACT

_CODES = {
    400: "ERR_VALIDATION",
    401: "INVALID_ACCESS_TOKEN",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    413: "PAYLOAD_TOO_LARGE",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
_WITHOUT_TIMESTAMP = ("validate", "checkOrder")
_WITH_REQUEST_ID = ("placeOrder", "checkProduct")
"""Endpoints whose documented samples have no `meta.timestamp`, or have a `requestId`."""
_write_plain = json.JSONEncoder().encode


@dataclass
class Request:
    """What arrived: `id` names it in responses, `address` is the client's."""

    id: str
    address: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Response:
    """What is sent back; a number as body is so many bytes, `order_id` the order that the request placed."""

    status: int
    body: bytes | int
    headers: dict[str, str] = field(default_factory=dict)
    order_id: str | None = None

    @property
    def size(self) -> int:
        """Bytes in the body."""
        return self.body if isinstance(self.body, int) else len(self.body)


@dataclass
class Result:
    """What an endpoint returns: data, the catalogue's totals, the id of an order that was placed."""

    data: dict[str, Any]
    totals: dict[str, int] = field(default_factory=dict)
    order_id: str | None = None


@dataclass(eq=False)
class ErrorResponse(Exception):
    """An error that the API responds with in its envelope."""

    status: int
    code: str
    message: str
    details: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def write_json(value: Any) -> str:
    """Write JSON with every Decimal as an exact number, without needless zeros."""
    if isinstance(value, dict):
        return "{" + ",".join([f"{_write_plain(key)}:{write_json(item)}" for key, item in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([write_json(item) for item in value]) + "]"
    if isinstance(value, Decimal):
        return format(EXACT.normalize(value), "f")
    return _write_plain(value)


def json_response(status: int, content: Any, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    """Make a response with a JSON body."""
    headers = {"Content-Type": "application/json; charset=utf-8", **headers}
    return Response(status, write_json(content).encode(), headers)


class Envelope:
    """Words successes and errors as the settings say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def success(self, endpoint: str, result: Result, request: Request, now_ms: int) -> Response:
        """Make the 200 of an endpoint; the totals are beside `data` or in `meta`."""
        id_in, totals_in = self._settings.request_id_in, self._settings.catalog_totals_in
        content: dict[str, Any] = {
            "success": True,
            **(result.totals if totals_in == "top" else {}),
            "data": result.data,
        }
        if endpoint not in _WITHOUT_TIMESTAMP:
            content["meta"] = {**(result.totals if totals_in == "meta" else {}), "timestamp": iso(now_ms)}
        if id_in == "always" or (id_in == "documented" and endpoint in _WITH_REQUEST_ID):
            content["requestId"] = request.id
        response = json_response(200, content)
        response.order_id = result.order_id
        return response

    def error(self, error: ErrorResponse, request: Request) -> Response:
        """Make an error as the API itself words it."""
        inner = {"code": error.code.replace("_", self._settings.code_separator), "message": error.message}
        if error.details is not None:
            inner["details"] = error.details
        beside = {"message": error.message} if self._settings.message_at == "top" else {}
        content = {"success": False, "error": inner, **beside, "requestId": request.id}
        return json_response(error.status, content, error.headers)

    def of_fault(self, fault: Fault, request: Request) -> Response | None:
        """Make the error that replaces the endpoint's response, if the fault has a status."""
        if fault.status is None:
            return None
        status, text = fault.status, reason(fault.status)
        if fault.body == "router":
            return bare_error(status, text)
        if fault.body == "html":
            page = f"<html><head><title>{status} {text}</title></head><body><h1>{text}</h1></body></html>"
            return Response(status, page.encode(), {"Content-Type": "text/html"})
        if fault.body == "empty":
            return Response(status, b"")
        return self.error(ErrorResponse(status, fault.code or _CODES.get(status, f"HTTP_{status}"), text), request)


def bare_error(
    status: int, message: str, headers: Mapping[str, str] = MappingProxyType({}), code: str | None = None
) -> Response:
    """Make an error as the router in front of the API words it."""
    content = {"message": message, "error": reason(status), "statusCode": status}
    return json_response(status, content | ({} if code is None else {"code": code}), headers)


def apply_fault(response: Response, fault: Fault) -> None:
    """Give a response the headers and the body that the fault has for it."""
    response.headers.update(fault.headers)
    if isinstance(fault.body, bytes | int):
        response.body = fault.body
    elif isinstance(response.body, bytes) and fault.alter:
        content = json.loads(response.body, parse_float=Decimal)
        part = "data" if "data" in content else "error"
        response.body = write_json(content | {part: fault.alter(content[part])}).encode()
    elif isinstance(response.body, bytes) and fault.body == "truncated":
        response.body = response.body[: len(response.body) // 2]
    elif isinstance(response.body, bytes) and fault.body == "garbled":
        response.body = response.body.replace(b':"', b':"\xff')


def request_id(number: int, now: datetime, style: str) -> str:
    """Give the id of the `number`-th request, in one of the two styles seen."""
    if style == "req_time_number":
        return f"req_{int(now.timestamp())}_{number:06x}"
    letters = ""
    while number:
        number, digit = divmod(number, 36)
        letters = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + letters
    return f"req-{letters}"


def reason(status: int) -> str:
    """Give the phrase that belongs to a status."""
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
