"""Plot the frames: each function draws on `ax`, or on a figure of its own, and returns the Axes.

Shape, hatch or line style distinguish things as well as colour does (the palette of Okabe and Ito, safe for the
colour-blind); the legend stands beside the data.
"""

from itertools import cycle
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from giftlib.analysis import drawing as draw
from giftlib.analysis.columns import orders_frame, require_columns
from giftlib.analysis.fulfilment import FulfilmentCurve, time_to_fulfilment
from giftlib.analysis.refunds import dinars, refund_totals
from giftlib.api import FINAL

_MARKS: dict[str, dict[str, Any]] = {
    "HANDLING": {"marker": "o", "label": "still HANDLING"},
    "FULFILLED": {"marker": "o", "color": draw.GREEN, "label": "FULFILLED"},
    "PARTIALLY_FILLED": {"marker": "s", "color": draw.ORANGE, "label": "PARTIALLY_FILLED"},
    "REFUNDED": {"marker": "v", "color": draw.VERMILLION, "label": "REFUNDED"},
    "": {"marker": "x", "label": "failed poll"},
}
_SHAPES = "osv^DPX*<>"

_OF_A_LETTER = 0.015
"""The part of the width of a plot that a letter of a schedule's name takes."""


def plot_poll_timelines(polls: pd.DataFrame, orders: pd.DataFrame | None = None, *, ax: Axes | None = None) -> Axes:
    """Plot every poll: one row per order, in the order of `polls`, x the seconds since its placement.

    A hollow circle is a poll that showed HANDLING, a filled mark one with a final status and a shape per outcome, a
    cross any other poll. Polls without an `elapsed_s` are only counted, below the axis. With `orders` a bar spans each
    censoring interval, in which the order became final; for an order that is still open it is dotted to the edge.
    Raises ValueError for a missing column or no poll.

    >>> polls = pd.DataFrame({"order_id": ["a", "a"], "elapsed_s": [0, 5], "outcome": ["HANDLING", "FULFILLED"]})
    >>> plot_poll_timelines(polls).get_xlabel()
    'seconds since placement'
    """
    require_columns("polls", polls, ["order_id", "elapsed_s", "outcome"])
    if orders is not None:
        require_columns("orders", orders, ["order_id", "not_done_by_s", "done_by_s"])
    if polls.empty:
        raise ValueError("polls must have at least one row, got an empty frame")
    key = [name for name in ("source", "order_id") if name in polls and (orders is None or name in orders)]
    rows, ids = pd.factorize(pd.MultiIndex.from_frame(polls[key]))
    ax = ax or draw.new_axes(height=min(1.2 + 0.2 * len(ids), 10))
    known = polls["elapsed_s"].dropna()
    left, right = min([*known, 0.0]), max([*known, 0.0]) * 1.05 + 0.5
    if orders is not None:
        seen = orders.assign(row=ids.get_indexer(pd.MultiIndex.from_frame(orders[key]))).query("row >= 0")
        is_open = np.isinf(seen["done_by_s"])
        right = max(right, seen["done_by_s"][~is_open].max() * 1.05) if not is_open.all() else right
        for line, width, label, bars in (("-", 5, "interval", seen[~is_open]), (":", 2.5, "still open", seen[is_open])):
            if len(bars):
                style: dict[str, Any] = {"colors": draw.PALE, "linewidth": width, "linestyles": line, "label": label}
                low, high = bars["not_done_by_s"], bars["done_by_s"].clip(upper=right)
                ax.hlines(bars["row"], low, high, **style, zorder=1)
    outcomes = polls["outcome"].where(polls["outcome"].isin(_MARKS), "")
    size = 28 if len(ids) <= 60 else 10
    for outcome, mark in _MARKS.items():
        if (shown := (outcomes == outcome).to_numpy(bool)).any():
            if outcome not in FINAL:
                hollow = {"edgecolors": draw.ink(), "facecolors": ax.get_facecolor()}
                mark = mark | (hollow if outcome else {"color": draw.ink()})
            ax.scatter(polls["elapsed_s"][shown], rows[shown], s=size, linewidths=1.1, zorder=3, **mark)
    ticks = range(0, len(ids), ceil(len(ids) / 40))
    shown_ids = [str(order_id) for *_, order_id in ids[list(ticks)]]
    labels = [draw.plain(order_id if len(order_id) <= 12 else f"…{order_id[-6:]}") for order_id in shown_ids]
    ax.set_yticks(ticks, labels, fontsize=8)
    unknown = len(polls) - len(known)
    note = f"\nnot shown: {unknown} polls of orders whose time of placement is not known" if unknown else ""
    ax.set(xlabel=f"seconds since placement{note}", ylabel="order", ylim=(len(ids) - 0.4, -0.6))
    ax.set_xlim(left - 0.02 * (right - left), right)
    return draw.finish(ax, grid="x")


