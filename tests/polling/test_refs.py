"""A request with a ref is made once for each journal, however often the same line is run."""

import pytest
from samples import ORDER_ID, PRODUCT, listing, order_row
from sandbox_checks import requests_to
from scripted_server import reply, success

from giftlib import (
    InsufficientBalanceError,
    Journal,
    JournalError,
    OrderOutcomeUnknownError,
    OrderRequest,
    Sandbox,
    place_order,
    process_orders,
)
from giftlib.sandbox import Fault

ITEM = (PRODUCT, "type_001", 1)
ITEMS = [(*ITEM, f"line {number}") for number in range(20)]


def test_same_call_again(sandbox, client, journal):
    """The order that the journal has is returned, and nothing is sent."""
    first = place_order(*ITEM, client=client, journal=journal, ref="a")
    sent = len(sandbox.requests)
    assert place_order(*ITEM, client=client, journal=journal, ref="a") == first
    assert len(sandbox.requests) == sent
    assert place_order(*ITEM, client=client, journal=journal, ref="b") != first
    assert place_order(*ITEM, client=client, journal=journal) != first
    assert journal.orders()["ref"].fillna("-").tolist() == ["a", "b", "-"]


def test_same_list_again(sandbox, client, tmp_path):
    """A list that was interrupted is gone on with, in another process too, and each item is ordered once."""
    with Journal(tmp_path / "j") as journal:
        process_orders(ITEMS[:11], client=client, journal=journal)
    with Journal(tmp_path / "j") as journal:
        process_orders(ITEMS, client=sandbox.client(), journal=journal)
        assert sorted(journal.orders()["ref"]) == sorted(item[3] for item in ITEMS)
        assert journal.unfinished() == []
        polls = len(journal.polls())
        process_orders([OrderRequest(*item) for item in ITEMS],
                       client=client, journal=journal)  # fmt: skip
        assert len(journal.polls()) == polls
    assert requests_to(sandbox, "placeOrder") == 20


def test_other_goods(sandbox, client, journal):
    """A ref that stands for something else is an error before anything is sent."""
    place_order(*ITEM, client=client, journal=journal, ref="a")
    sent = len(sandbox.requests)
    with pytest.raises(ValueError, match="ref 'a' stands for 1 x type_001 of product"):
        place_order(PRODUCT, "type_001", 2, client=client, journal=journal, ref="a")
    with pytest.raises(ValueError, match="ref 'a' stands for 1 x type_001"):
        process_orders([ITEM, (PRODUCT, "type_002", 1, "a")], client=client, journal=journal)
    with pytest.raises(ValueError, match="items must have one request for each ref"):
        process_orders([(*ITEM, "c"), (PRODUCT, "type_001", 2, "c")], client=client, journal=journal)
    assert len(sandbox.requests) == sent


@pytest.mark.parametrize("ref", ["", 5, "a\nb", "x" * 201, b"a"])
def test_bad_ref(client, journal, ref):
    """A ref that is no short printable text is named."""
    with pytest.raises(ValueError, match="ref must be"):
        place_order(*ITEM, client=client, journal=journal, ref=ref)


@pytest.mark.parametrize("place", [
    lambda client: place_order(*ITEM, client=client, ref="a"),
    lambda client: process_orders([ITEM, (*ITEM, "a")], client=client),
])  # fmt: skip
def test_ref_without_journal(sandbox, client, place):
    """A ref needs a journal: without one the same call would order again, so nothing is placed."""
    with pytest.raises(ValueError, match="ref needs a journal"):
        place(client)
    assert sandbox.truth() == {}


def test_ref_of_another_source(client, journal):
    """A request that was made of another emulator is not made again here."""
    place_order(*ITEM, client=client, journal=journal, ref="a")
    with Sandbox() as other, pytest.raises(JournalError, match="belongs to another source"):
        place_order(*ITEM, client=other.client(), journal=journal, ref="a")


