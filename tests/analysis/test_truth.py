"""Every censoring interval holds what the emulator knows to be true."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import tries

from giftlib import (
    GiftlibError,
    Journal,
    Sandbox,
    compare_groups,
    place_order,
    poll_order_until_complete,
    process_orders,
    recover_orders,
    time_to_fulfilment,
    track_orders,
)
from giftlib.sandbox.catalog import SAMPLE_PRODUCT
from giftlib.sandbox.faults import at_rate
from giftlib.schedules import at_times, every, exponential, with_jitter

ORDER = (SAMPLE_PRODUCT, "type_001", 1)
GAPS = st.floats(0.5, 40)
PLAIN = st.one_of(
    GAPS.map(every),
    st.builds(lambda first, gap: every(gap, first=first), GAPS, GAPS),
    st.builds(lambda first, factor: exponential(first, factor, 30), st.floats(0.5, 5), st.floats(1.1, 3)),
    st.lists(st.integers(1, 200), min_size=1, max_size=8, unique=True).map(lambda times: at_times(sorted(times))),
)
SCHEDULES = st.one_of(PLAIN, st.builds(with_jitter, PLAIN, st.floats(0.05, 0.5)))
SETTINGS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10**6),
        "latency_s": st.one_of(st.none(), st.floats(0, 10)),
        "fulfilment_median_s": st.floats(0.5, 30),
        "list_lag_s": st.one_of(st.just(0.0), st.floats(0, 30)),
        "faults": st.sampled_from([0.0, 0.3]).map(at_rate),
    }
)


def one_by_one(sandbox, client, journal, schedule, timeout):
    for order_id in journal.unfinished():
        poll_order_until_complete(order_id, schedule=schedule, timeout=timeout, client=client, journal=journal)


def together(sandbox, client, journal, schedule, timeout):
    track_orders(journal.unfinished(), schedule=schedule, timeout=timeout, client=client, journal=journal)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=int(os.environ.get("GIFTLIB_INTERVAL_CASES", tries(15, 100))), deadline=None)
@given(
    wait=st.sampled_from([one_by_one, together]),
    settings_=SETTINGS,
    schedule=SCHEDULES,
    timeouts=st.lists(st.floats(1, 60), min_size=1, max_size=4),
)
def test_intervals_hold_truth(wait, settings_, schedule, timeouts):
    """Every interval holds the true time, whatever the schedule, latency, faults and restarts."""
    with Sandbox(fulfilment_p95_s=100, **settings_) as sandbox, tempfile.TemporaryDirectory() as directory:
        others = sandbox.add_orders(3)
        for timeout in timeouts:  # each with a process of its own: nothing but the file goes on
            journal, client = Journal(Path(directory, "journal.db")), sandbox.client()
            journal.watch(*others)
            for call in (
                lambda: place_order(*ORDER, client=client, journal=journal),
                lambda: process_orders([ORDER] * 2, timeout=timeout, client=client, journal=journal),
                lambda: wait(sandbox, client, journal, schedule, timeout),
                lambda: recover_orders(journal, client),
            ):
                with suppress(GiftlibError):
                    call()
            orders = journal.orders(trust_lists=settings_["list_lag_s"] == 0).set_index("order_id")
            journal.close()
        truth = orders.index.map(sandbox.truth())
        assert (orders["not_done_by_s"] < truth).all() and (truth <= orders["done_by_s"] + 1e-6).all()
        if settings_["list_lag_s"] == 0:  # what of a lag was not seen shifts the guesses
            assert (orders["open_at_s"] - orders["guess_error_s"] < truth + 1e-6).all()
        assert (orders["not_done_by_s"] <= orders["open_at_s"]).all()
        assert (orders["open_at_s"] <= orders["final_at_s"]).all()
        assert (orders["final_at_s"] <= orders["done_by_s"] + 1e-6).all()
        assert (truth <= orders["final_at_s"] + orders["guess_error_s"] + 1e-6).all()


def placed(orders, seed, **settings):
    with Sandbox(seed, **settings) as sandbox:
        return process_orders([ORDER] * orders, client=sandbox.client())


def median_of(orders):
    return time_to_fulfilment(orders).quantile(0.5)


def test_median_without_trust():
    """Estimates are as good where lists are not trusted: the open polls of lists are guesses then."""
    medians = [median_of(placed(50, seed).orders(trust_lists=False)) for seed in range(100, 112)]
    assert sum(median.low <= 10 <= median.high for median in medians) >= 10


@pytest.mark.parametrize(("lag", "off"), [(3, 3), (12, 9)])
def test_median_of_late_lists(lag, off):
    """Lists that lag make estimates late by as much of the lag as was not seen, and no more."""
    for seed in range(100, 104):
        median = median_of(placed(50, seed, list_lag_s=lag))
        assert median.low <= 10 + off and median.high >= 10


def test_groups_of_late_lists():
    """Two equal services whose lists lag are not told apart, though the lag of one alone was noticed."""
    journals = [placed(60, seed, list_lag_s=3) for seed in (102, 103)]
    orders = pd.concat([journal.orders().assign(of=str(at)) for at, journal in enumerate(journals)])
    assert compare_groups(orders, "of")["p_value"].item() > 0.05


def test_no_common_time_of_bounds_alone():
    """Bounds so wide that all orders may have taken the same time say nothing where the guesses contradict that."""
    with Sandbox(1) as sandbox:
        journal = track_orders(sandbox.add_orders(60), client=sandbox.client())
    orders = journal.orders(trust_lists=False).assign(not_done_by_s=0.0)
    assert 8 < median_of(orders).estimate < 12
