"""What is not part of the API: an index page, an OpenAPI description, and the control address `/_sandbox/`."""

import json
import re
import shlex
from base64 import b64encode
from collections.abc import Callable, Collection
from dataclasses import fields
from functools import cache
from hashlib import sha256
from importlib.resources import files
from ipaddress import ip_address
from math import inf, isfinite
from typing import Any
from urllib.parse import urlsplit

from .account import SAMPLE_ORDER
from .backend import NotRecorded
from .catalog import SAMPLE_PRODUCT, Catalog
from .emulator import Emulator
from .endpoints import LARGEST_PAGE
from .faults import Fault
from .responses import ErrorResponse, Request, Response, json_response
from .router import routes
from .settings import MEANINGS, Settings
from .validators import ANY_S, FINITE_S, MONEY, TEXT, read_json, unknown

PREFIX = "/_sandbox/"
_FAULT_FIELDS = {declared.name for declared in fields(Fault)} - {"alter"}
_PAGE = "index.html.jinja"
_ITEMS = {"checkOrder": "{orderId}", "checkProduct": "{productId}"}


class Admin:
    """Responds to GET of truth, settings, requests and faults, and to POST with a JSON object: of reset, unblock and
    clear_faults {}, advance {"seconds"}, faults (the fields of `Fault` but `alter`), orders {"n", "type_id",
    "quantity"}, next_order {"delivered", "after_s"}, deposit {"amount"}.

    A page of another site can use none of it: no CORS, JSON only, and only by a numeric address, as localhost or by one
    of `names`.
    """

    def __init__(self, emulator: Emulator, names: Collection[str] = ()) -> None:
        self._emulator = emulator
        self._names = names
        self._reads: dict[str, Callable[[], Any]] = {
            "truth": lambda: {name: s if isfinite(s) else None for name, s in emulator.truth().items()},
            "settings": emulator.settings.to_json,
            "requests": lambda: [row.to_json() for row in emulator.requests],
            "faults": lambda: [fault.to_json() for fault in emulator.faults],
        }
        self._actions: dict[str, Callable[..., Any]] = {
            "reset": emulator.reset,
            "unblock": emulator.unblock,
            "clear_faults": emulator.clear_faults,
            "advance": self._advance,
            "faults": self._inject,
            "orders": self._add_orders,
            "deposit": self._deposit,
            "next_order": self._next_order,
        }

    def respond(self, request: Request) -> Response:
        """Respond to a request under `/_sandbox/`."""
        try:
            content, status = self._done(request), 200
        except ErrorResponse as error:
            content, status = {"error": error.message}, error.status
        except NotRecorded as error:
            content, status = {"error": str(error)}, 500
        except (ValueError, TypeError, OSError) as error:
            content, status = {"error": str(error)}, 400
        return json_response(status, {} if content is None else content, {"Cache-Control": "no-store"})

    def _done(self, request: Request) -> Any:
        if own_host(request) is None and _host_name(request) not in self._names:
            raise ErrorResponse(403, "", "the host must be a numeric address, localhost or an allowed name")
        name = request.path.removeprefix(PREFIX)
        if name in self._reads and request.method == "GET":
            return self._reads[name]()
        if name in self._actions and request.method == "POST":
            if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
                raise ErrorResponse(415, "", "the content type must be application/json")
            given = read_json(request.body or b"{}")
            if not isinstance(given, dict):
                raise ErrorResponse(400, "", "the body must be a JSON object")
            return self._actions[name](**given)
        known = f"GET {', '.join(self._reads)}; POST {', '.join(self._actions)}"
        raise ErrorResponse(405 if name in {**self._reads, **self._actions} else 404, "", f"available are {known}")

    def _advance(self, seconds: Any) -> Any:
        clock = self._emulator.clock
        if not hasattr(clock, "spend"):
            raise ErrorResponse(409, "", "the sandbox is on the system clock, which cannot be moved")
        FINITE_S.check("seconds", seconds)
        clock.sleep(seconds)
        return {"now": clock.now_utc().isoformat()}

    def _inject(self, **given: Any) -> None:
        for name in given:
            if name not in _FAULT_FIELDS:
                raise ValueError(unknown("field", name, sorted(_FAULT_FIELDS)))
        self._emulator.inject(Fault(**given))

    def _add_orders(self, n: Any = 1, type_id: Any = "type_001", quantity: Any = 1) -> Any:
        TEXT.check("type_id", type_id)
        return {"order_ids": self._emulator.add_orders(n, type_id, quantity)}

    def _next_order(self, delivered: Any = None, after_s: Any = None) -> None:
        self._emulator.next_order(delivered, ANY_S.read(after_s))

    def _deposit(self, amount: Any) -> None:
        self._emulator.deposit(MONEY.read(amount))


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
            "moves": hasattr(self._emulator.clock, "spend"),
            "requests": self._emulator.requests,
            "faults": [json.dumps(fault.to_json()) for fault in self._emulator.faults],
            "routes": routes(settings),
            "items": {
                "checkProduct": next(iter(Catalog(1).products)),
                "checkOrder": SAMPLE_ORDER if settings.sample_order else latest_order,
            },
            "sample_product": SAMPLE_PRODUCT,
            "curl": _curl,
            "infinity": inf,
        }


def _host_name(request: Request) -> str | None:
    return urlsplit(f"//{request.headers.get('Host') or ''}").hostname


def own_host(request: Request) -> str | None:
    """Give the host and port that the request was sent to, if they can be this machine's: a number or localhost.

    A name could be another site's, which makes it lead here to use this machine through a visitor's browser.
    """
    given = request.headers.get("Host") or ""
    name = urlsplit(f"//{given}")
    try:
        if name.hostname != "localhost":
            ip_address(name.hostname or "")
        return given if name.netloc == given and (name.port is None or name.port > 0) and "@" not in given else None
    except ValueError:
        return None


def describe(settings: Settings) -> dict[str, Any]:
    """Give the OpenAPI 3.1 document of a sandbox with these settings: what it accepts, and every response it can give.

    Its server is where the document comes from.
    """
    rendered = _template("openapi.json.jinja").render(
        settings=settings,
        numbers=_up_to(settings.max_quantity),
        paths={path + _ITEMS.get(name, ""): name for path, (_, name) in routes(settings).items()},
        largest_page=LARGEST_PAGE,
        sample_order=SAMPLE_ORDER,
        sample_product=SAMPLE_PRODUCT,
    )
    document: dict[str, Any] = json.loads(rendered, object_hook=_complete)
    return document


def _up_to(most: int) -> str:
    """Give a regular expression for the whole numbers from 1 to `most`, without leading zeros."""
    digits = str(most)
    parts = [f"[1-9][0-9]{{0,{len(digits) - 2}}}"] if len(digits) > 1 else []
    for place, digit in enumerate(digits):
        if (lowest := 0 if place else 1) < int(digit):
            parts.append(f"{digits[:place]}[{lowest}-{int(digit) - 1}][0-9]{{{len(digits) - place - 1}}}")
    return "|".join([*parts, digits])


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
