"""Plot journals, frames and curves: each function draws on `ax`, or on a figure of its own, and returns the Axes.

Shape, hatch or line style distinguish things as well as colour does (the palette of Okabe and Ito, safe for the
colour-blind). The axes make room for a legend beside or below the data.
"""

from decimal import localcontext
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from giftlib.analysis import drawing as draw
from giftlib.analysis.accounts import EXACT
from giftlib.analysis.columns import require_columns, require_once, statuses_of
from giftlib.analysis.fulfilment import FulfilmentCurve, time_to_fulfilment
from giftlib.analysis.refunds import dinars, refund_totals
from giftlib.api import FINAL
from giftlib.journal import Journal

_MARKS: dict[str, dict[str, Any]] = {
    "HANDLING": {"marker": "o", "label": "still HANDLING"},
    "FULFILLED": {"marker": "o", "color": draw.GREEN, "label": "FULFILLED"},
    "PARTIALLY_FILLED": {"marker": "s", "color": draw.ORANGE, "label": "PARTIALLY_FILLED"},
    "REFUNDED": {"marker": "v", "color": draw.VERMILLION, "label": "REFUNDED"},
    "": {"marker": "x", "label": "failed poll"},
}
_MONEY = {"charged": (draw.BLUE, None), "refunded": (draw.ORANGE, "////"), "in_flight": (draw.GREY, "....")}
_COUNTED = {"open_orders": "still open", "unknown_amounts": "of unknown amount"}
_SHAPES = "osv^DPX*<>"

MOST_ROWS = 60
"""So many timelines are shown of more, and so many groups with their own totals."""


