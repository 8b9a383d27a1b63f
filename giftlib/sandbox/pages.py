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
from .openapi import describe
from .responses import Request, Response
from .router import routes
from .settings import MEANINGS

_DESCRIPTION_HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "Access-Control-Allow-Origin": "*",  # it holds no key, and a viewer of descriptions comes from another site
}


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
            template, headers = _template()
            host = own_host(request)
            page = template.render(self._content(f"http://{host}" if host else self._url))
            return Response(200, page.encode(errors="replace"), dict(headers))
        if request.path == "/openapi.json":
            description = describe(self._emulator.settings)
            return Response(200, json.dumps(description).encode(), dict(_DESCRIPTION_HEADERS))
        return None

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


@cache
def _template() -> tuple[Any, dict[str, str]]:
    """The index page as a template, and its headers; its styles and its script are allowed by their hashes."""
    from jinja2 import Environment  # only who opens the page needs it

    source = files("giftlib.sandbox").joinpath("index.html.jinja").read_text(encoding="utf-8")
    policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'; "
    policy += "img-src data:"
    for tag in ("style", "script"):
        [content] = re.findall(f"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
        policy += f"; {tag}-src 'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
    }
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source), headers


def _curl(url: str, body: dict[str, Any] | None = None, api_key: str = "") -> str:
    """Give the shell command for a request."""
    words = ["curl", url]
    words += ["-H", f"X-Access-Token: {api_key}"] if api_key else []
    words += [] if body is None else ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return shlex.join(words)
