"""Fixtures for the tests of a program that sells gift cards: a fresh emulator of the API for each test.

pytest loads this module in every project that has giftlib installed, so it imports nothing until a fixture is used.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from giftlib import Client, Sandbox


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "gift_card_sandbox(**settings): settings of the test's gift_card_sandbox")


@pytest.fixture
def gift_card_sandbox(request: pytest.FixtureRequest) -> "Iterator[Sandbox]":
    """Give a `giftlib.Sandbox` on a port of its own, closed after the test.

    Responses come at once, and orders are final at the first poll. Other arguments of `Sandbox` come from the marker
    `gift_card_sandbox`, of the class or module too, and then from an indirect parameter, a dict. The clock is
    simulated: with `fulfilment_s=5` orders are open until the test calls `gift_card_sandbox.clock.sleep(5)`, or, with
    `clock=SystemClock()`, for 5 real seconds.

    >>> import pytest
    >>> @pytest.mark.gift_card_sandbox(partial_rounding="up")
    ... def test_order(gift_card_sandbox):
    ...     gift_card_sandbox.next_order(delivered=0)
    ...     my_shop_buys(gift_card_sandbox.url, gift_card_sandbox.api_key)
    ...     gift_card_sandbox.assert_requested("POST", "/v3/gift-cards/placeOrder", times=1)
    """
    from giftlib import Sandbox

    given: dict[str, Any] = {"latency_s": 0, "fulfilment_s": 0}
    for marker in reversed([*request.node.iter_markers("gift_card_sandbox")]):
        given |= marker.kwargs
    given |= getattr(request, "param", {})
    with Sandbox(**given) as sandbox:
        yield sandbox


@pytest.fixture
def gift_card_client(gift_card_sandbox: "Sandbox") -> "Client":
    """Give a `giftlib.Client` of the test's sandbox, on its clock."""
    return gift_card_sandbox.client()
