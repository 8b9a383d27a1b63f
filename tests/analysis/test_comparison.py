"""Groups compared, numbers of orders, and orders that are still open."""

import os
import re
from math import inf, nan

import numpy as np
import pandas as pd
import pytest
from dask import dataframe as dask
from scipy import stats

from giftlib import compare_groups, orders_needed, remaining_time, time_to_fulfilment
from giftlib.analysis import adjusted, compare_counts

PAIRS = int(os.environ.get("GIFTLIB_EQUAL_PAIRS", "40"))
"""So many pairs of groups are compared in each of the first tests, which print what they find."""
TRUE = stats.lognorm(0.668, scale=10)


def polled(times, group="a", seed=0):
    """Orders polled every 5 s from a moment of their own."""
    first = np.random.default_rng([seed, 1]).uniform(0, 5, len(times))
    high = first + 5 * np.maximum(np.ceil((times - first) / 5), 0)
    low = np.where(high > first, high - 5, 0.0)
    return pd.DataFrame({"not_done_by_s": low, "done_by_s": high, "type_id": group})


def pair(seed, shift_s=0.0, n=100):
    rng = np.random.default_rng(seed)
    a, b = TRUE.rvs(n, random_state=rng), TRUE.rvs(n, random_state=rng) + shift_s
    return pd.concat([polled(a, "a", seed), polled(b, "b", seed + 10**6)])


def compare_pairs(shift_s, n):
    found = pd.concat([compare_groups(pair(seed, shift_s, n), "type_id") for seed in range(PAIRS)])
    found["told_apart"] = found["p_value"] <= 0.05
    found["held"] = (found["difference_low"] <= shift_s) & (shift_s <= found["difference_high"])
    print(f"\n{PAIRS} pairs of {n} orders each, shifted by {shift_s:g} s: {found['told_apart'].mean():.1%} told apart")
    return found


@pytest.mark.parametrize("n", [50, 100])
def test_false_alarms(n):
    """Equal groups are told apart as often as the level says, and the interval of the difference holds 0."""
    found = compare_pairs(0.0, n)
    assert stats.binomtest(int(found["told_apart"].sum()), PAIRS, 0.05).pvalue > 0.001
    assert found["held"].mean() > 0.85


@pytest.mark.parametrize(("shift_s", "least"), [(2.0, 0.4), (3.0, 0.8)])
def test_power(shift_s, least):
    """A shift of 3 s is found in nearly all pairs, one of 2 s in half, with its sign and an interval that holds it."""
    found = compare_pairs(shift_s, 100)
    assert found["told_apart"].mean() >= least
    assert found["held"].mean() >= 0.85
    assert (found["ratio"] > 1).mean() > 0.9


def exact(a, b):
    times = np.append(a, b)
    groups = ["a"] * len(a) + ["b"] * len(b)
    return pd.DataFrame({"not_done_by_s": times, "done_by_s": times, "group": groups})


@pytest.mark.parametrize(("n", "m"), [(3, 3), (8, 11), (30, 30), (5, 400)])
def test_against_exact_times(n, m):
    """Of exact times, which are ranks, the p-value is that of Wilcoxon's test and of scipy's permutation test."""
    rng = np.random.default_rng(3)
    a, b = TRUE.rvs(n, random_state=rng), TRUE.rvs(m, random_state=rng) * 1.5
    ours = compare_groups(exact(a, b), "group")["p_value"][0]
    assert ours == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue, abs=0.015)
    ranks = stats.rankdata(np.append(a, b))
    theirs = stats.permutation_test(
        (ranks[:n], ranks[n:]), lambda x, y, axis: x.mean(axis) - y.mean(axis), vectorized=True, rng=1
    )
    assert ours == pytest.approx(theirs.pvalue, abs=0.015)


def test_many_exact_times():
    """Of large groups the p-value is that of the normal approximation."""
    rng = np.random.default_rng(3)
    a, b = TRUE.rvs(150, random_state=rng), TRUE.rvs(200, random_state=rng) * 1.1
    theirs = stats.mannwhitneyu(a, b, method="asymptotic", use_continuity=False).pvalue
    assert compare_groups(exact(a, b), "group")["p_value"][0] == pytest.approx(theirs, rel=0.01)


def test_all_alike():
    """Groups whose orders all have one interval do not differ."""
    for n in (1, 3, 200):
        orders = pd.DataFrame({"not_done_by_s": 5.0, "done_by_s": 10.0, "type_id": ["a", "b"] * n})
        [row] = compare_groups(orders, "type_id").to_dict("records")
        assert row["p_value"] == 1 and row["difference"] == 0 and row["ratio"] == 1


def test_order_of_rows():
    """Neither the order of rows nor how they are split into parts matters."""
    orders = pair(2, 2.0, n=40)
    mixed = orders.sample(frac=1, random_state=1)
    parts = dask.from_pandas(mixed.reset_index(drop=True), npartitions=3)
    once = compare_groups(orders, "type_id")
    pd.testing.assert_frame_equal(compare_groups(mixed, "type_id"), once)
    pd.testing.assert_frame_equal(compare_groups(parts, "type_id"), once)


