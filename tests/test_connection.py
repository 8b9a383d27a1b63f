"""Which API a client is connected to: the vendor's, or an emulator if there is no key."""

import gc
import warnings
from contextlib import suppress
from functools import partial
from traceback import TracebackException

import pytest
import requests
from samples import KEY, PRODUCT

from giftlib import (
    AuthenticationError,
    Client,
    NoAnswerError,
    ProductionKeyError,
    Sandbox,
    SimulatedClock,
    SystemClock,
    check_order_status,
    connect,
    place_order,
    poll_order_until_complete,
)
from giftlib.connection import environment
from giftlib.sandbox import Settings

ORDER = (PRODUCT, "type_001", 1)


@pytest.fixture
def vendor(make_sandbox, monkeypatch):
    """Make an emulator in the vendor's place: on the system clock, with its key in the environment."""

    def start(**settings):
        sandbox = make_sandbox(clock=SystemClock(), latency_s=0, fulfilment_s=0, **settings)
        monkeypatch.setenv("ONECLICKDZ_API_KEY", sandbox.api_key)
        monkeypatch.setenv("ONECLICKDZ_BASE_URL", sandbox.url)
        return sandbox

    return start


def test_without_key():
    """Without a key an emulator on a simulated clock is used."""
    client = connect(fulfilment_s=200)
    assert isinstance(client.clock, SimulatedClock)
    assert poll_order_until_complete(place_order(*ORDER)).is_final
    assert client.clock.monotonic() > 200


def test_last_connection():
    """The functions use the client that was connected last."""
    first, second = connect(seed=1), connect(seed=2)
    order_id = place_order(*ORDER)
    assert check_order_status(order_id, client=second).order_id == order_id
    assert first.list_orders().total_results == 0


def test_with_key(vendor):
    """With a key the environment's host is used, on the system clock."""
    sandbox = vendor()
    client = connect(seed=5, fulfilment_s=100)
    assert isinstance(client.clock, SystemClock)
    assert client.base_url == sandbox.url
    assert [request.path for request in sandbox.requests] == ["/v3/validate"]
    assert poll_order_until_complete(place_order(*ORDER)).is_final


def test_blank_variables(monkeypatch):
    """A blank key and a blank address count as unset."""
    monkeypatch.setenv("ONECLICKDZ_API_KEY", "  ")
    monkeypatch.setenv("ONECLICKDZ_BASE_URL", "")
    assert isinstance(connect().clock, SimulatedClock)


def test_production_key_by_environment(vendor):
    """With a production key no order is placed unless that is allowed."""
    sandbox = vendor(key_type="PRODUCTION")
    client = connect()
    assert client.balance() > 0
    with pytest.raises(ProductionKeyError, match="allow_production=True"):
        place_order(*ORDER)
    assert not any("placeOrder" in request.path for request in sandbox.requests)
    connect(allow_production=True)
    assert place_order(*ORDER)


def test_wrong_key_at_connect(vendor, monkeypatch):
    """A wrong key is an error when connecting, and is not repeated."""
    sandbox = vendor()
    monkeypatch.setenv("ONECLICKDZ_API_KEY", "wrong-key")
    with pytest.raises(AuthenticationError) as caught:
        connect()
    assert len(sandbox.requests) == 1
    assert "wrong-key" not in str(caught.value)


def test_emulator_ends_with_client():
    """The emulator ends with its client."""
    client = connect()
    url = client.base_url
    connect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del client
        gc.collect()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/v3/ping", timeout=1)


@pytest.mark.parametrize("error", [None, KeyError, KeyboardInterrupt])
def test_client_in_a_with_statement(error):
    """A with statement closes the client and its emulator, whatever ends it; a second close does nothing."""
    with suppress(KeyError, KeyboardInterrupt), connect() as client:
        assert client.balance() > 0
        if error is not None:
            raise error
    with pytest.raises(NoAnswerError, match="Connection refused"):
        client.balance()
    client.close()


def test_after_the_with_statement():
    """After it the functions do not take the closed emulator for one that does not respond."""
    with connect() as outer, connect() as inner:
        assert check_order_status(place_order(*ORDER)).order_id
    for _ in range(2):
        with pytest.raises(ValueError, match=r"client of connect\(\) is closed.*call connect\(\) again"):
            place_order(*ORDER)
    assert not any(client.base_url == connect().base_url for client in (outer, inner))
    assert place_order(*ORDER)


def test_closed_with_key(vendor):
    """A client with a key only closes its connections, and makes a new one for what comes after."""
    vendor()
    with connect():
        pass
    assert place_order(*ORDER)


@pytest.mark.parametrize("name", ["api_key", "API_KEY", "key", "token", "base_url", "access_token",
                                  "ONECLICKDZ_API_KEY", "secret", "auth", "password"])  # fmt: skip
