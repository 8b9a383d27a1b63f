"""What the emulator was asked: a record of each request, and assertions about them."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, NamedTuple

from .faults import Fault
from .validators import fits, unknown

_SECRET = ("value", "serial", "cards")


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

        A path may have wildcards (`*`, `?`), a body more fields than are wanted. ValueError for an unknown field.
        """
        for name in wanted:
            if name not in RequestRecord._fields:
                raise ValueError(unknown("field", name, RequestRecord._fields))
        path = wanted.pop("path", "*")
        return Requests(each for each in self if fnmatchcase(each.path, path) and fits(each._asdict(), wanted))

    def check(self, times: int | None, wanted: Mapping[str, Any]) -> None:
        """Raise AssertionError unless there were `times` such requests (at least one if None)."""
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
