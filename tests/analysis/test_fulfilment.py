from math import inf, log, nan

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from giftlib import (
    compare_groups,
    orders_needed,
    plot_poll_timelines,
    plot_refund_totals,
    plot_schedule_tradeoff,
    plot_time_to_fulfilment,
    reconcile_refunds,
    refund_totals,
    remaining_time,
    time_to_fulfilment,
    track_orders,
)
from giftlib.analysis import fitted
from giftlib.analysis.interval_counts import Guesses, widen

STATUSES = ["FULFILLED", "PARTIALLY_FILLED", "REFUNDED"]
# A textbook case with ties, worked by hand.
HAND = [(0, 1), (1, 2), (1, 3), (2, 3), (4, 5), (4, 6), (8, inf), (8, inf)]
INTERVALS = st.lists(
    st.tuples(st.integers(0, 6), st.one_of(st.integers(0, 6), st.just(inf))).map(lambda b: (b[0], b[0] + b[1])),
    min_size=1,
    max_size=9,
)


def frame(intervals, **columns):
    low, high = zip(*intervals)
    return pd.DataFrame({"not_done_by_s": np.array(low, float), "done_by_s": np.array(high, float), **columns})


def masses(curve):
    return list(curve.frame()[["from_s", "to_s", "mass"]].round(9).itertuples(index=False, name=None))


def polled(durations, every, seconds=0.0, last=inf):
    """Intervals of orders polled every `every` seconds, where a poll takes `seconds`."""
    polls = np.ceil(durations / every)
    open_ = polls * every > last
    intervals = zip(np.where(open_, last, (polls - 1) * every), np.where(open_, inf, polls * every + seconds))
    return frame(intervals, request_s=seconds)


def lognormal_durations(n, seed):
    return np.random.default_rng(seed).lognormal(log(10), 0.668, n)


def test_hand_worked():
    """Masses and proportions are those worked out by hand."""
    curve = time_to_fulfilment(frame(HAND))
    assert masses(curve) == [(0, 1, 0.125), (1, 2, 0.1875), (2, 3, 0.1875), (4, 5, 0.25), (8, inf, 0.25)]
    assert list(curve.frame()["cdf_high"]) == pytest.approx([0.125, 0.3125, 0.5, 0.75, 1])
    assert (curve.n, curve.n_final) == (8, 6)


def test_closed_right():
    """The right end of an interval belongs to it."""
    # The analytic answer given in SurPyval's issue 272.
    curve = time_to_fulfilment(frame([(2, 2)] + [(3, 3)] * 5 + [(1, 3)] * 5))
    assert masses(curve) == [(2, 2, pytest.approx(1 / 6, abs=1e-8)), (3, 3, pytest.approx(5 / 6, abs=1e-8))]


def test_open_left():
    """The left end of an interval does not belong to it."""
    assert masses(time_to_fulfilment(frame([(2, 2), (2, 4)]))) == [(2, 2, 0.5), (2, 4, 0.5)]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 8), st.booleans()), min_size=1, max_size=30))
def test_kaplan_meier(times):
    """Exact and right-censored times give the Kaplan-Meier estimate."""
    turnbull = time_to_fulfilment(frame([(t, t if seen else inf) for t, seen in times])).frame()
    survival = 1.0
    for t in range(1, 9):
        at_risk = sum(other >= t for other, _ in times)
        if events := sum(other == t and seen for other, seen in times):
            survival *= 1 - events / at_risk
        assert turnbull["mass"][turnbull["to_s"] <= t].sum() == pytest.approx(1 - survival, abs=1e-6)


def log_likelihood(intervals, points, weights):
    return sum(
        log(max(sum(w for t, w in zip(points, weights) if t == low == high or low < t <= high), 1e-300))
        for low, high in intervals
    )


@settings(max_examples=20)
@given(INTERVALS, st.integers(0, 10))
def test_most_likely(intervals, seed):
    """No other distribution makes the intervals more likely."""
    turnbull = time_to_fulfilment(frame(intervals)).frame()
    ours = log_likelihood(intervals, np.where(np.isinf(turnbull["to_s"]), 1e6, turnbull["to_s"]), turnbull["mass"])
    points = [*np.arange(0, 13, 0.5), 1e6]

    def loss(x):
        weights = np.exp(x - x.max())
        return -log_likelihood(intervals, points, weights / weights.sum())

    other = optimize.minimize(loss, np.random.default_rng(seed).normal(size=len(points)), options={"maxiter": 15})
    assert ours >= -other.fun - 1e-6


