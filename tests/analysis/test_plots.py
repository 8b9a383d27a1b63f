import re
from decimal import Decimal
from math import inf, nan
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from giftlib import Sandbox, process_orders
from giftlib.analysis import time_to_fulfilment
from giftlib.analysis.plots import (
    plot_poll_timelines,
    plot_refund_totals,
    plot_schedule_tradeoff,
    plot_time_to_fulfilment,
)

POLLS = pd.DataFrame(
    [
        ("a", 0.0, "HANDLING"),
        ("b", 0.0, "SERVICE_UNAVAILABLE"),
        ("a", 5.0, "FULFILLED"),
        ("b", 5.0, "HANDLING"),
        ("b", 10.0, "REFUNDED"),
        ("c", 2.0, "PARTIALLY_FILLED"),
        ("d", 3.0, "HANDLING"),
    ],
    columns=["order_id", "elapsed_s", "outcome"],
)
ORDERS = pd.DataFrame(
    {
        "order_id": list("abcd"),
        "not_done_by_s": [0.0, 5.0, 0.0, 3.0],
        "done_by_s": [5.2, 10.2, 2.2, inf],
        "status": ["FULFILLED", "REFUNDED", "PARTIALLY_FILLED", "HANDLING"],
        "quantity": [2, 3, 4, 5],
        "fulfilled_quantity": [2, 0, 2, None],
        "refunded_quantity": [0, 3, 2, None],
        "fulfilled_amount": [Decimal("981"), Decimal(0), Decimal("980.50"), None],
        "refunded_amount": [Decimal(0), Decimal(1470), Decimal("980.50"), None],
    }
)
TRADEOFF = pd.DataFrame(
    {"schedule": ["every 5 s", "every 10 s"], "requests_per_order": [4.0, 2.5], "mean_delay_s": [2.5, 5.1]}
)
PLOTS = {
    "timelines": lambda **kw: plot_poll_timelines(POLLS, ORDERS, **kw),
    "fulfilment": lambda **kw: plot_time_to_fulfilment(ORDERS, **kw),
    "fulfilment-of-many": lambda **kw: plot_time_to_fulfilment(pd.concat([ORDERS] * 20).drop(columns="order_id"), **kw),
    "fulfilment-by": lambda **kw: plot_time_to_fulfilment(ORDERS, by="status", **kw),
    "refunds": lambda **kw: plot_refund_totals(ORDERS, **kw),
    "tradeoff": lambda **kw: plot_schedule_tradeoff(TRADEOFF, **kw),
}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def drawn(ax, label):
    """The only artist with this label."""
    [artist] = [child for child in ax.get_children() if child.get_label() == label]
    return artist


BEYOND = "nothing is known\nbeyond the last poll"


def segments(collection):
    return [tuple(map(tuple, segment)) for segment in collection.get_segments()]


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("draw", PLOTS.values(), ids=PLOTS)
def test_given_axes(draw):
    """A plot goes on the axes given and changes nothing else."""
    before = dict(matplotlib.rcParams)
    given = plt.subplots()[1]
    assert draw(ax=given) is given
    assert plt.get_fignums() == [given.figure.number]
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("draw", PLOTS.values(), ids=PLOTS)
def test_own_axes(draw):
    """A plot without axes makes its own, and the legend does not cover the data."""
    first, second = draw(), draw()
    assert first.figure is not second.figure
    first.figure.draw_without_rendering()
    if legend := first.get_legend():
        assert not legend.get_window_extent().overlaps(first.get_window_extent())


def several_curves():
    """Two curves of two calls, and the timelines beside them, without a layout engine."""
    first, second = plt.subplots(1, 2, figsize=(7, 4))[1]
    plot_time_to_fulfilment(ORDERS[:3], label="this week", ax=first)
    plot_time_to_fulfilment(ORDERS, label="last week", color="black", ax=first)
    return plot_poll_timelines(POLLS, ORDERS, ax=second)


def on_black():
    with plt.style.context("dark_background"):
        return plot_poll_timelines(POLLS, ORDERS)


def on_log_axis():
    ax = plot_time_to_fulfilment(ORDERS)
    ax.set_xscale("log")
    return ax


