from math import inf
from queue import Queue

import numpy as np
import pytest

from giftlib import (
    InsufficientBalanceError,
    Journal,
    PermissionDeniedError,
    place_order,
    process_orders,
    track_orders,
)
from giftlib.polling.schedules import wait_then
from giftlib.sandbox import Fault, Sandbox, at_rate

PRODUCT = "507f1f77bcf86cd799439011"


def count(sandbox, endpoint):
    return sum(endpoint in request.path for request in sandbox.requests)


def refusals(sandbox):
    return [request for request in sandbox.requests if request.status == 429]


def busiest_minute(sandbox):
    times = [request.when_utc.timestamp() for request in sandbox.requests]
    return max(sum(1 for other in times if 0 <= other - time < 60) for time in times)


def test_fifty_orders_of_somebody_else_are_watched_with_one_request_a_round():
    with Sandbox() as sandbox:
        ids = sandbox.add_orders(50)
        journal = track_orders(ids, client=sandbox.client())
        truth = sandbox.truth()
    orders = journal.orders()
    assert orders["status"].eq("FULFILLED").all()
    assert (orders["order_id"].map(truth) <= orders["done_by_s"]).all()
    assert (orders["not_done_by_s"] < orders["order_id"].map(truth)).all()
    assert len(sandbox.requests) <= 0.5 * len(ids)
    assert not refusals(sandbox)


def delays(journal, sandbox):
    """Seconds from final to seen."""
    orders = journal.orders()
    return orders["done_by_s"] - orders["order_id"].map(sandbox.truth())


def test_bursts_of_fifty_are_seen_soon_with_few_requests():
    found = []
    for seed in range(30):
        with Sandbox(seed) as sandbox:
            journal = track_orders(sandbox.add_orders(50), client=sandbox.client())
            found.append((delays(journal, sandbox).mean(), len(sandbox.requests) / 50, len(refusals(sandbox))))
    delay, requests_per_order, refused = np.mean(found, axis=0)
    assert delay <= 2.7 and requests_per_order <= 0.25 and refused == 0


def test_500_orders_go_through_one_key_at_45_a_minute_and_more():
    with Sandbox() as sandbox:
        journal = process_orders([(PRODUCT, "type_001", 1)] * 500, client=sandbox.client())
        assert 500 / (sandbox.clock.monotonic() / 60) >= 45
        assert delays(journal, sandbox).mean() <= 3
        assert not refusals(sandbox)


def test_a_bar_counts_what_is_final_open_and_failed(capfd):
    with Sandbox(check_stock=True) as sandbox, pytest.warns(UserWarning, match="were not placed"):
        items = [(PRODUCT, "type_001", 1)] * 2 + [(PRODUCT, "type_003", 1)]
        process_orders(items, client=sandbox.client(), progress=True)
    assert "final=2, open=0, failed=1" in capfd.readouterr().err


def test_more_orders_than_a_page_holds_are_all_finished():
    with Sandbox() as sandbox:
        ids = sandbox.add_orders(250)
        journal = track_orders(ids, client=sandbox.client())
    assert journal.unfinished() == []
    assert not refusals(sandbox)


@pytest.mark.parametrize("orders", [2, 30])
@pytest.mark.parametrize("settings", [
    {"list_hides_s": 3}, {"list_hides_s": 12}, {"list_hides_s": 1e6}, {"list_lag_s": 30}, {"list_lag_s": 1e6},
    {"list_lag_s": 60, "list_hides_s": 8},
])  # fmt: skip
def test_a_list_that_lags_or_hides_young_orders_delays_nothing_for_long_and_bounds_nothing_wrongly(orders, settings):
    with Sandbox(seed=3, **settings) as sandbox:
        journal = track_orders(sandbox.add_orders(orders), client=sandbox.client())
        truth = sandbox.truth()
        assert not refusals(sandbox)
        assert sandbox.clock.monotonic() < 130
    found = journal.orders()
    assert found["status"].eq("FULFILLED").all()
    true = found["order_id"].map(truth)
    assert (found["not_done_by_s"] < true).all()
    assert (true <= found["done_by_s"]).all()


