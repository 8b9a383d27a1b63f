"""Read a compressed response. None is asked for, but some proxies compress all the same."""

import errno
import zlib
from collections.abc import Callable

LARGEST = 10 * 2**20
"""Bytes of a response: a card takes about 75, so each of the 100 orders on a page may have 1,400 cards."""
_STEP = 2**16
_ANY_HEADER, _NO_HEADER = 47, -15
"""zlib's window bits: for gzip or zlib, whichever the content has; for deflate as some servers write it."""


def check_size(size: int) -> None:
    """Raise OSError for a response of more bytes than any has."""
    if size > LARGEST:
        raise OSError(errno.EMSGSIZE, "a response of more than 10 MiB")


def decompressed(content: bytes, encodings: str, check_time: Callable[[], object]) -> bytes:
    """Return the content without the encodings that `Content-Encoding` lists, the last one undone first.

    Any other name in the list, and content that is not as it says, changes nothing. Raise what `check_size` and
    `check_time` do.
    """
    for encoding in reversed(encodings.lower().split(",")):
        if encoding.strip() in ("gzip", "x-gzip", "deflate"):
            inflated = (_inflated(content, bits, check_time) for bits in (_ANY_HEADER, _NO_HEADER))
            content = next(filter(None, inflated), content)
    return content


def _inflated(content: bytes, window_bits: int, check_time: Callable[[], object]) -> bytes:
    """Return the decompressed content, which may have several parts; empty if it is not compressed, or cut."""
    inflated = bytearray()
    while content:
        part = zlib.decompressobj(window_bits)
        while not part.eof:
            check_time()
            try:
                piece = part.decompress(content, _STEP)
            except zlib.error:
                return b""
            if not piece and not part.unconsumed_tail and not part.eof:
                return b""
            inflated += piece
            check_size(len(inflated))
            content = part.unconsumed_tail
        content = part.unused_data
    return bytes(inflated)