PICTURES = PLOTS | {
    "several-curves": several_curves,
    "forty-groups": lambda: plot_time_to_fulfilment(grouped(40), by="type_id"),
    "hundred-timelines": lambda: plot_poll_timelines(*timelines_of(100)),
    "thirty-groups-of-money": lambda: plot_refund_totals(grouped(30, price_per_card=490), by="type_id"),
    "labels": lambda: plot_refund_totals(ORDERS.assign(t=["US$ 10 to $5", "_x", "W" * 40, "a_b"]), by="t"),
    "dark": on_black,
    "log": on_log_axis,
}


@pytest.mark.mpl_image_compare(style="default")
@pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)
def test_picture(draw):
    """A plot looks as it did. To change the pictures: pytest with --mpl-generate-path=tests/analysis/baseline."""
    return draw().figure


@pytest.mark.parametrize("draw", PLOTS.values(), ids=PLOTS)
def test_same_bytes(draw, tmp_path):
    """A plot is the same bytes each time."""
    with matplotlib.rc_context({"svg.hashsalt": "giftlib"}):
        for name in ("one.svg", "two.svg"):
            draw().figure.savefig(tmp_path / name, metadata={"Date": None})
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


@pytest.mark.parametrize(
    ("label", "points"),
    [
        ("still HANDLING", [(0, 0), (5, 1), (3, 3)]),
        ("FULFILLED", [(5, 0)]),
        ("REFUNDED", [(10, 1)]),
        ("PARTIALLY_FILLED", [(2, 2)]),
        ("failed poll\nSERVICE_UNAVAILABLE x 1", [(0, 1)]),
    ],
)
def test_poll_marks(label, points):
    """Each poll is marked in the row of its order."""
    ax = plot_poll_timelines(POLLS)
    assert [tuple(point) for point in drawn(ax, label).get_offsets()] == points
    assert [text.get_text() for text in ax.get_yticklabels()] == list("abcd")
    assert ax.yaxis_inverted()


def test_mark_shapes():
    """A poll of an open order is hollow, and outcomes differ in shape."""
    ax = plot_poll_timelines(POLLS)
    assert drawn(ax, "still HANDLING").get_facecolor().tolist() == [[1, 1, 1, 1]]
    shapes = {
        drawn(ax, label).get_paths()[0].vertices.tobytes()
        for label in ("FULFILLED", "PARTIALLY_FILLED", "REFUNDED", "failed poll\nSERVICE_UNAVAILABLE x 1")
    }
    assert len(shapes) == 4


def test_interval_bars():
    """Intervals are bars, and that of an open order reaches the edge."""
    ax = plot_poll_timelines(POLLS, ORDERS)
    assert segments(drawn(ax, "interval")) == [((0, 0), (2.2, 0)), ((0, 1), (5.2, 1)), ((5, 2), (10.2, 2))]
    assert segments(drawn(ax, "still open")) == [((3, 3), (ax.get_xlim()[1], 3))]


def test_orders_without_polls():
    """Orders without polls get no row."""
    ax = plot_poll_timelines(POLLS[POLLS["order_id"] == "b"], ORDERS)
    assert segments(drawn(ax, "interval")) == [((5, 0), (10.2, 0))]


def timelines_of(n):
    """Polls and orders, of which the first take longest."""
    orders = pd.DataFrame({"order_id": [f"6955b9000ed5f1fab3{i:06d}" for i in range(n)], "not_done_by_s": 0.0})
    orders["done_by_s"] = np.linspace(1000, 5, n)
    polls = orders.rename(columns={"done_by_s": "elapsed_s"}).assign(outcome="FULFILLED", http_status=200)
    return polls, orders


@pytest.mark.parametrize("n", [1, 60, 61, 3000])
def test_many_timelines(n):
    """Up to 60 timelines are shown, sorted by duration and evenly chosen, with readable ticks on a page."""
    ax = plot_poll_timelines(*timelines_of(n))
    bars = np.array(segments(drawn(ax, "interval")))[:, 1, :]
    assert len(bars) == min(n, 60) and (np.diff(bars[:, 0]) > 0).all() and (np.diff(bars[:, 1]) == 1).all()
    assert n == 1 or bars[[0, -1], 0].tolist() == [5, 1000]
    assert ax.get_ylabel() == (f"60 of {n:,} orders, evenly chosen" if n > 60 else "order")
    assert len(ax.get_yticks()) <= 40 and ax.figure.get_figheight() <= 10
    assert ax.get_yticklabels()[0].get_text() == f"…{n - 1:06d}"


