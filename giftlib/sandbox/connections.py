"""The connections of a port: responses whole, dripping, of a wrong length or cut."""

import asyncio
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, ResponseStartLine
from tornado.iostream import IOStream, StreamClosedError

from .faults import NO_FAULT, Fault
from .messages import Request, Response, reason

IDLE_S = 72.0
"""Seconds after which a connection that waits for more is closed. Chosen: the default of Fastify, whose error bodies
the API shows."""
_PIECE = 65536
_PassTime = Callable[[float], Awaitable[Any]]


class Exchange(HTTPMessageDelegate):
    """One request and its response on a connection.

    `serve` handles it; `tunnel`, of a proxy, takes the connection over if the request is for a tunnel to a host.
    """

    def __init__(
        self,
        connection: Any,
        serve: Callable[["Exchange"], Awaitable[None]],
        tunnel: Callable[[IOStream, Any, str], Coroutine[Any, Any, None]] | None,
    ) -> None:
        self._connection = connection
        self._serve = serve
        self._tunnel = tunnel
        self._chunks: list[bytes] = []

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:
        self._start_line = start_line
        self._headers = headers
        if start_line.method == "CONNECT" and self._tunnel:
            address = self._connection.context.address
            self._task = asyncio.create_task(self._tunnel(self._connection.detach(), address, start_line.path))

    def data_received(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def finish(self) -> None:
        self._task = asyncio.create_task(self._handle())
        self._task.add_done_callback(lambda task: task.cancelled() or task.result())  # the loop logs what this raises

    @property
    def names_its_host(self) -> bool:
        """Whether the request has the one Host that HTTP/1.1 requires."""
        return self._start_line.version != "HTTP/1.1" or len(self._headers.get_list("Host")) == 1

    def request(self, request_id: str) -> Request:
        target = re.sub("^https?://[^/?]*/?", "/", self._start_line.path, flags=re.IGNORECASE)  # as proxies are asked
        path, _, query = target.partition("?")
        body = b"".join(self._chunks)
        address = self._connection.context.remote_ip
        return Request(request_id, address, self._start_line.method, path, query, self._headers, body)

    async def respond(
        self, response: Response | None, fault: Fault = NO_FAULT, pass_time: _PassTime = asyncio.sleep
    ) -> None:
        """Send the response, if there is one, as the fault lets it; then wait for the next request or close.

        Raises StreamClosedError if the client goes away meanwhile.
        """
        complete = response is not None and await self._send(response, fault, pass_time)
        if complete and fault.cut is None:
            self._connection.finish()
            return
        stream = self._connection.stream
        if (fault.reset or fault.cut == "before") and not stream.closed():
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed with RST
        self._connection.close()

    async def _send(self, response: Response, fault: Fault, pass_time: _PassTime) -> bool:
        """Send the response, or its head and half of its body; whether it was as long as it says."""
        half, drip_s = fault.cut == "within", fault.drip_s
        headers = HTTPHeaders({"Content-Length": str(response.size), **response.headers})
        if unsized := response.status in (204, 304):
            del headers["Content-Length"]
        without_body = unsized or self._start_line.method == "HEAD"
        size = 0 if without_body else response.size
        length = size if without_body else int(headers["Content-Length"])
        pieces = _pieces(response.body, size // 2 if half else size, 1 if drip_s else _PIECE)
        stream = self._connection.stream
        # Tornado sends no more under a Content-Length than it says.
        write = self._connection.write if length == size else stream.write
        stream.set_nodelay(True)
        start_line = ResponseStartLine("HTTP/1.1", response.status, reason(response.status))
        # Head and body in one write: two would wait for each other, by Nagle's algorithm and delayed acknowledgements.
        together = b"" if drip_s or length != size else next(pieces, b"")
        self._connection.write_headers(start_line, headers, together)
        for piece in pieces:
            if drip_s and not await pass_time(drip_s):
                return False
            write(piece)
            await stream.write(b"")  # until all so far is sent
            await asyncio.sleep(0)  # other requests have their turn
        await stream.write(b"")
        if length > size and not half:
            await pass_time(IDLE_S)
        return length == size

    async def _handle(self) -> None:
        with suppress(StreamClosedError):
            try:
                await self._serve(self)
            except BaseException:
                self._connection.close()
                raise


def _pieces(body: bytes | int, stop: int, size: int) -> Iterator[bytes]:
    """The first `stop` bytes of a body in pieces of `size`."""
    for start in range(0, stop, size):
        end = min(start + size, stop)
        yield b"x" * (end - start) if isinstance(body, int) else body[start:end]
