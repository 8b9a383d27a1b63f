"""The router's own answers."""

import pytest

from giftlib.sandbox.router import MOST_BYTES


@pytest.mark.parametrize(("size", "status"), [(MOST_BYTES, 400), (MOST_BYTES + 1, 413)])
def test_a_body_too_large_is_refused_by_the_router(call, size, status):
    answer = call("gift-cards/placeOrder", "POST", data=b"x" * size)
    assert answer.status_code == status
    assert ("success" in answer.json()) == (status == 400)


@pytest.mark.parametrize(("path", "allowed"), [("gift-cards/placeOrder", "POST, OPTIONS"), ("ping", "GET, OPTIONS")])
def test_a_wrong_method_is_told_the_right_ones(call, path, allowed):
    answer = call(path, "DELETE")
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