def test_many_orders():
    """Hundreds of thousands of orders are compared by their distinct intervals."""
    times = TRUE.rvs(200_000, random_state=1).round()
    orders = pd.DataFrame({"not_done_by_s": times, "done_by_s": times + 5, "type_id": ["a", "b", "c", "c"] * 50_000})
    assert len(compare_groups(orders, "type_id")) == 3


def test_sentences():
    """The sentence says which group is slower and by how much, or that no difference is shown."""
    slower, faster = compare_groups(pair(1, 20.0), "type_id"), compare_groups(pair(1, 20.0)[::-1].assign(
        type_id=lambda orders: orders["type_id"].map({"a": "b", "b": "a"})), "type_id")  # fmt: skip
    assert re.fullmatch(r"b is [12]\d\.\d s slower than a, 95 % \d+\.\d to \d+\.\d s", slower["sentence"][0])
    assert re.fullmatch(r"b is [12]\d\.\d s faster than a, 95 % \d+\.\d to \d+\.\d s", faster["sentence"][0])
    none = compare_groups(pair(1), "type_id")["sentence"][0]
    assert re.fullmatch(r"no difference between a and b is shown: [+-]\d\.\d s, 95 % -\d\.\d to \+\d\.\d s", none)


def test_sentence_of_spreads():
    """Groups that differ, but not in their medians, are not said to be slower or faster."""
    wide, narrow = (10 * np.exp(spread * np.linspace(-2, 2, 200)) for spread in (0.9, 0.2))
    orders = exact(np.where(wide > 10, wide, narrow), narrow)
    sentence = compare_groups(orders, "group")["sentence"][0]
    assert sentence.startswith("a and b differ, but it is not shown that their medians do: ")


def test_three_groups():
    """Each pair has a row, and the p-values are adjusted for their number by Holm's method."""
    orders = pd.concat([pair(1, 2.0), polled(TRUE.rvs(100, random_state=9) + 2, "c", 7)])
    found = compare_groups(orders, "type_id").set_index(["a", "b"])["p_value"]
    assert list(found.index) == [("a", "b"), ("a", "c"), ("b", "c")]
    alone = [compare_groups(orders[orders["type_id"].isin(two)], "type_id")["p_value"][0] for two in found.index]
    least, middle, most = sorted(alone)
    adjusted = [min(3 * least, 1), min(max(3 * least, 2 * middle), 1), min(max(3 * least, 2 * middle, most), 1)]
    assert sorted(found) == pytest.approx(adjusted)


def test_sources():
    """The orders of two sources are compared, and those of none are a group too."""
    orders = pair(1, 10.0).assign(source=lambda orders: orders["type_id"].map({"a": "one", "b": None}))
    assert compare_groups(orders, "source")["sentence"][0].startswith("unknown is ")


def test_weeks():
    """Weeks are compared like other groups."""
    orders = pair(1, 10.0).assign(placed_at=lambda orders: orders["type_id"].map(
        {"a": pd.Timestamp("2026-01-05", tz="UTC"), "b": pd.Timestamp("2026-01-12", tz="UTC")}))  # fmt: skip
    assert compare_groups(orders, "week")["sentence"][0].startswith("2026-W03 is ")


def test_median_not_reached():
    """A group whose median is not reached has an infinite difference, not a wrong one."""
    late = pd.DataFrame({"not_done_by_s": [60.0] * 30, "done_by_s": [inf] * 30, "type_id": "late"})
    found = compare_groups(pd.concat([pair(1), late]), "type_id").set_index(["a", "b"]).loc[("a", "late")]
    assert found["difference"] == inf and found["difference_low"] > 40
    assert found["p_value"] < 0.01
    assert re.fullmatch(r"late is slower than a, 95 % more than [45]\d\.\d s", found["sentence"])


def test_no_median_reached():
    """Of two groups whose medians are not reached no difference is told."""
    late = pd.DataFrame({"not_done_by_s": [60.0] * 60, "done_by_s": [inf] * 60, "type_id": ["a", "b"] * 30})
    [row] = compare_groups(late, "type_id").to_dict("records")
    assert np.isnan(row["difference"]) and (row["difference_low"], row["difference_high"]) == (-inf, inf)
    assert row["sentence"] == "no difference between a and b is shown: a median is not reached"


@pytest.mark.parametrize("by", ["colour", "week"])
def test_unknown_column(by):
    """A column that is not there is named."""
    with pytest.raises(ValueError, match="must have the column"):
        compare_groups(pair(1), by)


def test_one_group():
    """One group alone is no comparison."""
    with pytest.raises(ValueError, match="type_id must have two groups or more, got 'a'"):
        compare_groups(polled(TRUE.rvs(9, random_state=1)), "type_id")