def test_failed_polls_by_status():
    """The legend says with which HTTP status polls failed, how often, and how long they were told to wait."""
    polls = pd.DataFrame({"order_id": "a", "elapsed_s": [0.0, 1, 2], "outcome": ["X", "X", "NO_ANSWER"]})
    assert labels(plot_poll_timelines(polls.assign(http_status=[503, 503, nan]))) == [
        "failed poll\n503 x 2\nNO_ANSWER x 1"
    ]
    told = polls.assign(http_status=[503, 429, nan], retry_after_s=[nan, 20, nan])
    assert labels(plot_poll_timelines(told)) == ["failed poll\n503 x 1\n429 x 1\nNO_ANSWER x 1\nRetry-After 20 s"]


def test_curve():
    """The line is the estimate, and the pale area its confidence band."""
    ax = plot_time_to_fulfilment(ORDERS, naive=False)
    band = time_to_fulfilment(ORDERS).band()
    [line] = [line for line in ax.lines if "estimate" in str(line.get_label())]
    assert np.array(line.get_data())[:, 1:] == pytest.approx(band[["seconds", "estimate"]].to_numpy().T)
    area = ax.collections[0].get_paths()[0].get_extents()
    assert (area.y0, area.y1) == pytest.approx((0, band["high"].max()))


def test_naive_step():
    """The naive step counts first final polls, and not orders that are still open."""
    step = drawn(plot_time_to_fulfilment(ORDERS), "time of first\nfinal poll (naive)")
    x, y = step.get_data()
    assert list(x)[:4] == [0, 2.2, 5.2, 10.2]
    assert list(y) == [0, 0.25, 0.5, 0.75, 0.75]


def test_naive_step_left_out():
    """The naive step is optional, and is for one curve only."""
    assert not any("naive" in label for label in labels(plot_time_to_fulfilment(ORDERS, naive=False)))
    assert not any("naive" in label for label in labels(plot_time_to_fulfilment(ORDERS, by="status")))


def test_never_final():
    """A dotted line goes on from the end of the estimate, and claims nothing."""
    ax = plot_time_to_fulfilment(ORDERS.assign(not_done_by_s=[0.0, 5.0, 0.0, 11.0]))
    line = drawn(ax, BEYOND)
    [(start, stop)] = segments(line)
    assert (start[0], stop[0]) == (11, ax.get_xlim()[1])
    assert start[1] == stop[1] == pytest.approx(0.75, abs=0.1)
    assert BEYOND not in labels(plot_time_to_fulfilment(ORDERS[:3]))
    assert (
        labels(plot_time_to_fulfilment(pd.concat([ORDERS] * 2).drop(columns="order_id"), by="status")).count(BEYOND)
        == 1
    )


def test_intervals_below_axis():
    """Every censoring interval is below the axis."""
    ax = plot_time_to_fulfilment(ORDERS)
    lines = [collection for collection in ax.collections if hasattr(collection, "get_segments")]
    [bars] = [line for line in lines if all(y < 0 for segment in segments(line) for _, y in segment)]
    assert [(start[0], stop[0]) for start, stop in segments(bars)] == [
        (0, 2.2),
        (0, 5.2),
        (5, 10.2),
        (3, ax.get_xlim()[1]),
    ]


def test_groups():
    """The legend gives each group's numbers, and groups differ in line style."""
    ax = plot_time_to_fulfilment(pd.concat([ORDERS, ORDERS]).drop(columns="order_id"), by="status")
    names = [f"{status}\n(2 orders, {2 * (status == 'HANDLING')} open)" for status in sorted(ORDERS["status"])]
    assert [label for label in labels(ax) if "orders" in label] == names
    assert len({str(drawn(ax, name).get_linestyle()) for name in names}) == 4


def test_none_final():
    """Orders of which none is final can be plotted."""
    ax = plot_time_to_fulfilment(ORDERS[3:])
    assert BEYOND in labels(ax)


