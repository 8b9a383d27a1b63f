"""The report as HTML: each notebook that was run is a section (prose, code, outputs); the page holds them all."""

import base64
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import mistune
import pandas as pd
from jinja2 import Environment
from markupsafe import Markup
from matplotlib.image import imread
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from giftlib.analysis import dinars, refund_totals, time_to_fulfilment
from giftlib.report.notebooks import cell_number
from giftlib.report.inlining import address_of, not_shown, with_pictures
from giftlib.report.provenance import Source

_PICTURES = {"image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpg"}

_AROUND = {
    "text/html": '<div class="scroll" role="group" aria-label="Table" tabindex="0">{}</div>',
    "text/plain": '<pre class="output">{}</pre>',
}


class Figure(NamedTuple):
    """A picture: its file's name and content, and its description in words."""

    name: str
    content: bytes
    alt: str


class Section(NamedTuple):
    """A notebook in HTML; `headings` are those below the title, each as its id and its text.

    `missing` names what the page cannot show.
    """

    name: str
    title: str
    headings: list[tuple[str, str]]
    body: Markup
    figures: list[Figure]
    missing: list[str]


class Look(NamedTuple):
    """What a page looks like beside its content; `logo` is an address for `src`."""

    title: str = "Gift-card orders"
    logo: str = ""
    code: bool = True

    @classmethod
    def of(cls, title: str, logo: Path | None, *, code: bool) -> "Look":
        """Read the logo's file. Raises ValueError if it is no picture."""
        try:
            return cls(title, "" if logo is None else address_of(logo.read_bytes()), code)
        except ValueError as error:
            raise ValueError(f"argument --logo: {logo} cannot be shown: {error}") from None


def section_of(name: str, notebook: NotebookNode, *, folder: Path = Path(), code: bool = True) -> Section:
    """Convert a notebook that was run; its ids and its figures' file names begin with `name`.

    The last paragraph before a figure describes it. Headings go down by one level, below the page's own. Pictures in
    prose are read from `folder`. What the page cannot show is named in its place. Without `code`, cells are left out.
    """
    headings = _Headings(name)
    prose = mistune.create_markdown(renderer=headings, plugins=["table"])
    figures: list[Figure] = []
    parts: list[Markup] = []
    missing: list[str] = []
    words = name
    for index, cell in enumerate(notebook.cells):
        problems: list[str] = []
        if cell.cell_type == "markdown":
            parts.append(Markup(with_pictures(str(prose(cell.source)), folder, cell.get("attachments", {}), problems)))
            paragraphs = re.findall("<p>.*?</p>", parts[-1], re.DOTALL)
            words = Markup(paragraphs[-1]).striptags() if paragraphs else words
        elif cell.cell_type == "code":
            if code:
                parts.append(Markup(highlight(cell.source, PythonLexer(), HtmlFormatter())))
            for output in cell.outputs:
                try:
                    mime, content = _representation(output)
                    if mime in _PICTURES:
                        figures.append(_figure(f"{name}-{len(figures) + 1}.{_PICTURES[mime]}", content, words))
                        content = _embedded(figures[-1], mime)
                    elif mime == "text/markdown":
                        content = Markup(with_pictures(str(prose(content)), folder, {}, problems))
                    elif mime == "text/html":
                        content = Markup(with_pictures(content, folder, {}, problems))
                        for part in sorted(
                            {*re.findall(r"<(script|iframe|object|embed|video|audio)\b", content, re.I)}
                        ):
                            problems.append(f"a part of this output may not be seen: {part}")
                            content += not_shown(problems[-1])
                    parts.append(Markup(_AROUND.get(mime, "{}")).format(content))
                except Exception as error:
                    problems.append(str(error))
                    parts.append(Markup("<p>{}</p>").format(not_shown(problems[-1])))
        missing += [f"{name}.ipynb, cell {cell_number(notebook, index)}: {problem}" for problem in problems]
    return Section(name, headings.title or name, headings.below, Markup("\n").join(parts), figures, missing)


def section_of_changes(changes: pd.DataFrame) -> Section:
    """Make a section of what changed since an earlier report."""
    row = Markup('<tr><th scope="row">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>')
    rows = Markup("\n").join(row.format(*cells) for cells in changes.itertuples(index=False))
    head = Markup().join(Markup('<th scope="col">{}</th>').format(name) for name in changes)
    table = Markup('<table class="changes">\n<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody>\n</table>')
    words = (
        "“Changed” and “no change shown” are of what depends on chance: it was tested, with p-values that are adjusted "
        "for their number. “Same” and “differs” are facts."
    )
    shown = Markup(_AROUND["text/html"]).format(table.format(head, rows))
    body = Markup("<h2>Compared with an earlier report</h2>\n<p>{}</p>\n{}").format(words, shown)
    return Section("changes", "Compared with an earlier report", [], body, [], [])


