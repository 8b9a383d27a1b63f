"""The API's HTTP face without sockets: a request in, an answer out."""

from typing import NamedTuple
from urllib.parse import unquote

from giftlib.clock import Timestamp

from .auth import Key
from .backend import World
from .endpoints import Call, Endpoints
from .responses import Answer, Envelope, Refusal, Request, bare_error
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


class Reached(NamedTuple):
    """The endpoint that a request has reached, the key it has passed with (None where none is asked for), the id."""

    endpoint: str
    key: Key | None
    item_id: str


class Api:
    """Requests in, answers out, at the moments given."""

    def __init__(self, world: World) -> None:
        self.envelope = Envelope(world.settings)
        self._endpoints = Endpoints(world, self.envelope)
        self._gate = world.gate
        self._routes = routes(world.settings)

    def admit(self, request: Request, now: Timestamp) -> Answer | Reached:
        """What a request has reached, or the answer to one that reaches nothing."""
        if request.method == "OPTIONS":
            return Answer(204, b"", dict(_PREFLIGHT))
        method, endpoint, item_id = self._route(request.path)
        if request.method != method:
            status, headers = (405, {"Allow": f"{method}, OPTIONS"}) if method else (404, {})
            return bare_error(status, f"Route {request.method}:{request.path} not found", headers)
        if len(request.body) > MOST_BYTES:
            return bare_error(413, "Request body is too large")
        if endpoint == "ping":
            return Reached(endpoint, None, "")
        try:
            return Reached(endpoint, self._gate.admit(request, now.monotonic), item_id)
        except Refusal as refusal:
            return self.envelope.error(refusal, request)

    def carry_out(self, reached: Reached, request: Request, now: Timestamp) -> Answer:
        """The endpoint's answer to a request that was let through."""
        if reached.key is None:
            return self._endpoints.ping(request, now)
        try:
            answer: Answer = getattr(self._endpoints, reached.endpoint)(
                Call(request, reached.key, reached.item_id, now)
            )
            return answer
        except Refusal as refusal:
            return self.envelope.error(refusal, request)

    def _route(self, path: str) -> tuple[str, str, str]:
        """The method, the endpoint and the id in a path; empty if there is nothing there."""
        head, slash, tail = path.rpartition("/")
        if path in self._routes and tail:
            return *self._routes[path], ""
        if head + slash in self._routes and tail:
            return *self._routes[head + slash], unquote(tail)
        return "", "", ""


def routes(settings: Settings) -> dict[str, tuple[str, str]]:
    """Method and endpoint by path; one that ends in a slash is followed by an id."""
    if settings.path_style == "camelCase":
        return _ROUTES
    return {path.replace(name, _HYPHENATED.get(name, name)): (method, name) for path, (method, name) in _ROUTES.items()}
