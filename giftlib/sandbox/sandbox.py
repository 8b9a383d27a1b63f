"""The sandbox: an emulated gift-card API behind a port."""

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, ExitStack, closing
from os import PathLike
from typing import TYPE_CHECKING, Any

from giftlib.clock import Clock, SimulatedClock, check_clock, name_of

from .connections import Exchange
from .emulator import Emulator
from .event_log import EventLog
from .faults import Fault
from .listener import Listener
from .messages import bare_error
from .pages import Pages
from .proxy import Proxy
from .service import Service
from .settings import Settings
from .validators import HOSTS

if TYPE_CHECKING:
    from giftlib.api import Client


class Sandbox(Emulator):
    """Serve a gift-card API on this machine, with an account for each environment, until `close()`.

    `seed` determines the keys, the ids, how long each order and each response takes, and which requests a fault with a
    rate affects, each independently of the others. Every time is read from `clock`, which the client shares; None is a
    new `SimulatedClock`. On a clock that has `spend`, latency moves the clock; on any other it is real. `port` 0 is a
    free one; a taken one is an OSError. `settings`, and `changes` by the names in `Settings`, describe the service.

    With `state`, all that happens is kept in that file, and a sandbox with the same file goes on from there, with its
    seed and settings (ValueError if others, or another `api_key`, are given; the file does not hold the key); how often
    a key was wrong and how many requests it made are not kept. `api_key` is the first key, instead of one that the seed
    determines. With `control`, everyone who can reach the port, by a numeric address, as localhost or by a name in
    `allow_host`, can reset the sandbox, move its clock, inject faults and read the truth under `/_sandbox/`. With
    `proxy_port` (0: a free one) `proxy` is an HTTP proxy that leads every host to this sandbox, TLS included:
    `proxy.url`, and the `proxy.certificate` to trust.

    >>> from giftlib.sandbox import Sandbox
    >>> with Sandbox(seed=1, fulfilment_s=22) as sandbox:
    ...     order_ids = sandbox.add_orders(1)
    ...     sandbox.clock.sleep(22)
    ...     sandbox.latest_orders()[0]["status"]
    'FULFILLED'
    """

    def __init__(
        self,
        seed: Any = 0,
        clock: Clock | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        faults: Iterable[Fault] = (),
        state: str | PathLike[str] | None = None,
        control: bool = False,
        api_key: str | None = None,
        allow_host: Collection[str] = (),
        proxy_port: int | None = None,
        settings: Settings | None = None,
        **changes: Any,
    ) -> None:
        check_clock(clock)
        with ExitStack() as opened:
            self._listener = Listener(host, port, *([] if proxy_port is None else [proxy_port]))
            opened.callback(self._listener.close)
            self.proxy = Proxy(self._listener.urls[1]) if proxy_port is not None else None
            log = None if state is None else opened.enter_context(closing(EventLog(state)))
            self.url = self._listener.urls[0]
            if not isinstance(settings, Settings | None):
                raise ValueError(f"settings must be Settings or None, got {settings!r}")
            wanted = (settings or Settings()).but(**changes)
            super().__init__(_start(seed, clock, wanted, faults, log, api_key), log)
            self.api_key = self.keys[0].key
            HOSTS.check("allow_host", allow_host)
            self._pages = Pages(self, self.url, {name.lower() for name in allow_host}, control)
            self._listener.start(self._serve, self.proxy)
            opened.pop_all()

    def __repr__(self) -> str:
        if not hasattr(self, "_service"):
            return "Sandbox(not made)"  # as a debugger may see it
        return f"Sandbox({self.where}, {'open at' if self._listener.is_open else 'closed,'} {self.url})"

    def _repr_html_(self) -> str:
        from giftlib.api import as_html

        orders = len(self._service.backend.orders.items)
        state = "open" if self._listener.is_open else "closed"
        return as_html("Sandbox", {"where": self.where, "address": f"{self.url}, {state}", "orders": orders})

    @property
    def where(self) -> str:
        """The emulator in words, for people.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox(seed=7) as sandbox:
        ...     sandbox.where
        'emulator, seed 7, simulated clock'
        """
        return f"emulator, seed {self._service.backend.seed}, {name_of(self.clock)}"

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and close all connections. A second call does nothing.

        >>> from giftlib.sandbox import Sandbox
        >>> sandbox = Sandbox()
        >>> sandbox.close()
        """
        self._listener.close()
        if self._log:
            with self._service.lock:
                self._log.close(self._service.now())

    def client(self, api_key: str | None = None) -> "Client":
        """Make a client of this sandbox with that key, or the first one, on its clock.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox() as sandbox:
        ...     sandbox.client().balance()
        Decimal('10000000')
        """
        from giftlib.api import Client

        client = Client(api_key or self.api_key, self.url, clock=self.clock)
        client.made_for = self.where
        return client

    def refusing(self) -> AbstractContextManager[None]:
        """Refuse connections until the block ends, as if no server ran; open connections are closed.

        Requests are not counted meanwhile. It is no `Fault`, since a request that reaches no server cannot end it.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox() as sandbox, sandbox.refusing():
        ...     pass  # here a request raises ConnectionRefusedError
        """
        return self._listener.refusing()

    def save(self, path: str | PathLike[str]) -> None:
        """Write the state to a file from which `Sandbox(state=path)` goes on.

        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from giftlib.sandbox import Sandbox
        >>> with TemporaryDirectory() as folder, Sandbox() as sandbox:
        ...     order_ids = sandbox.add_orders(2)
        ...     sandbox.save(Path(folder, "state"))
        ...     with Sandbox(state=Path(folder, "state")) as later:
        ...         list(later.truth()) == order_ids
        True
        """
        with self._service.lock, closing(EventLog(path)) as log:
            log.begin(self._service.backend, self._service.now())

    async def _serve(self, exchange: Exchange) -> None:
        if exchange.names_its_host:
            page = self._pages.respond(exchange.request(""))
        else:
            page = bare_error(400, "one Host header is required")
        if page:
            with self._service.lock:
                self._service.stamp(page, self._service.now().utc)
            await exchange.respond(page)
        else:
            await self._service.serve(exchange)


def _start(
    seed: Any, clock: Clock | None, given: Settings, faults: Iterable[Fault], log: EventLog | None, api_key: str | None
) -> Service:
    """Start the service, where the file of an earlier sandbox ended if there is one."""
    history = log.read() if log else None
    if history:
        history.check_same(seed, given)
        seed, given, clock = history.seed, history.settings, clock or SimulatedClock(history.end)
    service = Service(seed, given, clock or SimulatedClock(), faults, api_key)
    if log and history:
        log.resume(history, service.backend)
        service.ahead_s = history.second_of(service.clock.now_utc()) - service.clock.monotonic()
    elif log:
        log.begin(service.backend, service.now())
    if log:
        service.backend.on_event = log.add
        if hasattr(service.clock, "spend"):  # time passes without it on any other
            service.on_time = log.reach
    return service
