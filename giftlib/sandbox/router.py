"""The API as HTTP without sockets: a request in, a response out."""

from urllib.parse import unquote

from giftlib.clock import Timestamp

from .auth import Key
from .backend import Backend
from .endpoints import Call, Endpoints
from .orders import unix_ms
from .responses import Envelope, ErrorResponse, Request, Response, Result, bare_error
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
_HYPHENATED = {"checkProduct": "check-product", "placeOrder": "place-order", "checkOrder": "check-order"}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "content-type, x-access-token",
}
_JSON = "application/json"
_NO_KEY = Key("")


class Router:
    """Responds to requests, at the times given."""

    def __init__(self, backend: Backend) -> None:
        self.envelope = Envelope(backend.settings)
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
            status, headers = (405, {"Allow": f"{method}, OPTIONS"}) if known else (404, {})
            return bare_error(status, f"Route {request.method}:{request.path} not found", headers)
        media_type = request.headers.get("Content-Type", _JSON).partition(";")[0].strip().lower()
        if method == "POST" and settings.content_type == "JSON" and media_type != _JSON:
            return bare_error(415, f"Unsupported Media Type: {media_type}", code="FST_ERR_CTP_INVALID_MEDIA_TYPE")
        if len(request.body) > MOST_BYTES:
            return bare_error(413, "Request body is too large")
        try:
            key = _NO_KEY if endpoint == "ping" else self._authenticator.admit(request, now.monotonic)
        except ErrorResponse as error:
            return self.envelope.error(error, request)
        return Call(endpoint, item_id, key, request, now)

    def carry_out(self, call: Call) -> Response:
        """Give the endpoint's response to a call."""
        try:
            result: Result = getattr(self._endpoints, call.endpoint)(call)
        except ErrorResponse as error:
            return self.envelope.error(error, call.request)
        return self.envelope.success(call.endpoint, result, call.request, unix_ms(call.now.utc))

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
    return {path.replace(name, _HYPHENATED.get(name, name)): (method, name) for path, (method, name) in _ROUTES.items()}
