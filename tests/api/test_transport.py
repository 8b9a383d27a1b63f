"""One time-out bounds the whole exchange, and nothing but an answer from the right host is believed."""

import gzip
import socket
import threading
import tracemalloc
from itertools import chain, repeat

import pytest
from scripted_server import CERTIFICATE, Do, ScriptedServer, reply, success
from urllib3.exceptions import NewConnectionError

from giftlib.api.client import Client
from giftlib.api.errors import NoAnswerError, OrderOutcomeUnknownError

KEY = "3f2b8a54-0000-4000-8000-5ec0e7a11ce5"
BALANCE = success({"balance": 1})
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def outcome(call):
    """What a call gives or raises; the test fails if it does not end in 5 s."""
    results = []

    def run():
        try:
            results.append(call())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(5)
    assert results, "the call did not end"
    return results[0]


def drip(*pieces):
    """The pieces with a short pause before each."""
    return chain.from_iterable((Do.PAUSE, piece) for piece in chain(*pieces))


NEVER_ENDING = {
    "no answer": lambda: [Do.HANG],
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
def test_the_time_out_bounds_the_whole_exchange(pieces):
    with ScriptedServer(pieces()) as server:
        error = outcome(Client(KEY, server.url, request_timeout=0.1).balance)
        assert isinstance(error, NoAnswerError) and error.sent
        # 100 header lines are too many for HTTP before they are too slow.
        assert "no response within 0.1 s" in str(error) or "not HTTP" in str(error)
        assert len(server.requests) == 1


def test_a_look_may_be_allowed_less_than_the_client_s_time_out():
    with ScriptedServer([Do.HANG]) as server:
        client = Client(KEY, server.url, request_timeout=60)
        for look in (lambda: client.check_order_status("id", timeout=0.05), lambda: client.list_orders(timeout=0.05)):
            assert "within 0.05 s" in str(outcome(look))


def test_a_time_out_of_centuries_is_no_error():
    with ScriptedServer(BALANCE) as server:
        assert Client(KEY, server.url, request_timeout=1e9).balance() == 1


NOT_AN_ANSWER = {
    "closed before an answer": [Do.CLOSE],
    "reset before an answer": [Do.RESET],
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
    "5,000-digit integer": [reply(b'{"success": true, "data": {"balance": ' + b"9" * 5000 + b"}}")],
}


@pytest.mark.parametrize("pieces", NOT_AN_ANSWER.values(), ids=NOT_AN_ANSWER)
def test_what_is_no_answer_of_the_api_is_told_so_and_asked_for_once(pieces):
    with ScriptedServer(pieces) as server:
        error = outcome(Client(KEY, server.url, request_timeout=2).balance)
        assert type(error) is NoAnswerError and error.sent
        assert str(error).startswith("GET /v3/account/balance: ") and str(error).isprintable()
        assert len(server.requests) == 1


@pytest.mark.parametrize("pieces", NOT_AN_ANSWER.values(), ids=NOT_AN_ANSWER)
def test_a_purchase_without_a_readable_answer_is_sent_once_and_its_outcome_unknown(pieces):
    with ScriptedServer(pieces) as server:
        client = Client(KEY, server.url, request_timeout=2, allow_production=True)
        error = outcome(lambda: client.place_order("product", "type", 1))
        assert type(error) is OrderOutcomeUnknownError
        assert type(error.__cause__) is NoAnswerError
        assert len(server.requests) == 1


def test_the_status_of_an_answer_that_broke_off_is_kept():
    with ScriptedServer([b"HTTP/1.1 503 Busy\r\nContent-Length: 50\r\n\r\n{", Do.CLOSE]) as server:
        assert outcome(Client(KEY, server.url).balance).status == 503


@pytest.mark.parametrize("status", [200, 302, 500])
@pytest.mark.parametrize("zipped", [False, True])
def test_an_answer_of_more_than_10_mib_is_not_kept(status, zipped):
    body = b" " * 60 * 2**20
    answer = reply(gzip.compress(body, 1) if zipped else body, status=status, Location="/elsewhere")
    answer = answer.replace(b"Location", b"Content-Encoding: gzip\r\nLocation") if zipped else answer
    with ScriptedServer(answer) as server:
        client = Client(KEY, server.url)
        tracemalloc.start()
        try:
            error = outcome(client.balance)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert isinstance(error, NoAnswerError) and "more than 10 MiB" in str(error)
        assert error.status == status and peak < 45 * 2**20


def test_an_answer_of_less_than_10_mib_is_read():
    with ScriptedServer(success({"balance": 1, "padding": "x" * 9 * 2**20})) as server:
        assert Client(KEY, server.url).balance() == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300, 304])
def test_a_redirect_is_not_followed_and_the_key_stays_here(status):
    with ScriptedServer(BALANCE) as other:
        with ScriptedServer(reply(b"", status=status, Location=f"{other.url}/v3/account/balance")) as server:
            client = Client(KEY, server.url, allow_production=True)
            with pytest.raises(NoAnswerError, match="redirected") as caught:
                client.balance()
            assert caught.value.status == status
            with pytest.raises(OrderOutcomeUnknownError):
                client.place_order("product", "type", 1)
        assert len(server.requests) == 2 and not other.requests


def test_a_refused_connection_proves_that_nothing_was_sent():
    with ScriptedServer(BALANCE) as server:
        pass
    client = Client(KEY, server.url, allow_production=True)
    for call in (client.balance, lambda: client.place_order("product", "type", 1)):
        error = outcome(call)
        assert type(error) is NoAnswerError and not error.sent and "refused" in str(error)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b"])
