"""An HTTP proxy that gives every request to a sandbox, whatever its host: for programs whose address is fixed.

A program needs two things: the proxy (`HTTPS_PROXY`), and the certificate of the authority that signs for every host.
"""

import ssl
from collections.abc import Callable
from functools import cache
from typing import Any

from tornado.iostream import IOStream


class Proxy:
    """The proxy that a sandbox is at `url`. ValueError without trustme.

    `certificate` is the authority's, in PEM. It is made anew each time, and its key is nowhere but in memory.
    """

    def __init__(self, url: str) -> None:
        try:
            import trustme
        except ModuleNotFoundError as error:
            raise ValueError(f'a proxy needs {error.name}: pip install "giftlib[proxy]"') from None
        self.url = url
        self._authority = trustme.CA(organization_name="giftlib sandbox")
        self._context_for = cache(self._new_context)
        self.certificate: bytes = self._authority.cert_pem.bytes()

    async def tunnel(self, serve: Callable[[IOStream, Any], None], stream: IOStream, address: Any, target: str) -> None:
        """Speak TLS with the client of a stream as the host and port that it asked for, and let them be served."""
        try:
            context = self._context_for(target.rpartition(":")[0].strip("[]"))
            await stream.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            serve(await stream.start_tls(True, context), address)
        except (OSError, ValueError):  # it is gone, or did not wait, or what it sent is no name or no TLS
            stream.close()

    def _new_context(self, host: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(host).configure_cert(context)
        return context
