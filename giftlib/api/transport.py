"""Let one deadline bound a whole request of urllib3, from the host's name to the end of the body.

The time-outs of urllib3 bound each read from the socket, so a response that drips one byte per second never ends.
Here every request has an `Attempt`, which knows when it ends. Whatever the request waits for, its connection waits in
short steps, for a clock of the caller may run at any speed, and asks the attempt before each whether any time is left.
"""

import errno
import http.client
import os
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import ContextVar
from ipaddress import ip_address
from threading import Thread
from time import monotonic
from typing import Any
from urllib.parse import unquote

from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy
from urllib3 import PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Url, make_headers, parse_url
from urllib3.util.ssl_ import create_urllib3_context

from giftlib.clock import Clock

from .decompression import check_size

_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.001, 0.02
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""The same as `requests` takes, in its order."""


class Attempt:
    """Bound a request by `allowed` seconds of its clock and by `longest` real ones, whichever end first.

    `peer` is the host and port it is connected to, `sent` whether any of it may have left, `status` the response's,
    `received` how many bytes came.
    """

    def __init__(self, clock: Clock, allowed: float, longest: float) -> None:
        self.peer, self.sent, self.received = "", False, 0
        self.status: int | None = None
        self._clock = clock
        self._ends, self._ends_by_clock = monotonic() + longest, clock.monotonic() + max(allowed, _SHORTEST_WAIT_S)

    def left_s(self) -> float:
        """Return how many seconds are left, by whichever measure has fewer."""
        return min(self._ends - monotonic(), self._ends_by_clock - self._clock.monotonic())

    def wait_s(self) -> float:
        """Return for how long to wait before asking again, which is short; raise TimeoutError if no time is left."""
        left = self.left_s()
        if left < 0:
            raise TimeoutError("timed out")
        return min(max(left, _SHORTEST_WAIT_S), _LONGEST_WAIT_S)


current: ContextVar[Attempt] = ContextVar("current")
"""The request that the thread is making: the connections below several libraries have no other way to it."""


class _Socket(socket.socket):
    """Wait no longer and read no more than the current attempt may."""

    def _repeat(self, operation: Callable[..., Any], *args: Any) -> Any:
        """Return what an operation returns; it is repeated while it only times out."""
        while True:
            self.settimeout(current.get().wait_s())
            try:
                return operation(*args)
            except TimeoutError as error:
                if error.errno is not None:
                    raise  # the connection's own

    def recv_into(self, *args: Any) -> int:
        size: int = self._repeat(super().recv_into, *args)
        current.get().received += size
        check_size(current.get().received)
        return size

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        buffer = bytearray(buflen)
        return bytes(buffer[: self.recv_into(buffer, buflen, flags)])

    def sendall(self, data: Any, flags: int = 0) -> None:
        unsent = memoryview(data).cast("B")
        while unsent:
            unsent = unsent[self._repeat(super().send, unsent, flags) :]


class _TLSSocket(_Socket, ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:
        self._repeat(super().do_handshake, block)


def _connected(host: str, port: int | None, options: Any, seconds: float) -> _Socket:
    """Connect to the first of the host's addresses that accepts; they share the seconds evenly."""
    ends, failure = monotonic() + seconds, OSError(errno.EADDRNOTAVAIL, "no address")
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for untried, (family, kind, protocol, _, address) in zip(range(len(found), 0, -1), found, strict=True):
        try:
            with _Socket(family, kind, protocol) as trial:
                for option in options or ():
                    trial.setsockopt(*option)
                trial.settimeout(max((ends - monotonic()) / untried, _SHORTEST_WAIT_S))
                trial.connect(address)
                return _Socket(family, kind, protocol, trial.detach())
        except OSError as error:
            failure = error
    raise failure


def _address(host: str, port: int | None) -> str:
    return f"[{host.strip('[]')}]:{port}" if ":" in host else f"{host}:{port}"


class _HTTPResponse(http.client.HTTPResponse):
    def _read_status(self) -> tuple[str, int, str]:
        """Return the status line after all interim responses (RFC 9110, 15.2); 101 was not asked for."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 101 < status < 200:
                return version, status, reason
            http.client.parse_headers(self.fp)


class _Connection(HTTPConnection):
    """Note in the current attempt whom it is connecting to, and whether it was sent."""

    response_class = _HTTPResponse
    debuglevel = 0  # whatever is set for the standard library: that would print the key

    def _new_conn(self) -> socket.socket:
        """Connect in a thread, which is left alone if it takes too long: nothing interrupts the search for a name."""
        attempt, outcome = current.get(), Future[_Socket]()
        attempt.peer = f"the proxy {_address(self.host, self.port)}" if self.proxy else _address(self.host, self.port)
        wanted = (self._dns_host.strip("[]"), self.port, self.socket_options, attempt.left_s())

        def connect() -> None:
            try:
                outcome.set_result(_connected(*wanted))
            except Exception as error:
                outcome.set_exception(error)

        Thread(target=connect, daemon=True).start()
        while not outcome.done():
            wait([outcome], attempt.wait_s())
        return outcome.result()

    def _tunnel(self) -> None:
        super()._tunnel()
        current.get().peer = _address(str(self._tunnel_host), self._tunnel_port)

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Connect first: whatever fails before this point proves that nothing was sent."""
        if self.sock is None:
            self.connect()
        else:
            current.get().peer = _address(self._tunnel_host or self.host, self._tunnel_port or self.port)
        current.get().sent = True
        super().request(*args, **kwargs)


class _TLSConnection(_Connection, HTTPSConnection): ...


_POOLS = {
    "http": type("_Pool", (HTTPConnectionPool,), {"ConnectionCls": _Connection}),
    "https": type("_TLSPool", (HTTPSConnectionPool,), {"ConnectionCls": _TLSConnection}),
}


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine, by its name alone."""
    with suppress(ValueError):
        return host == "localhost" or ip_address(host).is_loopback
    return False


def _tls_context() -> ssl.SSLContext:
    """Return a context that checks certificates against the bundle that `requests` would take."""
    context = create_urllib3_context()
    context.sslsocket_class = _TLSSocket
    name = next((name for name in _CA_VARIABLES if os.environ.get(name)), "")
    bundle = os.environ.get(name) or DEFAULT_CA_BUNDLE_PATH
    try:
        context.load_verify_locations(**{"capath" if os.path.isdir(bundle) else "cafile": bundle})
    except OSError:
        raise ValueError(f"{name} must name a file of certificates, got {bundle!r}") from None
    return context


def _parsed_proxy(address: str) -> Url:
    with suppress(ValueError):
        url = parse_url(address if "://" in address else f"http://{address}")
        if url.scheme in ("http", "https") and url.host:
            return url
    raise ValueError("the proxy must be http:// or https:// and a host (value not shown, it may hold a password)")


def new_pool(base_url: str) -> PoolManager:
    """Return the connections to one host, with the proxy and certificates that the environment names now.

    This machine's own addresses are never reached through a proxy.
    """
    tls = _tls_context() if base_url.lower().startswith("https") else None
    proxy = select_proxy(base_url, get_environ_proxies(base_url))
    if proxy and not is_loopback(str(parse_url(base_url).host).strip("[]")):
        url = _parsed_proxy(proxy)
        login = make_headers(proxy_basic_auth=unquote(url.auth)) if url.auth else None
        pool: PoolManager = ProxyManager(url.url, proxy_headers=login, proxy_ssl_context=tls, ssl_context=tls)
    else:
        pool = PoolManager(ssl_context=tls)
    pool.pool_classes_by_scheme = _POOLS
    return pool
