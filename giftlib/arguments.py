"""Checks of what callers pass in: each gives the value back or raises a ValueError that says what is accepted."""

import re
from math import inf
from numbers import Integral, Real
from typing import Any


def check_id(name: str, value: Any) -> str:
    """An id that can stand as one part of a path."""
    if (
        not isinstance(value, str)
        or not re.fullmatch(r"[^\s/\\?#%]{1,100}", value)
        or not value.isprintable()
        or value == "."
        or ".." in value
    ):
        raise ValueError(
            f"{name} must be a text of 1 to 100 printable characters without spaces, slashes, '?', '#', '%' "
            f"or '..', got {value!r}"
        )
    return str(value)


def check_count(name: str, value: Any, *, most: int | None = None) -> int:
    """A whole number from 1 up."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1 or (most is not None and value > most):
        accepted = "from 1 up" if most is None else f"from 1 to {most}"
        raise ValueError(f"{name} must be a whole number {accepted}, got {value!r}")
    return int(value)


def check_seconds(name: str, value: Any) -> float:
    """A finite time above 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < inf:
        raise ValueError(f"{name} must be a finite number of seconds above 0, got {value!r}")
    return float(value)
