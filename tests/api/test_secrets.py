"""The key and the cards' codes stand in no error, log or listing, whatever the server sends."""

import copy
import json
import logging
import pickle
from unittest import mock

import pytest
from exposure import reachable, secrets_in, secrets_shown
from samples import CODE, KEY, ORDER_ID, PRODUCT, SANDBOX_KEY, SERIAL, listing
from scripted_server import Do, outcome_of, reply, success

from giftlib import connect
from giftlib.api import Client, GiftlibError

CARDS = [{"value": CODE, "serial": SERIAL}]
LEAKY_ORDER = {"_id": "other", "status": "FULFILLED", "cards": CARDS, "token": [KEY, [KEY]]}


ECHO = {
    "code": KEY,
    "message": f"bad key {KEY}",
    "details": {KEY: [{"x": KEY}], "cards": [{"value": CODE}], "given": [{"value": CODE, "serial": CODE}]},
}
ERROR_WITH_CODE = {"message": f"m {CODE}", "details": {"code": CODE, "pin": CODE, CODE: 1, "deep": [[CODE]]}}
LEAKS = {
    "error that echoes the key": reply({"success": False, "error": ECHO, "requestId": KEY}, status=401),
    "headers that echo the key": reply(status=403, X_Request_Id=KEY, X_Echo=KEY, Set_Cookie=f"k={KEY}"),
    "error with cards": reply({"success": False, "data": LEAKY_ORDER, "error": {"details": LEAKY_ORDER}}, status=500),
    "order without success": reply({"success": False, "data": LEAKY_ORDER}),
    "another order": success(LEAKY_ORDER),
    "data in a list": success([LEAKY_ORDER]),
    "cut order": reply(json.dumps({"data": LEAKY_ORDER})[:-1]),
    "cut body": [reply(json.dumps(LEAKY_ORDER) + " " * 99)[:-99], Do.CLOSE],
    "too large": success({"x": f"{CODE} {SERIAL} {KEY}" * 200_000}),
    "redirect": reply({"data": LEAKY_ORDER}, status=302, Location=f"/?token={KEY}"),
    "status line": [f"HTTP/1.1 {KEY} {CODE}\r\n\r\n".encode(), Do.CLOSE],
    "header line": [f"HTTP/1.1 200 OK\r\nContent-Length: {KEY}\r\n\r\n".encode(), Do.CLOSE],
    "reset": [Do.RESET],
}


@pytest.mark.parametrize(
    "call",
    [
        Client.balance,
        Client.catalog,
        Client.list_orders,
        lambda client: client.check_order_status(ORDER_ID),
        lambda client: client.place_order(PRODUCT, "type_001", 1),
    ],
    ids=["balance", "catalog", "list_orders", "check_order_status", "place_order"],
)
@pytest.mark.parametrize("response", LEAKS.values(), ids=LEAKS)
def test_no_secret_in_error(server, client, response, call, caplog):
    """No error or log shows the key, a code or a serial, whatever the response is."""
    caplog.set_level(logging.DEBUG)
    server.replies = [response]
    with pytest.raises(GiftlibError) as caught:
        call(client)
    assert not secrets_shown(caught.value) and not secrets_in(caplog.text)


ORDER_LEAKS = {
    "codes under other names": success({"_id": "other", "codes": [CODE], "Cards": [{"Value": CODE}]}),
    "code in an error": reply({"success": False, "error": ERROR_WITH_CODE}, status=500),
    "code for a code": reply({"success": False, "error": {"code": CODE}}, status=500),
    "code as a status": success({"_id": "other", "status": CODE, "quantity": 1}),
    "key in capitals": reply({"success": False, "error": {"code": KEY.upper(), "message": KEY.upper()}}, status=500),
    "key with other strokes": reply({"success": False, "error": {"code": KEY.replace("_", "-")}}, status=500),
    "key at the end of a long id": reply(status=500, X_Request_Id="r" * 176 + KEY),
    "header without a colon": [f"HTTP/1.1 200 OK\r\nnocolon {KEY} {CODE}\r\n\r\n".encode(), Do.CLOSE],
}


@pytest.mark.parametrize("response", ORDER_LEAKS.values(), ids=ORDER_LEAKS)
def test_no_secret_in_order_error(server, client, response, caplog, request):
    """Neither a status check nor an order request shows the key or a code, however these are written."""
    caplog.set_level(logging.DEBUG)
    server.replies = [response]
    with pytest.raises(GiftlibError) as caught:
        client.check_order_status("requested")
    with pytest.raises(GiftlibError) as placing:
        client.place_order(PRODUCT, "type_001", 1)
    # A rejected order request is explained in the API's words: no card existed whose code these could hold.
    for error in [caught.value] if "code in an error" in request.node.name else [caught.value, placing.value]:
        assert not secrets_shown(error)
    assert not secrets_in(caplog.text)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, RecursionError, MemoryError])
