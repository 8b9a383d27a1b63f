"""Read single values of a response: each function returns the value, or None if it is not of that type."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any

from .validation import check_id

_MOST = 10**12
"""No count of cards and no amount in dinars is as large; what claims to be is not read."""
_DECIMALS, _DECIMALS_OF_FLOATS = 12, 60
_CENTIME, _ROUNDING_ERROR = Decimal("0.01"), Decimal("0.000001")
WIDE = Context(prec=100)
"""Money is computed in this context, whatever precision a program has set for its own numbers."""


def as_text(raw: Any) -> str | None:
    """Return a text as one printable line of at most 200 characters."""
    if not isinstance(raw, str):
        return None
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in raw[:200])).strip()


def as_id(raw: Any) -> str | None:
    """Return a text that can be sent as an id."""
    try:
        return check_id("id", raw)
    except ValueError:
        return None


def as_name(raw: Any) -> str | None:
    """Return a status or the like: up to 40 letters, with underscores, hyphens and spaces between."""
    return raw if isinstance(raw, str) and re.fullmatch(r"[A-Za-z][A-Za-z_ -]{0,39}", raw) else None


def as_amount(raw: Any) -> Decimal | None:
    """Return a number, or a text that is one, exactly; its size below 10**12, with at most 12 decimals, no exponent.

    An amount with the rounding error of binary floats (3978.3900000000003) is read to the centime.
    """
    number = _as_number(raw)
    if number is None:
        return None
    if decimals(number) <= 2:
        return WIDE.plus(number) if decimals(number) >= 0 else WIDE.quantize(number, Decimal(1))
    centimes = number.quantize(_CENTIME, context=WIDE)
    if -_ROUNDING_ERROR < WIDE.subtract(number, centimes) < _ROUNDING_ERROR:
        return WIDE.plus(centimes)
    return number if decimals(number) <= _DECIMALS else None


def _as_number(raw: Any) -> Decimal | None:
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal | str) or (isinstance(raw, str) and len(raw) > 30):
        return None
    try:
        number = Decimal(raw)
    except InvalidOperation:
        return None
    fits = number.is_finite() and -_MOST < number < _MOST and decimals(number) <= _DECIMALS_OF_FLOATS
    return number if fits else None


def decimals(number: Decimal) -> int:
    """Return how many decimals a finite number is written with; negative for whole tens and so on."""
    return -int(number.as_tuple().exponent)


def as_count(raw: Any) -> int | None:
    """Return a whole number from 0 up, however it is written."""
    number = _as_number(raw)
    return int(number) if number is not None and number >= 0 and number == int(number) else None


def as_time(raw: Any, read: Callable[[Any], datetime] = datetime.fromisoformat) -> datetime | None:
    """Return an ISO-8601 time of this century in UTC; a time without an offset is read as UTC."""
    try:
        time = read(raw)
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return time if 2000 <= time.year < 2100 else None


def as_http_date(raw: Any) -> datetime | None:
    """Return a time of this century as headers have it (RFC 9110, 5.6.7), in UTC."""
    return as_time(raw, parsedate_to_datetime)


def as_flag(raw: Any) -> bool | None:
    """Return True or False."""
    return raw if isinstance(raw, bool) else None


def as_dict(raw: Any) -> dict[str, Any]:
    """Return the object, or {} if it is none."""
    return raw if isinstance(raw, dict) else {}


def as_list(raw: Any) -> list[Any]:
    """Return the list, or [] if it is none."""
    return raw if isinstance(raw, list) else []


def as_dicts(raw: Any) -> list[dict[str, Any]]:
    """Return the objects in the list."""
    return [item for item in as_list(raw) if isinstance(item, dict)]
