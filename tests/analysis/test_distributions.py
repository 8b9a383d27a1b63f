import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import CensoredData, fisk, lognorm

from giftlib.analysis.distributions import Fit, expected_law, fit_law


def seen_every(pause, durations, given_up=np.inf):
    """Brackets of orders that were looked at each `pause` seconds until `given_up`."""
    high = np.ceil(durations / pause) * pause
    is_open = high > given_up
    return np.where(is_open, given_up, high - pause), np.where(is_open, np.inf, high)


def frame(low, high):
    return pd.DataFrame({"not_done_by_s": low, "done_by_s": high})


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6), n=st.integers(15, 300), median=st.floats(2, 100), given_up=st.sampled_from([np.inf, 60])
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_fit_is_the_one_that_scipy_finds(seed, n, median, given_up):
    """scipy maximises the same likelihood by its own code; giftlib's maximum must not be lower."""
    durations = lognorm(0.7, scale=median).rvs(n, random_state=np.random.default_rng(seed))
    low, high = seen_every(median / 3, durations, given_up=6 * median if given_up == 60 else np.inf)

    def log_likelihood(law):
        with np.errstate(divide="ignore"):
            return np.log(law.cdf(high) - law.cdf(low)).sum()

    spread, _, scale = lognorm.fit(CensoredData.interval_censored(low, high), floc=0)
    ours = fit_law("lognormal", low, high, np.ones(n))
    assert log_likelihood(ours.distribution) >= log_likelihood(lognorm(spread, scale=scale)) - 1e-4
    assert ours.aic == pytest.approx(4 - 2 * log_likelihood(ours.distribution))


def test_orders_counted_together_weigh_as_many():
    low, high, count = np.array([0.0, 5, 10, 20]), np.array([5.0, 10, 15, np.inf]), np.array([3.0, 9, 4, 2])
    one_by_one = [np.repeat(column, count.astype(int)) for column in (low, high)]
    together = fit_law("log-logistic", low, high, count)
    apart = fit_law("log-logistic", *one_by_one, np.ones(18))
    assert together.median_s == pytest.approx(apart.median_s, rel=1e-5)
    assert together.spread == pytest.approx(apart.spread, rel=1e-5)


@pytest.mark.parametrize(("law", "same"), [("lognormal", lognorm(0.5, scale=8)), ("log-logistic", fisk(2, scale=8))])
def test_a_fit_is_the_distribution_that_it_says(law, same):
    fit = Fit(law, 8.0, 0.5, 0.0)
    for seconds in (0.0, 3.0, 8.0, 50.0):
        assert fit.cdf(seconds) == pytest.approx(same.cdf(seconds))
    assert fit.quantile(0.5) == pytest.approx(8)
    assert fit.quantile(0.95) == pytest.approx(same.ppf(0.95))
    with pytest.raises(ValueError, match="p must lie between"):
        fit.quantile(1.0)


def test_without_orders_the_law_is_the_prior():
    law = expected_law(frame([], []))
    assert law.median_s == pytest.approx(10, rel=1e-4)
    assert law.spread == pytest.approx(0.8, rel=1e-4)


@pytest.mark.parametrize("median", [3, 40])
def test_many_orders_outweigh_the_prior_and_few_move_it(median):
    durations = lognorm(0.5, scale=median).ppf((np.arange(2000) + 0.5) / 2000)
    many = expected_law(frame(*seen_every(1, durations)))
    few = expected_law(frame(*seen_every(1, durations[100::500])))
    assert many.median_s == pytest.approx(median, rel=0.02)
    assert many.spread == pytest.approx(0.5, rel=0.05)
    assert min(10, median) < few.median_s < max(10, median)


@pytest.mark.parametrize(
    "orders",
    [
        pd.DataFrame({"done_by_s": [1.0]}),
        pd.DataFrame({"not_done_by_s": ["a"], "done_by_s": [1.0]}),
        frame([-1.0], [1.0]),
        frame([2.0], [1.0]),
        frame([np.nan], [1.0]),
    ],
)
def test_a_frame_without_brackets_is_refused(orders):
    with pytest.raises(ValueError, match="orders must have"):
        expected_law(orders)
