import json
import multiprocessing
import sqlite3
from contextlib import closing, suppress
from datetime import timedelta
from decimal import Decimal
from math import inf

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giftlib import (
    Client,
    GiftlibError,
    Journal,
    NoAnswerError,
    OrderOutcomeUnknownError,
    PollTimeoutError,
    place_order,
    poll_order_until_complete,
)
from giftlib.clock import SimulatedClock, Timestamp
from giftlib.polling import recover_orders
from giftlib.sandbox import Fault, Sandbox

PRODUCT = "507f1f77bcf86cd799439011"
PROCESSES = multiprocessing.get_context("forkserver")


def one_order(sandbox, journal, type_id="type_001", quantity=2, **waiting):
    client = sandbox.client()
    order_id = place_order(PRODUCT, type_id, quantity, client=client, journal=journal)
    with suppress(PollTimeoutError):
        poll_order_until_complete(order_id, client=client, journal=journal, **waiting)
    return order_id


def test_the_frames_have_the_promised_columns_and_kinds_also_when_empty():
    with Sandbox() as sandbox:
        journal = Journal()
        empty = journal.orders(), journal.polls()
        one_order(sandbox, journal)
        full = journal.orders(), journal.polls()
    assert list(full[0].columns) == [
        "order_id", "product_id", "type_id", "quantity", "placed_at", "status", "polls", "not_done_by_s", "done_by_s",
        "request_s", "fulfilled_quantity", "price_per_card", "fulfilled_amount", "refunded_quantity", "refunded_amount",
        "problems",
    ]  # fmt: skip
    assert list(full[1].columns) == [
        "order_id", "attempt", "via", "sent_at", "received_at", "latency_s", "elapsed_s", "outcome", "http_status",
        "retry_after_s", "request_id",
    ]  # fmt: skip
    for without_rows, with_rows in zip(empty, full, strict=True):
        pd.testing.assert_series_equal(without_rows.dtypes, with_rows.dtypes)
    assert full[0]["placed_at"].dtype == "datetime64[us, UTC]"


def test_what_of_a_bracket_is_the_requests_own_time_leaves_the_sending_of_the_final_look():
    with Sandbox() as sandbox:
        journal = Journal()
        one_order(sandbox, journal)
    order, final_look = journal.orders().iloc[0], journal.polls().iloc[-1]
    assert order["request_s"] >= final_look["latency_s"]
    assert order["done_by_s"] - order["request_s"] == pytest.approx(final_look["elapsed_s"])


@pytest.mark.parametrize(
    ("type_id", "status", "delivered", "charged", "refunded"),
    [
        ("type_001", "FULFILLED", 4, 1960, 0),
        ("TEST_PARTIAL", "PARTIALLY_FILLED", 2, 980, 980),
        ("TEST_REFUND", "REFUNDED", 0, 0, 1960),
    ],
)
def test_money_and_cards_of_each_outcome_are_exact(type_id, status, delivered, charged, refunded):
    with Sandbox() as sandbox:
        journal = Journal()
        one_order(sandbox, journal, type_id, 4)
    order = journal.orders().iloc[0]
    assert (order["status"], order["fulfilled_quantity"], order["refunded_quantity"]) == (
        status,
        delivered,
        4 - delivered,
    )
    assert order["fulfilled_amount"] == Decimal(charged)
    assert order["refunded_amount"] == Decimal(refunded)
    assert isinstance(order["price_per_card"], Decimal)
    assert order["product_id"] == PRODUCT
    assert order["problems"] == ""


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    interval=st.floats(1, 30),
    fails=st.lists(st.integers(1, 8), max_size=3),
    reopened=st.booleans(),
)
def test_every_bracket_contains_the_true_duration(tmp_path_factory, seed, interval, fails, reopened):
    path = tmp_path_factory.mktemp("journal") / "journal.sqlite"
    faults = [Fault("checkOrder", call=call, status=503) for call in fails]
    with Sandbox(seed, faults=faults) as sandbox:
        journal = Journal(path)
        order_id = one_order(sandbox, journal, timeout=9 if reopened else 300, interval=interval)
        if reopened:
            journal.close()
            sandbox.clock.sleep(3)
            journal = Journal(path)
            if journal.unfinished():
                poll_order_until_complete(order_id, client=sandbox.client(), journal=journal, interval=interval)
        order = journal.orders().iloc[0]
        true = sandbox.truth()[order_id]
        journal.close()
    assert order["not_done_by_s"] < true <= order["done_by_s"] < inf


def test_an_order_that_is_still_open_is_bounded_below_only():
    with Sandbox(fulfilment_s=inf) as sandbox:
        journal = Journal()
        one_order(sandbox, journal, timeout=60)
    order = journal.orders().iloc[0]
    assert 59 < order["not_done_by_s"] < 60
    assert order["done_by_s"] == inf
    assert order["status"] == "HANDLING"
    assert pd.isna(order["fulfilled_quantity"])
    assert order["refunded_amount"] is None