def test_orders_needed():
    """So many orders know the median to about the precision asked for."""
    needed = orders_needed(0.5, like=polled(TRUE.rvs(200, random_state=1)))
    _, low, high = time_to_fulfilment(polled(TRUE.rvs(needed, random_state=2), seed=3)).quantile(0.5)
    assert (high - low) / 2 == pytest.approx(0.5, rel=0.25)
    with pytest.raises(ValueError, match="like must have orders enough"):
        orders_needed(0.5, 0.95, like=polled(TRUE.rvs(20, random_state=1)))
    with pytest.raises(ValueError, match="precision_s"):
        orders_needed(0, like=polled(TRUE.rvs(20, random_state=1)))


@pytest.mark.parametrize("age_s", [5.0, 20.0])
def test_remaining_time(age_s):
    """The chance to be final soon and the age to worry at are those of the distribution."""
    found = remaining_time(polled(TRUE.rvs(2000, random_state=1)), age_s)
    still_open = TRUE.sf(age_s)
    assert found.soon.estimate == pytest.approx(1 - TRUE.sf(age_s + 30) / still_open, abs=0.03)
    assert found.soon.low <= found.soon.estimate <= found.soon.high
    assert found.median_s == pytest.approx(TRUE.isf(still_open / 2) - age_s, rel=0.2)
    assert found.worry_after_s == pytest.approx(TRUE.isf(still_open / 20), rel=0.2)


def test_remaining_time_unknown():
    """Of an age that no order was watched to, nothing is told."""
    with pytest.raises(ValueError, match="age_s must be an age at which orders were watched"):
        remaining_time(polled(TRUE.rvs(50, random_state=1)), 10_000.0)


@pytest.mark.parametrize(
    "intervals", [[(0, 5)], [(0, 5)] * 30, [(0, 5), (5, 10)], [(3, inf)], [(2, 2), (2, inf)], [(0, 1e6), (1e-3, 2e-3)]]
)
def test_remaining_time_of_few(intervals):
    """A few orders, or orders that are all alike, give chances and times in order, and no warning."""
    low, high = zip(*intervals)
    found = remaining_time(pd.DataFrame({"not_done_by_s": low, "done_by_s": high}), 1.0)
    estimate, least, most = found.soon
    assert 0 <= least <= estimate <= most <= 1
    assert found.median_s >= 0 and found.worry_after_s >= 1


def test_remaining_time_of_one_time():
    """An order that is older than the middle of the interval that all orders share has no negative time left."""
    found = remaining_time(pd.DataFrame({"not_done_by_s": [5.0] * 30, "done_by_s": [10.0] * 30}), 9.0)
    assert 0 <= found.median_s <= 1 and 9 <= found.worry_after_s <= 10


def test_remaining_time_beyond_watched():
    """Nobody knows an upper limit of what happens after the last poll."""
    orders = polled(TRUE.rvs(200, random_state=1))
    gave_up = orders["done_by_s"] > 20
    orders.loc[gave_up, ["not_done_by_s", "done_by_s"]] = 20.0, inf
    assert remaining_time(orders, 15.0).soon.high == 1


@pytest.mark.parametrize(("a", "b"), [((20, 10), (12, 18)), ((30, 0), (25, 5)), ((15, 15), (15, 15)), ((0, 9), (0, 9))])
def test_counts_exact(a, b):
    """Of two groups of the same size the p-value is that of Fisher's exact test."""
    assert compare_counts(a, b) == pytest.approx(stats.fisher_exact([a, b]).pvalue, abs=0.02)


def test_counts_many():
    """Of many orders with several outcomes the p-value is about that of the chi-squared test."""
    a, b = (300, 100, 50), (560, 260, 90)
    assert compare_counts(a, b) == pytest.approx(stats.chi2_contingency([a, b]).pvalue, abs=0.02)


def test_adjusted():
    """Adjusted p-values keep their order and are not below what they were; the smallest counts for all."""
    p_values = [0.5, 0.01, 0.02, 0.01]
    assert adjusted(p_values) == pytest.approx([0.5, 0.04, 0.04, 0.04])
    assert adjusted([]) == []


def test_remaining_time_of_a_new_order():
    """An order that was just placed has the age 0."""
    orders = polled(TRUE.rvs(200, random_state=1))
    assert remaining_time(orders, 0).median_s == pytest.approx(remaining_time(orders, 1e-6).median_s, abs=0.01)


@pytest.mark.parametrize("age_s", [-1, nan, "5", None])
def test_no_age(age_s):
    """What is no age is named."""
    with pytest.raises(ValueError, match="age_s must be a number of seconds, 0 or more, got "):
        remaining_time(polled(TRUE.rvs(20, random_state=1)), age_s)


def test_no_groups():
    """Groups must be asked for."""
    with pytest.raises(ValueError, match="by must be the name of a column, got None"):
        compare_groups(pair(1), None)
