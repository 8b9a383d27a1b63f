"""The sandbox as a running server: its thread, its connections, its end."""

import asyncio
import random
import socket
import struct
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, HTTPServerConnectionDelegate, ResponseStartLine

from giftlib.clock import Clock, SimulatedClock, read

from .envelope import Answer, Request, faulty, finished_headers, reason
from .faults import Fault, FaultPlan
from .http import Api
from .orders import Account, draw_lognormal
from .settings import Settings

if TYPE_CHECKING:
    from giftlib.client import Client


class RequestRecord(NamedTuple):
    """A request that arrived at `when_utc`: `status` is None if it got no answer, `order_id` the order it placed."""

    when_utc: datetime
    method: str
    path: str
    status: int | None
    order_id: str | None


class Sandbox:
    """A gift-card API on this machine, with one account and one key; it runs from construction to `close()`.

    `seed` settles the key, the ids, how long each order takes and how long each answer takes. `clock` is read for
    every time and is shared with the client; None is a new `SimulatedClock`. On a clock that has `spend`, latency
    moves the clock; on any other it is waited for. `port` 0 is a free one; a taken one is an OSError. `faults` are
    `Fault`s; `settings` are the fields of `Settings`.
    """

    def __init__(
        self,
        seed: Any = 0,
        clock: Clock | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        faults: Iterable[Fault] = (),
        **settings: Any,
    ) -> None:
        self.settings = Settings.of(**settings)
        self.clock: Clock = SimulatedClock() if clock is None else clock
        self.api_key = str(uuid.UUID(bytes=random.Random(f"{seed}:key").randbytes(16), version=4))
        self._account = Account(seed, self.settings)
        self._api = Api(self.api_key, self.settings, self._account)
        self._faults = FaultPlan(faults)
        self._latencies = random.Random(f"{seed}:latency")
        self._records: list[RequestRecord] = []
        self._request_count = 0
        self._lock = threading.Lock()

        ipv6 = ":" in host
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ipv6 else socket.AF_INET)
        listener.setblocking(False)
        self.url = f"http://{f'[{host}]' if ipv6 else host}:{listener.getsockname()[1]}"
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(listener, started)), name=f"giftlib sandbox {self.url}", daemon=True
        )
        self._thread.start()
        started.wait()

    def __repr__(self) -> str:
        return f"<Sandbox {self.url} {'open' if self._thread.is_alive() else 'closed'}>"

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and close all connections. A second call does nothing."""
        if self._thread.is_alive():
            try:
                self._loop.call_soon_threadsafe(self._end.set)
            except RuntimeError:  # the loop ended in the meantime
                pass
            self._thread.join()

    def client(self) -> "Client":
        """A client of this sandbox, on its clock."""
        from giftlib.client import Client

        return Client(self.api_key, self.url, clock=self.clock)

    def truth(self) -> dict[str, float]:
        """Order id -> seconds from the placement to the final state; `math.inf` if it is never reached."""
        with self._lock:
            return dict(self._account.durations)

    def add_orders(self, n: int, type_id: str = "type_001", quantity: int = 1) -> list[str]:
        """Ids of `n` orders that somebody else places with the same account at this moment; no request is made.

        They count like all others: they are listed, cost what they cost, and take a time drawn from the seed. Raises
        ValueError if the account cannot pay.
        """
        for name, value, least in (("n", n, 0), ("quantity", quantity, 1)):
            if type(value) is not int or value < least:
                raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")
        with self._lock:
            now = read(self.clock)
            return [self._account.place(None, type_id, quantity, now) for _ in range(n)]

    def inject(self, fault: Fault) -> None:
        """Plan a fault; its `call` is counted from now on."""
        with self._lock:
            self._faults.inject(fault)

    @property
    def requests(self) -> list[RequestRecord]:
        """The requests that have come to their end so far, in that order."""
        with self._lock:
            return list(self._records)

    async def _run(self, listener: socket.socket, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        server = HTTPServer(_Connections(self._serve))
        server.add_socket(listener)
        started.set()
        await self._end.wait()
        server.stop()
        await server.close_all_connections()

    def _arrive(self) -> tuple[str, float]:
        """An id for a request and the seconds that its answer takes."""
        self._request_count += 1
        settings = self.settings
        latency = settings.latency_s
        if latency is None:
            latency = draw_lognormal(self._latencies, settings.latency_median_s, settings.latency_p95_s)
        return f"req_{int(self.clock.now_utc().timestamp())}_{self._request_count:06x}", latency

    def _pass_time(self, seconds: float, then: Callable[[bool], None]) -> None:
        """Let a latency pass, then call `then(in_time)`: False if the client has given up meanwhile."""
        spend = getattr(self.clock, "spend", None)
        if spend is not None:
            then(spend(seconds))
        else:
            self._loop.call_later(seconds, then, True)

    def _act(self, request: Request) -> tuple[Answer | None, Fault | None]:
        """Carry a request out, as far as no fault is in the way; no answer means a reset connection."""
        with self._lock:
            now = read(self.clock)
            reached = self._api.admit(request, now)
            if isinstance(reached, Answer):
                return reached, None
            fault = self._faults.strike(reached)
            if fault is None:
                return self._api.carry_out(request, now), None
            if fault.cut == "before":
                return None, fault
            if fault.status is not None:
                return faulty(fault, request), fault
            answer = self._api.carry_out(request, now)
            answer.headers.update(fault.headers)
            if isinstance(fault.body, bytes):
                answer.body = fault.body
            return answer, fault

    def _serve(self, exchange: "_Exchange") -> None:
        """See one request through, from its arrival to the last byte of its answer."""
        arrived = self.clock.now_utc()
        request_id, latency = self._arrive()
        request = exchange.request(request_id)

        def act(in_time: bool) -> None:
            answer, fault = self._act(request)
            if answer is None:
                finish(None, fault, False)
            else:
                delay = fault.delay_s if fault else 0.0
                self._pass_time(latency / 2 + delay, lambda still: finish(answer, fault, in_time and still))

        def finish(answer: Answer | None, fault: Fault | None, in_time: bool) -> None:
            cut = fault.cut if fault else None
            answered = in_time and cut in (None, "within")
            status = answer.status if answered else None
            order_id = answer.order_id if answer else None
            with self._lock:
                self._records.append(RequestRecord(arrived, request.method, request.path, status, order_id))
            if answered:
                exchange.send(answer, request, half=cut == "within")
            else:
                exchange.drop(reset=cut == "before")

        self._pass_time(latency / 2, act)


class _Connections(HTTPServerConnectionDelegate):
    """Gives Tornado a place for each request."""

    def __init__(self, serve: Callable[["_Exchange"], None]) -> None:
        self._serve = serve

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        return _Exchange(self._serve, request_conn)


class _Exchange(HTTPMessageDelegate):
    """One request and its answer on a connection."""

    def __init__(self, serve: Callable[["_Exchange"], None], connection: Any) -> None:
        self._serve = serve
        self._connection = connection
        self._chunks: list[bytes] = []

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:
        self._start_line = start_line
        self._headers = headers

    def data_received(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def finish(self) -> None:
        self._serve(self)

    def request(self, request_id: str) -> Request:
        path, _, query = self._start_line.path.partition("?")
        body = b"".join(self._chunks)
        address = self._connection.context.remote_ip
        return Request(request_id, address, self._start_line.method, path, query, self._headers, body)

    def send(self, answer: Answer, request: Request, *, half: bool) -> None:
        """Send the answer, or half of its body under the headers of the whole, and then cut."""
        bodiless = request.method == "HEAD" or answer.status in (204, 304)
        body = b"" if bodiless else answer.body
        start_line = ResponseStartLine("HTTP/1.1", answer.status, reason(answer.status))
        headers = HTTPHeaders(finished_headers(answer, request))
        self._connection.stream.set_nodelay(True)
        sent = self._connection.write_headers(start_line, headers, body[: len(body) // 2] if half else body)
        if half:
            sent.add_done_callback(lambda _: self.drop(reset=False))
        else:
            self._connection.finish()

    def drop(self, *, reset: bool) -> None:
        """Close the connection without an answer, with RST if `reset`."""
        stream = self._connection.stream
        if reset and not stream.closed():
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()