@pytest.mark.parametrize("with_key", [False, True])
def test_key_as_an_argument(vendor, with_key, name):
    """A key or address as an argument is an error that says where it belongs, and is not shown."""
    if with_key:
        vendor()
    with pytest.raises(TypeError, match=f"connect takes no {name}: set ONECLICKDZ_API_KEY") as caught:
        connect(**{name: "sk_secret"})
    shown = "".join(TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "sk_secret" not in shown.replace('{name: "sk_secret"}', "")


@pytest.mark.parametrize("name", ["host", "port", "clock", "request_timeout", "allow_production", "key_type",
                                  "settings"])  # fmt: skip
def test_key_in_the_wrong_place(name):
    """A key that was meant for another argument is not repeated by the error."""
    with pytest.raises((ValueError, OSError)) as caught:
        connect(**{name: KEY})
    assert name in str(caught.value)
    assert KEY not in "".join(TracebackException.from_exception(caught.value).format())


@pytest.mark.parametrize("with_key", [False, True])
@pytest.mark.parametrize(("name", "meant"), [
    ("request_timout", "request_timeout"), ("allow_prodution", "allow_production"), ("fulfillment_s", "fulfilment_s"),
])  # fmt: skip
def test_misspelt_argument(vendor, with_key, name, meant):
    """A misspelt argument is an error, with a key in the environment too, that says which is meant."""
    if with_key:
        vendor()
    with pytest.raises(TypeError, match=f"connect takes no {name}; did you mean '{meant}'?"):
        connect(**{name: 60})


def test_settings_as_one_argument(tmp_path, monkeypatch):
    """Settings that were read or calibrated are passed as they are, in the place of the file's."""
    (tmp_path / "settings.json").write_text('{"latency_s": 3}')
    monkeypatch.setenv("GIFTLIB_SANDBOX_SETTINGS", str(tmp_path / "settings.json"))
    connect(settings=Settings.of(fulfilment_s=200), partial_rounding="up")
    assert environment()["settings"] == {"fulfilment_s": 200, "partial_rounding": "up"}


@pytest.mark.parametrize("clock", [5, 0, SimulatedClock, object()])
def test_no_clock(clock):
    """What is no clock is named when it is passed, by whatever takes one."""
    for make in (connect, Sandbox, partial(Client, KEY)):
        with pytest.raises(ValueError, match="clock must be"):
            make(clock=clock)


def test_settings_file(tmp_path, monkeypatch):
    """A settings file applies to every emulator, and arguments override it."""
    (tmp_path / "settings.json").write_text('{"fulfilment_s": 200, "test_type_price": "5"}')
    monkeypatch.setenv("GIFTLIB_SANDBOX_SETTINGS", str(tmp_path / "settings.json"))
    client = connect(fulfilment_s=10)
    order = poll_order_until_complete(place_order(PRODUCT, "TEST_PARTIAL", 2))
    assert order.refunded_amount == 5
    assert 10 < client.clock.monotonic() < 100
    assert environment()["settings"] == {"fulfilment_s": 10, "test_type_price": "5"}


@pytest.mark.parametrize("value", ["", "  "])
def test_blank_settings_file(monkeypatch, value):
    """A blank name of a settings file counts as unset."""
    monkeypatch.setenv("GIFTLIB_SANDBOX_SETTINGS", value)
    connect()
    assert environment()["settings"] == {}


def test_bad_settings_file(tmp_path, monkeypatch):
    """An unknown setting in the file is named."""
    (tmp_path / "settings.json").write_text('{"no_such": 1}')
    monkeypatch.setenv("GIFTLIB_SANDBOX_SETTINGS", str(tmp_path / "settings.json"))
    with pytest.raises(ValueError, match="no_such"):
        connect()


@pytest.mark.parametrize("name", ["ONECLICKDZ_BASE_URL", "ONECLICKDZ_APIKEY", "ONECLICKDZ_KEY", "ONECLIKDZ_API_KEY",
                                  "oneclickdz_api_key"])  # fmt: skip
def test_address_without_key(monkeypatch, name):
    """An address without a key, or a misspelt variable, is an error instead of the emulator; its value is not shown."""
    monkeypatch.setenv(name, "sk_secret")
    with pytest.raises(ValueError, match=f"{name} is set but ONECLICKDZ_API_KEY is not") as caught:
        connect()
    assert "sk_secret" not in str(caught.value)


@pytest.mark.parametrize("made", [Client, Sandbox])
def test_shown_when_half_made(made):
    """What `unittest --locals` or a debugger shows of one whose arguments were refused is no error of its own."""
    with pytest.raises((TypeError, ValueError)) as caught:
        made("a b", clock=5)
    shown = "".join(TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert f"self = {made.__name__}(not made)" in shown
