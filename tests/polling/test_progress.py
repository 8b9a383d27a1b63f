"""What a person sees of a wait: a panel in a notebook, a bar in a terminal, one line after an interrupt."""

import re
from datetime import UTC, datetime
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from exposure import secrets_in
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.manager import start_new_kernel
from samples import CODE, KEY, PRODUCT, SERIAL

from giftlib import Client, PollTimeoutError, SimulatedClock, poll_order_until_complete, process_orders, track_orders
from giftlib.api import Order, as_id
from giftlib.clock import Timestamp
from giftlib.journal import Poll
from giftlib.polling.panel import Panel

SETUP = """
import time
from datetime import datetime, timedelta, timezone
from giftlib import *

class FastClock(SystemClock):
    def now_utc(self):
        return datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=self.monotonic() % 1e7)

    def monotonic(self):
        return 10 * super().monotonic()

    def sleep(self, seconds):
        time.sleep(seconds / 10)

sandbox = Sandbox(clock=FastClock(), latency_s=0, fulfilment_s=6)
FULL, PARTIAL = ("507f1f77bcf86cd799439011", "type_001", 1), ("507f1f77bcf86cd799439011", "TEST_PARTIAL", 4)
"""
PROCESS = "journal = process_orders([FULL, PARTIAL] * 3, client=client, interval=1.5"


class Notebook:
    """A kernel in which cells are run, as by a person or, if `watched` is False, by a program."""

    def __init__(self, manager, client):
        self.manager, self.client = manager, client

    def start(self, code, watched=True):
        key = "client = sandbox.client(sandbox.add_key())\n"  # its own rate limit
        return self.client.execute(key + code, allow_stdin=watched)

    def messages(self, sent):
        """The messages of that cell until it ends."""
        found = []
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") == sent:
                found.append((message["msg_type"], message["content"]))
                if found[-1] == ("status", {"execution_state": "idle"}):
                    return found

    def run(self, code, watched=True):
        return self.messages(self.start(code, watched))


@pytest.fixture(scope="module")
def notebook():
    manager, client = start_new_kernel(kernel_name="python3")
    client.allow_stdin = False
    notebook = Notebook(manager, client)
    assert not errors(notebook.messages(client.execute(SETUP)))
    yield notebook
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def errors(messages):
    return [content["traceback"] for kind, content in messages if kind == "error"]


def displays(messages):
    """What was displayed and then changed: for each time its place and the texts by type."""
    kinds = ("display_data", "update_display_data")
    return [(content["transient"].get("display_id"), content["data"]) for kind, content in messages if kind in kinds]


def test_panel_in_a_notebook(notebook):
    """The panel changes in its place while orders are waited for, and ends with all orders final."""
    messages = notebook.run(f"{PROCESS})")
    assert not errors(messages)
    shown = displays(messages)
    assert len({place for place, _ in shown}) == 1
    assert len({data["text/html"] for _, data in shown}) >= 5
    last = shown[-1][1]
    assert "6 of 6 orders final" in last["text/plain"]
    assert all(last_text in last["text/html"] for last_text in ("Complete", "3 FULFILLED", "3 PARTIALLY_FILLED"))
    assert not re.search(r"SANDBOX-(CARD-)?\d", str(messages))


@pytest.mark.parametrize("how", ["run by a program", "progress=False", "TQDM_DISABLE"])
def test_no_panel(notebook, how):
    """Nothing is shown where a program runs the cell, as nbval and papermill do, or where that is not wanted."""
    options = ", progress=False" if how == "progress=False" else ""
    before = "import os; os.environ['TQDM_DISABLE'] = '1'\n" if how == "TQDM_DISABLE" else ""
    after = "\nos.environ.pop('TQDM_DISABLE')" if before else ""
    messages = notebook.run(f"{before}{PROCESS}{options}){after}", watched=how != "run by a program")
    assert not errors(messages) and not displays(messages)
    assert not [content for kind, content in messages if kind == "stream"]


@pytest.mark.parametrize(
    "call",
    [
        "process_orders([FULL] * 3, client=client, interval=1)",
        "poll_order_until_complete(*sandbox.add_orders(1), client=client, interval=1)",
    ],
)
def test_interrupt_in_a_notebook(notebook, call):
    """An interrupt is shown in one line, and what that line says goes on."""
    sent = notebook.start(f"sandbox.next_order(after_s=20); {call}")
    while notebook.client.get_iopub_msg(timeout=60)["msg_type"] != "update_display_data":
        pass
    notebook.manager.interrupt_kernel()
    messages = notebook.messages(sent)
    [[line]] = errors(messages)
    assert "\n" not in line
    assert "Interrupted" in displays(messages)[-1][1]["text/plain"]
    messages = notebook.run(line.partition("To go on: ")[2])
    assert not errors(messages)
    assert "Complete" in displays(messages)[-1][1]["text/plain"]


def test_bar_in_a_terminal(sandbox, client, capfd):
    """The bar ends complete and green."""
    poll_order_until_complete(*sandbox.add_orders(1), client=client, progress=True)
    last = capfd.readouterr().err.rstrip().rsplit("\r", 1)[-1]
    assert "100 %" in last and "1 of 1 order final" in last and "\x1b[32m" in last


