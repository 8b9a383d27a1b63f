"""How notebooks show the objects: the same as the text says, escaped, with neither a code nor a key."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from exposure import secrets_in
from samples import CODE, KEY, PRODUCT, SANDBOX_KEY, SERIAL
from scripted_server import ScriptedServer

from giftlib import Client, Sandbox, SystemClock, connect, process_orders, time_to_fulfilment
from giftlib.api import Order


class Text(HTMLParser):
    """The text of a page; tags must be closed in turn."""

    def __init__(self, html):
        super().__init__()
        self.texts, self.open = [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def shown(thing):
    return " ".join(Text(thing._repr_html_()).texts)


def test_order():
    """An order shows status, cards and exact money, and no code."""
    fields = {"_id": "a1", "status": "PARTIALLY_FILLED", "quantity": 4, "fulfilled_quantity": 3, "price_per_card": 490}
    order = Order.from_response(fields | {"fulfilled_amount": 1470, "cards": [{"value": CODE, "serial": SERIAL}] * 3})
    for text in ("a1", "PARTIALLY_FILLED", "3 of 4", "1,470 dinars", "490 dinars"):
        assert text in shown(order)
    assert not secrets_in(order._repr_html_())


@pytest.mark.parametrize("fields", [{}, {"status": "HANDLING", "quantity": 1}, {"_id": "<b>", "status": "<i>"}])
def test_odd_order(fields):
    """An order with little known, or with markup for an id, is shown as text."""
    order = Order.from_response({"_id": "a"} | fields)
    assert str(order.order_id) in shown(order)
    assert "dinars" not in shown(order)


def test_journal(sandbox, client, journal):
    """A journal shows, for each source, its orders and how many are final."""
    assert "0" in shown(journal)
    process_orders([(PRODUCT, "TEST_REFUND", 1)] * 3, client=client, journal=journal)
    assert "emulator" in shown(journal) and "3 orders, 3 final" in shown(journal)
    assert sandbox.api_key not in journal._repr_html_()


@pytest.mark.parametrize("outcome", [None, "REFUNDED"])
def test_curve(outcome):
    """A curve shows its orders and the estimates that its text has."""
    times = {"not_done_by_s": [0, 5] * 9, "done_by_s": [5, 10] * 9}
    orders = pd.DataFrame(times | {"status": ["REFUNDED", "FULFILLED"] * 9})
    curve = time_to_fulfilment(orders, outcome=outcome)
    assert "18 orders, 18 final" in shown(curve)
    estimate = re.search(r"(median|REFUNDED:) (.*)\)$", repr(curve))[2]
    assert estimate in shown(curve)


@pytest.mark.parametrize(("clock", "name"), [(None, "simulated clock"), (SystemClock(), "system clock")])
def test_where_one_is(clock, name):
    """Sandbox and client, as text and in a notebook, say that this is an emulator, its seed and its clock; no key."""
    with Sandbox(seed=7, clock=clock) as sandbox:
        client = sandbox.client()
        client.validate()
        for thing in (sandbox, client):
            assert f"emulator, seed 7, {name}" in repr(thing) and f"emulator, seed 7, {name}" in shown(thing)
            assert sandbox.api_key not in repr(thing) + shown(thing)
        assert "SANDBOX key" in repr(client)
        assert "open" in repr(sandbox) and sandbox.url in shown(sandbox)
    assert "closed" in repr(sandbox) and "closed" in shown(sandbox)


def test_where_connect_led():
    assert repr(connect(seed=3)) == "Client(emulator, seed 3, simulated clock, SANDBOX key)"


def test_client_of_an_emulator_elsewhere(sandbox):
    """A client that only knows an address says so; it sends no request to be shown."""
    client = Client(sandbox.api_key, sandbox.url, clock=sandbox.clock)
    host = sandbox.url.removeprefix("http://")
    assert host in shown(client) and "not yet validated" in shown(client)
    assert not sandbox.requests
    client.validate()
    assert f"emulator at {host}, simulated clock, SANDBOX key" in shown(client)


def test_client_of_another_host():
    assert repr(Client(KEY)) == "Client(api.oneclickdz.com, key not yet validated)"
    with ScriptedServer(SANDBOX_KEY) as server:
        client = Client(KEY, server.url)
        client.validate()
        assert "emulator" not in shown(client) and "SANDBOX key" in shown(client)
        assert not secrets_in(shown(client) + repr(client))
