"""Orders placed to see what becomes of them: some polled closely, one refunded, then many."""

from itertools import cycle, islice

from giftlib.api import Order, errors
from giftlib.clock import Timestamp
from giftlib.journal import Poll
from giftlib.polling import Poller, process_orders, track_orders

from .probes import Offer
from .session import CalibrationSession, name_orders

GUIDES_PRODUCT = "507f1f77bcf86cd799439011"
UNKNOWN_ITEM = ("string", "string")
"""Product and type of an order in a captured sample (DOC-REAL): the sandbox knows neither."""
LONGEST_S, _IMPATIENT_S = 300.0, 60.0
"""How long orders are waited for, and how long where the first ones were not final within five minutes."""
_LEAST_PAUSE_S, _OF_AGE = 1.0, 6.0
"""The least pause between polls; later it is a sixth of the order's age."""
_MORE_S = 25.0


def try_order(session: CalibrationSession, offers: list[Offer]) -> tuple[tuple[str, str], str] | None:
    """Place an order of unknown ids, or else of the first offer; return item and order id, None if it was rejected."""
    items = [("unknown ids", UNKNOWN_ITEM), *(("known ids", offer[:2]) for offer in offers[:1])]
    for name, item in items:
        with session.finding(name):
            try:
                order_id = session.place(*item, 1)
            except errors.PermissionDeniedError as error:
                if error.code.startswith(("IP_", "API_")):
                    raise
                session.found("key_scope", "READ-ONLY", f"{error.status} {error.code}")
                return None
            session.found(name, "placed", name_orders([order_id]))
            session.found("key_scope", "READ-WRITE", name_orders([order_id]))
            return item, order_id
    return None


def watch(session: CalibrationSession, order_id: str, *, in_list: bool = False) -> Order | None:
    """Poll an order just placed by itself and in the list, in turn, until it is final or five minutes old.

    Return it if it is final. With `in_list`, poll on until the list shows it final as well, unless lists fail.
    """
    clock, poller = session.client.clock, Poller(session.client, session.journal, None)
    placed, final = clock.monotonic(), None
    lists_fail = listed_final = False
    while True:
        if final is None:
            session.wait(at_once=True)
            order = poller.check(order_id).order
            final = order if order is not None and order.is_final else None
        if not lists_fail:
            lists_fail = True
            with session.finding("list_lag_s", "list_hides_s"):
                sent = Timestamp.now(clock)
                newest = session.newest(session.client.list_orders, at_once=True)
                lists_fail, received = False, Timestamp.now(clock)
                listed = next((order for order in newest if order.order_id == order_id), None)
                if listed is None:
                    session.hidden_s[order_id] = sent.monotonic - placed
                else:
                    poller.record(Poll.of(order_id, poller.next_attempt(order_id), "list", sent, received, listed))
                    listed_final = listed.is_final
        age = clock.monotonic() - placed
        if age >= LONGEST_S or (final and (listed_final or lists_fail or not in_list)):
            return final
        clock.sleep(max(_LEAST_PAUSE_S, age / _OF_AGE))


def watch_more(session: CalibrationSession, item: tuple[str, str]) -> None:
    """Poll some more orders closely, one after the other: of use where lists are late or hide orders."""
    until = session.client.clock.monotonic() + _MORE_S
    with session.finding():
        while session.client.clock.monotonic() < until:
            watch(session, session.place(*item, 1))


def place_many(
    session: CalibrationSession, item: tuple[str, str], offers: list[Offer], orders: int, others: list[str]
) -> None:
    """Place so many orders of all types, only a few if that is 0, and wait for them and then for the `others`."""
    by_price = {offer.price: offer for offer in reversed(offers) if offer.stock}
    items = [
        (GUIDES_PRODUCT, "TEST_PARTIAL", 3),
        (GUIDES_PRODUCT, "TEST_PARTIAL", 1),
        (GUIDES_PRODUCT, "TEST_REFUND", 2),
        *((offer.product_id, offer.type_id, 1) for offer in list(by_price.values())[-2:]),
        (*item, 1),
    ]
    many = islice(cycle(items), max(orders, len(items)))
    timeout = LONGEST_S if orders else _IMPATIENT_S
    with session.finding():
        process_orders(many, timeout=timeout, client=session.client, journal=session.journal)
    with session.finding():
        track_orders(others, timeout=_IMPATIENT_S, client=session.client, journal=session.journal)
