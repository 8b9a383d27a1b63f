"""The emulator's own buttons, under `/_sandbox/`: nothing of the API, and off unless asked for."""

import json
from collections.abc import Callable
from dataclasses import fields
from math import isfinite
from typing import TYPE_CHECKING, Any

from .faults import Fault
from .responses import Answer, Request, own_host, write_json
from .validators import MONEY

if TYPE_CHECKING:
    from .sandbox import Sandbox

PREFIX = "/_sandbox/"
_JSON = {"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"}
_FAULT_FIELDS = {declared.name for declared in fields(Fault)} - {"alter"}


class _Refused(Exception):
    """A status and what is wrong."""


class Control:
    """Reads with GET: truth, settings, requests. Acts with POST and a JSON object: reset, advance {"seconds"}, faults
    (the fields of `Fault` but `alter`), orders {"n", "type_id", "quantity"}, deposit {"amount"}.

    A page of another site can neither read nor press: no CORS, JSON only, and only under a number or localhost.
    """

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox
        self._reads: dict[str, Callable[[], Any]] = {
            "truth": self._truth,
            "settings": self._settings,
            "requests": self._requests,
        }
        self._acts: dict[str, Callable[..., Any]] = {
            "reset": self._reset,
            "advance": self._advance,
            "faults": self._inject,
            "orders": self._add_orders,
            "deposit": self._deposit,
        }

    def answer(self, request: Request) -> Answer | None:
        """The answer to a request under `/_sandbox/`; None to any other."""
        if not request.path.startswith(PREFIX):
            return None
        try:
            content, status = self._done(request), 200
        except _Refused as refused:
            status, told = refused.args
            content = {"error": told}
        except (ValueError, TypeError, OSError) as error:
            content, status = {"error": str(error)}, 400
        return Answer(status, write_json(content).encode(), dict(_JSON))

    def _done(self, request: Request) -> Any:
        if own_host(request) is None:
            raise _Refused(403, "the host must be a numeric address or localhost")
        name = request.path.removeprefix(PREFIX)
        if name in self._reads and request.method == "GET":
            return self._reads[name]()
        if name in self._acts and request.method == "POST":
            if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
                raise _Refused(415, "the content type must be application/json")
            given = json.loads(request.body or b"{}")
            if not isinstance(given, dict):
                raise _Refused(400, "the body must be a JSON object")
            return self._acts[name](**given)
        known = f"GET {', '.join(self._reads)}; POST {', '.join(self._acts)}"
        raise _Refused(405 if name in {**self._reads, **self._acts} else 404, f"there are {known}")

    def _truth(self) -> Any:
        return {order_id: seconds if isfinite(seconds) else None for order_id, seconds in self._sandbox.truth().items()}

    def _settings(self) -> Any:
        return self._sandbox.settings.to_json()

    def _requests(self) -> Any:
        return [{**record._asdict(), "when_utc": record.when_utc.isoformat()} for record in self._sandbox.requests]

    def _reset(self) -> Any:
        self._sandbox.reset()
        return {}

    def _advance(self, seconds: Any) -> Any:
        clock = self._sandbox.clock
        if not hasattr(clock, "spend"):
            raise _Refused(409, "the sandbox is on the system clock, which nobody can move")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 1e9:
            raise _Refused(400, f"seconds must be a number from 0 to 1e9, got {seconds!r}")
        clock.sleep(seconds)
        return {"now": clock.now_utc().isoformat()}

    def _inject(self, **given: Any) -> Any:
        for name in given:
            if name not in _FAULT_FIELDS:
                raise _Refused(400, f"unknown field {name!r}; accepted are {', '.join(sorted(_FAULT_FIELDS))}")
        self._sandbox.inject(Fault(**given))
        return {}

    def _add_orders(self, n: Any = 1, type_id: Any = "type_001", quantity: Any = 1) -> Any:
        if not isinstance(type_id, str) or not type_id:
            raise _Refused(400, f"type_id must be a text that is not empty, got {type_id!r}")
        return {"order_ids": self._sandbox.add_orders(n, type_id, quantity)}

    def _deposit(self, amount: Any) -> Any:
        self._sandbox.deposit(MONEY.read(amount))
        return {}
