"""Pictures in the page itself: it loads nothing, neither from the network nor from a folder."""

import base64
import re
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from markupsafe import Markup

_BEGINNINGS = {
    b"\x89PNG\r\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp",
}  # fmt: skip


def address_of(content: bytes) -> str:
    """Give the picture as an address for `src`. Raises ValueError for what is no SVG, PNG, JPEG, GIF or WebP.

    >>> address_of(b"GIF8...")
    'data:image/gif;base64,R0lGOC4uLg=='
    """
    mime = next((mime for beginning, mime in _BEGINNINGS.items() if content.startswith(beginning)), "image/svg+xml")
    try:
        if mime == "image/svg+xml" and not ElementTree.fromstring(content).tag.endswith("svg"):
            raise ValueError
    except (ElementTree.ParseError, ValueError, LookupError):
        raise ValueError("it is no SVG, PNG, JPEG, GIF or WebP") from None
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def with_pictures(html: str, folder: Path, attached: Mapping[str, Mapping[str, str]], problems: list[str]) -> str:
    """Put each picture that the HTML names into it: files, from `folder` on, and a cell's attachments.

    In the place of one that cannot be shown stands why; that is added to `problems`.
    """

    def inlined(tag: re.Match[str]) -> str:
        source = re.search(r"""\ssrc\s*=\s*(["'])(.*?)\1""", tag[0], re.DOTALL | re.IGNORECASE)
        if source is None or source[2].startswith("data:"):
            return tag[0]
        name = unescape(source[2])
        try:
            content = address_of(_content(name, folder, attached))
        except (OSError, ValueError) as error:
            problems.append(f"the page cannot show the picture {name}: {getattr(error, 'strerror', None) or error}")
            return not_shown(problems[-1])
        return tag[0].replace(source[0], f' src="{content}"')

    return re.sub(r"<img\b[^>]*>", inlined, html, flags=re.IGNORECASE)


def _content(name: str, folder: Path, attached: Mapping[str, Mapping[str, str]]) -> bytes:
    scheme, _, path = name.partition(":")
    if scheme == "attachment" and path in attached:
        return base64.b64decode(next(iter(attached[path].values()), ""))
    address = urlsplit(name)
    if address.scheme or address.netloc:
        raise ValueError("it is no local file")
    file = folder / unquote(address.path)
    if not file.is_file():
        raise ValueError("there is no such file")
    return file.read_bytes()


def not_shown(problem: str) -> Markup:
    """Name in the page what it cannot show."""
    return Markup('<em class="missing">[{}]</em>').format(problem)