def test_once_a_list_was_late_no_list_bounds_an_order():
    with Sandbox(seed=3, list_lag_s=40) as sandbox:
        journal = track_orders(sandbox.add_orders(20), client=sandbox.client())
    polls, orders = journal.polls(), journal.orders().set_index("order_id")
    shown_open = polls[(polls["via"] == "check") & (polls["outcome"] == "HANDLING")]
    assert (polls["via"] == "list").any()
    assert set(orders.index[orders["not_done_by_s"] > 0]) == set(shown_open["order_id"])


@pytest.mark.parametrize("lag", [0.5, 2, 5, 12])
def test_without_trust_in_lists_every_bracket_holds_however_late_they_are(lag):
    for seed in range(5):
        with Sandbox(seed, list_lag_s=lag) as sandbox:
            journal = track_orders(sandbox.add_orders(12), client=sandbox.client())
            truth = sandbox.truth()
        orders = journal.orders(trust_lists=False)
        true = orders["order_id"].map(truth)
        assert ((orders["not_done_by_s"] < true) & (true <= orders["done_by_s"])).all()


def test_orders_may_be_added_by_an_iterator_between_the_looks():
    with Sandbox() as sandbox:
        client, ids = sandbox.client(), []

        def placed_one_after_another():
            for _ in range(4):
                ids.append(place_order(PRODUCT, "type_001", 1, client=client))
                yield ids[-1]
                sandbox.clock.sleep(20)

        journal = track_orders(placed_one_after_another(), client=client)
    assert journal.orders()["order_id"].tolist() == ids
    assert journal.unfinished() == []
    first_looks = journal.polls().groupby("order_id")["elapsed_s"].min()
    assert first_looks.max() < 25


def test_orders_may_be_added_by_a_queue_while_others_are_open():
    queue = Queue()
    with Sandbox() as sandbox:
        ids = sandbox.add_orders(3)

        def add_one_more(poll):
            if ids:
                queue.put(ids.pop())

        queue.put(ids.pop())
        journal = track_orders(queue, client=sandbox.client(), on_poll=add_one_more)
        assert sorted(journal.orders()["order_id"]) == sorted(sandbox.truth())
    assert journal.unfinished() == []


def test_an_order_given_twice_is_one_order():
    with Sandbox() as sandbox:
        [order_id] = sandbox.add_orders(1)
        journal = track_orders(iter([order_id, order_id]), client=sandbox.client())
    assert len(journal.orders()) == 1


def test_one_text_is_not_taken_for_many_ids():
    with Sandbox() as sandbox, pytest.raises(ValueError, match="order_ids must be a list of ids, got .abc."):
        track_orders("abc", client=sandbox.client())


def test_orders_placed_long_ago_are_looked_at_at_once():
    with Sandbox(fulfilment_s=1) as sandbox:
        ids = sandbox.add_orders(3)
        sandbox.clock.sleep(3600)
        track_orders(ids, client=sandbox.client())
        assert sandbox.clock.monotonic() < 3602


def test_a_schedule_says_when_the_rounds_begin():
    with Sandbox(fulfilment_s=28, latency_s=0) as sandbox:
        journal = track_orders(sandbox.add_orders(2), schedule=wait_then(7, every=6), client=sandbox.client())
    assert journal.polls()["elapsed_s"].unique().tolist()[:5] == [7, 13, 19, 25, 31]


def test_the_cost_grows_with_pages_not_with_orders():
    def requests(orders):
        with Sandbox(fulfilment_s=12, latency_s=0) as sandbox:
            track_orders(sandbox.add_orders(orders), client=sandbox.client())
            return len(sandbox.requests)

    assert requests(100) == requests(10)
    assert requests(400) <= 4 * requests(100)


def test_pages_whose_orders_are_all_final_are_read_no_more():
    with Sandbox(fulfilment_s=25, latency_s=0) as sandbox:
        ids = sandbox.add_orders(50)
        sandbox.clock.sleep(20)
        track_orders(ids + sandbox.add_orders(100), client=sandbox.client())
        # Rounds of two pages at 20 and 25 s, of one page at 30, 35, 40 and 45 s.
        assert count(sandbox, "list") == 2 * 2 + 4


