"""What a browser and a generator of clients see: an index page and an OpenAPI description."""

import json
import re
import shlex
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from math import inf
from typing import Any

from .account import SAMPLE_ORDER
from .admin import PREFIX, Admin, own_host
from .catalog import SAMPLE_PRODUCT, Catalog
from .emulator import Emulator
from .endpoints import LARGEST_PAGE
from .responses import Request, Response
from .router import routes
from .settings import MEANINGS, Settings

_PAGE = "index.html.jinja"
_ITEMS = {"checkOrder": "{orderId}", "checkProduct": "{productId}"}


class Pages:
    """The pages of one sandbox, and its control address if it has one."""

    def __init__(self, emulator: Emulator, url: str, admin: Admin | None) -> None:
        self._emulator = emulator
        self._url = url
        self._admin = admin

    def respond(self, request: Request) -> Response | None:
        """Respond to a request that is not one of the API; None to any other."""
        if self._admin and request.path.startswith(PREFIX):
            return self._admin.respond(request)
        if request.method not in ("GET", "HEAD"):
            return None
        if request.path == "/":
            host = own_host(request)
            page = _template(_PAGE).render(self._content(f"http://{host}" if host else self._url))
            headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _policy()}
        elif request.path == "/openapi.json":
            page = json.dumps(describe(self._emulator.settings))
            # It holds no key, and a viewer of descriptions comes from another site.
            headers = {"Content-Type": "application/json", "Access-Control-Allow-Origin": "*"}
        else:
            return None
        return Response(200, page.encode(errors="replace"), {"Cache-Control": "no-store", **headers})

    def _content(self, url: str) -> dict[str, Any]:
        settings, orders = self._emulator.settings, self._emulator.latest_orders()
        latest_order = orders[0]["id"] if orders else SAMPLE_ORDER
        return {
            "url": url,
            "keys": self._emulator.keys,
            "settings": settings,
            "changes": [(name, json.dumps(value), MEANINGS[name]) for name, value in settings.to_json().items()],
            "orders": orders,
            "has_admin": self._admin is not None,
            "routes": routes(settings),
            "items": {
                "checkProduct": next(iter(Catalog(1).products)),
                "checkOrder": SAMPLE_ORDER if settings.sample_order else latest_order,
            },
            "sample_product": SAMPLE_PRODUCT,
            "curl": _curl,
            "infinity": inf,
        }


def describe(settings: Settings) -> dict[str, Any]:
    """Give the OpenAPI 3.1 document of a sandbox with these settings: what it accepts, and every response it can give.

    Its server is where the document comes from.
    """
    rendered = _template("openapi.json.jinja").render(
        settings=settings,
        paths={path + _ITEMS.get(name, ""): name for path, (_, name) in routes(settings).items()},
        largest_page=LARGEST_PAGE,
        sample_order=SAMPLE_ORDER,
        sample_product=SAMPLE_PRODUCT,
    )
    document: dict[str, Any] = json.loads(rendered, object_hook=_complete)
    return document


def _complete(part: dict[str, Any]) -> dict[str, Any]:
    """Say that an object schema requires all its properties and allows no others, unless it says otherwise."""
    if part.get("type") == "object":
        return {"required": list(part["properties"]), "additionalProperties": False, **part}
    return part


def _source(name: str) -> str:
    return files("giftlib.sandbox").joinpath(name).read_text(encoding="utf-8")


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, StrictUndefined  # only who opens the page or the description needs it

    html = name == _PAGE
    environment = Environment(autoescape=html, trim_blocks=html, lstrip_blocks=html, undefined=StrictUndefined)
    return environment.from_string(_source(name))


@cache
def _policy() -> str:
    """Allow the page's styles and its script by their hashes, and little else."""
    policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'; "
    policy += "img-src data:"
    for tag in ("style", "script"):
        [content] = re.findall(f"<{tag}>(.*?)</{tag}>", _source(_PAGE), re.DOTALL)
        policy += f"; {tag}-src 'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
    return policy


def _curl(url: str, body: dict[str, Any] | None = None, api_key: str = "") -> str:
    """Give the shell command for a request."""
    words = ["curl", url]
    words += ["-H", f"X-Access-Token: {api_key}"] if api_key else []
    words += [] if body is None else ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return shlex.join(words)
