"""What runs in processes of its own while `test_crash` kills: an emulator, and a buyer of 20 orders."""

import threading
import time

from giftlib import Client, Journal, Sandbox, SystemClock, process_orders, track_orders
from giftlib.polling import recover_orders

ORDERS = 20
PRODUCT = "507f1f77bcf86cd799439011"


class HastyClock(SystemClock):
    """A hundred of its seconds pass in one, so that the pace of 60 requests a minute takes no minutes."""

    def monotonic(self):
        return 100 * super().monotonic()

    def sleep(self, seconds):
        time.sleep(seconds / 100)


def serve(connection):
    """Serve an emulator and tell its address and key."""
    sandbox = Sandbox(clock=SystemClock(), latency_s=0.002, fulfilment_s=0.1, ceiling_per_minute=None)
    connection.send((sandbox.url, sandbox.api_key))
    threading.Event().wait()


def buy(url, key, path, type_id):
    """Go on with the journal, then buy what is missing of the orders; may be killed and started again."""
    client, journal = Client(key, url, clock=HastyClock()), Journal(path)
    recover_orders(journal, client)
    begun = int((journal.intents()["state"] != "not placed").sum())
    track_orders(journal.unfinished(), client=client, journal=journal)
    process_orders([(PRODUCT, type_id, 1)] * (ORDERS - begun), client=client, journal=journal)
    journal.close()
