"""Tolerant reading of single values in an answer: each function gives the value, or None if it is no such thing."""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from giftlib.api.validation import check_id

_MOST = 10**12
"""No count of cards and no amount in dinars is as large; what claims to be is not read."""


def as_text(raw: Any) -> str | None:
    """A text as one printable line of at most 200 characters."""
    if not isinstance(raw, str):
        return None
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in raw[:200])).strip()


def as_id(raw: Any) -> str | None:
    """A text that can be asked for as an id."""
    try:
        return check_id("id", raw)
    except ValueError:
        return None


def as_name(raw: Any) -> str | None:
    """A status or the like: up to 40 letters, with underscores, hyphens and spaces between."""
    return raw if isinstance(raw, str) and re.fullmatch(r"[A-Za-z][A-Za-z_ -]{0,39}", raw) else None


def as_amount(raw: Any) -> Decimal | None:
    """A number, or a text that is one, exactly; its size below 10**12, with at most 12 decimals."""
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal | str) or (isinstance(raw, str) and len(raw) > 30):
        return None
    try:
        number = Decimal(raw)
    except InvalidOperation:
        return None
    fits = number.is_finite() and -_MOST < number < _MOST and decimals(number) <= 12
    return number if fits else None


def decimals(number: Decimal) -> int:
    """How many places a finite number is written with behind its point; negative for whole tens and so on."""
    return -int(number.as_tuple().exponent)


def as_count(raw: Any) -> int | None:
    """A whole number from 0 up, however it is written."""
    number = as_amount(raw)
    return int(number) if number is not None and number >= 0 and number == int(number) else None


def as_moment(raw: Any) -> datetime | None:
    """An ISO-8601 time of this century in UTC; one without an offset is taken for UTC."""
    try:
        moment = datetime.fromisoformat(raw)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
    return moment if 2000 <= moment.year < 2100 else None


def as_flag(raw: Any) -> bool | None:
    return raw if isinstance(raw, bool) else None
