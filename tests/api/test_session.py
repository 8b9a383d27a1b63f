"""What a request takes along and leaves behind, and what its error says of a connection that failed."""

import logging
import os
import socket
import time
from contextlib import suppress

import pytest
import requests
from samples import BALANCE, KEY, ORDER_ID
from scripted_server import Do, ScriptedServer, outcome_of, reply, success
from urllib3.exceptions import NewConnectionError

import giftlib
from giftlib.api import Client, NoAnswerError, OrderOutcomeUnknownError


def test_shorter_timeout():
    """One request may have a shorter time-out than the client's."""
    with ScriptedServer([Do.HANG]) as server:
        client = Client(KEY, server.url, request_timeout=60)
        for call in (lambda: client.check_order_status("id", timeout=0.02), lambda: client.list_orders(timeout=0.02)):
            assert "within 0.02 s" in str(outcome_of(call))


def test_huge_timeout():
    """A time-out longer than sockets allow is no error."""
    with ScriptedServer(BALANCE) as server:
        assert Client(KEY, server.url, request_timeout=1e9).balance() == 1


def test_status_of_cut_response():
    """The error has the status of a response that broke off."""
    with ScriptedServer([b"HTTP/1.1 503 Busy\r\nContent-Length: 50\r\n\r\n{", Do.CLOSE]) as server:
        assert outcome_of(Client(KEY, server.url).balance).status == 503


@pytest.mark.parametrize("error", [None, KeyError])
def test_with_statement(server, error):
    """A with statement closes the connections, whatever ends it; a later request makes a new one."""
    server.replies = [BALANCE]
    with suppress(KeyError), Client(KEY, server.url) as client:
        assert client.balance() == 1
        if error is not None:
            raise error
    assert server.closed.wait(5)
    assert client.balance() == 1


class Raising(logging.Handler):
    """A handler of log records that raises, as none should."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)
        raise RuntimeError("no space left")


def test_handler_that_raises(server, client):
    """A handler of log records that raises ends no request of giftlib; other programs' are as they were."""
    server.replies = [success({"orderId": ORDER_ID})]
    handler, logger = Raising(), logging.getLogger("urllib3.connectionpool")
    level = logger.level
    try:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        assert client.place_order("product", "type", 1) == ORDER_ID
        assert any("placeOrder" in record.getMessage() for record in handler.records)
        with pytest.raises(RuntimeError):
            requests.get(server.url, timeout=5)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300, 304])
def test_redirect(status):
    """A redirect is not followed, and the key is not sent elsewhere."""
    with ScriptedServer(BALANCE) as other:
        with ScriptedServer(reply(b"", status=status, Location=f"{other.url}/v3/account/balance")) as server:
            client = Client(KEY, server.url, allow_production=True)
            with pytest.raises(NoAnswerError, match="redirected") as caught:
                client.balance()
            assert caught.value.status == status
            with pytest.raises(OrderOutcomeUnknownError):
                client.place_order("product", "type", 1)
        assert len(server.requests) == 2 and not other.requests


def test_connection_refused():
    """Where no server listens, the error says that nothing was sent."""
    with ScriptedServer(BALANCE) as server:
        pass
    client = Client(KEY, server.url, allow_production=True)
    for call in (client.balance, lambda: client.place_order("product", "type", 1)):
        error = outcome_of(call)
        assert type(error) is NoAnswerError and not error.sent and "refused" in str(error)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b"])
def test_unknown_host(host, monkeypatch):
    """Where the host has no address, the error says that nothing was sent."""

    def unknown(name, *args, **kwargs):
        name.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = outcome_of(lambda: Client(KEY, f"https://{host}", allow_production=True).place_order("product", "type", 1))
    assert type(error) is NoAnswerError and not error.sent


def test_netrc(tmp_path, monkeypatch):
    """A netrc file adds no password to a request."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with ScriptedServer(BALANCE) as server:
        Client(KEY, server.url).balance()
        assert "authorization" not in server.requests[0].headers


def test_cookies(server, client):
    """A cookie is not sent back."""
    server.replies = [reply({"success": True, "data": {"balance": 1}}, Set_Cookie="a=b; Path=/")]
    client.balance()
    client.balance()
    assert "cookie" not in server.requests[1].headers


def test_large_cookies(server, client):
    """Cookies are not read: of this size they would take many seconds, after the time-out too."""
    cookie = b"Set-Cookie: a=b;" + b"x;" * 30_000 + b"\r\n"
    server.replies = [[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + cookie * 90 + b"\r\n{}"]]
    started = time.process_time()
    assert isinstance(outcome_of(client.balance), NoAnswerError)
    assert time.process_time() - started < 5


def test_missing_parameter(server, client):
    """A parameter that is None is left out."""
    client.request("GET", "gift-cards/list", params={"page": 1, "from": None})
    assert server.requests[0].target == "/v3/gift-cards/list?page=1"


def test_user_agent(server, client):
    """A request says by what it was made, down to the HTTP library."""
    client.request("GET", "account/balance")
    agent = f"giftlib/{giftlib.__version__} python-requests/{requests.__version__}"
    assert server.requests[0].headers["user-agent"] == agent


def test_request_after_timeout():
    """A request that timed out leaves nothing behind for the next client."""
    with ScriptedServer(
        [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", Do.HANG], [BALANCE, Do.CLOSE], BALANCE
    ) as server:
        client = Client(KEY, server.url, request_timeout=0.1)
        assert isinstance(outcome_of(client.balance), NoAnswerError)
        client = Client(KEY, server.url)
        assert client.balance() == 1


def test_no_foreign_cause(client, server):
    """The error of a lost connection has no error of another library as its cause."""
    server.replies = [[Do.CLOSE]]
    with pytest.raises(NoAnswerError) as caught:
        client.balance()
    assert caught.value.__cause__ is None and caught.value.__context__ is None


def test_caller_handles_error():
    """An error that the caller is handling is not taken for the cause of a lost response."""
    with ScriptedServer([Do.CLOSE]) as server:
        client = Client(KEY, server.url, allow_production=True)
        with ScriptedServer(BALANCE) as closed:
            pass
        try:
            socket.create_connection(("127.0.0.1", closed.port))
        except OSError as error:
            try:
                raise NewConnectionError(None, "of another connection") from error
            except NewConnectionError:
                with pytest.raises(OrderOutcomeUnknownError) as caught:
                    client.place_order("product", "type", 1)
        assert "refused" not in str(caught.value.__cause__)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_process(make_sandbox):
    """A client that was used before a fork gives each process the responses to its own requests."""
    sandbox = make_sandbox(latency_s=0, rate_limit_per_minute=None)
    ids, client = sandbox.add_orders(40), sandbox.client()

    def own_pages():
        return all([order.order_id for order in client.list_orders(page, 1)] == [ids[-page]] for page in range(1, 41))

    assert own_pages()
    child = os.fork()
    if child == 0:
        os._exit(0 if own_pages() else 1)
    assert own_pages()
    assert os.waitpid(child, 0)[1] == 0
