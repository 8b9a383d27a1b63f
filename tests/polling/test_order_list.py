"""Many orders are polled by pages of the order list, as far as that can be trusted."""

import pytest
from samples import ORDER_ID
from sandbox_checks import contains_truth, rejected_requests, requests_to
from scripted_server import FreshPages, success

from giftlib import track_orders
from giftlib.polling import Poller
from giftlib.polling.open_orders import OpenOrders
from giftlib.polling.order_list import OrderList
from giftlib.sandbox import Fault, Sandbox

OTHER_ID = "6955b9000ed5f1fab3000002"


def test_several_pages(sandbox, client):
    """More orders than a page holds are all final in the end."""
    ids = sandbox.add_orders(250)
    journal = track_orders(ids, client=client)
    assert journal.unfinished() == []
    assert not rejected_requests(sandbox)


def test_cost_by_pages():
    """The number of requests grows with pages, not with orders."""

    def requests(orders):
        with Sandbox(fulfilment_s=12, latency_s=0) as sandbox:
            track_orders(sandbox.add_orders(orders), client=sandbox.client())
            return len(sandbox.requests)

    assert requests(100) == requests(10)
    assert requests(400) <= 4 * requests(100)


def test_pages_with_final_orders(make_sandbox):
    """A page whose orders are all final is not read again."""
    sandbox = make_sandbox(fulfilment_s=25, latency_s=0)
    ids = sandbox.add_orders(50)
    sandbox.clock.sleep(20)
    track_orders(ids + sandbox.add_orders(100), client=sandbox.client())
    # Rounds of two pages at 20 and 25 s, of one page at 30, 35, 40 and 45 s.
    assert requests_to(sandbox, "list") == 2 * 2 + 4


@pytest.mark.parametrize("orders", [2, 30])
@pytest.mark.parametrize("settings", [
    {"list_hides_s": 3}, {"list_hides_s": 12}, {"list_hides_s": 1e6}, {"list_lag_s": 30}, {"list_lag_s": 1e6},
    {"list_lag_s": 60, "list_hides_s": 8},
])  # fmt: skip
def test_late_list(make_sandbox, orders, settings):
    """A list that is late or hides young orders delays no order for long, and every interval contains the truth."""
    sandbox = make_sandbox(seed=3, **settings)
    journal = track_orders(sandbox.add_orders(orders), client=sandbox.client())
    assert not rejected_requests(sandbox)
    assert sandbox.clock.monotonic() < 130
    found = journal.orders()
    assert found["status"].eq("FULFILLED").all()
    assert contains_truth(found, sandbox.truth())


def test_list_seen_late(make_sandbox):
    """Once a list was seen late, no list counts for an interval."""
    sandbox = make_sandbox(seed=3, list_lag_s=40)
    journal = track_orders(sandbox.add_orders(20), client=sandbox.client())
    polls, orders = journal.polls(), journal.orders().set_index("order_id")
    shown_open = polls[(polls["via"] == "check") & (polls["outcome"] == "HANDLING")]
    assert (polls["via"] == "list").any()
    assert set(orders.index[orders["not_done_by_s"] > 0]) == set(shown_open["order_id"])


@pytest.mark.parametrize("lag", [0.5, 2, 5, 12])
def test_intervals_without_lists(lag):
    """Without trust in lists every interval contains the truth, however late they are."""
    for seed in range(5):
        with Sandbox(seed, list_lag_s=lag) as sandbox:
            journal = track_orders(sandbox.add_orders(12), client=sandbox.client())
            assert contains_truth(journal.orders(trust_lists=False), sandbox.truth())


@pytest.mark.parametrize("fault", [
    Fault("list", call=2, status=503),
    Fault("list", call=2, status=429, headers={"Retry-After": "7"}),
    Fault("list", call=2, cut="after"),
    Fault("list", call=2, body=b"[]"),
    Fault("list", call=1, times=99, status=404),
    Fault("list", call=1, times=99, body=b'{"success": true, "data": {"items": [], "pagination": {}}}'),
])  # fmt: skip
def test_failing_list(make_sandbox, fault):
    """A list that fails or shows nothing loses no order."""
    sandbox = make_sandbox(faults=[fault])
    journal = track_orders(sandbox.add_orders(6), client=sandbox.client())
    assert journal.unfinished() == []


def test_rejected_list(make_sandbox):
    """If the list is rejected, orders are polled one by one."""
    sandbox = make_sandbox(faults=[Fault("list", status=400, times=1000)])
    journal = track_orders(sandbox.add_orders(4), client=sandbox.client())
    assert journal.unfinished() == []


def test_endless_list(server, scripted_client):
    """Tracking ends at its time-out though the list does not end."""
    server.replies = [FreshPages()]
    with pytest.warns(UserWarning, match="not failed|does not know"):
        track_orders([ORDER_ID, OTHER_ID], timeout=30, client=scripted_client)
    assert scripted_client.clock.monotonic() < 40


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z"])
def test_impossible_times(server, scripted_client, time):
    """Orders with an impossible time of placement are tracked to their end."""
    handling, final = ({"status": status, "quantity": 1, "time": time} for status in ("HANDLING", "REFUNDED"))
    server.replies = [success(handling), success(handling), success(final)]
    journal = track_orders(["one", "two"], client=scripted_client)
    assert journal.orders()["status"].tolist() == ["REFUNDED", "REFUNDED"]


def test_retry_after_on_comparison(make_sandbox):
    """The wait that a list asks for is kept also when it was read for an order that is final already."""
    sandbox = make_sandbox(faults=[Fault("list", status=429, headers={"Retry-After": "20"})])
    client, [order_id] = sandbox.client(), sandbox.add_orders(1)
    orders, poller = OpenOrders(client, timeout=300.0), Poller(client, None, None)
    orders.add(order_id)
    orders.finish(order_id)
    OrderList(orders, poller).compare(order_id)
    assert poller.held_until == client.clock.monotonic() + 20
