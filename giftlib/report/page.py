"""The page: what its template needs beside the notebooks, the figures at its head and the rows of every order."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator
from pygments.formatters import HtmlFormatter

from giftlib.analysis import FulfilmentCurve, dinars
from giftlib.api import FINAL, GiftlibError
from giftlib.report.checks import Head
from giftlib.report.figures import address_of
from giftlib.report.measured import Measured
from giftlib.report.recorded import Recorded
from giftlib.report.section import Section
from giftlib.report.tables import duration, moment, plural, readable, short

MOST = 10_000
"""So many orders are in the page: it opens within 2 s."""
_MOST_ROWS = 50
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


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


def page_of(
    sections: Sequence[Section],
    heads: Sequence[Head],
    recorded: Recorded,
    revision: Mapping[str, Any],
    origin: str,
    style: Style,
    changes: pd.DataFrame | None,
    changed: str,
) -> str:
    """Fill in the page: heads of its sources, its orders, the sections. `origin` says which journal it is made of.

    `changes` are those since an earlier report, and `changed` the same in one line.
    """
    names, measured = {section.name for section in sections}, heads[0].measured

    def linked(link: re.Match[str]) -> str:
        return f'<a href="#{link[1]}">{link[2]}</a>' if link[1] in names else link[2]

    # A link to a notebook leads to its section; one to a notebook that is not on the page stays as text.
    bodies = [re.sub(r'<a href="([^":/]+)\.ipynb">(.*?)</a>', linked, each.body, flags=re.DOTALL) for each in sections]
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined,
        loader=PackageLoader("giftlib", "report"),
    )  # fmt: skip
    environment.filters |= {
        "dinars": dinars, "duration": duration, "moment": moment, "short": short, "plural": plural,
        "grouped": "{:,}".format,
    }  # fmt: skip
    return environment.get_template("page.html.jinja").render(
        sections=[section._replace(body=Markup(body)) for section, body in zip(sections, bodies, strict=True)],
        heads=heads, revision=revision, origin=origin, style=style, changes=changes, changed=changed, FINAL=FINAL,
        all_orders=len(recorded.orders), orders=_orders_shown(recorded.orders), polls=_polls_of(recorded.polls),
        drawn=_read_off(measured.curve), by_status=measured.money.by_status,
        evidence=_evidence(measured), HtmlFormatter=HtmlFormatter,
    )  # fmt: skip


def _orders_shown(orders: pd.DataFrame) -> list[dict[Any, Any]]:
    """Give the rows of the orders; of more than `MOST` those that are open or have problems, and an even sample."""
    if len(orders) > MOST:
        odd = ~orders["status"].isin(FINAL) | (orders["problems"] != "")
        first = np.flatnonzero(odd)[:MOST]
        rest = np.flatnonzero(~odd)
        even = rest[np.linspace(0, len(rest) - 1, MOST - len(first)).round().astype(int)]
        orders = orders.iloc[np.sort(np.concatenate([first, even]))]
    return _rows(orders)


def _rows(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    """Give the rows by the columns' names, with None for what is not known."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def _polls_of(polls: pd.DataFrame) -> dict[tuple[str, str], list[str]]:
    """Put each order's polls in words, by its source and id."""
    found: dict[tuple[str, str], list[str]] = {}
    for poll in _rows(polls[["source", "order_id", "elapsed_s", "sent_at", "outcome", "http_status", "via"]]):
        at = moment(poll["sent_at"]) if poll["elapsed_s"] is None else duration(poll["elapsed_s"])
        status = "" if poll["http_status"] in (None, 200) else f" ({poll['http_status']})"
        said = f"{at}: {poll['outcome']}{status}{', in the list' if poll['via'] == 'list' else ''}"
        found.setdefault((poll["source"], poll["order_id"]), []).append(said)
    return found


def _evidence(measured: Measured) -> dict[str, tuple[str, Markup]]:
    """Give the rows behind the checks that found something, by the id of their place on the page."""
    missed = pd.concat([measured.failed, measured.limited])
    grouped = missed.groupby(["outcome", "http_status"], dropna=False).size().reset_index(name="polls")
    unclear = measured.unclear[["intent", "sent_at", "type_id", "quantity", "state", "source"]]
    found = {
        "mismatches": ("Where account and orders differ", measured.mismatches),
        "failed": ("Polls that returned no status", grouped),
        "unclear": ("Order requests of unknown outcome", unclear),
    }
    return {
        place: (
            name if len(rows) <= _MOST_ROWS else f"{name}: the first {_MOST_ROWS} of {len(rows):,}",
            Markup(readable(rows.iloc[:_MOST_ROWS].to_html(index=False, na_rep="NaN"))),
        )
        for place, (name, rows) in found.items()
        if rows is not None and len(rows)
    }


def _read_off(curve: FulfilmentCurve) -> dict[str, Any]:
    """Read the proportion of final orders, with its band's ends, off the curve: at even steps of a round axis."""
    band = curve.band()
    last = max(band["seconds"][np.isfinite(band["seconds"])], default=0.0)
    ticks = MaxNLocator(7, steps=[1, 2, 5, 10]).tick_values(0, max(last, 1.0))
    at = np.linspace(0, ticks[-1], 161)
    at = at[at <= last]
    estimate, low, high = (np.interp(at, band["seconds"], band[name]) for name in ("estimate", "low", "high"))
    low[0] = estimate[0] = 0.0
    return {"ticks": ticks, "points": list(zip(at, estimate, low, high, strict=True))}


def print_pdf(page: Path) -> Path:
    """Print the page to a PDF beside its folder. Raises GiftlibError, which says how else, if no browser can."""
    folder = page.resolve().parent  # nothing comes into it that its manifest does not list
    pdf, otherwise = folder.with_name(f"{folder.name}.pdf"), f"open {page} in any browser and print it to a file"
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise GiftlibError(f"no Chromium, Chrome or Edge is found for --pdf; {otherwise}")
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        new = Path(profile, "new.pdf")
        options = ["--headless", "--no-pdf-header-footer", f"--user-data-dir={profile}", f"--print-to-pdf={new}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # as in a container, where it refuses otherwise
            options.append("--no-sandbox")
        try:
            subprocess.run([browser, *options, page.resolve().as_uri()], capture_output=True, timeout=300, check=True)
            return Path(shutil.move(new, pdf))
        except (OSError, subprocess.SubprocessError):
            raise GiftlibError(f"{browser} did not print the page; {otherwise}") from None
