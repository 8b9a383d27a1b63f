"""The search for orders whose response was lost: which are found, and which are taken for lost ones."""

from datetime import timedelta
from math import inf

import pytest
from samples import DAY, ORDER_ID, PRODUCT, listing, order_row
from scripted_server import FreshPages, interrupted, reply, success

from giftlib import (
    Journal,
    NoAnswerError,
    OrderOutcomeUnknownError,
    OrderRequest,
    ServerError,
    place_order,
    poll_order_until_complete,
)
from giftlib.clock import Timestamp
from giftlib.polling import find_order, recover_orders
from giftlib.sandbox import Fault

REQUEST = OrderRequest(PRODUCT, "type_001", 1)
LOST_ORDER = OrderOutcomeUnknownError(PRODUCT, "type_001", 2, DAY, DAY + timedelta(seconds=15))


def ids(orders):
    return [order.order_id for order in orders]


def test_period_searched(server, scripted_client):
    """An order is searched for around the time when its request was sent."""
    server.replies = [listing(order_row())]
    assert ids(find_order(LOST_ORDER, client=scripted_client)) == [ORDER_ID]
    (request,) = server.requests
    assert request.query["from"] == ["2025-10-29T00:58:00.000+00:00"]
    assert request.query["to"] == ["2025-10-29T01:03:15.000+00:00"]


def test_only_like_orders(server, scripted_client):
    """Only orders of the same product, type, quantity and time fit."""
    server.replies = [
        listing(
            order_row("another product", product="p"),
            order_row("another type", type_id="t"),
            order_row("another quantity", quantity=1),
            order_row("known"),
            order_row("a day before", placed_at="2025-10-28T01:00:00.000Z"),
            order_row("one"),
            order_row("without-time", placed_at=None),
        )
    ]
    assert ids(find_order(LOST_ORDER, client=scripted_client, known=["known"])) == ["one", "without-time"]


def test_none_found(server, scripted_client):
    """If no order fits, the list is empty."""
    server.replies = [listing()]
    assert find_order(LOST_ORDER, client=scripted_client) == []


def test_all_pages(server, scripted_client):
    """All pages are searched, and an order on two of them counts once."""
    server.replies = [
        listing(order_row("a"), order_row("b"), pages=3),
        listing(order_row("b"), order_row("c"), pages=3),
        listing(order_row("d"), pages=3),
        listing(order_row("never"), pages=3),
    ]
    assert ids(find_order(LOST_ORDER, client=scripted_client)) == ["a", "b", "c", "d"]
    assert [request.query["page"] for request in server.requests] == [["1"], ["2"], ["3"]]


def test_repeated_page(server, scripted_client):
    """A list that repeats itself ends the search."""
    server.replies = [listing(order_row(), pages=10**11)]
    assert ids(find_order(LOST_ORDER, client=scripted_client)) == [ORDER_ID]
    assert len(server.requests) == 2


def test_endless_list(server, scripted_client, monkeypatch):
    """The search ends with an error if the list does not end."""
    monkeypatch.setattr("giftlib.polling.recovery._MOST_PAGES", 20)
    server.replies = [FreshPages()]
    with pytest.raises(NoAnswerError, match="no end of the list"):
        find_order(LOST_ORDER, client=scripted_client)
    assert len(server.requests) == 20


def test_many_tries(server, scripted_client):
    """Any number of tries is possible."""
    server.replies = [reply(status=503)]
    with pytest.raises(ServerError):
        find_order(LOST_ORDER, client=scripted_client, tries=1500)
    assert len(server.requests) == 1500


def test_wrong_error(server, scripted_client):
    """find_order takes the error of a lost response, nothing else."""
    with pytest.raises(ValueError, match="must be"):
        find_order("x", client=scripted_client)
    assert not server.requests


def lose(sandbox, journal):
    """Place an order whose response is lost."""
    sandbox.inject(Fault.commit_then_drop())
    with pytest.raises(OrderOutcomeUnknownError):
        place_order(PRODUCT, "type_001", 1, client=sandbox.client(), journal=journal)


def record_lost(journal, sent, source):
    """Record an order request that was sent then and whose response was lost."""
    intent = journal.intend(REQUEST, source, sent, sent.utc, sent.utc).intent
    journal.outcome_unknown(intent, sent, sent.utc)
    return intent


def days_ago(client, days):
    """The time so many days ago, on the clock of the client."""
    now = Timestamp.now(client.clock)
    return Timestamp(now.utc - timedelta(days=days), now.monotonic - 86400 * days)


def row(order_id, time):
    """An order like the lost ones, as the order list has it."""
    return order_row(order_id, quantity=1, placed_at=time.isoformat())


def test_recovered_order(make_sandbox, journal):
    """A lost order is found, and its interval contains its true duration."""
    sandbox = make_sandbox(fulfilment_s=12.3)
    client = sandbox.client()
    lose(sandbox, journal)
    found = recover_orders(journal, client)
    assert found["state"].tolist() == ["placed"]
    [order_id] = journal.unfinished()
    poll_order_until_complete(order_id, client=client, journal=journal)
    order = journal.orders().iloc[0]
    assert order["not_done_by_s"] < 12.3 <= order["done_by_s"] < inf