def test_somebody_elses_order_is_counted_from_the_time_the_api_tells():
    with Sandbox(fulfilment_s=12.3456) as sandbox:
        [order_id] = sandbox.add_orders(1)
        journal = Journal()
        sandbox.clock.sleep(4)
        poll_order_until_complete(order_id, client=sandbox.client(), journal=journal)
    order, polls = journal.orders().iloc[0], journal.polls()
    assert order["not_done_by_s"] < 12.3456 <= order["done_by_s"]
    assert polls["elapsed_s"].iloc[0] == pytest.approx(4, abs=0.001)


def test_clocks_that_contradict_each_other_bound_nothing():
    class Behind(SimulatedClock):
        """A minute late against the API, whose clock the emulator's is."""

        def now_utc(self):
            return super().now_utc() - timedelta(minutes=1)

    with Sandbox(fulfilment_s=5, latency_s=0) as sandbox:
        [order_id] = sandbox.add_orders(1)
        sandbox.clock.sleep(20)
        journal, client = Journal(), Client(sandbox.api_key, sandbox.url, clock=Behind())
        poll_order_until_complete(order_id, client=client, journal=journal)
    order = journal.orders().iloc[0]
    assert (order["not_done_by_s"], order["done_by_s"]) == (0, inf)


def test_an_order_seen_final_stays_final():
    with Sandbox(fulfilment_s=1) as sandbox:
        journal = Journal()
        order_id = one_order(sandbox, journal)
        before = journal.orders()
        sandbox.inject(
            Fault(
                "checkOrder",
                body=json.dumps({"success": True, "data": {"_id": order_id, "status": "HANDLING"}}).encode(),
            )
        )
        with pytest.raises(PollTimeoutError):
            poll_order_until_complete(order_id, 1, client=sandbox.client(), journal=journal)
    after = journal.orders()
    assert after["polls"].item() == before["polls"].item() + 1
    pd.testing.assert_frame_equal(after.drop(columns="polls"), before.drop(columns="polls"))


def test_the_intent_is_on_disk_before_the_purchase_leaves(tmp_path):
    path = tmp_path / "journal.sqlite"
    held = []

    with Sandbox() as sandbox:
        client = sandbox.client()
        real = client.place

        def place(*arguments):
            with closing(sqlite3.connect(path)) as other:
                held.extend(other.execute("SELECT state, product_id, type_id, quantity FROM orders").fetchall())
            return real(*arguments)

        client.place = place
        place_order(PRODUCT, "type_001", 3, client=client, journal=Journal(path))
    assert held == [("intended", PRODUCT, "type_001", 3)]


def test_a_journal_outlives_the_process_that_wrote_it(tmp_path):
    path = tmp_path / "journal.sqlite"
    with Sandbox(fulfilment_s=inf) as sandbox:
        journal = Journal(path)
        order_id = one_order(sandbox, journal, timeout=20)
        orders, polls = journal.orders(), journal.polls()
        journal.close()
    reopened = Journal(path)
    assert reopened.unfinished() == [order_id]
    pd.testing.assert_frame_equal(reopened.orders(), orders)
    pd.testing.assert_frame_equal(reopened.polls(), polls)
    assert repr(reopened) == "Journal(1 orders, 0 final)"


def test_a_saved_copy_holds_the_same(tmp_path):
    with Sandbox() as sandbox:
        journal = Journal()
        one_order(sandbox, journal)
    journal.save(tmp_path / "copy.sqlite")
    pd.testing.assert_frame_equal(Journal(tmp_path / "copy.sqlite").orders(), journal.orders())


@pytest.mark.parametrize("content", ["not a database, but some text that is long enough", "another version"])
def test_a_file_that_is_no_journal_of_this_version_is_refused(tmp_path, content):
    path = tmp_path / "file"
    if content == "another version":
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA user_version = 99")
    else:
        path.write_text(content * 50)
    with pytest.raises(GiftlibError, match=str(path)):
        Journal(path)


def test_two_journals_on_one_file_see_each_others_orders(tmp_path):
    path = tmp_path / "journal.sqlite"
    with Sandbox() as sandbox:
        first, second = Journal(path), Journal(path)
        ids = [one_order(sandbox, journal) for journal in (first, second, first)]
    assert first.orders()["order_id"].tolist() == ids
    pd.testing.assert_frame_equal(first.polls(), second.polls())
    first.close()
    second.close()


def write_orders(path, name):
    with closing(Journal(path)) as journal:
        for number in range(30):
            moment = Timestamp.now(SimulatedClock())
            journal.placed(journal.intend(PRODUCT, "type_001", 1, moment), f"{name}{number}", moment)
            journal.watch("shared")


