"""The search for orders whose response was lost: which are found, and which are taken for lost ones."""

from datetime import UTC, datetime, timedelta
from math import inf

import pytest
from samples import DAY, KEY, ORDER_ID, PRODUCT, listing, order_row
from scripted_server import FreshPages, interrupted, reply, success

from giftlib import (
    Client,
    Journal,
    NoAnswerError,
    OrderOutcomeUnknownError,
    OrderRequest,
    ServerError,
    SimulatedClock,
    SystemClock,
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
        listing(order_row("a"), order_row("b"), pages=3, results=4),
        listing(order_row("b"), order_row("c"), pages=3, results=4),
        listing(order_row("d"), pages=3, results=4),
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


def lose(sandbox, journal, client=None):
    """Place an order whose response is lost."""
    sandbox.inject(Fault.commit_then_drop())
    with pytest.raises(OrderOutcomeUnknownError):
        place_order(PRODUCT, "type_001", 1, client=client or sandbox.client(), journal=journal)


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


class WrongClock:
    """The emulator's clock, but for a time of day that is wrong, by a number of seconds that may change."""

    def __init__(self, clock, wrong_by_s):
        self.sleep, self.monotonic, self._clock, self.wrong_by_s = clock.sleep, clock.monotonic, clock, wrong_by_s

    def now_utc(self):
        return self._clock.now_utc() + timedelta(seconds=self.wrong_by_s)


@pytest.mark.parametrize("wrong_by_s", [-86400, -240, 0, 360, 86400])
@pytest.mark.parametrize("step_s", [0, 300, -300])
def test_wrong_clock(sandbox, journal, wrong_by_s, step_s):
    """A lost order is found whatever the time of day is here, and if it is set during the request."""
    client = Client(sandbox.api_key, sandbox.url, clock=WrongClock(sandbox.clock, wrong_by_s))
    sandbox.inject(Fault.commit_then_drop())
    real, clock = client.place, client.clock

    def place(request, **options):
        try:
            return real(request, **options)
        finally:
            clock.wrong_by_s += step_s

    client.place = place
    with pytest.raises(OrderOutcomeUnknownError) as caught:
        place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    assert ids(find_order(caught.value, client=client)) == list(sandbox.truth())
    assert recover_orders(journal, client)["order_id"].tolist() == list(sandbox.truth())


@pytest.mark.parametrize("later_s", [4, 20, 50])
@pytest.mark.parametrize("idle_s", [0, 600])
def test_order_of_another_program(sandbox, client, journal, later_s, idle_s):
    """An order that another program placed soon after a lost request is not taken; that it may fit is said."""
    for _ in range(2):
        client.balance()
        sandbox.clock.sleep(idle_s)
    sandbox.inject(Fault("placeOrder", cut="before"))
    with pytest.raises(OrderOutcomeUnknownError):
        place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    sandbox.clock.sleep(later_s)
    others = sandbox.client().place_order(PRODUCT, "type_001", 1)
    sandbox.clock.sleep(100)
    found = recover_orders(journal, client).iloc[0]
    assert (found["state"], found["candidates"]) == ("unknown", [others])
    assert found["reason"] == "orders fit that may be another program's"
    assert journal.orders().empty
    journal.claim(found["intent"], client.check_order_status(others), client.source)
    assert journal.unfinished() == [others]
    assert journal.intents()[["state", "order_id", "product_id"]].to_numpy().tolist() == [["placed", others, PRODUCT]]
    with pytest.raises(ValueError, match="intent must be the number of a request in this journal, got 7"):
        journal.claim(7, client.check_order_status(client.place_order(PRODUCT, "type_001", 1)), client.source)


def test_order_of_long_before(sandbox, client, journal):
    """An order that another program placed before the request was sent is not taken."""
    client.balance()
    sandbox.clock.sleep(600)
    client.balance()
    sandbox.clock.sleep(600)
    sandbox.client().place_order(PRODUCT, "type_001", 1)
    sandbox.clock.sleep(20)
    sandbox.inject(Fault("placeOrder", cut="before"))
    with pytest.raises(OrderOutcomeUnknownError):
        place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    sandbox.clock.sleep(100)
    client.balance()
    found = recover_orders(journal, client).iloc[0]
    assert (found["state"], found["candidates"], found["reason"]) == ("not placed", [], None)


def test_too_soon(sandbox, client, journal):
    """Within a minute of the request it is not decided that nothing was placed."""
    sandbox.inject(Fault("placeOrder", cut="before"))
    with pytest.raises(OrderOutcomeUnknownError):
        place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    found = recover_orders(journal, client).iloc[0]
    assert found["state"] == "unknown" and "may still be placed or listed" in found["reason"]


def test_no_time_of_the_api(server, journal):
    """Where the API's time of a request is not known, orders that fit are named and none is taken."""
    client = Client(KEY, server.url, clock=SimulatedClock(datetime(2026, 1, 1, tzinfo=UTC)), allow_production=True)
    server.replies = [reply(status=404), reply(status=502), listing(row("mine", client.clock.now_utc()))]
    with pytest.raises(OrderOutcomeUnknownError):
        place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    found = recover_orders(journal, client).iloc[0]
    assert (found["candidates"], found["reason"]) == (["mine"], "the API's time of the request is not known")


def test_seen_final_before_recovery(sandbox, client, journal):
    """What was seen of a lost order before it was recovered stays."""
    sandbox.inject(Fault.commit_then_drop())
    with pytest.raises(OrderOutcomeUnknownError) as caught:
        place_order(PRODUCT, "TEST_PARTIAL", 2, client=client, journal=journal)
    [found] = find_order(caught.value, client=client)
    poll_order_until_complete(found.order_id, client=client, journal=journal)
    before = journal.orders().iloc[0]
    recover_orders(journal, client)
    after = journal.orders()
    assert len(after) == 1
    columns = ["order_id", "status", "polls", "refunded_quantity", "refunded_amount"]
    assert after.iloc[0][columns].equals(before[columns])
    assert journal.intents()["state"].tolist() == ["placed"]


def test_hasty_clock(make_sandbox, journal):
    """A clock whose seconds are shorter than the API's hides no lost order."""
    sandbox = make_sandbox(clock=SystemClock(), latency_s=0)

    class Hasty(SystemClock):
        def monotonic(self):
            return 1000 * super().monotonic()

        def sleep(self, seconds):
            pass

    client = Client(sandbox.api_key, sandbox.url, clock=Hasty(), request_timeout=1000)
    for _ in range(3):
        client.balance()
        lose(sandbox, journal, client)
    assert recover_orders(journal, client)["state"].eq("placed").all()


OTHERS = [f"6901616f{number:016x}" for number in range(150)]


def page_of(rows, number, pagination):
    """A page of 100 of these rows, with that pagination."""
    return success({"items": rows[100 * (number - 1) : 100 * number], "pagination": pagination})


@pytest.mark.parametrize(
    ("pages", "state"),
    [
        ([{}, {}, {}], "placed"),
        ([{"totalPages": None}] * 3, "placed"),
        ([{"totalPages": 1, "totalResults": 151}] * 2, "placed"),
        ([{"totalPages": 0, "totalResults": 0}] * 3, "placed"),
        ([{"totalPages": 2, "totalResults": 151}] * 2, "placed"),
    ],
)
def test_list_that_does_not_say_how_long_it_is(server, scripted_client, journal, pages, state):
    """A lost order is found on the second page, whatever the list says of its length."""
    sent = days_ago(scripted_client, 1)
    record_lost(journal, sent, scripted_client.source)
    rows = [order_row(order_id, product="other", placed_at=sent.utc.isoformat()) for order_id in OTHERS]
    rows.append(row("ours", sent.utc))
    server.replies = [page_of(rows, number, pagination) for number, pagination in enumerate(pages, 1)]
    assert recover_orders(journal, scripted_client)["state"].tolist() == [state]


@pytest.mark.parametrize(
    "items",
    [
        [{"_id": "a"}], [None], [5], [{"id": "a", "product": PRODUCT, "type": "type_001", "quantity": 1}],
        [{"_id": "a", "product": {"_id": PRODUCT}, "type": "type_001", "quantity": 1}],
        [{"_id": "a", "product": PRODUCT, "type": {"_id": "type_001"}, "quantity": 1}],
        [{"_id": "a", "product": PRODUCT, "type": "type_001"}],
        [{"_id": 7, "product": PRODUCT, "type": "type_001", "quantity": 1}],
        [{"_id": "a", "product": PRODUCT, "type": "type_001", "quantity": 1, "time": 1761699600000}],
        [{"_id": "a", "product": PRODUCT, "type": "type_001", "quantity": 1, "hours": 1}],
        [{"_id": "a", "product": PRODUCT, "type": "type_001", "quantity": 1, "hours": -5}],
    ],
)  # fmt: skip
@pytest.mark.parametrize("says_how_many", [True, False])
def test_order_in_another_form(server, scripted_client, journal, items, says_how_many):
    """An order that may be the lost one, in whatever form it is listed, is not taken for absent."""
    sent = days_ago(scripted_client, 1)
    for item in items:
        if isinstance(item, dict):
            local = sent.utc + timedelta(hours=item.pop("hours", 0))
            item.setdefault("time", local.replace(tzinfo=None).isoformat())
    record_lost(journal, sent, scripted_client.source)
    pagination = {"totalPages": 1, "totalResults": len(items)} if says_how_many else {}
    server.replies = [success({"items": items, "pagination": pagination})]
    [found] = recover_orders(journal, scripted_client).itertuples()
    assert found.state == "unknown" and found.reason


def test_list_that_repeats_its_first_page(server, scripted_client, journal):
    """A list that ignores the page asked for does not prove that an order is absent."""
    sent = days_ago(scripted_client, 1)
    record_lost(journal, sent, scripted_client.source)
    rows = [order_row(order_id, product="other", placed_at=sent.utc.isoformat()) for order_id in OTHERS[:100]]
    for pagination in ({"totalPages": 2, "totalResults": 151}, {}):
        server.replies = [success({"items": rows, "pagination": pagination})]
        [found] = recover_orders(journal, scripted_client).itertuples()
        assert found.state == "unknown" and "all orders" in found.reason


@pytest.mark.parametrize(("first", "second"), [("Société 7", "Socie\u0301te\u0301 7"), ("Å", "A\u030a")])
def test_ref_in_two_forms(client, journal, sandbox, first, second):
    """A ref is the same however its accents are composed."""
    placed = [place_order(PRODUCT, "type_001", 1, client=client, journal=journal, ref=ref) for ref in (first, second)]
    assert placed[0] == placed[1] and len(sandbox.truth()) == 1


@pytest.mark.parametrize("ref", ["invoice 7 ", " invoice 7", "\u00a0x"])
def test_ref_with_blanks(ref):
    """A ref with a blank at an end, which nobody sees, is refused."""
    with pytest.raises(ValueError, match="ref must be"):
        OrderRequest(PRODUCT, "type_001", 1, ref)
