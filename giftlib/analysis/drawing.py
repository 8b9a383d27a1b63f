"""Draw the parts of the plots: axes and legend, texts, the curve of an estimate, the censoring intervals below it."""

from typing import Any, Literal

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from giftlib.analysis.fulfilment import FulfilmentCurve

BLUE, ORANGE, GREEN, VERMILLION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
GREY, PALE = "0.55", "0.8"
"""Seen on white and on black."""
Style = tuple[str, Any]
"""A colour and a line style."""
GROUPS: list[Style] = [(BLUE, "-"), (VERMILLION, "--"), (GREEN, "-."), (PURPLE, ":"), (ORANGE, (0, (8, 2)))]


def new_axes(height: float = 4.0) -> Axes:
    """Give the axes of a new figure, 9 inches wide."""
    return plt.subplots(figsize=(9, max(height, 2.4)), layout="constrained")[1]


def ink() -> Any:
    """Give the colour in which the style in use writes."""
    return plt.rcParams["text.color"]


def finish(ax: Axes, grid: Literal["x", "y", "both"]) -> Axes:
    """Add the grid, and the legend beside the data."""
    ax.spines[["top", "right"]].set_visible(False)
    faint = np.average([to_rgb(ax.get_facecolor()), to_rgb(ink())], axis=0, weights=[0.9, 0.1])
    ax.grid(axis=grid, color=tuple(faint), linewidth=0.8)
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


def curve(ax: Axes, estimate: FulfilmentCurve, label: str, style: Style, right: float) -> None:
    """Draw the curve with its 95 % confidence band, and a dotted line at what was final when the watching ended."""
    color, line = style
    shown = estimate.band()
    seconds = [0.0, *shown["seconds"]]
    low, high = [0.0, *shown["low"]], [shown["high"].iloc[0], *shown["high"]]
    ax.fill_between(seconds, low, high, color=color, alpha=0.15, linewidth=0, zorder=1)
    ax.plot(seconds, [0.0, *shown["estimate"]], color=color, linestyle=line, linewidth=2, zorder=3, label=label)
    if estimate.n_final < estimate.n:
        never = f"{1 - estimate.n_final / estimate.n:.1%} still open\nat their last poll"
        level = shown["estimate"].iloc[-1]
        ax.hlines(level, seconds[-1], right, colors=color, linestyles=":", linewidth=2, zorder=3, label=never)


def intervals(ax: Axes, estimate: FulfilmentCurve, color: str, top: float, height: float, right: float) -> None:
    """Draw the censoring intervals, one bar per order (at most 150, evenly chosen); those of open orders are grey."""
    bars = estimate.intervals.sort_values(["high", "low"])
    shown = bars.loc[np.repeat(bars.index, bars["orders"].astype(int))]
    shown = shown.iloc[np.linspace(0, len(shown) - 1, min(len(shown), 150)).round().astype(int)]
    ax.hlines(
        top - height * (np.arange(len(shown)) + 0.5) / len(shown),
        shown["low"],
        shown["high"].clip(upper=right),
        linewidth=min(3, 190 * height / len(shown)),
        colors=[color if final else GREY for final in np.isfinite(shown["high"])],
    )
