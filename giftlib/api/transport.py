"""Make connections that one deadline bounds, from the host's name to the end of the body.

The time-outs of urllib3 bound each read from the socket, so a response that drips one byte per second never ends. Here
every wait asks the `Attempt` that it belongs to.
"""

import errno
import logging
import os
import re
import socket
import ssl
from http import HTTPStatus
from http.client import HTTPException
from ipaddress import ip_address
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy
from urllib3 import PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import make_headers, parse_url
from urllib3.util.ssl_ import create_urllib3_context
from urllib3.util.wait import wait_for_write

from .attempt import current


class _Socket(socket.socket):
    """Wait no longer and read no more than the current attempt may."""

    def reach(self, address: Any, until: float) -> None:
        """Connect while more than the share `until` of the time is left."""
        self.setblocking(False)
        failed = self.connect_ex(address)
        if failed in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            while not wait_for_write(self, current.get().wait_s(until)):
                pass
            failed = self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise OSError(failed, os.strerror(failed))
        self.getpeername()
        self.setblocking(True)  # each operation sets its own time-out

    def recv_into(self, *args: Any) -> int:
        attempt = current.get()
        return attempt.count(attempt.repeat(self, super().recv_into, *args))

    def recv(self, *args: Any) -> bytes:
        attempt = current.get()
        read = attempt.repeat(self, super().recv, *args)
        attempt.count(len(read))
        return read

    def send(self, *args: Any) -> int:
        return current.get().repeat(self, super().send, *args)

    def sendall(self, data: Any, flags: int = 0) -> None:
        unsent = memoryview(data).cast("B")
        while unsent:
            unsent = unsent[self.send(unsent, flags) :]


class _TLSSocket(_Socket, ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:
        current.get().repeat(self, super().do_handshake, block)


def _addresses(host: str, port: int | None) -> list[Any]:
    """Return the host's addresses. The system's search cannot be interrupted: if it takes too long it is left alone."""
    found: list[Any] = []

    def search() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:
            found.append(error)

    thread = Thread(target=search, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(current.get().wait_s())
    if isinstance(found[0], Exception):
        raise found[0]
    return list(found[0])


class _Connection(HTTPConnection):
    """Note in the current attempt whom it is connecting to, and whether it was sent."""

    debuglevel = 0
    """Whatever is set for the standard library: that would print the key."""

    def _new_conn(self) -> socket.socket:
        """Connect to the first of the host's addresses that accepts; they share the time that is left evenly."""
        attempt = current.get()
        attempt.peer = f"the proxy {self.host}" if self.proxy else self.host
        failure, found = OSError(errno.EADDRNOTAVAIL, "no address"), _addresses(self._dns_host.strip("[]"), self.port)
        for untried, (family, type_, protocol, _, address) in zip(range(len(found), 0, -1), found, strict=True):
            bounded = None
            try:
                bounded = _Socket(family, type_, protocol)
                for option in self.socket_options or ():
                    bounded.setsockopt(*option)
                bounded.reach(address, until=attempt.share_left() * (untried - 1) / untried)
            except OSError as error:
                failure = error
                if bounded is not None:
                    bounded.close()
            else:
                return bounded
        raise failure

    def _tunnel(self) -> None:
        host, status = str(self._tunnel_host), None
        try:
            super()._tunnel()
            current.get().peer = host
        except OSError as error:
            status = re.search(r"failed: ([0-9]{3})\b", str(error))
            if not status:
                raise
        if status:
            phrases = {code.value: f" {code.phrase}" for code in HTTPStatus}
            raise OSError(errno.ECONNREFUSED, status[1] + phrases.get(int(status[1]), ""))

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Connect first: whatever fails before this point proves that nothing was sent."""
        if self.sock is None:
            self.connect()
        current.get().sent = True
        super().request(*args, **kwargs)

    def getresponse(self) -> Any:
        response = super().getresponse()
        if response.status < 200:
            # The real response follows; on a connection that is kept it would be taken for the next request's.
            raise HTTPException("an interim response")
        return response


class _TLSConnection(_Connection, HTTPSConnection):
    pass


_POOLS = {
    "http": type("_Pool", (HTTPConnectionPool,), {"ConnectionCls": _Connection}),
    "https": type("_TLSPool", (HTTPSConnectionPool,), {"ConnectionCls": _TLSConnection}),
}
# Headers that cannot be parsed stay out of the log: a server may have put the key or a code there.
logging.getLogger("urllib3.connection").addFilter(lambda record: "Failed to parse headers" not in str(record.msg))


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine, by its name alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def new_pools(base_url: str) -> PoolManager:
    """Return the connections to one host: certificates always checked, proxy and CA file taken from the environment.

    This machine's own addresses are never reached through a proxy.
    """
    tls = _checking_certificates() if base_url.lower().startswith("https") else None
    is_local = is_loopback(urlsplit(base_url).hostname or "")
    proxy = None if is_local else select_proxy(base_url, get_environ_proxies(base_url))
    pools = _through(proxy, tls) if proxy else PoolManager(ssl_context=tls)
    if pools is None:
        raise ValueError("the proxy must be http:// or https:// and a host (value not shown, it may hold a password)")
    pools.pool_classes_by_scheme = _POOLS
    return pools


def _through(proxy: str, tls: ssl.SSLContext | None) -> PoolManager | None:
    try:
        url = parse_url(proxy if "://" in proxy else f"http://{proxy}")
        password = make_headers(proxy_basic_auth=unquote(url.auth)) if url.auth else None
        bare = url._replace(auth=None).url
        return ProxyManager(bare, ssl_context=tls, proxy_ssl_context=tls, proxy_headers=password) if url.host else None
    except ValueError:
        return None


def _checking_certificates() -> ssl.SSLContext:
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
    context = create_urllib3_context()
    context.sslsocket_class = _TLSSocket
    try:
        context.load_verify_locations(**{"capath" if os.path.isdir(bundle) else "cafile": bundle})
    except OSError:
        raise ValueError(f"REQUESTS_CA_BUNDLE must name a file of certificates, got {bundle!r}") from None
    return context
