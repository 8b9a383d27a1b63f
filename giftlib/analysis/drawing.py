"""Draw the parts of the plots: axes, legend and the room for it, texts, the curve of an estimate, its intervals."""

from typing import Any, Literal

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.container import Container
from matplotlib.legend import Legend
from matplotlib.transforms import Bbox

from giftlib.analysis.fulfilment import FulfilmentCurve

BLUE, ORANGE, GREEN, VERMILLION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
GREY = "0.55"
"""Seen on white and on black."""
COLORS = [BLUE, VERMILLION, GREEN, PURPLE, ORANGE]
_LINES: list[Any] = ["-", "--", "-.", ":", (0, (8, 2))]
_GAP = 8
"""Pixels between a legend and what is beside it."""


class _Room:
    """Place the axes so that legend and labels stay within the part of the figure that was theirs."""

    def __init__(self, ax: Axes, legend: Legend, beside: bool) -> None:
        within: Any = ax.get_axes_locator()
        self._within: Any = within._within if isinstance(within, _Room) else within
        self._legend, self._beside = legend, beside

    def __call__(self, ax: Any, renderer: Any) -> Any:
        box = self._within(ax, renderer) if self._within else ax.get_position(original=True)
        if ax.get_legend() is not self._legend:
            return box
        figure, axes = ax.figure, ax.bbox
        left, bottom = _corner(ax)
        labels = [axis.get_tightbbox(renderer) or axes for axis in (ax.xaxis, ax.yaxis)]
        below, beside = axes.y0 - labels[0].y0, axes.x0 - labels[1].x0
        size = self._legend.get_window_extent(renderer).padded(_GAP / 2)
        width, height = figure.bbox.size
        x0 = max(box.x0, left + (beside + _GAP / 2) / width)
        y0 = max(box.y0, bottom + (below + _GAP / 2) / height) + (0 if self._beside else size.height / height)
        x1, y1 = max(box.x1 - self._beside * size.width / width, x0 + 0.02), max(box.y1, y0 + 0.02)
        at = (1 + _GAP / ((x1 - x0) * width), 1) if self._beside else (0, -(below + _GAP) / ((y1 - y0) * height))
        self._legend.set_bbox_to_anchor(at, ax.transAxes)
        return Bbox.from_extents(x0, y0, x1, y1)


def _corner(ax: Any) -> tuple[float, float]:
    """Give where the neighbours on the left and below end, or the figure; a layout engine does that by itself."""
    spec, engine = ax.get_subplotspec(), ax.get_figure(root=True).get_layout_engine()
    if spec is None or engine is not None:
        return (0.0, 0.0) if engine is None else (-1.0, -1.0)
    _, tops, _, rights = spec.get_gridspec().get_grid_positions(ax.figure)
    return [0.0, *rights][spec.colspan.start], [*tops, 0.0][spec.rowspan.stop]


def new_axes(height: float = 4.0) -> Axes:
    """Give the axes of a new figure, 9 inches wide."""
    return plt.subplots(figsize=(9, max(height, 2.4)), layout="constrained")[1]


def ink() -> Any:
    """Give the colour in which the style in use writes."""
    return plt.rcParams["text.color"]


def shade(ax: Axes, part: float) -> Any:
    """Give the colour of the axes with a part of ink."""
    return tuple(np.average([to_rgb(ax.get_facecolor()), to_rgb(ink())], axis=0, weights=[1 - part, part]))