def test_like_lost_orders(sandbox, client, journal):
    """Lost orders that are alike are taken in the order of time."""
    for _ in range(3):
        lose(sandbox, journal)
        sandbox.clock.sleep(2)
    recover_orders(journal, client)
    assert journal.unfinished() == list(sandbox.truth())


def test_too_many_candidates(sandbox, client, journal):
    """If more orders fit than were lost, none is taken and all are named."""
    sandbox.add_orders(1)
    lose(sandbox, journal)
    found = recover_orders(journal, client)
    assert found["state"].tolist() == ["unknown"]
    assert sorted(found["candidates"].item()) == sorted(sandbox.truth())
    assert journal.unfinished() == []


def test_order_of_another_intent(sandbox, client, journal):
    """An order that belongs to another request is not taken."""
    place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    sandbox.inject(Fault("placeOrder", status=503))
    with pytest.raises(OrderOutcomeUnknownError):
        place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    assert recover_orders(journal, client)["candidates"].item() == []
    assert journal.intents()["state"].tolist() == ["placed", "unknown"]


def test_killed_process(sandbox, client, tmp_path):
    """The order of a process that was killed is found."""
    with Journal(tmp_path / "j") as killed, Journal(tmp_path / "j") as journal:
        killed.intend(REQUEST, client.source, Timestamp.now(sandbox.clock), *client.api_time())
        [order_id] = sandbox.add_orders(1)
        recover_orders(journal, client)
        assert journal.unfinished() == [order_id]


def test_ended_meanwhile(server, scripted_client, tmp_path):
    """A request that its own process records meanwhile is not overwritten."""
    with Journal(tmp_path / "j") as other, Journal(tmp_path / "j") as journal:
        sent = days_ago(scripted_client, 0)
        intent = other.intend(REQUEST, scripted_client.source, sent).intent
        record_lost(journal, sent, scripted_client.source)

        class Meanwhile:
            def __iter__(self):
                with Journal(tmp_path / "j") as third:
                    third.placed(intent, "theirs", sent, scripted_client.source)
                yield listing(row("lost", sent.utc))

        server.replies = [Meanwhile()]
        recover_orders(journal, scripted_client)
        intents = journal.intents()
        assert intents["order_id"].iloc[0] == "theirs"
        assert "theirs" in journal.unfinished()


def test_order_of_another_day(server, scripted_client, journal):
    """An order of another day is not taken for a lost one, which was not placed if none of its day is listed."""
    for days in (4, 2):
        record_lost(journal, days_ago(scripted_client, days), scripted_client.source)
    server.replies = [listing(row("of-a-colleague", days_ago(scripted_client, 3).utc))]
    recover_orders(journal, scripted_client)
    assert journal.intents()["state"].tolist() == ["not placed", "not placed"]


def test_lost_orders_days_apart(server, scripted_client, journal):
    """Of lost orders days apart, the one of that day gets the order."""
    for days in (4, 2):
        record_lost(journal, days_ago(scripted_client, days), scripted_client.source)
    server.replies = [listing(row("later", days_ago(scripted_client, 2).utc))]
    recover_orders(journal, scripted_client)
    assert journal.intents()["order_id"].isna().tolist() == [True, False]


@pytest.mark.parametrize("bad", [None, "", "a b", "x/y", "../..", "%00", "x" * 150, 5])
def test_unusable_id(server, scripted_client, journal, bad):
    """An order without a usable id is not taken."""
    record_lost(journal, days_ago(scripted_client, 0), scripted_client.source)
    server.replies = [listing(row(bad, scripted_client.clock.now_utc()))]
    recover_orders(journal, scripted_client)
    assert journal.intents()["state"].tolist() == ["unknown"]
    assert journal.unfinished() == []


def test_watched_meanwhile(server, scripted_client, journal):
    """A lost order that is already watched is found and counts once."""
    record_lost(journal, days_ago(scripted_client, 0), scripted_client.source)
    journal.watch("mine")
    server.replies = [listing(row("mine", scripted_client.clock.now_utc()))]
    recover_orders(journal, scripted_client)
    assert journal.intents()["order_id"].tolist() == ["mine"]
    assert journal.orders()["order_id"].tolist() == ["mine"]


def test_interrupted_order(server, scripted_client, journal):
    """An order whose request Ctrl-C interrupted is found with the same journal."""
    server.replies = [success({"orderId": "placed"})]
    with interrupted(), pytest.raises(KeyboardInterrupt):
        place_order(PRODUCT, "type_001", 1, client=scripted_client, journal=journal)
    server.replies = [listing(row("placed", scripted_client.clock.now_utc()))]
    recover_orders(journal, scripted_client)
    assert journal.unfinished() == ["placed"]
