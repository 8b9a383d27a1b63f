from math import inf, log, nan

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from giftlib.analysis.fulfilment import time_to_fulfilment
from giftlib.analysis.intervals import widen

# A textbook case with ties, worked by hand.
HAND = [(0, 1), (1, 2), (1, 3), (2, 3), (4, 5), (4, 6), (8, inf), (8, inf)]
BRACKETS = st.lists(
    st.tuples(st.integers(0, 6), st.one_of(st.integers(0, 6), st.just(inf))).map(lambda b: (b[0], b[0] + b[1])),
    min_size=1,
    max_size=9,
)


def frame(brackets, **columns):
    low, high = zip(*brackets)
    return pd.DataFrame({"not_done_by_s": np.array(low, float), "done_by_s": np.array(high, float), **columns})


def masses(curve):
    return list(curve.frame()[["from_s", "to_s", "mass"]].round(9).itertuples(index=False, name=None))


def looked_at(durations, every, seconds=0.0, last=inf):
    """Brackets of orders looked at each `every` seconds, where a look takes `seconds`."""
    looks = np.ceil(durations / every)
    open_ = looks * every > last
    brackets = zip(np.where(open_, last, (looks - 1) * every), np.where(open_, inf, looks * every + seconds))
    return frame(brackets, request_s=seconds)


def lognormal_durations(n, seed):
    return np.random.default_rng(seed).lognormal(log(10), 0.668, n)


def test_masses_and_shares_are_those_worked_by_hand():
    curve = time_to_fulfilment(frame(HAND))
    assert masses(curve) == [(0, 1, 0.125), (1, 2, 0.1875), (2, 3, 0.1875), (4, 5, 0.25), (8, inf, 0.25)]
    assert curve.cdf(np.array([0, 0.999, 1, 2, 3, 4, 5, 100, inf])) == pytest.approx(
        [0, 0, 0.125, 0.3125, 0.5, 0.5, 0.75, 0.75, 0.75]
    )
    assert (curve.n, curve.n_final) == (8, 6)


@pytest.mark.parametrize(
    ("p", "expected"), [(0.1, (0, 1)), (0.125, (0, 1)), (0.13, (1, 2)), (0.5, (2, 3)), (0.75, (4, 5)), (0.76, (8, inf))]
)
def test_a_quantile_is_the_interval_where_the_curve_reaches_it(p, expected):
    assert time_to_fulfilment(frame(HAND)).quantile(p) == expected


def test_the_right_end_of_a_bracket_belongs_to_it():
    # The analytic answer given in SurPyval's issue 272.
    curve = time_to_fulfilment(frame([(2, 2)] + [(3, 3)] * 5 + [(1, 3)] * 5))
    assert masses(curve) == [(2, 2, pytest.approx(1 / 6, abs=1e-8)), (3, 3, pytest.approx(5 / 6, abs=1e-8))]
    assert curve.quantile(0.1) == (2, 2)


def test_the_left_end_of_a_bracket_does_not_belong_to_it():
    assert masses(time_to_fulfilment(frame([(2, 2), (2, 4)]))) == [(2, 2, 0.5), (2, 4, 0.5)]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 8), st.booleans()), min_size=1, max_size=30))
def test_exact_and_censored_times_give_kaplan_meier(times):
    curve = time_to_fulfilment(frame([(t, t if seen else inf) for t, seen in times]))
    survival = 1.0
    for t in range(1, 9):
        at_risk = sum(other >= t for other, _ in times)
        if events := sum(other == t and seen for other, seen in times):
            survival *= 1 - events / at_risk
        assert curve.cdf(t) == pytest.approx(1 - survival, abs=1e-6)


def log_likelihood(brackets, points, weights):
    return sum(
        log(max(sum(w for t, w in zip(points, weights) if t == low == high or low < t <= high), 1e-300))
        for low, high in brackets
    )


@settings(max_examples=20)
@given(BRACKETS, st.integers(0, 10))
def test_no_other_distribution_makes_the_brackets_more_likely(brackets, seed):
    classes = time_to_fulfilment(frame(brackets)).frame()
    ours = log_likelihood(brackets, np.where(np.isinf(classes["to_s"]), 1e6, classes["to_s"]), classes["mass"])
    points = [*np.arange(0, 13, 0.5), 1e6]

    def loss(x):
        weights = np.exp(x - x.max())
        return -log_likelihood(brackets, points, weights / weights.sum())

    other = optimize.minimize(loss, np.random.default_rng(seed).normal(size=len(points)), options={"maxiter": 15})
    assert ours >= -other.fun - 1e-6


