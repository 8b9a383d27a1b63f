"""A request ends when its clock says so, or after the client's time-out in real seconds, whichever is first."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from samples import BALANCE, KEY, ORDER_ID, order_row
from scripted_server import Do, ScriptedServer, outcome_of, success

from giftlib.api import Client, NoAnswerError
from giftlib.clock import SimulatedClock


class OwnClock:
    """A caller's clock: what the protocol asks for and no more, at any speed, and each reading may take time."""

    def __init__(self, speed=1, reading_s=0.0):
        self.speed, self.reading_s, self.spent_s = speed, reading_s, 0.0

    def now_utc(self):
        return datetime.now(UTC)

    def monotonic(self):
        self.spent_s += self.reading_s
        return time.monotonic() * self.speed + self.spent_s

    def sleep(self, seconds):
        time.sleep(seconds / self.speed)


CLOCKS = {
    "a clock of the caller": (lambda: OwnClock(), 0.2, 30),
    "a fast clock": (lambda: OwnClock(speed=100), 20, 30),
    "a slow clock": (lambda: OwnClock(speed=0.001), 5, 0.2),
    "a clock that stands still": (SimulatedClock, 5, 0.2),
    "the system's clock": (lambda: None, 0.2, 30),
}


@pytest.fixture(params=CLOCKS)
def waiting_client(request, trusted):
    """Makes clients, of a url, that wait 0.2 real seconds for a response, by their own time-out or by their clock."""
    clock, timeout, request_timeout = CLOCKS[request.param]

    def poll(url):
        client = Client(KEY, url, clock=clock(), request_timeout=request_timeout)
        error = outcome_of(lambda: client.check_order_status(ORDER_ID, timeout=timeout))
        assert type(error) is NoAnswerError and "no response within" in str(error)
        return error

    return poll


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"


@pytest.mark.parametrize("tls", [False, True])
def test_hanging_response(waiting_client, tls):
    """A response that hangs, over https too, before its head or in its body."""
    with ScriptedServer([Do.HANG], tls=tls) as mute, ScriptedServer([HEAD, Do.HANG], tls=tls) as slow:
        with ThreadPoolExecutor() as at_once:
            errors = list(at_once.map(waiting_client, [mute.url, slow.url]))
        assert all(error.sent for error in errors)
        assert max(len(mute.requests), len(slow.requests)) <= 1  # a server may not have read it yet


def test_hanging_handshake(waiting_client):
    """A TLS handshake that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not waiting_client(f"https://127.0.0.1:{silent.getsockname()[1]}").sent


def test_hanging_connection(waiting_client, hanging):
    """A connection that is not accepted."""
    assert not waiting_client(f"http://127.0.0.1:{hanging[1]}").sent


def test_hanging_name(waiting_client, monkeypatch):
    """A search for the host's addresses, which goes on by itself."""
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: ended.wait(30) and [])
    try:
        error = waiting_client("https://slow.test")
    finally:
        ended.set()
    assert not error.sent and "not sent, slow.test:443: " in str(error)


@pytest.mark.parametrize("tls", [False, True])
def test_dripping_proxy(through_proxy, tls):
    """A proxy, reached with or without TLS, that drips its response to CONNECT."""

    def drip():
        yield b"HTTP/1.1 200 OK\r\n"
        while True:
            yield Do.PAUSE
            yield b"X"

    with ScriptedServer(drip(), tls=tls) as proxy:
        error = outcome_of(through_proxy(proxy, request_timeout=0.1).balance)
        assert isinstance(error, NoAnswerError) and not error.sent and "no response within 0.1 s" in str(error)


def test_slow_reading(server):
    """Time that passes while the response is decoded."""
    server.replies = [success(order_row() | {"x": [{}] * 2000})]
    client = Client(KEY, server.url, clock=OwnClock(reading_s=0.01))
    with pytest.raises(NoAnswerError, match="no response within 5 s"):
        client.check_order_status(ORDER_ID, timeout=5)
    server.replies = [success(order_row())]
    assert client.check_order_status(ORDER_ID, timeout=5).order_id == ORDER_ID


def test_slow_sending():
    """A server that takes nothing of a large request."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client = Client(KEY, f"http://127.0.0.1:{silent.getsockname()[1]}", allow_production=True, request_timeout=0.3)
        error = outcome_of(lambda: client.request("POST", "gift-cards/placeOrder", body={"x": "y" * 8_000_000}))
    assert isinstance(error, NoAnswerError) and error.sent


def test_clock_at_the_limit(server):
    """A response that comes in the last moment of a simulated clock is taken."""
    clock = SimulatedClock()

    class Reply:
        def __iter__(self):
            clock.spend(2)
            yield BALANCE

    server.replies = [Reply()]
    client = Client(KEY, server.url, clock=clock, request_timeout=2)
    assert client.balance() == 1