def test_processes_that_write_one_new_journal_at_once_lose_nothing(tmp_path):
    path = tmp_path / "journal.sqlite"
    processes = [PROCESSES.Process(target=write_orders, args=(path, name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    with closing(Journal(path)) as journal:
        expected = {f"{name}{number}" for name in "abc" for number in range(30)} | {"shared"}
        assert sorted(journal.unfinished()) == sorted(expected)
        assert journal.intents()["state"].eq("placed").all()


# Purchases whose outcome is not known.


def lose(sandbox, journal, quantity=1):
    sandbox.inject(Fault.commit_then_drop())
    with pytest.raises(OrderOutcomeUnknownError):
        place_order(PRODUCT, "type_001", quantity, client=sandbox.client(), journal=journal)


def test_a_lost_purchase_is_taken_and_its_bracket_holds():
    with Sandbox(fulfilment_s=12.3) as sandbox:
        journal, client = Journal(), sandbox.client()
        lose(sandbox, journal)
        found = recover_orders(journal, client)
        assert found["state"].tolist() == ["placed"]
        [order_id] = journal.unfinished()
        poll_order_until_complete(order_id, client=client, journal=journal)
    order = journal.orders().iloc[0]
    assert order["not_done_by_s"] < 12.3 <= order["done_by_s"] < inf


def test_lost_purchases_alike_are_taken_in_the_order_of_time():
    with Sandbox() as sandbox:
        journal = Journal()
        for _ in range(3):
            lose(sandbox, journal)
            sandbox.clock.sleep(2)
        recover_orders(journal, sandbox.client())
        assert journal.unfinished() == list(sandbox.truth())


def test_where_more_orders_fit_than_were_bought_none_is_taken_and_all_are_named():
    with Sandbox() as sandbox:
        journal = Journal()
        sandbox.add_orders(1)
        lose(sandbox, journal)
        found = recover_orders(journal, sandbox.client())
        assert found["state"].tolist() == ["unknown"]
        assert sorted(found["candidates"].item()) == sorted(sandbox.truth())
    assert journal.unfinished() == []


def test_an_order_that_another_intent_holds_is_not_taken():
    with Sandbox() as sandbox:
        journal = Journal()
        place_order(PRODUCT, "type_001", 1, client=sandbox.client(), journal=journal)
        sandbox.inject(Fault("placeOrder", status=503))
        with pytest.raises(OrderOutcomeUnknownError):
            place_order(PRODUCT, "type_001", 1, client=sandbox.client(), journal=journal)
        assert recover_orders(journal, sandbox.client())["candidates"].item() == []
    assert journal.intents()["state"].tolist() == ["placed", "unknown"]


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault("placeOrder", status=400), "not placed"),
        (Fault("placeOrder", status=401), "not placed"),
        (Fault("placeOrder", status=403), "not placed"),
        (Fault("placeOrder", status=429), "not placed"),
        (Fault("placeOrder", status=404), "unknown"),
        (Fault("placeOrder", status=500), "unknown"),
        (Fault("placeOrder", status=503, body="empty"), "unknown"),
        (Fault("placeOrder", cut="before"), "unknown"),
        (Fault("placeOrder", cut="within"), "unknown"),
        (Fault("placeOrder", body=b"<html>"), "unknown"),
        (Fault("placeOrder", body=b'{"success": true, "data": {}}'), "unknown"),
        (Fault("placeOrder", delay_s=20), "unknown"),
    ],
)
def test_the_journal_tells_what_a_failed_purchase_proves(fault, state):
    with Sandbox() as sandbox:
        client, journal = sandbox.client(), Journal()
        client.validate()
        sandbox.inject(fault)
        with pytest.raises(GiftlibError):
            place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
        assert sum("placeOrder" in request.path for request in sandbox.requests) == 1
    assert journal.intents()["state"].tolist() == [state]


def test_where_nobody_listens_nothing_was_bought():
    with Sandbox() as sandbox:
        client, journal = sandbox.client(), Journal()
        client.validate()
    with pytest.raises(NoAnswerError):
        place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    assert journal.intents()["state"].tolist() == ["not placed"]


def test_an_intent_of_a_process_that_was_killed_is_looked_for(tmp_path):
    path = tmp_path / "journal.sqlite"
    with Sandbox() as sandbox:
        killed = Journal(path)
        killed.intend(PRODUCT, "type_001", 1, Timestamp.now(sandbox.clock))
        [order_id] = sandbox.add_orders(1)
        journal = Journal(path)
        recover_orders(journal, sandbox.client())
        assert journal.unfinished() == [order_id]
        killed.close()
        journal.close()


def test_the_file_holds_no_code_and_no_key(tmp_path):
    path = tmp_path / "journal.sqlite"
    with Sandbox() as sandbox:
        journal = Journal(path)
        one_order(sandbox, journal, quantity=3)
        key = sandbox.api_key
        written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        journal.close()
    written += path.read_bytes()
    assert b"type_001" in written
    assert b"SANDBOX-" not in written
    assert key.encode() not in written
