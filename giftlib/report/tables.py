"""Tables of notebooks as people read them: what pandas wrote as HTML, with its numbers, times and ids made plain."""

import re
from contextlib import suppress
from datetime import datetime
from html import escape, unescape
from itertools import count

from giftlib.report.words import moment, short

_CELL = re.compile(r"<(t[dh])((?:\s[^>]*)?)>(.*?)</t[dh]>", re.DOTALL)
_UNNAMED = '<span class="hidden">row</span>'
_NOTHING = {"NaN", "NaT", "None", "<NA>", "nan"}
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?")
_ID = re.compile(r"(?=.*\d)[0-9a-f]{16,}")


def readable(table: str) -> str:
    """Rewrite the body of a pandas table; other HTML stays as it is.

    Numbers stand right, with thousands; a missing value is a dash, infinity its sign. A time is told to the second, a
    long id by its end; both are whole where the mouse is over them.

    >>> readable('<table class="dataframe"><tbody><tr><td>1470</td></tr></tbody></table>')
    '<table class="dataframe"><tbody><tr><td class="number">1,470</td></tr></tbody></table>'
    """
    if 'class="dataframe"' not in table:
        return table
    table = re.sub(r' border="1"| valign="top"| style="text-align: right;"', "", table)
    head, body, rest = table.partition("<tbody>")
    head = _one_row(head)
    names = [unescape(cell[3]) for cell in _CELL.finditer(head.rpartition("<tr")[2])]
    numbers: set[int] = set()

    def row(found: re.Match[str]) -> str:
        cells = list(_CELL.finditer(found[2]))
        first = len(names) - len(cells)  # rows of a table with several index columns may have fewer
        made = [_cell(cell, names[first + at] if 0 <= first + at < len(names) else "", first + at, numbers)
                for at, cell in enumerate(cells)]  # fmt: skip
        return f"{found[1]}{''.join(made)}</tr>"

    written = re.sub(r"(<tr[^>]*>)(.*?)</tr>", row, rest, flags=re.DOTALL)
    return _marked(head, numbers) + body + written


def _cell(cell: re.Match[str], name: str, column: int, numbers: set[int]) -> str:
    tag, attributes, content = cell[1], cell[2], cell[3]
    tag = tag if content else "td"  # nothing is no name
    attributes += ' scope="row"' if tag == "th" else ""
    text = unescape(content)
    if text in _NOTHING:
        return f'<{tag}{attributes} class="none">\u2013</{tag}>'
    if text in ("inf", "-inf"):
        numbers.add(column)
        return f'<{tag}{attributes} class="number">{text.replace("inf", "∞")}</{tag}>'
    if _NUMBER.fullmatch(text) and not name.endswith("id"):
        numbers.add(column)
        return f'<{tag}{attributes} class="number">{_thousands(text)}</{tag}>'
    shown = _shown(text)
    if shown != text:
        return f'<{tag}{attributes} title="{escape(text)}">{escape(shown)}</{tag}>'
    return f"<{tag}{attributes}>{content}</{tag}>"


def _shown(text: str) -> str:
    if _ID.fullmatch(text):
        return short(text)
    if re.match(r"\d{4}-\d\d-\d\d[ T]\d\d:", text):
        with suppress(ValueError):
            return moment(datetime.fromisoformat(text))
    return text


def _thousands(text: str) -> str:
    whole, point, rest = text.partition(".")
    return f"{int(whole):,}{point}{rest}" if re.fullmatch(r"[-+]?\d{4,}", whole) and "e" not in rest else text


def _one_row(head: str) -> str:
    """Put the names of the index, which pandas writes below those of the columns, beside these."""
    rows = [list(_CELL.finditer(row)) for row in head.split("</tr>")[:-1]]
    if len(rows) != 2 or "span" in head or any(above[3] and below[3] for above, below in zip(*rows, strict=True)):
        return head
    cells = [f"<th>{above[3] or below[3]}</th>" for above, below in zip(*rows, strict=True)]
    return f"{head.partition('<tr')[0]}<tr>{''.join(cells)}</tr></thead>"


def _marked(head: str, numbers: set[int]) -> str:
    """Let the names of columns with numbers stand right, as these do; a screen reader needs one for each."""
    before, tr, last = head.rpartition("<tr")
    columns = count()

    def cell(found: re.Match[str]) -> str:
        mark = ' class="number"' if next(columns) in numbers else ""
        return f'<th{found[2]} scope="col"{mark}>{found[3] or _UNNAMED}</th>'

    above = _CELL.sub(lambda found: f"<th{found[2]}>{found[3] or _UNNAMED}</th>", before)
    return above + tr + _CELL.sub(cell, last)
