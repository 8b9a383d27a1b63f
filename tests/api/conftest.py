"""In the tests of the API's client a `client` is one of the scripted server."""

import pytest
from samples import KEY

from giftlib.api import Client


@pytest.fixture
def client(server):
    """A client of `server`, which may place orders."""
    return Client(KEY, server.url, allow_production=True)
