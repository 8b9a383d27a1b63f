"""Going through all pages of orders and transactions, of a list that stands still, moves, or lies."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import PRODUCT, listing, order_row
from scripted_server import FreshPages, reply, success

from giftlib import NoAnswerError, Sandbox, ServerError
from giftlib.api import Page
from giftlib.api.listing import Listing


def test_every_order_and_transaction():
    """Every order and transaction comes once, over pages."""
    with Sandbox(seed=1, sample_order=False) as sandbox:
        client = sandbox.client()
        placed = [client.place_order(PRODUCT, "TEST_REFUND", 1) for _ in range(3)] + sandbox.add_orders(240)
        assert sorted(order.order_id for order in client.all_orders()) == sorted(placed)
        charges = [transaction.object_id for transaction in client.all_transactions() if transaction.type == "ORDER"]
        assert set(placed[:3]) <= set(charges) and len(set(charges)) == len(charges)
        now = sandbox.clock.now_utc()
        assert list(client.all_orders(since=now, until=now)) == []


def test_lazy(server, client):
    """A page is requested when it is needed."""
    server.replies = [listing(order_row("a"), order_row("b"), pages=5, results=10)]
    assert [order.order_id for order in islice(client.all_orders(), 2)] == ["a", "b"]
    assert len(server.requests) == 1


def test_tries(server, scripted_client):
    """A page that fails is requested again, as often as asked for."""
    server.replies = [reply(status=503), listing(order_row("a"))]
    assert [order.order_id for order in scripted_client.all_orders(tries=2)] == ["a"]
    server.replies = [reply(status=503)]
    with pytest.raises(ServerError):
        list(scripted_client.all_transactions())


@pytest.mark.parametrize("tries", [0, -1, "2", True])
def test_no_tries(client, tries):
    """What is no number of tries is named."""
    for all_of in (client.all_orders, client.all_transactions):
        with pytest.raises(ValueError, match="tries must be a whole number from 1"):
            list(all_of(tries=tries))


class Moving:
    """A list, newest first, that gains and loses items between two requests of its pages."""

    def __init__(self, items, changes):
        self.items, self.changes = list(items), list(changes)
        self.stayed = set(items)

    def __call__(self, number):
        if number > 1 and self.changes:
            added, removed = self.changes.pop(0)
            self.items = [f"new {len(self.changes)} {at}" for at in range(added)] + self.items
            self.stayed -= set(self.items[:removed])
            self.items = self.items[removed:]
        page = self.items[(number - 1) * 5 : number * 5]
        return Page(tuple(page), number, 5, -(-len(self.items) // 5), len(self.items))


@given(
    n=st.integers(0, 30),
    changes=st.lists(st.tuples(st.integers(0, 7), st.just(0)) | st.tuples(st.just(0), st.integers(0, 7)), max_size=4),
)
def test_list_that_moves(n, changes):
    """Whatever comes and goes while pages are read, each item comes once, and none that stayed is lost.

    Only where as many came as went can the list not tell.
    """
    moving = Moving(map(str, range(n)), changes)
    found = list(Listing("GET list", moving, lambda item: item, most=200))
    assert len(set(found)) == len(found)
    if sum(added - removed for added, removed in changes) or not any(removed for _, removed in changes):
        assert moving.stayed <= set(found)


def page_of(*ids, **pagination):
    return success({"items": [{"_id": name} for name in ids], "pagination": pagination})


@pytest.mark.parametrize(
    "page",
    [
        page_of("a", totalPages=10**11, totalResults=10**11),
        page_of("a", totalPages=2, totalResults=151),
        page_of("a", totalPages=1, totalResults=2),
        page_of("a"),
        page_of(totalPages=5, totalResults=9),
    ],
)
def test_list_that_lies(server, client, page):
    """A list that shows less than it says that it has is an error, after what it shows, in a few requests."""
    server.replies = [page]
    orders = client.all_orders()
    with pytest.raises(NoAnswerError, match="the list does not show all that it says it has"):
        for order in orders:
            assert order.order_id == "a"
    assert len(server.requests) <= 4


def test_list_without_end(server, client, monkeypatch):
    """A list that always has a next page with something new ends in an error."""
    monkeypatch.setattr("giftlib.api.client._MOST_PAGES", 20)
    server.replies = [FreshPages()]
    with pytest.raises(NoAnswerError, match="GET /v3/gift-cards/list: no end of the list after 20 pages"):
        list(client.all_orders())
    assert len(server.requests) == 20
