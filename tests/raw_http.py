"""A sandbox asked by plain requests, with no client of giftlib between."""

import socket
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from samples import PRODUCT

from giftlib.sandbox import Sandbox

QUIET = {"latency_s": 0, "rate_limit_per_minute": None}
"""Settings under which requests take no time and any number of them is allowed."""


class Caller:
    """A keep-alive session with a sandbox and one of its keys."""

    def __init__(self, sandbox, key=None):
        self.sandbox = sandbox
        self.clock = sandbox.clock
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["X-Access-Token"] = key or sandbox.api_key

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.session.close()

    def __call__(self, path, method="GET", **kwargs):
        return self.session.request(method, f"{self.sandbox.url}/v3/{path}", **{"timeout": 5} | kwargs)

    def place(self, product=PRODUCT, type_id="type_001", quantity=1):
        body = {"productId": product, "typeId": type_id, "quantity": quantity}
        return self("gift-cards/placeOrder", "POST", json=body)

    def order_id(self, *args, **kwargs):
        return self.place(*args, **kwargs).json()["data"]["orderId"]

    def check(self, order_id):
        return self(f"gift-cards/checkOrder/{order_id}")

    def status(self, order_id):
        return self.check(order_id).json()["data"]["status"]

    def outcome(self, path="ping"):
        """The status of a response, or the type of the error without one."""
        try:
            return self(path).status_code
        except requests.RequestException as error:
            return type(error)

    def items(self, path):
        """The rows of a list."""
        return self(path).json()["data"]["items"]

    def listed(self):
        """The ids of the latest orders."""
        return [row["_id"] for row in self.items("gift-cards/list")]


@contextmanager
def calling(*args, **options):
    """A caller of a new quiet sandbox."""
    with Sandbox(*args, **QUIET | options) as sandbox, Caller(sandbox) as call:
        yield call


def connect(sandbox):
    """Open a bare socket to a sandbox."""
    address = urlsplit(sandbox.url)
    return socket.create_connection((address.hostname, address.port), timeout=5)
