"""What a test can ask the emulated service: its keys, its orders and how long they take, what it was asked."""

from typing import Any

from .auth import Key
from .event_log import EventLog
from .faults import Fault
from .orders import Page, iso
from .requests import Requests
from .service import Service


class Observation:
    """What a test can read of a `Sandbox`. Any thread may call it."""

    def __init__(self, service: Service, log: EventLog | None) -> None:
        self.clock = service.clock
        self.settings = service.backend.settings
        self._service = service
        self._log = log

    @property
    def instance(self) -> str:
        """The header `X-Emulator-Instance` of every response; kept in a state, replaced by `reset`.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox() as sandbox:
        ...     len(sandbox.instance)
        32
        """
        return self._service.backend.instance

    @property
    def keys(self) -> list[Key]:
        """All keys with their properties, the first one first.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox() as sandbox:
        ...     sandbox.keys
        [Key(type='SANDBOX', scope='READ-WRITE', allowed_ips=(), enabled=True)]
        """
        with self._service.lock:
            return list(self._service.backend.authenticator.keys.values())

    def truth(self) -> dict[str, float]:
        """Give the seconds from placement to final status by order id; `math.inf` if it is never final.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox(fulfilment_s=7) as sandbox:
        ...     [order_id] = sandbox.add_orders(1)
        ...     sandbox.truth()[order_id]
        7.0
        """
        with self._service.lock:
            return {order.id: order.duration for order in self._service.backend.orders.items}

    def latest_orders(self, most: int = 20) -> list[dict[str, str]]:
        """Give id, type, quantity, status and time of the newest orders of all environments, without their cards.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox() as sandbox:
        ...     order_ids = sandbox.add_orders(1, "TEST_REFUND", quantity=3)
        ...     [(order["type"], order["quantity"], order["status"]) for order in sandbox.latest_orders()]
        [('TEST_REFUND', '3', 'HANDLING')]
        """
        with self._service.lock:
            now, orders = self._service.now().monotonic, self._service.backend.orders.page(Page(1, most))[0]
        return [
            {"id": order.id, "type": order.type, "quantity": str(order.quantity), "status": order.status(now),
             "time": iso(order.ms)}
            for order in orders
        ]  # fmt: skip

    @property
    def faults(self) -> list[Fault]:
        """The faults that may still affect a request, in the order in which they were injected."""
        with self._service.lock:
            return self._service.faults.planned()

    @property
    def requests(self) -> Requests:
        """The requests that are finished, in that order; `where(...)` chooses some.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox() as sandbox:
        ...     balance = sandbox.client().balance()
        ...     [(request.path, request.status, request.key) for request in sandbox.requests]
        [('/v3/account/balance', 200, 'SANDBOX')]
        """
        with self._service.lock:
            return Requests(self._service.records)

    def assert_requested(self, method: str, path: str, *, times: int | None = None, **fields: Any) -> None:
        """Raise AssertionError unless such a request came, `times` times or at least once; it says what came instead.

        The path may have wildcards; `fields` are others of `sandbox.requests`; a body may have more than what is given.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox() as sandbox:
        ...     order_id = sandbox.client().place_order("507f1f77bcf86cd799439011", "type_001", 2)
        ...     sandbox.assert_requested("POST", "/v3/gift-cards/placeOrder", times=1, body={"quantity": 2})
        """
        self.requests.check(times, {"method": method, "path": path, **fields})
