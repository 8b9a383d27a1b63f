"""Scripted faults: which request goes wrong, and how."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

ENDPOINTS = (
    "ping",
    "validate",
    "catalog",
    "checkProduct",
    "placeOrder",
    "checkOrder",
    "list",
    "balance",
    "transactions",
)
BODIES = ("envelope", "router", "html", "empty")
CUTS = (None, "before", "within", "after")


@dataclass(frozen=True)
class Fault:
    """A fault that strikes `times` requests in a row, from the `call`-th to `endpoint` after it was injected.

    Only requests that the key check and the ceiling let through are counted; the endpoint "*" counts all of them.

    - `status`: answered in place of the endpoint, which carries nothing out. `body` is the API's error "envelope"
      (with `code`, by default the one that fits the status), the "router"'s bare object, a proxy's "html" page,
      "empty", or the bytes given.
    - bytes as `body` without a status: the request is carried out and these bytes stand in for its answer's body.
    - `headers` are added to the answer.
    - `cut`: "before" resets the connection and nothing is carried out; "within" carries the request out and cuts
      the answer half way; "after" carries it out and closes the connection without an answer.
    - `delay_s`: seconds the answer takes longer.
    """

    endpoint: str = "*"
    call: int = 1
    times: int = 1
    status: int | None = None
    body: str | bytes = "envelope"
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: str | None = None
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        self._check("endpoint", self.endpoint in ("*", *ENDPOINTS), f"'*' or one of {', '.join(ENDPOINTS)}")
        self._check("call", type(self.call) is int and self.call >= 1, "a whole number from 1 up")
        self._check("times", type(self.times) is int and self.times >= 1, "a whole number from 1 up")
        self._check(
            "status",
            self.status is None or type(self.status) is int and 200 <= self.status <= 599,
            "an HTTP status from 200 to 599, or None",
        )
        raw = isinstance(self.body, bytes)
        self._check("body", raw or self.body in BODIES, f"bytes or one of {', '.join(BODIES)}")
        self._check("cut", self.cut in CUTS, f"one of {', '.join(map(repr, CUTS))}")
        self._check("delay_s", 0 <= self.delay_s < inf, "finite seconds from 0 up")
        if self.cut == "before" and self.status is not None:
            raise ValueError(f"cut='before' leaves no answer, so status must be None, got {self.status!r}")
        if self.status is None and not raw and (self.body != "envelope" or self.code):
            raise ValueError(f"status must be given with body={self.body!r} and code={self.code!r}, got None")
        if self.status is None and not (self.cut or self.delay_s or self.headers or raw):
            raise ValueError("the fault does nothing: give status, cut, delay_s, headers or bytes as body")

    def _check(self, name: str, good: bool, accepted: str) -> None:
        if not good:
            raise ValueError(f"{name} must be {accepted}, got {getattr(self, name)!r}")

    @classmethod
    def commit_then_drop(cls, call: int = 1) -> "Fault":
        """The `call`-th order is placed and paid for, and the answer that tells its id is lost."""
        return cls("placeOrder", call=call, cut="after")


class FaultPlan:
    """The faults still to come, and how many requests each has seen."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults: list[Fault] = []
        self._seen: list[int] = []
        for fault in faults:
            self.inject(fault)

    def inject(self, fault: Fault) -> None:
        """Plan a fault; it counts requests from now on."""
        if not isinstance(fault, Fault):
            raise ValueError(f"fault must be a Fault, got {fault!r}")
        self._faults.append(fault)
        self._seen.append(0)

    def strike(self, endpoint: str) -> Fault | None:
        """Count a request; the fault that strikes it, the one injected first if there are several."""
        struck = None
        for i, fault in enumerate(self._faults):
            if fault.endpoint in ("*", endpoint):
                self._seen[i] += 1
                if struck is None and fault.call <= self._seen[i] < fault.call + fault.times:
                    struck = fault
        return struck