def test_rejected_before(sandbox, client, journal):
    """A request that was rejected placed nothing, so it is made again."""
    sandbox.inject(Fault("placeOrder", status=429))
    with pytest.warns(UserWarning, match="1 orders were not placed"):
        process_orders(ITEMS[:1], client=client, journal=journal)
    process_orders(ITEMS[:1], client=client, journal=journal)
    assert len(journal.orders()) == 1
    assert journal.intents()["state"].tolist() == ["placed"]


@pytest.mark.parametrize("ref", ["a", "Socie\u0301te\u0301 7"])
def test_lost_before(sandbox, client, journal, ref):
    """A request whose response was lost is searched for first, however the accents of its ref are composed."""
    sandbox.inject(Fault.commit_then_drop())
    with pytest.raises(OrderOutcomeUnknownError):
        place_order(*ITEM, client=client, journal=journal, ref=ref)
    assert [place_order(*ITEM, client=client, journal=journal, ref=ref)] == list(sandbox.truth())


def test_lost_and_unknown(sandbox, client, journal):
    """While it is not known what became of a request it is not sent again, after a minute it is."""
    sandbox.inject(Fault("placeOrder", cut="before"))
    for _ in range(2):
        with pytest.raises(OrderOutcomeUnknownError):
            place_order(*ITEM, client=client, journal=journal, ref="a")
    assert requests_to(sandbox, "placeOrder") == 1
    sandbox.clock.sleep(70)
    assert [place_order(*ITEM, client=client, journal=journal, ref="a")] == list(sandbox.truth())


def test_lost_in_list(make_sandbox, journal):
    """Of a list, what was lost on the way there is placed, what was lost on the way back is found."""
    faults = [Fault("placeOrder", cut=cut, call=call) for call, cut in ((3, "before"), (7, "after"), (8, "before"))]
    sandbox = make_sandbox(faults=faults)
    process_orders(ITEMS, client=sandbox.client(), journal=journal)
    assert sorted(journal.orders()["ref"]) == sorted(item[3] for item in ITEMS)
    assert journal.orders()["order_id"].nunique() == len(sandbox.truth()) == 20
    assert journal.orders()["status"].eq("FULFILLED").all()


def test_unknown_in_list(server, scripted_client, journal):
    """What stays unknown is warned of at the end and not sent again."""
    taken = order_row("other", quantity=1, placed_at="2026-01-01T00:00:30.000Z")
    server.replies = [reply(status=502), listing(taken)]
    with pytest.warns(UserWarning, match="do not send them again"):
        process_orders(ITEMS[:1], client=scripted_client, journal=journal)
    assert sum(request.method == "POST" for request in server.requests) == 1
    assert journal.intents()["state"].tolist() == ["unknown"]


def test_interrupted_list(make_sandbox, journal):
    """Whatever ends a run, the exception has the journal and the line that goes on."""
    sandbox = make_sandbox(opening_balance=5 * 490, test_type_price=490, prices={})
    with pytest.raises(InsufficientBalanceError) as caught:
        process_orders([ITEM] * 8, client=sandbox.client())
    assert len(caught.value.journal.orders()) == len(sandbox.truth()) == 5
    go_on = "track_orders(error.journal.unfinished(), journal=error.journal, client=client)"
    assert any(go_on in note for note in caught.value.__notes__)


@pytest.mark.parametrize("ref", [None, "a"])
def test_duplicates(sandbox, client, journal, ref):
    """An item that stands twice in a list is ordered twice, unless it has a ref."""
    process_orders([(*ITEM, ref)] * 2, client=client, journal=journal)
    assert len(sandbox.truth()) == (1 if ref else 2)


def test_order_of_journal_is_polled(server, scripted_client, journal):
    """An order that was placed before and is not final is waited for."""
    server.replies = [success({"orderId": ORDER_ID})]
    place_order(*ITEM, client=scripted_client, journal=journal, ref="a")
    server.replies = [success({"_id": ORDER_ID, "status": "REFUNDED", "quantity": 1})]
    process_orders([(*ITEM, "a")], client=scripted_client, journal=journal)
    assert journal.orders()["status"].tolist() == ["REFUNDED"]
