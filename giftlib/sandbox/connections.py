"""A port, the thread that serves it, and its connections: responses whole, dripping, of a wrong length or cut."""

import asyncio
import logging
import re
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, HTTPServerConnectionDelegate, ResponseStartLine
from tornado.iostream import IOStream, StreamClosedError

from .responses import Request, Response, bare_error, reason
from .validators import whole_number

IDLE_S = 72.0
"""Seconds after which a connection that waits for more is closed. Chosen: the default of Fastify, whose error bodies
the API shows."""
_PIECE = 65536
_PAUSE_S = 0.05
_log = logging.getLogger(__name__)


class Connections(HTTPServerConnectionDelegate):
    """Gives Tornado an `Exchange` for each request, which `serve` handles."""

    def __init__(self, serve: Callable[["Exchange"], Awaitable[None]]) -> None:
        self._serve = serve

    def start_request(self, _: object, request_conn: Any) -> HTTPMessageDelegate:
        return Exchange(self._serve, request_conn)


class Exchange(HTTPMessageDelegate):
    """One request and its response on a connection."""

    def __init__(self, serve: Callable[["Exchange"], Awaitable[None]], connection: Any) -> None:
        self._serve = serve
        self._connection = connection
        self._chunks: list[bytes] = []

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:
        self._start_line = start_line
        self._headers = headers

    def data_received(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def finish(self) -> None:
        self._task = asyncio.create_task(self._handle())
        self._task.add_done_callback(lambda task: task.cancelled() or task.result())  # the loop logs what this raises

    def request(self, request_id: str) -> Request:
        target = re.sub("^https?://[^/?]*/?", "/", self._start_line.path, flags=re.IGNORECASE)  # as proxies are asked
        path, _, query = target.partition("?")
        body = b"".join(self._chunks)
        address = self._connection.context.remote_ip
        return Request(request_id, address, self._start_line.method, path, query, self._headers, body)

    async def send(
        self,
        response: Response,
        *,
        half: bool = False,
        drip_s: float = 0.0,
        pass_time: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> bool:
        """Send the response, or its head and half of its body; whether the connection can be used again.

        Raises StreamClosedError if the client goes away meanwhile.
        """
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
        return length == size and not half

    def end(self) -> None:
        """Keep the connection for the next request, if the client wants to."""
        self._connection.finish()

    def drop(self, *, reset: bool) -> None:
        """Close the connection, with RST if `reset`."""
        stream = self._connection.stream
        if reset and not stream.closed():
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()

    async def _handle(self) -> None:
        with suppress(StreamClosedError):
            try:
                if self._start_line.version == "HTTP/1.1" and len(self._headers.get_list("Host")) != 1:
                    await self.send(bare_error(400, "one Host header is required"))
                    return self.end()
                await self._serve(self)
            except BaseException:
                self.drop(reset=False)
                raise


def _pieces(body: bytes | int, stop: int, size: int) -> Iterator[bytes]:
    """The first `stop` bytes of a body in pieces of `size`."""
    for start in range(0, stop, size):
        end = min(start + size, stop)
        yield b"x" * (end - start) if isinstance(body, int) else body[start:end]


class Listener:
    """Listens at `url` from `start` to `close`, in a thread of its own.

    A port that is taken is an OSError of the constructor; port 0 is a free one.
    """

    def __init__(self, host: str, port: int) -> None:
        whole_number(0, 65535).check("port", port)
        ipv6 = ":" in host
        self._socket = socket.create_server((host, port), family=socket.AF_INET6 if ipv6 else socket.AF_INET)
        self._address = self._socket.getsockname()
        near = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # one of "all addresses"
        self.url = f"http://{f'[{near}]' if ipv6 else near}:{self._address[1]}"
        self._refusing = False
        self._thread = threading.Thread()

    @property
    def is_open(self) -> bool:
        """Whether requests are served."""
        return self._thread.is_alive()

    def start(self, serve: Callable[[Exchange], Awaitable[None]]) -> None:
        """Handle each request from now on with `serve`."""
        started: Future[None] = Future()
        self._server = HTTPServer(Connections(serve))
        self._thread = threading.Thread(
            target=self._work, args=(started,), name=f"giftlib sandbox {self.url}", daemon=True
        )
        with socket.socket(), socket.socket(), socket.socket():
            pass  # the loop needs as many descriptors; without them asyncio would print a traceback of its own
        self._thread.start()
        started.result()

    def close(self) -> None:
        """Stop listening and close all connections. A second call does nothing."""
        if self.is_open:
            with suppress(RuntimeError):  # the loop ended in the meantime
                self._loop.call_soon_threadsafe(self._end.set)
            if threading.current_thread() is not self._thread:  # the garbage collector may run there
                self._thread.join()
        self._socket.close()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse connections until the block ends; open ones are closed. RuntimeError inside another such block."""
        if self._refusing:
            raise RuntimeError("the sandbox refuses connections already")
        self._refusing = True
        self._on_loop(self._hang_up)
        held = _hold(self._address)  # else the system could give the port to another new connection
        try:
            yield
        finally:
            self._refusing = False
            if self.is_open:
                held.listen()
                self._on_loop(self._listen, held)
            else:
                held.close()

    def _on_loop(self, act: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        """Run `act` in the thread, if that still runs, and wait until it is done."""
        if self.is_open:
            asyncio.run_coroutine_threadsafe(act(*args), self._loop).result()

    def _work(self, started: "Future[None]") -> None:
        try:
            asyncio.run(self._run(started))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _run(self, started: "Future[None]") -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        await self._listen(self._socket)
        started.set_result(None)
        await self._end.wait()
        await self._hang_up()

    async def _listen(self, listening: socket.socket) -> None:
        listening.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(listening))

    async def _accept(self, listening: socket.socket) -> None:
        """Accept connections until cancelled; while the process has no descriptor for one, try now and then."""
        with listening, _shut_down(listening):
            failed = False
            while True:
                try:
                    connection, address = await self._loop.sock_accept(listening)
                except OSError as error:
                    if not failed:
                        _log.error("no connection can be accepted: %s", error)
                    failed = True
                    await asyncio.sleep(_PAUSE_S)
                else:
                    failed = False
                    self._server.handle_stream(IOStream(connection), address)

    async def _hang_up(self) -> None:
        self._accepting.cancel()
        await asyncio.wait([self._accepting])
        await self._server.close_all_connections()


@contextmanager
def _shut_down(listening: socket.socket) -> Iterator[None]:
    """Stop listening at the end, also for a forked process, which has the socket too."""
    try:
        yield
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


def _hold(address: tuple[Any, ...]) -> socket.socket:
    """Make a socket that has the address and does not listen yet."""
    held = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the last connections linger in TIME_WAIT
    if held.family == socket.AF_INET6:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    held.bind(address)
    return held
