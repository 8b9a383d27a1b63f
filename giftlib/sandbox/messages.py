"""Requests and responses as values, JSON with exact numbers, and what a fault makes of a response."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from http.client import responses
from types import MappingProxyType
from typing import Any

from .faults import Fault
from .validators import EXACT, read_json

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

    @cached_property
    def content(self) -> Any:
        """What the body says as JSON, or as text if it is none that the API reads; None if there is none."""
        with suppress(ValueError):
            return read_json(self.body)
        return self.body.decode("utf-8", "replace") or None


@dataclass
class Response:
    """What is sent back; a number as body is so many bytes, `order_id` the order that the request placed."""

    status: int
    body: bytes | int
    headers: dict[str, str] = field(default_factory=dict)
    order_id: str | None = None

    @property
    def size(self) -> int:
        return self.body if isinstance(self.body, int) else len(self.body)


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
    headers = {"Content-Type": "application/json; charset=utf-8", **headers}
    return Response(status, write_json(content).encode(), headers)


def bare_error(status: int, message: str, **more: str) -> Response:
    """Make an error as the router in front of the API words it."""
    return json_response(status, {"message": message, "error": reason(status), "statusCode": status, **more})


def reason(status: int) -> str:
    return responses.get(status, "Unknown")


def apply_fault(response: Response, fault: Fault) -> None:
    """Give a response the headers and the body that the fault has for it."""
    response.headers.update(fault.headers)
    body = response.body
    if isinstance(fault.body, bytes | int):
        response.body = fault.body
    elif isinstance(body, int):
        return
    elif fault.alter:
        content = json.loads(body, parse_float=Decimal)
        part = "data" if "data" in content else "error"
        response.body = write_json(content | {part: fault.alter(content[part])}).encode()
    elif fault.body == "truncated":
        response.body = body[: len(body) // 2]
    elif fault.body == "garbled":
        response.body = body.replace(b':"', b':"\xff')
