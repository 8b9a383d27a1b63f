"""Pictures of the frames: each function draws on `ax`, or on a figure of its own, and returns the Axes.

Told apart by shape, hatch or line style as well as by colour (the palette of Okabe and Ito, safe for the
colour-blind); the legend stands beside the data.
"""

from decimal import Decimal
from itertools import cycle
from math import ceil
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from giftlib.analysis.columns import require_columns
from giftlib.analysis.fulfilment import FulfilmentCurve, time_to_fulfilment
from giftlib.analysis.refunds import refund_totals

BLUE, ORANGE, GREEN, VERMILLION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
GREY = "0.55"
# A band from fewer orders would promise more than it can hold.
FEWEST_FOR_BAND = 30
_LOOKS: dict[str, dict[str, Any]] = {
    "HANDLING": {"marker": "o", "facecolors": "white", "edgecolors": "black", "label": "still HANDLING"},
    "FULFILLED": {"marker": "o", "color": GREEN, "label": "FULFILLED"},
    "PARTIALLY_FILLED": {"marker": "s", "color": ORANGE, "label": "PARTIALLY_FILLED"},
    "REFUNDED": {"marker": "v", "color": VERMILLION, "label": "REFUNDED"},
}
Look = tuple[str, Any]
"""A colour and a line style."""
_GROUPS: list[Look] = [(BLUE, "-"), (VERMILLION, "--"), (GREEN, "-."), (PURPLE, ":"), (ORANGE, (0, (8, 2)))]
_MARKERS = "osv^DPX*<>"


def plot_poll_timelines(polls: pd.DataFrame, orders: pd.DataFrame | None = None, *, ax: Axes | None = None) -> Axes:
    """Every look at every order: one row an order, in the order of `polls`, x the seconds since its placement.

    A hollow circle is a look that said HANDLING, a filled mark the final one with a shape for the outcome, a cross
    any other look. With `orders` a bar spans each bracket, in which the order became final; it is dotted to the edge
    for an order still open. Raises ValueError for a missing column or no poll.
    """
    require_columns("polls", polls, ["order_id", "elapsed_s", "outcome"])
    if orders is not None:
        require_columns("orders", orders, ["order_id", "not_done_by_s", "done_by_s"])
    if polls.empty:
        raise ValueError("polls must have at least one row, got an empty frame")
    rows, ids = pd.factorize(polls["order_id"])
    ax = ax or _axes(height=min(1.2 + 0.2 * len(ids), 10))
    end = polls["elapsed_s"].max() * 1.05 + 0.5
    if orders is not None:
        seen = orders.assign(row=ids.get_indexer(pd.Index(orders["order_id"]))).query("row >= 0")
        is_open = np.isinf(seen["done_by_s"])
        end = max(end, seen["done_by_s"][~is_open].max() * 1.05) if not is_open.all() else end
        styles: list[tuple[Any, float, str, pd.DataFrame]] = [
            ("-", 5, "bracket", seen[~is_open]), (":", 2.5, "open", seen[is_open])
        ]  # fmt: skip
        for line, width, label, bars in styles:
            if len(bars):
                ax.hlines(
                    bars["row"],
                    bars["not_done_by_s"],
                    bars["done_by_s"].clip(upper=end),
                    colors="0.8",
                    linewidth=width,
                    linestyles=line,
                    label=label,
                    zorder=1,
                )
    for outcome, mark in _LOOKS.items():
        _scatter(ax, polls["elapsed_s"], rows, (polls["outcome"] == outcome).to_numpy(), **mark)
    _scatter(
        ax,
        polls["elapsed_s"],
        rows,
        ~polls["outcome"].isin(_LOOKS).to_numpy(),
        marker="x",
        color="black",
        label="failed look",
    )
    ticks = range(0, len(ids), ceil(len(ids) / 40))
    labels = [order if len(order) <= 12 else f"…{order[-6:]}" for order in ids[list(ticks)].astype(str)]
    ax.set_yticks(ticks, labels, fontsize=8)
    ax.set(xlabel="seconds since placement", ylabel="order", xlim=(-0.02 * end, end), ylim=(len(ids) - 0.4, -0.6))
    return _finish(ax, grid="x")


