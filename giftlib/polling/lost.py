"""Search for the orders of a batch whose responses were lost, and place again what has a ref and was not placed."""

from collections.abc import Callable
from contextlib import suppress
from math import inf

from giftlib.api import errors

from .placing import Placer
from .recovery import recover_orders

_TRIES = 10
_EVERY_S = 10.0


class LostSearch:
    """Search once, and as long as it is not known what became of a request with a ref: for `timeout` seconds at most.

    `place_next` places the next order of the queue, `add` takes ids of orders to wait for.
    """

    def __init__(
        self, placer: Placer, place_next: Callable[[], float], add: Callable[[list[str]], None], timeout: float
    ) -> None:
        self._placer = placer
        self._place_next = place_next
        self._add = add
        self._timeout = timeout
        self._until = self._search_at = 0.0

    def next(self) -> float:
        """Search or place if it is time; return when to call again, infinity when nothing more is to be done."""
        now = self._placer.client.clock.monotonic()
        self._until = self._until or now + self._timeout
        if self._placer.queue:
            return self._place_next()
        if not self._placer.lost or self._search_at == inf:
            return inf
        if now >= self._search_at:
            self._search()
            undecided = any(request.ref is not None for request in self._placer.lost.values())
            self._search_at = now + _EVERY_S if undecided and now < self._until else inf
        return 0.0 if self._placer.queue else self._search_at

    def _search(self) -> None:
        client, journal = self._placer.client, self._placer.journal
        before = set(journal.unfinished(client.source))
        with suppress(errors.GiftlibError):
            recover_orders(journal, client, tries=_TRIES)
        states = journal.intents().set_index("intent")["state"]
        for intent, request in list(self._placer.lost.items()):
            state = states.loc[intent]
            if state not in ("intended", "unknown"):
                del self._placer.lost[intent]
            if state == "not placed" and request.ref is not None:
                self._placer.queue.append(request)
            elif state == "not placed":
                self._placer.reject(request, "the response was lost, and no order was placed")
        self._add([order_id for order_id in journal.unfinished(client.source) if order_id not in before])
