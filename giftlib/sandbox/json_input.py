"""Reads JSON that anyone may have written: in bounded memory, and what is wrong with it is a ValueError of one line."""

import json
from collections.abc import Callable
from contextlib import suppress
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Any


def read_json(content: bytes, number: Callable[[str], Any] = float) -> Any:
    """Give what JSON says, numbers with a fraction or an exponent as `number` reads them."""

    def finite(text: str) -> Any:
        with suppress(ArithmeticError):
            if isfinite(float(text)):
                return number(text)
        raise ValueError("a number is not finite, or has too large an exponent")

    try:
        return json.loads(content, parse_float=finite, parse_constant=finite, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it must be JSON: {error}") from None


def require_regular(path: str | PathLike[str]) -> None:
    """Raise a ValueError if something else than a file is there: reading a pipe or a device may never end."""
    if Path(path).exists() and not Path(path).is_file():
        raise ValueError("it must be a regular file")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return content
