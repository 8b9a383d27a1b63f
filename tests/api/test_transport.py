"""One time-out bounds the whole request, and only a response from the right host is believed."""

import gzip
import socket
import ssl
import threading
import tracemalloc
import zlib
from contextlib import suppress
from itertools import chain, repeat
from unittest import mock

import pytest
from samples import BALANCE, KEY
from scripted_server import CERTIFICATE, Do, ScriptedServer, outcome_of, reply, success

from giftlib.api import Client, NoAnswerError, OrderOutcomeUnknownError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TIMEOUT_S = 0.1


def drip(*pieces):
    """The pieces with a short pause before each."""
    return chain.from_iterable((Do.PAUSE, piece) for piece in chain(*pieces))


NEVER_ENDING = {
    "no response": lambda: [Do.HANG],
    "head without end": lambda: [HEAD, Do.HANG],
    "body without end": lambda: [HEAD + b"Content-Length: 50\r\n\r\n{", Do.HANG],
    "dripped status line": lambda: drip([b"HTTP/1.1 200 "], repeat(b"O")),
    "dripped header": lambda: drip([HEAD, b"X-Long: "], repeat(b"a")),
    "dripped header lines": lambda: drip([HEAD], repeat(b"X: a\r\n")),
    "dripped body": lambda: drip([HEAD + b"Content-Length: 100000\r\n\r\n"], repeat(b" ")),
    "dripped body without length": lambda: drip([HEAD + b"Connection: close\r\n\r\n"], repeat(b" ")),
    "dripped chunks": lambda: drip([HEAD + b"Transfer-Encoding: chunked\r\n\r\n"], repeat(b"1\r\n \r\n")),
    "dripped chunk size": lambda: drip([HEAD + b"Transfer-Encoding: chunked\r\n\r\n"], repeat(b"0")),
    "dripped trailers": lambda: drip([HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"], repeat(b"X: a\r\n")),
    "endless 100 Continue": lambda: drip(repeat(b"HTTP/1.1 100 Continue\r\n\r\n")),
}


@pytest.mark.parametrize("pieces", NEVER_ENDING.values(), ids=NEVER_ENDING)
def test_timeout(pieces):
    """The time-out ends a request, wherever the response hangs or drips."""
    with ScriptedServer(pieces()) as server:
        error = outcome_of(Client(KEY, server.url, request_timeout=TIMEOUT_S).balance)
        assert isinstance(error, NoAnswerError) and error.sent
        # 100 header lines are too many for HTTP before they are too slow.
        assert "no response within 0.1 s" in str(error) or "not HTTP" in str(error)
        assert len(server.requests) == 1


@pytest.mark.parametrize("broken", [Do.CLOSE, Do.RESET, b"?\r\n"])
def test_kept_connection_that_breaks(server, broken):
    """What breaks on a connection that was kept from the request before is named with host and port, too."""
    server.replies = [BALANCE, [broken, Do.CLOSE]]
    client = Client(KEY, server.url)
    client.balance()
    with pytest.raises(
        NoAnswerError, match=rf"balance: 127.0.0.1:{server.port}: (?!the request is not valid)"
    ) as caught:
        client.balance()
    assert caught.value.sent


def test_address_with_colons(monkeypatch):
    """The port of an address with colons can be told from it."""
    monkeypatch.setattr("giftlib.api.transport._connected", mock.Mock(side_effect=OSError(111, "Connection refused")))
    with pytest.raises(NoAnswerError, match=r"not sent, \[::1\]:7: Connection refused"):
        Client(KEY, "http://[::1]:7").balance()


NOT_A_RESPONSE = {
    "closed before a response": [Do.CLOSE],
    "reset before a response": [Do.RESET],
    "reset in the head": [HEAD, Do.RESET],
    "reset in the body": [HEAD + b"Content-Length: 50\r\n\r\n{", Do.PAUSE, Do.RESET],
    "closed in the body": [HEAD + b'Content-Length: 50\r\n\r\n{"success": true', Do.CLOSE],
    "closed in a chunk": [HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{", Do.CLOSE],
    "not HTTP": [b"SSH-2.0-OpenSSH_9.6\r\n", Do.CLOSE],
    "HTTP without a status": [b"HTTP/1.1\r\n\r\n", Do.CLOSE],
    "HTTP with a status in words": [b"HTTP/1.1 fine\r\n\r\n", Do.CLOSE],
    "zeros": [bytes(5000), Do.CLOSE],
    "one line of 70 KB": [b"HTTP/1.1 200 " + b"O" * 70_000 + b"\r\n\r\n", Do.CLOSE],
    "1,000 header lines": [HEAD + b"X: a\r\n" * 1000 + b"\r\n", Do.CLOSE],
    "a length in words": [HEAD + b"Content-Length: many\r\n\r\n", Do.CLOSE],
    "two lengths": [HEAD + b"Content-Length: 5, 6\r\n\r\n{}", Do.CLOSE],
    "chunk size in words": [HEAD + b"Transfer-Encoding: chunked\r\n\r\nmany\r\n", Do.CLOSE],
    "gzip that is none": [reply(b"{}", Content_Encoding="gzip")],
    "cut gzip": [reply(gzip.compress(b"{}" * 9999)[:-9], Content_Encoding="gzip")],
    "unknown encoding": [reply(gzip.compress(b"{}"), Content_Encoding="x-none")],
    "cut JSON": [reply(b'{"success": true, "data": {"balance": 1')],
    "length too short": [HEAD + b'Content-Length: 10\r\n\r\n{"data": {"balance": 1}}', Do.CLOSE],
    "empty": [reply()],
    "no content": [reply(status=204)],
    "early hints only": [b"HTTP/1.1 103 Early Hints\r\n\r\n", Do.CLOSE],
    "an unknown status": [reply(b"<html>", status=299)],
    "HTML": [reply(b"<!DOCTYPE html><p>200 \xe9", Content_Type="text/html")],
    "UTF-16": [reply('{"success": true, "data": {"balance": 1}}'.encode("utf-16"))],
    "list": [reply([])],
    "number": [reply(b"1")],
    "data is a list": [success([])],
    "no data": [reply({"success": True})],
    "nested too deep": [reply(b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")],
    "400-digit integer": [reply(b'{"success": true, "data": {"balance": ' + b"9" * 400 + b"}}")],
    "number of 9 MiB": [reply(b'{"success": true, "data": {"balance": 1.' + b"0" * 9 * 2**20 + b"}}")],
    "NaN": [reply(b'{"success": true, "data": {"balance": NaN}}')],
    "Infinity": [reply(b'{"success": true, "data": {"balance": 1, "x": [-Infinity]}}')],
    "lone surrogate": [reply(b'{"success": true, "data": {"balance": "\\ud800"}}')],
    "9 MiB of digits": [reply({"success": True, "data": {"balance": "9" * 9 * 2**20}})],
    "the last of two fields": [reply(b'{"data": {"balance": 1}, "data": []}')],
    "fields that the key hides": [reply({"data": {KEY: 1, KEY.upper(): {"balance": 1}}})],
    "9 MiB of spaces": [reply(b" " * 9 * 2**20)],
}


@pytest.mark.parametrize("pieces", NOT_A_RESPONSE.values(), ids=NOT_A_RESPONSE)
def test_unreadable_response(pieces):
    """What is not a response of the API is a NoAnswerError, and the request is sent once."""
    with ScriptedServer(pieces) as server:
        error = outcome_of(Client(KEY, server.url, request_timeout=2).balance)
        assert type(error) is NoAnswerError and error.sent
        assert str(error).startswith("GET /v3/account/balance: ") and str(error).isprintable()
        assert len(server.requests) == 1


@pytest.mark.parametrize("depth", [900, 980, 100_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":', b'["\\"",'])
def test_deep_response(finalizers, opening, depth):
    """However deep a response is nested, no finalizer that runs meanwhile reaches the limit of recursion."""
    body = b'{"data": ' + opening * depth
    with ScriptedServer([reply(body)]) as server:
        assert type(outcome_of(Client(KEY, server.url).balance)) is NoAnswerError
    assert finalizers == []


def test_brackets_in_texts(finalizers):
    """Brackets in a text are no levels of a response, nor are many of one level."""
    with ScriptedServer([success({"balance": 1, "x": "[{" * 500 + '\\"', "y": [[]] * 500})]) as server:
        assert Client(KEY, server.url).balance() == 1
    assert finalizers == []


@pytest.mark.parametrize("pieces", NOT_A_RESPONSE.values(), ids=NOT_A_RESPONSE)
def test_unreadable_order_response(pieces):
    """An order request without a readable response is sent once, and its outcome is unknown."""
    with ScriptedServer(pieces) as server:
        client = Client(KEY, server.url, request_timeout=2, allow_production=True)
        error = outcome_of(lambda: client.place_order("product", "type", 1))
        assert type(error) is OrderOutcomeUnknownError
        assert type(error.__cause__) is NoAnswerError
        assert len(server.requests) == 1


def peak_of(call):
    """What a call returns or raises, and the most memory that it took, in MiB."""
    tracemalloc.start()
    try:
        return outcome_of(call), tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("status", [200, 302, 500])
def test_large_response(status):
    """A response of more than 10 MiB is a NoAnswerError and does not fill the memory."""
    with ScriptedServer(reply(b" " * 60 * 2**20, status=status, Location="/elsewhere")) as server:
        error, peak = peak_of(Client(KEY, server.url).balance)
        assert isinstance(error, NoAnswerError) and "more than 10 MiB" in str(error)
        assert error.status == status and peak < 45


LARGE_COMPRESSED = gzip.compress(b" " * 60 * 2**20, 1)


@pytest.mark.parametrize("status", [200, 302, 500])
def test_large_compressed_response(status):
    """A response that is more than 10 MiB once decompressed is a NoAnswerError and does not fill the memory."""
    with ScriptedServer(reply(LARGE_COMPRESSED, status=status, Content_Encoding="gzip")) as server:
        error, peak = peak_of(Client(KEY, server.url).balance)
        assert isinstance(error, NoAnswerError) and "more than 10 MiB" in str(error)
        assert error.status == status and peak < 45


CONTENT = b'{"success": true, "data": {"balance": 1326.13}}'
ENCODED = {
    "gzip": gzip.compress(CONTENT), "GZIP": gzip.compress(CONTENT), "x-gzip": gzip.compress(CONTENT),
    "deflate": zlib.compress(CONTENT), "gzip, deflate": zlib.compress(gzip.compress(CONTENT)),
    "Deflate ": zlib.compress(CONTENT)[2:-4], "gzip,gzip": gzip.compress(gzip.compress(CONTENT)),
    "gzip, identity": gzip.compress(CONTENT), "aws-chunked,gzip": gzip.compress(CONTENT),
    "gzip ": gzip.compress(CONTENT[:9]) + gzip.compress(CONTENT[9:]),
    "identity": CONTENT, "utf-8": CONTENT, "": CONTENT, "gzip,": CONTENT,
}  # fmt: skip


@pytest.mark.parametrize(("encoding", "content"), ENCODED.items(), ids=[repr(name) for name in ENCODED])
def test_compressed_response(encoding, content):
    """A compressed response is not asked for, and read all the same; what is not compressed is read as it is."""
    with ScriptedServer(reply(content, Content_Encoding=encoding)) as server:
        assert str(Client(KEY, server.url).balance()) == "1326.13"
        assert server.requests[0].headers["accept-encoding"] == "identity"


MANY = {"objects": b"{},", "lists": b"[],", "decimals": b"0.1,", "texts": b'"ab",', "fields": b'{"a":0},'}


@pytest.mark.parametrize("item", MANY.values(), ids=MANY)
def test_many_values(item):
    """A response of more values than the API sends takes neither time nor memory, whatever they are."""
    content = b'{"data": {"balance": 1, "x": [' + item * (9 * 2**20 // len(item)) + b"0]}}"
    with ScriptedServer(reply(content)) as server:
        error, peak = peak_of(Client(KEY, server.url).balance)
        assert isinstance(error, NoAnswerError) and "cannot be read" in str(error) and peak < 45


def test_response_below_limit():
    """A response of less than 10 MiB is read."""
    with ScriptedServer(success({"balance": 1, "padding": "x" * 9 * 2**20})) as server:
        assert Client(KEY, server.url).balance() == 1


@pytest.mark.parametrize("framing", [
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
    b"Content-Length: 99999999999\r\n\r\n", b"\r\n", b"X: y\r\nX: " + b"z" * 60_000 + b"\r\n",
])  # fmt: skip
def test_endless_response(server, client, framing):
    """At most about 10 MiB are read of a response that does not end."""
    taken = 0

    class Endless:
        def __iter__(self):
            nonlocal taken
            yield b"HTTP/1.1 200 OK\r\n" + framing
            while True:
                yield b"x-y: " + b"z" * 65_000 + b"\r\n"
                taken += 65_007

    server.replies = [Endless()]
    with pytest.raises(NoAnswerError):
        client.balance()
    assert taken < 20 * 2**20  # what lies in the buffers between the two counts as well


def test_https(trusted):
    """With a trusted certificate https works."""
    with ScriptedServer(BALANCE, tls=True) as server:
        client = Client(KEY, server.url)
        assert client.balance() == client.balance() == 1


def test_missing_certificates(monkeypatch):
    """A file of certificates that does not exist is a ValueError that names its variable."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(ValueError, match="REQUESTS_CA_BUNDLE must name a file"):
        Client(KEY)


@pytest.mark.parametrize("name", ["no response", "dripped header", "dripped body", "endless 100 Continue"])
def test_https_timeout(name, trusted):
    """The time-out ends a request over https too."""
    with ScriptedServer(NEVER_ENDING[name](), tls=True) as server:
        assert isinstance(outcome_of(Client(KEY, server.url, request_timeout=1.5 * TIMEOUT_S).balance), NoAnswerError)
        assert len(server.requests) == 1


def test_handshake_timeout(trusted):
    """The time-out ends a TLS handshake that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(KEY, f"https://127.0.0.1:{silent.getsockname()[1]}", request_timeout=TIMEOUT_S)
        assert "no response within" in str(outcome_of(client.balance))


def resolve_to(monkeypatch, *addresses):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)


def test_many_addresses(hanging, monkeypatch):
    """All addresses of a host share one time-out."""
    resolve_to(monkeypatch, *[hanging] * 60)
    error = outcome_of(Client(KEY, "https://many.test", request_timeout=TIMEOUT_S).balance)
    assert isinstance(error, NoAnswerError) and not error.sent and "no response within" in str(error)


def test_hanging_address(hanging, monkeypatch):
    """An address that hangs leaves time for the next one."""
    with ScriptedServer(BALANCE) as server:
        resolve_to(monkeypatch, hanging, ("127.0.0.1", server.port))
        assert outcome_of(Client(KEY, "http://localhost", request_timeout=0.4).balance) == 1


TUNNEL = [b"HTTP/1.1 200 Connected\r\n\r\n", Do.START_TLS]


def test_proxy(through_proxy):
    """A proxy sees the host but not the key."""
    with ScriptedServer(TUNNEL, BALANCE) as proxy:
        assert through_proxy(proxy).balance() == 1
    tunnel, request = proxy.requests
    assert (tunnel.method, tunnel.target) == ("CONNECT", "api.test:443") and KEY not in str(tunnel)
    assert request.headers["x-access-token"] == KEY


@pytest.fixture
def relay():
    """The address of a proxy that is reached with TLS itself, and passes on all bytes between a client and `server`."""

    def carry(source, target):
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)

    def serve(server):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE)
        with suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True) as outer:
            assert outer.recv(65536).startswith(b"CONNECT api.test:443 ")
            outer.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            with socket.create_connection(("127.0.0.1", server.port)) as inner:
                threading.Thread(target=carry, args=(inner, outer), daemon=True).start()
                carry(outer, inner)

    def start(server):
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        return f"https://127.0.0.1:{listener.getsockname()[1]}"

    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield start


def test_proxy_with_tls(through_proxy, relay):
    """A tunnel through a proxy that is reached with TLS itself."""
    with ScriptedServer(BALANCE, tls=True) as server:
        assert outcome_of(through_proxy(None, address=relay(server)).balance) == 1


def test_timeout_of_proxy_with_tls(through_proxy, relay):
    """The time-out ends a request through it too."""
    with ScriptedServer(NEVER_ENDING["dripped body"](), tls=True) as server:
        client = through_proxy(None, address=relay(server), request_timeout=4 * TIMEOUT_S)
        error = outcome_of(client.balance)
        assert isinstance(error, NoAnswerError) and error.sent and "no response within" in str(error)


@pytest.mark.parametrize("name", ["no response", "dripped header lines", "dripped body"])
def test_proxy_timeout(name, through_proxy):
    """The time-out ends a request through a proxy."""
    with ScriptedServer(TUNNEL, NEVER_ENDING[name]()) as proxy:
        assert isinstance(outcome_of(through_proxy(proxy, request_timeout=1.5 * TIMEOUT_S).balance), NoAnswerError)


@pytest.mark.parametrize("name", ["no response", "dripped header", "endless 100 Continue"])
def test_tunnel_timeout(name, through_proxy):
    """The time-out ends a request whose proxy opens no tunnel."""
    with ScriptedServer(NEVER_ENDING[name]()) as proxy:
        assert isinstance(outcome_of(through_proxy(proxy, request_timeout=TIMEOUT_S).balance), NoAnswerError)
        assert [request.method for request in proxy.requests] == ["CONNECT"]


def test_loopback_without_proxy(monkeypatch):
    """A request to this machine does not go through a proxy."""
    with ScriptedServer(BALANCE) as proxy, ScriptedServer(BALANCE) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert Client(KEY, server.url).balance() == 1
        assert not proxy.requests


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_from_environment(monkeypatch, name):
    """A CA file is taken from the variables from which `requests` takes it."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(name, str(CERTIFICATE))
    with ScriptedServer(BALANCE, tls=True) as server:
        assert Client(KEY, server.url).balance() == 1
    monkeypatch.setenv(name, "/nowhere/ca.pem")
    with pytest.raises(ValueError, match=f"{name} must name a file"):
        Client(KEY)
