"""Many orders are placed and polled in turn, in one thread and within the rate limit."""

import gc
from math import inf
from queue import Queue

import numpy as np
import pytest
from samples import PRODUCT
from sandbox_checks import contains_truth, rejected_requests, requests_to
from thorough import tries

from giftlib import (
    AuthenticationError,
    InsufficientBalanceError,
    InvalidRequestError,
    NoAnswerError,
    NotFoundError,
    PermissionDeniedError,
    place_order,
    poll_order_until_complete,
    process_orders,
    track_orders,
)
from giftlib.polling.schedules import every
from giftlib.sandbox import Fault, Sandbox, at_rate

ITEM = (PRODUCT, "type_001", 1)


def busiest_minute(sandbox):
    times = [request.when_utc.timestamp() for request in sandbox.requests]
    return max(sum(1 for other in times if 0 <= other - time < 60) for time in times)


def delays(journal, sandbox):
    """Seconds from final to seen final, for each order."""
    orders = journal.orders()
    return orders["done_by_s"] - orders["order_id"].map(sandbox.truth())


def test_fifty_orders(sandbox, client):
    """Fifty orders are tracked with one request per round."""
    ids = sandbox.add_orders(50)
    journal = track_orders(ids, client=client)
    orders = journal.orders()
    assert orders["status"].eq("FULFILLED").all()
    assert contains_truth(orders, sandbox.truth())
    assert len(sandbox.requests) <= 0.5 * len(ids)
    assert not rejected_requests(sandbox)


def test_delay_and_cost():
    """Bursts of fifty orders are seen final soon, with few requests and no rejection."""
    found = []
    for seed in range(tries(8, 30)):
        with Sandbox(seed) as sandbox:
            journal = track_orders(sandbox.add_orders(50), client=sandbox.client())
            requests = len(sandbox.requests) - 1  # and one for the type of the key
            found.append((delays(journal, sandbox).mean(), requests / 50, len(rejected_requests(sandbox))))
    delay, requests_per_order, rejected = np.mean(found, axis=0)
    assert delay <= 2.7 and requests_per_order <= 0.25 and rejected == 0


def test_throughput(sandbox, client):
    """One key places 45 orders per minute or more, and sees them final within 3 s on average."""
    journal = process_orders([ITEM] * 300, client=client)
    assert 300 / (sandbox.clock.monotonic() / 60) >= 45
    assert delays(journal, sandbox).mean() <= 3
    assert not rejected_requests(sandbox)


def test_ids_from_iterator(sandbox, client):
    """An iterator may add orders between the polls."""
    ids = []

    def placed_one_after_another():
        for _ in range(4):
            ids.append(place_order(PRODUCT, "type_001", 1, client=client))
            yield ids[-1]
            sandbox.clock.sleep(20)

    journal = track_orders(placed_one_after_another(), client=client)
    assert journal.orders()["order_id"].tolist() == ids
    assert journal.unfinished() == []
    first_polls = journal.polls().groupby("order_id")["elapsed_s"].min()
    assert first_polls.max() < 25


def test_ids_from_queue(sandbox, client):
    """A queue may add orders while others are open."""
    queue = Queue()
    ids = sandbox.add_orders(3)

    def add_one_more(poll):
        if ids:
            queue.put(ids.pop())

    queue.put(ids.pop())
    journal = track_orders(queue, client=client, on_poll=add_one_more)
    assert sorted(journal.orders()["order_id"]) == sorted(sandbox.truth())
    assert journal.unfinished() == []


def test_order_given_twice(sandbox, client):
    """An order given twice is one order."""
    [order_id] = sandbox.add_orders(1)
    journal = track_orders(iter([order_id, order_id]), client=client)
    assert len(journal.orders()) == 1


def test_order_given_twice_in_a_list(sandbox, client):
    """In a list too, and in a journal that does not know the source yet."""
    [order_id] = sandbox.add_orders(1)
    journal = track_orders([order_id, order_id], client=client)
    assert journal.orders()["status"].tolist() == ["FULFILLED"]


@pytest.mark.parametrize("of", [
    lambda journal, order: journal.orders(), lambda journal, order: order, lambda journal, order: dict(order),
], ids=["frame", "order", "dict"])  # fmt: skip
def test_no_ids(sandbox, client, journal, of):
    """What has names in place of ids is not tracked, and nothing of it stays in the journal."""
    [order_id] = sandbox.add_orders(1)
    orders = track_orders([order_id], client=client)
    given = of(orders, client.check_order_status(order_id))
    with pytest.raises(ValueError, match=r'must be a list of ids, like .*frame\["order_id"\], got <class'):
        track_orders(given, client=client, journal=journal)
    assert len(journal.orders()) == 0


