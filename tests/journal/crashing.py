"""What runs in processes of its own in `test_crash`: an emulator, and a process that places 20 orders."""

import threading
import time

from samples import PRODUCT

from giftlib import Client, Journal, Sandbox, SystemClock, process_orders, track_orders
from giftlib.polling import recover_orders

ORDERS = 20


class HastyClock(SystemClock):
    """A hundred of its seconds pass in one, so that 60 requests per minute take no minute."""

    def monotonic(self):
        return 100 * super().monotonic()

    def sleep(self, seconds):
        time.sleep(seconds / 100)


def serve(connection):
    """Serve an emulator, and send its address and key."""
    sandbox = Sandbox(clock=SystemClock(), latency_s=0.002, fulfilment_s=0.1, rate_limit_per_minute=None)
    connection.send((sandbox.url, sandbox.api_key))
    threading.Event().wait()


def place(url, key, path, type_id):
    """Continue with the journal, then place the orders that are missing; may be killed and started again."""
    client, journal = Client(key, url, clock=HastyClock()), Journal(path)
    recover_orders(journal, client)
    started = int((journal.intents()["state"] != "not placed").sum())
    track_orders(journal.unfinished(), client=client, journal=journal)
    process_orders([(PRODUCT, type_id, 1)] * (ORDERS - started), client=client, journal=journal)
    journal.close()