def plot_time_to_fulfilment(orders: Any, *, by: str | None = None, naive: bool = True, ax: Axes | None = None) -> Axes:
    """Plot the proportion of orders that are final against the seconds since placement.

    The line is the curve of `time_to_fulfilment(orders, by)`, pale around it its 95 % confidence band, dotted the
    proportion that was final when the watching ended. Below the axis are the intervals that it comes from, one bar per
    order (at most 150, evenly chosen), grey for open orders. With `naive`, and without `by`, a dashed step is the
    proportion that a poll has shown final, which is late. Raises what `time_to_fulfilment` raises.

    >>> orders = pd.DataFrame({"not_done_by_s": [0, 5, 5, 10], "done_by_s": [5, 10, 10, 15]})
    >>> plot_time_to_fulfilment(orders, naive=False).get_ylabel()
    'proportion of orders final'
    """
    orders = orders_frame(orders)
    curves: dict[Any, FulfilmentCurve] = (
        {"": time_to_fulfilment(orders)} if by is None else time_to_fulfilment(orders, by)
    )
    ax = ax or draw.new_axes()
    bounds = np.concatenate([curve.intervals[["low", "high"]].to_numpy() for curve in curves.values()])
    right = float(bounds[np.isfinite(bounds)].max()) * 1.04 or 1.0
    for place, ((group, curve), style) in enumerate(zip(curves.items(), cycle(draw.GROUPS))):
        counted = f"({curve.n} orders,\n{curve.n - curve.n_final} open)"
        name = "estimate, 95 % band\n" if by is None else f"{draw.plain(group)} "
        draw.curve(ax, curve, name + counted, style, right)
        draw.intervals(ax, curve, style[0], -0.03 - 0.22 * place / len(curves), 0.2 / len(curves), right)
    if naive and by is None:
        seen = np.sort(orders["done_by_s"].to_numpy(float))
        seen = seen[np.isfinite(seen)]
        final = np.arange(len(seen) + 1) / len(orders)
        line: dict[str, Any] = {"color": draw.VERMILLION, "linestyle": "--", "linewidth": 1.2, "zorder": 4}
        label = "time of first\nfinal poll (naive)"
        ax.step([0, *seen, right], [*final, final[-1]], where="post", label=label, **line)
    ax.axhline(0, color=draw.ink(), linewidth=0.8)
    ax.set(xlabel="seconds since placement", ylabel="proportion of orders final", xlim=(0, right), ylim=(-0.26, 1.02))
    ax.set_yticks([-0.13, *np.linspace(0, 1, 6)], ["intervals", *(f"{percent} %" for percent in range(0, 101, 20))])
    return draw.finish(ax, grid="y")


