"""The router's own responses."""

import pytest

from giftlib.sandbox.router import MOST_BYTES


@pytest.mark.parametrize(("size", "status"), [(MOST_BYTES, 400), (MOST_BYTES + 1, 413)])
def test_body_too_large(call, size, status):
    """A body that is too large is rejected by the router."""
    response = call("gift-cards/placeOrder", "POST", data=b"x" * size)
    assert response.status_code == status
    assert ("success" in response.json()) == (status == 400)


@pytest.mark.parametrize(("path", "allowed"), [("gift-cards/placeOrder", "POST, OPTIONS"), ("ping", "GET, OPTIONS")])
def test_wrong_method(open_sandbox, path, allowed):
    """Where a wrong method gets 405, it gets the right ones in Allow."""
    response = open_sandbox(wrong_method="405")(path, "DELETE")
    assert (response.status_code, response.headers["Allow"]) == (405, allowed)