@pytest.mark.parametrize("kind", ["brackets", "exact and censored"])
def test_a_thousand_different_brackets_meet_the_optimality_condition(kind):
    rng = np.random.default_rng(3)
    durations = lognormal_durations(1000, 3).round(6)
    if kind == "brackets":
        low = np.maximum(durations - rng.uniform(0, 5, 1000), 0).round(6)
        high = np.where(rng.random(1000) < 0.03, inf, (low + 5).round(6))
    else:
        last = rng.exponential(30, 1000).round(6)
        low, high = np.minimum(durations, last), np.where(durations <= last, durations, inf)
    classes = time_to_fulfilment(frame(zip(low, high))).frame()
    # The gradient at any time may not exceed the number of orders, and equals it where there is mass.
    start, stop = classes["from_s"].to_numpy(), classes["to_s"].to_numpy()
    covers = np.where((low == high)[:, None], stop == high[:, None], (start >= low[:, None]) & (stop <= high[:, None]))
    weight = 1 / (covers @ classes["mass"].to_numpy())
    assert weight @ covers[:, classes["mass"] > 1e-6] == pytest.approx(1000, abs=1e-3)
    for t in np.append(high[np.isfinite(high)], low.max() + 1):
        assert weight[(low < t) & (t <= high) | (low == high) & (high == t)].sum() <= 1000 * (1 + 1e-6)


@settings(max_examples=30)
@given(BRACKETS, st.randoms())
def test_the_order_of_the_rows_does_not_matter(brackets, random):
    shuffled = random.sample(brackets, len(brackets))
    pd.testing.assert_frame_equal(
        time_to_fulfilment(frame(brackets)).frame(), time_to_fulfilment(frame(shuffled)).frame()
    )


@settings(max_examples=30)
@given(BRACKETS)
def test_the_same_orders_twice_give_the_same_curve(brackets):
    once, twice = time_to_fulfilment(frame(brackets)), time_to_fulfilment(frame(brackets * 2))
    assert twice.n == 2 * once.n
    assert twice.cdf(np.arange(13.0)) == pytest.approx(once.cdf(np.arange(13.0)), abs=1e-6)


@settings(max_examples=30)
@given(BRACKETS)
def test_the_curve_rises_from_0_to_at_most_1(brackets):
    shares = time_to_fulfilment(frame(brackets)).cdf(np.arange(-1, 20, 0.5))
    assert shares[0] == 0 and (np.diff(shares) >= 0).all() and shares[-1] <= 1


@pytest.mark.parametrize(
    ("brackets", "expected"),
    [
        ([(4, 9)], "FulfilmentCurve(1 orders, 1 final, median between 4.0 and 9.0 s)"),
        ([(4, 4)], "FulfilmentCurve(1 orders, 1 final, median 4.0 s)"),
        ([(4, inf), (9, inf)], "FulfilmentCurve(2 orders, 0 final, median after 9.0 s)"),
    ],
)
def test_a_curve_names_what_it_knows(brackets, expected):
    assert repr(time_to_fulfilment(frame(brackets))) == expected


def test_groups_have_their_own_curves_and_the_missing_one_is_unknown():
    orders = frame([(0, 1), (2, 3), (4, 5), (6, inf)], type_id=["b", "a", None, "a"])
    curves = time_to_fulfilment(orders, by="type_id")
    assert {group: curve.quantile(0.4) for group, curve in curves.items()} == {
        "a": (2, 3),
        "b": (0, 1),
        "unknown": (4, 5),
    }
    assert list(curves) == ["a", "b", "unknown"]


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
    ],
)
def test_brackets_that_make_no_sense_are_refused(orders, message):
    with pytest.raises(ValueError, match=message):
        time_to_fulfilment(orders)


def test_a_group_that_is_no_column_is_refused():
    with pytest.raises(ValueError, match="'colour'"):
        time_to_fulfilment(frame(HAND), by="colour")


def test_a_request_time_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="request_s must be 0 seconds or more, got -1.0"):
        time_to_fulfilment(frame(HAND, request_s=-1.0))


@pytest.mark.parametrize("value", [0, 1, -0.5, nan])
@pytest.mark.parametrize(
    "ask",
    [
        lambda c, v: c.quantile(v),
        lambda c, v: c.band(v),
        lambda c, v: c.quantile_band(v),
        lambda c, v: c.quantile_band(0.5, v),
        lambda c, v: c.fits["lognormal"].quantile(v),
    ],
)
def test_a_share_outside_0_and_1_is_refused(ask, value):
    with pytest.raises(ValueError, match="between 0 and 1"):
        ask(time_to_fulfilment(frame(HAND)), value)


def test_the_share_at_no_number_is_refused():
    with pytest.raises(ValueError, match="nan"):
        time_to_fulfilment(frame(HAND)).cdf(nan)