@pytest.mark.parametrize("misspelt", ["6901616fe9e88196b4eb64b4", "order_id"])
def test_id_that_does_not_exist(sandbox, client, journal, misspelt):
    """An id that does not exist is warned of, and no order of the journal."""
    ids = sandbox.add_orders(2)
    with pytest.warns(UserWarning, match=f"cannot be polled: {misspelt}"):
        track_orders([misspelt, *ids], client=client, journal=journal)
    with pytest.raises((NotFoundError, InvalidRequestError)):
        poll_order_until_complete(misspelt, client=client, journal=journal)
    assert journal.orders()["order_id"].tolist() == ids and journal.unfinished() == []
    assert misspelt not in journal.polls()["order_id"].tolist()


def test_order_that_exists_no_more(make_sandbox, journal):
    """An order that was placed here, or seen once, stays in the journal whatever the API says of it later."""
    sandbox = make_sandbox(faults=[Fault("checkOrder", call=n, status=404) for n in (1, 3)], fulfilment_s=100)
    client, [seen] = sandbox.client(), sandbox.add_orders(1)
    mine = place_order(*ITEM, client=client, journal=journal)
    with pytest.raises(NotFoundError):
        poll_order_until_complete(mine, client=client, journal=journal)
    with pytest.raises(NotFoundError):
        poll_order_until_complete(seen, client=client, journal=journal)
    assert journal.unfinished() == [mine, seen]


def test_single_text(client):
    """A single text is not taken for a list of ids."""
    with pytest.raises(ValueError, match="order_ids must be a list of ids, like .*, got .abc."):
        track_orders("abc", client=client)


def test_old_orders(make_sandbox):
    """Orders placed long ago are polled immediately."""
    sandbox = make_sandbox(fulfilment_s=1)
    ids = sandbox.add_orders(3)
    sandbox.clock.sleep(3600)
    track_orders(ids, client=sandbox.client())
    assert sandbox.clock.monotonic() < 3602


def test_schedule(make_sandbox):
    """A schedule says when the rounds begin."""
    sandbox = make_sandbox(fulfilment_s=28, latency_s=0)
    journal = track_orders(sandbox.add_orders(2), schedule=every(6, first=7), client=sandbox.client())
    assert journal.polls()["elapsed_s"].unique().tolist()[:5] == [7, 13, 19, 25, 31]


def test_place_and_poll_in_turn(sandbox, client):
    """Orders are placed and polled in turn within the rate limit, so that their intervals stay narrow."""
    journal = process_orders([ITEM] * 60, client=client)
    orders = journal.orders()
    assert orders["status"].eq("FULFILLED").all()
    assert contains_truth(orders, sandbox.truth())
    # An order that is polled about every 5 s has an interval about as wide.
    assert (orders["done_by_s"] - orders["not_done_by_s"]).max() < 10
    assert not rejected_requests(sandbox)
    assert busiest_minute(sandbox) <= 60
    assert requests_to(sandbox, "placeOrder") == 60


def test_every_outcome(client):
    """Each type of test order has its outcome."""
    items = [(PRODUCT, type_id, 4) for type_id in ("type_001", "TEST_REFUND", "TEST_PARTIAL")]
    orders = process_orders(items, client=client).orders()
    assert orders["status"].tolist() == ["FULFILLED", "REFUNDED", "PARTIALLY_FILLED"]
    assert orders["problems"].eq("").all()


@pytest.mark.filterwarnings("ignore:.*still being processed")
def test_same_seed():
    """The same seed gives the same frames."""

    def frames():
        with Sandbox(seed=5) as sandbox:
            journal = process_orders([ITEM] * 8, timeout=30, client=sandbox.client())
            return journal.orders().to_csv(), journal.polls().drop(columns="request_id").to_csv()

    assert frames() == frames()


def test_rejected_key(make_sandbox):
    """A rejected key ends the tracking at the first poll."""
    sandbox = make_sandbox(faults=[Fault("list", status=403, times=99)])
    with pytest.raises(PermissionDeniedError):
        track_orders(sandbox.add_orders(5), client=sandbox.client())
    assert [request.path for request in sandbox.requests] == ["/v3/validate", "/v3/gift-cards/list"]