def plot_refund_totals(orders: pd.DataFrame, *, by: str | list[str] = "status", ax: Axes | None = None) -> Axes:
    """Plot dinars charged and refunded in each group of `refund_totals(orders, by)`, stacked, beside the exact totals.

    Open orders have no money yet and are only counted. Raises what `refund_totals` raises.

    >>> from giftlib import Sandbox, process_orders
    >>> with Sandbox(seed=1) as sandbox:
    ...     journal = process_orders([("507f1f77bcf86cd799439011", "TEST_REFUND", 2)], client=sandbox.client())
    >>> [text.get_text() for text in plot_refund_totals(journal.orders()).texts]
    ['980 refunded']
    """
    totals = refund_totals(orders, by)
    ax = ax or draw.new_axes(height=min(1.4 + 0.5 * len(totals), 10))
    charged, refunded = totals["charged"].astype(float), totals["refunded"].astype(float)
    rows = range(len(totals))
    bars: dict[str, Any] = {"height": 0.6, "edgecolor": draw.ink(), "linewidth": 0.6}
    ax.barh(rows, charged, color=draw.BLUE, label="charged", **bars)
    ax.barh(rows, refunded, left=charged, color=draw.ORANGE, hatch="////", label="refunded", **bars)
    for row, (_, group) in zip(rows, totals.iterrows(), strict=True):
        parts = [f"{dinars(group[name])} {name}" for name in ("charged", "refunded") if group[name]]
        parts += [f"{group['open_orders']} still open"] if group["open_orders"] else []
        end = (charged.iloc[row] + refunded.iloc[row], row)
        text = "\n".join(parts) or "nothing"
        ax.annotate(text, end, xytext=(5, 0), textcoords="offset points", va="center", fontsize=8)
    names = [" / ".join(map(str, key)) if isinstance(key, tuple) else key for key in totals.index]
    ax.set_yticks(rows, [draw.plain(name) for name in names])
    ax.set(xlabel="dinars", xlim=(0, max([*(charged + refunded), 1]) * 1.3), ylim=(len(totals) - 0.5, -0.5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return draw.finish(ax, grid="x")


def plot_schedule_tradeoff(table: pd.DataFrame, *, front: pd.DataFrame | None = None, ax: Axes | None = None) -> Axes:
    """Plot the trade-off between requests and delay: a labelled point for each row of `table`.

    Its columns are schedule (a name), requests_per_order and mean_delay_s (from the final status to the poll that
    shows it). Nearer to the lower left is better. `front`, with the last two columns, is the line below which no
    schedule can be. Raises ValueError for a missing column.

    >>> table = pd.DataFrame({"schedule": ["every(5)"], "requests_per_order": [4.0], "mean_delay_s": [2.5]})
    >>> plot_schedule_tradeoff(table).get_xlabel()
    'requests per order'
    """
    columns = ["schedule", "requests_per_order", "mean_delay_s"]
    require_columns("table", table, columns)
    if front is not None:
        require_columns("front", front, columns[1:])
    ax = ax or draw.new_axes()
    if front is not None:
        best = front.sort_values("requests_per_order")
        ax.plot(best["requests_per_order"], best["mean_delay_s"], color=draw.GREY, linewidth=1.2, label="best possible")
    limits = {axis: max([*table[axis], 0.1]) for axis in columns[1:]}
    points = table[columns].itertuples(index=False)
    ranks = table["requests_per_order"].rank(method="first")
    for (name, x, y), rank, marker, (color, _) in zip(points, ranks, cycle(_SHAPES), cycle(draw.GROUPS)):
        ax.scatter([x], [y], marker=marker, s=60, color=color, edgecolors=draw.ink(), linewidths=0.6, zorder=3)
        above = rank % 2 or y < limits["mean_delay_s"] / 10  # so that neighbours' names do not overlap
        fits = x / (1.25 * limits["requests_per_order"]) + _OF_A_LETTER * len(draw.plain(name)) < 1
        side, shift = ("left", 8) if fits else ("right", -8)
        offset = (shift, 4 if above else -12)
        ax.annotate(draw.plain(name), (x, y), xytext=offset, textcoords="offset points", fontsize=9, ha=side)
    ax.set(xlim=(0, limits["requests_per_order"] * 1.25), ylim=(0, limits["mean_delay_s"] * 1.15))
    ax.set(xlabel="requests per order", ylabel="mean delay in seconds")
    return draw.finish(ax, grid="both")
