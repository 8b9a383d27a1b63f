"""What tests do with a sandbox, and what they ask of it afterwards."""

from contextlib import suppress
from datetime import timedelta

from samples import PRODUCT

from giftlib import PollTimeoutError, SystemClock, place_order, poll_order_until_complete


class Wrong:
    """A clock like another, whose wall clock is wrong by some seconds."""

    def __init__(self, clock, seconds):
        self.clock = clock
        self.by = timedelta(seconds=seconds)

    def now_utc(self):
        return self.clock.now_utc() + self.by

    def __getattr__(self, name):
        return getattr(self.clock, name)


class SlowClock(SystemClock):
    """It is an hour behind until it is set right: orders placed by it are old then, and polled at once."""

    behind = timedelta(hours=1)

    def now_utc(self):
        return super().now_utc() - self.behind

    def set_right(self):
        self.behind = timedelta()


def place_and_wait(sandbox, journal, type_id="type_001", quantity=2, **waiting):
    """Place an order, wait until it is final or the time is over, and return its id."""
    client = sandbox.client()
    order_id = place_order(PRODUCT, type_id, quantity, client=client, journal=journal)
    with suppress(PollTimeoutError):
        poll_order_until_complete(order_id, client=client, journal=journal, **waiting)
    return order_id


def requests_to(sandbox, endpoint):
    """How many requests a sandbox got with this in their path."""
    return sum(endpoint in request.path for request in sandbox.requests)


def rejected_requests(sandbox):
    """The requests that a sandbox rejected for its rate limit."""
    return [request for request in sandbox.requests if request.status == 429]


def contains_truth(orders, truth):
    """Whether the interval of each order contains the seconds that the order truly took."""
    true = orders["order_id"].map(truth)
    return ((orders["not_done_by_s"] < true) & (true <= orders["done_by_s"])).all()
