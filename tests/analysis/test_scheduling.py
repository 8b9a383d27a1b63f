import math
import os
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from poll_times import polls_of
from scipy.stats import expon, fisk, lognorm, weibull_min
from thorough import tries

from giftlib.analysis import Z95
from giftlib.schedules import at_times, best_delay, evaluate, every, exponential, fitted, optimum

GUIDE = lognorm(np.log(3) / Z95, scale=10)
LOG_LOGISTIC = fisk(np.log(19) / np.log(3), scale=10)
NO_ORDERS = pd.DataFrame({"not_done_by_s": [], "done_by_s": []})
HISTORIES = int(os.environ.get("GIFTLIB_HISTORIES", tries(12, 20)))


def test_guide():
    """Lognormal, median 10 s, 95 % within 30 s: 3.99 requests and 2.48 s, by the definition of both."""
    guide, patient = evaluate(every(5), GUIDE), evaluate(every(5, first=7), GUIDE)
    assert guide.requests_per_order == pytest.approx(3.99, abs=0.01)
    assert guide.mean_delay_s == pytest.approx(2.48, abs=0.01)
    assert patient.requests_per_order == pytest.approx(2.61, abs=0.01)
    assert patient.mean_delay_s == pytest.approx(2.56, abs=0.01)


@given(st.lists(st.floats(0, 500), min_size=1, max_size=20), st.floats(0.5, 60))
def test_durations(durations, pause):
    """An evaluation of durations counts the polls one by one."""
    polls, delays = [], []
    for duration in durations:
        time, count = 0.0, 1
        while time < duration:
            time, count = time + pause, count + 1
        polls.append(count)
        delays.append(time - duration)
    found = evaluate(every(pause), durations)
    assert found.requests_per_order == pytest.approx(np.mean(polls))
    assert found.mean_delay_s == pytest.approx(np.mean(delays), abs=1e-6)


@pytest.mark.parametrize("durations", [[], [-1.0], [np.inf], [np.nan]])
def test_invalid_durations(durations):
    """Durations that are no finite numbers from 0 up raise."""
    with pytest.raises(ValueError, match="durations must be finite"):
        evaluate(every(5), durations)


def test_distribution_and_durations():
    """A distribution and many orders of it evaluate alike."""
    durations = GUIDE.ppf((np.arange(200_000) + 0.5) / 200_000)
    for schedule in (every(5), every(5, first=7), exponential(1, 1.5, 10)):
        assert evaluate(schedule, durations) == pytest.approx(evaluate(schedule, GUIDE), abs=0.01)


@settings(max_examples=50)
@given(st.floats(0.5, 50), st.floats(2, 60))
def test_memoryless(pause, mean):
    """A fixed interval against a distribution without memory has a closed form."""
    found = evaluate(every(pause, first=pause), expon(scale=mean))
    final = 1 - np.exp(-pause / mean)
    assert found.requests_per_order == pytest.approx(1 / final, rel=1e-6)
    assert found.mean_delay_s == pytest.approx(pause / final - mean, rel=1e-5, abs=1e-7)


def test_no_mean():
    """A distribution without a mean raises."""
    with pytest.raises(ValueError, match="orders must be a distribution with a finite mean"):
        evaluate(every(5), fisk(0.9, scale=10))


def test_endless():
    """A schedule that does not reach the orders' time raises."""
    with pytest.raises(ValueError, match="must reach"):
        evaluate(every(1e-9), [3600.0])


@pytest.mark.parametrize("distribution", [GUIDE, fisk(2.7, scale=10), weibull_min(1.5, scale=12)])
@pytest.mark.parametrize("request_cost_s", [0.5, 2.0])
@pytest.mark.parametrize("closest", [0.0, 5.0])
def test_optimum(distribution, request_cost_s, closest):
    """None of many schedules is better than the optimum."""

    def cost(schedule):
        found = evaluate(schedule, distribution)
        return found.mean_delay_s + request_cost_s * found.requests_per_order

    best = cost(optimum(distribution, request_cost_s, closest=closest))
    for first, pause in product([2, 5, 7, 8.5, 10], [max(closest, 1), 5, 6.5, 8, 12]):
        assert best <= cost(every(pause, first=first)) + 0.005


@pytest.mark.parametrize("request_cost_s", [0.3, 1.0, 4.0])
def test_memoryless_optimum(request_cost_s):
    """Interval d costs d/(1-e^(-d/m)) - m of delay and 1/(1-e^(-d/m)) requests; the optimum is the best of these."""
    mean = 10.0
    d = np.linspace(0.2, 40, 20_000)
    closed_form = ((d + request_cost_s) / (1 - np.exp(-d / mean)) - mean).min()
    found = evaluate(optimum(expon(scale=mean), request_cost_s), expon(scale=mean))
    assert found.mean_delay_s + request_cost_s * found.requests_per_order == pytest.approx(closed_form, abs=0.01)


@pytest.mark.parametrize("closest", [0.0, 5.0])
def test_optimum_gaps(closest):
    """Polls are as far apart as asked."""
    times = eval(repr(optimum(GUIDE, 0.2, closest=closest)).removeprefix("at_times"))
    assert np.diff(times).min() >= max(closest, 0.05) - 1e-9


def test_best_delay_limit():
    """No schedule with gaps of 5 s is below 2.48 s: half of the gap, as orders are final anywhere inside it."""
    with pytest.raises(ValueError, match="requests_per_order must be from"):
        best_delay(GUIDE, 10, closest=5)
    assert best_delay(GUIDE, 2.86, closest=5) == pytest.approx(2.48, abs=0.01)


