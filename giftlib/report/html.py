"""A notebook that was run, as a chapter of the report's page: prose, code and outputs in plain HTML."""

import base64
import re
from html import escape
from typing import Any, NamedTuple

import mistune
from markupsafe import Markup
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

_PICTURES = {"image/svg+xml": "svg", "image/png": "png"}


class Figure(NamedTuple):
    """A picture: the name of its file, what is in it, and what it shows in words."""

    name: str
    content: bytes
    alt: str


class Chapter(NamedTuple):
    """`headings` are those below the title, each as the id of its place and its text."""

    name: str
    title: str
    headings: list[tuple[str, str]]
    body: Markup
    figures: list[Figure]


def chapter_of(name: str, notebook: NotebookNode) -> Chapter:
    """The chapter of a notebook that was run; `name` begins every id and every file's name of it.

    A figure is told in words by the last paragraph before it. Headings go down by one level, below the page's own.
    """
    headings = _Headings(name)
    prose = mistune.create_markdown(renderer=headings, plugins=["table"])
    figures: list[Figure] = []
    parts: list[Markup] = []
    words = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(Markup(prose(cell.source)))
            paragraphs = re.findall("<p>.*?</p>", parts[-1], re.DOTALL)
            words = Markup(paragraphs[-1]).striptags() if paragraphs else words
        elif cell.cell_type == "code":
            parts.append(Markup(highlight(cell.source, PythonLexer(), HtmlFormatter())))
            for output in cell.outputs:
                picture = _picture_of(output)
                if picture is None:
                    parts.append(_shown(output))
                else:
                    kind, content = picture
                    figures.append(_figure(f"{name}-{len(figures) + 1}.{kind}", content, words or name))
                    parts.append(_embedded(figures[-1]))
    title = headings.title or name
    return Chapter(name, title, headings.below, Markup("\n").join(parts), figures)


class _Headings(mistune.HTMLRenderer):
    """Prose as HTML; the headings are kept for the table of contents."""

    def __init__(self, name: str) -> None:
        super().__init__(escape=False)
        self._name = name
        self.title = ""
        self.below: list[tuple[str, str]] = []

    def heading(self, text: str, level: int, **_: Any) -> str:
        if not self.title:
            self.title = Markup(text).striptags()
            return f"<h2>{text}</h2>\n"
        place = f"{self._name}-{len(self.below) + 1}"
        self.below.append((place, Markup(text).striptags()))
        return f'<h{min(level + 1, 6)} id="{place}">{text}</h{min(level + 1, 6)}>\n'


def _picture_of(output: NotebookNode) -> tuple[str, bytes] | None:
    for mime, kind in _PICTURES.items():
        if mime in output.get("data", {}):
            data = output.data[mime]
            return kind, data.encode() if kind == "svg" else base64.b64decode(data)
    return None


def _figure(name: str, content: bytes, alt: str) -> Figure:
    """The figure with its words in it, and without what tells who made it, when and with which version."""
    if not name.endswith(".svg"):
        return Figure(name, content, alt)
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", content.decode(), flags=re.DOTALL)
    start, end = svg.index("<svg"), svg.index(">", svg.index("<svg")) + 1
    return Figure(name, f"{svg[start:end]}\n <title>{escape(alt)}</title>{svg[end:]}".encode(), alt)


def _embedded(figure: Figure) -> Markup:
    mime = next(mime for mime, kind in _PICTURES.items() if figure.name.endswith(kind))
    data = base64.b64encode(figure.content).decode()
    return Markup('<figure class="scroll" tabindex="0"><img alt="{}" src="data:{};base64,{}"></figure>').format(
        figure.alt, mime, data
    )


def _shown(output: NotebookNode) -> Markup:
    data = output.get("data", {})
    if "text/html" in data:
        table = re.sub(r"<style scoped>.*?</style>\s*", "", data["text/html"], flags=re.DOTALL)
        return Markup('<div class="scroll" role="group" aria-label="Table" tabindex="0">{}</div>').format(Markup(table))
    text = output.text if output.output_type == "stream" else data.get("text/plain", "")
    return Markup('<pre class="output">{}</pre>').format(text)
