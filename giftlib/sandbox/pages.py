"""What is not part of the API: an index page, an OpenAPI description, and the control address `/_sandbox/`."""

import json
import re
import shlex
from base64 import b64encode
from collections.abc import Callable, Collection
from dataclasses import fields
from functools import cache
from hashlib import sha256
from inspect import signature
from ipaddress import ip_address
from math import inf, isfinite
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .account import SAMPLE_ORDER
from .backend import NotRecorded
from .catalog import PRODUCTS, SAMPLE_PRODUCT
from .emulator import Emulator
from .endpoints import LARGEST_PAGE
from .faults import Fault
from .messages import ErrorResponse, Request, Response, json_response
from .router import routes
from .settings import MEANINGS, Settings
from .validators import ANY_S, FINITE_S, MONEY, read_json, unknown

PREFIX = "/_sandbox/"
_FOLDER = Path(__file__).parent
_FAULT_FIELDS = sorted({declared.name for declared in fields(Fault)} - {"alter"})
_PAGE, _DESCRIPTION = "index.html.jinja", "openapi.json.jinja"


class Pages:
    """Responds to what is no request of the API, if the emulator has such a page.

    Under `/_sandbox/`, with `control`: to GET of truth, settings, requests and faults,
    and to POST with a JSON object: of reset, unblock and clear_faults {}, advance {"seconds"}, faults (the fields of
    `Fault` but `alter`), orders {"n", "type_id", "quantity"}, next_order {"delivered", "after_s"}, deposit {"amount"}.
    A page of another site can use none of it: no CORS, JSON only, and only by a numeric address, as localhost or by one
    of the `names`.
    """

    def __init__(self, emulator: Emulator, url: str, names: Collection[str], control: bool) -> None:
        self._emulator = emulator
        self._url = url
        self._names = names
        self._has_control = control
        self._calls: dict[str, dict[str, Callable[..., Any]]] = {
            "GET": {
                "truth": lambda: {name: s if isfinite(s) else None for name, s in emulator.truth().items()},
                "settings": emulator.settings.to_json,
                "requests": lambda: [row.to_json() for row in emulator.requests],
                "faults": lambda: [fault.to_json() for fault in emulator.faults],
            },
            "POST": {
                "reset": emulator.reset,
                "unblock": emulator.unblock,
                "clear_faults": emulator.clear_faults,
                "advance": self._advance,
                "faults": self._inject,
                "orders": self._add_orders,
                "deposit": self._deposit,
                "next_order": self._next_order,
            },
        }

    def respond(self, request: Request) -> Response | None:
        """Respond to a request that is not one of the API; None to any other."""
        if self._has_control and request.path.startswith(PREFIX):
            return self._control(request)
        if request.method not in ("GET", "HEAD"):
            return None
        if request.path == "/":
            host = own_host(request, self._names)
            page = _template(_PAGE).render(
                url=f"http://{host}" if host else self._url,
                emulator=self._emulator,
                settings=self._emulator.settings,
                has_admin=self._has_control,
            )
            headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _policy()}
        elif request.path == "/openapi.json":
            page = json.dumps(describe(self._emulator.settings))
            # It holds no key, and a viewer of descriptions comes from another site.
            headers = {"Content-Type": "application/json", "Access-Control-Allow-Origin": "*"}
        else:
            return None
        return Response(200, page.encode(errors="replace"), {"Cache-Control": "no-store", **headers})

    def _control(self, request: Request) -> Response:
        try:
            content, status = self._done(request), 200
        except ErrorResponse as error:
            content, status = {"error": error.message}, error.status
        except (ValueError, TypeError, OSError) as error:
            content, status = {"error": str(error)}, 500 if isinstance(error, NotRecorded) else 400
        return json_response(status, {} if content is None else content, {"Cache-Control": "no-store"})

    def _done(self, request: Request) -> Any:
        if own_host(request, self._names) is None:
            raise ErrorResponse(403, "", "the host must be a numeric address, localhost or an allowed name")
        name = request.path.removeprefix(PREFIX)
        act = self._calls.get(request.method, {}).get(name)
        if act is None:
            known = "; ".join(f"{method} {', '.join(calls)}" for method, calls in self._calls.items())
            other_method = any(name in calls for calls in self._calls.values())
            raise ErrorResponse(405 if other_method else 404, "", f"available are {known}")
        if request.method == "GET":
            return act()
        if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            raise ErrorResponse(415, "", "the content type must be application/json")
        given = read_json(request.body or b"{}")
        if not isinstance(given, dict):
            raise ValueError("the body must be a JSON object")
        accepted = _FAULT_FIELDS if act == self._inject else [*signature(act).parameters]
        for field in given:
            if field not in accepted:
                raise ValueError(unknown("field", field, accepted))
        return act(**given)

    def _advance(self, seconds: Any = None) -> Any:
        clock = self._emulator.clock
        if not hasattr(clock, "spend"):
            raise ErrorResponse(409, "", "the sandbox is on the system clock, which cannot be moved")
        FINITE_S.check("seconds", seconds)
        clock.sleep(seconds)
        return {"now": clock.now_utc().isoformat()}

    def _inject(self, **given: Any) -> None:
        self._emulator.inject(Fault(**given))

    def _add_orders(self, n: Any = 1, type_id: Any = "type_001", quantity: Any = 1) -> Any:
        return {"order_ids": self._emulator.add_orders(n, type_id, quantity)}

    def _next_order(self, delivered: Any = None, after_s: Any = None) -> None:
        self._emulator.next_order(delivered, ANY_S.read(after_s))

    def _deposit(self, amount: Any = None) -> None:
        self._emulator.deposit(MONEY.read(amount))


