"""The report as HTML: each notebook that was run is a section (prose, code, outputs); the page holds them all."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import mistune
import pandas as pd
from jinja2 import DictLoader, Environment
from markupsafe import Markup
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from giftlib.analysis import dinars
from giftlib.report.explorer import Explorer
from giftlib.report.figures import PICTURES, Figure, embedded, figure_of
from giftlib.report.inlining import address_of, not_shown, with_pictures
from giftlib.report.notebooks import cell_number
from giftlib.report.tables import readable
from giftlib.report.words import slug

_AROUND = {
    "text/html": '<div class="scroll" role="group" aria-label="{}" tabindex="0">{}</div>',
    "text/plain": '<pre class="output">{1}</pre>',
}
_CODE = Markup('<details class="code"><summary>Code, {} line{}</summary>\n{}</details>')
_MAY_BE_LOST = r"<(script|iframe|object|embed|video|audio)\b"
_PAGE = ("page.html.jinja", "page.css", "page.js")


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


class Style(NamedTuple):
    """What a page looks like beside its content; `logo` is an address for `src`."""

    title: str = "Gift-card orders"
    logo: str = ""
    code: bool = True

    @classmethod
    def of(cls, title: str, logo: Path | None, *, code: bool) -> "Style":
        """Read the logo's file. Raises ValueError if it is no picture."""
        try:
            return cls(title, "" if logo is None else address_of(logo.read_bytes()), code)
        except ValueError as error:
            raise ValueError(f"argument --logo: {logo} cannot be shown: {error}") from None


def section_of(name: str, notebook: NotebookNode, *, folder: Path = Path(), code: bool = True) -> Section:
    """Convert a notebook that was run; its ids and its figures' file names begin with `name`.

    A figure without texts of its own is described by the last paragraph before it. Code is folded, and stays on one
    page of paper with its figure and the words before it. Headings go down by one level, below the page's own. Pictures
    in prose are read from `folder`. What the page cannot show is named in its place. Without `code`, it is left out.
    """
    headings = _Headings(name)
    prose = mistune.create_markdown(renderer=headings, plugins=["table"])
    figures: list[Figure] = []
    parts: list[Markup] = []
    missing: list[str] = []
    words, tables = name, 0
    before = Markup("")
    for index, cell in enumerate(notebook.cells):
        problems: list[str] = []
        if cell.cell_type == "markdown":
            parts.append(before)
            before = Markup(with_pictures(str(prose(cell.source)), folder, cell.get("attachments", {}), problems))
            paragraphs = re.findall("<p>.*?</p>", before, re.DOTALL)
            words = Markup(paragraphs[-1]).striptags() if paragraphs else words
        elif cell.cell_type == "code":
            shown, drawn = [_code(cell.source)] if code else [], len(figures)
            for output in cell.outputs:
                try:
                    mime, content = _representation(output)
                    if mime in PICTURES:
                        figures.append(figure_of(f"{name}-{len(figures) + 1}.{PICTURES[mime]}", content, words))
                        content = embedded(figures[-1], mime)
                    elif mime in ("text/html", "text/markdown"):
                        html = content if mime == "text/html" else str(prose(content))
                        content = Markup(with_pictures(html, folder, {}, problems))
                        for part in sorted({*re.findall(_MAY_BE_LOST, content, re.IGNORECASE)}):
                            problems.append(f"a part of this output may not be seen: {part}")
                            content += not_shown(problems[-1])
                except Exception as error:
                    problems.append(str(error))
                    mime, content = "", Markup("<p>{}</p>").format(not_shown(problems[-1]))
                tables += mime == "text/html"
                label = f"Table {tables} of {headings.title or name}"
                shown.append(Markup(_AROUND.get(mime, "{1}")).format(label, content))
            whole = Markup("\n").join([before, *shown])
            parts.append(Markup('<div class="whole">{}</div>').format(whole) if len(figures) > drawn else whole)
            before = Markup("")
        missing += [f"{name}.ipynb, cell {cell_number(notebook, index)}: {problem}" for problem in problems]
    body = Markup("\n").join([*parts, before])
    return Section(name, headings.title or name, headings.below, body, figures, missing)


def section_of_changes(changes: pd.DataFrame) -> Section:
    """Make a section of what changed since an earlier report."""
    title = "Compared with an earlier report"
    row = Markup('<tr><th scope="row">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>')
    rows = Markup("\n").join(row.format(*cells) for cells in changes.itertuples(index=False))
    head = Markup().join(Markup('<th scope="col">{}</th>').format(name) for name in changes)
    table = Markup('<table class="wrapped">\n<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody>\n</table>')
    words = (
        "“Changed” and “no change shown” are of what depends on chance: it was tested, with p-values that are adjusted "
        "for their number. “Same” and “differs” are facts."
    )
    shown = Markup(_AROUND["text/html"]).format("What changed", table.format(head, rows))
    body = Markup("<h2>{} {}</h2>\n<p>{}</p>\n{}").format(title, Markup(_link("changes", title)), words, shown)
    return Section("changes", title, [], body, [], [])


