"""Check what a setting, a field or a parameter of the emulator accepts, and read JSON that anyone may have written."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from decimal import Context, Decimal
from itertools import accumulate
from math import inf, isfinite
from numbers import Real
from os import PathLike
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

LEVELS = 50
EXACT = Context(prec=100)
"""Money is computed in this context, whatever precision a program has set for its own numbers."""


@dataclass(frozen=True)
class Validator:
    """What is accepted, in words and as a test, and which value a JSON value stands for."""

    accepted: str
    accepts: Callable[[Any], bool]
    read: Callable[[Any], Any] = lambda value: value
    choices: tuple[str, ...] = ()

    def or_none(self) -> "Validator":
        """Accept the same, or None."""
        return Validator(
            f"{self.accepted}, or None",
            lambda value: value is None or self.accepts(value),
            lambda value: None if value is None else self.read(value),
            self.choices,
        )

    def check(self, name: str, value: Any) -> None:
        """Raise a ValueError that names the argument and what it accepts, unless the value is accepted."""
        if not self.accepts(value):
            raise ValueError(f"{name} must be {self.accepted}, got {shortened(value)}{_hint(value, self.choices)}")


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """Give the message about a name that is not known."""
    return f"unknown {what} {shortened(name)}; accepted are {', '.join(known)}{_hint(name, known)}"


def _hint(name: object, known: Iterable[str]) -> str:
    from giftlib.api import did_you_mean  # not needed before something is misspelt

    return did_you_mean(name, known)


def checked(default: Any, validator: Validator) -> Any:
    """Declare a field of a dataclass with its default and its validator."""
    given = {"default_factory": dict} if default == {} else {"default": default}
    return field(**given, metadata={"validator": validator})


def check_fields(instance: Any) -> None:
    """Raise a ValueError for the first field of a dataclass whose value its validator does not accept."""
    for declared in fields(instance):
        if "validator" in declared.metadata:
            declared.metadata["validator"].check(declared.name, getattr(instance, declared.name))


def one_of(*choices: str) -> Validator:
    """Accept one of these strings."""
    return Validator(" or ".join(choices), lambda value: value in choices, choices=choices)


def whole_number(least: int, most: float = inf) -> Validator:
    """Accept an int in this range; True and False are none."""
    accepted = f"a whole number from {least} " + ("up" if most == inf else f"to {most}")
    return Validator(accepted, lambda value: type(value) is int and least <= value <= most)


def _in_range(value: Any, least: Any, most: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and bool(least <= value <= most)


def _is_money(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return False
    value = Decimal(value)
    in_range = value.is_finite() and 0 <= value < 10**24 and not value.is_signed()
    return in_range and value == EXACT.quantize(value, Decimal("0.01"))


def _is_seed(value: Any) -> bool:
    if isinstance(value, str):
        return value.encode(errors="ignore").decode() == value  # no half of a surrogate pair
    return isinstance(value, int) or (isinstance(value, float) and isfinite(value))


def _read_seconds(value: Any) -> Any:
    return inf if value == "inf" else float(value) if isinstance(value, Decimal) else value


def _read_money(value: Any) -> Any:
    return Decimal(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,2})?", value) else value


def _read_prices(value: Any) -> Any:
    return {key: _read_money(price) for key, price in value.items()} if isinstance(value, dict) else value


def read_json(content: bytes, number: Callable[[str], Any] = float) -> Any:
    """Give what JSON says, numbers with a fraction or an exponent as `number` reads them.

    ValueError, of one line and in bounded memory, for what is no JSON, and for what this says twice or without end.
    """

    def finite(text: str) -> Any:
        with suppress(ArithmeticError):
            if isfinite(float(text)):
                return number(text)
        raise ValueError("a number is not finite, or has too large an exponent")

    try:
        return load_json(content, parse_float=finite, parse_constant=finite, object_pairs_hook=_distinct)
    except ValueError as error:
        raise ValueError(f"it must be JSON: {error}") from None


def load_json(content: bytes, **how: Any) -> Any:
    """Read JSON as `json.loads` does, but not near the limit of recursion, where any finalizer that runs would fail."""
    brackets = re.sub(rb'"(?:[^"\\]++|\\.)*+"|[^][{}"]++', b"", content, flags=re.DOTALL)
    if max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0) > LEVELS:
        raise ValueError(f"more than {LEVELS} levels")
    return json.loads(content, **how)


def require_regular(path: str | PathLike[str]) -> None:
    """Raise a ValueError if something else than a file is there: reading a pipe or a device may never end."""
    if Path(path).exists() and not Path(path).is_file():
        raise ValueError("it must be a regular file")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return content


FLAG = Validator("True or False", lambda value: isinstance(value, bool))
COUNT = whole_number(1)
QUANTITY = whole_number(1, 10**6)
"""Of cards in an order, of orders in one call, of products: all are shown or kept in memory together."""
PROBABILITY = Validator("a probability from 0 to 1", lambda value: _in_range(value, 0, 1))
ABOVE_ZERO_S = Validator("seconds from 1e-9 to 1e9", lambda value: _in_range(value, 1e-9, 1e9), _read_seconds)
FINITE_S = Validator("seconds from 0 to 1e9", lambda value: _in_range(value, 0, 1e9), _read_seconds)
ANY_S = Validator(
    "seconds from 0 to 1e9 or math.inf",
    lambda value: FINITE_S.accepts(value) or _in_range(value, inf, inf),
    _read_seconds,
)
INSTANCE = Validator(
    "32 hexadecimal digits", lambda value: isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{32}", value))
)
SEED = Validator("a number or a text in Unicode for its state to be kept", _is_seed)
KEY = Validator(
    "a text of 8 to 200 printable ASCII characters without spaces",
    lambda value: isinstance(value, str) and bool(re.fullmatch(r"[!-~]{8,200}", value)),
)
TEXT = Validator("a string that is not empty", lambda value: isinstance(value, str) and value != "")
MONEY = Validator("dinars as int or Decimal, from 0 to below 10**24, with at most two decimals", _is_money, _read_money)
PRICES = Validator(
    f"type ids with {MONEY.accepted}",
    lambda value: (
        isinstance(value, Mapping) and all(isinstance(key, str) and _is_money(price) for key, price in value.items())
    ),
    _read_prices,
)
ADDRESSES = Validator(
    "a tuple of addresses",
    lambda value: isinstance(value, (tuple, list)) and all(isinstance(item, str) for item in value),
    lambda value: tuple(value) if isinstance(value, list) else value,
)