def test_requests_that_take_time_do_not_bend_the_curve():
    durations = lognormal_durations(4000, 0)
    orders = looked_at(durations, every=5, seconds=0.15)
    curve = time_to_fulfilment(orders)
    for seconds in (5, 10, 15, 20):
        assert curve.cdf(seconds + 0.15) == pytest.approx((durations <= seconds).mean(), abs=1e-6)
    assert curve.quantile(0.3) == (5, pytest.approx(10.15))


def test_the_band_holds_the_truth_at_most_points_and_narrows_with_more_orders():
    truth = stats.lognorm(0.668, scale=10)
    inside, widths = [], {}
    for seed in range(4):
        for n in (50, 200):
            band = time_to_fulfilment(looked_at(lognormal_durations(n, seed), every=5, last=40)).band()
            inside += list((band["low"] <= truth.cdf(band["seconds"])) & (truth.cdf(band["seconds"]) <= band["high"]))
            widths.setdefault(n, []).append((band["high"] - band["low"]).max())
    assert np.mean(inside) > 0.85
    assert np.mean(widths[200]) < 0.7 * np.mean(widths[50])


def test_the_band_is_the_same_each_time_and_encloses_the_curve():
    orders = looked_at(lognormal_durations(60, 1), every=5, last=40)
    curve = time_to_fulfilment(orders)
    band = curve.band()
    pd.testing.assert_frame_equal(band, time_to_fulfilment(orders.sample(frac=1, random_state=1)).band())
    assert (band["low"] <= curve.cdf(band["seconds"].to_numpy())).all()
    assert (curve.cdf(band["seconds"].to_numpy()) <= band["high"]).all()
    narrower = curve.band(0.5)
    assert (band["low"] <= narrower["low"]).all() and (narrower["high"] <= band["high"]).all()


def test_the_confidence_limits_of_a_quantile_enclose_it():
    curve = time_to_fulfilment(looked_at(lognormal_durations(60, 1), every=2, last=12))
    low, high = curve.quantile_band(0.5)
    assert low <= curve.quantile(0.5)[0] < curve.quantile(0.5)[1] <= high < inf
    assert curve.quantile_band(0.9)[1] == inf


@pytest.mark.parametrize(("law", "scipy_law"), [("lognormal", stats.lognorm), ("log-logistic", stats.fisk)])
@pytest.mark.parametrize("every", [2, 5])
def test_a_fit_agrees_with_scipy(law, scipy_law, every):
    orders = looked_at(lognormal_durations(80, 5), every=every, last=30)
    orders.loc[:4, ["not_done_by_s", "done_by_s"]] = 7.5
    fit = time_to_fulfilment(orders).fits[law]
    low, high = orders["not_done_by_s"], orders["done_by_s"]
    data = stats.CensoredData(
        uncensored=high[low == high],
        right=low[np.isinf(high)],
        interval=orders.loc[(low < high) & np.isfinite(high), [low.name, high.name]].to_numpy(),
    )
    shape, _, scale = scipy_law.fit(data, floc=0)
    theirs = scipy_law(shape, scale=scale)
    assert fit.median_s == pytest.approx(scale, rel=1e-3)
    assert fit.quantile(0.9) == pytest.approx(theirs.ppf(0.9), rel=1e-3)
    assert fit.cdf(np.array([0, 5, 20])) == pytest.approx(theirs.cdf([0, 5, 20]), abs=1e-3)


def test_fits_tell_the_law_that_made_the_data():
    fits = time_to_fulfilment(looked_at(lognormal_durations(3000, 2), every=3)).fits
    assert fits["lognormal"].median_s == pytest.approx(10, rel=0.05)
    assert fits["lognormal"].spread == pytest.approx(0.668, rel=0.05)
    assert fits["lognormal"].aic < fits["log-logistic"].aic


@pytest.mark.parametrize(
    "brackets",
    [
        [(0, 5)],
        [(0, 5), (5, 10)],
        [(4, inf)] * 9,
        [(0, 0), (1, 2), (2, 3), (3, 4)],
    ],
    ids=["one bracket", "two classes", "nothing final", "an exact 0"],
)
def test_too_little_to_fit_gives_no_fit(brackets):
    assert time_to_fulfilment(frame(brackets)).fits == {}


def test_a_competing_end_rises_to_its_share_of_all_orders():
    orders = frame([(0, 5), (0, 5), (5, 10), (5, 10)], status=["FULFILLED", "REFUNDED", "FULFILLED", "REFUNDED"])
    fulfilled = time_to_fulfilment(orders, end="FULFILLED")
    assert fulfilled.cdf(np.array([4, 5, 10, 100])) == pytest.approx([0, 0.25, 0.5, 0.5])
    assert (fulfilled.n, fulfilled.n_final) == (4, 2)


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_the_competing_ends_add_up_when_no_order_is_open(seed):
    orders = looked_at(lognormal_durations(40, seed), every=5)
    orders["status"] = np.random.default_rng(seed).choice(["FULFILLED", "PARTIALLY_FILLED", "REFUNDED"], 40)
    seconds = np.arange(0.0, 200.0, 5.0)
    ends = [time_to_fulfilment(orders, end=end).cdf(seconds) for end in orders["status"].unique()]
    assert sum(ends) == pytest.approx(time_to_fulfilment(orders).cdf(seconds), abs=1e-6)


