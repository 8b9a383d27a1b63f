"""The API as HTTP without sockets: a request in, a response out, worded as the settings say."""

import re
from typing import Any
from urllib.parse import unquote

from giftlib.clock import Timestamp

from .auth import Key
from .backend import Backend
from .endpoints import Call, Endpoints
from .faults import Fault
from .messages import ErrorResponse, Request, Response, bare_error, json_response, reason
from .orders import iso, unix_ms
from .settings import Settings

MOST_BYTES = 2**20
"""The largest body that is read. Chosen: the default of Fastify, whose error bodies the API shows."""

_ROUTES = {
    "/v3/ping": ("GET", "ping"),
    "/v3/validate": ("GET", "validate"),
    "/v3/gift-cards/catalog": ("GET", "catalog"),
    "/v3/gift-cards/checkProduct/": ("GET", "checkProduct"),
    "/v3/gift-cards/placeOrder": ("POST", "placeOrder"),
    "/v3/gift-cards/checkOrder/": ("GET", "checkOrder"),
    "/v3/gift-cards/list": ("GET", "list"),
    "/v3/account/balance": ("GET", "balance"),
    "/v3/account/transactions": ("GET", "transactions"),
}
_WITHOUT_TIMESTAMP = ("validate", "checkOrder")
_WITH_REQUEST_ID = ("placeOrder", "checkProduct")
"""Endpoints whose documented samples have no `meta.timestamp`, or have a `requestId`."""
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
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "content-type, x-access-token",
}
_JSON = "application/json"


class Router:
    """Responds to requests, at the times given."""

    def __init__(self, backend: Backend) -> None:
        self._endpoints = Endpoints(backend)
        self._authenticator = backend.authenticator
        self._settings = backend.settings
        self._routes = routes(backend.settings)

    def admit(self, request: Request, now: Timestamp) -> Response | Call:
        """Give the call that a request makes, or the response to one that reaches no endpoint."""
        settings = self._settings
        if request.method == "OPTIONS":
            asked_for = request.headers.get("Access-Control-Request-Headers") or ""
            echoed = {"Access-Control-Allow-Headers": asked_for} if settings.preflight == "echoed" and asked_for else {}
            return Response(204, b"", _PREFLIGHT | echoed)
        method, endpoint, item_id = self._route(request.path)
        as_method = "GET" if request.method == "HEAD" and settings.head == "like GET" else request.method
        if as_method != method:
            known = method and settings.wrong_method == "405"
            response = bare_error(405 if known else 404, f"Route {request.method}:{request.path} not found")
            response.headers |= {"Allow": f"{method}, OPTIONS"} if known else {}
            return response
        media_type = request.headers.get("Content-Type", _JSON).partition(";")[0].strip().lower()
        if method == "POST" and settings.content_type == "JSON" and media_type != _JSON:
            return bare_error(415, f"Unsupported Media Type: {media_type}", code="FST_ERR_CTP_INVALID_MEDIA_TYPE")
        if len(request.body) > MOST_BYTES:
            return bare_error(413, "Request body is too large")
        try:
            key = Key("") if endpoint == "ping" else self._authenticator.admit(request, now.monotonic)
        except ErrorResponse as error:
            return self._rejection(error, request)
        return Call(endpoint, item_id, key, request, now)

    def carry_out(self, call: Call, fault: Fault) -> Response:
        """Give the endpoint's response to a call, or the error that the fault has in its place."""
        if fault.status is not None:
            return self._failure(fault.status, fault, call.request)
        try:
            data: dict[str, Any] = getattr(self._endpoints, call.endpoint)(call)
        except ErrorResponse as error:
            return self._rejection(error, call.request)
        totals, id_in = {}, self._settings.request_id_in
        if call.endpoint == "catalog":
            products = [product for category in data["categories"] for product in category["products"]]
            totals = {"totalCategories": len(data["categories"]), "totalProducts": len(products)}
        at_top = self._settings.catalog_totals_in == "top"
        content = {"success": True, **(totals if at_top else {}), "data": data}
        if call.endpoint not in _WITHOUT_TIMESTAMP:
            content["meta"] = {**({} if at_top else totals), "timestamp": iso(unix_ms(call.now.utc))}
        if id_in == "always" or (id_in == "documented" and call.endpoint in _WITH_REQUEST_ID):
            content["requestId"] = call.request.id
        response = json_response(200, content)
        response.order_id = data.get("orderId")
        return response

    def _rejection(self, error: ErrorResponse, request: Request) -> Response:
        """An error as the API itself words it."""
        inner = {"code": error.code.replace("_", self._settings.code_separator), "message": error.message}
        if error.details is not None:
            inner["details"] = error.details
        beside = {"message": error.message} if self._settings.message_at == "top" else {}
        content = {"success": False, "error": inner, **beside, "requestId": request.id}
        return json_response(error.status, content, error.headers)

    def _failure(self, status: int, fault: Fault, request: Request) -> Response:
        """The error of a fault that has a status."""
        text = reason(status)
        if fault.body == "router":
            return bare_error(status, text)
        if fault.body == "html":
            page = f"<html><head><title>{status} {text}</title></head><body><h1>{text}</h1></body></html>"
            return Response(status, page.encode(), {"Content-Type": "text/html"})
        if fault.body == "empty":
            return Response(status, b"")
        code = fault.code or _CODES.get(status, f"HTTP_{status}")
        return self._rejection(ErrorResponse(status, code, text), request)

    def _route(self, path: str) -> tuple[str, str, str]:
        """The method, the endpoint and the id in a path; empty if there is nothing there."""
        head, slash, tail = path.rpartition("/")
        if self._settings.encoded_paths == "routed":
            head, path = unquote(head), path if f"{head}{slash}" in self._routes else unquote(path)
        if path in self._routes and tail:
            return *self._routes[path], ""
        if head + slash in self._routes and tail:
            return *self._routes[head + slash], unquote(tail)
        return "", "", ""


def routes(settings: Settings) -> dict[str, tuple[str, str]]:
    """Give method and endpoint by path; a path that ends in a slash is followed by an id."""
    if settings.path_style == "camelCase":
        return _ROUTES
    return {re.sub("[A-Z]", lambda capital: f"-{capital[0].lower()}", path): route for path, route in _ROUTES.items()}