def test_refund_bars():
    """Bars stack the dinars charged and refunded, and show the exact totals."""
    ax = plot_refund_totals(ORDERS)
    bars = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    assert bars == [(0, 981), (0, 0), (0, 980.5), (0, 0), (981, 0), (0, 0), (980.5, 980.5), (0, 1470)]
    assert [text.get_text() for text in ax.texts] == [
        "981 charged",
        "1 still open\n1 of unknown amount",
        "980.50 charged\n980.50 refunded",
        "1,470 refunded",
    ]
    assert {bar.get_hatch() for bar in ax.patches} == {None, "////"}


def test_refund_bar_names():
    """Bars of several groups carry both names."""
    ax = plot_refund_totals(ORDERS.assign(type_id="t"), by=["type_id", "status"])
    assert ax.get_yticklabels()[0].get_text() == "t / FULFILLED"


def test_schedule_points():
    """Each schedule is a point with its name, and differs from the others in shape and colour."""
    ax = plot_schedule_tradeoff(TRADEOFF)
    assert [tuple(points.get_offsets()[0]) for points in ax.collections] == [(4, 2.5), (2.5, 5.1)]
    assert labels(ax) == ["every 5 s", "every 10 s"]
    assert ax.get_xlim()[0] == ax.get_ylim()[0] == 0
    plot_schedule_tradeoff(TRADEOFF, label="slow", color="black", ax=ax)
    assert labels(ax) == ["every 5 s", "every 10 s", "slow: every 5 s", "slow: every 10 s"]


def test_front_line():
    """The best possible is a line."""
    front = pd.DataFrame({"requests_per_order": [4.0, 2.0], "mean_delay_s": [1.5, 3.5]})
    (line,) = plot_schedule_tradeoff(TRADEOFF, front=front).lines
    assert [tuple(point) for point in line.get_xydata()] == [(2, 3.5), (4, 1.5)]


TEXTS = {
    **{text: text for text in ("US$ 10", "a$b$c", r"$\frac{", r"\$", "100 %", "^", "\\", "<b>&", "--", "אבג", "😀")},
    "_x": " _x",
    "x\ny\t": r"x\ny\t",
    "\x01\u202e": r"\x01\u202e",
    "W" * 1000: "W" * 20 + "…" + "W" * 11,
}
EACH = pd.concat([ORDERS[:1]] * len(TEXTS), ignore_index=True)
EACH = EACH.assign(text=list(TEXTS), u=1, order_id=EACH.index.astype(str))
LABELLED = {
    "timelines": (lambda: plot_poll_timelines(EACH.assign(order_id=EACH["text"], elapsed_s=5.0, outcome="X")), "{}"),
    "fulfilment": (lambda: plot_time_to_fulfilment(EACH, by="text"), "{} (1 orders, 0 open)"),
    "refunds": (lambda: plot_refund_totals(EACH, by="text"), "{}"),
    "refunds by two": (lambda: plot_refund_totals(EACH, by=["u", "text"]), "1 / {}"),
    "tradeoff": (
        lambda: plot_schedule_tradeoff(EACH.assign(schedule=EACH["text"], requests_per_order=2.0, mean_delay_s=3.0)),
        "{}",
    ),
}


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("plot", LABELLED)
def test_texts(plot, tmp_path):
    """Texts of the data are drawn as they are, in a picture that a browser can read and in which there is room."""
    draw, around = LABELLED[plot]
    ax = draw()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        ax.figure.savefig(tmp_path / "figure.svg")
    texts = {(element.text or "").strip() for element in ElementTree.parse(tmp_path / "figure.svg").iter()}
    assert ax.get_window_extent().width > 200
    shortened = {"timelines": "…WWWWWW", "refunds by two": f"1 / {'W' * 16}…{'W' * 11}"}
    for text, whole in TEXTS.items():
        whole = around.format(whole.strip())
        assert (shortened.get(plot, whole) if len(text) > 32 else whole) in texts


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot_poll_timelines(POLLS.drop(columns="outcome")),
        lambda: plot_schedule_tradeoff(TRADEOFF, front=pd.DataFrame({"requests_per_order": [1.0]})),
        lambda: plot_poll_timelines(POLLS, ORDERS.drop(columns="done_by_s")),
        lambda: plot_poll_timelines(POLLS[:0]),
        lambda: plot_time_to_fulfilment(ORDERS[:0]),
        lambda: plot_refund_totals(ORDERS, by="colour"),
        lambda: plot_schedule_tradeoff(TRADEOFF.drop(columns="schedule")),
        lambda: plot_schedule_tradeoff(TRADEOFF[:0]),
        lambda: plot_refund_totals(ORDERS[:0]),
        lambda: plot_time_to_fulfilment(grouped(51), by="type_id"),
        lambda: plot_time_to_fulfilment(grouped(2), by="type_id", label="x"),
    ],
)
def test_invalid_frames(draw):
    """Frames that cannot be plotted raise, and no figure is left."""
    with pytest.raises(ValueError, match="must (have|be)"):
        draw()
    assert plt.get_fignums() == []


