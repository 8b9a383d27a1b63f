"""Many orders at the rate limit, with failures: pages and orders take turns, and none is left out."""

import os
from math import ceil, inf, nan

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from samples import PRODUCT
from sandbox_checks import Wrong, contains_truth, requests_to
from thorough import tries

from giftlib import Client, ServerError, poll_order_until_complete, process_orders, track_orders
from giftlib.polling.schedules import every
from giftlib.sandbox import Fault, Sandbox, at_rate

ITEM = (PRODUCT, "type_001", 1)
ORDERS = int(os.environ.get("GIFTLIB_MANY_ORDERS", tries(500, 1500)))


def delays(journal, sandbox):
    """Seconds from final to seen final, for each order."""
    orders = journal.orders()
    return orders["done_by_s"] - orders["order_id"].map(sandbox.truth())


def request_times(sandbox):
    times = np.array([request.when_utc.timestamp() for request in sandbox.requests])
    return times - times[0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_none_starves(seed):
    """With 30 % of the requests failing, each order is seen soon after it is final, and the rate limit is used."""
    # So many requests show each page once; half as many more allow for bad luck.
    sweep_s = ceil(ORDERS / 100) / 0.7
    with Sandbox(seed) as sandbox:
        ids = sandbox.add_orders(ORDERS)
        for fault in at_rate(0.3):
            sandbox.inject(fault)
        journal = track_orders(ids, client=sandbox.client())
        late, times = delays(journal, sandbox), request_times(sandbox)
        seen = journal.orders()["done_by_s"].quantile(0.95)  # all were placed when the requests began
        used = (times < seen).sum() / seen
        print(
            f"{ORDERS} orders, seed {seed}: {np.isinf(late).sum()} never seen, {(late > 50).sum()} later than 50 s, "
            f"the longest {late.max():.1f} s; {used:.0%} of the allowed requests until 95 % were seen final"
        )
        assert journal.unfinished() == []
        assert late.max() <= max(50, 1.8 * sweep_s)
        assert (late > 50).mean() <= 0.1
        assert used >= 0.8
        failed = journal.polls()["http_status"].ne(200).sum()
        assert failed <= sum(request.status != 200 for request in sandbox.requests)


@pytest.mark.filterwarnings("ignore:.*(were not placed|responses lost)")
def test_placing_and_polling():
    """Orders that are placed while others are polled are seen soon too, though 30 % of the requests fail."""
    with Sandbox(1, faults=at_rate(0.3)) as sandbox:
        client = sandbox.client()
        journal = process_orders([ITEM] * (ORDERS // 10), client=client)
        polled = journal.polls().groupby("order_id")["elapsed_s"].min()
        late = delays(journal, sandbox).set_axis(journal.orders()["order_id"])
        assert late[polled.index[polled < 60]].max() <= 50  # lost ones are found at the end
        assert contains_truth(journal.orders(), sandbox.truth())


def test_all_pages_at_once():
    """Without failures 1,500 orders are seen within a sweep of their pages, not only when the rate limit allows."""
    with Sandbox(1) as sandbox:
        journal = track_orders(sandbox.add_orders(1500), client=sandbox.client())
        assert delays(journal, sandbox).max() <= 40


def test_failed_page(make_sandbox):
    """A page that fails once gives one row, and is read again in the same round while the others go on."""
    sandbox = make_sandbox(faults=[Fault("list", status=503)], fulfilment_s=12, latency_s=0)
    journal = track_orders(sandbox.add_orders(300), client=sandbox.client())
    polls = journal.polls()
    assert polls["http_status"].eq(503).sum() == 1
    assert polls[polls["outcome"].eq("HANDLING")]["elapsed_s"].min() == pytest.approx(5, abs=0.1)


def test_page_that_always_fails(sandbox, client, monkeypatch):
    """Orders on a page that always fails are polled singly, and the other pages as if nothing were wrong."""
    read = Client.list_orders

    def list_orders(self, page, *args, **kwargs):
        if page == 2:
            raise ServerError("broken", status=500, code="HTTP_500")
        return read(self, page, *args, **kwargs)

    ids = sandbox.add_orders(220)
    monkeypatch.setattr(Client, "list_orders", list_orders)
    journal = track_orders(ids, client=client, timeout=900)
    late = delays(journal, sandbox)
    assert journal.unfinished() == []
    assert late.sort_values().iloc[:110].max() <= 20


def test_list_that_grows(make_sandbox):
    """Orders that others place while the list is read move its pages, and none is missed."""
    sandbox = make_sandbox(3)
    ids = sandbox.add_orders(400)
    journal = track_orders(
        ids, client=sandbox.client(), on_poll=lambda poll: poll.attempt == 1 and sandbox.add_orders(1)
    )
    assert delays(journal, sandbox).max() <= 50
    assert set(ids) <= set(journal.orders()["order_id"])


@pytest.mark.parametrize("settings", [{"list_lag_s": 20}, {"list_hides_s": 15}, {"list_order": "oldest first"}])
def test_unusual_lists(settings):
    """Where lists lag, hide young orders or begin with the oldest, all are seen, though requests fail."""
    with Sandbox(2, **settings) as sandbox:
        ids = sandbox.add_orders(300)
        for fault in at_rate(0.3):
            sandbox.inject(fault)
        journal = track_orders(ids, client=sandbox.client())
        assert delays(journal, sandbox).max() <= 70
        assert contains_truth(journal.orders(), sandbox.truth())


def test_list_turns_slow(make_sandbox):
    """A list whose responses suddenly take far longer than before is waited for longer."""
    sandbox = make_sandbox(faults=[Fault("list", call=2, times=999, delay_s=8)], fulfilment_s=30)
    journal = track_orders(sandbox.add_orders(40), client=sandbox.client(), timeout=100)
    assert journal.unfinished() == []
    assert journal.polls()["via"].eq("list").mean() > 0.5


@pytest.mark.filterwarnings("ignore:1 orders were not placed")
@pytest.mark.parametrize(("endpoint", "call"), [("list", 1), ("placeOrder", 5)])
def test_retry_after_holds_all(make_sandbox, endpoint, call):
    """After a 429 with Retry-After neither polls nor orders are sent with the key until then."""
    fault = Fault(endpoint, call=call, status=429, headers={"Retry-After": "20"})
    sandbox = make_sandbox(faults=[fault], latency_s=0.1)
    process_orders([ITEM] * 12, client=sandbox.client())
    [rejected] = [place for place, request in enumerate(sandbox.requests) if request.status == 429]
    times = request_times(sandbox)
    assert times[rejected + 1] - times[rejected] >= 20


@pytest.mark.parametrize("timeout", [10, 300])
def test_first_round_at_deadline(make_sandbox, timeout):
    """A first round due at the deadline is sent in time for its responses."""
    sandbox = make_sandbox(fulfilment_s=timeout / 2, latency_s=0.2)
    journal = track_orders(
        sandbox.add_orders(3), schedule=every(5, first=timeout), timeout=timeout, client=sandbox.client()
    )
    assert journal.unfinished() == []
    assert sandbox.clock.monotonic() <= timeout


@settings(max_examples=tries(10, 30))
@given(
    orders=st.integers(1, 3),
    timeout=st.floats(1, 100),
    latency=st.floats(0.01, 10),
    schedule=st.builds(lambda seconds, first: every(seconds, first=first), st.floats(1, 90), st.sampled_from([0, 300])),
    part=st.floats(0, 1),
)
def test_last_round_leaves_time(orders, timeout, latency, schedule, part):
    """Orders that are final four requests before the deadline are found, and the wait ends in time."""
    assume(timeout > 4 * latency + 1)
    with Sandbox(fulfilment_s=part * (timeout - 4 * latency - 1), latency_s=latency, latency_p95_s=30) as sandbox:
        journal = track_orders(sandbox.add_orders(orders), schedule=schedule, timeout=timeout, client=sandbox.client())
        assert journal.unfinished() == []
        assert sandbox.clock.monotonic() <= timeout + 2 * latency


@pytest.mark.parametrize("wait", [track_orders, process_orders])
def test_interval(make_sandbox, wait):
    """An interval says how many seconds lie between two rounds."""
    sandbox = make_sandbox(fulfilment_s=inf, latency_s=0)
    items = sandbox.add_orders(2) if wait is track_orders else [ITEM] * 2
    with pytest.warns(UserWarning, match="still being processed"):
        journal = wait(items, interval=8, timeout=30, client=sandbox.client())
    assert journal.polls()["elapsed_s"].unique().tolist()[:3] == pytest.approx([8, 16, 24])


@pytest.mark.parametrize("wait", [track_orders, process_orders])
@pytest.mark.parametrize("interval", [0, -1, inf, nan, "5", True])
def test_bad_interval(sandbox, client, wait, interval):
    """A bad interval is named, and nothing is sent; so is one beside a schedule."""
    with pytest.raises(ValueError, match="interval must be"):
        wait([], interval=interval, client=client)
    with pytest.raises(ValueError, match="interval or schedule, not both"):
        wait([], interval=5.0, schedule=every(5), client=client)
    assert not sandbox.requests


def raising(elapsed, polls):
    raise RuntimeError("no plan")


@pytest.mark.parametrize("several", [False, True], ids=["one", "many"])
@pytest.mark.parametrize("later", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("pause", [nan, -1.0, inf, "5", None, True, 1e400, raising])
def test_bad_schedule(sandbox, client, several, later, pause):
    """A schedule that gives no pause ends the wait with an error that names it, what it gave, and what it may give."""

    def my_schedule(elapsed, polls):
        if later and not polls:
            return 1.0
        return pause(elapsed, polls) if pause is raising else pause

    ids = sandbox.add_orders(2)
    with pytest.raises(ValueError, match="my_schedule.* finite number from 0 up") as caught:
        if several:
            track_orders(ids, schedule=my_schedule, client=client)
        else:
            poll_order_until_complete(ids[0], schedule=my_schedule, client=client)
    assert ("RuntimeError: no plan" if pause is raising else repr(pause)) in str(caught.value)
    assert requests_to(sandbox, "") <= 2 * later


@pytest.mark.parametrize("endpoint", ["list", "checkOrder"])
def test_retry_after_of_a_success(make_sandbox, endpoint):
    """A Retry-After in a successful response holds the next round, and no poll of this one."""
    fault = Fault(endpoint, call=1, status=200, body="envelope", headers={"Retry-After": "25"})
    sandbox = make_sandbox(fulfilment_s=20, latency_s=0, faults=[fault])
    journal = track_orders(sandbox.add_orders(3 if endpoint == "list" else 1), client=sandbox.client())
    first, second, *_ = journal.polls()["elapsed_s"].round(2).unique()
    assert second - first >= 25 and journal.unfinished() == []


@pytest.mark.parametrize("timeout", [1, 3, 5, 6])
@pytest.mark.parametrize("latency_s", [0, 0.15])
def test_last_round_before_any_deadline(make_sandbox, timeout, latency_s):
    """Orders that are final before the deadline are seen final, also where responses take no time."""
    sandbox = make_sandbox(fulfilment_s=timeout / 2, latency_s=latency_s)
    journal = track_orders(sandbox.add_orders(3), client=sandbox.client(), timeout=timeout)
    assert journal.unfinished() == []


@pytest.mark.parametrize("wrong_by", [3600, -3600, 86400])
def test_many_orders_with_a_wrong_clock(wrong_by):
    """A wall clock that is wrong costs no requests: the list is asked for by the API's time."""
    requests = []
    for seconds in (0, wrong_by):
        with Sandbox(seed=3) as sandbox:
            client = Client(sandbox.api_key, sandbox.url, clock=Wrong(sandbox.clock, seconds))
            journal = process_orders([ITEM] * 30, client=client)
            requests.append(len(sandbox.requests))
            assert contains_truth(journal.orders(), sandbox.truth())
    assert requests[1] <= requests[0] + 5
