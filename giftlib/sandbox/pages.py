"""What a browser and a generator of clients see: an index page and an OpenAPI description."""

import json
import re
import shlex
from base64 import b64encode
from dataclasses import fields
from functools import cache
from hashlib import sha256
from importlib.resources import files
from math import inf
from typing import Any

from .account import SAMPLE_ORDER, TEST_TYPES
from .admin import PREFIX, Admin, own_host
from .catalog import SAMPLE_PRODUCT, Catalog
from .emulator import Emulator
from .openapi import describe
from .responses import Request, Response
from .router import routes
from .settings import Settings

_ADMIN_BODIES: dict[str, dict[str, Any] | None] = {
    "truth": None,
    "settings": None,
    "requests": None,
    "reset": {},
    "advance": {"seconds": 60},
    "faults": {"endpoint": "checkOrder", "status": 503},
    "orders": {"n": 3, "type_id": "TEST_PARTIAL", "quantity": 4},
    "deposit": {"amount": "1000.00"},
}
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
        emulator, settings = self._emulator, self._emulator.settings
        orders, keys = emulator.latest_orders(), emulator.keys
        meanings = {declared.name: declared.metadata["meaning"] for declared in fields(Settings)}
        admin = {name: _curl(url + PREFIX + name, body) for name, body in _ADMIN_BODIES.items()}
        return {
            "keys": keys,
            "settings": settings,
            "infinity": inf,
            "prices": {name: settings.prices.get(name, settings.test_type_price) for name in TEST_TYPES},
            "calls": _calls(settings, url, keys[0].key, orders[0]["id"] if orders else SAMPLE_ORDER),
            "changes": [(name, json.dumps(value), meanings[name]) for name, value in settings.to_json().items()],
            "admin": admin if self._admin else {},
            "orders": orders,
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


def _calls(settings: Settings, url: str, api_key: str, latest_order: str) -> dict[str, str]:
    """Give a shell command by endpoint."""
    any_product = next(iter(Catalog(1).products))
    items = {"checkProduct": any_product, "checkOrder": SAMPLE_ORDER if settings.sample_order else latest_order}
    more = {"ref": "order-1"} if settings.order_ref == "required" else {"quantity": 4}
    body = {"productId": SAMPLE_PRODUCT, "typeId": "TEST_PARTIAL", **more}
    return {
        name: _curl(
            url + path + items.get(name, ""), body if method == "POST" else None, "" if name == "ping" else api_key
        )
        for path, (method, name) in routes(settings).items()
    }


def _curl(url: str, body: dict[str, Any] | None = None, api_key: str = "") -> str:
    """Give the shell command for a request."""
    words = ["curl", url]
    words += ["-H", f"X-Access-Token: {api_key}"] if api_key else []
    words += [] if body is None else ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return shlex.join(words)
