"""The sandbox as a running server: its thread, its connections, its end."""

import asyncio
import random
import socket
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tornado.httpserver import HTTPServer

from giftlib.clock import Clock, SimulatedClock, read

from .envelope import Answer, Request, faulty, spoil
from .faults import Fault, FaultPlan
from .http import Api
from .orders import Account, draw_lognormal
from .settings import Settings
from .wire import Connections, Exchange

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

    `seed` settles the key, the ids, how long each order takes, how long each answer takes and which request a fault
    with a rate strikes; none of these changes another. `clock` is read for every time and is shared with the client;
    None is a new `SimulatedClock`. On a clock that has `spend`, latency moves the clock; on any other it is waited
    for. `port` 0 is a free one; a taken one is an OSError. `faults` are `Fault`s; `settings` are the fields of
    `Settings`.
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
        self._faults = FaultPlan(seed, faults)
        self._latencies = random.Random(f"{seed}:latency")
        self._records: list[RequestRecord] = []
        self._request_count = 0
        self._lock = threading.Lock()

        ipv6 = ":" in host
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ipv6 else socket.AF_INET)
        self._address = listener.getsockname()
        self.url = f"http://{f'[{host}]' if ipv6 else host}:{self._address[1]}"
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

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Nobody listens until the block ends: open connections are closed, new ones are refused.

        Requests are not counted meanwhile. It is no `Fault`, since a request that finds nobody cannot end it.
        """
        self._on_loop(self._hang_up)
        held = _hold(self._address)  # else a new connection of anybody could be given the port
        try:
            yield
        finally:
            if self._thread.is_alive():
                held.listen()
                self._on_loop(self._listen, held)
            else:
                held.close()

    def _on_loop(self, act: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        """Run `act` in the server's thread, if that still runs, and wait for its end."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(act(*args), self._loop).result()

    async def _run(self, listener: socket.socket, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        await self._listen(listener)
        started.set()
        await self._end.wait()
        await self._hang_up()

    async def _listen(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        self._server = HTTPServer(Connections(self._serve))
        self._server.add_socket(listener)

    async def _hang_up(self) -> None:
        self._server.stop()
        await self._server.close_all_connections()

    def _arrive(self) -> tuple[str, float]:
        """An id for a request and the seconds that its answer takes."""
        self._request_count += 1
        settings = self.settings
        latency = settings.latency_s
        if latency is None:
            latency = draw_lognormal(self._latencies, settings.latency_median_s, settings.latency_p95_s)
        return f"req_{int(self.clock.now_utc().timestamp())}_{self._request_count:06x}", latency

    async def _pass_time(self, seconds: float) -> bool:
        """Let time pass on the clock; False if the client has given up meanwhile."""
        spend = getattr(self.clock, "spend", None)
        if spend is not None:
            return spend(seconds)
        await asyncio.sleep(seconds)
        return True

    def _act(self, request: Request) -> tuple[Answer | None, Fault | None]:
        """Carry a request out, as far as no fault is in the way; no answer means a reset connection."""
        with self._lock:
            now = read(self.clock)
            reached = self._api.admit(request, now)
            if isinstance(reached, Answer):
                return reached, None
            fault = self._faults.strike(reached)
            if fault and fault.cut == "before":
                return None, fault
            if fault and fault.status is not None:
                return faulty(fault, request), fault
            return self._api.carry_out(request, now), fault

    async def _serve(self, exchange: Exchange) -> None:
        """See one request through, from its arrival to the last byte of its answer."""
        arrived = self.clock.now_utc()
        request_id, latency = self._arrive()
        request = exchange.request(request_id)
        in_time = await self._pass_time(latency / 2)
        answer, fault = self._act(request)
        if answer:
            if fault:
                spoil(answer, fault)
            in_time = await self._pass_time(latency / 2 + (fault.delay_s if fault else 0)) and in_time
        cut = fault.cut if fault else None
        answered = in_time and cut not in ("before", "after")
        status = answer.status if answered else None
        order_id = answer.order_id if answer else None
        with self._lock:
            self._records.append(RequestRecord(arrived, request.method, request.path, status, order_id))
        if answered:
            drip_s = fault.drip_s if fault else 0.0
            answered = await exchange.send(
                answer, request, half=cut == "within", drip_s=drip_s, pass_time=self._pass_time
            )
        if answered and cut is None:
            exchange.end()
        else:
            exchange.drop(reset=bool(fault) and (fault.reset or cut == "before"))


def _hold(address: tuple[Any, ...]) -> socket.socket:
    """A socket that has the address and does not listen yet."""
    held = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the last connections linger in TIME_WAIT
    if held.family == socket.AF_INET6:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    held.bind(address)
    return held
