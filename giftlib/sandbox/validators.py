"""Check what a setting, a field or a parameter of the emulator accepts, and read JSON that anyone may have written."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field, fields
from decimal import Context, Decimal
from itertools import accumulate
from math import inf, isfinite
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

LEVELS = 50
EXACT = Context(prec=100)
"""Money is computed in this context, whatever precision a program has set for its own numbers."""


@dataclass(frozen=True)
class Validator:
    """What is accepted, in words and as a test; and which plain value another, or one of JSON, stands for."""

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

    def check(self, name: str, value: Any) -> Any:
        """Give the plain value, which JSON can hold; a ValueError, unless it is accepted, names it and what is."""
        if not self.accepts(value):
            from giftlib.api import shown  # not needed before something is wrong

            got = shown(value, shortened)
            raise ValueError(f"{name} must be {self.accepted}, got {got}{_hint(value, self.choices)}")
        return self.read(value)


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    return f"unknown {what} {shortened(name)}; accepted are {', '.join(known) or 'none'}{_hint(name, known)}"


def _hint(name: object, known: Iterable[str]) -> str:
    from giftlib.api import did_you_mean  # not needed before something is misspelt

    return did_you_mean(name, known)


def checked(default: Any, validator: Validator) -> Any:
    """Declare a field of a dataclass with its default and its validator."""
    given = {"default_factory": dict} if default == {} else {"default": default}
    return field(**given, metadata={"validator": validator})


@dataclass(frozen=True)
class Checked:
    """A dataclass of plain values; a ValueError for the first field whose validator does not accept its value."""

    def __post_init__(self) -> None:
        for declared in self._declared():
            value = declared.metadata["validator"].check(declared.name, getattr(self, declared.name))
            object.__setattr__(self, declared.name, value)

    def changes(self) -> dict[str, Any]:
        """Give what differs from the defaults, by name."""
        defaults = {each.name: {} if each.default is MISSING else each.default for each in self._declared()}
        return {name: value for name, default in defaults.items() if (value := getattr(self, name)) != default}

    def to_json(self) -> dict[str, Any]:
        """Give `changes()` as a JSON object: amounts as strings, `math.inf` as "inf"."""
        return {name: _plain(value) for name, value in self.changes().items()}

    @classmethod
    def _declared(cls) -> list[Field[Any]]:
        return [declared for declared in fields(cls) if "validator" in declared.metadata]


def _plain(value: Any) -> Any:
    if isinstance(value, Checked):
        return value.to_json()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Decimal):
        return format(EXACT.normalize(value), "f")
    is_plain = value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))
    return value if is_plain else str(value)


def fits(found: Any, wanted: Any) -> bool:
    """Whether something is what is wanted; an object may have more fields."""
    if isinstance(found, dict) and isinstance(wanted, Mapping):
        return all(key in found and fits(found[key], value) for key, value in wanted.items())
    return bool(found == wanted)


def agree(one: Any, other: Any) -> bool:
    """Whether something can fit both."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return all(agree(one[name], other[name]) for name in one.keys() & other.keys())
    return bool(one == other)


def one_of(*choices: str) -> Validator:
    """Accept one of these strings; a number in JSON stands for its digits."""
    return Validator(
        " or ".join(choices), lambda value: value in choices,
        lambda value: str(value) if type(value) is int else value, choices,
    )  # fmt: skip


def whole_number(least: int, most: float = inf) -> Validator:
    """Accept an int in this range; True and False are none."""
    accepted = f"a whole number from {least} " + ("up" if most == inf else f"to {most}")
    return Validator(accepted, lambda value: _is_whole(value) and least <= value <= most)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _real(accepted: str, least: Any, most: Any, *others: Any) -> Validator:
    """Accept a number in this range, or one of the others."""
    return Validator(
        accepted,
        lambda value: (
            isinstance(value, Real) and not isinstance(value, bool) and (least <= value <= most or value in others)
        ),
        _read_real,
    )


def _read_real(value: Any) -> Any:
    if isinstance(value, str | bool):
        return inf if value == "inf" else value
    return int(value) if isinstance(value, Integral) else float(value) if isinstance(value, Real | Decimal) else value


