"""Pictures in the page itself, which loads nothing: those that notebooks drew, with what they show in words."""

import base64
import re
from collections.abc import Iterator, Mapping
from html import escape, unescape
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib.image import imread

PICTURES = {"image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpg"}
_MOST_WORDS = 500
_SVG = "{http://www.w3.org/2000/svg}"
_BEGINNINGS = {
    b"\x89PNG\r\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp",
}  # fmt: skip


class Figure(NamedTuple):
    """A picture: its file's name and content, and its description in words."""

    name: str
    content: bytes
    alt: str

    @classmethod
    def of(cls, name: str, data: str, words: str) -> "Figure":
        """Make the figure's file: with its description in it, and without matplotlib's version and the date.

        What the picture itself says (its axes, their ends, its legend and notes) describes it, or else `words`. Raises
        ValueError for what is no picture.
        """
        try:
            if not name.endswith(".svg"):
                content = base64.b64decode(data)
                imread(BytesIO(content), format=name.rpartition(".")[2])
                return cls(name, content, words)
            svg = re.sub(r"\s*<metadata>.*?</metadata>", "", data, flags=re.DOTALL)
            keeping = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
            alt = _said_in(ElementTree.fromstring(svg, keeping)) or words
            svg = re.sub(r'(?<=[ "])(-?\d+\.\d\d)\d+(?=[ "])', r"\1", svg)  # a hundredth of a point is not seen
            start, end = svg.index("<svg"), svg.index(">", svg.index("<svg")) + 1
        except Exception as error:
            raise ValueError(f"the picture cannot be read: {error}") from None
        return cls(name, f"{svg[start:end]}\n <title>{escape(alt)}</title>{svg[end:]}".encode(), alt)

    def embedded(self) -> Markup:
        """Give the figure as an element of the page."""
        if self.name.endswith(".svg"):
            data = quote(self.content.decode().replace('"', "'"), safe=" !'()*+,-./:;=?@[]_~&<>\n")
            address = "data:image/svg+xml," + re.sub(r"\s+", " ", data).replace("&", "%26")
        else:
            address = address_of(self.content)
        return Markup('<figure class="scroll" tabindex="0"><img alt="{}" src="{}"></figure>').format(self.alt, address)


def _said_in(picture: ElementTree.Element) -> str:
    """Put in words what matplotlib wrote: it keeps each text of the picture as a comment beside its outlines."""
    axes = [group for group in picture.iter(f"{_SVG}g") if group.get("id", "").startswith("axes_")]
    said = " ".join(sentence for each in axes for sentence in _said_in_axes(each))
    return said if len(said) <= _MOST_WORDS else f"{said[:_MOST_WORDS].rpartition(' ')[0]} …"


def _said_in_axes(axes: ElementTree.Element) -> Iterator[str]:
    for way, axis in zip(("Across", "Up"), _parts(axes, "matplotlib.axis_"), strict=False):  # none where they are off
        yield f"{way}: {_axis(axis)}."
    if legend := _texts(*_parts(axes, "legend_")):
        yield f"Shown: {', '.join(legend)}."
    if notes := _texts(*_parts(axes, "text_")):
        yield f"Written beside: {'; '.join(notes)}."


def _axis(axis: ElementTree.Element) -> str:
    """Give an axis's name and its first and last tick."""
    ticks = _texts(*_parts(axis, "xtick_"), *_parts(axis, "ytick_"))
    name = " ".join(_texts(*_parts(axis, "text_")))
    return ", ".join(filter(None, [name, f"{ticks[0]} to {ticks[-1]}" if ticks else ""])) or "no scale"


def _parts(group: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [part for part in group if part.get("id", "").startswith(kind)]


def _texts(*parts: ElementTree.Element) -> list[str]:
    """Give the texts drawn in these groups; of one text the lines are together."""
    groups = [group for part in parts for group in part.iter(f"{_SVG}g") if group.get("id", "").startswith("text_")]
    comment: Any = ElementTree.Comment
    lines = [[str(each.text).strip() for each in group.iter(comment)] for group in groups]
    return [" ".join(each) for each in lines if each]


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


def with_pictures(html: str, folder: Path, attached: Mapping[str, Mapping[str, str]]) -> Markup:
    """Put each picture that the HTML names into it: files, from `folder` on, and a cell's attachments.

    In the place of one that cannot be shown stands why.
    """

    def inlined(tag: re.Match[str]) -> str:
        source = re.search(r"""\ssrc\s*=\s*(["'])(.*?)\1""", tag[0], re.DOTALL | re.IGNORECASE)
        if source is None or source[2].startswith("data:"):
            return tag[0]
        name = unescape(source[2])
        try:
            content = address_of(_content(name, folder, attached))
        except (OSError, ValueError) as error:
            return not_shown(f"the page cannot show the picture {name}: {getattr(error, 'strerror', None) or error}")
        return tag[0].replace(source[0], f' src="{content}"')

    return Markup(re.sub(r"<img\b[^>]*>", inlined, html, flags=re.IGNORECASE))


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


def problems_in(html: str) -> list[str]:
    """Give what the HTML says that the page cannot show."""
    return [unescape(problem) for problem in re.findall(r'<em class="missing">\[(.*?)\]</em>', html, re.DOTALL)]
