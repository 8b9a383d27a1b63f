"""What a browser and a generator of clients see: an index page and an OpenAPI description."""

import json
import re
import shlex
from base64 import b64encode
from dataclasses import fields
from hashlib import sha256
from importlib.resources import files
from math import inf
from typing import TYPE_CHECKING, Any

from jinja2 import Environment

from .account import SAMPLE_ORDER
from .admin import PREFIX
from .catalog import SAMPLE_PRODUCT, Catalog
from .openapi import describe
from .responses import Answer, Request, own_host
from .router import routes
from .settings import Settings

if TYPE_CHECKING:
    from .sandbox import Sandbox

_SOURCE = files("giftlib.sandbox").joinpath("index.html.jinja").read_text(encoding="utf-8")
_PAGE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(_SOURCE)
_PRESSES: dict[str, dict[str, Any] | None] = {
    "truth": None,
    "settings": None,
    "requests": None,
    "reset": {},
    "advance": {"seconds": 60},
    "faults": {"endpoint": "checkOrder", "status": 503},
    "orders": {"n": 3, "type_id": "TEST_PARTIAL", "quantity": 4},
    "deposit": {"amount": "1000.00"},
}


def _hash_of(tag: str) -> str:
    """What a policy calls the one element of this name in the page."""
    [content] = re.findall(f"<{tag}>(.*?)</{tag}>", _SOURCE, re.DOTALL)
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


_PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"connect-src 'self'; img-src data:; style-src {_hash_of('style')}; script-src {_hash_of('script')}",
}
_DESCRIPTION_HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "Access-Control-Allow-Origin": "*",  # it holds no key, and a viewer of descriptions comes from elsewhere
}


class Site:
    """The pages of one sandbox; with `control` the index shows how to press its buttons."""

    def __init__(self, sandbox: "Sandbox", *, control: bool = False) -> None:
        self._sandbox = sandbox
        self._control = control

    def answer(self, request: Request) -> Answer | None:
        """The page for a request to `/` or `/openapi.json`; None to any other."""
        if request.method not in ("GET", "HEAD"):
            return None
        if request.path == "/":
            host = own_host(request)
            url = f"http://{host}" if host else self._sandbox.url
            return Answer(200, self._index(url).encode(errors="replace"), dict(_PAGE_HEADERS))
        if request.path == "/openapi.json":
            description = describe(self._sandbox.settings)
            return Answer(200, json.dumps(description).encode(), dict(_DESCRIPTION_HEADERS))
        return None

    def _index(self, url: str) -> str:
        sandbox = self._sandbox
        orders = sandbox.latest_orders()
        return _PAGE.render(
            keys=sandbox.keys,
            handling=_handling(sandbox.settings),
            magic=_magic(sandbox.settings),
            calls=self._calls(url, orders[0]["id"] if orders else SAMPLE_ORDER),
            changes=_changes(sandbox.settings),
            presses={name: _curl(url + PREFIX + name, body) for name, body in _PRESSES.items() if self._control},
            orders=orders,
        )

    def _calls(self, url: str, latest_order: str) -> dict[str, str]:
        """A line for the shell by the endpoint's name."""
        settings = self._sandbox.settings
        items = {
            "checkProduct": next(iter(Catalog(1).products)),
            "checkOrder": SAMPLE_ORDER if settings.sample_order else latest_order,
        }
        amount = {"ref": "order-1"} if settings.order_ref == "required" else {"quantity": 4}
        wish = {"productId": SAMPLE_PRODUCT, "typeId": "TEST_PARTIAL", **amount}
        return {
            name: _curl(
                url + path + items.get(name, ""),
                wish if method == "POST" else None,
                key="" if name == "ping" else self._sandbox.api_key,
            )
            for path, (method, name) in routes(settings).items()
        }


def _curl(url: str, body: dict[str, Any] | None = None, *, key: str = "") -> str:
    """A line for the shell."""
    words = ["curl", url]
    words += ["-H", f"X-Access-Token: {key}"] if key else []
    words += [] if body is None else ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return shlex.join(words)


def _handling(settings: Settings) -> str:
    """How long an order takes."""
    if settings.fulfilment_s is not None:
        return "for ever" if settings.fulfilment_s == inf else f"for {settings.fulfilment_s:g} s"
    return f"for {settings.fulfilment_median_s:g} s (the median; 95 % take {settings.fulfilment_p95_s:g} s at most)"


def _magic(settings: Settings) -> dict[str, str]:
    """What becomes of an order, by type id."""
    by_count = "FULFILLED with it" if settings.partial_rounding == "up" else "REFUNDED"
    one = by_count if settings.partial_of_one == "as counted" else settings.partial_status
    half = f"half of the cards, an odd number rounded {settings.partial_rounding}"
    told = {
        "TEST_REFUND": "REFUNDED, with no card.",
        "TEST_PARTIAL": f"{settings.partial_status}, with {half}; an order of one card ends {one}.",
    }
    if settings.production_test_types == "ordinary":
        told = {name: f"{text} With a production key it is like any other." for name, text in told.items()}
    prices = {name: f" A card costs {settings.prices.get(name, settings.test_type_price)} dinars." for name in told}
    other = f"FULFILLED, with all cards. One that is in no product costs {settings.unknown_type_price} dinars a card."
    return {**{name: text + prices[name] for name, text in told.items()}, "any other": other}


def _changes(settings: Settings) -> list[tuple[str, str, str]]:
    """Name, value (as in a settings file) and meaning of the settings that differ from the defaults."""
    meanings = {declared.name: declared.metadata["meaning"] for declared in fields(Settings)}
    return [(name, json.dumps(value), meanings[name]) for name, value in settings.to_json().items()]