def by_type_id(item: Validator) -> Validator:
    """Accept a mapping of type ids to what `item` accepts."""
    return Validator(
        f"type ids with {item.accepted}",
        lambda value: (
            isinstance(value, Mapping)
            and all(isinstance(key, str) and item.accepts(each) for key, each in value.items())
        ),
        lambda value: {key: item.read(each) for key, each in value.items()} if isinstance(value, Mapping) else value,
    )


def text(accepted: str, pattern: str) -> Validator:
    """Accept a string of which all matches the pattern."""
    return Validator(accepted, lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value, re.DOTALL)))


def _is_money(value: Any) -> bool:
    if not _is_whole(value) and not isinstance(value, Decimal):
        return False
    value = Decimal(value)
    in_range = value.is_finite() and 0 <= value < 10**24 and not value.is_signed()
    return in_range and value == EXACT.quantize(value, Decimal("0.01"))


def _is_seed(value: Any) -> bool:
    if isinstance(value, str):
        return value.encode(errors="ignore").decode() == value  # no half of a surrogate pair
    return isinstance(value, int) or (isinstance(value, float) and isfinite(value))


def _read_money(value: Any) -> Any:
    return Decimal(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,2})?", value) else value


def read_json(content: bytes, number: Callable[[str], Any] = float) -> Any:
    """Give what JSON says, numbers with a fraction or an exponent as `number` reads them.

    ValueError, of one line and in bounded memory, for what is no JSON, and for what this says twice or without end.
    """

    def finite(text: str) -> Any:
        with suppress(ArithmeticError):
            if isfinite(float(text)):
                return number(text)
        raise ValueError("a number is not finite, or has too large an exponent")

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            raise ValueError("a name stands twice in an object")
        return content

    try:
        return load_json(content, parse_float=finite, parse_constant=finite, object_pairs_hook=distinct)
    except ValueError as error:
        raise ValueError(f"it must be JSON: {error}") from None


def load_json(content: bytes, **how: Any) -> Any:
    """Read JSON as `json.loads` does, but not near the limit of recursion, where any finalizer that runs would fail."""
    brackets = re.sub(rb'"(?:[^"\\]++|\\.)*+"|[^][{}"]++', b"", content, flags=re.DOTALL)
    if max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0) > LEVELS:
        raise ValueError(f"more than {LEVELS} levels")
    return json.loads(content, **how)


def require_file(path: str | PathLike[str], most_bytes: int) -> None:
    """Raise a ValueError if something else is there than a file of this size: a pipe or a device may never end."""
    if Path(path).exists() and not Path(path).is_file():
        raise ValueError("it must be a regular file")
    if Path(path).exists() and Path(path).stat().st_size > most_bytes:
        raise ValueError(f"it has more than {most_bytes} bytes")


FLAG = Validator("True or False", lambda value: isinstance(value, bool))
COUNT = whole_number(1)
QUANTITY = whole_number(1, 10**6)
"""Of cards in an order, of orders in one call, of products: all are shown or kept in memory together."""
PROBABILITY = _real("a probability from 0 to 1", 0, 1)
ABOVE_ZERO_S = _real("seconds from 1e-9 to 1e9", 1e-9, 1e9)
FINITE_S = _real("seconds from 0 to 1e9", 0, 1e9)
ANY_S = _real("seconds from 0 to 1e9 or math.inf", 0, 1e9, inf)
STRING = text("a string", ".*")
TEXT = text("a string that is not empty", ".+")
INSTANCE = text("32 hexadecimal digits", "[0-9a-f]{32}")
KEY = text("a text of 8 to 200 printable ASCII characters without spaces", "[!-~]{8,200}")
SEED = Validator("a number or a text in Unicode for its state to be kept", _is_seed)
MONEY = Validator("dinars as int or Decimal, from 0 to below 10**24, with at most two decimals", _is_money, _read_money)
ADDRESSES = Validator(
    "a tuple of addresses",
    lambda value: isinstance(value, (tuple, list)) and all(isinstance(item, str) for item in value),
    lambda value: tuple(value) if isinstance(value, list) else value,
)
HOSTS = Validator(
    "a tuple of host names, with or without a port",
    lambda value: ADDRESSES.accepts(value) and all(re.fullmatch(r"[^\s/@]+", item) for item in value),
)