def test_a_host_without_address_proves_that_nothing_was_sent(host, monkeypatch):
    def unknown(name, *args, **kwargs):
        name.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = outcome(lambda: Client(KEY, f"https://{host}", allow_production=True).place_order("product", "type", 1))
    assert type(error) is NoAnswerError and not error.sent


def test_a_certificate_nobody_vouches_for_is_refused_before_the_key_is_sent():
    with ScriptedServer(BALANCE, tls=True) as server:
        error = outcome(Client(KEY, server.url).balance)
        assert isinstance(error, NoAnswerError) and "certificate" in str(error)
        assert not server.requests


@pytest.fixture
def trusted(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))


def test_https_is_spoken_with_a_certificate_that_is_vouched_for(trusted):
    with ScriptedServer(BALANCE, tls=True) as server:
        client = Client(KEY, server.url)
        assert client.balance() == client.balance() == 1


@pytest.mark.parametrize("name", ["no answer", "dripped header", "dripped body", "endless 100 Continue"])
def test_the_time_out_bounds_an_exchange_over_https(name, trusted):
    with ScriptedServer(NEVER_ENDING[name](), tls=True) as server:
        assert isinstance(outcome(Client(KEY, server.url, request_timeout=0.15).balance), NoAnswerError)
        assert len(server.requests) == 1


def test_the_time_out_bounds_the_tls_handshake(trusted):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(KEY, f"https://127.0.0.1:{silent.getsockname()[1]}", request_timeout=0.1)
        assert "no response within" in str(outcome(client.balance))


@pytest.fixture
def hanging():
    """An address where connecting takes forever: nobody accepts, and the queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        queue = [socket.socket() for _ in range(3)]
        for waiting in queue:
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()
        for waiting in queue:
            waiting.close()


def resolve_to(monkeypatch, *addresses):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)


def test_all_addresses_of_a_host_share_the_time_out(hanging, monkeypatch):
    resolve_to(monkeypatch, *[hanging] * 60)
    error = outcome(Client(KEY, "https://many.test", request_timeout=0.1).balance)
    assert isinstance(error, NoAnswerError) and not error.sent and "no response within" in str(error)


def test_an_address_that_hangs_leaves_time_for_the_next(hanging, monkeypatch):
    with ScriptedServer(BALANCE) as server:
        resolve_to(monkeypatch, hanging, ("127.0.0.1", server.port))
        assert outcome(Client(KEY, "http://localhost", request_timeout=0.4).balance) == 1


@pytest.fixture
def through_proxy(monkeypatch, trusted):
    """Make a client that reaches api.test through a proxy with these replies."""
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)

    def make(server, **settings):
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        return Client(KEY, "https://api.test", **settings)

    return make


TUNNEL = [b"HTTP/1.1 200 Connected\r\n\r\n", Do.START_TLS]


def test_a_proxy_sees_the_host_but_not_the_key(through_proxy):
    with ScriptedServer(TUNNEL, BALANCE) as proxy:
        assert through_proxy(proxy).balance() == 1
    tunnel, asked = proxy.requests
    assert (tunnel.method, tunnel.target) == ("CONNECT", "api.test:443") and KEY not in str(tunnel)
    assert asked.headers["x-access-token"] == KEY


@pytest.mark.parametrize("name", ["no answer", "dripped header lines", "dripped body"])
def test_the_time_out_bounds_an_exchange_through_a_proxy(name, through_proxy):
    with ScriptedServer(TUNNEL, NEVER_ENDING[name]()) as proxy:
        assert isinstance(outcome(through_proxy(proxy, request_timeout=0.15).balance), NoAnswerError)


@pytest.mark.parametrize("name", ["no answer", "dripped header", "endless 100 Continue"])
def test_the_time_out_bounds_a_proxy_that_opens_no_tunnel(name, through_proxy):
    with ScriptedServer(NEVER_ENDING[name]()) as proxy:
        assert isinstance(outcome(through_proxy(proxy, request_timeout=0.1).balance), NoAnswerError)
        assert [request.method for request in proxy.requests] == ["CONNECT"]


def test_a_proxy_that_cannot_be_reached_proves_that_nothing_was_sent(through_proxy):
    with ScriptedServer(BALANCE) as proxy:
        pass
    client = through_proxy(proxy, allow_production=True)
    error = outcome(lambda: client.place_order("product", "type", 1))
    assert type(error) is NoAnswerError and not error.sent


def test_this_machine_is_never_asked_through_a_proxy(monkeypatch):
    with ScriptedServer(BALANCE) as proxy, ScriptedServer(BALANCE) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert Client(KEY, server.url).balance() == 1
        assert not proxy.requests


def test_a_netrc_file_adds_nothing_to_a_request(tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with ScriptedServer(BALANCE) as server:
        Client(KEY, server.url).balance()
        assert "authorization" not in server.requests[0].headers


def test_a_broken_exchange_does_not_spoil_the_next():
    with ScriptedServer([HEAD + b"Content-Length: 50\r\n\r\n{", Do.HANG], [BALANCE, Do.CLOSE], BALANCE) as server:
        client = Client(KEY, server.url, request_timeout=0.1)
        assert isinstance(outcome(client.balance), NoAnswerError)
        client = Client(KEY, server.url)
        assert client.balance() == 1


def test_what_the_caller_was_handling_is_not_taken_for_what_broke():
    with ScriptedServer([Do.CLOSE]) as server:
        client = Client(KEY, server.url, allow_production=True)
        with ScriptedServer(BALANCE) as closed:
            pass
        try:
            socket.create_connection(("127.0.0.1", closed.port))
        except OSError as refused:
            try:
                raise NewConnectionError(None, "somebody else's") from refused
            except NewConnectionError:
                with pytest.raises(OrderOutcomeUnknownError) as caught:
                    client.place_order("product", "type", 1)
        assert "refused" not in str(caught.value.__cause__)
