"""An HTTP proxy that gives every request to a sandbox, whatever its host: for programs whose address is fixed.

A program needs two things: the proxy (`HTTPS_PROXY`), and the certificate of the authority that signs for every host.
"""

import asyncio
import ssl
import threading
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from urllib.parse import urlsplit

from .listener import url_of

_MOST_BYTES = 2**16


class Proxy:
    """Serve at `url` in a thread of its own until `close()`; all goes to the server at `target`.

    `certificate` is the authority's, in PEM. It is made anew each time, and its key is nowhere but in memory.
    ValueError without trustme, OSError for a port that is taken.
    """

    def __init__(self, target: str, host: str, port: int) -> None:
        try:
            import trustme
        except ModuleNotFoundError as error:
            raise ValueError(f'a proxy needs {error.name}: pip install "giftlib[proxy]"') from None
        self._target = urlsplit(target)
        self._authority = trustme.CA(organization_name="giftlib sandbox")
        self._context_for = cache(self._new_context)
        self.certificate: bytes = self._authority.cert_pem.bytes()
        started: Future[str] = Future()
        self._thread = threading.Thread(target=self._work, args=(host, port, started), daemon=True)
        self._thread.start()
        self.url = started.result()

    def close(self) -> None:
        """Stop listening and close all connections. A second call does nothing."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _work(self, host: str, port: int, started: "Future[str]") -> None:
        async def serve() -> None:
            self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
            server = await asyncio.start_server(self._connected, host, port)
            started.set_result(url_of(host, server.sockets[0].getsockname()[1]))
            await self._end.wait()
            server.close()

        try:
            asyncio.run(serve())
        except OSError as error:
            started.set_exception(error)

    def _new_context(self, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name).configure_cert(context)
        return context

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError, asyncio.LimitOverrunError, ValueError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n")[0].decode("ascii").split(" ")
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await writer.drain()
                await writer.start_tls(self._context_for(target.rpartition(":")[0].strip("[]")))
                head = b""
            inner, outer = await asyncio.open_connection(self._target.hostname, self._target.port)
            outer.write(head)
            await asyncio.gather(_pass_on(reader, outer), _pass_on(inner, writer))
        writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):
            while piece := await reader.read(_MOST_BYTES):
                writer.write(piece)
                await writer.drain()
    finally:
        writer.close()