@pytest.mark.parametrize("elapsed_s", [[nan], [nan, nan, 3.0], [-7.0, 2.0]])
def test_polls_of_unknown_or_negative_age(elapsed_s):
    """Polls before the placement are inside the axes; those of unknown age are counted below them."""
    polls = pd.DataFrame({"order_id": "a", "elapsed_s": elapsed_s, "outcome": "NO_ANSWER"})
    ax = plot_poll_timelines(polls)
    ax.figure.canvas.draw()
    left, right = ax.get_xlim()
    assert all(left < seconds < right for seconds in elapsed_s if not np.isnan(seconds))
    unknown = sum(np.isnan(elapsed_s))
    assert (f"{unknown} polls" in ax.get_xlabel()) == bool(unknown)


@pytest.mark.parametrize("style", ["default", "dark_background", "ggplot", "grayscale", "Solarize_Light2"])
def test_styles(style):
    """What is drawn in black by default is seen in any style."""
    with plt.style.context(style):
        ax = plot_poll_timelines(POLLS)
        ground = np.array(to_rgb(ax.get_facecolor()))
        for label in ("failed poll\nSERVICE_UNAVAILABLE x 1", "still HANDLING"):
            edge = np.array(drawn(ax, label).get_edgecolor()[0][:3])
            assert abs(ground - edge).max() > 0.3


