"""A port, and the thread that serves it."""

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

from .connections import Connections, Exchange
from .validators import whole_number

_PAUSE_S = 0.05
_log = logging.getLogger(__name__)


def url_of(host: str, port: int) -> str:
    """Give the address at which this machine reaches a server on that host, or on all hosts."""
    near = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{near}]' if ':' in near else near}:{port}"


class Listener:
    """Listens at `url` from `start` to `close`, in a thread of its own.

    A port that is taken is an OSError of the constructor; port 0 is a free one.
    """

    def __init__(self, host: str, port: int) -> None:
        whole_number(0, 65535).check("port", port)
        ipv6 = ":" in host
        self._socket = socket.create_server((host, port), family=socket.AF_INET6 if ipv6 else socket.AF_INET)
        self._address = self._socket.getsockname()
        self.url = url_of(host, self._address[1])
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
