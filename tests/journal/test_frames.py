"""The journal's frames: columns, intervals that contain the truth, exact money."""

from contextlib import suppress
from decimal import Decimal
from math import inf

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import FULFILLED, KEY, ORDER_ID, PRODUCT
from sandbox_checks import Wrong, place_and_wait
from scripted_server import reply, success
from thorough import tries

from giftlib import Client, Journal, PollTimeoutError, place_order, poll_order_until_complete
from giftlib.clock import SimulatedClock
from giftlib.sandbox import Fault, Sandbox


def test_columns(sandbox, journal):
    """The frames have the promised columns and types, also when they are empty."""
    empty = journal.orders(), journal.polls()
    place_and_wait(sandbox, journal)
    full = journal.orders(), journal.polls()
    assert list(full[0].columns) == [
        "order_id", "product_id", "type_id", "quantity", "placed_at", "status", "polls", "not_done_by_s", "done_by_s",
        "open_at_s", "final_at_s", "guess_error_s", "fulfilled_quantity", "price_per_card", "fulfilled_amount",
        "refunded_quantity", "refunded_amount", "problems", "ref", "source",
    ]  # fmt: skip
    assert list(full[1].columns) == [
        "order_id", "attempt", "via", "sent_at", "received_at", "latency_s", "elapsed_s", "outcome", "http_status",
        "retry_after_s", "request_id", "source",
    ]  # fmt: skip
    for without_rows, with_rows in zip(empty, full, strict=True):
        pd.testing.assert_series_equal(without_rows.dtypes, with_rows.dtypes)
    assert full[0]["placed_at"].dtype == "datetime64[us, UTC]"


@pytest.mark.parametrize("latency_s", [0, 0.15, 3])
def test_guesses(make_sandbox, journal, latency_s):
    """The best guesses are the middles of the requests, inside the bounds, and off by half of the requests at most."""
    sandbox = make_sandbox(latency_s=latency_s, fulfilment_s=12)
    place_and_wait(sandbox, journal)
    order, polls, [intent] = journal.orders().iloc[0], journal.polls(), journal.intents().itertuples()
    placing_s = (polls["sent_at"][0] - intent.sent_at).total_seconds() - polls["elapsed_s"][0]
    middles = (polls["elapsed_s"] + polls["latency_s"] / 2 + placing_s / 2).to_numpy()
    guesses = order[["open_at_s", "final_at_s"]].to_numpy(float)
    assert guesses == pytest.approx(middles[-2:], abs=1e-4)
    assert order["not_done_by_s"] <= guesses[0] < guesses[1] <= order["done_by_s"]
    errors = abs(guesses - order[["not_done_by_s", "done_by_s"]].to_numpy(float))
    assert errors.max() == pytest.approx(order["guess_error_s"], abs=1e-6)
    assert order["guess_error_s"] <= (polls["latency_s"].max() + placing_s) / 2 + 1e-4


@pytest.mark.parametrize(
    ("type_id", "status", "delivered", "charged", "refunded"),
    [
        ("type_001", "FULFILLED", 4, 1960, 0),
        ("TEST_PARTIAL", "PARTIALLY_FILLED", 2, 980, 980),
        ("TEST_REFUND", "REFUNDED", 0, 0, 1960),
    ],
)
def test_money_of_each_outcome(sandbox, journal, type_id, status, delivered, charged, refunded):
    """Cards and amounts of each outcome are exact."""
    place_and_wait(sandbox, journal, type_id, 4)
    order = journal.orders().iloc[0]
    cards = (order["fulfilled_quantity"], order["refunded_quantity"])
    assert (order["status"], *cards) == (status, delivered, 4 - delivered)
    assert order["fulfilled_amount"] == Decimal(charged)
    assert order["refunded_amount"] == Decimal(refunded)
    assert isinstance(order["price_per_card"], Decimal)
    assert order["product_id"] == PRODUCT
    assert order["problems"] == ""


@settings(max_examples=tries(15, 60))
@given(
    seed=st.integers(0, 10_000),
    interval=st.floats(1, 30),
    fails=st.lists(st.integers(1, 8), max_size=3),
    reopened=st.booleans(),
    set_by=st.sampled_from([0, 60, 3600, -3, -10, -86400]),
)
def test_interval_contains_truth(tmp_path_factory, seed, interval, fails, reopened, set_by):
    """The interval of an order contains its true duration.

    Whatever fails, and whenever the journal is opened again, by a process whose wall clock was set meanwhile.
    """
    path = tmp_path_factory.mktemp("journal") / "journal.sqlite"
    faults = [Fault("checkOrder", call=call, status=503) for call in fails]
    with Sandbox(seed, faults=faults) as sandbox:
        journal = Journal(path)
        order_id = place_and_wait(sandbox, journal, timeout=9 if reopened else 300, interval=interval)
        if reopened:
            journal.close()
            sandbox.clock.sleep(3)
            journal = Journal(path)
            if journal.unfinished():
                client = Client(sandbox.api_key, sandbox.url, clock=Wrong(sandbox.clock, set_by))
                poll_order_until_complete(order_id, client=client, journal=journal, interval=interval)
        order = journal.orders().iloc[0]
        true = sandbox.truth()[order_id]
        journal.close()
    assert order["not_done_by_s"] < true <= order["done_by_s"] < inf


