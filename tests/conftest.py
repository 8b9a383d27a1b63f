"""No test speaks to the vendor, whatever key the environment holds, but those marked `live` under `-m live`."""

import gc
import os
import sys
from contextlib import ExitStack
from datetime import UTC, datetime

import matplotlib
import pytest
from hypothesis import settings
from raw_http import calling
from samples import KEY, SANDBOX_KEY
from scripted_server import ScriptedServer, success
from thorough import tries

from giftlib import Client, Journal, Sandbox, SimulatedClock

for name in ("ONECLICKDZ_API_KEY", "ONECLICKDZ_BASE_URL"):
    if name in os.environ:
        os.environ[f"LIVE_{name}"] = os.environ.pop(name)  # where only the live tests look, in this and other workers
os.environ.pop("GIFTLIB_SANDBOX_SETTINGS", None)
matplotlib.use("Agg")
settings.register_profile("giftlib", deadline=None, max_examples=tries(25, 100))
settings.load_profile("giftlib")


def pytest_collection():
    """No garbage comes up while tests are collected, and what stays is not searched for any later."""
    gc.disable()


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


@pytest.fixture
def open_sandbox():
    """Opens sandboxes with latency 0, orders that take 10 s and no rate limit, or other settings; gives Callers."""
    with ExitStack() as opened:

        def open_one(*args, **settings):
            return opened.enter_context(calling(*args, **{"fulfilment_s": 10} | settings))

        yield open_one


@pytest.fixture
def call(open_sandbox):
    """A Caller of a sandbox with latency 0, orders that take 10 s and no rate limit."""
    return open_sandbox()


@pytest.fixture
def make_sandbox():
    """Make sandboxes with any settings, on simulated clocks; they are closed after the test."""
    with ExitStack() as opened:
        yield lambda *args, **settings: opened.enter_context(Sandbox(*args, **settings))


class Finalized:
    """An object in a circle, whose finalizer needs 100 levels of calls."""

    def __init__(self):
        self.circle = self

    def __del__(self):
        sum_of(100)


def sum_of(levels):
    return levels and levels + sum_of(levels - 1)


@pytest.fixture
def finalizers(monkeypatch):
    """Finalizers run all the time, in whatever thread; those that failed."""
    failed, threshold = [], gc.get_threshold()

    def again(phase, _):
        if phase == "stop":
            Finalized()

    monkeypatch.setattr(sys, "unraisablehook", failed.append)
    gc.callbacks.append(again)
    gc.set_threshold(20)
    yield failed
    gc.set_threshold(*threshold)
    gc.callbacks.remove(again)


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
    """A client of `server` on a simulated clock, which may place orders; it knows its key and the time there."""
    client = Client(KEY, server.url, clock=SimulatedClock(datetime(2026, 1, 1, tzinfo=UTC)), allow_production=True)
    replies, server.replies = server.replies, [SANDBOX_KEY]
    client.validate()
    server.replies = replies
    server.requests.clear()
    return client
