"""Check what callers pass in: each function returns the value, or raises a ValueError that says what is accepted."""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, TypeVar

T = TypeVar("T")


def shown(value: object, show: Callable[[Any], str] = repr) -> str:
    """Return how a message repeats what was given: a text that may be a key, where none belongs, is not shown."""
    is_like_key = isinstance(value, str) and re.fullmatch("[!-~]{16,}", value)
    return "a text that may be a key (not shown)" if is_like_key else show(value)


def check_id(name: str, value: Any) -> str:
    """Return an id that can stand as one part of a path."""
    is_text = isinstance(value, str) and value.isprintable()
    if not is_text or not re.fullmatch(r"(?!\.$|.*\.\.)[^\s/\\?#%]{1,100}", value):
        raise ValueError(
            f"{name} must be a text of 1 to 100 printable characters without spaces, slashes, '?', '#', '%' "
            f"or '..', got {value!r}"
        )
    return str(value)


def check_count(name: str, value: Any, *, most: int = 10**9) -> int:
    """Return a whole number from 1 up."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not 1 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 1 to {most}, got {shown(value)}")
    return int(value)


def check_seconds(name: str, value: Any) -> float:
    """Return a finite number of seconds above 0."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not 0 < value <= 1e9:
        raise ValueError(f"{name} must be a finite number of seconds above 0, at most 1e9, got {shown(value)}")
    return float(value)


def check_type(name: str, value: Any, expected: type[T]) -> T:
    """Return an instance of that class."""
    if not isinstance(value, expected):
        article = "an" if expected.__name__[0] in "AEIOU" else "a"
        raise ValueError(f"{name} must be {article} {expected.__name__}, got {shown(value)}")
    return value


def check_callable(name: str, value: Any) -> None:
    """Accept a function, or None."""
    if value is not None and not callable(value):
        raise ValueError(f"{name} must be a function or None, got {shown(value)}")


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return what to add to a message about a misspelt name: the known one that is most like it, if any is.

    >>> did_you_mean("refnded", ["FULFILLED", "REFUNDED"])
    "; did you mean 'REFUNDED'?"
    """
    by_small = {str(one).lower(): one for one in known}
    return "".join(f"; did you mean {by_small[like]!r}?" for like in get_close_matches(str(name).lower(), by_small, 1))
