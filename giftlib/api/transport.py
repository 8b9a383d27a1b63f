"""Make HTTP sessions in which one time-out bounds a whole request.

The time-outs of the library `requests` bound each read from the socket, so a response that drips one byte per second
never ends. Here the time-out of a request bounds connecting, headers and body together.
"""

import errno
import logging
import os
import socket
import ssl
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError
from urllib3.poolmanager import ProxyManager
from urllib3.util.ssl_ import create_urllib3_context

LARGEST_RESPONSE = 10 * 2**20
_LARGEST_HEAD = 2**20


class _BoundedReads(socket.socket):
    """Bound all reads of a socket together: by `deadline` in time, by `allowance` in bytes."""

    deadline: float | None = None
    allowance = LARGEST_RESPONSE + _LARGEST_HEAD

    def recv_into(self, *args: Any) -> int:
        if self.allowance < 0:
            raise OSError(errno.EMSGSIZE, "a response of more than 10 MiB")
        if self.deadline is not None:
            left = self.deadline - monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self.settimeout(left)
        read = super().recv_into(*args)
        self.allowance -= read
        return read


class _TLSSocket(_BoundedReads, ssl.SSLSocket):
    pass


class _Connection(HTTPConnection):
    """Give what is left of the time-out to the socket, from the first address tried to the end of the body."""

    def _new_conn(self) -> socket.socket:
        """Connect to the first of the host's addresses that accepts; they share the time-out evenly."""
        deadline, failure = monotonic() + float(self.timeout or 0), OSError("the host has no address")
        try:
            found = socket.getaddrinfo(self._dns_host.strip("[]"), self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NameResolutionError(self.host, self, socket.gaierror(str(error))) from error
        for number, (family, type_, protocol, _, address) in enumerate(found):
            bounded = _BoundedReads(family, type_, protocol)
            try:
                for option in self.socket_options or ():
                    bounded.setsockopt(*option)
                bounded.settimeout(max((deadline - monotonic()) / (len(found) - number), 0.001))
                bounded.connect(address)
            except OSError as error:
                failure = error
                bounded.close()
            else:
                bounded.settimeout(max(deadline - monotonic(), 0.001))
                bounded.deadline = deadline
                return bounded
        raise NewConnectionError(self, "no connection was made") from failure

    def getresponse(self) -> Any:
        bounded: Any = self.sock
        bounded.deadline = monotonic() + float(self.timeout or 0)
        bounded.allowance = LARGEST_RESPONSE + _LARGEST_HEAD
        response = super().getresponse()
        if response.status < 200:
            # The real response follows; on a connection that is kept it would be taken for the next request's.
            raise HTTPException("an interim response")
        return response


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


_POOLS = {"http": _Pool, "https": _TLSPool}


def _bounded_tls() -> ssl.SSLContext:
    context = create_urllib3_context()
    context.sslsocket_class = _TLSSocket
    return context


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=_bounded_tls(), **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, ssl_context=_bounded_tls(), **kwargs)
        if isinstance(manager, ProxyManager):
            manager.pool_classes_by_scheme = _POOLS
        return manager


class _Session(requests.Session):
    def get_redirect_target(self, response: requests.Response) -> None:
        """Follow no redirect: requests would read its whole body at once, whatever its size."""


class _WithoutHeaders(logging.Filter):
    """Keep headers that cannot be parsed out of the log: a server may have put the key or a code there."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "Failed to parse headers" not in str(record.msg)


logging.getLogger("urllib3.connection").addFilter(_WithoutHeaders())


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine, by its name alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def new_session(base_url: str) -> requests.Session:
    """Return a session for one host: certificates always checked, only proxies and CA file taken from the environment.

    A `.netrc` is not read, and this machine's own addresses are never reached through a proxy.
    """
    session = _Session()
    session.mount("http://", _Adapter())
    session.mount("https://", _Adapter())
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    if not is_loopback(urlsplit(base_url).hostname or ""):
        session.proxies = get_environ_proxies(base_url)
    bundle = os.environ.get("REQUESTS_CA_BUNDLE")
    if bundle and not os.path.exists(bundle):
        raise ValueError(f"REQUESTS_CA_BUNDLE must name a file of certificates, got {bundle!r}")
    session.verify = bundle or True
    return session
