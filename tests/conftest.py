"""No test speaks to the vendor, whatever key the environment holds, but those marked `live` under `-m live`."""

import os

import matplotlib
import pytest
import requests
from hypothesis import settings

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
        sandbox = Sandbox(**{"latency_s": 0, "fulfilment_s": 10, "rate_limit_per_minute": None} | settings)
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
