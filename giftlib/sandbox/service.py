"""Serve each request: latency, faults, the response; and keep a record of the requests."""

import asyncio
import random
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from giftlib.clock import Clock, Timestamp

from .backend import Backend
from .connections import Exchange
from .faults import NO_FAULT, Fault, FaultPlan
from .messages import Request, Response, apply_fault
from .orders import draw_seconds
from .request_log import RequestRecord, Requests, without_secrets
from .router import Router
from .settings import Settings

_MOST_TEXT = 2000
"""Characters of a body that are kept where it is no JSON that the API reads."""


class Service:
    """Responds to requests as the backend, the settings and the faults determine. `lock` guards all of it.

    `ahead_s` is how many seconds the backend's time is ahead of the clock's monotonic seconds. `on_time` is called with
    every time that is read: of a simulated clock nothing else tells how late it was.
    """

    def __init__(
        self, seed: Any, settings: Settings, clock: Clock, faults: Iterable[Fault], api_key: str | None
    ) -> None:
        self.clock = clock
        self.lock = threading.Lock()
        self.ahead_s = 0.0
        self.on_time: Callable[[Timestamp], None] = lambda _: None
        self._begin(seed, settings, faults, api_key)

    def reset(self) -> None:
        """Begin anew, with the same seed, settings and keys."""
        old = self.backend
        first, *others = old.authenticator.keys.values()
        self._begin(old.seed, old.settings, (), first.key)
        for key in others:
            self.backend.add_key(**key.changes())

    def now(self) -> Timestamp:
        """Read the clock; monotonic seconds are the backend's."""
        utc, monotonic = Timestamp.now(self.clock)
        now = Timestamp(utc, monotonic + self.ahead_s)
        self.on_time(now)
        return now

    def stamp(self, response: Response, utc: datetime, request: Request | None = None) -> None:
        """Say in the headers which instance responds, and when by its clock; to a request of the API also its id.

        A page of any origin may read responses of the API.
        """
        own = {} if request is None else {"Access-Control-Allow-Origin": "*", "X-Request-Id": request.id}
        own |= {"Date": format_datetime(utc.astimezone(UTC), usegmt=True), "X-Emulator-Instance": self.backend.instance}
        response.headers = own | response.headers

    async def serve(self, exchange: Exchange) -> None:
        """Handle one request, from its arrival to the last byte of its response."""
        arrived = self.clock.now_utc()
        self.request_count += 1
        settings = self.backend.settings
        latency = draw_seconds("latency", settings, self._latencies)
        request = exchange.request(_request_id(self.request_count, arrived, settings.request_id_style))
        in_time = await self._pass_time(latency / 2)
        response, fault, order_id = self._respond(request)
        if response:
            in_time = await self._pass_time(latency / 2 + fault.delay_s) and in_time
        sent = response if in_time and fault.cut not in ("before", "after") else None
        with self.lock:
            keys = self.backend.authenticator.keys
            path, query, body, order_id = (
                without_secrets(each, keys) for each in (request.path, request.query, request.content, order_id)
            )
            body = body[:_MOST_TEXT] if isinstance(body, str) else body
            key = keys.get(request.headers.get("X-Access-Token", ""))
            self.records.append(RequestRecord(
                arrived, request.method, path, query, body, key.name if key else None,
                sent.status if sent else None, None if fault is NO_FAULT else fault, order_id,
            ))  # fmt: skip
        await exchange.respond(sent, fault, self._pass_time)

    async def _pass_time(self, seconds: float) -> bool:
        """Let time pass on the clock; False if the client has given up meanwhile."""
        spend: Callable[[float], bool] | None = getattr(self.clock, "spend", None)
        if spend is not None:
            return spend(seconds)
        await asyncio.sleep(seconds)
        return True

    def _respond(self, request: Request) -> tuple[Response | None, Fault, str | None]:
        """Carry a request out unless a fault prevents it; no response means a reset connection.

        Gives the order that was placed or asked for, too.
        """
        with self.lock:
            now = self.now()
            call = self._router.admit(request, now)
            if isinstance(call, Response):
                self.stamp(call, now.utc, request)
                return call, NO_FAULT, None
            asked_for = call.item_id if call.endpoint == "checkOrder" else None
            fault = self.faults.next_fault(call.endpoint, asked_for, call.key.name, request.content)
            if fault.cut == "before":
                return None, fault, asked_for
            response = self._router.carry_out(call, fault)
            self.stamp(response, now.utc, request)
        apply_fault(response, fault)
        return response, fault, response.order_id or asked_for

    def _begin(self, seed: Any, settings: Settings, faults: Iterable[Fault], api_key: str | None) -> None:
        self.backend = Backend(seed, settings, api_key)
        self.faults = FaultPlan(seed, faults)
        self.records = Requests()
        self.request_count = 0
        self._router = Router(self.backend)
        self._latencies = random.Random(f"{seed}:latency")


def _request_id(number: int, now: datetime, style: str) -> str:
    """The id of the `number`-th request, in one of the two styles seen."""
    if style == "req_time_number":
        return f"req_{int(now.timestamp())}_{number:06x}"
    letters = ""
    while number:
        number, digit = divmod(number, 36)
        letters = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + letters
    return f"req-{letters}"