def test_orders_are_placed_and_looked_at_in_turn_under_the_ceiling():
    with Sandbox() as sandbox:
        journal = process_orders([(PRODUCT, "type_001", 1)] * 60, client=sandbox.client())
        truth = sandbox.truth()
    orders = journal.orders()
    assert orders["status"].eq("FULFILLED").all()
    true = orders["order_id"].map(truth)
    assert (orders["not_done_by_s"] < true).all()
    assert (true <= orders["done_by_s"]).all()
    # An order looked at every 5 s or so has a bracket about as wide.
    assert (orders["done_by_s"] - orders["not_done_by_s"]).max() < 10
    assert not refusals(sandbox)
    assert busiest_minute(sandbox) <= 60
    assert count(sandbox, "placeOrder") == 60


def test_every_outcome_ends_as_it_should():
    items = [(PRODUCT, kind, 4) for kind in ("type_001", "TEST_REFUND", "TEST_PARTIAL")]
    with Sandbox() as sandbox:
        orders = process_orders(items, client=sandbox.client()).orders()
    assert orders["status"].tolist() == ["FULFILLED", "REFUNDED", "PARTIALLY_FILLED"]
    assert orders["problems"].eq("").all()


@pytest.mark.filterwarnings("ignore:.*still being processed")
def test_the_same_seed_gives_the_same_frames():
    def frames():
        with Sandbox(seed=5) as sandbox:
            journal = process_orders([(PRODUCT, "type_001", 1)] * 8, timeout=30, client=sandbox.client())
            return journal.orders().to_csv(), journal.polls().drop(columns="request_id").to_csv()

    assert frames() == frames()


@pytest.mark.parametrize("fault", [
    Fault("list", call=2, status=503),
    Fault("list", call=2, status=429, headers={"Retry-After": "7"}),
    Fault("list", call=2, cut="after"),
    Fault("list", call=2, body=b"[]"),
    Fault("list", call=1, times=99, status=404),
    Fault("list", call=1, times=99, body=b'{"success": true, "data": {"items": [], "pagination": {}}}'),
])  # fmt: skip
def test_a_list_that_fails_or_shows_nothing_loses_no_order(fault):
    with Sandbox(faults=[fault]) as sandbox:
        journal = track_orders(sandbox.add_orders(6), client=sandbox.client())
    assert journal.unfinished() == []


def test_a_key_that_is_refused_ends_the_tracking_at_the_first_request():
    with Sandbox(faults=[Fault("list", status=403, times=99)]) as sandbox:
        with pytest.raises(PermissionDeniedError):
            track_orders(sandbox.add_orders(5), client=sandbox.client())
        assert len(sandbox.requests) == 1


def test_orders_that_run_out_of_time_are_warned_of_together_and_can_be_gone_on_with():
    with Sandbox(fulfilment_s=90) as sandbox:
        client = sandbox.client()
        ids = sandbox.add_orders(4)
        with pytest.warns(UserWarning, match="4 orders are still being processed after 60 s, not failed") as warned:
            journal = track_orders(ids, timeout=60, client=client)
        assert len(warned) == 1
        assert sandbox.clock.monotonic() == pytest.approx(60, abs=0.5)
        assert journal.unfinished() == ids
        assert track_orders(journal.unfinished(), journal=journal, client=client) is journal
    assert journal.unfinished() == []


def test_an_order_that_does_not_exist_does_not_hold_up_the_others():
    with Sandbox() as sandbox:
        ids = [*sandbox.add_orders(2), "000000000000000000000000"]
        with pytest.warns(UserWarning, match="1 orders cannot be polled: 000000000000000000000000"):
            journal = track_orders(ids, client=sandbox.client())
    assert journal.orders()["status"].eq("FULFILLED").sum() == 2


def test_an_item_refused_for_itself_does_not_stop_the_others():
    items = [(PRODUCT, "type_003", 1), (PRODUCT, "type_001", 1)]
    with Sandbox(check_stock=True) as sandbox:
        with pytest.warns(UserWarning, match="1 orders were not placed: 1 x type_003"):
            journal = process_orders(items, client=sandbox.client())
    assert journal.orders()["type_id"].tolist() == ["type_001"]


