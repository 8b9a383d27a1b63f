"""The ports, and the thread that serves them."""

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPMessageDelegate, HTTPServerConnectionDelegate
from tornado.iostream import IOStream

from .connections import Exchange
from .proxy import Proxy
from .validators import STRING, whole_number

_PAUSE_S = 0.05
_log = logging.getLogger(__name__)


class Listener(HTTPServerConnectionDelegate):
    """Listens at `urls`, one for each port, from `start` to `close`, in a thread of its own.

    A port that is taken is an OSError of the constructor; port 0 is a free one.
    """

    def __init__(self, host: str, *ports: int) -> None:
        STRING.check("host", host)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with ExitStack() as opened:
            self._sockets = []
            for name, port in zip(("port", "proxy_port"), ports, strict=False):
                whole_number(0, 65535).check(name, port)
                try:
                    self._sockets.append(opened.enter_context(socket.create_server((host, port), family=family)))
                except OSError as error:
                    from giftlib.api import shown  # not needed before something is wrong

                    reason = (error.strerror or "").partition(" (while ")[0]
                    raise OSError(error.errno, f"{reason}: host {shown(host)}, port {port}") from None
            opened.pop_all()
        # This machine reaches a server on all hosts, too, at an address.
        near = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        near = f"[{near}]" if ":" in near else near
        self.urls = [f"http://{near}:{each.getsockname()[1]}" for each in self._sockets]
        self._refusing = False
        self._thread = threading.Thread()

    @property
    def is_open(self) -> bool:
        """Whether requests are served."""
        return self._thread.is_alive()

    def start(self, serve: Callable[[Exchange], Awaitable[None]], proxy: Proxy | None) -> None:
        """Handle each request from now on with `serve`, and those for tunnels with the proxy."""
        self._serve, self._proxy = serve, proxy
        self._server, self._end = HTTPServer(self), asyncio.Event()
        with socket.socket(), socket.socket(), socket.socket():
            pass  # the loop needs as many descriptors; without them asyncio would print a traceback of its own
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name=f"giftlib sandbox {self.urls[0]}", daemon=True)
        self._thread.start()
        self._on_loop(self._listen)

    def close(self) -> None:
        """Stop listening and close all connections. A second call does nothing."""
        if self.is_open:
            with suppress(RuntimeError):  # the loop ended in the meantime
                self._loop.call_soon_threadsafe(self._end.set)
            if threading.current_thread() is not self._thread:  # the garbage collector may run there
                self._thread.join()
        for each in self._sockets:
            each.close()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse connections until the block ends; open ones are closed. RuntimeError inside another such block."""
        if self._refusing:
            raise RuntimeError("the sandbox refuses connections already")
        self._refusing = True
        addresses = [each.getsockname() for each in self._sockets] if self.is_open else []
        self._on_loop(self._hang_up)
        self._sockets = [_hold(address) for address in addresses]
        try:
            yield
        finally:
            self._refusing = False
            self._on_loop(self._listen)

    def start_request(self, _: object, request_conn: Any) -> HTTPMessageDelegate:
        tunnel = partial(self._proxy.tunnel, self._server.handle_stream) if self._proxy else None
        return Exchange(request_conn, self._serve, tunnel)

    def _on_loop(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `act` in the thread, if that still runs, and wait until it is done."""
        if self.is_open:
            asyncio.run_coroutine_threadsafe(act(), self._loop).result()

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        await self._end.wait()
        await self._hang_up()

    async def _listen(self) -> None:
        self._accepting = [asyncio.create_task(self._accept(each)) for each in self._sockets]

    async def _accept(self, listening: socket.socket) -> None:
        """Accept connections until cancelled; while the process has no descriptor for one, try now and then."""
        listening.setblocking(False)
        listening.listen()
        failed = False
        try:
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
        finally:
            with listening, suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # for a forked process, too, which has the socket as well

    async def _hang_up(self) -> None:
        for task in self._accepting:
            task.cancel()
        await asyncio.wait(self._accepting)
        await self._server.close_all_connections()


def _hold(address: tuple[Any, ...]) -> socket.socket:
    """Make a socket that does not listen yet, so that the system gives the address to nobody else."""
    held = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the last connections linger in TIME_WAIT
    if held.family == socket.AF_INET6:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    held.bind(address)
    return held