def test_out_of_time(make_sandbox):
    """Orders that run out of time are named in one warning, and a second call continues with them."""
    sandbox = make_sandbox(fulfilment_s=90)
    client = sandbox.client()
    ids = sandbox.add_orders(4)
    with pytest.warns(UserWarning, match="4 orders are still being processed after 60 s, not failed") as warned:
        journal = track_orders(ids, timeout=60, client=client)
    assert len(warned) == 1
    assert sandbox.clock.monotonic() == pytest.approx(60, abs=0.5)
    assert journal.unfinished() == ids
    assert track_orders(journal.unfinished(), journal=journal, client=client) is journal
    assert journal.unfinished() == []


def test_own_deadline(make_sandbox):
    """An order that does not become final is given up at its own deadline."""
    sandbox = make_sandbox(fulfilment_s=inf)
    with pytest.warns(UserWarning, match="not failed"):
        journal = process_orders([ITEM] * 3, timeout=60, client=sandbox.client())
    assert journal.orders()["not_done_by_s"].between(58, 60.5).all()


def test_unknown_order(sandbox, client):
    """An order that does not exist does not hold up the others."""
    ids = [*sandbox.add_orders(2), "000000000000000000000000"]
    with pytest.warns(UserWarning, match="1 orders cannot be polled: 000000000000000000000000"):
        journal = track_orders(ids, client=client)
    assert journal.orders()["status"].eq("FULFILLED").sum() == 2


def test_rejected_item(make_sandbox):
    """An item that is rejected for itself does not stop the others."""
    items = [(PRODUCT, "type_003", 1), ITEM]
    sandbox = make_sandbox(check_stock=True)
    with pytest.warns(UserWarning, match="1 orders were not placed: 1 x type_003"):
        journal = process_orders(items, client=sandbox.client())
    assert journal.orders()["type_id"].tolist() == ["type_001"]


def test_no_balance(make_sandbox, journal):
    """Without balance nothing more is placed, and the placed orders are waited for."""
    sandbox = make_sandbox(opening_balance=1000)
    with pytest.raises(InsufficientBalanceError):
        process_orders([ITEM] * 6, client=sandbox.client(), journal=journal)
    assert requests_to(sandbox, "placeOrder") == 3
    assert journal.orders()["status"].tolist() == ["FULFILLED", "FULFILLED"]


@pytest.mark.parametrize("fault", [
    Fault.commit_then_drop(call=3),
    Fault("placeOrder", call=3, cut="within"),
    Fault("placeOrder", call=3, delay_s=60),
    Fault("placeOrder", call=3, body=b"?"),
])  # fmt: skip
def test_lost_response(make_sandbox, fault):
    """An order whose response was lost is found and waited for."""
    sandbox = make_sandbox(faults=[fault])
    journal = process_orders([ITEM] * 6, client=sandbox.client())
    assert requests_to(sandbox, "placeOrder") == 6
    assert set(journal.orders()["order_id"]) == set(sandbox.truth())
    assert journal.unfinished() == []


def test_lost_order_not_found(make_sandbox):
    """A lost order that is not found is named in a warning and not sent again."""
    sandbox = make_sandbox(faults=[Fault("placeOrder", call=3, status=503)])
    with pytest.warns(UserWarning, match="1 order requests were sent and their responses lost"):
        journal = process_orders([ITEM] * 6, client=sandbox.client())
    assert requests_to(sandbox, "placeOrder") == 6
    assert journal.intents()["state"].value_counts().to_dict() == {"placed": 5, "unknown": 1}


@pytest.mark.filterwarnings("ignore:.*(were not placed|responses lost)")
def test_fault_rate_of_30_percent(make_sandbox, journal):
    """Under a fault rate of 30 %, 500 orders are placed once and reach their outcome."""
    outcomes = {"type_001": "FULFILLED", "TEST_REFUND": "REFUNDED", "TEST_PARTIAL": "PARTIALLY_FILLED"}
    sandbox = make_sandbox(seed=1)
    ids = sandbox.add_orders(250, "TEST_PARTIAL", 2)
    items = [(PRODUCT, type_id, 4) for type_id in outcomes] * 84
    client = sandbox.client()
    client.validate()
    for fault in at_rate(0.3):
        sandbox.inject(fault)
    process_orders(items[:250], client=client, journal=journal)
    track_orders(ids, client=client, journal=journal)
    assert requests_to(sandbox, "placeOrder") == 250
    orders = journal.orders()
    assert set(orders["order_id"]) == set(sandbox.truth())
    assert (orders["status"] == orders["type_id"].map(outcomes)).all()
    assert contains_truth(orders, sandbox.truth())


