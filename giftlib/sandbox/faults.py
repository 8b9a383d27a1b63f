"""Faults: which request goes wrong, by count or by chance, and how."""

import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .validators import FINITE_S

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
ERROR_BODIES = ("router", "html", "empty")
BODIES = ("envelope", "truncated", "garbled", *ERROR_BODIES)
_SENDABLE = re.compile(r"[\x20-\x7e\xa0-\xff]*")
CUTS = (None, "before", "within", "after", "end")


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request to `endpoint`; "*" is any of them. Whatever is not given goes as it should.

    It strikes `times` requests in a row, from the `call`-th after it was injected, or each request with the
    probability `rate`. Only requests that the key check and the ceiling let through are counted and struck. The
    request is carried out unless there is a `status` or the cut "before".
    """

    endpoint: str = "*"
    call: int = 1
    times: int = 1
    status: int | None = None
    """The client sees this HTTP status, and nothing was carried out. A redirect is a 3xx with the header `Location`."""
    body: str | bytes | int = "envelope"
    """What the client reads. "envelope": JSON, the endpoint's own or with a status the API's error. "truncated": the
    first half of that, under a Content-Length that fits. "garbled": that, with a byte in every text that is not UTF-8.
    Only with a status: the "router"'s bare error, a proxy's "html" page, "empty". Bytes: these. A number: so many
    bytes "x", made while they are sent."""
    code: str | None = None
    """Only with a status: the error's code, by default the one that fits the status."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The client sees these headers too. A `Content-Length` stands in for the true one: with one too large the client
    waits for the rest until the connection is closed after `wire.IDLE_S`, with one too small it misses the end; then
    the connection is closed."""
    cut: str | None = None
    """"before": the connection is reset, nothing was carried out. "within": the answer breaks off half way through its
    body. "after": the connection is closed without an answer to what was carried out. "end": the whole answer comes,
    and the connection is closed behind it although the client meant to keep it."""
    reset: bool = False
    """Only with a cut: the client sees the connection reset (RST) rather than closed (FIN)."""
    delay_s: float = 0.0
    """The client waits so many seconds longer for the answer."""
    drip_s: float = 0.0
    """The head comes at once, the body byte by byte, each so many seconds after the one before."""
    alter: Callable[[dict[str, Any]], Any] | None = None
    """The client reads what this function makes of the answer's `data`, or of its `error` if it is a refusal. It runs
    in the sandbox's thread; what it raises is logged and the connection closed. See `giftlib.sandbox.alterations`."""
    rate: float | None = None
    """Probability from 0 to 1, in place of `call` and `times`. A fault by count goes before one by chance."""

    def __post_init__(self) -> None:
        self._check("endpoint", self.endpoint in ("*", *ENDPOINTS), f"'*' or one of {', '.join(ENDPOINTS)}")
        self._check("call", type(self.call) is int and self.call >= 1, "a whole number from 1 up")
        self._check("times", type(self.times) is int and self.times >= 1, "a whole number from 1 up")
        self._check(
            "status",
            self.status is None or (type(self.status) is int and 200 <= self.status <= 599),
            "an HTTP status from 200 to 599, or None",
        )
        self._check(
            "body",
            isinstance(self.body, bytes) or (type(self.body) is int and self.body >= 0) or self.body in BODIES,
            f"bytes, a number of bytes, or one of {', '.join(BODIES)}",
        )
        self._check(
            "headers",
            isinstance(self.headers, Mapping)
            and all(
                isinstance(text, str) and _SENDABLE.fullmatch(text) for pair in self.headers.items() for text in pair
            ),
            "texts by name, of one line and in Latin-1",
        )
        self._check("code", self.code is None or isinstance(self.code, str), "a text or None")
        lengths = [value for name, value in self.headers.items() if name.lower() == "content-length"]
        digits = all(n.isascii() and n.isdecimal() and len(n) < 19 for n in lengths)
        self._check("headers", digits, "texts by name, with no Content-Length but one of up to 18 digits")
        self._check("cut", self.cut in CUTS, f"one of {', '.join(map(repr, CUTS))}")
        self._check("reset", self.reset is False or (self.reset is True and self.cut), "False, or True with a cut")
        for name in ("delay_s", "drip_s"):
            seconds = getattr(self, name)
            self._check(name, FINITE_S.is_good(seconds), "finite seconds from 0 up")
        self._check("alter", self.alter is None or callable(self.alter), "a function of the data, or None")
        self._check("rate", self.rate is None or _is_probability(self.rate), "a probability from 0 to 1, or None")
        if self.rate is not None and (self.call, self.times) != (1, 1):
            raise ValueError(f"rate must be None with call={self.call!r} and times={self.times!r}, got {self.rate!r}")
        if self.cut == "before" and self.status is not None:
            raise ValueError(f"cut='before' leaves no answer, so status must be None, got {self.status!r}")
        if self.alter and self.body != "envelope":
            raise ValueError(f"body must be 'envelope' with alter, got {self.body!r}")
        if self.status is None and (self.body in ERROR_BODIES or self.code):
            raise ValueError(f"status must be given with body={self.body!r} and code={self.code!r}, got None")
        changed = self.body != "envelope" or self.alter or self.headers
        if self.status is None and not (changed or self.cut or self.delay_s or self.drip_s):
            raise ValueError("the fault does nothing: give status, body, headers, cut, delay_s, drip_s or alter")

    def _check(self, name: str, good: Any, accepted: str) -> None:
        if not good:
            raise ValueError(f"{name} must be {accepted}, got {getattr(self, name)!r}")

    @classmethod
    def commit_then_drop(cls, call: int = 1) -> "Fault":
        """The `call`-th order is placed and paid for, and the answer that tells its id is lost."""
        return cls("placeOrder", call=call, cut="after")


