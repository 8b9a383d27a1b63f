"""Show an object in a notebook: a title and a few facts."""

from collections.abc import Mapping
from html import escape


def as_html(title: str, facts: Mapping[str, object]) -> str:
    """Return a small table of the facts that are known, everything escaped.

    >>> as_html("Order a1", {"status": "REFUNDED", "placed": None}).count("<tr>")
    1
    """
    left = 'style="text-align: left"'
    rows = "".join(
        f"<tr><th {left}>{escape(name)}</th><td {left}>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
        if value is not None
    )
    return f"<div><strong>{escape(title)}</strong><table>{rows}</table></div>"