@pytest.mark.parametrize("which", ["intervals", "exact and censored"])
def test_optimality(which):
    """With a thousand distinct intervals the optimality condition holds."""
    rng = np.random.default_rng(3)
    durations = lognormal_durations(1000, 3).round(6)
    if which == "intervals":
        low = np.maximum(durations - rng.uniform(0, 5, 1000), 0).round(6)
        high = np.where(rng.random(1000) < 0.03, inf, (low + 5).round(6))
    else:
        last = rng.exponential(30, 1000).round(6)
        low, high = np.minimum(durations, last), np.where(durations <= last, durations, inf)
    assert_optimal(low, high)


@pytest.mark.parametrize("seed", range(40))
def test_optimality_of_few(seed):
    """The optimality condition holds for some dozens of orders that were polled at moments of their own."""
    rng = np.random.default_rng(seed)
    durations = rng.lognormal(log(10), 0.9, 50).round(6)
    low = np.maximum(durations - rng.uniform(0, 5, 50), 0).round(2)
    assert_optimal(low, np.where(low > 40, inf, (low + rng.choice([0.5, 5, 15], 50)).round(2)))


def assert_optimal(low, high):
    n = len(low)
    turnbull = time_to_fulfilment(frame(zip(low, high))).frame()
    # The gradient at any time may not exceed the number of orders, and equals it where there is mass.
    start, stop = turnbull["from_s"].to_numpy(), turnbull["to_s"].to_numpy()
    covers = np.where((low == high)[:, None], stop == high[:, None], (start >= low[:, None]) & (stop <= high[:, None]))
    weight = 1 / (covers @ turnbull["mass"].to_numpy())
    assert weight @ covers[:, turnbull["mass"] > 1e-6] == pytest.approx(n, rel=1e-6)
    for t in np.append(high[np.isfinite(high)], low.max() + 1):
        assert weight[(low < t) & (t <= high) | (low == high) & (high == t)].sum() <= n * (1 + 1e-6)


@settings(max_examples=30)
@given(INTERVALS, st.randoms())
def test_row_order(intervals, random):
    """The order of the rows does not matter."""
    shuffled = random.sample(intervals, len(intervals))
    pd.testing.assert_frame_equal(
        time_to_fulfilment(frame(intervals)).frame(), time_to_fulfilment(frame(shuffled)).frame()
    )


@settings(max_examples=30)
@given(INTERVALS)
def test_orders_twice(intervals):
    """The same orders twice give the same curve."""
    once, twice = time_to_fulfilment(frame(intervals)), time_to_fulfilment(frame(intervals * 2))
    assert twice.n == 2 * once.n
    pd.testing.assert_frame_equal(twice.frame(), once.frame(), atol=1e-6)


@settings(max_examples=30)
@given(INTERVALS)
def test_curve_rises(intervals):
    """The curve rises from 0 to at most 1."""
    proportions = time_to_fulfilment(frame(intervals)).cdf(np.arange(-1, 20, 0.5))
    assert proportions[0] == 0 and (np.diff(proportions) >= 0).all() and proportions[-1] <= 1


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        (pd.DataFrame({"not_done_by_s": [1.0]}), "'done_by_s'"),
        (frame([(0, 1)]).iloc[:0], "empty"),
        (frame([(0, nan)]), "done_by_s .* nan"),
        (frame([(-1, 2)]), "not_done_by_s .* -1.0"),
        (frame([(3, 2)]), "3.0 > 2.0"),
        (frame([(inf, inf)]), "not_done_by_s must be finite"),
        (frame([(0, 1)]).assign(done_by_s="soon"), "done_by_s must hold seconds"),
        (frame([(0, 1)]).assign(done_by_s=pd.Timestamp("2026-01-01")), "done_by_s must hold seconds.*datetime64"),
        (frame([(0, 1)]).assign(done_by_s=True), "done_by_s must hold seconds.*bool"),
        (frame([(0, 1)]).assign(open_at_s=2.0, final_at_s=1.0), "open_at_s must not exceed final_at_s"),
    ],
)
def test_invalid_intervals(orders, message):
    """Invalid intervals raise, with the column and the value."""
    with pytest.raises(ValueError, match=message):
        time_to_fulfilment(orders)


def test_unknown_group():
    """A group that is no column raises."""
    with pytest.raises(ValueError, match="'colour'"):
        time_to_fulfilment(frame(HAND), by="colour")