def plot_time_to_fulfilment(
    orders: pd.DataFrame, *, by: str | None = None, naive: bool = True, ax: Axes | None = None
) -> Axes:
    """The share of orders final against the seconds since placement, as far as the looks tell it.

    A box is a class of `time_to_fulfilment(orders, by)`: the curve passes from its lower left
    to its upper right corner, and the data do not say how. Pale behind it the 95 % band, from 30 orders up,
    without `by`; a dotted line at the share that became final, when some orders never did. Under the axis the
    brackets, a bar an order (of at most 150, evenly chosen), grey for open orders. With `naive`, and without `by`,
    a dashed step: the share that a poller has seen final, often mistaken for the curve. Raises what
    `time_to_fulfilment` raises.
    """
    curves: dict[Any, FulfilmentCurve] = (
        {"": time_to_fulfilment(orders)} if by is None else time_to_fulfilment(orders, by)
    )
    ax = ax or _axes()
    finite = [
        end
        for curve in curves.values()
        for column in ("not_done_by_s", "done_by_s")
        for end in curve.brackets[column]
        if np.isfinite(end)
    ]
    end = max(finite) * 1.04 or 1.0
    for place, ((group, curve), look) in enumerate(zip(curves.items(), cycle(_GROUPS))):
        label = (
            "estimate, its path\ninside a box unknown"
            if by is None
            else f"{group} ({curve.n} orders,\n{curve.n - curve.n_final} open)"
        )
        _draw_curve(ax, curve, label, look, end, with_band=by is None and curve.n >= FEWEST_FOR_BAND)
        _draw_brackets(ax, curve, look[0], top=-0.03 - 0.22 * place / len(curves), height=0.2 / len(curves), end=end)
    if naive and by is None:
        seen = np.sort(orders["done_by_s"].to_numpy(float))
        seen = seen[np.isfinite(seen)]
        share = np.arange(len(seen) + 1) / len(orders)
        ax.step(
            [0, *seen, end],
            [*share, share[-1]],
            where="post",
            color=VERMILLION,
            linestyle="--",
            linewidth=1.2,
            label="first final answer,\ntaken for the moment itself",
            zorder=4,
        )
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set(xlabel="seconds since placement", ylabel="share of orders final", xlim=(0, end), ylim=(-0.26, 1.02))
    ax.set_yticks([-0.13, *np.linspace(0, 1, 6)], ["brackets", *(f"{share} %" for share in range(0, 101, 20))])
    return _finish(ax, grid="y")


