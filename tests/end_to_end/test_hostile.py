"""Servers that mean harm or are broken in ways that cost money, hang a process or give a secret away."""

import gc
import inspect
import logging
import pickle
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from exposure import everything_shown
from scripted_server import Do, ScriptedServer, reply, success

from giftlib import (
    AuthenticationError,
    Client,
    GiftlibError,
    Journal,
    NoAnswerError,
    OrderOutcomeUnknownError,
    PermissionDeniedError,
    ServerError,
    SimulatedClock,
    place_order,
    process_order,
    process_orders,
    track_orders,
)
from giftlib.api.orders import Card, Order
from giftlib.clock import Timestamp
from giftlib.polling import find_order, recover_orders
from giftlib.sandbox import Fault, Sandbox

KEY = "sk_test-5EC0E7A11CE5_40de"
CODE = "ZZ55-CODE-0007"
PRODUCT = "507f1f77bcf86cd799439011"
SANDBOX_KEY = success({"apiKey": {"type": "SANDBOX"}})
AN_ID, ANOTHER_ID = "6955b9000ed5f1fab3000001", "6955b9000ed5f1fab3000002"


@pytest.fixture
def server():
    with ScriptedServer(b"") as running:
        yield running


@pytest.fixture
def client(server):
    return Client(KEY, server.url, clock=SimulatedClock(datetime(2026, 1, 1, tzinfo=UTC)), allow_production=True)


# Purchases


