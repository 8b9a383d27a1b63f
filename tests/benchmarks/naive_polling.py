"""The guide's loop run for many orders at the same time: what `track_orders` is measured against."""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from giftlib.api.client import Client
from giftlib.journal.store import Journal
from giftlib.polling import Poller


def loop_for_each(order_ids: Iterable[str], *, client: Client, every: float = 5.0, spacing: float = 0.0) -> Journal:
    """The journal of as many loops as there are orders, each with a pause of `every` seconds, until all are final.

    They are played in one thread, a look when it is due and `spacing` seconds after the look before, so answers
    should take no time (`latency_s=0`). A refusal is a look like any other.
    """
    clock, journal = client.clock, Journal()
    poller = Poller(client, journal, None)
    due = [(clock.monotonic(), number, order_id) for number, order_id in enumerate(order_ids)]
    heapify(due)
    free_at = clock.monotonic()
    while due:
        moment, number, order_id = heappop(due)
        clock.sleep(max(moment - clock.monotonic(), free_at - clock.monotonic(), 0.0))
        free_at = clock.monotonic() + spacing
        poll = poller.check(order_id)
        if poll.order is None or not poll.order.is_final:
            heappush(due, (clock.monotonic() + every, number, order_id))
    return journal
