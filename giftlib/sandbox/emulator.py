"""The emulated service without its port: what a test can ask it and make it do."""

from decimal import Decimal
from typing import Any

from .auth import Key
from .event_log import EventLog
from .faults import Fault
from .orders import Page, iso
from .request_log import Requests
from .service import Service
from .settings import Outcome
from .validators import MONEY, QUANTITY, TEXT, whole_number


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
        whole_number(0).check("most", most)
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
        ValueError for what no request could have, such as a path with a query.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox() as sandbox:
        ...     order_id = sandbox.client().place_order("507f1f77bcf86cd799439011", "type_001", 2)
        ...     sandbox.assert_requested("POST", "/v3/gift-cards/placeOrder", times=1, body={"quantity": 2})
        """
        self.requests.check(times, {"method": method, "path": path, **fields})


class Emulator(Observation):
    """What a test can make the service do. Any thread may call it."""

    def add_key(
        self,
        type: str = "SANDBOX",
        scope: str = "READ-WRITE",
        *,
        allowed_ips: tuple[str, ...] = (),
        enabled: bool = True,
    ) -> str:
        """Make a further access key. All keys of a type share an account; each has its own rate limit.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox() as sandbox:
        ...     sandbox.client(sandbox.add_key(scope="READ-ONLY")).validate().scope
        'READ-ONLY'
        """
        with self._service.lock:
            return self._service.backend.add_key(type=type, scope=scope, allowed_ips=allowed_ips, enabled=enabled).key

    def add_orders(self, n: int, type_id: str = "type_001", quantity: int = 1) -> list[str]:
        """Place `n` orders with the first key's account, as another client would; no request is made. Gives their ids.

        They are listed and charged like all orders, and the seed determines how long they take. Raises ValueError if
        the account cannot pay for all; then none is placed.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox() as sandbox:
        ...     len(sandbox.add_orders(3, "TEST_PARTIAL", quantity=4))
        3
        """
        whole_number(0, 10**6).check("n", n)
        TEXT.check("type_id", type_id)
        QUANTITY.check("quantity", quantity)
        with self._service.lock:
            now, environment, backend = self._service.now(), self.settings.key_type, self._service.backend
            backend.accounts[environment].require(type_id, quantity, now.monotonic, n)
            return [backend.place(environment, None, type_id, quantity, now).id for _ in range(n)]

    def next_order(self, delivered: int | None = None, after_s: float | None = None) -> None:
        """Choose what becomes of the next order that is placed, whatever its type; several calls queue up.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox() as sandbox:
        ...     sandbox.next_order(delivered=0, after_s=3)
        ...     [order_id] = sandbox.add_orders(1, quantity=2)
        ...     sandbox.clock.sleep(3)
        ...     sandbox.latest_orders()[0]["status"]
        'REFUNDED'
        """
        outcome = Outcome(delivered, after_s)
        with self._service.lock:
            self._service.backend.next_outcomes.append(outcome)

    def deposit(self, amount: Decimal) -> None:
        """Credit dinars to the first key's account, as a transaction `DEPOSIT`.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox(opening_balance=100) as sandbox:
        ...     sandbox.deposit(50)
        ...     sandbox.client().balance()
        Decimal('150')
        """
        MONEY.check("amount", amount)
        with self._service.lock:
            self._service.backend.deposit(self.settings.key_type, amount, self._service.now())

    def inject(self, fault: Fault) -> None:
        """Plan a fault; its `call` is counted from now on.

        >>> from giftlib.sandbox import Fault, Sandbox
        >>> with Sandbox() as sandbox:
        ...     sandbox.inject(Fault("placeOrder", cut="after"))
        """
        with self._service.lock:
            self._service.faults.inject(fault)

    def clear_faults(self) -> None:
        """Plan no fault any more, neither those injected nor those given at the start.

        >>> from giftlib.sandbox import Fault, Sandbox
        >>> with Sandbox(faults=[Fault("ping", status=503)]) as sandbox:
        ...     sandbox.clear_faults()
        ...     sandbox.faults
        []
        """
        with self._service.lock:
            self._service.faults.clear()

    def unblock(self) -> None:
        """End the lock-out of every address, and forget the wrong keys that were counted; orders stay.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox() as sandbox:
        ...     sandbox.unblock()
        """
        with self._service.lock:
            self._service.backend.authenticator.unblock()

    def reset(self) -> None:
        """Start again as a new `instance`, with the same keys and clock. OSError if the state is in a file.

        >>> from giftlib.sandbox import Sandbox
        >>> with Sandbox() as sandbox:
        ...     order_ids = sandbox.add_orders(2)
        ...     sandbox.reset()
        ...     sandbox.truth()
        {}
        """
        if self._log:
            raise OSError("a sandbox whose state is kept in a file is not reset: begin a new file")
        with self._service.lock:
            self._service.reset()