def test_interrupted_check(server, client, raised):
    """A status check that is interrupted, by Ctrl-C or for want of memory, shows nothing of request and response."""
    server.replies = [success({"_id": "requested", "cards": [{"value": CODE}]})]
    for where in (
        "urllib3.HTTPResponse.stream",
        "giftlib.api.responses.as_card",
        "http.client.HTTPConnection.endheaders",
    ):
        with mock.patch(where, side_effect=raised), pytest.raises((raised, GiftlibError)) as caught:
            client.check_order_status("requested")
        assert not secrets_shown(caught.value)


@pytest.fixture
def vendor(server, monkeypatch):
    """The variables under which `connect` uses `server` with the key."""
    monkeypatch.setenv("ONECLICKDZ_API_KEY", KEY)
    monkeypatch.setenv("ONECLICKDZ_BASE_URL", server.url)
    return monkeypatch


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        ({"request_timeout": -1}, {}),
        ({"allow_production": 1}, {}),
        ({}, {"ONECLICKDZ_BASE_URL": "ftp://host"}),
        ({}, {"ONECLICKDZ_API_KEY": f"{KEY} {KEY}"}),
        ({}, {"ONECLICKDZ_BASE_URL": "https://api.test", "REQUESTS_CA_BUNDLE": "/nowhere"}),
        ({}, {"ONECLICKDZ_BASE_URL": "https://api.test", "HTTPS_PROXY": "socks5://127.0.0.1"}),
        ({"clock": object()}, {}),
    ],
)
def test_failed_connect(vendor, options, variables):
    """No variable of a connect() that fails leads to the key, whatever it fails of."""
    for name, value in variables.items():
        vendor.setenv(name, value)
    with pytest.raises((ValueError, AttributeError)) as caught:
        connect(**options)
    assert not secrets_shown(caught.value)


@pytest.mark.parametrize("response", [reply(status=401), [Do.CLOSE], success([])])
def test_rejected_connect(server, vendor, response):
    """No variable of a connect() whose key is not validated leads to the key."""
    server.replies = [response]
    with pytest.raises(GiftlibError) as caught:
        connect()
    assert not secrets_shown(caught.value)


def test_debug_output(server, client, monkeypatch, capsys, caplog):
    """What the standard library and urllib3 print of a request for debugging shows no secret."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("http.client.HTTPConnection.debuglevel", 1)
    server.replies = [SANDBOX_KEY, listing(LEAKY_ORDER)]
    client.validate()
    client.list_orders()
    assert not secrets_in(capsys.readouterr().out + caplog.text)


def test_no_secret_in_log(server, client, caplog):
    """The log names requests, but neither the key nor a code."""
    caplog.set_level(logging.DEBUG)
    server.replies = [SANDBOX_KEY, listing(LEAKY_ORDER)]
    client.validate()
    assert client.list_orders().items[0].cards[0].reveal() == (CODE, SERIAL)
    assert "/v3/gift-cards/list" in caplog.text
    assert not secrets_in(caplog.text)


def test_hidden_key(client):
    """A client does not show its key, and cannot be copied or pickled."""
    for text in (repr(client), str(client), f"{client}", repr(vars(client)), repr([client])):
        assert KEY not in text
    assert not secrets_in(" ".join(reachable(client)))
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError) as caught:
            copied(client)
        assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "bad",
    ["", " ", f"{KEY} ", f"{KEY}\n", f"{KEY}\r\nX: y", f"é{KEY}", f"{KEY}\x00", KEY * 21, None, 5, KEY.encode(), [KEY]],
)
def test_bad_key(bad):
    """A key that cannot be one is a ValueError that does not repeat it."""
    with pytest.raises(ValueError, match="^api_key must be") as caught:
        Client(bad)
    assert KEY not in str(caught.value)


def test_key_in_large_text(server):
    """The search for a key that resembles what surrounds it takes no time that grows with both."""
    key = "a" * 499 + "b"
    server.replies = [reply({"error": {"message": f"{key}{'a' * 9 * 2**20}"}}, status=400)]
    error = outcome_of(Client(key, server.url).balance)
    assert str(error) == f"GET /v3/account/balance: 400 HTTP_400: ****{'a' * 196}"