def test_open_order(make_sandbox, journal):
    """The interval of an order that is not final has no upper end."""
    sandbox = make_sandbox(fulfilment_s=inf)
    place_and_wait(sandbox, journal, timeout=60)
    order = journal.orders().iloc[0]
    assert 59 < order["not_done_by_s"] < 60
    assert order["done_by_s"] == inf
    assert order["status"] == "HANDLING"
    assert pd.isna(order["fulfilled_quantity"])
    assert order["refunded_amount"] is None


def test_order_placed_elsewhere(make_sandbox, journal):
    """An order placed elsewhere counts from the time of placement that the API reports."""
    sandbox = make_sandbox(fulfilment_s=12.3456)
    [order_id] = sandbox.add_orders(1)
    client = sandbox.client()
    client.validate()
    sandbox.clock.sleep(4 - sandbox.clock.monotonic())
    poll_order_until_complete(order_id, client=client, journal=journal)
    order, polls = journal.orders().iloc[0], journal.polls()
    assert order["not_done_by_s"] < 12.3456 <= order["done_by_s"]
    assert polls["elapsed_s"].iloc[0] == pytest.approx(4, abs=0.5)


@pytest.mark.parametrize("wrong_by", [0, 60, -60, 3600, -86400])
def test_wrong_wall_clock(make_sandbox, journal, wrong_by):
    """A wall clock that is wrong changes nothing in the interval of an order placed elsewhere."""
    sandbox = make_sandbox(fulfilment_s=22)
    [order_id] = sandbox.add_orders(1)
    sandbox.clock.sleep(5)
    client = Client(sandbox.api_key, sandbox.url, clock=Wrong(sandbox.clock, wrong_by))
    poll_order_until_complete(order_id, client=client, journal=journal)
    order = journal.orders().iloc[0]
    assert order["not_done_by_s"] < 22 <= order["done_by_s"] < order["not_done_by_s"] + 8


def handling(seconds=None, **order):
    """An order's response that the API wrote at this second of the day, or does not say when."""
    meta = {} if seconds is None else {"meta": {"timestamp": f"2025-10-29T01:00:{seconds:02}.000Z"}}
    return success({"_id": ORDER_ID, "status": "HANDLING", "quantity": 1} | order, **meta)


def test_no_time_from_the_api(server, tmp_path):
    """Across runs, without any time from the API, an order's age is known from below only."""
    path = tmp_path / "journal.sqlite"
    server.replies = [
        success({"username": "me"}),
        success({"orderId": ORDER_ID}),
        success(FULFILLED | {"status": "HANDLING", "time": None}),
    ]
    client = Client(KEY, server.url, clock=SimulatedClock(), allow_production=True)
    with Journal(path) as journal:
        place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    with Journal(path) as journal, suppress(PollTimeoutError):
        poll_order_until_complete(ORDER_ID, client=client, journal=journal, timeout=21, interval=10)
    server.replies = [success(FULFILLED | {"time": None})]
    with Journal(path) as journal:
        poll_order_until_complete(ORDER_ID, client=client, journal=journal)
        order, polls = journal.orders().iloc[0], journal.polls()
    assert (order["not_done_by_s"], order["done_by_s"], order["status"]) == (
        pytest.approx(20, abs=1.1),
        inf,
        "FULFILLED",
    )
    assert polls["elapsed_s"].isna().all()


@pytest.mark.parametrize("placed", ["2025-10-29T01:00:30.000Z", "2025-10-29T01:00:08.000Z"])
def test_api_clock_that_is_set_back(server, scripted_client, journal, placed):
    """If the API says that an order was final before it was placed, or was last open, its interval is unbounded."""
    final = FULFILLED | {"time": placed}
    server.replies = [
        handling(time=placed, seconds=40),
        reply({"success": True, "data": final, "meta": {"timestamp": "2025-10-29T01:00:09.000Z"}}),
    ]
    poll_order_until_complete(ORDER_ID, client=scripted_client, journal=journal)
    order = journal.orders().iloc[0]
    assert (order["not_done_by_s"], order["done_by_s"]) == (0, inf)
