"""The account's key: it goes into requests, and is hidden wherever a response repeats it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

_SHORTEST = 8
"""Texts shorter than this are no real keys; looking for them in responses would garble other words."""


class Key:
    """Hold the key where no listing of variables or attributes shows it: in functions."""

    __slots__ = ("headers", "without")

    def __init__(self, key: str) -> None:
        try:
            # Only methods in C, which leave no frame with the key behind when they fail.
            is_key = isinstance(key, str) and key.isascii() and key.isprintable() and " " not in key
            if not is_key or not 0 < len(key) <= 500:
                raise ValueError("api_key must be a text of printable ASCII characters without spaces (not shown)")
            folded = key.encode().lower().replace(b"_", b"-")
        except BaseException:
            del key
            raise
        self.headers: Callable[[], dict[str, str]] = lambda: {"X-Access-Token": key}
        self.without: Callable[[Any], Any] = lambda raw: raw if len(folded) < _SHORTEST else _without(raw, folded)

    def __call__(self, request: Any) -> Any:
        """Add the key to a request, as the `auth` of `requests`."""
        request.headers.update(self.headers())
        return request


def _without(raw: Any, key: bytes) -> Any:
    """Return a text, number or list of a response with the key, in upper or lower case, replaced by `****`."""
    if isinstance(raw, list):
        return [_without(item, key) for item in raw]
    if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal):
        return raw
    text = str(raw)
    if len(text) < len(key):
        return raw
    content = text.encode("utf-8", "surrogatepass")
    # In a time that grows with the text alone, as no regular expression's would.
    around = content.lower().replace(b"_", b"-").split(key)
    if len(around) == 1:
        return raw
    kept, start = [], 0
    for piece in around:
        kept.append(content[start : start + len(piece)])
        start += len(piece) + len(key)
    return b"****".join(kept).decode("utf-8", "surrogatepass")
