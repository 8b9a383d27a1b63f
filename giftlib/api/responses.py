"""Read a response: `{success, data, meta}` or what comes instead, errors, exact numbers; hide every secret in it.

The documents of the API contradict each other, so fields may be missing or have two names, codes may be hyphenated, and
a response may come without an envelope.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple, NoReturn, TypeVar

from .cards import as_card, as_cards
from .errors import NoAnswerError, api_error_class
from .parsing import as_amount, as_dict, as_dicts, as_http_date, as_list, as_name, as_text, as_time

T = TypeVar("T")

_CODE_FOR_STATUS = {
    404: "NOT_FOUND",
    413: "PAYLOAD_TOO_LARGE",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
}

_MOST_ITEMS = 10_000
_MOST_VALUES = 500_000
"""More is no response of the API: a card has 3 commas and braces, so 10 MiB hold 140,000 cards before they are more."""
_MOST_LEVELS = 200
"""A body read near the limit of recursion would make finalizers fail, which may run at any time."""
_LONGEST_NUMBER = 300
"""Digits; reading an integer takes time that grows with their square."""
_LONGEST_HEADER = 200
_LARGE = 10**9
"""A number as large is neither a balance nor a count; it may be a code."""

_NO_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[^][{}"]++', re.DOTALL)
_HEADER_NAME = re.compile("(?=.{1,40}$)[A-Za-z]+(-[A-Za-z]+)*")

_WITH_CARDS = ("GET /v3/gift-cards/checkOrder/", "GET /v3/gift-cards/list")
"""Responses that may hold codes; their free text is never repeated."""


class Fields(dict[str, Any]):
    """Hold an object of a response without showing its values: an undocumented field may hold a code."""

    def __repr__(self) -> str:
        return f"<{len(self)} fields>"


class Response(NamedTuple):
    """Hold what a response says; neither the key nor a card's code can be seen in it.

    `request` is the method and path of its request, `header_names` the names of its headers in small letters and
    sorted (only names made of words), `time` the API's time when it was written, and how finely, or None.
    """

    request: str
    status: int
    fields: dict[str, Any]
    request_id: str | None
    retry_after: float | None
    header_names: tuple[str, ...]
    time: tuple[datetime, timedelta] | None

    @property
    def data(self) -> dict[str, Any]:
        """Return the object `data` of a successful response."""
        data: dict[str, Any] = self.fields["data"]
        return data

    @property
    def code(self) -> str | None:
        """Return the error's code in capitals and underscores; None if the response has none."""
        return _normalised_code(as_dict(self.fields.get("error")).get("code"))

    def items(self, name: str) -> list[dict[str, Any]]:
        """Return the objects in that list of the data; raise NoAnswerError if there is no such list."""
        items = self.data.get(name)
        if isinstance(items, list) and len(items) <= _MOST_ITEMS:
            return as_dicts(items)
        wrong = f"more than {_MOST_ITEMS} {name}" if isinstance(items, list) else f"no list of {name}"
        raise NoAnswerError(f"{self.request}: the response has {wrong}", status=self.status)

    def raise_for_error(self) -> None:
        """Raise an ApiError for an error, a NoAnswerError for a response that is neither error nor success."""
        if 300 <= self.status < 400:
            reason = "redirected, which giftlib does not follow (the key would go along)"
        elif self.status >= 400 or self.fields.get("success") is False:
            self._raise_api_error()
        elif isinstance(self.fields.get("data"), dict):
            return
        else:
            reason = f"status {self.status} with a response that cannot be read"
        raise NoAnswerError(f"{self.request}: {reason}", status=self.status)

    def _raise_api_error(self) -> NoReturn:
        error = as_dict(self.fields.get("error"))
        code = self.code or _CODE_FOR_STATUS.get(self.status, f"HTTP_{self.status}")
        trace = f" (request {self.request_id})" if self.request_id else ""
        may_hold_cards = self.request.startswith(_WITH_CARDS)
        message = ""
        if not may_hold_cards:
            message = as_text(error.get("message")) or as_text(self.fields.get("message")) or "no explanation given"
            message = f": {message}"
        raise api_error_class(self.status, code)(
            f"{self.request}: {self.status} {code}{message}{trace}",
            status=self.status,
            code=code,
            request_id=self.request_id,
            details=_plain(error.get("details"), texts=not may_hold_cards),
            retry_after=self.retry_after,
        )