class _Headings(mistune.HTMLRenderer):
    """Prose as HTML; the headings are kept for the table of contents."""

    def __init__(self, name: str) -> None:
        super().__init__(escape=False, allow_harmful_protocols=["attachment:"])  # the cell has them
        self._name = name
        self.title = ""
        self.below: list[tuple[str, str]] = []

    def heading(self, text: str, level: int, **_: Any) -> str:
        if not self.title:
            self.title = Markup(text).striptags()
            return f"<h2>{text}</h2>\n"
        place = f"{self._name}-{len(self.below) + 1}"
        self.below.append((place, Markup(text).striptags()))
        return f'<h{min(level + 1, 6)} id="{escape(place)}">{text}</h{min(level + 1, 6)}>\n'


def _representation(output: NotebookNode) -> tuple[str, str]:
    """The best of an output's representations: its type and its content."""
    if output.output_type == "stream":
        return "text/plain", _printable(output.text)
    if output.output_type == "error":  # of a cell that may fail
        return "text/plain", _printable(f"{output.ename}: {output.evalue}")
    data = output.get("data", {})
    for mime in _PICTURES:
        if mime in data:
            return mime, data[mime]
    if "text/html" in data:
        return "text/html", re.sub(r"<style scoped>.*?</style>\s*", "", data["text/html"], flags=re.DOTALL)
    if "text/markdown" in data:
        return "text/markdown", data["text/markdown"]
    if set(data) != {"text/plain"} or data["text/plain"].startswith("<Figure size"):
        raise ValueError(f"the page cannot show this output: {', '.join(data) or output.output_type}")
    return "text/plain", _printable(data["text/plain"])


def _printable(text: str) -> str:
    """The text without what only a terminal shows: colours, links, and other control characters (ECMA-48)."""
    return re.sub(r"\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b?[\x00-\x08\x0b-\x1f\x7f]", "", text)


def _figure(name: str, data: str, alt: str) -> Figure:
    """The figure with its description in it, and without matplotlib's version and the date."""
    try:
        if not name.endswith(".svg"):
            content = base64.b64decode(data)
            imread(BytesIO(content), format=name.rpartition(".")[2])
            return Figure(name, content, alt)
        svg = re.sub(r"\s*<metadata>.*?</metadata>", "", data, flags=re.DOTALL)
        ElementTree.fromstring(svg)
    except Exception as error:
        raise ValueError(f"the picture cannot be read: {error}") from None
    start, end = svg.index("<svg"), svg.index(">", svg.index("<svg")) + 1
    return Figure(name, f"{svg[start:end]}\n <title>{escape(alt)}</title>{svg[end:]}".encode(), alt)


def _embedded(figure: Figure, mime: str) -> Markup:
    return Markup('<figure class="scroll" tabindex="0"><img alt="{}" src="data:{};base64,{}"></figure>').format(
        figure.alt, mime, base64.b64encode(figure.content).decode()
    )


def head_of(source: Source) -> dict[str, Any]:
    """Compute what the head of the page says of a source. Raises ValueError for ill-typed orders."""
    curve = time_to_fulfilment(source.orders)
    return {
        "description": source.description,
        "orders": len(source.orders),
        "outcomes": refund_totals(source.orders, by="status")["orders"].to_dict(),
        "totals": refund_totals(source.orders).iloc[0],
        "times": {"median": curve.quantile(0.5), "95th percentile of": curve.quantile(0.95)},
    }


def page_of(
    sections: Sequence[Section], sources: Sequence[dict[str, Any]], journal: str, look: Look, compared: str
) -> str:
    """Fill in the page: the heads of its sources, then the sections. `journal` says which one it was rebuilt from.

    `compared` says in one line what changed since an earlier report.
    """
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files("giftlib.report").joinpath("page.html.jinja").read_text(encoding="utf-8")
    )
    return template.render(
        sections=sections,
        journal=journal,
        sources=sources,
        look=look,
        compared=compared,
        dinars=dinars,
        HtmlFormatter=HtmlFormatter,
    )
