import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from giftlib.schedules import Look, evaluate, every, wait_then

LOOK = [Look(0.0, 0.2)]


def test_the_guides_schedule_looks_at_once_and_pauses_after_each_answer():
    assert every(5)(0.0, []) == 0
    assert every(5)(0.2, LOOK) == 5


def test_a_first_look_can_wait():
    schedule = wait_then(7, every=5)
    assert schedule(0.0, []) == 7
    assert schedule(7.2, LOOK) == 5


@pytest.mark.parametrize("text", ["every(5)", "every(2.5)", "wait_then(7, every=5)"])
def test_a_schedule_prints_as_the_call_that_makes_it(text):
    assert repr(eval(text)) == text


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), True, "5", None])
def test_a_pause_that_is_no_time_is_refused(seconds):
    with pytest.raises(ValueError, match=r"seconds must be .* got"):
        every(seconds)


def test_the_guides_loop_costs_what_was_computed_for_it():
    """Lognormal, median 10 s, 95 % within 30 s: 3.99 requests and 2.48 s, by the definition of both."""
    quantiles = (np.arange(200_000) + 0.5) / 200_000
    from scipy.stats import lognorm

    durations = lognorm(np.log(3) / 1.6448536, scale=10).ppf(quantiles)
    guide, patient = evaluate(every(5), durations), evaluate(wait_then(7, every=5), durations)
    assert guide.requests_per_order == pytest.approx(3.99, abs=0.01)
    assert guide.mean_delay_s == pytest.approx(2.48, abs=0.01)
    assert patient.requests_per_order == pytest.approx(2.61, abs=0.01)
    assert patient.mean_delay_s == pytest.approx(2.56, abs=0.01)


@given(st.lists(st.floats(0, 500), min_size=1, max_size=20), st.floats(0.5, 60))
def test_an_evaluation_counts_the_looks_one_by_one(durations, pause):
    looks, delays = [], []
    for duration in durations:
        time, count = 0.0, 1
        while time < duration:
            time, count = time + pause, count + 1
        looks.append(count)
        delays.append(time - duration)
    found = evaluate(every(pause), durations)
    assert found.requests_per_order == pytest.approx(np.mean(looks))
    assert found.mean_delay_s == pytest.approx(np.mean(delays), abs=1e-6)


@pytest.mark.parametrize("durations", [[], [-1.0], [np.inf], [np.nan]])
def test_durations_that_are_none_are_refused(durations):
    with pytest.raises(ValueError, match="durations must be finite"):
        evaluate(every(5), durations)
