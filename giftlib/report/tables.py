"""Numbers, times, ids and tables as people read them."""

import re
from contextlib import suppress
from datetime import datetime
from math import isfinite
from xml.etree import ElementTree


def duration(seconds: float) -> str:
    """Say how long, to the second; below 10 s to a tenth.

    >>> duration(7.25), duration(29.6), duration(125), duration(3 * 3600 + 59)
    ('7.2 s', '30 s', '2 min 5 s', '3 h 0 min')
    """
    if not isfinite(seconds):
        return "not seen"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def moment(time: datetime) -> str:
    """Say when, to the second.

    >>> moment(datetime(2026, 1, 9, 7, 5, 3))
    '9 Jan 2026, 07:05:03'
    """
    return f"{time.day} {time:%b %Y, %H:%M:%S}"


def short(order_id: str) -> str:
    """Shorten an id to its end, which differs where the beginning is the time.

    >>> short("6901616fe9e88196b4eb64b3"), short("order-7")
    ('…b4eb64b3', 'order-7')
    """
    return f"…{order_id[-8:]}" if len(order_id) > 12 else order_id


def plural(number: int, what: str) -> str:
    """Count things.

    >>> plural(1, "order"), plural(1470, "order")
    ('1 order', '1,470 orders')
    """
    return f"{number:,} {what}{'s' if number > 1 else ''}"


def readable(html: str) -> str:
    """Rewrite the tables of pandas in HTML; all else stays as it is.

    Numbers stand right, with thousands; a missing value is a dash, infinity its sign. A time is told to the second, a
    long id by its end; both are whole where the mouse is over them.

    >>> head, body = "<thead><tr><th>n</th></tr></thead>", "<tbody><tr><td>1470</td></tr></tbody>"
    >>> readable(f'<table class="dataframe">{head}{body}</table>').partition("<tbody>")[2]
    '<tr><td class="number">1,470</td></tr></tbody></table>'
    """
    return re.sub(r'<table[^>]*class="dataframe">.*?</table>', _readable, html, flags=re.DOTALL)


def _readable(found: re.Match[str]) -> str:
    closed = re.sub(r"<((?:br|hr|img)\b[^>]*?)/?>", r"<\1/>", found[0])
    try:
        table = ElementTree.fromstring(closed)
        head, body = table
    except (ElementTree.ParseError, ValueError):  # HTML in its cells that is no XML, or no head
        return found[0].replace(' border="1"', "")
    for element in table.iter():
        for attribute in ("border", "halign", "style", "valign"):
            element.attrib.pop(attribute, None)
    _join_rows(head)
    names = list(head[-1])
    for row in body:  # from the right: rows of a table with several index columns may lack the first cells
        for name, cell in zip(reversed(names), reversed(row), strict=False):
            _rewrite(cell, is_id=(name.text or "").endswith("id"))
            if cell.get("class") == "number":
                name.set("class", "number")
    for name in names:
        name.set("scope", "col")
    for name in head.iter("th"):
        if not name.text:  # a screen reader needs one
            ElementTree.SubElement(name, "span", {"class": "hidden"}).text = "row"
    return ElementTree.tostring(table, "unicode", method="html")


def _join_rows(head: ElementTree.Element) -> None:
    """Put the names of the index, which pandas writes below those of the columns, beside these."""
    if len(head) != 2 or head.find("*/*[@colspan]") is not None:
        return
    names, of_index = head
    if not any(above.text and below.text for above, below in zip(names, of_index, strict=True)):
        for above, below in zip(names, of_index, strict=True):
            above.text = above.text or below.text
        head.remove(of_index)


def _rewrite(cell: ElementTree.Element, *, is_id: bool) -> None:
    text = cell.text or ""
    if not text:
        cell.tag = "td"  # nothing is no name
    if cell.tag == "th":
        cell.set("scope", "row")
    if text in ("NaN", "NaT", "None", "<NA>", "nan"):
        cell.text = "\u2013"
        cell.set("class", "none")
    elif text in ("inf", "-inf"):
        cell.text = text.replace("inf", "∞")
        cell.set("class", "number")
    elif re.fullmatch(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", text) and not is_id:
        cell.text = re.sub(r"^[-+]?\d{4,}(?![\d.]*e)", lambda whole: f"{int(whole[0]):,}", text)
        cell.set("class", "number")
    elif (shown := _shown(text)) != text:
        cell.text = shown
        cell.set("title", text)


def _shown(text: str) -> str:
    if re.fullmatch(r"(?=.*\d)[0-9a-f]{16,}", text):
        return short(text)
    if re.match(r"\d{4}-\d\d-\d\d[ T]\d\d:", text):
        with suppress(ValueError):
            return moment(datetime.fromisoformat(text))
    return text
