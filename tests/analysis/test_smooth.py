"""The smooth estimate, its intervals, and what the data allow, whatever the orders."""

from math import inf, log

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from study import simulate

from giftlib import time_to_fulfilment

STATUSES = ["FULFILLED", "PARTIALLY_FILLED", "REFUNDED"]
TRUE = stats.lognorm(0.668, scale=10)
TIMES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=30)


def frame(low, high, **columns):
    return pd.DataFrame({"not_done_by_s": np.asarray(low, float), "done_by_s": np.asarray(high, float), **columns})


def polled(times, pause, latency_s=0.0, first=None, last=inf, seed=0):
    """Orders polled every `pause` seconds; the server answers in the middle of a request."""
    times = np.asarray(times, float)
    rng = np.random.default_rng(seed)
    placing, took = (latency_s * rng.lognormal(0, 0.3, len(times)) for _ in range(2))
    first = pause if first is None else first
    moment = first + pause * np.maximum(np.ceil((times - first) / pause), 0)
    before = np.where(moment > first, moment - pause, 0.0)
    still_open = moment > last
    before, moment = np.where(still_open, last, before), np.where(still_open, inf, moment)
    error = (placing + took) / 2
    low, high = np.maximum(before - error, 0), moment + error
    return frame(low, high, open_at_s=before, final_at_s=moment, guess_error_s=error)


@pytest.mark.parametrize("latency_s", [0, 0.15, 3])
@pytest.mark.parametrize("pause", [5, 10])
@pytest.mark.parametrize("any_moment", [False, True])
def test_lognormal(latency_s, pause, any_moment):
    """The median of 2,000 orders is right however they are polled and however long responses take."""
    first = np.random.default_rng(1).uniform(0, pause, 2000) if any_moment else None
    found = time_to_fulfilment(polled(TRUE.rvs(2000, random_state=2), pause, latency_s, first)).summary()
    truth = TRUE.ppf([0.5, 0.9, 0.95])
    assert found["estimate"].to_numpy() == pytest.approx(truth, rel=0.05)
    assert found.loc["median", "estimate"] == pytest.approx(10, abs=0.4)


@pytest.mark.parametrize("n", [10, 50])
def test_cover(n):
    """The 95 % intervals hold the truth about as often as they say."""
    held = []
    for seed in range(60):
        times = TRUE.rvs(n, random_state=np.random.default_rng(seed))
        summary = time_to_fulfilment(polled(times, 5, 0.15, last=60, seed=seed)).summary()
        truth = TRUE.ppf([0.5, 0.9, 0.95])
        held.append((summary["low"] <= truth) & (truth <= summary["high"]))
    assert np.mean(held, axis=0).min() >= 0.88


def test_flat_likelihood():
    """The median is right where the likelihood hardly falls from its maximum in some direction."""
    rng = np.random.default_rng([4, *map(ord, "lognormalone list, 5 s"), 15, 2000])
    times = TRUE.rvs(2000, random_state=rng)
    curve = time_to_fulfilment(simulate(times, "one list, 5 s", 0.15, rng))
    assert curve.quantile(0.5).estimate == pytest.approx(np.median(times), abs=0.4)


def test_two_peaks():
    """A distribution with two peaks is not taken for a lognormal one, and the fits say that they do not fit."""
    rng = np.random.default_rng(4)
    times = np.where(rng.random(400) < 0.6, rng.lognormal(log(6), 0.2, 400), rng.lognormal(log(22), 0.2, 400))
    curve = time_to_fulfilment(polled(times, 5, first=rng.uniform(0, 5, 400)))
    seconds = np.array([4.0, 8.0, 12.0, 16.0, 20.0, 24.0])
    own = [(times <= second).mean() for second in seconds]
    assert curve.cdf(seconds) == pytest.approx(own, abs=0.05)
    assert all(fit.verdict.startswith("it does not fit") for fit in curve.fits.values())


def test_fit_fits():
    """The fit of the right family says that it fits."""
    curve = time_to_fulfilment(polled(TRUE.rvs(400, random_state=5), 5))
    assert curve.fits["lognormal"].verdict == "it fits"


def test_one_time():
    """Orders that may all have taken the same time are said to have taken it, to what the polls allow."""
    first = np.linspace(0.1, 4.9, 40)
    estimate, low, high = time_to_fulfilment(polled(np.full(40, 12.0), 5, first=first)).quantile(0.5)
    assert 11.8 < low <= 12 <= high < 12.3
    assert low < estimate < high