def read_response(
    request: str,
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    without_key: Callable[[Any], Any],
    check_time: Callable[[], Any],
    now: datetime,
) -> Response:
    """Return the response to the request, whatever was sent; raise only what `check_time` does."""
    fields = _decode(content, without_key, check_time)
    request_id = as_text(fields.get("requestId")) or as_text(without_key(headers.get("X-Request-Id")))
    names = {name.lower() for name in headers if _HEADER_NAME.fullmatch(name) and without_key(name) == name}
    written = as_time(as_dict(fields.get("meta")).get("timestamp"))  # orders have their times from the same clock
    date = as_http_date(headers.get("Date", "")[:_LONGEST_HEADER])
    time = (written, timedelta(milliseconds=1)) if written else (date, timedelta(seconds=1)) if date else None
    retry_after = _retry_after(headers, date or now)
    return Response(request, status, fields, request_id, retry_after, tuple(sorted(names)), time)


def read(response: Response, parse: Callable[[Response], T]) -> T:
    """Return what `parse` makes of a successful response; raise what another one means.

    Fields that the API does not document may hold codes, so what is raised leaves behind every frame that has them.
    """
    try:
        response.raise_for_error()
        return parse(response)
    except BaseException as error:
        failure = error
    del response
    raise failure.with_traceback(None)


def _normalised_code(code: Any) -> str | None:
    """Return an error's code in capitals and underscores; None if it is not made of words."""
    written = (as_text(code) or "").upper().replace("-", "_")
    return written if re.fullmatch("[A-Z][A-Z_]{0,39}", written) else None


def _plain(details: Any, *, texts: bool) -> Any:
    """Return the details of an error: small numbers by name; the wrong field, or a list of texts, if wanted."""
    if isinstance(details, dict):
        amounts = {
            name: as_amount(item) for name, item in details.items() if as_name(name) and not isinstance(item, str)
        }
        known = {name: amount for name, amount in amounts.items() if amount is not None and abs(amount) < _LARGE}
        field = as_name(details.get("field")) if texts else None
        return known | ({} if field is None else {"field": field})
    return [text for item in as_list(details) if (text := as_text(item))] if texts else None


def _decode(content: bytes, without_key: Callable[[Any], Any], check_time: Callable[[], Any]) -> dict[str, Any]:
    """Return the JSON object, numbers exact, card codes and the key already hidden; {} if there is none.

    Hidden are the fields `value`, `serial` and `cards` of every object at any depth.
    """

    def hidden(fields: dict[str, Any]) -> dict[str, Any]:
        check_time()
        card = as_card(fields)
        fields |= {name: "****" for name in ("value", "serial") if fields.get(name) is not None}
        if card:
            fields["value"] = card
        if fields.get("cards") is not None:
            cards = as_cards(fields["cards"])
            fields["cards"] = "****" if cards is None else cards
        return Fields({without_key(name): without_key(field) for name, field in fields.items()})

    if sum(map(content.count, (b",", b"{", b"["))) > _MOST_VALUES or _levels(content) > _MOST_LEVELS:
        return {}
    try:
        decoded = json.loads(
            content.decode("utf-8-sig"),
            parse_int=partial(_number, int),
            parse_float=partial(_number, Decimal),
            parse_constant=partial(_number, None),
            object_hook=hidden,
        )
    except (ValueError, ArithmeticError):
        return {}
    return as_dict(decoded)


def _levels(content: bytes) -> int:
    brackets = _NO_BRACKETS.sub(b"", content)
    return max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0)


def _number(read: Callable[[str], Any] | None, written: str) -> Any:
    if read is None or len(written) > _LONGEST_NUMBER:
        raise ValueError("not a number that the API sends")
    return read(written)


def _retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that Retry-After asks to wait (RFC 9110, 10.2.3: a number or a date), else None.

    Of several the longest counts. `now` is the response's own Date, if it has one, so that a wrong clock here does not
    matter.
    """
    seconds = []
    for raw in re.split(r"(?<![a-z]), *", headers.get("Retry-After", "")[:_LONGEST_HEADER].strip()):
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", raw):
            seconds.append(float(raw))
        elif (until := as_http_date(raw)) is not None:
            seconds.append(max((until - now).total_seconds(), 0.0))
    return max(seconds, default=None)
