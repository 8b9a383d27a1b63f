"""What a request asks for, read from its body or its query; what is wrong with it is a Refusal that names it."""

import json
import re
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from .orders import unix_ms
from .responses import Refusal
from .settings import Settings

LARGEST_PAGE = 100


class Wish(NamedTuple):
    """What a purchase asks for; `ref` only where the settings have one."""

    product: str
    type: str
    quantity: int
    ref: str | None = None


class PageWish(NamedTuple):
    """Page number, page size and the period in milliseconds since 1970."""

    page: int
    size: int
    start_ms: int | None
    end_ms: int | None


def invalid(*details: str) -> Refusal:
    """The refusal of a request that is wrong in these ways."""
    return Refusal(400, "ERR_VALIDATION", "Invalid request parameters", list(details))


def read_wish(body: bytes, settings: Settings) -> Wish:
    """What placeOrder is asked for."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise invalid("the body must be JSON") from None
    if not isinstance(given, dict):
        raise invalid("the body must be an object")
    by_ref = settings.order_ref == "required"
    texts = ("productId", "typeId", "ref") if by_ref else ("productId", "typeId")
    wrong = [
        f'"{name}" must be a text that is not empty' if name in given else f'"{name}" is required'
        for name in texts
        if not isinstance(given.get(name), str) or not given[name]
    ]
    quantity = 1 if by_ref else _as_whole_number(given.get("quantity"), settings)
    if not by_ref and "quantity" not in given:
        wrong.append('"quantity" is required')
    elif type(quantity) is not int or not 1 <= quantity <= settings.max_quantity:
        wrong.append(f'"quantity" must be an integer from 1 to {settings.max_quantity}')
    if settings.unknown_body_keys == "refused":
        wrong += [f'"{name}" is not allowed' for name in given if name not in (*texts, "quantity")]
    if wrong:
        raise invalid(*wrong)
    return Wish(given["productId"], given["typeId"], quantity, given["ref"] if by_ref else None)


def _as_whole_number(given: Any, settings: Settings) -> Any:
    """The quantity as an int if that is what it means: JSON has one kind of number, 2.0 is 2."""
    if isinstance(given, float) and given.is_integer():
        return int(given)
    if settings.text_quantity == "read" and isinstance(given, str) and re.fullmatch("[0-9]{1,9}", given):
        return int(given)
    return given


def read_page(query: str, settings: Settings, *, needs_both_ends: bool) -> PageWish:
    """What a list is asked for; a time without an offset is UTC (unknown: chosen)."""
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
    return PageWish(*numbers, *times)


def _as_ms(text: str | None) -> int | None:
    try:
        moment = datetime.fromisoformat(text or "")
        return unix_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None
