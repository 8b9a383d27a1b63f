"""What stops a request before it leaves: the error says so, by whom and why, and an order can be placed again."""

import gc
import resource
import socket
import threading
from contextlib import ExitStack, suppress
from unittest import mock

import pytest
from samples import BALANCE, KEY
from scripted_server import EXPIRED, Do, ScriptedServer, outcome_of

from giftlib.api import Client, NoAnswerError

TUNNEL = [b"HTTP/1.1 200 Connected\r\n\r\n", Do.START_TLS]


def reason_of(client):
    """Why an order request was not sent."""
    client.allow_production = True
    error = outcome_of(lambda: client.place_order("product", "type", 1))
    assert type(error) is NoAnswerError and not error.sent and error.status is None
    start, not_sent, reason = str(error).partition("not sent, ")
    assert start == "POST /v3/gift-cards/placeOrder: " and not_sent
    return reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (407, "407 Proxy Authentication Required"),
        (403, "403 Forbidden"),
        (502, "502 Bad Gateway"),
        (302, "302 Found"),
        (599, "599"),
    ],
)
def test_refusing_proxy(through_proxy, status, reason):
    """A proxy that opens no tunnel is named with its status, never with its words."""
    with ScriptedServer([b"HTTP/1.1 %d %b\r\n\r\n" % (status, KEY.encode()), Do.CLOSE]) as proxy:
        assert reason_of(through_proxy(proxy)) == f"the proxy 127.0.0.1:{proxy.port}: {reason}"


@pytest.mark.parametrize(
    "pieces", [[Do.CLOSE], [Do.RESET], [b"SSH-2.0\r\n", Do.CLOSE], [b"HTTP/1.1 200 OK\r\n", Do.HANG]]
)
def test_broken_proxy(through_proxy, pieces):
    """A proxy that is none opens no tunnel."""
    with ScriptedServer(pieces) as proxy:
        assert reason_of(through_proxy(proxy, request_timeout=0.2)).startswith(f"the proxy 127.0.0.1:{proxy.port}: ")


def test_unreachable_proxy(through_proxy):
    """A proxy that cannot be reached is named."""
    with ScriptedServer(BALANCE) as proxy:
        pass
    assert reason_of(through_proxy(proxy)) == f"the proxy 127.0.0.1:{proxy.port}: Connection refused"


def test_refused_connection():
    """A connection that is refused is named with host and port."""
    with ScriptedServer(BALANCE) as server:
        pass
    assert reason_of(Client(KEY, server.url)) == f"127.0.0.1:{server.port}: Connection refused"


def test_unknown_host(monkeypatch):
    """A host whose name is not known is named."""
    failure = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    monkeypatch.setattr(socket, "getaddrinfo", mock.Mock(side_effect=failure))
    assert reason_of(Client(KEY, "https://api.test:8443")) == "api.test:8443: Name or service not known"


def test_password_of_proxy(through_proxy, monkeypatch):
    """A proxy gets the password in its address, which stands in no error."""
    with ScriptedServer([b"HTTP/1.1 407 No\r\n\r\n", Do.CLOSE]) as proxy:
        client = through_proxy(proxy, address=proxy.url.replace("//", "//user:pass%40word@"))
        assert reason_of(client) == f"the proxy 127.0.0.1:{proxy.port}: 407 Proxy Authentication Required"
        assert proxy.requests[0].headers["proxy-authorization"] == "Basic dXNlcjpwYXNzQHdvcmQ="


@pytest.mark.parametrize(
    "address", ["socks5://u:secret@127.0.0.1:1", "http://", "http://u:secret@:99999", "//secret:a"]
)
def test_impossible_proxy(through_proxy, address):
    """A proxy that no connection can be made to is a ValueError that does not repeat it."""
    with pytest.raises(ValueError, match="^the proxy must be") as caught:
        through_proxy(None, address=address)
    assert "secret" not in repr((caught.value, caught.value.__context__))


def test_untrusted_certificate():
    """A certificate that nobody vouches for."""
    with ScriptedServer(BALANCE, tls=True) as server:
        assert reason_of(Client(KEY, server.url)) == f"127.0.0.1:{server.port}: self-signed certificate"
        assert not server.requests


def test_expired_certificate(monkeypatch):
    """A certificate whose time is over."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(EXPIRED))
    with ScriptedServer(BALANCE, tls=True, certificate=EXPIRED) as server:
        assert reason_of(Client(KEY, server.url)) == f"127.0.0.1:{server.port}: certificate has expired"
        assert not server.requests


def test_certificate_of_another_host(through_proxy):
    """A certificate for another host, at the end of a tunnel: it is not the proxy's."""
    with ScriptedServer(TUNNEL, BALANCE) as proxy:
        reason = reason_of(through_proxy(proxy, host="other.test"))
        assert reason.startswith("other.test:443: ") and "not valid for 'other.test'" in reason
        assert [request.method for request in proxy.requests] == ["CONNECT"]


def test_certificate_of_proxy(through_proxy, monkeypatch):
    """A proxy whose own certificate is not trusted."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with ScriptedServer(TUNNEL, BALANCE, tls=True) as proxy:
        assert reason_of(through_proxy(proxy)) == f"the proxy 127.0.0.1:{proxy.port}: self-signed certificate"


def test_not_tls(trusted):
    """A server that speaks no TLS."""

    def speak():
        connection, _ = listener.accept()
        connection.sendall(b"220 mail.test ready\r\n")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=speak, daemon=True).start()
        client = Client(KEY, f"https://127.0.0.1:{listener.getsockname()[1]}")
        assert reason_of(client).startswith(f"127.0.0.1:{listener.getsockname()[1]}: ")


@pytest.fixture
def no_descriptors():
    """A process that may open no more files."""
    gc.collect()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as opened:
        resource.setrlimit(resource.RLIMIT_NOFILE, (opened.enter_context(socket.socket()).fileno() + 50, limits[1]))
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        with suppress(OSError):
            while True:
                opened.enter_context(socket.socket())
        yield


def test_no_file_descriptor(server, scripted_client, no_descriptors):
    """A process that has no file descriptor left opens no socket."""
    assert reason_of(scripted_client) == f"127.0.0.1:{server.port}: Too many open files"


def test_no_thread(monkeypatch):
    """A process that can start no thread searches for no address."""

    def start(thread):
        raise RuntimeError("can't start new thread")

    client = Client(KEY, "http://localhost:1", allow_production=True)
    monkeypatch.setattr("giftlib.api.transport.Thread.start", start)
    with pytest.raises(NoAnswerError, match="not sent, localhost:1: ") as caught:
        client.place_order("product", "type", 1)
    assert not caught.value.sent


@pytest.mark.parametrize(("host", "body"), [("127.0.0.1", {"x": float("nan")}), (".test", {})])
def test_invalid_request(host, body):
    """A request that cannot be written down."""
    client = Client(KEY, f"https://{host}", allow_production=True)
    with pytest.raises(NoAnswerError, match=f"not sent, https://{host}: the request is not valid") as caught:
        client.request("POST", "gift-cards/placeOrder", body=body)
    assert not caught.value.sent


def test_family_without_support(monkeypatch):
    """An address of a family that this machine does not have leaves the others."""
    with ScriptedServer(BALANCE) as server:
        found = [(family, socket.SOCK_STREAM, 0, "", ("127.0.0.1", server.port)) for family in (12345, socket.AF_INET)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
        assert Client(KEY, "http://localhost").balance() == 1
