from itertools import product

import numpy as np
import pytest
from scipy.stats import expon, fisk, lognorm, weibull_min

from giftlib.analysis.scheduling import best_delay, optimum
from giftlib.polling.schedules import evaluate, every, fixed, wait_then

GUIDES_LAW = lognorm(np.log(3) / 1.6448536, scale=10)


@pytest.mark.parametrize("law", [GUIDES_LAW, fisk(2.7, scale=10), weibull_min(1.5, scale=12)])
@pytest.mark.parametrize("worth", [0.5, 2.0])
@pytest.mark.parametrize("closest", [0.0, 5.0])
def test_no_schedule_that_is_tried_beats_the_optimum(law, worth, closest):
    def cost(schedule):
        found = evaluate(schedule, law)
        return found.mean_delay_s + worth * found.requests_per_order

    best = cost(optimum(law, worth, closest=closest))
    for first, pause in product([2, 5, 7, 8.5, 10], [max(closest, 1), 5, 6.5, 8, 12]):
        assert best <= cost(wait_then(first, every=pause)) + 0.005


@pytest.mark.parametrize("worth", [0.3, 1.0, 4.0])
def test_for_a_law_without_memory_the_optimum_is_a_fixed_interval(worth):
    """The cost of interval d is d/(1-e^(-d/m)) - m of delay and 1/(1-e^(-d/m)) requests."""
    mean = 10.0
    d = np.linspace(0.2, 40, 20_000)
    closed_form = ((d + worth) / (1 - np.exp(-d / mean)) - mean).min()
    found = evaluate(optimum(expon(scale=mean), worth), expon(scale=mean))
    assert found.mean_delay_s + worth * found.requests_per_order == pytest.approx(closed_form, abs=0.01)


@pytest.mark.parametrize("closest", [0.0, 5.0])
def test_looks_are_as_far_apart_as_asked(closest):
    looks = eval(repr(optimum(GUIDES_LAW, 0.2, closest=closest)).removeprefix("fixed"))
    assert np.diff(looks).min() >= max(closest, 0.05) - 1e-9


def test_closer_looks_than_the_floor_allows_cannot_be_bought():
    """Below 2.48 s no schedule with gaps of 5 s can go: half of the gap, as the order is final anywhere inside it."""
    with pytest.raises(ValueError, match="requests_per_order must be from"):
        best_delay(GUIDES_LAW, 10, closest=5)
    assert best_delay(GUIDES_LAW, 2.86, closest=5) == pytest.approx(2.48, abs=0.01)


@pytest.mark.parametrize("requests", [3.0])
def test_the_best_delay_lies_on_the_front(requests):
    at = best_delay(GUIDES_LAW, requests)
    assert best_delay(GUIDES_LAW, requests * 1.1) < at < best_delay(GUIDES_LAW, requests * 0.9)
    for pause in (5, 10):
        guide = evaluate(every(pause), GUIDES_LAW)
        assert best_delay(GUIDES_LAW, guide.requests_per_order) < guide.mean_delay_s


def test_an_order_whose_time_is_nearly_certain_needs_one_request():
    law = lognorm(1e-4, scale=20)
    found = evaluate(optimum(law, 1.0), law)
    assert found.requests_per_order == pytest.approx(1, abs=0.01)
    assert found.mean_delay_s < 0.1
    assert evaluate(fixed([20.1, 30]), law).requests_per_order == pytest.approx(1)


@pytest.mark.parametrize("worth", [0, -1, float("inf"), "1"])
def test_a_request_must_be_worth_something(worth):
    with pytest.raises(ValueError, match="worth_s must be"):
        optimum(GUIDES_LAW, worth)
