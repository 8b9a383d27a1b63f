import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import CensoredData, chi2, fisk, lognorm

from giftlib.analysis import Fit, fit_distribution, fit_with_prior, profile_interval
from giftlib.analysis.distributions import is_identified


def seen_every(pause, durations, given_up=np.inf):
    """Intervals of orders that were polled every `pause` seconds until `given_up`."""
    high = np.ceil(durations / pause) * pause
    is_open = high > given_up
    return np.where(is_open, given_up, high - pause), np.where(is_open, np.inf, high)


def frame(low, high):
    return pd.DataFrame({"not_done_by_s": low, "done_by_s": high})


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10**6), n=st.integers(15, 150), median=st.floats(2, 100), given_up=st.sampled_from([np.inf, 60])
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_fit_against_scipy(seed, n, median, given_up):
    """scipy maximises the same likelihood by its own code; giftlib's maximum must not be lower."""
    durations = lognorm(0.7, scale=median).rvs(n, random_state=np.random.default_rng(seed))
    low, high = seen_every(median / 3, durations, given_up=6 * median if given_up == 60 else np.inf)

    def log_likelihood(distribution):
        with np.errstate(divide="ignore"):
            return np.log(distribution.cdf(high) - distribution.cdf(low)).sum()

    spread, _, scale = lognorm.fit(CensoredData.interval_censored(low, high), floc=0)
    ours = fit_distribution("lognormal", low, high, np.ones(n))
    assert log_likelihood(ours.distribution) >= log_likelihood(lognorm(spread, scale=scale)) - 1e-4
    assert ours.aic == pytest.approx(4 - 2 * log_likelihood(ours.distribution))


def test_counts():
    """An interval with a count weighs as much as so many intervals."""
    low, high, count = np.array([0.0, 5, 10, 20]), np.array([5.0, 10, 15, np.inf]), np.array([3.0, 9, 4, 2])
    one_by_one = [np.repeat(column, count.astype(int)) for column in (low, high)]
    together = fit_distribution("log-logistic", low, high, count)
    apart = fit_distribution("log-logistic", *one_by_one, np.ones(18))
    assert together.median_s == pytest.approx(apart.median_s, rel=1e-5)
    assert together.spread == pytest.approx(apart.spread, rel=1e-5)


@pytest.mark.parametrize(("family", "same"), [("lognormal", lognorm(0.5, scale=8)), ("log-logistic", fisk(2, scale=8))])
def test_fit_is_distribution(family, same):
    """A fit has the quantiles of its family's distribution."""
    fit = Fit(family, 8.0, 0.5, 0.0)
    for seconds in (0.0, 3.0, 8.0, 50.0):
        assert fit.cdf(seconds) == pytest.approx(same.cdf(seconds))
    assert fit.quantile(0.5) == pytest.approx(8)
    assert fit.quantile(0.95) == pytest.approx(same.ppf(0.95))
    with pytest.raises(ValueError, match="p must lie between"):
        fit.quantile(1.0)


def test_prior_alone():
    """Without orders the fit is the prior."""
    fit = fit_with_prior(frame([], []))
    assert fit.median_s == pytest.approx(10, rel=1e-4)
    assert fit.spread == pytest.approx(0.8, rel=1e-4)


@pytest.mark.parametrize("median", [3, 40])
def test_prior_weight(median):
    """Many orders outweigh the prior, and a few move it."""
    durations = lognorm(0.5, scale=median).ppf((np.arange(2000) + 0.5) / 2000)
    many = fit_with_prior(frame(*seen_every(1, durations)))
    few = fit_with_prior(frame(*seen_every(1, durations[100::500])))
    assert many.median_s == pytest.approx(median, rel=0.02)
    assert many.spread == pytest.approx(0.5, rel=0.05)
    assert min(10, median) < few.median_s < max(10, median)


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        (pd.DataFrame({"done_by_s": [1.0]}), "orders must have the column 'not_done_by_s', got done_by_s"),
        (pd.DataFrame({"not_done_by_s": ["a"], "done_by_s": [1.0]}), "not_done_by_s must hold seconds as numbers"),
        (frame([-1.0], [1.0]), "not_done_by_s must be 0 seconds or more, got -1.0"),
        (frame([2.0], [1.0]), "not_done_by_s must not exceed done_by_s, got 2.0 > 1.0"),
        (frame([np.nan], [1.0]), "not_done_by_s must be 0 seconds or more, got nan"),
    ],
)
def test_invalid_frame(orders, message):
    """A frame without valid intervals raises and says what is wrong."""
    with pytest.raises(ValueError, match=message):
        fit_with_prior(orders)