def test_invalid_request_time():
    """A negative request time raises."""
    with pytest.raises(ValueError, match="request_s must be 0 seconds or more, got -1.0"):
        time_to_fulfilment(frame(HAND, request_s=-1.0))


@pytest.mark.parametrize("value", [0, 1, -0.5, nan, "0.5", None])
@pytest.mark.parametrize(
    "ask",
    [
        lambda c, v: c.quantile(v),
        lambda c, v: c.band(v),
        lambda c, v: c.quantile(0.5, v),
        lambda c, v: c.sample_bounds(v),
        lambda c, v: c.summary(v),
        lambda c, v: c.proportion(v),
        lambda c, v: c.fits["lognormal"].quantile(v),
    ],
)
def test_invalid_proportion(ask, value):
    """A proportion or level outside 0 and 1 raises."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        ask(time_to_fulfilment(frame(HAND)), value)


def test_cdf_of_nan():
    """The proportion at NaN raises."""
    with pytest.raises(ValueError, match="nan"):
        time_to_fulfilment(frame(HAND)).cdf(nan)


def test_band():
    """The band is the same each time, and encloses the curve."""
    orders = polled(lognormal_durations(60, 1), every=5, last=40)
    curve = time_to_fulfilment(orders)
    band = curve.band()
    pd.testing.assert_frame_equal(band, time_to_fulfilment(orders.sample(frac=1, random_state=1)).band())
    assert (band["low"] <= curve.cdf(band["seconds"].to_numpy())).all()
    assert (curve.cdf(band["seconds"].to_numpy()) <= band["high"]).all()
    narrower = curve.band(0.5)
    assert (band["low"] <= narrower["low"]).all() and (narrower["high"] <= band["high"]).all()


@pytest.mark.parametrize("outcome", [None, "FULFILLED"])
def test_band_before_the_first_poll(outcome):
    """Of the time before the first poll that showed an order final, the band does not claim that any was."""
    orders = polled(lognormal_durations(200, 1), every=12, last=40).assign(status="FULFILLED")
    band = time_to_fulfilment(orders, outcome=outcome).band()
    first = band["seconds"] < orders["done_by_s"].min()
    assert first.any() and (band["low"][first] == 0).all()
    assert (band["estimate"][first] > 0.3).any() and (band["low"][~first] > 0.3).all()


@pytest.mark.parametrize(("family", "theirs"), [("lognormal", stats.lognorm), ("log-logistic", stats.fisk)])
@pytest.mark.parametrize("every", [2, 5])
def test_fits_against_scipy(family, theirs, every):
    """A fit is the one that scipy finds."""
    orders = polled(lognormal_durations(80, 5), every=every, last=30)
    orders.loc[:4, ["not_done_by_s", "done_by_s"]] = 7.5
    fit = time_to_fulfilment(orders).fits[family]
    low, high = orders["not_done_by_s"], orders["done_by_s"]
    data = stats.CensoredData(
        uncensored=high[low == high],
        right=low[np.isinf(high)],
        interval=orders.loc[(low < high) & np.isfinite(high), [low.name, high.name]].to_numpy(),
    )
    shape, _, scale = theirs.fit(data, floc=0)
    theirs = theirs(shape, scale=scale)
    assert fit.median_s == pytest.approx(scale, rel=1e-3)
    assert fit.quantile(0.9) == pytest.approx(theirs.ppf(0.9), rel=1e-3)
    assert fit.cdf(np.array([0, 5, 20])) == pytest.approx(theirs.cdf([0, 5, 20]), abs=1e-3)


def test_fits_find_family():
    """The AIC finds the family that the data come from."""
    fits = time_to_fulfilment(polled(lognormal_durations(3000, 2), every=3)).fits
    assert fits["lognormal"].median_s == pytest.approx(10, rel=0.05)
    assert fits["lognormal"].spread == pytest.approx(0.668, rel=0.05)
    assert fits["lognormal"].aic < fits["log-logistic"].aic


@pytest.mark.parametrize(
    "intervals",
    [[(0, 5)], [(0, 5), (5, 10)], [(4, inf)] * 9, [(0, 0), (1, 2), (2, 3), (3, 4)]],
    ids=["one interval", "two Turnbull intervals", "nothing final", "an exact 0"],
)
def test_no_fits(intervals):
    """Too few Turnbull intervals give no fit."""
    assert time_to_fulfilment(frame(intervals)).fits == {}


def test_invalid_outcome():
    """An outcome that is no final status raises."""
    message = "outcome must be one of FULFILLED, PARTIALLY_FILLED, REFUNDED, got 'HANDLING'"
    with pytest.raises(ValueError, match=message):
        time_to_fulfilment(frame(HAND, status="HANDLING"), outcome="HANDLING")


def test_timedeltas():
    """Durations as timedeltas give what their seconds give."""
    seconds = polled(lognormal_durations(40, 1), every=5)
    times = seconds[["not_done_by_s", "done_by_s"]].apply(pd.to_timedelta, unit="s")
    assert time_to_fulfilment(times).quantile(0.5) == time_to_fulfilment(seconds).quantile(0.5)


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([(4, 9)], "FulfilmentCurve(1 orders, 1 final, median 6.5 s (more than 0.0 s))"),
        ([(4, 4)] * 30, "FulfilmentCurve(30 orders, 30 final, median 4.0 s (4.0 to 4.0 s))"),
        ([(9, inf)] * 9, "FulfilmentCurve(9 orders, 0 final, median not reached (more than 9.0 s))"),
    ],
)
def test_repr(intervals, expected):
    """A curve prints its numbers of orders and its median with the interval."""
    assert repr(time_to_fulfilment(frame(intervals))) == expected


def test_groups():
    """Groups have curves of their own, a missing group is "unknown", and a week is the ISO week."""
    orders = frame([(0, 1), (2, 3), (4, 5), (6, inf)], type_id=["b", "a", None, "a"])
    curves = time_to_fulfilment(orders, by="type_id")
    assert {group: (curve.n, curve.n_final) for group, curve in curves.items()} == {
        "a": (2, 1),
        "b": (1, 1),
        "unknown": (1, 1),
    }
    assert list(curves) == ["a", "b", "unknown"]
    placed = pd.to_datetime(["2025-12-28", "2025-12-29", "2026-01-04", None], utc=True)
    assert list(time_to_fulfilment(orders.assign(placed_at=placed), by="week")) == ["2025-W52", "2026-W01", "unknown"]
    assert list(time_to_fulfilment(orders.assign(day_of=[2, 10, 2, 10]), by="day_of")) == [2, 10]


def test_journal(sandbox, client, journal):
    """A journal may be given in place of its orders."""
    track_orders(sandbox.add_orders(3), client=client, journal=journal)
    assert time_to_fulfilment(journal).quantile(0.5) == time_to_fulfilment(journal.orders()).quantile(0.5)


def test_guesses():
    """The estimate uses the best guesses where the frame has them; what is certain comes from the bounds."""
    certain = polled(lognormal_durations(60, 3), every=5)
    wide = certain.assign(open_at_s=certain["not_done_by_s"], final_at_s=certain["done_by_s"], guess_error_s=1.0)
    wide["not_done_by_s"], wide["done_by_s"] = (certain["not_done_by_s"] - 1).clip(0), certain["done_by_s"] + 1
    curve, other = time_to_fulfilment(wide), time_to_fulfilment(certain)
    assert curve.cdf(12.0) == other.cdf(12.0)
    assert curve.sample_bounds(0.5)[1] == other.sample_bounds(0.5)[1] + 1


def test_many_intervals():
    """Many distinct intervals are rounded, and the estimate is that of the times."""
    durations = lognormal_durations(30_000, 0)
    rng = np.random.default_rng(1)
    low = np.maximum(durations - rng.uniform(0, 5, len(durations)), 0)
    curve = time_to_fulfilment(frame(zip(low, durations + rng.uniform(0, 5, len(durations)))))
    assert curve.intervals["orders"].sum() == 30_000 and len(curve.intervals) <= 5_000
    assert curve.quantile(0.5).estimate == pytest.approx(np.median(durations), abs=0.2)


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(1, 299))
def test_rounding_parts(seed, cut):
    """Rounding parts and putting them together gives as few intervals as rounding the whole, none of them longer."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.5, 300).round(9)
    high = np.where(low < 0.45, low + rng.uniform(0, 0.1, 300), inf).round(9)
    whole = Guesses(low, high, rng.random(300) < 0.2, np.ones(300))
    parts = [widen(whole.taken(rows), 30) for rows in (slice(cut), slice(cut, None))]
    joined = Guesses(*(np.concatenate(columns) for columns in zip(*(guesses for guesses, _ in parts))))
    again, _ = widen(joined, 30, max(power for _, power in parts))
    assert len(again.low) <= 30
    assert again.orders.sum() == 300
    assert again.otherwise @ again.orders == whole.otherwise.sum()
    assert (again.low < again.high).all()