@pytest.mark.parametrize("interim", [b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 101 Switching\r\n\r\n"])
def test_what_follows_an_interim_answer_is_not_taken_for_the_next_purchase(server, client, interim):
    server.replies = [[interim, Do.PAUSE, success({"orderId": "first"})], success({"orderId": "second"})]
    with pytest.raises(OrderOutcomeUnknownError):
        client.place_order(PRODUCT, "type_001", 1)
    assert client.place_order(PRODUCT, "type_001", 1) == "second"


def test_a_second_answer_to_a_look_is_not_taken_for_a_purchase(server, client):
    late = [success({"balance": 1}), success({"orderId": "stale"})]
    server.replies = [late, success({"orderId": "mine"})]
    client.balance()
    assert client.place_order(PRODUCT, "type_001", 1) == "mine"


@pytest.mark.parametrize("code", ["OUT_OF_STOCK", "INSUFFICIENT_BALANCE"])
@pytest.mark.parametrize("status", [200, 500, 504])
def test_only_a_refusal_proves_that_nothing_was_bought(server, client, status, code):
    server.replies = [reply({"success": False, "error": {"code": code}, "data": {"orderId": "x"}}, status=status)]
    with pytest.raises(OrderOutcomeUnknownError):
        client.place_order(PRODUCT, "type_001", 1)


def test_a_refused_key_is_one_whatever_else_the_answer_says(server, client):
    server.replies = [reply({"success": False, "error": {"code": "OUT_OF_STOCK"}}, status=401)]
    with pytest.raises(AuthenticationError):
        client.place_order(PRODUCT, "type_001", 1)


@pytest.mark.parametrize("arguments", [
    {"interval": 0}, {"timeout": -1}, {"max_attempts": 0}, {"deliver": 5}, {"on_poll": "x"}, {"schedule": 5},
    {"interval": 3, "schedule": lambda elapsed, looks: 1.0}, {"journal": "x.db"},
])  # fmt: skip
def test_nothing_is_bought_by_a_call_that_makes_no_sense(server, client, arguments):
    with pytest.raises(ValueError, match="|".join(arguments)):
        process_order(PRODUCT, "type_001", 1, client=client, **arguments)
    assert server.requests == []


def test_a_terminal_that_cannot_show_the_signs_loses_no_order(monkeypatch):
    monkeypatch.setattr("builtins.print", lambda text: text.encode("ascii"))
    with Sandbox() as sandbox:
        assert process_order(PRODUCT, "type_001", 1, client=sandbox.client()).status == "FULFILLED"


@pytest.mark.parametrize("allowed", ["no", 1, None])
def test_production_is_allowed_by_true_alone(allowed):
    with pytest.raises(ValueError, match="allow_production must be True or False"):
        Client(KEY, "http://127.0.0.1:1", allow_production=allowed)


# The journal under a lost purchase


def lost_purchase(journal, moment):
    intent = journal.intend(PRODUCT, "type_001", 1, moment)
    journal.outcome_unknown(intent, moment)
    return intent


def row(order_id, time, **more):
    return {"_id": order_id, "status": "FULFILLED", "quantity": 1, "product": PRODUCT, "type": "type_001",
            "time": time.isoformat()} | more  # fmt: skip


def listing(*rows):
    return success({"items": rows, "pagination": {"totalPages": 1, "totalResults": len(rows)}})


def test_a_purchase_that_its_own_process_settles_meanwhile_is_not_overwritten(server, client, tmp_path):
    with closing(Journal(tmp_path / "j")) as other, closing(Journal(tmp_path / "j")) as journal:
        moment = Timestamp.now(client.clock)
        under_way = other.intend(PRODUCT, "type_001", 1, moment)
        lost_purchase(journal, moment)

        class Meanwhile:
            def __iter__(self):
                with closing(Journal(tmp_path / "j")) as third:
                    third.placed(under_way, "theirs", moment)
                yield listing(row("lost", moment.utc))

        server.replies = [Meanwhile()]
        recover_orders(journal, client)
        intents = journal.intents()
        assert intents["order_id"].iloc[0] == "theirs"
        assert "theirs" in journal.unfinished()


def test_an_order_of_another_day_is_not_taken_for_a_lost_purchase(server, client):
    journal, now = Journal(), Timestamp.now(client.clock)
    for days in (4, 2):
        lost_purchase(journal, Timestamp(now.utc - timedelta(days=days), now.monotonic - 86400 * days))
    server.replies = [listing(row("a-colleagues", now.utc - timedelta(days=3)))]
    recover_orders(journal, client)
    assert journal.intents()["state"].tolist() == ["unknown", "unknown"]


def test_of_purchases_days_apart_the_one_that_was_made_gets_the_order(server, client):
    journal, now = Journal(), Timestamp.now(client.clock)
    for days in (4, 2):
        lost_purchase(journal, Timestamp(now.utc - timedelta(days=days), now.monotonic - 86400 * days))
    server.replies = [listing(row("later", now.utc - timedelta(days=2)))]
    recover_orders(journal, client)
    assert journal.intents()["order_id"].isna().tolist() == [True, False]


@pytest.mark.parametrize("bad", [None, "", "a b", "x/y", "../..", "%00", "x" * 150, 5])
def test_an_order_without_a_usable_id_is_not_taken(server, client, bad):
    journal = Journal()
    lost_purchase(journal, Timestamp.now(client.clock))
    server.replies = [listing(row(bad, client.clock.now_utc()))]
    recover_orders(journal, client)
    assert journal.intents()["state"].tolist() == ["unknown"]
    assert journal.unfinished() == []


def test_a_lost_order_that_was_watched_meanwhile_is_found_all_the_same(server, client):
    journal = Journal()
    lost_purchase(journal, Timestamp.now(client.clock))
    journal.watch("mine")
    server.replies = [listing(row("mine", client.clock.now_utc()))]
    recover_orders(journal, client)
    assert journal.intents()["order_id"].tolist() == ["mine"]
    assert journal.orders()["order_id"].tolist() == ["mine"]


class Interrupt:
    """A reply that never comes: the caller is interrupted while it waits."""

    def __init__(self, client, monkeypatch):
        def interrupted(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr("requests.Response.iter_content", interrupted)


def test_an_interrupted_purchase_is_looked_for_in_the_same_journal(server, client, monkeypatch):
    journal = Journal()
    server.replies = [success({"orderId": "bought"})]
    with monkeypatch.context() as patch:
        Interrupt(client, patch)
        with pytest.raises(KeyboardInterrupt):
            place_order(PRODUCT, "type_001", 1, client=client, journal=journal)
    server.replies = [listing(row("bought", client.clock.now_utc()))]
    recover_orders(journal, client)
    assert journal.unfinished() == ["bought"]


def test_a_bought_order_that_cannot_be_written_down_is_named(server, client, tmp_path):
    server.replies = [success({"orderId": "bought"})]
    with closing(Journal(tmp_path / "j")) as journal:
        journal._db.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON orders BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
        with pytest.raises(GiftlibError, match="the order bought was placed, but the journal cannot be written"):
            place_order(PRODUCT, "type_001", 1, client=client, journal=journal)


def test_a_journal_goes_on_after_a_write_that_failed(tmp_path):
    with closing(Journal(tmp_path / "j")) as journal, closing(Journal(tmp_path / "j")) as other:
        with pytest.raises(ValueError, match="order_ids must be"):
            journal.watch("fine", "\ud800")
        other.watch("theirs")
        journal.watch("fine")
        assert journal.unfinished() == ["theirs", "fine"]


@pytest.mark.parametrize("path", ["/nowhere/at/all.sqlite", 5])
def test_a_journal_that_cannot_be_opened_is_told(path):
    with pytest.raises(GiftlibError, match="cannot be opened"):
        Journal(path)


# Lists that lead nowhere


class FreshPages:
    """A page with one order that was never seen, of a list without end."""

    def __init__(self, pages=10**11):
        self.pages, self.count = pages, 0

    def __iter__(self):
        self.count += 1
        yield success({"items": [{"_id": f"id{self.count}"}], "pagination": {"totalPages": self.pages}})


def test_tracking_ends_though_the_list_does_not(server, client):
    server.replies = [FreshPages()]
    with pytest.warns(UserWarning, match="not failed|does not know"):
        track_orders([AN_ID, ANOTHER_ID], timeout=30, client=client)
    assert client.clock.monotonic() < 40


def test_a_search_ends_though_the_list_does_not(server, client, monkeypatch):
    monkeypatch.setattr("giftlib.polling.recovery._MOST_PAGES", 20)
    server.replies = [FreshPages()]
    now = client.clock.now_utc()
    with pytest.raises(NoAnswerError, match="no end of the list"):
        find_order(OrderOutcomeUnknownError(PRODUCT, "type_001", 1, now, now), client=client)
    assert len(server.requests) == 20


def test_patience_has_no_depth(server, client):
    server.replies = [reply(status=503)]
    now = client.clock.now_utc()
    with pytest.raises(ServerError):
        find_order(OrderOutcomeUnknownError(PRODUCT, "type_001", 1, now, now), client=client, tries=1500)
    assert len(server.requests) == 1500


def test_a_page_of_a_million_rows_is_not_read(server, client):
    server.replies = [success({"items": [{}] * 20_000, "pagination": {"totalPages": 1}})]
    with pytest.raises(NoAnswerError, match="more than 10000 items"):
        client.list_orders()


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z"])
def test_an_order_of_another_age_is_tracked(server, client, time):
    handling, final = ({"status": status, "quantity": 1, "time": time} for status in ("HANDLING", "REFUNDED"))
    server.replies = [success(handling), success(handling), success(final)]
    journal = track_orders(["one", "two"], client=client)
    assert journal.orders()["status"].tolist() == ["REFUNDED", "REFUNDED"]


def test_a_list_that_is_refused_for_itself_gives_way_to_single_looks():
    with Sandbox(faults=[Fault("list", status=400, times=1000)]) as sandbox:
        journal = track_orders(sandbox.add_orders(4), client=sandbox.client())
    assert journal.unfinished() == []


@pytest.mark.parametrize("framing", [
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
    b"Content-Length: 99999999999\r\n\r\n", b"\r\n", b"X: y\r\nX: " + b"z" * 60_000 + b"\r\n",
])  # fmt: skip
def test_no_more_than_10_mib_of_an_answer_are_read(server, client, framing):
    taken = 0

    class Endless:
        def __iter__(self):
            nonlocal taken
            yield b"HTTP/1.1 200 OK\r\n" + framing
            while True:
                yield b"x-y: " + b"z" * 65_000 + b"\r\n"
                taken += 65_007

    server.replies = [Endless()]
    with pytest.raises(NoAnswerError):
        client.balance()
    assert taken < 20 * 2**20  # what lies in the buffers between the two counts as well


# After a refused key


def test_after_a_purchase_was_refused_for_the_key_nothing_more_is_sent():
    with Sandbox(faults=[Fault("placeOrder", status=500), Fault("placeOrder", call=3, status=403)]) as sandbox:
        with pytest.warns(UserWarning, match="1 order requests were sent and their responses lost"):
            with pytest.raises(PermissionDeniedError):
                process_orders([(PRODUCT, "type_001", 1)] * 5, client=sandbox.client())
        assert sandbox.requests[-1].status == 403


def test_what_was_lost_is_told_though_a_look_is_refused():
    faults = [Fault("placeOrder", status=500), Fault("checkOrder", status=401)]
    with Sandbox(faults=faults) as sandbox, pytest.warns(UserWarning, match="1 order requests were sent"):
        with pytest.raises(AuthenticationError):
            process_orders([(PRODUCT, "type_001", 1)] * 2, client=sandbox.client())


# Secrets


def secrets_in(text):
    text = text.upper().replace("-", "_")
    return [secret for secret in (KEY, CODE) if secret.upper().replace("-", "_") in text]


ERROR = {"message": f"m {CODE}", "details": {"code": CODE, "pin": CODE, CODE: 1, "deep": [[CODE]]}}
LEAKS = {
    "codes under other names": success({"_id": "other", "codes": [CODE], "Cards": [{"Value": CODE}]}),
    "code in an error": reply({"success": False, "error": ERROR}, status=500),
    "code for a code": reply({"success": False, "error": {"code": CODE}}, status=500),
    "code as a status": success({"_id": "other", "status": CODE, "quantity": 1}),
    "key in capitals": reply({"success": False, "error": {"code": KEY.upper(), "message": KEY.upper()}}, status=500),
    "key with other strokes": reply({"success": False, "error": {"code": KEY.replace("_", "-")}}, status=500),
    "key at the end of a long id": reply(status=500, X_Request_Id="r" * 176 + KEY),
    "header without a colon": [f"HTTP/1.1 200 OK\r\nnocolon {KEY} {CODE}\r\n\r\n".encode(), Do.CLOSE],
}


@pytest.mark.parametrize("answer", LEAKS.values(), ids=LEAKS)
def test_neither_key_nor_code_stands_in_what_is_raised_or_logged(server, client, answer, caplog, request):
    caplog.set_level(logging.DEBUG)
    server.replies = [answer]
    with pytest.raises(GiftlibError) as caught:
        client.check_order_status("asked")
    with pytest.raises(GiftlibError) as bought:
        client.place_order(PRODUCT, "type_001", 1)
    # A refused purchase is explained in the API's words; no card was made yet that they could tell.
    for error in [caught.value] if "code in an error" in request.node.name else [caught.value, bought.value]:
        assert not [secret for text in everything_shown(error) for secret in secrets_in(text)]
    assert not secrets_in(caplog.text)


def test_an_interrupted_look_shows_nothing_of_the_request_and_the_answer(server, client, monkeypatch):
    server.replies = [success({"_id": "asked", "cards": [{"value": CODE}]})]
    Interrupt(client, monkeypatch)
    with pytest.raises(KeyboardInterrupt) as caught:
        client.check_order_status("asked")
    assert not [secret for text in everything_shown(caught.value) for secret in secrets_in(text)]


def test_a_deep_error_can_be_pickled(server, client):
    deep = {"x": 1}
    for _ in range(600):
        deep = {"x": deep}
    server.replies = [reply({"success": False, "error": {"details": deep}}, status=500)]
    with pytest.raises(ServerError) as caught:
        client.balance()
    assert pickle.loads(pickle.dumps(caught.value)).status == 500


def test_no_listing_of_a_card_shows_its_code():
    card = Card(CODE, CODE)
    assert not secrets_in(repr(inspect.getmembers(card)) + repr(card.__getstate__()) + repr(Card.__dict__))
    assert card.reveal().value == CODE


def test_codes_that_come_as_plain_texts_are_not_lost():
    order = Order.from_response(
        {"_id": "a", "status": "FULFILLED", "quantity": 2, "fulfilled_quantity": 2, "cards": [CODE, "B"]}
    )
    assert [card.reveal().value for card in order.cards] == [CODE, "B"]


def test_cookies_are_not_kept(server, client):
    server.replies = [reply({"success": True, "data": {"balance": 1}}, Set_Cookie="a=b; Path=/")]
    client.balance()
    client.balance()
    assert "cookie" not in server.requests[1].headers


# Calls that make no sense


@pytest.mark.parametrize("call", [
    lambda c: place_order(PRODUCT, "t", 10**20, client=c, journal=Journal()),
    lambda c: place_order(PRODUCT, "t", 1, client="x"),
    lambda c: Client(KEY, c.base_url, request_timeout=10**400),
    lambda c: Client(KEY, "https://api.test:99999"),
    lambda c: find_order("x", client=c),
    lambda c: c.check_order_status("a", timeout="5"),
    lambda c: c.check_order_status("a", timeout=float("nan")),
    lambda c: c.check_order_status("a", timeout=-1),
    lambda c: process_orders([1], client=c),
    lambda c: process_orders(None, client=c),
    lambda c: track_orders(None, client=c),
    lambda c: track_orders(["a"], client=c, schedule=5),
    lambda c: track_orders(["a"], client=c, journal="x.db"),
])  # fmt: skip
def test_an_argument_of_a_wrong_kind_is_refused_before_any_request(server, client, call):
    with pytest.raises(ValueError, match="must be"):
        call(client)
    assert server.requests == []
    gc.collect()


def test_a_file_of_certificates_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(ValueError, match="REQUESTS_CA_BUNDLE must name a file"):
        Client(KEY)
