"""What the emulator was asked: a record of each request, and assertions about them."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, NamedTuple

from .faults import Fault
from .validators import STRING, Validator, fits, text, unknown, whole_number

_SECRET = ("value", "serial", "cards")
_COUNT = whole_number(0).or_none()
_WANTED = {
    "when_utc": Validator("a datetime", lambda value: isinstance(value, datetime)),
    "method": text("a method, such as POST", "[A-Za-z-]+"),
    "path": text('a path that begins with "/" or "*", without a query', r"(?!.*\?.*=)[/*].*"),
    "query": text('a query without its "?"', r"(?!\?).*"),
    "key": STRING.or_none(),
    "status": whole_number(100, 599).or_none(),
    "fault": Validator("a Fault", lambda value: isinstance(value, Fault)).or_none(),
    "order_id": STRING.or_none(),
}
"""What can be wanted of a field: anything else would match no request, and so hide one that came."""


class RequestRecord(NamedTuple):
    """A request that arrived at `when_utc`. No access key and no card can be seen in it.

    `query` is as it was sent, `body` what its JSON says (or its text, or None), `key` the name of the access key, such
    as "SANDBOX" or "SANDBOX 2", `status` None without a response, `fault` the one that affected it, `order_id` the
    order that it placed or asked for.
    """

    when_utc: datetime
    method: str
    path: str
    query: str
    body: Any
    key: str | None
    status: int | None
    fault: Fault | None
    order_id: str | None

    def to_json(self) -> dict[str, Any]:
        fault = self.fault and self.fault.to_json()
        return self._asdict() | {"when_utc": self.when_utc.isoformat(), "fault": fault}

    def __str__(self) -> str:
        query = f"?{self.query}" if self.query else ""
        body = "" if self.body is None else f" {json.dumps(self.body, ensure_ascii=False)}"
        return f"{self.method} {self.path}{query}{body} -> {self.status}"


class Requests(list[RequestRecord]):
    """The requests that are finished, in that order.

    >>> from giftlib.sandbox import Sandbox
    >>> with Sandbox() as sandbox:
    ...     balance = sandbox.client().balance()
    ...     print(*sandbox.requests.where(path="/v3/account/*", status=200))
    GET /v3/account/balance -> 200
    """

    def where(self, **wanted: Any) -> "Requests":
        """Give the requests whose fields are these: `where(method="POST", body={"quantity": 2}, fault=None)`.

        A path may have wildcards (`*`, `?`), a body more fields than are wanted; their values are compared as JSON, in
        which "1" is not 1. ValueError for an unknown field, or a value that no request could have.
        """
        for name, value in wanted.items():
            if name not in RequestRecord._fields:
                raise ValueError(unknown("field", name, RequestRecord._fields))
            if name in _WANTED:
                _WANTED[name].check(name, value)
        path, method = wanted.pop("path", "*"), wanted.pop("method", "*").upper()
        asked = [each for each in self if fnmatchcase(each.path, path) and fnmatchcase(each.method.upper(), method)]
        return Requests(each for each in asked if fits(each._asdict(), wanted))

    def check(self, times: int | None, wanted: Mapping[str, Any]) -> None:
        """Raise AssertionError unless there were `times` such requests (at least one if None)."""
        _COUNT.check("times", times)
        found = len(self.where(**wanted))
        if found == times or (times is None and found):
            return
        expected = "at least one request" if times is None else f"{times} requests" if times != 1 else "1 request"
        fields = ", ".join(f"{name}={value!r}" for name, value in wanted.items())
        asked = "".join(f"\n  {record}" for record in self[-50:]) or " none"
        raise AssertionError(f"expected {expected} with {fields}, got {found}; requests:{asked}")


def without_secrets(body: Any, keys: Collection[str]) -> Any:
    """Give a copy in which access keys, and what cards have, are `****`."""
    inside = partial(without_secrets, keys=keys)
    if isinstance(body, dict):
        return {inside(name): "****" if name in _SECRET else inside(item) for name, item in body.items()}
    if isinstance(body, list):
        return [*map(inside, body)]
    if isinstance(body, str):
        for key in keys:
            body = body.replace(key, "****")
    return body