def test_orders_still_open_may_end_in_any_way():
    """The first ends by 1, the open one is left out after 1.5: of two thirds still open all go as the second does."""
    orders = frame([(1, 1), (2, 2), (1.5, inf)], status=["REFUNDED", "FULFILLED", "HANDLING"])
    assert time_to_fulfilment(orders, end="FULFILLED").cdf(2) == pytest.approx(2 / 3)
    assert time_to_fulfilment(orders, end="REFUNDED").cdf(2) == pytest.approx(1 / 3)
    assert time_to_fulfilment(orders, end="PARTIALLY_FILLED").cdf(2) == 0


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_the_competing_ends_add_up_also_while_orders_are_open(seed):
    rng = np.random.default_rng(seed)
    orders = looked_at(lognormal_durations(60, seed), every=5)
    orders["status"] = rng.choice(["FULFILLED", "PARTIALLY_FILLED", "REFUNDED"], 60)
    last = 5.0 * rng.integers(1, 8, 60)
    given_up = orders["done_by_s"] > last
    orders.loc[given_up, ["done_by_s", "status"]] = inf, "HANDLING"
    orders["not_done_by_s"] = orders["not_done_by_s"].where(~given_up, last)
    seconds = np.arange(0.0, orders["done_by_s"][~given_up].max() + 1, 5.0)
    ends = [time_to_fulfilment(orders, end=end).cdf(seconds) for end in ("FULFILLED", "PARTIALLY_FILLED", "REFUNDED")]
    assert sum(ends) == pytest.approx(time_to_fulfilment(orders).cdf(seconds), abs=1e-5)


@pytest.mark.parametrize("every", [3.3, 5.1, 0.7])
def test_the_last_bits_of_the_bounds_do_not_matter(every):
    durations = lognormal_durations(2000, 0)
    high = np.ceil(durations / every) * every
    curve = time_to_fulfilment(frame(zip(np.maximum(high - every, 0), high)))
    for grid in every * np.arange(1, 10):
        assert curve.cdf(grid + 1e-6) == pytest.approx((durations <= grid).mean(), abs=1e-6)


def test_the_band_follows_orders_that_were_given_up():
    orders = frame([(0, 5)] * 30 + [(17, inf)] * 12)
    band = time_to_fulfilment(orders).band().set_index("seconds")
    assert band.loc[17.0, "high"] < 0.95


def test_an_end_that_is_no_final_status_is_refused():
    with pytest.raises(ValueError, match="end must be one of FULFILLED, PARTIALLY_FILLED, REFUNDED, got 'HANDLING'"):
        time_to_fulfilment(frame(HAND, status="HANDLING"), end="HANDLING")


def test_many_distinct_brackets_are_widened_and_still_hold_the_times():
    durations = lognormal_durations(30_000, 0)
    rng = np.random.default_rng(1)
    low = np.maximum(durations - rng.uniform(0, 5, len(durations)), 0)
    orders = frame(zip(low, durations + rng.uniform(0, 5, len(durations))))
    curve = time_to_fulfilment(orders)
    assert curve.brackets["orders"].sum() == 30_000 and len(curve.brackets) <= 5_000
    low, high = curve.quantile(0.5)
    assert low - 0.5 <= np.median(durations) <= high + 0.5


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 999))
def test_widening_in_parts_is_widening_the_whole(seed, cut):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 20, 1000)
    brackets = pd.DataFrame(
        {
            "not_done_by_s": low,
            "done_by_s": np.where(low < 19, low + rng.uniform(0, 5, 1000), inf),
            "request_s": rng.uniform(0, 0.3, 1000),
            "otherwise": rng.random(1000) < 0.2,
            "orders": 1,
        }
    )
    parts, powers = zip(widen(brackets[:cut], 100), widen(brackets[cut:], 100))
    whole, power = widen(brackets, 100)
    assert len(whole) <= 100
    again, its_power = widen(pd.concat(parts), 100, max(powers))
    pd.testing.assert_frame_equal(again, whole)
    assert its_power == power


@pytest.mark.parametrize(("p", "expected"), [(0.0625, 0.5), (0.125, 1), (0.625, 4.5), (0.9, inf)])
def test_a_point_lies_in_its_class_as_if_that_were_filled_evenly(p, expected):
    assert time_to_fulfilment(frame(HAND)).point(p) == pytest.approx(expected)
