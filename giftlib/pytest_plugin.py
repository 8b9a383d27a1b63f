"""Fixtures for the tests of a program that sells gift cards: a fresh emulator of the API for each test.

pytest loads this module in every project that has giftlib installed, so it imports nothing until a fixture is used.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from giftlib import Client, Sandbox

_NAME = "gift_card_sandbox"
_DEFAULTS = {
    "latency_s": 0, "fulfilment_s": 0, "rate_limit_per_minute": None, "production_rate_limit_per_minute": None,
}  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", f"{_NAME}(**settings): settings of the test's gift_card_sandbox")


@pytest.fixture
def gift_card_sandbox(request: pytest.FixtureRequest) -> "Iterator[Sandbox]":
    """Give a `giftlib.Sandbox` on a port of its own, closed after the test.

    Responses come at once, orders are final at the first poll, and there is no rate limit, each unless `settings` or a
    setting of it is given. Arguments of `Sandbox` come from the marker `gift_card_sandbox`, of the class or module too,
    the closest first, and before it from an indirect parameter, a dict. The clock is simulated: with `fulfilment_s=5`
    orders are open until the test calls `gift_card_sandbox.clock.sleep(5)`, or, with `clock=SystemClock()`, for 5 real
    seconds.

    >>> import pytest
    >>> @pytest.mark.gift_card_sandbox(partial_rounding="up")
    ... def test_order(gift_card_sandbox):
    ...     gift_card_sandbox.next_order(delivered=0)
    ...     my_shop_buys(gift_card_sandbox.url, gift_card_sandbox.api_key)
    ...     gift_card_sandbox.assert_requested("POST", "/v3/gift-cards/placeOrder", times=1)
    """
    from giftlib import Sandbox

    with Sandbox(**_arguments(request)) as sandbox:
        yield sandbox


def _arguments(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return what is given for a test, and the defaults of what is not."""
    parameter, callspec = getattr(request, "param", {}), getattr(request.node, "callspec", None)
    of_parameters = callspec.marks if callspec else []  # pytest has them behind those of the function
    markers = [*request.node.iter_markers(_NAME)][::-1] + [mark for mark in of_parameters if mark.name == _NAME]
    given: dict[str, Any] = {}
    for by_position, by_name in [*((marker.args, marker.kwargs) for marker in markers), ((), parameter)]:
        if by_position or not isinstance(by_name, dict):
            got = by_position[0] if by_position else by_name
            pytest.fail(f"{_NAME} takes names and values, as a parameter in a dict; got {got!r}", pytrace=False)
        given |= by_name
    if given.get("settings") is None:
        for name, value in _DEFAULTS.items():
            if not any(each.startswith(name.removesuffix("_s")) for each in given):
                given[name] = value
    return given


@pytest.fixture
def gift_card_client(gift_card_sandbox: "Sandbox") -> "Client":
    """Give a `giftlib.Client` of the test's sandbox, on its clock."""
    return gift_card_sandbox.client()
