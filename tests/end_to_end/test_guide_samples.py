"""The vendor's own samples, and HTTP clients unlike `requests`, against the emulator.

The samples run in the guide's order, with nothing changed but the host. The guide leaves two things to its reader:
to fill in cURL's `YOUR_API_KEY`, here from the environment, and to write `placeOrder`, which it only calls.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from samples import PRODUCT

from giftlib.clock import SystemClock

GUIDE = Path(__file__).parent / "guide"
HOST = "https://api.oneclickdz.com"
REQUEST = {"productId": PRODUCT, "typeId": "TEST_PARTIAL", "quantity": 4}

PLACE_ORDER = """
async function placeOrder(productId, typeId, quantity) {
  const response = await fetch("https://api.oneclickdz.com/v3/gift-cards/placeOrder", {
    method: "POST",
    headers: { "X-Access-Token": process.env.API_KEY, "Content-Type": "application/json" },
    body: JSON.stringify({ productId, typeId, quantity }),
  });
  return (await response.json()).data;
}
"""
PLACE_CHECK_LIST = """
async function ask(path, options) {
  const headers = { "X-Access-Token": process.env.API_KEY, "Content-Type": "application/json" };
  const response = await fetch("https://api.oneclickdz.com/v3/gift-cards/" + path, { headers, ...options });
  const content = await response.json();
  await new Promise(setImmediate); // fetch frees a connection one turn after its response is read
  return content;
}
const placed = await ask("placeOrder", { method: "POST", body: JSON.stringify(%s) });
const checked = await ask("checkOrder/" + placed.data.orderId);
console.log(JSON.stringify([placed, checked, await ask("list")]));
"""


class Language(NamedTuple):
    """How a reader runs the samples of one language, and hands an order to the functions they define."""

    command: tuple[str, ...]
    suffix: str
    needs: str
    probe: tuple[str, ...]
    handle: str
    cards: str
    """What the polling sample prints for the guide's order."""


NODE = Language(
    ("node",),
    ".mjs",  # a module, for the `await` outside of functions
    "node with fetch (18 or newer)",
    ("-e", "process.exit(typeof fetch === 'function' ? 0 : 1)"),
    'handleOrderResult(await pollOrderUntilComplete("{}"));',
    "Success! Cards: [\n"
    "  { value: 'SANDBOX-CARD-1', serial: 'SANDBOX-1' },\n"
    "  { value: 'SANDBOX-CARD-2', serial: 'SANDBOX-2' }\n"
    "]\n",
)
PYTHON = Language(
    (sys.executable,),
    ".py",
    "python with requests",
    ("-c", "import requests"),
    "handle_order_result(poll_order_until_complete('{}'))",
    "Success! Cards: 2\n",
)
PHP = Language(
    ("php", "-d", "display_errors=stderr"),
    ".php",
    "php with its curl extension",
    ("-r", "exit(extension_loaded('curl') ? 0 : 1);"),
    "<?php handleOrderResult(pollOrderUntilComplete('{}', getenv('API_KEY')));",
    "Success! Cards: 2\n",
)
CURL = Language(("bash",), ".sh", "bash and curl", ("-c", "command -v curl"), "", "")

every_language = pytest.mark.parametrize("language", [NODE, PYTHON, PHP], ids=["node", "python", "php"])

CHECKED = "Status: FULFILLED\nQuantity: 2\nCards delivered: 2\n"
RESULTS = {
    ("type_001", 2): (
        "FULFILLED",
        "✅ Success: 2 cards delivered\nCost: 980 DA\nCard 1: SANDBOX-CARD-1\nCard 2: SANDBOX-CARD-2\n",
    ),
    ("TEST_PARTIAL", 4): (
        "PARTIALLY_FILLED",
        "⚠️ Partial: 2/4 cards\nCharged: 980 DA\nRefunded: 980 DA\n"
        "Delivered: SANDBOX-CARD-1\nDelivered: SANDBOX-CARD-2\n",
    ),
    ("TEST_REFUND", 2): ("REFUNDED", "❌ Order failed - full refund issued\n"),
}


def polled(status):
    return f"Checking order status (1/60)...\nOrder completed: {status}\n"


@cache
def is_here(language):
    if not shutil.which(language.command[0]):
        return False
    return subprocess.run([language.command[0], *language.probe], capture_output=True, timeout=30).returncode == 0


@pytest.fixture
def sandbox(make_sandbox):
    """A sandbox in real time whose orders are final at once."""
    return make_sandbox(clock=SystemClock(), latency_s=0, fulfilment_s=0)