def plot_poll_timelines(polls: Any, orders: pd.DataFrame | None = None, *, ax: Axes | None = None) -> Axes:
    """Plot every poll of a frame, or of a Journal: one row per order, x the seconds since its placement.

    A hollow circle is a poll that showed HANDLING, a filled mark one with a final status and a shape per outcome, a
    cross any other poll; the legend counts those by HTTP status or error, and has their `Retry-After`. Polls without
    an `elapsed_s` are only counted, below the axis. With `orders`, which a Journal brings, rows are sorted by
    duration, and a bar spans each censoring interval, in which the order became final; for an order that is still
    open it is dotted to the edge. Of more than 60 orders 60 are shown, evenly chosen; the axis says so. Raises
    ValueError if a column or every poll is missing.

    >>> polls = pd.DataFrame({"order_id": ["a", "a"], "elapsed_s": [0, 5], "outcome": ["HANDLING", "FULFILLED"]})
    >>> plot_poll_timelines(polls).get_xlabel()
    'seconds since placement'
    """
    if isinstance(polls, Journal):
        polls, orders = polls.polls(), polls.orders() if orders is None else orders
    require_columns("polls", polls, ["order_id", "elapsed_s", "outcome"])
    if orders is not None:
        require_columns("orders", orders, ["order_id", "not_done_by_s", "done_by_s"])
        require_once("orders", orders)
    if polls.empty:
        raise ValueError("polls must have at least one row, got an empty frame")
    key = [name for name in ("source", "order_id") if name in polls and (orders is None or name in orders)]
    ids: Any = pd.MultiIndex.from_frame(polls[key]).drop_duplicates()
    if orders is not None:
        orders = orders.set_axis(pd.MultiIndex.from_frame(orders[key])).sort_values(["done_by_s", "not_done_by_s"])
        ids = orders.index[orders.index.isin(ids)].append(ids).drop_duplicates()
    count = f"{MOST_ROWS} of {len(ids):,} orders, evenly chosen" if len(ids) > MOST_ROWS else "order"
    ids = ids[np.linspace(0, len(ids) - 1, min(len(ids), MOST_ROWS)).round().astype(int)]
    rows = ids.get_indexer(pd.MultiIndex.from_frame(polls[key]))
    polls, rows = polls[rows >= 0], rows[rows >= 0]
    ax = ax or draw.new_axes(height=1.2 + 0.2 * min(len(ids), 44))
    known = polls["elapsed_s"].dropna()
    left, right = min([*known, 0.0]), max([*known, 0.0]) * 1.05 + 0.5
    if orders is not None:
        seen = orders.assign(row=ids.get_indexer(orders.index)).query("row >= 0")
        is_open = np.isinf(seen["done_by_s"])
        right = max(right, seen["done_by_s"][~is_open].max() * 1.05) if not is_open.all() else right
        for line, width, label, bars in (("-", 5, "interval", seen[~is_open]), (":", 2.5, "still open", seen[is_open])):
            if len(bars):
                style: dict[str, Any] = {"colors": [draw.shade(ax, 0.25)], "linewidth": width, "linestyles": line}
                low, high = bars["not_done_by_s"], bars["done_by_s"].clip(upper=right)
                ax.hlines(bars["row"], low, high, **style, label=label, zorder=1)
    outcomes = statuses_of(polls["outcome"])
    outcomes = outcomes.where(outcomes.isin(_MARKS), "")
    kinds = polls.get("http_status", polls["outcome"]).astype(object)
    kinds = kinds.where(kinds.notna(), polls["outcome"])
    kinds = kinds[outcomes == ""].value_counts()
    failures = [f"{draw.plain(f'{kind:g}' if isinstance(kind, float) else kind)} x {n}" for kind, n in kinds.items()]
    pauses = polls["retry_after_s"][outcomes == ""].dropna() if "retry_after_s" in polls else ()
    failures += [f"Retry-After {pause:g} s" for pause in sorted(set(pauses))[:3]]
    for outcome, mark in _MARKS.items():
        if (shown := (outcomes == outcome).to_numpy(bool)).any():
            if outcome not in FINAL:
                hollow = {"edgecolors": draw.ink(), "facecolors": ax.get_facecolor()}
                failed = {"color": draw.ink(), "label": "\n".join(["failed poll", *failures])}
                mark = mark | (hollow if outcome else failed)
            ax.scatter(polls["elapsed_s"][shown], rows[shown], s=28, linewidths=1.1, zorder=3, **mark)
    ticks = range(0, len(ids), 1 + len(ids) // 41)
    shown_ids = [str(order_id) for *_, order_id in ids[list(ticks)]]
    labels = [draw.plain(order_id if len(order_id) <= 12 else f"…{order_id[-6:]}") for order_id in shown_ids]
    ax.set_yticks(ticks, labels, fontsize=8)
    unknown = len(polls) - len(known)
    note = f"\nnot shown: {unknown} polls of orders whose time of placement is not known" if unknown else ""
    ax.set(xlabel=f"seconds since placement{note}", ylabel=count, ylim=(len(ids) - 0.4, -0.6))
    draw.reach(ax, "x", (left - 0.02 * (right - left), 0), (min([*known[known > 0], right]) / 1.1, 0), (right, 0))
    return draw.finish(ax, grid="x")


def plot_time_to_fulfilment(
    orders: Any,
    *,
    by: str | None = None,
    naive: bool = True,
    label: Any = None,
    color: Any = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot the proportion of orders that are final against the seconds since placement.

    `orders` is what `time_to_fulfilment(orders, by)` takes, or the curve or curves that it gave. The line is the
    estimate, pale around it its 95 % confidence band; it goes on dotted beyond the last poll of orders of which some
    are open. Below the axis are the intervals that it comes from, one bar per order (at most 150 in all, evenly
    chosen), grey for open orders. With `naive`, a dashed step beside a single curve is the proportion that a poll has
    shown final, which is late. Further calls with the same `ax` add curves: give each a `label`, and a `color` if you
    like. No two of 50 curves have the same colour and line style, the last 25 with circles. Raises ValueError for more,
    and what `time_to_fulfilment` raises.

    >>> orders = pd.DataFrame({"not_done_by_s": [0, 5, 5, 10], "done_by_s": [5, 10, 10, 15]})
    >>> plot_time_to_fulfilment(orders, naive=False).get_ylabel()
    'proportion of orders final'
    """
    given = orders.values() if isinstance(orders, dict) and orders else [orders]
    are_curves = all(isinstance(curve, FulfilmentCurve) for curve in given)
    if by is not None and (are_curves or label is not None or color is not None):
        raise ValueError(f"by must be None for a curve, or with label or color, got {by!r}")
    made = orders if are_curves else time_to_fulfilment(orders, by)
    if isinstance(made, dict) and not label is color is None:
        raise ValueError(f"label and color must be None for several curves, got {label!r} and {color!r}")
    curves = made if isinstance(made, dict) else {label: made}
    styles = draw.free_styles(ax, len(curves), color)
    title = f"{getattr(made, 'outcome', None) or 'estimate'}, 95 % band"
    names = [title if group is None else draw.plain(group) for group in curves]
    ax = ax or draw.new_axes(height=max(4.0, 1.0 + 0.2 * len(curves)))
    right = draw.curves(ax, list(zip(curves.values(), names, styles, strict=True)), naive and curves is not made)
    ax.axhline(0, color=draw.ink(), linewidth=0.8)
    ax.set(xlabel="seconds since placement", ylabel="proportion of orders final", ylim=(-0.26, 1.02))
    draw.reach(ax, "x", (0, 0), (right, 0))
    ax.set_yticks([-0.13, *np.linspace(0, 1, 6)], ["intervals", *(f"{percent} %" for percent in range(0, 101, 20))])
    return draw.finish(ax, grid="y")


def plot_refund_totals(orders: Any, *, by: str | list[str] = "status", ax: Axes | None = None) -> Axes:
    """Plot dinars charged, refunded and in flight in each group of `refund_totals(orders, by)`, with the exact totals.

    In flight is what was paid for open orders. Of more than 60 groups the 59 with most money have their own row, and
    the last adds up all others in words. Raises ValueError for no order, and what `refund_totals` raises.

    >>> from giftlib import Sandbox, process_orders
    >>> with Sandbox(seed=1) as sandbox:
    ...     journal = process_orders([("507f1f77bcf86cd799439011", "TEST_REFUND", 2)], client=sandbox.client())
    >>> [text.get_text() for text in plot_refund_totals(journal).texts]
    ['980 refunded']
    """
    totals = refund_totals(orders, by)
    if totals.empty:
        raise ValueError("orders must have at least one row, got an empty frame")
    names = [" / ".join(map(str, key)) if isinstance(key, tuple) else key for key in totals.index]
    totals = totals.set_axis(pd.Index(map(draw.plain, names), dtype=object))
    has_bar = np.ones(min(len(totals), MOST_ROWS))
    if len(totals) > MOST_ROWS:
        has_bar[-1] = 0
        with localcontext(EXACT):
            money = totals[list(_MONEY)].sum(axis=1)
            own = money.rank(method="first", ascending=False).to_numpy() < MOST_ROWS
            totals.loc[f"{(~own).sum()} others"] = totals[~own].sum()
        totals = totals[np.append(own, True)]
    one_line = len(totals) > 20
    given, ax = ax, ax or draw.new_axes(height=1.4 + (0.24 if one_line else 0.5) * len(totals))
    ends, rows = np.zeros(len(totals)), range(len(totals))
    for name, (color, hatch) in _MONEY.items():
        amounts = totals[name].to_numpy(float) * has_bar
        if name != "in_flight" or amounts.any():
            bars: dict[str, Any] = {"height": 0.6, "edgecolor": draw.ink(), "linewidth": 0.6, "hatch": hatch}
            ax.barh(rows, amounts, left=ends, color=color, label=name.replace("_", " "), **bars)
        ends = ends + amounts
    notes = []
    for end, row, (_, group) in zip(ends, rows, totals.iterrows(), strict=True):
        parts = [f"{dinars(group[name])} {name.replace('_', ' ')}" for name in _MONEY if group[name]]
        parts += [f"{group[name]} {text}" for name, text in _COUNTED.items() if group[name]]
        text = (", " if one_line else "\n").join(parts) or "0 charged"
        notes.append(ax.annotate(text, (end, row), (5, 0), textcoords="offset points", va="center", fontsize=8))
    ax.set_yticks(rows, list(totals.index))
    ax.set(xlabel="dinars", ylim=(len(totals) - 0.5, -0.5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    draw.finish(ax, grid="x")
    if given is None:
        ax.get_figure(root=True).draw_without_rendering()  # type: ignore[union-attr]
    # The axis ends where each note has room beside its bar.
    ax.apply_aspect(ax.get_axes_locator()(ax, None))  # type: ignore[arg-type]
    notes_px, all_px = np.array([note.get_window_extent().width + 12 for note in notes]), ax.bbox.width
    ax.xaxis.set_major_locator(MaxNLocator(int(np.clip(all_px // 80, 1, 6)), integer=True))
    draw.reach(ax, "x", (0, 0), (1, 0), (max((ends / (1 - np.minimum(notes_px / all_px, 0.8))).max(), 1.0), 0))
    return ax


def plot_schedule_tradeoff(
    table: pd.DataFrame, *, front: Any = None, label: Any = None, color: Any = None, ax: Axes | None = None
) -> Axes:
    """Plot the trade-off between requests and delay: a point for each row of `table`, named in the legend.

    Its columns are schedule (a name), requests_per_order and mean_delay_s (from the final status to the poll that
    shows it). Nearer to the lower left is better. `front`, with the last two columns, is the line below which no
    schedule can be. Further calls with the same `ax` add points: give each a `label`, to stand before the names, and
    a `color`. Raises ValueError for a missing column or no row.

    >>> table = pd.DataFrame({"schedule": ["every(5)"], "requests_per_order": [4.0], "mean_delay_s": [2.5]})
    >>> plot_schedule_tradeoff(table).get_xlabel()
    'requests per order'
    """
    columns = ["schedule", "requests_per_order", "mean_delay_s"]
    require_columns("table", table, columns)
    if front is not None:
        require_columns("front", front, columns[1:])
    if table.empty:
        raise ValueError("table must have at least one row, got an empty frame")
    ax = ax or draw.new_axes()
    if front is not None:
        best = front.sort_values("requests_per_order")
        line = best["requests_per_order"], best["mean_delay_s"]
        ax.add_artist(Line2D(*line, color=draw.GREY, linewidth=1.2, label="best possible"))  # the points set the limits
    points = table[columns[1:]].to_numpy(float)
    for place, ((x, y), name) in enumerate(zip(points, table["schedule"], strict=True), len(ax.collections)):
        shown = draw.plain(name) if label is None else f"{draw.plain(label)}: {draw.plain(name)}"
        paint = draw.COLORS[(place + place // 10) % 5] if color is None else color
        style: dict[str, Any] = {"marker": _SHAPES[place % 10], "edgecolors": draw.ink(), "linewidths": 0.6}
        ax.scatter([x], [y], s=60, color=paint, zorder=3, label=shown, **style)
    right, top = np.max([np.max(marks.get_offsets(), axis=0) for marks in ax.collections], axis=0)
    least = [min([*values[values > 0], 1.0]) / 1.5 for values in points.T]
    draw.reach(ax, "both", (0, 0), (least[0], least[1]), (max(right, 0.1) * 1.1, max(top, 0.1) * 1.1))
    ax.set(xlabel="requests per order", ylabel="mean delay in seconds")
    return draw.finish(ax, grid="both")
