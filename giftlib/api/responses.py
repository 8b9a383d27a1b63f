"""Reading an answer: the envelope or what stands in its place, errors, exact numbers, secrets hidden.

The API's contradictions are tolerated on both sides: fields may be missing or doubly named, codes hyphenated, answers
without an envelope.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, NoReturn

from giftlib.api.errors import NoAnswerError, api_error_class
from giftlib.api.orders import as_card, as_cards
from giftlib.api.parsing import as_amount, as_name, as_text

_CODE_FOR_STATUS = {
    404: "NOT_FOUND",
    413: "PAYLOAD_TOO_LARGE",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
}

_MOST_ROWS = 10_000
_LARGE = 10**9
"""A number as large is no balance and no count; it may be a code."""

_HEADER_NAME = re.compile("(?=.{1,40}$)[A-Za-z]+(-[A-Za-z]+)*")

_WITH_CARDS = ("GET /v3/gift-cards/checkOrder/", "GET /v3/gift-cards/list")
"""Answers that may hold codes; what they say in free text is not repeated."""


class Fields(dict[str, Any]):
    """An object of an answer; it does not show what is in it, which may be a code under a name that nobody knows."""

    def __repr__(self) -> str:
        return f"<{len(self)} fields>"


class Answer(NamedTuple):
    """What an answer told; neither the key nor a card's code can be seen in it."""

    what: str
    status: int
    fields: dict[str, Any]
    request_id: str | None
    retry_after: float | None
    header_names: tuple[str, ...] = ()
    """In small letters and sorted; only names made of words are told."""
    latency_s: float = 0.0
    """Seconds from the sending of the request to the end of the answer."""

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.fields["data"]
        return data

    @property
    def code(self) -> str | None:
        """The error's code as giftlib writes it, in capitals and underscores; None if the answer has none."""
        return _known_form(as_dict(self.fields.get("error")).get("code"))

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The objects in that list of the data; NoAnswerError if there is no such list."""
        if not isinstance(self.data.get(name), list):
            raise NoAnswerError(f"{self.what}: the answer has no list of {name}", status=self.status)
        if len(self.data[name]) > _MOST_ROWS:
            raise NoAnswerError(f"{self.what}: the answer has more than {_MOST_ROWS} {name}", status=self.status)
        return as_dicts(self.data[name])


def read_answer(
    what: str,
    status: int,
    headers: Mapping[str, str],
    content: bytearray,
    *,
    without_key: Callable[[Any], Any],
    now: datetime,
) -> Answer:
    """The answer to the request `what`; never raises, whatever was sent."""
    fields = _decode(content, without_key)
    request_id = as_text(fields.get("requestId")) or as_text(without_key(headers.get("X-Request-Id")))
    names = {name.lower() for name in headers if _HEADER_NAME.fullmatch(name) and without_key(name) == name}
    return Answer(what, status, fields, request_id, _retry_after(headers, now), tuple(sorted(names)))


def raise_for_error(answer: Answer) -> None:
    """Raise what the answer is unless it is a success with data: an ApiError, or a NoAnswerError."""
    what, status = answer.what, answer.status
    if 300 <= status < 400:
        raise NoAnswerError(
            f"{what}: redirected, which giftlib does not follow (the key would go along)", status=status
        )
    if status >= 400 or answer.fields.get("success") is False:
        _raise_api_error(answer)
    if not isinstance(answer.fields.get("data"), dict):
        raise NoAnswerError(f"{what}: status {status} with an answer that cannot be read", status=status)


def _raise_api_error(answer: Answer) -> NoReturn:
    error, status = as_dict(answer.fields.get("error")), answer.status
    code = answer.code or _CODE_FOR_STATUS.get(status, f"HTTP_{status}")
    traced = f" (request {answer.request_id})" if answer.request_id else ""
    may_hold_cards = answer.what.startswith(_WITH_CARDS)
    told = ""
    if not may_hold_cards:
        told = as_text(error.get("message")) or as_text(answer.fields.get("message")) or "no explanation given"
        told = f": {told}"
    raise api_error_class(status, code)(
        f"{answer.what}: {status} {code}{told}{traced}",
        status=status,
        code=code,
        request_id=answer.request_id,
        details=_plain(error.get("details"), texts=not may_hold_cards),
        retry_after=answer.retry_after,
    )


def _known_form(code: Any) -> str | None:
    """An error's code as giftlib writes it: capitals and underscores; None if it is of another kind."""
    written = (as_text(code) or "").upper().replace("-", "_")
    return written if re.fullmatch("[A-Z][A-Z_]{0,39}", written) else None


def _plain(details: Any, *, texts: bool) -> Any:
    """What an error tells in detail: small numbers by name, and a list of texts if they are wanted; nothing deeper."""
    if isinstance(details, dict):
        amounts = {
            name: as_amount(item) for name, item in details.items() if as_name(name) and not isinstance(item, str)
        }
        return {name: amount for name, amount in amounts.items() if amount is not None and abs(amount) < _LARGE}
    return [text for item in as_list(details) if (text := as_text(item))] if texts else None


def _decode(content: bytearray, without_key: Callable[[Any], Any]) -> dict[str, Any]:
    """The JSON object in an answer, numbers exact, card codes and the key already hidden; {} if there is none.

    Hidden are the fields `value`, `serial` and `cards` of every object, wherever it stands.
    """

    def hidden(fields: dict[str, Any]) -> dict[str, Any]:
        card = as_card(fields)
        fields |= {name: "****" for name in ("value", "serial") if fields.get(name) is not None}
        if card:
            fields["value"] = card
        if fields.get("cards") is not None:
            cards = as_cards(fields["cards"])
            fields["cards"] = "****" if cards is None else cards
        return Fields({without_key(name): without_key(field) for name, field in fields.items()})

    try:
        answer = json.loads(
            content.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_refuse_constant, object_hook=hidden
        )
    except (ValueError, ArithmeticError, RecursionError):
        return {}
    return as_dict(answer)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that Retry-After asks to wait (RFC 9110, 10.2.3: a number or a date); None if it makes no sense.

    A date is read against the answer's own Date, so that a wrong clock here does not matter.
    """
    raw = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", raw):
        return float(raw)
    until = _http_date(raw)
    if until is None:
        return None
    return max((until - (_http_date(headers.get("Date", "")) or now)).total_seconds(), 0.0)


def _http_date(raw: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(raw)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def as_dict(raw: Any) -> dict[str, Any]:
    """The object, or {} if it is none."""
    return raw if isinstance(raw, dict) else {}


def as_list(raw: Any) -> list[Any]:
    """The list, or [] if it is none."""
    return raw if isinstance(raw, list) else []


def as_dicts(raw: Any) -> list[dict[str, Any]]:
    """The objects in the list."""
    return [item for item in as_list(raw) if isinstance(item, dict)]