@pytest.mark.parametrize(("low", "high"), [([5] * 30 + [7] * 5, [5] * 30 + [inf] * 5), ([10] * 9 + [10.1] * 9,) * 2])
def test_nearly_one_time(low, high):
    """The interval holds the sample's own quantile where times are nearer to each other than points of the curve."""
    curve = time_to_fulfilment(frame(low, high))
    for p in (0.05, 0.3, 0.5, 0.7):
        _, first, last = curve.quantile(p)
        assert first <= curve.sample_bounds(p)[1] and curve.sample_bounds(p)[0] <= last


@pytest.mark.parametrize(("n", "least"), [(1, 0), (2, 0), (5, 0), (6, 9), (30, 9)])
def test_nothing_final(n, least):
    """Open orders alone bound the median once they are so many that not all would be open if half were final."""
    estimate, low, high = time_to_fulfilment(frame([9] * n, [inf] * n)).quantile(0.5)
    assert estimate == high == inf and low == pytest.approx(least, abs=0.01)
    assert (0.5**n < 0.025) == (least > 0)


def test_no_fit_of_one_time():
    """Orders of one exact time, with others given up before, do not identify a distribution."""
    assert time_to_fulfilment(frame([5] * 30 + [3] * 5, [5] * 30 + [inf] * 5)).fits == {}


@pytest.mark.parametrize(
    ("p", "n", "bounded"), [(0.9, 20, False), (0.9, 50, True), (0.95, 50, False), (0.95, 90, True)]
)
def test_few_orders_beyond(p, n, bounded):
    """The upper limit is infinite while all n orders may well lie below the quantile, and finite from then on."""
    high = time_to_fulfilment(polled(TRUE.rvs(n, random_state=7), 5)).quantile(p).high
    assert (high < inf) == (p**n < 0.025) == bounded


def test_before_first_poll():
    """Nothing is claimed of what happens before the first poll."""
    estimate, low, high = time_to_fulfilment(frame([0] * 30 + [5] * 10, [5] * 30 + [10] * 10)).quantile(0.5)
    assert low == 0 and high >= 5
    assert 2 < estimate < 5


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ([0], [inf]),
        ([9, 9], [inf, inf]),
        ([0], [0]),
        ([0] * 3, [0] * 3),
        ([4], [4]),
        ([0, 5], [5, 10]),
        ([0, 0, 5], [0, 5, inf]),
        ([1e-3] * 5, [2e-3] * 5),
        ([0, 1e6], [1e-3, 1e6]),
        ([3, 3, 3], [3, 3, inf]),
    ],
)
def test_edges(low, high):
    """The smallest and oddest frames give numbers in order, and no warning."""
    curve = time_to_fulfilment(frame(low, high))
    for p in (0.05, 0.5, 0.95):
        estimate, first, last = curve.quantile(p)
        assert 0 <= first <= estimate <= last
        assert curve.sample_bounds(p)[0] <= curve.sample_bounds(p)[1]
    assert (curve.band().diff().iloc[1:] >= -1e-12).all(axis=None)
    assert repr(curve) and curve.fits is not None


@settings(max_examples=30, deadline=None)
@given(TIMES, st.integers(0, 10**6), st.floats(0.01, 0.99))
def test_sample_bounds(times, seed, p):
    """The sample's own quantile lies between its bounds, for certain."""
    rng = np.random.default_rng(seed)
    times = np.array(times)
    low = (times * rng.uniform(0, 0.999, len(times))).round(6)
    high = np.where(rng.random(len(times)) < 0.2, inf, times * rng.uniform(1, 2, len(times)))
    first, last = time_to_fulfilment(frame(low, high)).sample_bounds(p)
    own = np.sort(times)[int(np.ceil(round(p * len(times), 9))) - 1]
    assert first <= own <= last + 1e-6


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 60), st.integers(0, 10**6), st.floats(0.01, 100))
def test_scale(n, seed, scale):
    """Orders that take so many times as long have quantiles that are so many times as large."""
    orders = polled(TRUE.rvs(n, random_state=np.random.default_rng(seed)), 5, 0.3, last=40, seed=seed)
    once = time_to_fulfilment(orders).summary()
    scaled = time_to_fulfilment(orders * scale).summary()
    pd.testing.assert_frame_equal(scaled, once * scale, rtol=0.01, atol=0.002)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.integers(0, 10**6))