def test_best_delay():
    """More requests make the best delay smaller, and the guide's schedules are above it."""
    guides = [evaluate(every(pause), GUIDE) for pause in (5, 10)]
    often, rarely = (best_delay(GUIDE, guide.requests_per_order) for guide in guides)
    assert often < best_delay(GUIDE, 3.0) < rarely
    assert often < guides[0].mean_delay_s and rarely < guides[1].mean_delay_s


def test_certain_time():
    """An order whose time is nearly certain needs one request."""
    distribution = lognorm(1e-4, scale=20)
    found = evaluate(optimum(distribution, 1.0), distribution)
    assert found.requests_per_order == pytest.approx(1, abs=0.01)
    assert found.mean_delay_s < 0.1
    assert evaluate(at_times([20.1, 30]), distribution).requests_per_order == pytest.approx(1)


@pytest.mark.parametrize("request_cost_s", [0, -1, float("inf"), "1"])
def test_invalid_request_cost(request_cost_s):
    """A request must cost something."""
    with pytest.raises(ValueError, match="request_cost_s must be"):
        optimum(GUIDE, request_cost_s)


def history(distribution, orders, seed):
    """Past orders as the guide's loop shows them."""
    high = np.ceil(distribution.rvs(orders, random_state=np.random.default_rng(seed)) / 5) * 5
    return pd.DataFrame({"not_done_by_s": high - 5, "done_by_s": high})


@cache
def front(distribution):
    """Requests per order and mean delay of optimal schedules, the dearest first."""
    points = [evaluate(optimum(distribution, cost), distribution) for cost in np.geomspace(6, 0.5, 20)]
    return [point.requests_per_order for point in points], [point.mean_delay_s for point in points]


@pytest.mark.parametrize("distribution", [GUIDE, LOG_LOGISTIC], ids=["lognormal", "log-logistic"])
@pytest.mark.parametrize(("orders", "summary", "limit"), [(5, max, 0.25), (20, np.mean, 0.05)])
def test_near_optimum(distribution, orders, summary, limit):
    """The mean delay of a fitted schedule hardly exceeds the least that is possible with as many requests."""

    def excess(seed):
        found = evaluate(fitted(history(distribution, orders, seed)), distribution)
        requests, delays = front(distribution)
        assert requests[0] < found.requests_per_order < requests[-1]
        return found.mean_delay_s / np.interp(found.requests_per_order, requests, delays) - 1

    assert summary([excess(seed) for seed in range(HISTORIES)]) <= limit


@pytest.mark.parametrize(("closest", "latency"), [(5.0, 0.0), (5.0, 0.3), (5.0, 12.0), (2.0, 0.3), (12.0, 0.3)])
@pytest.mark.parametrize("median", [2, 10, 80])
def test_fitted_gaps(closest, latency, median):
    """The polls of a fitted schedule keep their distance for ever."""
    schedule = fitted(history(lognorm(0.6, scale=median), 30, 0), closest=closest)
    gaps = np.diff(polls_of(schedule, 200, latency=latency))
    assert gaps.min() >= closest - 1e-5
    assert gaps.max() <= max(10, closest) + max(latency, closest)


def test_expected():
    """A fitted schedule says what it expects, and prints how many orders it is from."""
    past = history(GUIDE, 50, 1)
    schedule = fitted(past)
    assert repr(schedule) == "fitted(50 orders)"
    assert repr(fitted(past, closest=2)) == "fitted(50 orders, closest=2)"
    assert schedule.expected == evaluate(schedule, past) == evaluate(schedule, schedule.fit.distribution)


def test_no_history():
    """Without past orders there is a schedule too."""
    schedule = fitted(NO_ORDERS)
    assert 5 < polls_of(schedule, 1)[0] < 10
    assert evaluate(schedule, GUIDE).requests_per_order < evaluate(every(5), GUIDE).requests_per_order


def test_invalid_closest():
    """A closest gap of 0 raises."""
    with pytest.raises(ValueError, match="closest must be"):
        fitted(NO_ORDERS, closest=0)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(0, 300), st.one_of(st.floats(0, 60), st.just(math.inf))), max_size=20))
def test_any_history(intervals):
    """Whatever the past orders, there is a schedule."""
    past = pd.DataFrame({"not_done_by_s": [a for a, _ in intervals], "done_by_s": [a + w for a, w in intervals]})
    polls = polls_of(fitted(past[(past["done_by_s"] > 0)]), 50)
    assert np.isfinite(polls).all() and np.diff(polls).min() >= 5 - 1e-5


@pytest.mark.parametrize("orders", ["orders.csv", None, {}, ["soon"], fitted(NO_ORDERS).fit])
def test_no_durations(orders):
    """What is neither a distribution nor durations nor orders is named."""
    with pytest.raises(ValueError, match="(orders|durations) must be "):
        evaluate(every(5), orders)


@pytest.mark.parametrize(
    ("distribution", "options", "message"),
    [
        ("x", {}, "distribution must be a frozen"),
        (None, {}, "distribution"),
        (GUIDE, {"closest": "5"}, "closest must be"),
    ],
)
def test_no_distribution(distribution, options, message):
    """What is no distribution, or no number of seconds, is named."""
    with pytest.raises(ValueError, match=message):
        best_delay(distribution, 2.0, **options)