@pytest.fixture
def run(sandbox, tmp_path):
    """Run a program against the sandbox as its reader would, with the key in the environment."""

    def run(language, text, api_key=sandbox.api_key):
        if not is_here(language):
            pytest.skip(f"needs {language.needs}")
        assert HOST in text
        program = tmp_path / f"sample{language.suffix}"
        program.write_text(text.replace(HOST, sandbox.url), encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        return subprocess.run(
            [*language.command, program],
            env=environment | {"API_KEY": api_key, "PYTHONUTF8": "1"},
            capture_output=True,
            encoding="utf-8",
            timeout=30,
        )

    return run


def samples(language, *sections):
    """The samples of these sections one after the other, as in a reader's file."""
    suffix = ".js" if language is NODE else language.suffix
    return "".join((GUIDE / (section + suffix)).read_text(encoding="utf-8") for section in sections)


@every_language
def test_status_check(run, language):
    """The status check prints status, quantity and cards."""
    result = run(language, samples(language, "status_check"))
    assert (result.stdout, result.returncode) == (CHECKED, 0), result.stderr


@every_language
def test_status_check_with_wrong_key(run, language):
    """The status check fails with a 401 if the key is rejected."""
    result = run(language, samples(language, "status_check"), api_key="another")
    assert result.stdout == ""
    assert ": 401" in result.stderr
    assert result.returncode != 0


def test_curl(run):
    """The cURL sample prints the guide's order."""
    result = run(CURL, samples(CURL, "status_check").replace("YOUR_API_KEY", "$API_KEY"))
    assert result.returncode == 0, result.stderr
    order = json.loads(result.stdout)["data"]
    assert (order["status"], order["quantity"], len(order["cards"])) == ("FULFILLED", 2, 2)


@every_language
@pytest.mark.parametrize(("type_id", "quantity"), RESULTS)
def test_poll_and_handle(run, sandbox, language, type_id, quantity):
    """An order is polled until it is final, and its result handled."""
    [order_id] = sandbox.add_orders(1, type_id, quantity)
    sections = samples(language, "status_check", "poll", "handle_result")
    result = run(language, sections + language.handle.format(order_id))
    status, printed = RESULTS[type_id, quantity]
    expected = CHECKED + polled("FULFILLED") + language.cards + polled(status) + printed
    assert (result.stdout, result.returncode) == (expected, 0), result.stderr


def test_whole_page_in_node(run, sandbox):
    """All samples of the page run as one Node program."""
    # Braces, as the scenario and the status check both declare `order`.
    scenario = "{\n" + samples(NODE, "sandbox_scenarios") + "}\n"
    result = run(NODE, PLACE_ORDER + scenario + samples(NODE, "status_check", "poll", "handle_result", "process_order"))
    [_, order_id] = sandbox.truth()
    expected = (
        polled("REFUNDED") + "Test result: REFUNDED\n"
        + CHECKED
        + polled("FULFILLED") + NODE.cards
        + f"Placing order...\nOrder placed: {order_id}\nWaiting for fulfillment...\n"
        + polled("FULFILLED") + RESULTS["type_001", 2][1]
    )  # fmt: skip
    assert (result.stdout, result.returncode) == (expected, 0), result.stderr


def talk(ask):
    """Place an order, check it, list it."""
    placed = ask("POST", "placeOrder", json.dumps(REQUEST).encode())
    return [placed, ask("GET", f"checkOrder/{placed['data']['orderId']}"), ask("GET", "list")]


def by_http_client(sandbox, run):
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"), timeout=5)

    def ask(method, path, body=None):
        connection.request(method, f"/v3/gift-cards/{path}", body, {"X-Access-Token": sandbox.api_key})
        return json.load(connection.getresponse())

    try:
        return talk(ask)
    finally:
        connection.close()


def by_urllib(sandbox, run):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(method, path, body=None):
        url = f"{sandbox.url}/v3/gift-cards/{path}"
        headers = {"X-Access-Token": sandbox.api_key, "Content-Type": "application/json"}
        with opener.open(urllib.request.Request(url, body, headers, method=method), timeout=5) as response:
            return json.load(response)

    return talk(ask)


def by_fetch(sandbox, run):
    result = run(NODE, PLACE_CHECK_LIST % json.dumps(REQUEST))
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("client", "connections"),
    [(by_http_client, 1), (by_urllib, 3), (by_fetch, 1)],
    ids=["http.client keeps one connection", "urllib closes each", "node's fetch keeps one connection"],
)
def test_other_http_clients(sandbox, run, monkeypatch, client, connections):
    """HTTP clients unlike requests place, check and list an order."""
    accepted = []
    accept = socket.socket.accept
    monkeypatch.setattr(socket.socket, "accept", lambda listener: accepted.append(accept(listener)) or accepted[-1])
    placed, checked, listed = client(sandbox, run)
    order = {
        "_id": placed["data"]["orderId"],
        "status": "PARTIALLY_FILLED",
        "quantity": 4,
        "fulfilled_quantity": 2,
        "fulfilled_amount": 980,
        "price_per_card": 490,
        "cards": [{"value": f"SANDBOX-CARD-{n}", "serial": f"SANDBOX-{n}"} for n in (1, 2)],
        "time": checked["data"]["time"],
    }
    assert checked == {"success": True, "data": order}
    assert listed["data"]["items"] == [order | {"product": REQUEST["productId"], "type": REQUEST["typeId"]}]
    assert len(accepted) == connections
