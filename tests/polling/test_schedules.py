import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from poll_times import polls_of

from giftlib.schedules import PollTime, at_times, every, exponential, with_jitter

POLLS = [PollTime(0.0, 0.2)]


def test_every():
    """The guide's schedule polls immediately and pauses after each response."""
    assert every(5)(0.0, []) == 0
    assert every(5)(0.2, POLLS) == 5


def test_first():
    """The first poll can wait."""
    schedule = every(5, first=7)
    assert schedule(0.0, []) == 7
    assert schedule(7.2, POLLS) == 5
    assert polls_of(every(5, first=3), 3) == [3, 8, 13]
    assert polls_of(exponential(2, 2, 10, initial=3), 5) == [3, 5, 9, 17, 27]


def test_counts_request():
    """An interval may include the request."""
    assert polls_of(every(5), 4, latency=1) == [0, 6, 12, 18]
    assert polls_of(every(5, counts_request=True), 4, latency=1) == [0, 5, 10, 15]
    assert polls_of(every(5, first=7, counts_request=True), 3, latency=1) == [7, 12, 17]
    assert polls_of(every(5, counts_request=True), 3, latency=8) == [0, 8, 16]


@pytest.mark.parametrize("factor", [1.5, 2, 3, 1e200])
def test_exponential(factor):
    """Pauses grow by the factor and stay at their most, however many polls there are."""
    expected = [min(float(factor) ** k, 10) if k < 2 or factor < 10 else 10 for k in range(7)]
    assert np.diff(polls_of(exponential(1, factor, 10), 8)) == pytest.approx(expected)
    assert exponential(1, factor, most=60)(0.0, POLLS * 10_000) == 60


def test_constant_exponential():
    """With a factor of 1 all pauses are the same, and a first pause above the most is the most."""
    assert polls_of(exponential(3, 1, 10), 4) == [0, 3, 6, 9]
    assert polls_of(exponential(30, 2, 10), 3) == [0, 10, 20]


def test_at_times():
    """The times are kept however long responses take, and the last gap goes on."""
    assert polls_of(at_times([3, 8, 20]), 6) == [3, 8, 20, 32, 44, 56]
    assert polls_of(at_times([3, 8, 20]), 4, latency=1) == [3, 8, 20, 32]
    assert polls_of(at_times([3, 8, 20]), 3, latency=6) == [3, 20, 32]
    assert polls_of(at_times([4]), 3) == [4, 8, 12]
    assert polls_of(at_times([0, 4]), 3) == [0, 4, 8]


@pytest.mark.parametrize("times", [[], [0], [5, 5], [5, 3], [-1, 2], [1, math.inf], [math.nan], [1, math.nan, 3]])
def test_invalid_times(times):
    """Times that do not increase from 0 up raise."""
    with pytest.raises(ValueError, match="times must be"):
        at_times(times)


@given(st.integers(), st.floats(0, 1), st.integers(1, 30))
def test_jitter(seed, proportion, polls):
    """Jitter only makes pauses longer, and seed and number of polls determine it."""
    plain, jittered = every(5, first=2), with_jitter(every(5, first=2), proportion, seed=seed)
    for count in range(polls):
        pause = plain(9.0, POLLS * count)
        assert pause <= jittered(9.0, POLLS * count) <= pause * (1 + proportion) + 1e-9
        assert jittered(9.0, POLLS * count) == jittered(9.0, POLLS * count)


def test_jitter_seeds():
    """Different seeds poll at different times."""
    assert len({with_jitter(every(5), 0.5, seed=seed)(0.0, POLLS) for seed in range(20)}) == 20


@pytest.mark.parametrize("text", [
    "every(5)", "every(2.5)", "every(5, first=7)", "every(5, first=7, counts_request=True)", "at_times([3, 8, 20])",
    "exponential(1, factor=1.5, most=10)", "exponential(1, factor=1.5, most=10, initial=2)",
    "with_jitter(every(5), 0.2, seed=3)",
])  # fmt: skip
def test_repr(text):
    """A schedule prints as the call that makes it."""
    assert repr(eval(text)) == text


@pytest.mark.parametrize("call", [
    lambda: exponential(1, 0.5, 10), lambda: exponential(0, 2, 10), lambda: exponential(1, math.inf, 10),
    lambda: every(5, first=-1), lambda: every(5, first=math.inf), lambda: with_jitter(every(5), -0.1),
])  # fmt: skip
def test_invalid_rule(call):
    """A rule with invalid numbers raises."""
    with pytest.raises(ValueError, match="must be"):
        call()


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), True, "5", None])
def test_invalid_pause(seconds):
    """A pause that is no positive number of seconds raises."""
    with pytest.raises(ValueError, match=r"seconds must be .* got"):
        every(seconds)
