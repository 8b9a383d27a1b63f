"""No test speaks to the vendor, whatever key the environment holds, but those marked `live` under `-m live`."""

import os
from contextlib import ExitStack

import matplotlib
import pytest
from hypothesis import settings
from raw_http import calling

for name in ("ONECLICKDZ_API_KEY", "ONECLICKDZ_BASE_URL"):
    if name in os.environ:
        os.environ[f"LIVE_{name}"] = os.environ.pop(name)  # where only the live tests look, in this and other workers
os.environ.pop("GIFTLIB_SANDBOX_SETTINGS", None)
matplotlib.use("Agg")
settings.register_profile("giftlib", deadline=None)
settings.load_profile("giftlib")


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