@pytest.mark.parametrize("status", ["REFUNDED", "refunded", " Refunded "])
def test_letters_of_outcomes(status):
    """An outcome counts in whatever letters it stands in the frame, and may be asked for in any."""
    orders = frame(HAND, status=status)
    for asked in ("REFUNDED", status):
        curve = time_to_fulfilment(orders, outcome=asked)
        assert (curve.n_outcome, curve.outcome) == (6, "REFUNDED")


@pytest.mark.parametrize("status", [None, "HANDLING", "PENDING", 3])
def test_final_without_outcome(status):
    """An order that became final without a final status has no outcome to count as another one."""
    with pytest.raises(ValueError, match="status must (be a final one where done_by_s is finite|hold texts), got "):
        time_to_fulfilment(frame(HAND, status=["FULFILLED", status] * 4), outcome="REFUNDED")
    assert time_to_fulfilment(frame(HAND[-2:], status=["HANDLING", None]), outcome="REFUNDED").n_outcome == 0


ENTRIES = {
    "time_to_fulfilment": time_to_fulfilment,
    "compare_groups": lambda orders: compare_groups(orders, "type_id"),
    "orders_needed": lambda orders: orders_needed(1, like=orders),
    "remaining_time": lambda orders: remaining_time(orders, 1),
    "fitted": fitted,
    "refund_totals": refund_totals,
    "reconcile_refunds": lambda orders: reconcile_refunds(orders, []),
    "plot_time_to_fulfilment": plot_time_to_fulfilment,
    "plot_refund_totals": plot_refund_totals,
    "plot_poll_timelines": plot_poll_timelines,
    "orders of plot_poll_timelines": lambda orders: plot_poll_timelines(
        pd.DataFrame({"order_id": ["a"], "elapsed_s": 1.0, "outcome": "HANDLING"}), [] if orders is None else orders
    ),
    "plot_schedule_tradeoff": plot_schedule_tradeoff,
}


