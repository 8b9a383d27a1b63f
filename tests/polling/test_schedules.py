import math
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import expon, fisk, lognorm

from giftlib.analysis.scheduling import optimum
from giftlib.polling.schedules import PollTime, evaluate, every, fixed, growing, learned, wait_then, with_jitter

LOOK = [PollTime(0.0, 0.2)]
GUIDES_LAW = lognorm(np.log(3) / 1.6448536, scale=10)
NO_ORDERS = pd.DataFrame({"not_done_by_s": [], "done_by_s": []})
HISTORIES = int(os.environ.get("GIFTLIB_HISTORIES", "20"))


def looks_of(schedule, count, latency=0.0):
    """The looks that a schedule makes if each answer takes `latency`."""
    now, looks = 0.0, []
    for _ in range(count):
        now += schedule(now, looks)
        looks.append(PollTime(now, now + latency))
        now += latency
    return [look.sent for look in looks]


def test_the_guides_schedule_looks_at_once_and_pauses_after_each_answer():
    assert every(5)(0.0, []) == 0
    assert every(5)(0.2, LOOK) == 5


def test_a_first_look_can_wait():
    schedule = wait_then(7, every=5)
    assert schedule(0.0, []) == 7
    assert schedule(7.2, LOOK) == 5


def test_an_interval_may_count_the_request():
    assert looks_of(every(5), 4, latency=1) == [0, 6, 12, 18]
    assert looks_of(every(5, counts_request=True), 4, latency=1) == [0, 5, 10, 15]
    assert looks_of(wait_then(7, every=5, counts_request=True), 3, latency=1) == [7, 12, 17]
    assert looks_of(every(5, counts_request=True), 3, latency=8) == [0, 8, 16]


def test_the_first_look_may_wait():
    assert looks_of(every(5, initial=3), 3) == [3, 8, 13]
    assert looks_of(growing(2, factor=2, most=10, initial=3), 5) == [3, 5, 9, 17, 27]


def test_growing_pauses_stay_at_their_most():
    assert np.diff(looks_of(growing(1, factor=1.5, most=10), 8)) == pytest.approx([min(1.5**k, 10) for k in range(7)])
    assert growing(1, factor=3, most=60)(0.0, LOOK * 10_000) == 60


def test_fixed_moments_are_kept_to_whatever_answers_take_and_go_on_with_the_last_gap():
    assert looks_of(fixed([3, 8, 20]), 6) == [3, 8, 20, 32, 44, 56]
    assert looks_of(fixed([3, 8, 20]), 4, latency=1) == [3, 8, 20, 32]
    assert looks_of(fixed([3, 8, 20]), 3, latency=6) == [3, 20, 32]
    assert looks_of(fixed([4]), 3) == [4, 8, 12]


@pytest.mark.parametrize("moments", [[], [0], [5, 5], [5, 3], [-1, 2], [1, math.inf], [math.nan]])
def test_moments_that_are_none_are_refused(moments):
    with pytest.raises(ValueError, match="moments must be"):
        fixed(moments)


@given(st.integers(), st.floats(0, 1), st.integers(1, 30))
def test_jitter_only_stretches_and_is_settled_by_seed_and_look(seed, share, looks):
    plain, jittered = every(5, initial=2), with_jitter(every(5, initial=2), share, seed=seed)
    for count in range(looks):
        pause = plain(9.0, LOOK * count)
        assert pause <= jittered(9.0, LOOK * count) <= pause * (1 + share) + 1e-9
        assert jittered(9.0, LOOK * count) == jittered(9.0, LOOK * count)


def test_jitter_spreads_the_looks_of_different_seeds():
    assert len({with_jitter(every(5), 0.5, seed=seed)(0.0, LOOK) for seed in range(20)}) == 20


@pytest.mark.parametrize("text", [
    "every(5)", "every(2.5)", "every(5, initial=7, counts_request=True)", "wait_then(7, every=5)",
    "wait_then(7, every=5, counts_request=True)", "fixed([3, 8, 20])", "growing(1, factor=1.5, most=10)",
    "growing(1, factor=1.5, most=10, initial=2)", "with_jitter(every(5), 0.2, seed=3)",
])  # fmt: skip
def test_a_schedule_prints_as_the_call_that_makes_it(text):
    assert repr(eval(text)) == text


@pytest.mark.parametrize("call", [
    lambda: growing(1, factor=0.5, most=10), lambda: growing(0, factor=2, most=10), lambda: every(5, initial=-1),
    lambda: every(5, initial=math.inf), lambda: with_jitter(every(5), -0.1), lambda: learned(NO_ORDERS, closest=0),
])  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused(call):
    with pytest.raises(ValueError, match="must be"):
        call()


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), True, "5", None])
def test_a_pause_that_is_no_time_is_refused(seconds):
    with pytest.raises(ValueError, match=r"seconds must be .* got"):
        every(seconds)


