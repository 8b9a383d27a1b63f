"""A notebook's pictures: their files, and in words what they show."""

import base64
import re
from collections.abc import Iterator
from html import escape
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib.image import imread

PICTURES = {"image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpg"}
_MOST_WORDS = 500
_SVG = "{http://www.w3.org/2000/svg}"


class Figure(NamedTuple):
    """A picture: its file's name and content, and its description in words."""

    name: str
    content: bytes
    alt: str


def figure_of(name: str, data: str, words: str) -> Figure:
    """Make the figure's file: with its description in it, and without matplotlib's version and the date.

    What the picture itself says (its axes, their ends, its legend and notes) describes it, or else `words`. Raises
    ValueError for what is no picture.
    """
    try:
        if not name.endswith(".svg"):
            content = base64.b64decode(data)
            imread(BytesIO(content), format=name.rpartition(".")[2])
            return Figure(name, content, words)
        svg = re.sub(r"\s*<metadata>.*?</metadata>", "", data, flags=re.DOTALL)
        keeping = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
        said = _said_in(ElementTree.fromstring(svg, keeping))
    except Exception as error:
        raise ValueError(f"the picture cannot be read: {error}") from None
    alt = said or words
    svg = re.sub(r'(?<=[ "])(-?\d+\.\d\d)\d+(?=[ "])', r"\1", svg)  # a hundredth of a point is not seen
    start, end = svg.index("<svg"), svg.index(">", svg.index("<svg")) + 1
    return Figure(name, f"{svg[start:end]}\n <title>{escape(alt)}</title>{svg[end:]}".encode(), alt)


def embedded(figure: Figure, mime: str) -> Markup:
    """Give the figure as an element of the page."""
    if mime == "image/svg+xml":
        data = "," + quote(figure.content.decode().replace('"', "'"), safe=" !'()*+,-./:;=?@[]_~&<>\n")
        data = re.sub(r"\s+", " ", data).replace("&", "%26")
    else:
        data = ";base64," + base64.b64encode(figure.content).decode()
    return Markup('<figure class="scroll" tabindex="0"><img alt="{}" src="data:{}{}"></figure>').format(
        figure.alt, mime, data
    )


def _said_in(picture: ElementTree.Element) -> str:
    """Put in words what matplotlib wrote: it keeps each text of the picture as a comment beside its outlines."""
    axes = [group for group in picture.iter(f"{_SVG}g") if group.get("id", "").startswith("axes_")]
    said = " ".join(sentence for each in axes for sentence in _said_in_axes(each))
    return said if len(said) <= _MOST_WORDS else f"{said[:_MOST_WORDS].rpartition(' ')[0]} …"


def _said_in_axes(axes: ElementTree.Element) -> Iterator[str]:
    parts: dict[str, list[ElementTree.Element]] = {}
    for part in axes:
        parts.setdefault(re.sub(r"_\d+$", "", part.get("id", "")), []).append(part)
    legend, notes = (_texts(*parts.get(name, [])) for name in ("legend", "text"))
    across, up = (_axis(part) for part in [*axes.iterfind(f"{_SVG}g[@id]")] if "matplotlib.axis" in part.get("id", ""))
    yield f"Across: {across}. Up: {up}."
    if legend:
        yield f"Shown: {', '.join(legend)}."
    if notes:
        yield f"Written beside: {'; '.join(notes)}."


def _axis(part: ElementTree.Element) -> str:
    """Give an axis's name and its first and last tick."""
    ticks = _texts(*(each for each in part if "tick_" in each.get("id", "")))
    name = " ".join(_texts(*(each for each in part if each.get("id", "").startswith("text_"))))
    return ", ".join(filter(None, [name, f"{ticks[0]} to {ticks[-1]}" if ticks else ""])) or "no scale"


def _texts(*parts: ElementTree.Element) -> list[str]:
    """Give the texts drawn in these groups; of one text the lines are together."""
    groups = [group for part in parts for group in part.iter(f"{_SVG}g") if group.get("id", "").startswith("text_")]
    comment: Any = ElementTree.Comment
    lines = [[str(each.text).strip() for each in group.iter(comment)] for group in groups]
    return [" ".join(each) for each in lines if each]