class _Headings(mistune.HTMLRenderer):
    """Prose as HTML; the headings are kept for the table of contents."""

    def __init__(self, name: str) -> None:
        super().__init__(escape=False, allow_harmful_protocols=["attachment:"])  # the cell has them
        self._name = name
        self.title = ""
        self._used: Counter[str] = Counter()
        self.below: list[tuple[str, str]] = []

    def table(self, text: str) -> str:
        label = f"Table of {escape(self.title or self._name)}"
        return _AROUND["text/html"].format(label, f'<table class="wrapped">\n{text}</table>\n')

    def heading(self, text: str, level: int, **_: Any) -> str:
        words = Markup(text).striptags()
        if not self.title:
            self.title = words
            return f"<h2>{text} {_link(self._name, words)}</h2>\n"
        place = f"{self._name}-{slug(words)}"
        self._used[place] += 1
        place += f"-{self._used[place]}" if self._used[place] > 1 else ""
        self.below.append((place, words))
        tag = f"h{min(level + 1, 6)}"
        return f'<{tag} id="{escape(place)}">{text} {_link(place, words)}</{tag}>\n'


def _code(source: str) -> Markup:
    lines = source.count("\n") + 1
    shown = highlight(source, PythonLexer(), HtmlFormatter()).replace("<pre>", '<pre tabindex="0">')
    return _CODE.format(lines, "s"[: lines > 1], Markup(shown))


def _link(place: str, words: str) -> str:
    return f'<a class="link" href="#{escape(place)}" aria-label="Link to: {escape(words)}">#</a>'


def _representation(output: NotebookNode) -> tuple[str, str]:
    """The best of an output's representations: its type and its content."""
    if output.output_type == "stream":
        return "text/plain", _printable(output.text)
    if output.output_type == "error":  # of a cell that may fail
        return "text/plain", _printable(f"{output.ename}: {output.evalue}")
    data = output.get("data", {})
    for mime in PICTURES:
        if mime in data:
            return mime, data[mime]
    if "text/html" in data:
        table = re.sub(r"<style scoped>.*?</style>\s*", "", data["text/html"], flags=re.DOTALL)
        return "text/html", readable(table)
    if "text/markdown" in data:
        return "text/markdown", data["text/markdown"]
    if set(data) != {"text/plain"} or data["text/plain"].startswith("<Figure size"):
        raise ValueError(f"the page cannot show this output: {', '.join(data) or output.output_type}")
    return "text/plain", _printable(data["text/plain"])


def _printable(text: str) -> str:
    """The text without what only a terminal shows: colours, links, and other control characters (ECMA-48)."""
    return re.sub(r"\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b?[\x00-\x08\x0b-\x1f\x7f]", "", text)


def page_of(
    sections: Sequence[Section],
    heads: Sequence[Mapping[str, Any]],
    explorer: Explorer,
    revision: Mapping[str, Any],
    journal: str,
    style: Style,
    compared: str,
) -> str:
    """Fill in the page: heads of its sources, its orders, the sections. `journal` says which one it is made of.

    `compared` says in one line what changed since an earlier report.
    """
    room = files("giftlib.report")
    names = {section.name for section in sections}
    sections = [section._replace(body=_linked(section.body, names)) for section in sections]
    template = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True,
        loader=DictLoader({name: room.joinpath(name).read_text(encoding="utf-8") for name in _PAGE}),
    ).get_template(_PAGE[0])  # fmt: skip
    return template.render(
        sections=sections, journal=journal, heads=heads, explorer=explorer, revision=revision, dinars=dinars,
        table=_evidence, style=style, compared=compared, HtmlFormatter=HtmlFormatter,
    )  # fmt: skip


def _linked(body: Markup, names: Collection[str]) -> Markup:
    """Let links to notebooks lead to their sections; one to a notebook that is not on the page stays as text."""

    def linked(link: re.Match[str]) -> str:
        return f'<a href="#{link[1]}">{link[2]}</a>' if link[1] in names else link[2]

    return Markup(re.sub(r'<a href="([^":/]+)\.ipynb">(.*?)</a>', linked, body, flags=re.DOTALL))


def _evidence(frame: Any) -> Markup:
    return Markup(readable(frame.to_html(index=False, border=0, na_rep="NaN")))