def test_the_guides_loop_costs_what_was_computed_for_it():
    """Lognormal, median 10 s, 95 % within 30 s: 3.99 requests and 2.48 s, by the definition of both."""
    guide, patient = evaluate(every(5), GUIDES_LAW), evaluate(wait_then(7, every=5), GUIDES_LAW)
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


def test_a_law_and_many_orders_of_it_evaluate_alike():
    durations = GUIDES_LAW.ppf((np.arange(200_000) + 0.5) / 200_000)
    for schedule in (every(5), wait_then(7, every=5), growing(1, factor=1.5, most=10)):
        assert evaluate(schedule, durations) == pytest.approx(evaluate(schedule, GUIDES_LAW), abs=0.01)


@given(st.floats(0.5, 50), st.floats(2, 60))
def test_an_interval_against_a_law_without_memory_has_a_closed_form(pause, mean):
    found = evaluate(every(pause, initial=pause), expon(scale=mean))
    share = 1 - np.exp(-pause / mean)
    assert found.requests_per_order == pytest.approx(1 / share, rel=1e-6)
    assert found.mean_delay_s == pytest.approx(pause / share - mean, rel=1e-5, abs=1e-7)


def test_a_law_without_a_mean_is_refused():
    with pytest.raises(ValueError, match="orders must be a law with a finite mean"):
        evaluate(every(5), fisk(0.9, scale=10))


def test_looks_that_never_reach_the_end_are_refused():
    with pytest.raises(ValueError, match="must reach"):
        evaluate(every(1e-9), [3600.0])


# Learning from past orders


def history(law, orders, seed):
    """Past orders as the guide's loop shows them."""
    high = np.ceil(law.rvs(orders, random_state=np.random.default_rng(seed)) / 5) * 5
    return pd.DataFrame({"not_done_by_s": high - 5, "done_by_s": high})


def front(law):
    """Requests an order and mean delay of optimal schedules, the dearest first."""
    points = [evaluate(optimum(law, worth), law) for worth in np.geomspace(20, 0.3, 40)]
    return [point.requests_per_order for point in points], [point.mean_delay_s for point in points]


@pytest.mark.parametrize("law", [GUIDES_LAW, fisk(np.log(19) / np.log(3), scale=10)], ids=["lognormal", "log-logistic"])
def test_a_learned_schedule_is_near_the_optimum(law):
    requests, delays = front(law)

    def excess(orders, seed):
        """The share by which the mean delay exceeds the smallest that as many requests can buy."""
        found = evaluate(learned(history(law, orders, seed)), law)
        return found.mean_delay_s / np.interp(found.requests_per_order, requests, delays) - 1

    assert max(excess(5, seed) for seed in range(HISTORIES)) <= 0.25
    assert np.mean([excess(20, seed) for seed in range(HISTORIES)]) <= 0.05


@pytest.mark.parametrize(("closest", "latency"), [(5.0, 0.0), (5.0, 0.3), (5.0, 12.0), (2.0, 0.3), (12.0, 0.3)])
@pytest.mark.parametrize("median", [2, 10, 80])
def test_learned_looks_keep_their_distance_for_ever(closest, latency, median):
    schedule = learned(history(lognorm(0.6, scale=median), 30, 0), closest=closest)
    gaps = np.diff(looks_of(schedule, 200, latency=latency))
    assert gaps.min() >= closest - 1e-5
    assert gaps.max() <= max(10, closest) + max(latency, closest)


def test_a_learned_schedule_says_what_it_expects():
    past = history(GUIDES_LAW, 50, 1)
    schedule = learned(past)
    assert repr(schedule) == "learned(50 orders)"
    assert schedule.expects == evaluate(schedule, past) == evaluate(schedule, schedule.law.distribution)


def test_without_past_orders_there_is_a_schedule_too():
    schedule = learned(NO_ORDERS)
    assert 5 < looks_of(schedule, 1)[0] < 10
    assert evaluate(schedule, GUIDES_LAW).requests_per_order < evaluate(every(5), GUIDES_LAW).requests_per_order


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 300), st.one_of(st.floats(0, 60), st.just(math.inf))), max_size=20))
def test_whatever_the_past_orders_there_is_a_schedule(brackets):
    past = pd.DataFrame({"not_done_by_s": [a for a, _ in brackets], "done_by_s": [a + w for a, w in brackets]})
    looks = looks_of(learned(past[(past["done_by_s"] > 0)]), 50)
    assert np.isfinite(looks).all() and np.diff(looks).min() >= 5 - 1e-5
