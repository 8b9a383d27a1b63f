"""No test speaks to the vendor, whatever key the environment holds, but those marked `live` under `-m live`."""

import os
from contextlib import ExitStack
from datetime import UTC, datetime

import matplotlib
import pytest
import requests
from hypothesis import settings
from samples import KEY
from scripted_server import ScriptedServer, success

from giftlib import Client, Journal, SimulatedClock
from giftlib.sandbox import Sandbox

SAMPLE_PRODUCT = "507f1f77bcf86cd799439011"

for name in ("ONECLICKDZ_API_KEY", "ONECLICKDZ_BASE_URL"):
    if name in os.environ:
        os.environ[f"LIVE_{name}"] = os.environ.pop(name)  # where only the live tests look, in this and other workers
os.environ.pop("GIFTLIB_SANDBOX_SETTINGS", None)
matplotlib.use("Agg")
settings.register_profile("giftlib", deadline=None)
settings.load_profile("giftlib")


class Caller:
    """A keep-alive session that presents the sandbox's key."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["X-Access-Token"] = sandbox.api_key

    def __call__(self, path, method="GET", **kwargs):
        return self.session.request(method, f"{self.sandbox.url}/v3/{path}", timeout=5, **kwargs)

    def place(self, product=SAMPLE_PRODUCT, type_id="type_001", quantity=1):
        body = {"productId": product, "typeId": type_id, "quantity": quantity}
        return self("gift-cards/placeOrder", "POST", json=body)

    def order_id(self, *args, **kwargs):
        return self.place(*args, **kwargs).json()["data"]["orderId"]

    def check(self, order_id):
        return self(f"gift-cards/checkOrder/{order_id}")


@pytest.fixture
def open_sandbox():
    opened = []

    def open_one(**settings):
        sandbox = Sandbox(**{"latency_s": 0, "fulfilment_s": 10, "ceiling_per_minute": None} | settings)
        caller = Caller(sandbox)
        opened.append((sandbox, caller))
        return caller

    yield open_one
    for sandbox, caller in opened:
        caller.session.close()
        sandbox.close()


@pytest.fixture
def call(open_sandbox):
    return open_sandbox()


@pytest.fixture
def make_sandbox():
    """Make sandboxes with any settings, on simulated clocks; they are closed after the test."""
    with ExitStack() as opened:
        yield lambda *args, **settings: opened.enter_context(Sandbox(*args, **settings))


@pytest.fixture
def sandbox(make_sandbox):
    """A sandbox with default settings."""
    return make_sandbox()


@pytest.fixture
def client(sandbox):
    """A client of `sandbox`."""
    return sandbox.client()


@pytest.fixture
def journal():
    """An empty journal in memory."""
    with Journal() as journal:
        yield journal


@pytest.fixture
def server():
    """A server that sends exactly its `replies`."""
    with ScriptedServer(success({})) as server:
        yield server


@pytest.fixture
def scripted_client(server):
    """A client of `server` on a simulated clock, which may place orders."""
    return Client(KEY, server.url, clock=SimulatedClock(datetime(2026, 1, 1, tzinfo=UTC)), allow_production=True)
