"""In the tests of the API's client a `client` is one of the scripted server."""

import socket

import pytest
from samples import KEY
from scripted_server import CERTIFICATE

from giftlib.api import Client


@pytest.fixture
def client(server):
    """A client of `server`, which may place orders."""
    return Client(KEY, server.url, allow_production=True)


@pytest.fixture
def trusted(monkeypatch):
    """The certificate of the scripted servers is trusted."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))


@pytest.fixture
def through_proxy(monkeypatch, trusted):
    """Make a client that reaches api.test through a proxy with these replies."""
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)

    def make(server, address=None, host="api.test", **settings):
        monkeypatch.setenv("HTTPS_PROXY", address or server.url)
        return Client(KEY, f"https://{host}", **settings)

    return make


@pytest.fixture
def hanging():
    """An address where connecting takes forever: no connection is accepted, and the queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        queue = [socket.socket() for _ in range(3)]
        for waiting in queue:
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()
        for waiting in queue:
            waiting.close()