@pytest.mark.parametrize(("family", "p"), [("lognormal", 0.5), ("lognormal", 0.95), ("log-logistic", 0.95)])
def test_profile_interval_coverage(family, p):
    """An interval of 80 % confidence holds the true quantile about eight times in ten, and one of 99.9 % always."""
    true = Fit(family, 10.0, 0.5, 0.0)
    held = {0.8: 0, 0.999: 0}
    for seed in range(30):
        durations = true.distribution.rvs(40, random_state=np.random.default_rng(seed))
        low, high = seen_every(5, durations, given_up=40)
        fit = fit_distribution(family, low, high, np.ones(40))
        for confidence in held:
            first, last = profile_interval(fit, low, high, np.ones(40), p, level=confidence)
            assert first < fit.quantile(p) < last
            held[confidence] += first <= true.quantile(p) <= last
    assert 19 <= held[0.8] <= 29 and held[0.999] == 30


def test_profile_interval_closed_form():
    """For exact times and p = 0.5 the interval is the one that the likelihood ratio gives by hand."""
    times = np.array([4.0, 7.0, 9.0, 16.0, 30.0])
    logs, n = np.log(times), len(times)
    half = np.sqrt(logs.var() * (np.exp(chi2.ppf(0.95, 1) / n) - 1))
    fit = fit_distribution("lognormal", times, times, np.ones(n))
    expected = np.exp([logs.mean() - half, logs.mean() + half])
    assert profile_interval(fit, times, times, np.ones(n)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [([5] * 9, [10] * 9, (5, 10)), ([0] * 9, [5] * 9, (0, 5)), ([20] * 9, [np.inf] * 9, (20, np.inf))],
    ids=["one interval", "all by the first poll", "none final"],
)
def test_profile_interval_of_little_data(low, high, expected):
    """Where the data do not identify a fit, the interval holds all that they allow."""
    low, high = np.array(low, float), np.array(high, float)
    fit = fit_distribution("lognormal", low, high, np.ones(9))
    assert not is_identified(fit)
    first, last = profile_interval(fit, low, high, np.ones(9))
    assert first <= expected[0] + 1e-3 and last >= expected[1] - 1e-3


@pytest.mark.parametrize("value", [0, 1, np.nan])
def test_profile_interval_of_no_proportion(value):
    """A quantile or confidence outside 0 and 1 raises."""
    times = np.array([4.0, 7.0, 9.0])
    fit = fit_distribution("lognormal", times, times, np.ones(3))
    with pytest.raises(ValueError, match="p must lie between"):
        profile_interval(fit, times, times, np.ones(3), value)
    with pytest.raises(ValueError, match="level must lie between"):
        profile_interval(fit, times, times, np.ones(3), level=value)


@pytest.mark.parametrize("family", ["lognormal", "log-logistic"])
def test_summary(family):
    """The summary's errors are the spread of estimates over samples, and its intervals hold the truth."""
    true = Fit(family, 10.0, 0.5, 0.0)
    found, held = [], []
    for seed in range(40):
        low, high = seen_every(5, true.distribution.rvs(60, random_state=np.random.default_rng(seed)), given_up=40)
        summary = fit_distribution(family, low, high, np.ones(60)).summary()
        truth = [10.0, true.quantile(0.95), 0.5]
        held.append((summary["low"] <= truth) & (truth <= summary["high"]))
        found.append(summary)
    assert list(found[0].index) == ["median", "95 %", "spread"]
    estimates = pd.concat([one["estimate"] for one in found], axis=1)
    errors = pd.concat([one["error"] for one in found], axis=1).mean(axis=1)
    assert errors.to_numpy() == pytest.approx(estimates.std(axis=1).to_numpy(), rel=0.4)
    assert np.mean(held, axis=0).min() >= 0.85


def test_summary_of_no_orders():
    """A distribution made by hand has no summary, and says why."""
    with pytest.raises(ValueError, match="made by hand"):
        Fit("lognormal", 10.0, 0.5, 0.0).summary()


def test_summary_of_nearly_equal_times():
    """Where the likelihood is no parabola at its maximum there is no standard error, but an interval."""
    summary = fit_distribution("lognormal", *np.array([[7.0, 12.0], [12.0, 17.0], [108, 92]])).summary()
    assert summary.loc["median", "low"] < 12 < summary.loc["median", "high"]
    assert np.isnan(summary["error"]).all()


@pytest.mark.parametrize("rows", [5, 6])
@pytest.mark.parametrize("seed", range(5))
def test_current_status(rows, seed):
    """A few orders of which each was polled once give fits without an error, which say that they are not identified."""
    rng = np.random.default_rng(seed)
    polled, final = rng.uniform(1, 30, rows), rng.random(rows) < 0.5
    low, high = np.where(final, 0, polled), np.where(final, polled, np.inf)
    for family in ("lognormal", "log-logistic"):
        fit = fit_distribution(family, low, high, np.ones(rows))
        assert 0 < fit.median_s < np.inf and 0 < fit.spread < np.inf
        if is_identified(fit):
            assert 0.1 < fit.median_s < 1000 and fit.spread < 20