def test_order(n, seed):
    """Quantiles rise with p, an interval holds its estimate, a wider level a wider one; rows may be mixed."""
    orders = polled(TRUE.rvs(n, random_state=np.random.default_rng(seed)), 5, 0.3, last=30, seed=seed)
    curve = time_to_fulfilment(orders)
    found = pd.DataFrame([curve.quantile(p) for p in np.arange(0.05, 1, 0.05)])
    rises = found.replace(inf, 1e12).diff().iloc[1:]
    assert (rises >= -1e-9).all(axis=None)
    assert (found["low"] <= found["estimate"]).all() and (found["estimate"] <= found["high"]).all()
    narrow, wide = curve.quantile(0.5, 0.5), curve.quantile(0.5, 0.99)
    assert wide.low <= narrow.low and narrow.high <= wide.high
    mixed = time_to_fulfilment(orders.sample(frac=1, random_state=seed))
    pd.testing.assert_frame_equal(mixed.band(), curve.band())


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), last=st.sampled_from([inf, 30.0, 12.0]))
def test_outcomes_add_up(seed, last):
    """The curves of the outcomes add up to the curve of all orders where one is final, also while others are open."""
    rng = np.random.default_rng(seed)
    orders = polled(rng.lognormal(log(10), 0.668, 50), 5, 0.15, last=last, seed=seed)
    orders["status"] = np.where(np.isinf(orders["done_by_s"]), "HANDLING", rng.choice(STATUSES, 50))
    whole = time_to_fulfilment(orders)
    seconds = np.linspace(0, orders["final_at_s"].replace(inf, 0).max(), 40)
    parts = [time_to_fulfilment(orders, outcome=outcome) for outcome in STATUSES]
    assert sum(part.cdf(seconds) for part in parts) == pytest.approx(whole.cdf(seconds), abs=1e-6)
    assert all(part.fits == {} for part in parts)
    assert sum(part.n_outcome for part in parts) == whole.n_final


@pytest.mark.parametrize(("refunded", "n"), [(0, 20), (7, 20), (20, 20)])
def test_proportion(refunded, n):
    """The proportion with an outcome has an interval that holds it, also for none of the orders and for all."""
    orders = polled(TRUE.rvs(n, random_state=1), 5)
    orders["status"] = ["REFUNDED"] * refunded + ["FULFILLED"] * (n - refunded)
    curve = time_to_fulfilment(orders, outcome="REFUNDED")
    estimate, low, high = curve.proportion()
    assert estimate == refunded / n
    assert (low, high) == pytest.approx(stats.binomtest(refunded, n).proportion_ci(), abs=1e-9)
    assert f"{refunded} REFUNDED" in repr(curve)
    assert curve.quantile(0.9).estimate == inf or refunded == n


def test_time_of_outcome():
    """Refunds after 12 s are told as such, though most orders take another way; what is not reached has no number."""
    refunds, others = polled(np.full(12, 12.0), 5), polled(np.full(28, 40.0), 5)
    orders = pd.concat([refunds.assign(status="REFUNDED"), others.assign(status="FULFILLED")])
    curve = time_to_fulfilment(orders, outcome="REFUNDED")
    assert 10 < curve.quantile(0.15).estimate < 15
    assert curve.quantile(0.5).estimate == inf
    assert curve.proportion().estimate == 0.3


def test_summary():
    """The summary has the quantiles that are asked for most."""
    curve = time_to_fulfilment(polled(TRUE.rvs(100, random_state=3), 5))
    assert curve.summary().loc["90 %"].tolist() == list(curve.quantile(0.9))


def test_one_slow_order():
    """One order that takes a hundred times as long as the others leaves their median alone."""
    curve = time_to_fulfilment(frame([1, 2, 3] * 33 + [1000], [2, 3, 4] * 33 + [2000]))
    assert curve.quantile(0.5).estimate == pytest.approx(2.5, abs=0.2)
    assert (curve.band().diff().iloc[1:] >= -1e-12).all(axis=None)


@pytest.mark.parametrize("spread", [0.003, 0.01, 0.015, 0.03])
@pytest.mark.parametrize("width", [0, 1])
def test_nearly_equal_times(spread, width):
    """The median of orders that take nearly the same time is reached, and near theirs."""
    times = 12 * np.exp(spread * stats.norm.ppf((np.arange(400) + 0.5) / 400))
    low = times - np.arange(400) * 0.618 % 1 * width
    assert time_to_fulfilment(frame(low, low + width)).quantile(0.5).estimate == pytest.approx(12, abs=0.2)


@pytest.mark.parametrize("times", [[5] * 300, [5] * 150 + [5.001] * 150])
@pytest.mark.parametrize("last", [5.001, inf])
def test_median_is_known(times, last):
    """Where the orders' own median is known, it is not said that the curve does not reach it."""
    curve = time_to_fulfilment(frame(times, [*times[:-1], last]))
    assert curve.quantile(0.5).estimate == pytest.approx(5, abs=0.01)