@pytest.mark.parametrize("orders", ["orders.csv", None, [{"order_id": "a"}], {}, pd.Series([1.0])], ids=repr)
@pytest.mark.parametrize("entry", ENTRIES)
def test_no_frame(entry, orders):
    """What is no frame is named by every function that takes one."""
    with pytest.raises(ValueError, match="^(orders|like|polls|table) must be a (Journal or a )?DataFrame, got "):
        ENTRIES[entry](orders)


ONCE = [name for name in ENTRIES if name not in ("plot_poll_timelines", "plot_schedule_tradeoff")]


@pytest.mark.parametrize("entry", ONCE)
def test_order_twice(entry):
    """An order that is there twice is named by every function: it would narrow every interval."""
    columns = dict.fromkeys(["quantity", "fulfilled_quantity", "refunded_quantity", "fulfilled_amount"], 1)
    columns |= {"refunded_amount": 0, "price_per_card": 1, "status": "FULFILLED"}
    orders = frame(HAND, order_id=list("abcdefgh"), type_id=["s", "t"] * 4, source="emulator", **columns)
    assert time_to_fulfilment(pd.concat([orders, orders.assign(source="emulator 2")])).n == 16
    with pytest.raises(ValueError, match="(orders|like) must hold each order once, got 'a' more than once"):
        ENTRIES[entry](pd.concat([orders] * 2))


@pytest.mark.parametrize("by", [["a", "b"], {"a"}, [], True])
def test_no_column_name(by):
    """What cannot name a column is named."""
    with pytest.raises(ValueError, match="by must be the name of a column|must have the column True"):
        time_to_fulfilment(frame(HAND), by)


@pytest.mark.parametrize("by", ["day", "week"])
def test_own_days(by):
    """A frame's own days or weeks are not ignored: those that differ from those of `placed_at` are named."""
    placed = pd.to_datetime(["2025-12-28T23:30Z"] * 8)
    orders = frame(HAND, placed_at=placed)
    utc = "2025-12-28" if by == "day" else "2025-W52"
    assert list(time_to_fulfilment(orders.assign(**{by: utc}), by)) == [utc]
    with pytest.raises(ValueError, match=f"{by} must be that of placed_at"):
        time_to_fulfilment(orders.assign(**{by: "2025-12-29"}), by)
