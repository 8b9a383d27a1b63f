"""A notebook that was run as a section of the page: prose, folded code, outputs."""

import re
from collections import Counter
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import mistune
from markupsafe import Markup
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from giftlib.report.figures import PICTURES, Figure, not_shown, problems_in, with_pictures
from giftlib.report.selection import cell_number
from giftlib.report.tables import readable

_SCROLLING = Markup('<div class="scroll" role="group" aria-label="{}" tabindex="0">{}</div>')
_OUTPUT = Markup('<pre class="output">{}</pre>')
_CODE = Markup('<details class="code"><summary>Code, {} line{}</summary>\n{}</details>')


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

    def naming(self, problem: str) -> "Section":
        """Give the section with one more problem named at its end."""
        said = Markup("\n<p>{}</p>").format(not_shown(problem))
        return self._replace(body=self.body + said, missing=[*self.missing, problem])


def section_of(name: str, notebook: NotebookNode, *, folder: Path = Path(), code: bool = True) -> Section:
    """Convert a notebook that was run; its ids and its figures' file names begin with `name`.

    A figure without texts of its own is described by the last paragraph before it. Code is folded, and stays on one
    page of paper with its figure and the words before it. Headings go down by one level, below the page's own. Pictures
    in prose are read from `folder`. What the page cannot show is named in its place. Without `code`, it is left out.
    """
    writer = _Writer(name, folder)
    parts: list[Markup] = []
    missing: list[str] = []
    before = Markup("")
    for index, cell in enumerate(notebook.cells):
        new = Markup("")
        if cell.cell_type == "markdown":
            parts.append(before)
            before = new = writer.prose(cell.source, cell.get("attachments", {}))
        elif cell.cell_type == "code":
            drawn = len(writer.figures)
            new = Markup("\n").join(map(writer.output, cell.outputs))
            whole = Markup("\n").join([before, *([_code(cell.source)] if code else []), new])
            if len(writer.figures) > drawn:
                whole = Markup('<div class="whole">{}</div>').format(whole)
            parts.append(whole)
            before = Markup("")
        missing += [f"{name}.ipynb, cell {cell_number(notebook, index)}: {problem}" for problem in problems_in(new)]
    body = Markup("\n").join([*parts, before])
    return Section(name, writer.title or name, writer.headings, body, writer.figures, missing)


class _Writer(mistune.HTMLRenderer):
    """Prose and outputs of one notebook as HTML, in their order; its headings and figures are kept."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(escape=False, allow_harmful_protocols=["attachment:"])  # the cell has them
        self._markdown = mistune.create_markdown(renderer=self, plugins=["table"])
        self._name, self._folder = name, folder
        self.title = ""
        self.headings: list[tuple[str, str]] = []
        self.figures: list[Figure] = []
        self._used: Counter[str] = Counter()
        self._last_paragraph = name
        self._tables = 0

    def table(self, text: str) -> str:
        table = Markup('<table class="wrapped">\n{}</table>\n').format(Markup(text))
        return _SCROLLING.format(f"Table of {self.title or self._name}", table)

    def heading(self, text: str, level: int, **_: Any) -> str:
        words = Markup(text).striptags()
        if not self.title:
            self.title = words
            return f"<h2>{text} {_link(self._name, words)}</h2>\n"
        place = "-".join([self._name, *(re.findall(r"\w+", words.lower()) or ["part"])])
        self._used[place] += 1
        place += f"-{self._used[place]}" if self._used[place] > 1 else ""
        self.headings.append((place, words))
        tag = f"h{min(level + 1, 6)}"
        return f'<{tag} id="{escape(place)}">{text} {_link(place, words)}</{tag}>\n'

    def prose(self, source: str, attached: Mapping[str, Mapping[str, str]]) -> Markup:
        html = with_pictures(str(self._markdown(source)), self._folder, attached)
        if paragraphs := re.findall("<p>.*?</p>", html, re.DOTALL):
            self._last_paragraph = Markup(paragraphs[-1]).striptags()
        return html

    def output(self, output: NotebookNode) -> Markup:
        try:
            return self._best(output)
        except Exception as error:  # whatever there is in what a kernel sent
            return Markup("<p>{}</p>").format(not_shown(str(error)))

    def _best(self, output: NotebookNode) -> Markup:
        """Show the best of an output's representations."""
        if output.output_type == "stream":
            return _OUTPUT.format(_printable(output.text))
        if output.output_type == "error":  # of a cell that may fail
            return _OUTPUT.format(_printable(f"{output.ename}: {output.evalue}"))
        data = output.get("data", {})
        for mime, suffix in PICTURES.items():
            if mime in data:
                name = f"{self._name}-{len(self.figures) + 1}.{suffix}"
                self.figures.append(Figure.of(name, data[mime], self._last_paragraph))
                return self.figures[-1].embedded()
        if "text/html" in data:
            self._tables += 1
            table = re.sub(r"<style scoped>.*?</style>\s*", "", data["text/html"], flags=re.DOTALL)
            label = f"Table {self._tables} of {self.title or self._name}"
            return _SCROLLING.format(label, self._complete(readable(table)))
        if "text/markdown" in data:
            return self._complete(str(self._markdown(data["text/markdown"])))
        if set(data) != {"text/plain"} or data["text/plain"].startswith("<Figure size"):
            raise ValueError(f"the page cannot show this output: {', '.join(data) or output.output_type}")
        return _OUTPUT.format(_printable(data["text/plain"]))

    def _complete(self, html: str) -> Markup:
        """Put the pictures into the HTML, and name behind it what of it may be lost."""
        lost = sorted({*re.findall(r"<(script|iframe|object|embed|video|audio)\b", html, re.IGNORECASE)})
        named = Markup("").join(not_shown(f"a part of this output may not be seen: {part}") for part in lost)
        return with_pictures(html, self._folder, {}) + named


def _link(place: str, words: str) -> str:
    return f'<a class="link" href="#{escape(place)}" aria-label="Link to: {escape(words)}">#</a>'


def _code(source: str) -> Markup:
    lines = source.count("\n") + 1
    shown = highlight(source, PythonLexer(), HtmlFormatter()).replace("<pre>", '<pre tabindex="0">')
    return _CODE.format(lines, "s"[: lines > 1], Markup(shown))


def _printable(text: str) -> str:
    """The text without what only a terminal shows: colours, links, and other control characters (ECMA-48)."""
    return re.sub(r"\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b?[\x00-\x08\x0b-\x1f\x7f]", "", text)
