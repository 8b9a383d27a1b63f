"""In the tests of the API's client a `client` is one of the scripted server."""

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