def own_host(request: Request, names: Collection[str]) -> str | None:
    """Give the host and port that the request was sent to, if they can be this machine's: a number, localhost, a name.

    A name with a port is meant with this port alone.

    Any other name could be another site's, which makes it lead here to use this machine through a visitor's browser.
    """
    given = request.headers.get("Host") or ""
    try:
        name = urlsplit(f"//{given}")
        if name.hostname not in ("localhost", *names) and given.lower() not in names:
            ip_address(name.hostname or "")
        return given if name.netloc == given and (name.port is None or name.port > 0) and "@" not in given else None
    except ValueError:
        return None


def describe(settings: Settings) -> dict[str, Any]:
    """Give the OpenAPI 3.1 document of a sandbox with these settings: what it accepts, and every response it can give.

    Its server is where the document comes from.
    """
    rendered = _template(_DESCRIPTION).render(settings=settings)
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


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only who opens a page needs it

    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=name == _PAGE, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined,
    )  # fmt: skip
    environment.globals.update(
        curl=_curl, first_product=PRODUCTS[0].id, infinity=inf, json=json.dumps,
        largest_page=LARGEST_PAGE, meanings=MEANINGS, routes=routes, sample_order=SAMPLE_ORDER,
        sample_product=SAMPLE_PRODUCT, up_to=_up_to,
    )  # fmt: skip
    return environment.get_template(name)


@cache
def _policy() -> str:
    """Allow the page's styles and its script by their hashes, and little else."""
    policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'; "
    policy += "img-src data:"
    for tag in ("style", "script"):
        [content] = re.findall(f"<{tag}>(.*?)</{tag}>", (_FOLDER / _PAGE).read_text("utf-8"), re.DOTALL)
        policy += f"; {tag}-src 'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
    return policy


def _curl(url: str, body: dict[str, Any] | None = None, api_key: str = "") -> str:
    """Give the shell command for a request."""
    words = ["curl", url]
    words += ["-H", f"X-Access-Token: {api_key}"] if api_key else []
    words += [] if body is None else ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return shlex.join(words)
