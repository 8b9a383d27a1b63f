"""Faults: which requests fail, by count or at random, and how."""

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import validators as v

ENDPOINTS = (
    "ping", "validate", "catalog", "checkProduct", "placeOrder", "checkOrder", "list", "balance", "transactions"
)  # fmt: skip
ERROR_BODIES = ("router", "html", "empty")
BODIES = ("envelope", "truncated", "garbled", *ERROR_BODIES)
CUTS = ("before", "within", "after", "end")


def _are_headers(value: Any) -> bool:
    line, length = r"[\x20-\x7e\xa0-\xff]*", "[0-9]{1,18}"
    return isinstance(value, Mapping) and all(
        isinstance(name, str)
        and isinstance(text, str)
        and re.fullmatch(line, name)
        and re.fullmatch(length if name.lower() == "content-length" else line, text)
        for name, text in value.items()
    )


_BODY = v.Validator(
    f"bytes, a number of bytes, or one of {', '.join(BODIES)}",
    lambda value: isinstance(value, bytes) or v.whole_number(0).accepts(value) or value in BODIES,
    choices=BODIES,
)
_HEADERS = v.Validator("strings by name, of one line, in Latin-1, a Content-Length of up to 18 digits", _are_headers)
_FIELDS = v.Validator("fields by name", lambda value: isinstance(value, Mapping))
_FUNCTION = v.Validator("a function of the data", callable)


@dataclass(frozen=True)
class Fault(v.Checked):
    """Describe what goes wrong with a request to `endpoint`; "*" is any. All that is not given works as it should.

    It affects `times` requests in a row, from the `call`-th after it was injected, or each request with the
    probability `rate`. Only requests that the key check and the rate limit let through are counted and affected. The
    request is carried out unless there is a `status` or the cut "before".

    >>> import requests
    >>> from giftlib.sandbox import Fault, Sandbox
    >>> with Sandbox(faults=[Fault("ping", status=503, headers={"Retry-After": "5"})]) as sandbox:
    ...     requests.get(f"{sandbox.url}/v3/ping")
    <Response [503]>
    """

    endpoint: str = v.checked("*", v.one_of("*", *ENDPOINTS))
    call: int = v.checked(1, v.COUNT)
    times: int = v.checked(1, v.COUNT)
    status: int | None = v.checked(None, v.whole_number(200, 599).or_none())
    """The client sees this HTTP status, and nothing was carried out. A redirect is a 3xx with the header `Location`."""
    body: str | bytes | int = v.checked("envelope", _BODY)
    """What the client reads. "envelope": JSON, the endpoint's own or with a status the API's error. "truncated": the
    first half of that, with a matching Content-Length. "garbled": that, with a byte in every string that is not UTF-8.
    Only with a status: the "router"'s bare error, a proxy's "html" page, "empty". Bytes: these. A number: so many
    bytes "x", made while they are sent."""
    code: str | None = v.checked(None, v.STRING.or_none())
    """Only with a status: the error's code, by default the one that fits the status."""
    headers: Mapping[str, str] = v.checked({}, _HEADERS)
    """The client sees these headers too. A `Content-Length` replaces the true one: with one too large the client waits
    for the rest until the connection is closed after `connections.IDLE_S`, with one too small it misses the end; then
    the connection is closed."""
    cut: str | None = v.checked(None, v.one_of(*CUTS).or_none())
    """"before": the connection is reset, nothing was carried out. "within": the response stops half way through its
    body. "after": the connection is closed without a response to what was carried out. "end": the whole response comes,
    and the connection is closed after it although the client meant to keep it."""
    reset: bool = v.checked(False, v.FLAG)
    """Only with a cut: the client sees the connection reset (RST) rather than closed (FIN)."""
    delay_s: float = v.checked(0.0, v.FINITE_S)
    """The client waits so many seconds longer for the response."""
    drip_s: float = v.checked(0.0, v.FINITE_S)
    """The head comes immediately, the body byte by byte, each so many seconds after the one before."""
    alter: Callable[[dict[str, Any]], Any] | None = v.checked(None, _FUNCTION.or_none())
    """The client reads what this function returns for the response's `data`, or for its `error`. It runs in the
    sandbox's thread; an exception in it is logged and the connection closed."""
    rate: float | None = v.checked(None, v.PROBABILITY.or_none())
    """Probability from 0 to 1, instead of `call` and `times`. A fault by count goes before one at random."""
    order: str | None = v.checked(None, v.STRING.or_none())
    """Only polls (checkOrder) of this order are counted and affected."""
    key: str | None = v.checked(None, v.STRING.or_none())
    """Only requests with the key of this name are, such as "SANDBOX 2"."""
    sent: Mapping[str, Any] = v.checked({}, _FIELDS)
    """Only requests are whose JSON body has these fields."""

    def __post_init__(self) -> None:
        super().__post_init__()
        text = self.body if isinstance(self.body, str) else ""
        changed = text != "envelope" or self.alter or self.headers
        without_status = self.status is None and (text in ERROR_BODIES or self.code)
        for wrong, message in (
            (self.reset and not self.cut, f"reset must be False without a cut, got {self.reset!r}"),
            (self.rate is not None and (self.call, self.times) != (1, 1),
             f"rate must be None with call={self.call!r} and times={self.times!r}, got {self.rate!r}"),
            (self.cut == "before" and self.status is not None,
             f"cut='before' leaves no response, so status must be None, got {self.status!r}"),
            (self.order is not None and self.endpoint not in ("*", "checkOrder"),
             f"order must be None with endpoint={self.endpoint!r}, which polls none, got {self.order!r}"),
            (bool(self.sent) and (self.order is not None or self.endpoint not in ("*", "placeOrder")),
             f"sent must be empty but for placeOrder, got it with endpoint={self.endpoint!r}, order={self.order!r}"),
            (self.alter and text != "envelope", f"body must be 'envelope' with alter, got {self.body!r}"),
            (without_status, f"status must be given with body={self.body!r} and code={self.code!r}, got None"),
            (self.status is None and not (changed or self.cut or self.delay_s or self.drip_s),
             "the fault does nothing: give status, body, headers, cut, delay_s, drip_s or alter"),
        ):  # fmt: skip
            if wrong:
                raise ValueError(message)

    def aims_at(self, endpoint: str, order: str | None, key: str, sent: Any) -> bool:
        """Whether a request to this endpoint, for this order, with the key of that name, is one to count and affect."""
        wanted = self.endpoint in ("*", endpoint) and self.order in (None, order) and self.key in (None, key)
        return wanted and (not self.sent or v.fits(sent, self.sent))

    def meets(self, other: "Fault") -> bool:
        """Whether one request can be one to affect for both."""
        aims = [
            ("checkOrder" if each.order is not None else "placeOrder" if each.sent else each.endpoint,
             each.order, each.key)
            for each in (self, other)
        ]  # fmt: skip
        aimed = all(one == two or {one, two} & {"*", None} for one, two in zip(*aims, strict=True))
        return aimed and v.agree(self.sent, other.sent)

    @classmethod
    def commit_then_drop(cls, call: int = 1) -> "Fault":
        """Place the `call`-th order and charge for it, and lose the response with its id.

        >>> from giftlib.sandbox import Fault
        >>> Fault.commit_then_drop() == Fault("placeOrder", cut="after")
        True
        """
        return cls("placeOrder", call=call, cut="after")