def finish(ax: Axes, grid: Literal["x", "y", "both"]) -> Axes:
    """Add grid and legend: beside the data, or below if these would keep less than half the width; small if need be."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=grid, color=shade(ax, 0.1), linewidth=0.8)
    ax.set_axisbelow(True)
    if not (entries := len(ax.get_legend_handles_labels()[0])):
        return ax
    cell: Any = ax.get_position(original=True).transformed(ax.figure.transSubfigure)
    left = max(_corner(ax)[0], 0.0) * ax.figure.bbox.width
    axis: Any = ax.yaxis
    for size in range(round(axis.get_ticklabels()[0].get_fontsize()), 3, -1):
        ax.tick_params(axis="y", labelsize=size)
        beside = ax.bbox.x0 - axis.get_tightbbox().x0
        if beside < (cell.x1 - left) / 2:
            break
    box = Bbox.from_extents(max(cell.x0, left + beside), cell.y0, cell.x1, cell.y1)
    spacing: dict[str, Any] = {"borderaxespad": 0, "borderpad": 0, "frameon": False}
    spacing["labelspacing"] = 0.5 if entries <= 8 else 0.3
    for size, right in ((size, right) for size in (9, 8, 7, 6, 5, 4) for right in (True, False)):
        at: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1) if right else (0, -0.2), **spacing}
        one = ax.legend(fontsize=size, **at).get_window_extent()
        columns = int(np.ceil(one.height / box.height) if right else max(box.width // (one.width + 20), 1))
        legend = ax.legend(fontsize=size, ncols=min(columns, entries), **at)
        taken = legend.get_window_extent()
        if (taken.width < box.width / 2) if right else (taken.height < box.height / 2 and taken.width <= box.width):
            break
    ax.set_axes_locator(_Room(ax, legend, right))
    return ax


def reach(ax: Axes, axis: Literal["x", "both"], *points: tuple[float, float]) -> None:
    """Make the axes end at these points and the data; on a logarithmic scale, at what is above 0 of them."""
    ax.update_datalim(points, updatey=axis == "both")
    ax.margins(x=0, y=0 if axis == "both" else None)
    ax.autoscale(axis=axis)


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


class _Curve(Container):
    """Hold the artists of a curve, and what they were drawn from, to draw them again beside further curves."""

    def __init__(self, artists: list[Any], estimate: FulfilmentCurve, name: str, style: tuple[Any, ...]) -> None:
        super().__init__(artists, label="_nolegend_")
        self.drawn = estimate, name, style


def free_styles(ax: Axes | None, count: int, color: Any) -> list[Any]:
    """Give as many styles that no curve of the axes has: five colours with five line styles, then with circles."""
    styles = [(COLORS[i % 5], _LINES[(i + i // 5) % 5], "o" if i >= 25 else "") for i in range(50)]
    if color is not None:
        styles = [(to_hex(color), line, marker) for marker in ("", "o") for line in _LINES]
    used = [each.drawn[-1] for each in (ax.containers if ax else []) if isinstance(each, _Curve)]
    free = [style for style in styles if style not in used]
    if count > len(free):
        raise ValueError(f"a plot must have at most {len(styles)} curves, so that they differ, got {len(used) + count}")
    return free[:count]


def curves(ax: Axes, added: list[tuple[FulfilmentCurve, str, Any]], naive: bool) -> float:
    """Draw curves, each with its name and style, and those of earlier calls again; give the last second."""
    before = [each for each in ax.containers if isinstance(each, _Curve)]
    every = [*(each.drawn for each in before), *added]
    for each in before:
        each.remove()
    bounds = np.concatenate([estimate.intervals[["low", "high"]].to_numpy() for estimate, *_ in every])
    right = float(bounds[np.isfinite(bounds)].max()) * 1.04 or 1.0
    for place, (estimate, name, style) in enumerate(every):
        label = f"{name}\n({estimate.n} orders, {estimate.n - estimate.n_final} open)"
        artists = _curve(ax, estimate, label if len(every) <= 8 else label.replace("\n", " "), style, len(every))
        artists += [_intervals(ax, estimate, style[0], place, len(every), right)]
        if place == len(every) - 1:
            ends = [each.band().iloc[-1] for each, *_ in every if each.n_final < each.n]
            levels, seconds = ([end[name] for end in ends] for name in ("estimate", "seconds"))
            label = "nothing is known\nbeyond the last poll" if ends else ""
            artists += [ax.hlines(levels, seconds, right, GREY, ":", label=label, linewidth=2, zorder=3)]
        if naive and len(every) == 1 and estimate.outcome is None:
            ms, orders = estimate.seen_final
            final = [0.0, *np.cumsum(orders[np.isfinite(ms)]) / estimate.n]
            x, y = [0.0, *ms[np.isfinite(ms)] / 1000, right], [*final, final[-1]]
            label = "time of first\nfinal poll (naive)"
            artists += ax.step(x, y, VERMILLION, where="post", ls="--", lw=1.2, zorder=4, label=label)
        ax.add_container(_Curve(artists, estimate, name, style))
    return right


def _curve(ax: Axes, estimate: FulfilmentCurve, label: str, style: tuple[Any, ...], of: int) -> list[Any]:
    """Draw the estimate with its 95 % confidence band, paler among many."""
    color, line, marker = style
    shown = estimate.band()
    seconds, high = [0.0, *shown["seconds"]], [shown["high"].iloc[0], *shown["high"]]
    pale: dict[str, Any] = {"alpha": min(0.15, 0.75 / of), "linewidth": 0, "zorder": 1}
    band = ax.fill_between(seconds, [0.0, *shown["low"]], high, color=color, **pale)
    line_of: dict[str, Any] = {"color": color, "linestyle": line, "marker": marker, "markevery": 0.1, "markersize": 5}
    return [band, *ax.plot(seconds, [0.0, *shown["estimate"]], linewidth=2, zorder=3, label=label, **line_of)]


def _intervals(ax: Axes, estimate: FulfilmentCurve, color: str, place: int, of: int, right: float) -> Collection:
    """Draw the censoring intervals, one bar per order (at most 150 on the axes, evenly chosen); open ones are grey."""
    bars = estimate.intervals.sort_values(["high", "low"])
    shown = bars.loc[np.repeat(bars.index, bars["orders"].astype(int))]
    shown = shown.iloc[np.linspace(0, len(shown) - 1, min(len(shown), 150 // of)).round().astype(int)]
    top, height = -0.03 - 0.22 * place / of, 0.2 / of
    return ax.hlines(
        top - height * (np.arange(len(shown)) + 0.5) / len(shown),
        shown["low"],
        shown["high"].clip(upper=right),
        linewidth=min(3, 190 * height / len(shown)),
        colors=[color if final else GREY for final in np.isfinite(shown["high"]) & ~shown["otherwise"]],
    )
