"""The control address `/_sandbox/`: not part of the API, and off unless asked for."""

from collections.abc import Callable
from dataclasses import fields
from ipaddress import ip_address
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

from .backend import NotRecorded
from .emulator import Emulator
from .faults import Fault
from .responses import ErrorResponse, Request, Response, json_response
from .validators import FINITE_S, MONEY, TEXT, read_json, shortened

PREFIX = "/_sandbox/"
_FAULT_FIELDS = {declared.name for declared in fields(Fault)} - {"alter"}


class Admin:
    """Responds to GET of truth, settings and requests, and to POST with a JSON object of reset, advance {"seconds"},
    faults (the fields of `Fault` but `alter`), orders {"n", "type_id", "quantity"} and deposit {"amount"}.

    A page of another site can use none of it: no CORS, JSON only, and only by a numeric address or localhost.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._reads: dict[str, Callable[[], Any]] = {
            "truth": lambda: {name: s if isfinite(s) else None for name, s in emulator.truth().items()},
            "settings": emulator.settings.to_json,
            "requests": lambda: [row._asdict() | {"when_utc": row.when_utc.isoformat()} for row in emulator.requests],
        }
        self._actions: dict[str, Callable[..., Any]] = {
            "reset": emulator.reset,
            "advance": self._advance,
            "faults": self._inject,
            "orders": self._add_orders,
            "deposit": self._deposit,
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
        if own_host(request) is None:
            raise ErrorResponse(403, "", "the host must be a numeric address or localhost")
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
                raise ValueError(f"unknown field {shortened(name)}; accepted are {', '.join(sorted(_FAULT_FIELDS))}")
        self._emulator.inject(Fault(**given))

    def _add_orders(self, n: Any = 1, type_id: Any = "type_001", quantity: Any = 1) -> Any:
        TEXT.check("type_id", type_id)
        return {"order_ids": self._emulator.add_orders(n, type_id, quantity)}

    def _deposit(self, amount: Any) -> None:
        self._emulator.deposit(MONEY.read(amount))


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