def _list_of_faults(given: Iterable[Fault]) -> tuple[Fault, ...]:
    faults = tuple(given) if isinstance(given, Iterable) else (None,)
    if not all(isinstance(each, Fault) for each in faults):
        raise ValueError(f"faults must be a list of Faults, got {given!r}")
    return faults


class _NoFault(Fault):
    def __post_init__(self) -> None:
        """Check nothing: this one may do nothing."""


NO_FAULT = _NoFault()
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
"""What a network, a proxy and a busy server do. The last is longer than a time-out of 15 s, the usual one; on a
`SystemClock` the delay is real."""


def at_rate(rate: float, faults: Iterable[Fault] = MIXED, endpoint: str = "*") -> tuple[Fault, ...]:
    """Give faults that together affect a proportion `rate` (0 to 1) of the endpoint's requests, all equally often.

    >>> from giftlib.sandbox import Fault, at_rate
    >>> [fault.rate for fault in at_rate(0.5, [Fault(status=500), Fault(status=503)])]
    [0.25, 0.25]
    """
    faults = _list_of_faults(faults)
    if not faults:
        raise ValueError("faults must be at least one Fault, got none")
    v.PROBABILITY.check("rate", rate)
    return tuple(replace(fault, endpoint=endpoint, rate=rate / len(faults)) for fault in faults)


class FaultPlan:
    """Chooses the fault of each request; what happens at random depends on `seed` and the request's number alone."""

    def __init__(self, seed: Any, faults: Iterable[Fault] = ()) -> None:
        self._seed = seed
        self._requests = 0
        self._counted: list[list[Any]] = []  # each a fault and how many requests were counted for it
        self._random: list[Fault] = []
        for fault in _list_of_faults(faults):
            self.inject(fault)

    def inject(self, fault: Fault) -> None:
        """Plan a fault, from now on. ValueError if the rates that can affect the same request add up to more than 1."""
        if not isinstance(fault, Fault):
            raise ValueError(f"fault must be a Fault, got {fault!r}")
        if fault.rate is None:
            self._counted.append([fault, 0])
            return
        meeting = [other for other in self._random if fault.meets(other)]
        if fault.rate + sum(other.rate or 0.0 for other in meeting) > 1 + 1e-9:  # else it needs no search
            total = fault.rate + _most(meeting)
            if total > 1 + 1e-9:
                message = "rate must be such that all that can affect the same request add up to at most 1"
                raise ValueError(f"{message}, got {total:g} in all")
        self._random.append(fault)

    def planned(self) -> list[Fault]:
        """Give the faults that may still affect a request."""
        return [fault for fault, calls in self._counted if calls < fault.call + fault.times - 1] + self._random

    def clear(self) -> None:
        self._counted, self._random = [], []

    def next_fault(self, endpoint: str, order: str | None, key: str, sent: Any) -> Fault:
        """Count a request and give its fault or NO_FAULT; of several by count the one injected first."""
        self._requests += 1
        aimed = [counted for counted in self._counted if counted[0].aims_at(endpoint, order, key, sent)]
        for counted in aimed:
            counted[1] += 1
        due: list[Fault] = [fault for fault, calls in aimed if fault.call <= calls < fault.call + fault.times]
        if due:
            return due[0]
        drawn = random.Random(f"{self._seed}:fault:{self._requests}").random() if self._random else 1.0
        for fault in self._random:
            if fault.aims_at(endpoint, order, key, sent):
                drawn -= fault.rate or 0.0
                if drawn < 0:
                    return fault
        return NO_FAULT


def _most(faults: Sequence[Fault]) -> float:
    """The highest sum of rates of faults that all meet in one request."""
    if not faults:
        return 0.0
    first, *others = faults
    meeting = [other for other in others if first.meets(other)]
    with_first = (first.rate or 0.0) + _most(meeting)
    return with_first if len(meeting) == len(others) else max(with_first, _most(others))
