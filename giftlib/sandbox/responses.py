"""How the API words its answers: envelopes, bare errors, exact numbers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from .faults import Fault
from .orders import iso
from .settings import Settings

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
_write_plain = json.JSONEncoder().encode
_JSON = {"Content-Type": "application/json; charset=utf-8"}


@dataclass
class Request:
    """What arrived: `id` names it in answers, `address` is the client's."""

    id: str
    address: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Answer:
    """What goes back; a number as body is so many bytes, `order_id` the order that the request placed."""

    status: int
    body: bytes | int
    headers: dict[str, str] = field(default_factory=dict)
    order_id: str | None = None


def own_host(request: Request) -> str | None:
    """The host and port that the request was sent to, if they can be this machine's: a number or localhost.

    A name could be that of another site, which has it lead here to speak to this machine through somebody's browser.
    """
    given = request.headers.get("Host") or ""
    name = urlsplit(f"//{given}")
    try:
        if name.hostname != "localhost":
            ip_address(name.hostname or "")
        return given if name.netloc == given and (name.port is None or name.port > 0) and "@" not in given else None
    except ValueError:
        return None


class Refusal(Exception):
    """An error in the API's envelope."""

    def __init__(
        self, status: int, code: str, message: str, details: Any = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details, self.headers = status, code, message, details, headers


def write_json(value: Any) -> str:
    """JSON with every Decimal as an exact number, without needless zeros."""
    if isinstance(value, dict):
        return "{" + ",".join([f"{_write_plain(key)}:{write_json(item)}" for key, item in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([write_json(item) for item in value]) + "]"
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return _write_plain(value)


class Envelope:
    """How the API words successes and errors under the settings given."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def success(
        self,
        data: dict[str, Any],
        request: Request,
        *,
        now_ms: int | None = None,
        totals: Mapping[str, int] | None = None,
        meta: Mapping[str, int] | None = None,
        tells_id: bool = False,
    ) -> Answer:
        """A 200: `totals` stand beside `data`, `meta` and `now_ms` in `meta`; `tells_id` if the documentation's sample
        has a request id."""
        content: dict[str, Any] = {"success": True, **(totals or {}), "data": data}
        if now_ms is not None:
            content["meta"] = {**(meta or {}), "timestamp": iso(now_ms)}
        if self._settings.request_id_in == "always" or (tells_id and self._settings.request_id_in == "documented"):
            content["requestId"] = request.id
        return _json(200, content)

    def error(self, refusal: Refusal, request: Request) -> Answer:
        """An error as the API itself answers it."""
        error = {"code": refusal.code.replace("_", self._settings.code_separator), "message": refusal.message}
        if refusal.details is not None:
            error["details"] = refusal.details
        beside = {"message": refusal.message} if self._settings.message_at == "top" else {}
        content = {"success": False, "error": error, **beside, "requestId": request.id}
        return _json(refusal.status, content, refusal.headers)

    def faulty(self, fault: Fault, request: Request) -> Answer:
        """The error that a fault with a status puts in the place of the endpoint's answer."""
        if fault.status is None:
            raise ValueError(f"fault must have a status, got {fault!r}")
        status, text = fault.status, reason(fault.status)
        if fault.body == "router":
            return bare_error(status, text)
        if fault.body == "html":
            page = f"<html><head><title>{status} {text}</title></head><body><h1>{text}</h1></body></html>"
            return Answer(status, page.encode(), {"Content-Type": "text/html"})
        if fault.body == "empty":
            return Answer(status, b"")
        return self.error(Refusal(status, fault.code or _CODES.get(status, f"HTTP_{status}"), text), request)


def bare_error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An error as the router before the API answers it."""
    return _json(status, {"message": message, "error": reason(status), "statusCode": status}, headers)


def spoil(answer: Answer, fault: Fault) -> None:
    """Give an answer the headers and the body that the fault has for it."""
    answer.headers.update(fault.headers)
    if isinstance(fault.body, bytes | int):
        answer.body = fault.body
    elif isinstance(answer.body, int):
        raise ValueError(f"answer must have its bytes to be spoilt, got {answer.body} of them")
    elif fault.alter:
        content = json.loads(answer.body, parse_float=Decimal)
        part = "data" if "data" in content else "error"
        answer.body = write_json(content | {part: fault.alter(content[part])}).encode()
    elif fault.body == "truncated":
        answer.body = answer.body[: len(answer.body) // 2]
    elif fault.body == "garbled":
        answer.body = answer.body.replace(b':"', b':"\xff')


def request_id(number: int, now: datetime, style: str) -> str:
    """The id of the `number`-th request, in one of the two styles seen."""
    if style == "req_time_number":
        return f"req_{int(now.timestamp())}_{number:06x}"
    letters = ""
    while number:
        number, digit = divmod(number, 36)
        letters = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + letters
    return f"req-{letters}"


def body_size(body: bytes | int) -> int:
    """Bytes in a body."""
    return body if isinstance(body, int) else len(body)


def reason(status: int) -> str:
    """The phrase that goes with a status."""
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"


def finished_headers(answer: Answer, request: Request) -> dict[str, str]:
    """All headers of an answer: a page of any origin may read it, and it has an id."""
    own = {"Access-Control-Allow-Origin": "*", "X-Request-Id": request.id}
    if answer.status not in (204, 304):
        own["Content-Length"] = str(body_size(answer.body))
    return {**own, **answer.headers}


def _json(status: int, content: dict[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, write_json(content).encode(), {**_JSON, **(headers or {})})
