"""Draw the parts of the plots: axes and legend, texts, the curve of an estimate, the censoring intervals below it."""

from typing import Any, Literal

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from giftlib.analysis.fulfilment import FulfilmentCurve

BLUE, ORANGE, GREEN, VERMILLION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
GREY = "0.55"
Style = tuple[str, Any]
"""A colour and a line style."""
GROUPS: list[Style] = [(BLUE, "-"), (VERMILLION, "--"), (GREEN, "-."), (PURPLE, ":"), (ORANGE, (0, (8, 2)))]


def new_axes(height: float = 4.0) -> Axes:
    """Give the axes of a new figure, 9 inches wide."""
    return plt.subplots(figsize=(9, max(height, 2.4)), layout="constrained")[1]


def finish(ax: Axes, grid: Literal["x", "y", "both"]) -> Axes:
    """Add the grid, and the legend beside the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=grid, color="0.9", linewidth=0.8)
    ax.set_axisbelow(True)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False, fontsize=9)
    return ax


def plain(text: Any) -> str:
    """Make a text of the data one that is drawn as it is: no mathematics, on one line, 32 characters at most.

    >>> plain("two\\nlines"), plain("x" * 99)
    ('two\\\\nlines', 'xxxxxxxxxxxxxxxxxxxx…xxxxxxxxxxx')
    """
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(text))
    if len(shown) > 32:
        shown = f"{shown[:20]}…{shown[-11:]}"
    if plt.rcParams["text.parse_math"]:
        shown = shown.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown  # a legend leaves out what begins with an underscore


def band(ax: Axes, estimate: FulfilmentCurve, color: str, right: float) -> None:
    """Fill the 95 % confidence band of the curve, up to `right`."""
    found = estimate.band()
    # Between two of its times the curve lies between its lowest value at the first and its highest at the second.
    x = np.repeat([0, *found["seconds"], right], 2)[1:-1]
    low, high = np.repeat([0, *found["low"]], 2), np.repeat([*found["high"], found["high"].iloc[-1]], 2)
    ax.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0, zorder=1, label="95 % confidence band")


def curve(ax: Axes, estimate: FulfilmentCurve, label: str, style: Style, right: float) -> None:
    """Draw each Turnbull interval as a box, the levels between them, and a dotted line for orders never final."""
    color, line = style
    turnbull = estimate.frame()
    closed = turnbull[np.isfinite(turnbull["to_s"])]
    boxes = [
        [(box.from_s, box.cdf_low), (box.to_s, box.cdf_low), (box.to_s, box.cdf_high), (box.from_s, box.cdf_high)]
        for box in closed.itertuples()
    ]
    faces: dict[str, Any] = {"facecolors": (color, 0.25), "edgecolors": color, "linewidths": 1.4, "linestyles": [line]}
    ax.add_collection(PolyCollection(boxes, **faces, zorder=2, label=label), autolim=False)
    starts, stops = [0, *closed["to_s"]], [*turnbull["from_s"], right][: len(closed) + 1]
    ax.hlines([0, *closed["cdf_high"]], starts, stops, colors=color, linewidth=1.6, linestyles=line, zorder=3)
    if len(closed) < len(turnbull):
        level, start = turnbull["cdf_low"].iloc[-1], turnbull["from_s"].iloc[-1]
        never = f"{1 - level:.1%} not final\nat their last poll"
        ax.hlines(level, start, right, colors=color, linestyles=":", linewidth=2, zorder=3, label=never)


def intervals(ax: Axes, estimate: FulfilmentCurve, color: str, top: float, height: float, right: float) -> None:
    """Draw the censoring intervals, one bar per order (at most 150, evenly chosen); those of open orders are grey."""
    bars = estimate.intervals.sort_values(["done_by_s", "not_done_by_s"])
    shown = bars.loc[np.repeat(bars.index, bars["orders"])]
    shown = shown.iloc[np.linspace(0, len(shown) - 1, min(len(shown), 150)).round().astype(int)]
    ax.hlines(
        top - height * (np.arange(len(shown)) + 0.5) / len(shown),
        shown["not_done_by_s"],
        shown["done_by_s"].clip(upper=right),
        linewidth=min(3, 190 * height / len(shown)),
        colors=[color if final else GREY for final in np.isfinite(shown["done_by_s"])],
    )