def test_after_a_failure_that_concerns_all_nothing_more_is_bought_and_the_bought_is_waited_for():
    with Sandbox(opening_balance=1000) as sandbox:
        journal = Journal()
        with pytest.raises(InsufficientBalanceError):
            process_orders([(PRODUCT, "type_001", 1)] * 6, client=sandbox.client(), journal=journal)
        assert count(sandbox, "placeOrder") == 3
    assert journal.orders()["status"].tolist() == ["FULFILLED", "FULFILLED"]


@pytest.mark.parametrize("fault", [
    Fault.commit_then_drop(call=3),
    Fault("placeOrder", call=3, cut="within"),
    Fault("placeOrder", call=3, delay_s=60),
    Fault("placeOrder", call=3, body=b"?"),
])  # fmt: skip
def test_a_purchase_whose_answer_was_lost_is_found_and_waited_for(fault):
    with Sandbox(faults=[fault]) as sandbox:
        journal = process_orders([(PRODUCT, "type_001", 1)] * 6, client=sandbox.client())
        assert count(sandbox, "placeOrder") == 6
        assert set(journal.orders()["order_id"]) == set(sandbox.truth())
    assert journal.unfinished() == []


def test_a_purchase_that_cannot_be_found_is_warned_of_and_not_sent_again():
    with Sandbox(faults=[Fault("placeOrder", call=3, status=503)]) as sandbox:
        with pytest.warns(UserWarning, match="1 order requests were sent and their responses lost"):
            journal = process_orders([(PRODUCT, "type_001", 1)] * 6, client=sandbox.client())
        assert count(sandbox, "placeOrder") == 6
    assert journal.intents()["state"].value_counts().to_dict() == {"placed": 5, "unknown": 1}


@pytest.mark.filterwarnings("ignore:.*(were not placed|responses lost)")
def test_under_a_fault_rate_of_30_percent_500_orders_are_bought_once_and_finished_as_they_should():
    kinds = {"type_001": "FULFILLED", "TEST_REFUND": "REFUNDED", "TEST_PARTIAL": "PARTIALLY_FILLED"}
    with Sandbox(seed=1) as sandbox:
        placed_by_others = sandbox.add_orders(250, "TEST_PARTIAL", 2)
        items = [(PRODUCT, kind, 4) for kind in kinds] * 84
        client, journal = sandbox.client(), Journal()
        client.validate()
        for fault in at_rate(0.3):
            sandbox.inject(fault)
        process_orders(items[:250], client=client, journal=journal)
        track_orders(placed_by_others, client=client, journal=journal)
        assert count(sandbox, "placeOrder") == 250
        truth = sandbox.truth()
    orders = journal.orders()
    assert set(orders["order_id"]) == set(truth)
    assert (orders["status"] == orders["type_id"].map(kinds)).all()
    true = orders["order_id"].map(truth)
    assert (orders["not_done_by_s"] < true).all()
    assert (true <= orders["done_by_s"]).all()


def test_an_order_that_is_never_final_is_given_up_at_its_own_deadline():
    with Sandbox(fulfilment_s=inf) as sandbox:
        with pytest.warns(UserWarning, match="not failed"):
            journal = process_orders([(PRODUCT, "type_001", 1)] * 3, timeout=60, client=sandbox.client())
    assert journal.orders()["not_done_by_s"].between(58, 60.5).all()


@pytest.mark.parametrize("items", [[(PRODUCT, "type_001", 0)], [(PRODUCT, "type_001", True)], [("a/b", "type_001", 1)]])
def test_bad_items_are_refused_before_anything_is_bought(items):
    with Sandbox() as sandbox:
        with pytest.raises(ValueError, match="must be"):
            process_orders([(PRODUCT, "type_001", 1), *items], client=sandbox.client())
        assert not sandbox.requests


def test_nothing_to_do_is_done_without_a_request():
    with Sandbox() as sandbox:
        assert len(track_orders([], client=sandbox.client()).orders()) == 0
        assert not sandbox.requests