def test_bar_of_a_timeout(make_sandbox, capfd):
    """The bar of a wait that found no final status ends red, with the order still open."""
    sandbox = make_sandbox(fulfilment_s=100)
    with pytest.raises(PollTimeoutError):
        poll_order_until_complete(*sandbox.add_orders(1), client=sandbox.client(), timeout=10, progress=True)
    last = capfd.readouterr().err.rstrip().rsplit("\r", 1)[-1]
    assert "0 %" in last and "1 open" in last and "\x1b[31m" in last


def test_bar_without_orders(client, capfd):
    """Where there is nothing to wait for, nothing is shown."""
    track_orders([], client=client, progress=True)
    assert capfd.readouterr().err == ""


def test_counts_of_failures(make_sandbox, capfd):
    """Orders that were rejected stand in the bar, which then does not end green."""
    sandbox = make_sandbox(check_stock=True)
    with pytest.warns(UserWarning, match="were not placed"):
        items = [(PRODUCT, "type_001", 1)] * 2 + [(PRODUCT, "type_003", 1)]
        process_orders(items, client=sandbox.client(), progress=True)
    last = capfd.readouterr().err.rstrip().rsplit("\r", 1)[-1]
    assert "2 of 3 orders final" in last and "1 rejected" in last and "\x1b[31m" in last


def test_orders_final_before(sandbox, client, journal, capfd):
    """Items that the journal has as final are not waited for: the bar still ends complete."""
    items = [(PRODUCT, "type_001", 1, f"line {line}") for line in range(3)]
    process_orders(items[:2], client=client, journal=journal)
    process_orders(items, client=client, journal=journal, progress=True)
    last = capfd.readouterr().err.rstrip().rsplit("\r", 1)[-1]
    assert "100 %" in last and "\x1b[32m" in last


def poll_of(panel, order_id, seconds, **fields):
    """Let a panel see a poll of an order with the documented fields and these."""
    shown = {"_id": order_id, "quantity": 2, "cards": [{"value": CODE, "serial": SERIAL}]} | fields
    timestamp = Timestamp(datetime(2026, 1, 1, tzinfo=UTC), seconds)
    panel.add(Poll.of(order_id, 1, "check", timestamp, timestamp, Order.from_response(shown)))


def picture(panel):
    """The panel's picture, which must be well-formed."""
    html = panel._repr_html_()
    return ElementTree.fromstring(unquote(re.search('src="data:image/svg[+]xml,([^"]*)"', html)[1]))


FINAL = {"status": "PARTIALLY_FILLED", "fulfilled_quantity": 1, "price_per_card": 490, "fulfilled_amount": 490}
IDS = st.lists(st.text(min_size=1, max_size=12).filter(as_id), min_size=1, max_size=30, unique=True)


@given(ids=IDS, status=st.text(max_size=30), seconds=st.floats(0, 1e6))
def test_panel_of_any_order(ids, status, seconds):
    """Whatever the ids and statuses are, the picture is well-formed, and neither a code nor markup is in the panel."""
    client = Client(KEY, "http://127.0.0.1:1", clock=SimulatedClock())
    panel = Panel(client)
    client.clock.sleep(seconds)
    panel.open_ids = ids
    for order_id in ids[::2]:
        poll_of(panel, order_id, seconds, **(FINAL if status < "m" else {"status": status}))
    texts = [node.text for node in picture(panel).iter("{http://www.w3.org/2000/svg}text")]
    assert len(ids) > 20 or set(texts) >= {order_id if len(order_id) <= 9 else f"…{order_id[-6:]}" for order_id in ids}
    assert not secrets_in(panel._repr_html_() + repr(panel))
    assert sum(panel.counts.values()) == len(ids)


def test_final_stays_final(client):
    """An order that a late list shows open again stays final in the panel, and its money is counted once."""
    panel = Panel(client)
    poll_of(panel, "a", 1.0, status="HANDLING", price_per_card=490)
    assert "in flight 980 dinars" in panel.money
    poll_of(panel, "a", 2.0, **FINAL)
    poll_of(panel, "a", 3.0, status="HANDLING", price_per_card=490)
    assert panel.money == "charged 490 dinars, refunded 490 dinars" and panel.counts == {"PARTIALLY_FILLED": 1}


def test_next_poll(sandbox, client):
    """While an order is open the panel says when the next poll is due, and no longer once the wait has ended."""
    panel = Panel(client)
    panel.next_at = client.clock.monotonic() + 5
    panel.open_ids = ["a"]
    assert "next poll" in panel._repr_html_() and "in 5 s" in repr(panel)
    panel.ending = "Ended"
    assert "next poll" not in panel._repr_html_() + repr(panel)


def test_size_of_the_panel(client):
    """A panel of thousands of orders is no larger than one of hundreds."""
    panel = Panel(client)
    sizes = []
    for orders in (400, 4000):
        panel.open_ids = list(map(str, range(orders)))
        sizes.append(len(panel._repr_html_()))
        assert f"200 of {orders}" in ElementTree.tostring(picture(panel), encoding="unicode")
    assert sizes[1] < 1.1 * sizes[0] < 30_000
