import gc
import warnings

import pytest
import requests

from giftlib import (
    AuthenticationError,
    ProductionKeyError,
    SimulatedClock,
    SystemClock,
    check_order_status,
    connect,
    place_order,
    poll_order_until_complete,
)
from giftlib.connection import environment
from giftlib.sandbox import Sandbox

ORDER = ("507f1f77bcf86cd799439011", "type_001", 1)


@pytest.fixture
def vendor(monkeypatch):
    """An emulator in the vendor's place: on the system clock, its key in the environment."""

    def start(**settings):
        sandbox = Sandbox(clock=SystemClock(), latency_s=0, fulfilment_s=0, **settings)
        monkeypatch.setenv("ONECLICKDZ_API_KEY", sandbox.api_key)
        monkeypatch.setenv("ONECLICKDZ_BASE_URL", sandbox.url)
        started.append(sandbox)
        return sandbox

    started = []
    yield start
    for sandbox in started:
        sandbox.close()


def test_without_a_key_an_emulator_on_a_simulated_clock_stands_in():
    client = connect(fulfilment_s=200)
    assert isinstance(client.clock, SimulatedClock)
    assert poll_order_until_complete(place_order(*ORDER)).is_final
    assert client.clock.monotonic() > 200


def test_the_functions_use_the_client_that_was_connected_last():
    first, second = connect(seed=1), connect(seed=2)
    order_id = place_order(*ORDER)
    assert check_order_status(order_id, client=second).order_id == order_id
    assert first.list_orders().total_results == 0


def test_with_a_key_the_environments_host_is_asked_on_the_system_clock(vendor):
    sandbox = vendor()
    client = connect(seed=5, fulfilment_s=100)
    assert isinstance(client.clock, SystemClock)
    assert client.base_url == sandbox.url
    assert [request.path for request in sandbox.requests] == ["/v3/validate"]
    assert poll_order_until_complete(place_order(*ORDER)).is_final


def test_a_blank_key_and_a_blank_address_count_as_unset(monkeypatch):
    monkeypatch.setenv("ONECLICKDZ_API_KEY", "  ")
    monkeypatch.setenv("ONECLICKDZ_BASE_URL", "")
    assert isinstance(connect().clock, SimulatedClock)


def test_with_a_production_key_nothing_is_bought_unless_allowed(vendor):
    sandbox = vendor(key_type="PRODUCTION")
    client = connect()
    assert client.balance() > 0
    with pytest.raises(ProductionKeyError, match="allow_production=True"):
        place_order(*ORDER)
    assert not any("placeOrder" in request.path for request in sandbox.requests)
    connect(allow_production=True)
    assert place_order(*ORDER)


def test_a_wrong_key_is_told_at_once(vendor, monkeypatch):
    sandbox = vendor()
    monkeypatch.setenv("ONECLICKDZ_API_KEY", "wrong-key")
    with pytest.raises(AuthenticationError) as caught:
        connect()
    assert len(sandbox.requests) == 1
    assert "wrong-key" not in str(caught.value)


def test_the_emulator_ends_with_its_client():
    client = connect()
    url = client.base_url
    connect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del client
        gc.collect()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/v3/ping", timeout=1)


def test_a_file_of_settings_is_for_every_emulator_and_arguments_win_over_it(tmp_path, monkeypatch):
    (tmp_path / "settings.json").write_text('{"fulfilment_s": 200, "test_type_price": "5"}')
    monkeypatch.setenv("GIFTLIB_SANDBOX_SETTINGS", str(tmp_path / "settings.json"))
    client = connect(fulfilment_s=10)
    order = poll_order_until_complete(place_order(ORDER[0], "TEST_PARTIAL", 2))
    assert order.refunded_amount == 5
    assert 10 < client.clock.monotonic() < 100
    assert environment()["settings"] == {"fulfilment_s": 10, "test_type_price": "5"}


@pytest.mark.parametrize("value", ["", "  "])
def test_a_blank_name_of_a_settings_file_counts_as_unset(monkeypatch, value):
    monkeypatch.setenv("GIFTLIB_SANDBOX_SETTINGS", value)
    connect()
    assert environment()["settings"] == {}


def test_a_file_without_settings_is_told(tmp_path, monkeypatch):
    (tmp_path / "settings.json").write_text('{"no_such": 1}')
    monkeypatch.setenv("GIFTLIB_SANDBOX_SETTINGS", str(tmp_path / "settings.json"))
    with pytest.raises(ValueError, match="no_such"):
        connect()
