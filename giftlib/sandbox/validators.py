"""Kinds of settings: which values each accepts, and how it reads one from a settings file."""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field
from decimal import Decimal
from math import inf
from numbers import Real
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What a setting accepts, in words and as a test, and what a JSON value stands for."""

    accepted: str
    is_good: Callable[[Any], bool]
    read: Callable[[Any], Any] = lambda value: value

    def or_none(self) -> "Kind":
        """The same, or None."""
        return Kind(
            f"{self.accepted}, or None",
            lambda value: value is None or self.is_good(value),
            lambda value: None if value is None else self.read(value),
        )


def setting(default: Any, kind: Kind, meaning: str) -> Any:
    """A field of the settings: its default, its kind and its meaning with unit and source."""
    given = {"default_factory": dict} if default == {} else {"default": default}
    return field(**given, metadata={"kind": kind, "meaning": " ".join(meaning.split())})


def default_of(declared: Any) -> Any:
    """The default of a dataclass field."""
    return declared.default_factory() if declared.default is MISSING else declared.default


def one_of(*choices: str) -> Kind:
    """One of these texts."""
    return Kind(" or ".join(choices), lambda value: value in choices)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_money(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return False
    value = Decimal(value)
    return value.is_finite() and 0 <= value < _MOST and not value.is_signed() and value == round(value, 2)


def _read_seconds(value: Any) -> Any:
    return inf if value == "inf" else float(value) if isinstance(value, Decimal) else value


def _read_money(value: Any) -> Any:
    return Decimal(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,2})?", value) else value


def _read_prices(value: Any) -> Any:
    return {key: _read_money(price) for key, price in value.items()} if isinstance(value, dict) else value


_MOST = 10**24
_MONEY = "dinars as int or Decimal, from 0 to below 10**24, with at most two decimals"

FLAG = Kind("True or False", lambda value: isinstance(value, bool))
COUNT = Kind("a whole number from 1 up", _is_count)
ABOVE_ZERO_S = Kind("seconds above 0, at most 1e9", lambda value: _is_number(value) and 0 < value <= 1e9, _read_seconds)
FINITE_S = Kind("seconds from 0 to 1e9", lambda value: _is_number(value) and 0 <= value <= 1e9, _read_seconds)
ANY_S = Kind(
    "seconds from 0 to 1e9 or math.inf",
    lambda value: _is_number(value) and (0 <= value <= 1e9 or value == inf),
    _read_seconds,
)
MONEY = Kind(_MONEY, _is_money, _read_money)
PRICES = Kind(
    f"type ids with {_MONEY}",
    lambda value: (
        isinstance(value, Mapping) and all(isinstance(key, str) and _is_money(price) for key, price in value.items())
    ),
    _read_prices,
)
ADDRESSES = Kind(
    "a tuple of addresses",
    lambda value: isinstance(value, (tuple, list)) and all(isinstance(item, str) for item in value),
    lambda value: tuple(value) if isinstance(value, list) else value,
)
