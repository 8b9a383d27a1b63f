"""Reads a request's body or query; if something is wrong, the ErrorResponse says what."""

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from .json_input import read_json
from .orders import Page, unix_ms
from .responses import ErrorResponse
from .settings import Settings
from .validators import TEXT, whole_number

LARGEST_PAGE = 100


class OrderRequest(NamedTuple):
    """What placeOrder is asked for; `ref` only where the settings have one."""

    product: str
    type: str
    quantity: int
    ref: str | None = None


def invalid(*details: str) -> ErrorResponse:
    """Make the error for a request with these mistakes."""
    return ErrorResponse(400, "ERR_VALIDATION", "Invalid request parameters", list(details))


def read_order_request(body: bytes, settings: Settings) -> OrderRequest:
    """Read the body of placeOrder."""
    try:
        given = read_json(body)
    except ValueError:
        raise invalid("the body must be JSON") from None
    if not isinstance(given, dict):
        raise invalid("the body must be an object")
    by_ref = settings.order_ref == "required"
    texts = ("productId", "typeId", "ref") if by_ref else ("productId", "typeId")
    wrong = [
        f'"{name}" must be a text that is not empty' if name in given else f'"{name}" is required'
        for name in texts
        if not TEXT.accepts(given.get(name))
    ]
    quantity = 1 if by_ref else _as_whole_number(given.get("quantity"), settings)
    if not by_ref and "quantity" not in given:
        wrong.append('"quantity" is required')
    elif not whole_number(1, settings.max_quantity).accepts(quantity):
        wrong.append(f'"quantity" must be an integer from 1 to {settings.max_quantity}')
    if settings.unknown_body_keys == "refused":
        wrong += [f'"{name}" is not allowed' for name in given if name not in (*texts, "quantity")]
    if wrong:
        raise invalid(*wrong)
    return OrderRequest(given["productId"], given["typeId"], quantity, given["ref"] if by_ref else None)


def _as_whole_number(given: Any, settings: Settings) -> Any:
    """The quantity as an int if that is what it means: JSON has one type of number, 2.0 is 2."""
    if isinstance(given, float) and given.is_integer():
        return int(given)
    if settings.text_quantity == "read" and isinstance(given, str) and re.fullmatch("[0-9]{1,9}", given):
        return int(given)
    return given


def read_page(query: str, settings: Settings, *, needs_both_ends: bool) -> Page:
    """Read the query of a list; a time without an offset is UTC (unknown: chosen)."""
    given = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
    wrong, numbers, times = [], [], []
    for name, default, most in (("page", 1, 10**9), ("pageSize", 20, LARGEST_PAGE)):
        text = given.get(name, str(default))
        number = int(text) if re.fullmatch(r"[0-9]{1,10}", text) else 0
        if name == "pageSize" and settings.large_page == "clamped":
            number = min(number, LARGEST_PAGE)
        numbers.append(number)
        if not 1 <= number <= most:
            wrong.append(f'"{name}" must be an integer from 1 to {most}')
    for name in ("from", "to"):
        times.append(_as_ms(given.get(name)))
        if name in given and times[-1] is None:
            wrong.append(f'"{name}" must be a time in ISO 8601')
    if needs_both_ends and ("from" in given) != ("to" in given):
        wrong.append('"from" and "to" must be given together')
    if wrong:
        raise invalid(*wrong)
    return Page(*numbers, *times)


def _as_ms(text: str | None) -> int | None:
    try:
        time = datetime.fromisoformat(text or "")
        return unix_ms(time if time.tzinfo else time.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None
