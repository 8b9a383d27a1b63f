"""The breast cosmesis data, months until breasts of two groups of patients retracted, against published figures.

The data and their source: Finkelstein and Wolfe (1985), Biometrics 41: 933-945. The masses, and the test that
generalizes Wilcoxon's, are those of R's package interval: Fay and Shaw (2010), Journal of Statistical Software 36(2).
"""

import re
from math import inf

import pandas as pd
import pytest

from giftlib import compare_groups, time_to_fulfilment

RADIATION = """
    0-5 0-7 0-8 4-11 5-11 5-12 6-10 7-14 7-16 11-15 11-18 17-25 17-25 19-26 19-35 25-37 26-40 27-34 36-44 36-48 37-44
    15- 17- 18- 22- 24- 24- 32- 33- 34- 36- 36- 37- 37- 37- 38- 40- 45- 46- 46- 46- 46- 46- 46- 46- 46-
"""
WITH_CHEMOTHERAPY = """
    0-5 0-22 4-8 4-9 5-8 8-12 8-21 10-17 10-35 11-13 11-17 11-20 12-20 13-39 14-17 14-19 15-22 16-20 16-24 16-24 16-60
    17-23 17-26 17-27 18-24 18-25 19-32 22-32 24-30 24-31 30-34 30-36 33-40 35-39 44-48
    11- 11- 13- 13- 13- 21- 23- 31- 32- 34- 34- 35- 48-
"""
MASSES = {
    "radiation": [
        (4, 5, 0.0463), (6, 7, 0.0334), (7, 8, 0.0887), (11, 12, 0.0708), (24, 25, 0.0926), (33, 34, 0.0818),
        (38, 40, 0.1209), (46, 48, 0.4656),
    ],
    "with chemotherapy": [
        (4, 5, 0.0433), (5, 8, 0.0433), (11, 12, 0.0692), (16, 17, 0.1454), (18, 19, 0.1411), (19, 20, 0.1157),
        (24, 25, 0.0999), (30, 31, 0.0709), (35, 36, 0.1608), (44, 48, 0.0552), (48, 60, 0.0552),
    ],
}  # fmt: skip


@pytest.fixture
def patients():
    frames = []
    for treatment, intervals in (("radiation", RADIATION), ("with chemotherapy", WITH_CHEMOTHERAPY)):
        ends = [interval.split("-") for interval in intervals.split()]
        low, high = zip(*[(float(low), float(high or inf)) for low, high in ends])
        frames.append(pd.DataFrame({"not_done_by_s": low, "done_by_s": high, "treatment": treatment}))
    return pd.concat(frames, ignore_index=True)


def test_masses(patients):
    """Turnbull's estimate has the published masses."""
    assert patients["treatment"].value_counts().to_dict() == {"radiation": 46, "with chemotherapy": 48}
    for treatment, curve in time_to_fulfilment(patients, "treatment").items():
        found = curve.frame()[["from_s", "to_s", "mass"]].round(4)
        assert list(found.itertuples(index=False, name=None)) == MASSES[treatment]


@pytest.mark.parametrize(("treatment", "published"), [("radiation", (38, 40)), ("with chemotherapy", (19, 20))])
def test_median(patients, treatment, published):
    """The smooth median is near the published interval of Turnbull's, which its confidence interval holds."""
    estimate, low, high = time_to_fulfilment(patients, "treatment")[treatment].quantile(0.5)
    assert estimate == pytest.approx(sum(published) / 2, rel=0.15)
    assert low < published[0] < published[1] < high


def test_p_value(patients):
    """The two treatments differ as much as the published test says."""
    [row] = compare_groups(patients, "treatment").to_dict("records")
    assert row["p_value"] == pytest.approx(0.0302, abs=0.005)  # that of a normal distribution; ours is of permutations
    assert row["difference_high"] < 0 and row["ratio_high"] < 1
    assert re.match(r"with chemotherapy is 20\.\d s faster than radiation, 95 % more than \d", row["sentence"])