def grouped(groups, each=4, **columns):
    """Orders in so many groups."""
    orders = pd.concat([ORDERS] * (groups * each // 4), ignore_index=True)
    return orders.assign(
        order_id=orders.index.astype(str), type_id=[f"type_{place % groups:03}" for place in orders.index], **columns
    )


def inside(ax):
    """Everything of the axes is inside the figure, and the legend not over the data."""
    ax.figure.canvas.draw()
    all_, figure, legend = ax.get_tightbbox(), ax.figure.bbox, ax.get_legend()
    assert all_.x0 > -1 and all_.y0 > -1 and all_.x1 < figure.x1 + 1 and all_.y1 < figure.y1 + 1
    assert not legend.get_window_extent().overlaps(ax.get_window_extent())
    assert not {text.get_text() for text in legend.get_texts()} & {""}


@pytest.mark.parametrize("shape", [(1, 1), (1, 2)])
@pytest.mark.parametrize("draw", PLOTS.values(), ids=PLOTS)
def test_plain_subplots(draw, shape):
    """Legends and labels are whole in subplots without a layout engine, and the axes keep a size to read."""
    figure, axes = plt.subplots(*shape, squeeze=False)
    for ax in axes.flat:
        draw(ax=ax)
    for ax in axes.flat:
        inside(ax)
        assert ax.bbox.width > 0.15 * figure.bbox.width and ax.bbox.height > 0.3 * figure.bbox.height
    first, last = (ax.get_tightbbox() for ax in (axes.flat[0], axes.flat[-1]))
    assert first is last or first.x1 <= last.x0 + 1 or shape == (1, 1)


@pytest.mark.parametrize("groups", [5, 40])
def test_many_groups(groups):
    """With many groups the figure is tall enough for its legend, and no two curves look the same."""
    ax = plot_time_to_fulfilment(grouped(groups), by="type_id")
    inside(ax)
    assert ax.bbox.height > 0.5 * ax.figure.bbox.height and ax.bbox.width > 0.5 * ax.figure.bbox.width
    curves = [line for line in ax.lines if "type_" in str(line.get_label())]
    looks = {(line.get_color(), str(line._unscaled_dash_pattern), line.get_marker()) for line in curves}
    assert len(looks) == len(curves) == groups
    inside(plot_refund_totals(grouped(groups), by="type_id"))


def test_several_curves():
    """Curves of several calls stand in one legend; the naive step is for one curve only."""
    ax = plot_time_to_fulfilment(time_to_fulfilment(ORDERS), label="this week")
    assert any("naive" in label for label in labels(ax))
    assert plot_time_to_fulfilment(ORDERS.assign(done_by_s=40.0), label="last week", color="red", ax=ax) is ax
    assert labels(ax) == ["this week\n(4 orders, 1 open)", "last week\n(4 orders, 0 open)", BEYOND]
    assert ax.get_xlim() == (0, pytest.approx(41.6))
    assert [line.get_color() for line in ax.lines if "week" in str(line.get_label())] == ["#0072B2", "#ff0000"]
    inside(ax)


def test_many_groups_of_money():
    """Of more than 60 groups those with most money have a row, and the last adds up the others."""
    ax = plot_refund_totals(grouped(200), by="type_id")
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert len(names) == 60 and names[-1] == "141 others"
    shown = " ".join(text.get_text() for text in ax.texts).replace(",", "")
    sums = [sum(map(Decimal, re.findall(rf"([0-9.]+) {name}", shown))) for name in ("charged", "refunded")]
    assert sums == [200 * Decimal("1961.5"), 200 * Decimal("2450.5")]
    assert max(bar.get_x() + bar.get_width() for bar in ax.patches) < 10_000, "the others have no bar"


def test_zero_priced():
    """Orders that cost nothing have an axis from 0 to 1 dinar, and say so."""
    ax = plot_refund_totals(ORDERS[:3].assign(fulfilled_amount=0, refunded_amount=0))
    assert [text.get_text() for text in ax.texts] == ["0 charged"] * 3
    ax.figure.canvas.draw()
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "1"]


def test_money_in_flight():
    """Money paid for open orders has its own part of the bar."""
    ax = plot_refund_totals(ORDERS.assign(price_per_card=490))
    assert ax.texts[1].get_text() == "2,450 in flight\n1 still open" and "in flight" in labels(ax)


@pytest.mark.parametrize("draw", PLOTS.values(), ids=PLOTS)
def test_log_axis(draw):
    """With a logarithmic axis set afterwards, what is above 0 is still seen."""
    ax = draw()
    right = ax.get_xlim()[1]
    ax.set_xscale("log")
    inside(ax)
    assert right / 1e5 < ax.get_xlim()[0] < ax.get_xlim()[1] < right * 1.1


def test_journal():
    """A Journal is plotted as its frames are."""
    with Sandbox(seed=1) as sandbox:
        item = ("507f1f77bcf86cd799439011", "TEST_PARTIAL", 2)
        journal = process_orders([item] * 3, client=sandbox.client())
    polls, orders = plot_poll_timelines(journal), plot_poll_timelines(journal.polls(), journal.orders())
    assert segments(drawn(polls, "interval")) == segments(drawn(orders, "interval"))
    assert "(3 orders, 0 open)" in labels(plot_time_to_fulfilment(journal))[0]
    assert len(plot_refund_totals(journal).patches) == 2


def test_outcomes_in_other_letters():
    """Outcomes have their marks in whatever letters they stand."""
    ax = plot_poll_timelines(POLLS.assign(outcome=POLLS["outcome"].str.lower()))
    assert labels(ax)[:4] == labels(plot_poll_timelines(POLLS))[:4]


def test_made_curves():
    """The curves that `time_to_fulfilment(orders, by)` gave are drawn as the orders with `by` are."""
    made = plot_time_to_fulfilment(time_to_fulfilment(ORDERS, by="status"))
    assert labels(made) == labels(plot_time_to_fulfilment(ORDERS, by="status"))
    for options in ({"by": "status"}, {"label": "x"}, {"color": "red"}):
        with pytest.raises(ValueError, match="must be None"):
            plot_time_to_fulfilment(time_to_fulfilment(ORDERS, by="status"), **options)