def plot_refund_totals(orders: pd.DataFrame, *, by: str | list[str] = "status", ax: Axes | None = None) -> Axes:
    """Dinars charged and refunded in each group of `refund_totals(orders, by)`, stacked, the exact totals beside.

    Open orders have no money yet and are only counted. Raises what `refund_totals` raises.
    """
    totals = refund_totals(orders, by)
    ax = ax or _axes(height=min(1.4 + 0.5 * len(totals), 10))
    charged, refunded = totals["charged"].astype(float), totals["refunded"].astype(float)
    rows = range(len(totals))
    ax.barh(rows, charged, height=0.6, color=BLUE, edgecolor="black", linewidth=0.6, label="charged")
    ax.barh(
        rows,
        refunded,
        left=charged,
        height=0.6,
        color=ORANGE,
        edgecolor="black",
        linewidth=0.6,
        hatch="////",
        label="refunded",
    )
    for row, (_, group) in zip(rows, totals.iterrows(), strict=True):
        parts = [f"{dinars(group[kind])} {kind}" for kind in ("charged", "refunded") if group[kind]]
        parts += [f"{group['open_orders']} still open"] if group["open_orders"] else []
        ax.annotate(
            "\n".join(parts) or "nothing",
            (charged.iloc[row] + refunded.iloc[row], row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    ax.set_yticks(rows, [" / ".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in totals.index])
    ax.set(xlabel="dinars", xlim=(0, max([*(charged + refunded), 1]) * 1.3), ylim=(len(totals) - 0.5, -0.5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return _finish(ax, grid="x")


def plot_schedule_tradeoff(table: pd.DataFrame, *, front: pd.DataFrame | None = None, ax: Axes | None = None) -> Axes:
    """What a schedule costs and what it buys: a labelled point for each row of `table`, whose columns are schedule
    (its name), requests_per_order and mean_delay_s (from the final state to the look that saw it). Nearer to the
    lower left is better; `front`, with the last two columns, is drawn as the line below which none can be. Raises
    ValueError for a missing column."""
    columns = ["schedule", "requests_per_order", "mean_delay_s"]
    require_columns("table", table, columns)
    if front is not None:
        require_columns("front", front, columns[1:])
    ax = ax or _axes()
    if front is not None:
        best = front.sort_values("requests_per_order")
        ax.plot(best["requests_per_order"], best["mean_delay_s"], color="0.35", linewidth=1.2, label="best possible")
    points = table[columns].itertuples(index=False)
    ranks = table["requests_per_order"].rank(method="first")
    for (name, x, y), rank, marker, (color, _) in zip(points, ranks, cycle(_MARKERS), cycle(_GROUPS)):
        ax.scatter([x], [y], marker=marker, s=60, color=color, edgecolors="black", linewidths=0.6, zorder=3)
        offset = (8, 4) if rank % 2 else (8, -12)  # so that neighbours' names do not lie on each other
        ax.annotate(str(name), (x, y), xytext=offset, textcoords="offset points", fontsize=9)
    ax.set(
        xlabel="requests per order",
        ylabel="mean delay in seconds",
        xlim=(0, max([*table["requests_per_order"], 0.1]) * 1.25),
        ylim=(0, max([*table["mean_delay_s"], 0.1]) * 1.15),
    )
    return _finish(ax, grid="both")


def _axes(height: float = 4.0) -> Axes:
    return plt.subplots(figsize=(9, max(height, 2.4)), layout="constrained")[1]


def _finish(ax: Axes, grid: Literal["x", "y", "both"]) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=grid, color="0.9", linewidth=0.8)
    ax.set_axisbelow(True)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False, fontsize=9)
    return ax


def _scatter(ax: Axes, x: pd.Series, y: NDArray[Any], chosen: NDArray[np.bool_], **style: Any) -> None:
    if chosen.any():
        ax.scatter(x[chosen], y[chosen], s=28 if y.max() < 60 else 10, linewidths=1.1, zorder=3, **style)


def _draw_curve(ax: Axes, curve: FulfilmentCurve, label: str, look: Look, end: float, with_band: bool) -> None:
    color, line = look
    classes = curve.frame()
    closed = classes[np.isfinite(classes["to_s"])]
    if with_band:
        band = curve.band()
        # Between two ends the curve lies between its lowest value at the first and its highest at the second.
        x = np.repeat([0, *band["seconds"], end], 2)[1:-1]
        ax.fill_between(
            x,
            np.repeat([0, *band["low"]], 2),
            np.repeat([*band["high"], band["high"].iloc[-1]], 2),
            color=color,
            alpha=0.15,
            linewidth=0,
            zorder=1,
            label="95 % band",
        )
    ax.add_collection(
        PolyCollection(
            [
                [(c.from_s, c.cdf_low), (c.to_s, c.cdf_low), (c.to_s, c.cdf_high), (c.from_s, c.cdf_high)]
                for c in closed.itertuples()
            ],
            facecolors=(color, 0.25),
            edgecolors=color,
            linewidths=1.4,
            linestyles=[line],
            zorder=2,
            label=label,
        ),
        autolim=False,
    )
    ax.hlines(
        [0, *closed["cdf_high"]],
        [0, *closed["to_s"]],
        [*classes["from_s"], end][: len(closed) + 1],
        colors=color,
        linewidth=1.6,
        linestyles=line,
        zorder=3,
    )
    if len(closed) < len(classes):
        level = classes["cdf_low"].iloc[-1]
        ax.hlines(
            level,
            classes["from_s"].iloc[-1],
            end,
            colors=color,
            linestyles=":",
            linewidth=2,
            zorder=3,
            label=f"{1 - level:.1%} not final\nwhile looked at",
        )


def _draw_brackets(ax: Axes, curve: FulfilmentCurve, color: str, top: float, height: float, end: float) -> None:
    brackets = curve.brackets.sort_values(["done_by_s", "not_done_by_s"])
    shown = brackets.loc[np.repeat(brackets.index, brackets["orders"])]
    shown = shown.iloc[np.linspace(0, len(shown) - 1, min(len(shown), 150)).round().astype(int)]
    ax.hlines(
        top - height * (np.arange(len(shown)) + 0.5) / len(shown),
        shown["not_done_by_s"],
        shown["done_by_s"].clip(upper=end),
        linewidth=min(3, 190 * height / len(shown)),
        colors=[color if final else GREY for final in np.isfinite(shown["done_by_s"])],
    )


def dinars(amount: Decimal) -> str:
    """An amount as people read it: with centimes or without, never one decimal."""
    return f"{amount:,.0f}" if amount == amount.to_integral_value() else f"{amount:,.2f}"
