"""HTTP sessions in which one time-out bounds a whole exchange.

The time-outs of requests bound each read from the socket, so an answer that drips a byte a second never ends.
Here the time-out given to a request is what connecting, the head and the body may take together.
"""

import os
import socket
import ssl
from ipaddress import ip_address
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context


class _BoundedReads:
    """A socket whose reads end at `deadline` all together."""

    deadline: float | None = None

    def recv_into(self, *args: Any) -> int:
        if self.deadline is not None:
            left = self.deadline - monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self.settimeout(left)
        return super().recv_into(*args)


class _Socket(_BoundedReads, socket.socket):
    pass


class _TLSSocket(_BoundedReads, ssl.SSLSocket):
    pass


class _BoundedAnswer:
    """A connection that hands what is left of the time-out to its socket, head and body in one."""

    def getresponse(self) -> Any:
        self.sock.deadline = monotonic() + self.timeout
        return super().getresponse()


class _Connection(_BoundedAnswer, HTTPConnection):
    def _new_conn(self) -> socket.socket:
        bounded = _Socket(fileno=super()._new_conn().detach())
        bounded.settimeout(self.timeout)
        return bounded


class _TLSConnection(_BoundedAnswer, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        context = create_urllib3_context()
        context.sslsocket_class = _TLSSocket
        super().init_poolmanager(*args, ssl_context=context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, told from its name alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def new_session(base_url: str) -> requests.Session:
    """A session for one host: certificates always checked, nothing but proxies and CA file taken from the environment.

    A `.netrc` is not read, and this machine's own addresses are never asked through a proxy.
    """
    session = requests.Session()
    session.mount("http://", _Adapter())
    session.mount("https://", _Adapter())
    session.trust_env = False
    if not is_loopback(urlsplit(base_url).hostname or ""):
        session.proxies = get_environ_proxies(base_url)
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    return session
