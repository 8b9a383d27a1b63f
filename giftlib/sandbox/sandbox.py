"""The sandbox: a world, its clock and its faults behind a port."""

import asyncio
import random
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from decimal import Decimal
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

from giftlib.clock import Clock, SimulatedClock, Timestamp

from .admin import Control
from .auth import Key
from .backend import World
from .connections import Exchange
from .event_log import Past, StateFile, read_past, repeat, save
from .faults import Fault, FaultPlan
from .listener import Listener
from .orders import draw_lognormal, iso
from .pages import Site
from .responses import Answer, Request, request_id, spoil
from .router import Api
from .settings import Settings
from .validators import MONEY

if TYPE_CHECKING:
    from giftlib.api import Client


class RequestRecord(NamedTuple):
    """A request that arrived at `when_utc`: `status` is None if it got no answer, `order_id` the order it placed."""

    when_utc: datetime
    method: str
    path: str
    status: int | None
    order_id: str | None


class Sandbox:
    """A gift-card API on this machine, with an account for each environment and one key until `add_key`; it runs from
    construction to `close()`.

    `seed` settles the keys, the ids, how long each order takes, how long each answer takes and which request a fault
    with a rate strikes; none of these changes another. `clock` is read for every time and is shared with the client;
    None is a new `SimulatedClock`. On a clock that has `spend`, latency moves the clock; on any other it is waited
    for. `port` 0 is a free one; a taken one is an OSError. `faults` are `Fault`s; `settings` and, over them, `changes`
    say what the service is like, by the names in `Settings`.

    With `state` all that happens is kept in that file, and a sandbox made with the same file goes on from there, with
    its seed and settings (ValueError if others are given); how often a key was wrong and how often it came are not
    kept. With `control`, whoever can reach the port can also reset it, move its clock, inject faults and read its
    truth under `/_sandbox/`.
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
        settings: Settings | None = None,
        **changes: Any,
    ) -> None:
        self._listener = Listener(host, port, self._serve)
        self.url = self._listener.url
        try:
            self._remember(seed, clock, (settings or Settings()).but(**changes), faults, state)
        except BaseException:
            self._listener.close()
            raise
        self.api_key = self._world.first_key.key
        self._pages: list[Callable[[Request], Answer | None]] = [Site(self, control=control).answer]
        if control:
            self._pages.append(Control(self).answer)
        self._listener.start()

    def __repr__(self) -> str:
        return f"<Sandbox {self.url} {'open' if self._listener.is_open else 'closed'}>"

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and close all connections. A second call does nothing."""
        self._listener.close()
        if self._state:
            self._state.close(self._now())

    def client(self, api_key: str | None = None) -> "Client":
        """A client of this sandbox with that key, or the first one, on its clock."""
        from giftlib.api import Client

        return Client(api_key or self.api_key, self.url, clock=self.clock)

    def add_key(
        self,
        type: str = "SANDBOX",
        scope: str = "READ-WRITE",
        *,
        allowed_ips: tuple[str, ...] = (),
        enabled: bool = True,
    ) -> str:
        """A further access key. All keys of a type share an account, and each has its own ceiling."""
        with self._lock:
            return self._world.add_key(type=type, scope=scope, allowed_ips=allowed_ips, enabled=enabled).key

    @property
    def keys(self) -> "list[Key]":
        """All keys with their properties, the first one first."""
        with self._lock:
            return list(self._world.gate.keys.values())

    def truth(self) -> dict[str, float]:
        """Order id -> seconds from the placement to the final state; `math.inf` if it is never reached."""
        with self._lock:
            return {order.id: order.duration for order in self._world.orders}

    def latest_orders(self, most: int = 20) -> list[dict[str, str]]:
        """The newest orders of all environments without their cards: id, type, quantity, status and time of each."""
        with self._lock:
            now, orders = self._now().monotonic, self._world.orders.page(1, most, None, None)[0]
            return [
                {"id": order.id, "type": order.type, "quantity": str(order.quantity), "status": order.status(now),
                 "time": iso(order.ms)}
                for order in orders
            ]  # fmt: skip

    def add_orders(self, n: int, type_id: str = "type_001", quantity: int = 1) -> list[str]:
        """Ids of `n` orders that somebody else places with the first key's account at this moment; no request is made.

        They count like all others: they are listed, cost what they cost, and take a time drawn from the seed. Raises
        ValueError if the account cannot pay for all; then none is placed.
        """
        for name, value, least in (("n", n, 0), ("quantity", quantity, 1)):
            if type(value) is not int or value < least:
                raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")
        with self._lock:
            now, environment = self._now(), self.settings.key_type
            self._world.accounts[environment].require(type_id, quantity, now.monotonic, n)
            return [self._world.place(environment, None, type_id, quantity, now).id for _ in range(n)]

    def deposit(self, amount: Decimal) -> None:
        """Credit dinars to the first key's account, as a transaction `DEPOSIT`."""
        if not MONEY.is_good(amount):
            raise ValueError(f"amount must be {MONEY.accepted}, got {amount!r}")
        with self._lock:
            self._world.deposit(self.settings.key_type, amount, self._now())

    def reset(self) -> None:
        """Begin anew: no order, no fault; keys and clock go on. OSError with a state that is kept."""
        with self._lock:
            if self._state:
                raise OSError("a sandbox whose state is kept in a file is not reset: begin a new file")
            _, *further = self._world.gate.keys.values()
            self._begin()
            for key in further:
                self._world.add_key(**key.properties())

    def save(self, path: str | PathLike[str]) -> None:
        """Write the state to a file from which `Sandbox(state=path)` goes on."""
        with self._lock:
            save(path, self._world, self._world.history(), self._now())

    def inject(self, fault: Fault) -> None:
        """Plan a fault; its `call` is counted from now on."""
        with self._lock:
            self._faults.inject(fault)

    @property
    def requests(self) -> list[RequestRecord]:
        """The requests that have come to their end so far, in that order."""
        with self._lock:
            return list(self._records)

    def refusing(self) -> AbstractContextManager[None]:
        """Nobody listens until the block ends: open connections are closed, new ones are refused.

        Requests are not counted meanwhile. It is no `Fault`, since a request that finds nobody cannot end it.
        """
        return self._listener.refusing()

    def _remember(
        self,
        seed: Any,
        clock: Clock | None,
        given: Settings,
        faults: Iterable[Fault],
        state: str | PathLike[str] | None,
    ) -> None:
        """Begin, where the file of an earlier sandbox ended if there is one."""
        past = None if state is None else read_past(state)
        if past is not None:
            _check_same_world(past, seed, given)
            seed, given = past.seed, past.settings
        self.settings = given
        self.clock: Clock = clock or (SimulatedClock() if past is None else SimulatedClock(past.end()))
        self._seed = seed
        self._lock = threading.Lock()
        self._ahead = 0.0
        self._begin(faults)
        if state is not None and past is not None:
            repeat(state, past, self._world)
            self._ahead = past.second_of(self.clock.now_utc()) - self.clock.monotonic()
        self._state = None if state is None else StateFile(state, self._world, self._now(), past)
        if self._state:
            self._world.tell = self._state.add

    def _now(self) -> Timestamp:
        """What the world's clock shows: the one given, whose monotonic seconds go on from those of a kept state."""
        utc, monotonic = Timestamp.now(self.clock)
        return Timestamp(utc, monotonic + self._ahead)

    def _begin(self, faults: Iterable[Fault] = ()) -> None:
        self._world = World(self._seed, self.settings)
        self._api = Api(self._world)
        self._faults = FaultPlan(self._seed, faults)
        self._latencies = random.Random(f"{self._seed}:latency")
        self._records: list[RequestRecord] = []
        self._request_count = 0

    def _arrive(self) -> tuple[str, float]:
        """An id for a request and the seconds that its answer takes."""
        self._request_count += 1
        settings = self.settings
        latency = settings.latency_s
        if latency is None:
            latency = draw_lognormal(self._latencies, settings.latency_median_s, settings.latency_p95_s)
        return request_id(self._request_count, self.clock.now_utc(), settings.request_id_style), latency

    async def _pass_time(self, seconds: float) -> bool:
        """Let time pass on the clock; False if the client has given up meanwhile."""
        spend: Callable[[float], bool] | None = getattr(self.clock, "spend", None)
        if spend is not None:
            return spend(seconds)
        await asyncio.sleep(seconds)
        return True

    def _act(self, request: Request) -> tuple[Answer | None, Fault | None]:
        """Carry a request out, as far as no fault is in the way; no answer means a reset connection."""
        with self._lock:
            now = self._now()
            reached = self._api.admit(request, now)
            if isinstance(reached, Answer):
                return reached, None
            fault = self._faults.strike(reached.endpoint)
            if fault and fault.cut == "before":
                return None, fault
            if fault and fault.status is not None:
                return self._api.envelope.faulty(fault, request), fault
            return self._api.carry_out(reached, request, now), fault

    async def _serve(self, exchange: Exchange) -> None:
        """See one request through, from its arrival to the last byte of its answer."""
        for page in self._pages:
            if shown := page(exchange.request("")):
                await exchange.send_plainly(shown)
                return
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
        sent = answer if in_time and cut not in ("before", "after") else None
        status = sent.status if sent else None
        order_id = answer.order_id if answer else None
        with self._lock:
            self._records.append(RequestRecord(arrived, request.method, request.path, status, order_id))
        goes_on = False
        if sent:
            drip_s = fault.drip_s if fault else 0.0
            goes_on = await exchange.send(sent, request, half=cut == "within", drip_s=drip_s, pass_time=self._pass_time)
        if goes_on and cut is None:
            exchange.end()
        else:
            exchange.drop(reset=fault is not None and (fault.reset or cut == "before"))


def _check_same_world(past: Past, seed: Any, given: Settings) -> None:
    """A state goes on with the seed and the settings that it was begun with, or with none given."""
    if seed not in (0, past.seed):
        raise ValueError(f"seed must be {past.seed!r}, with which the state was begun, got {seed!r}")
    before = past.settings.changes()
    for name, value in given.changes().items():
        if before.get(name) != value:
            raise ValueError(f"{name} must be {getattr(past.settings, name)!r}, as the state was begun, got {value!r}")