MIXED = (
    Fault(status=500),
    Fault(status=502, body="html"),
    Fault(status=503, body="empty"),
    Fault(status=503, headers={"Retry-After": "5"}),
    Fault(status=429, headers={"Retry-After": "5"}),
    Fault(cut="before"),
    Fault(cut="within"),
    Fault(cut="after"),
    Fault(body="truncated"),
    Fault(body=b"this is not JSON"),
    Fault(delay_s=20),
)
"""What a network, a proxy and a busy server do to anybody. The last outlasts a time-out of 15 s, the usual one; on a
`SystemClock` it is waited for."""


def at_rate(rate: float, kinds: Iterable[Fault] = MIXED, endpoint: str = "*") -> tuple[Fault, ...]:
    """Faults that together strike a share `rate` (0 to 1) of the endpoint's requests, all kinds equally often."""
    kinds = tuple(kinds)
    if not kinds:
        raise ValueError("kinds must be at least one Fault, got none")
    if not _is_probability(rate):
        raise ValueError(f"rate must be a probability from 0 to 1, got {rate!r}")
    return tuple(replace(kind, endpoint=endpoint, rate=rate / len(kinds)) for kind in kinds)


class FaultPlan:
    """The faults still to come; `seed` and the number of a request settle what chance does to it."""

    def __init__(self, seed: Any, faults: Iterable[Fault] = ()) -> None:
        self._seed = seed
        self._requests = 0
        self._counted: list[Fault] = []
        self._seen: list[int] = []
        self._chances: list[Fault] = []
        for fault in faults:
            self.inject(fault)

    def inject(self, fault: Fault) -> None:
        """Plan a fault, from now on. ValueError if the rates for an endpoint add up to more than 1."""
        if not isinstance(fault, Fault):
            raise ValueError(f"fault must be a Fault, got {fault!r}")
        if fault.rate is None:
            self._counted.append(fault)
            self._seen.append(0)
            return
        chances = [*self._chances, fault]
        for endpoint in ENDPOINTS:
            total = sum(chance.rate or 0.0 for chance in chances if chance.endpoint in ("*", endpoint))
            if total > 1 + 1e-9:
                raise ValueError(f"rate must be such that all for {endpoint} make at most 1, got {total:g} in all")
        self._chances = chances

    def strike(self, endpoint: str) -> Fault | None:
        """Count a request; the fault that strikes it, of several by count the one injected first."""
        self._requests += 1
        struck = None
        for i, fault in enumerate(self._counted):
            if fault.endpoint in ("*", endpoint):
                self._seen[i] += 1
                if struck is None and fault.call <= self._seen[i] < fault.call + fault.times:
                    struck = fault
        return struck or self._draw(endpoint)

    def _draw(self, endpoint: str) -> Fault | None:
        """The fault in whose share of 0 to 1 a number drawn for this request falls."""
        if self._chances:
            drawn = random.Random(f"{self._seed}:fault:{self._requests}").random()
            for fault in self._chances:
                if fault.endpoint in ("*", endpoint):
                    drawn -= fault.rate or 0.0
                    if drawn < 0:
                        return fault
        return None


def _is_probability(value: Any) -> bool:
    return FINITE_S.is_good(value) and bool(value <= 1)