def test_key_rejected_while_placing(make_sandbox):
    """After an order was rejected for its key, nothing more is sent."""
    sandbox = make_sandbox(faults=[Fault("placeOrder", status=500), Fault("placeOrder", call=3, status=403)])
    with pytest.warns(UserWarning, match="1 order requests were sent and their responses lost"):
        with pytest.raises(PermissionDeniedError):
            process_orders([ITEM] * 5, client=sandbox.client())
    assert sandbox.requests[-1].status == 403


def test_warning_before_rejected_poll(make_sandbox):
    """Lost orders are named in a warning though a poll is rejected."""
    faults = [Fault("placeOrder", status=500), Fault("checkOrder", status=401)]
    sandbox = make_sandbox(faults=faults)
    with pytest.warns(UserWarning, match="1 order requests were sent"):
        with pytest.raises(AuthenticationError):
            process_orders([ITEM] * 2, client=sandbox.client())


@pytest.mark.parametrize("items", [[(PRODUCT, "type_001", 0)], [(PRODUCT, "type_001", True)], [("a/b", "type_001", 1)]])
def test_bad_items(sandbox, client, items):
    """A bad item is a ValueError before any order is placed."""
    with pytest.raises(ValueError, match="must be"):
        process_orders([ITEM, *items], client=client)
    assert not sandbox.requests


@pytest.mark.parametrize(
    "bad",
    [
        lambda client: track_orders(None, client=client),
        lambda client: track_orders(["a"], client=client, schedule=5),
        lambda client: track_orders(["a"], client=client, journal="x.db"),
        lambda client: process_orders([1], client=client),
        lambda client: process_orders(None, client=client),
    ],
    ids=["ids", "schedule", "journal", "item", "items"],
)
def test_bad_arguments(sandbox, client, bad):
    """An argument of a wrong type is a ValueError, and nothing is sent."""
    with pytest.raises(ValueError, match="must be"):
        bad(client)
    assert not sandbox.requests
    gc.collect(1)  # what the call left is young


def test_nothing_to_do(sandbox, client):
    """Without orders nothing is sent."""
    assert len(track_orders([], client=client).orders()) == 0
    assert not sandbox.requests


def nan_after(polls):
    return lambda elapsed, made: float("nan") if len(made) >= polls else 5.0


@pytest.mark.parametrize(
    ("run", "raised"),
    [
        (lambda client, ids: track_orders(ids, client=client, schedule=nan_after(1)), ValueError),
        (lambda client, ids: track_orders(ids, client=client, timeout=10), UserWarning),
        (lambda client, ids: track_orders(broken_iterator(ids), client=client), KeyboardInterrupt),
    ],
    ids=["schedule", "warning", "interrupt"],
)
@pytest.mark.filterwarnings("error:.*still being processed")
def test_journal_of_exception(make_sandbox, run, raised):
    """Whatever ends a run, the exception has the journal with all orders, and says how to go on."""
    sandbox = make_sandbox(fulfilment_s=100)
    ids = sandbox.add_orders(3)
    with pytest.raises(raised) as caught:
        run(sandbox.client(), ids)
    journal = caught.value.journal
    assert journal.unfinished() == ids
    assert (
        "track_orders(error.journal.unfinished(), journal=error.journal, client=client)" in caught.value.__notes__[-1]
    )
    track_orders(journal.unfinished(), client=sandbox.client(), journal=journal)
    assert journal.unfinished() == []


def broken_iterator(ids):
    yield from ids
    raise KeyboardInterrupt


@pytest.mark.parametrize("as_iterator", [False, True])
def test_api_that_is_away(make_sandbox, as_iterator):
    """If the API cannot even be asked for the key's type, the exception's journal has the ids, and goes on later."""
    sandbox = make_sandbox()
    ids, client = sandbox.add_orders(2), sandbox.client()
    with sandbox.refusing(), pytest.raises(NoAnswerError) as caught:
        track_orders(iter(ids[:1]) if as_iterator else ids[:1], client=client, timeout=8)
    journal = caught.value.journal
    assert journal.unfinished() == ids[:1]
    track_orders(journal.unfinished(), client=client, journal=journal)
    assert journal.unfinished() == [] and journal.sources()["orders"].sum() == 1
