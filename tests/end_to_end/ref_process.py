"""What runs in processes of their own in `test_ref_runs`: an emulator, and a program that places orders."""

import threading
import time
from datetime import UTC, datetime, timedelta

from samples import PRODUCT

from giftlib import Client, GiftlibError, Journal, Sandbox, SystemClock, process_orders
from giftlib.sandbox import at_rate

SPEED = 100
ITEMS = 40


class FastClock(SystemClock):
    """A hundred of its seconds pass in one, in every process alike, so that 60 requests per minute take no minute."""

    def now_utc(self):
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.monotonic() % 1e7)

    def monotonic(self):
        return SPEED * super().monotonic()

    def sleep(self, seconds):
        time.sleep(seconds / SPEED)


def serve(connection, fault_rate):
    """Serve an emulator, and send its address and key."""
    sandbox = Sandbox(clock=FastClock(), faults=at_rate(fault_rate), latency_s=0.002, rate_limit_per_minute=None)
    connection.send((sandbox.url, sandbox.api_key))
    threading.Event().wait()


def place_all(url, key, path, type_id):
    """Place the orders of the list; may be killed and started again. End with 0 once all are known."""
    client = Client(key, url, clock=FastClock(), request_timeout=60)
    with Journal(path) as journal:
        try:
            process_orders(
                [(PRODUCT, type_id, 1, f"line {number}") for number in range(ITEMS)],
                client=client, journal=journal, timeout=600,
            )  # fmt: skip
        except GiftlibError as error:
            print(type(error).__name__, error)
        known = journal.intents()["state"].eq("placed").sum() == ITEMS and not journal.unfinished()
    raise SystemExit(0 if known else 1)
