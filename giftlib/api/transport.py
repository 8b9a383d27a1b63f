"""Let one deadline bound a whole request of `requests`, from the host's name to the end of the body.

The time-outs of `requests` bound each read from the socket, so a response that drips one byte per second never ends.
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
from importlib.metadata import version
from ipaddress import ip_address
from threading import Thread
from time import monotonic
from typing import Any

from requests import Session
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, default_user_agent, get_environ_proxies, select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import parse_url
from urllib3.util.ssl_ import create_urllib3_context

from giftlib.clock import Clock

from .decompression import check_size

_USER_AGENT = f"giftlib/{version('giftlib')} {default_user_agent()}"
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

    def getresponse(self) -> Any:
        """Return the response without what `requests` would act on within no time-out: cookies and redirects."""
        response: Any = super().getresponse()
        del response._original_response.msg["Set-Cookie"]
        response.headers.discard("Location")
        return response


class _TLSConnection(_Connection, HTTPSConnection): ...


_POOLS = {
    "http": type("_Pool", (HTTPConnectionPool,), {"ConnectionCls": _Connection}),
    "https": type("_TLSPool", (HTTPSConnectionPool,), {"ConnectionCls": _TLSConnection}),
}


class _Adapter(HTTPAdapter):
    """Make the connections above; certificates are read once, and always checked."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        self._tls = create_urllib3_context()
        self._tls.sslsocket_class = _TLSSocket
        super().init_poolmanager(*args, ssl_context=self._tls, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, ssl_context=self._tls, proxy_ssl_context=self._tls, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def trust(self) -> None:
        name = next((name for name in _CA_VARIABLES if os.environ.get(name)), "")
        bundle = os.environ.get(name) or DEFAULT_CA_BUNDLE_PATH
        try:
            self._tls.load_verify_locations(**{"capath" if os.path.isdir(bundle) else "cafile": bundle})
        except OSError:
            raise ValueError(f"{name} must name a file of certificates, got {bundle!r}") from None

    def cert_verify(self, *args: Any) -> None:
        """Leave it to the context: `requests` would read the certificates again for each connection."""


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine, by its name alone."""
    with suppress(ValueError):
        return host == "localhost" or ip_address(host).is_loopback
    return False


def _checked_proxy(address: str) -> str:
    with suppress(ValueError):
        url = parse_url(address if "://" in address else f"http://{address}")
        if url.scheme in ("http", "https") and url.host:
            return address
    raise ValueError("the proxy must be http:// or https:// and a host (value not shown, it may hold a password)")


def new_session(base_url: str) -> Session:
    """Return a session for one host, which takes from the environment the proxy and the CA file, and only now.

    This machine's own addresses are never reached through a proxy.
    """
    session = Session()
    session.trust_env = False
    session.headers.update({"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"})
    session.adapters.clear()
    session.mount("http", adapter := _Adapter())
    if base_url.lower().startswith("https"):
        adapter.trust()
    proxy = select_proxy(base_url, get_environ_proxies(base_url))
    if proxy and not is_loopback(str(parse_url(base_url).host).strip("[]")):
        session.proxies["all"] = _checked_proxy(proxy)
    return session
