"""The same list of requests with refs, run again and again under faults, kills and a locked journal, is placed once.

The environment variable GIFTLIB_REF_RUNS says how often, twice by default.
"""

import os
import random
import sqlite3
import warnings
from contextlib import closing
from time import sleep

import pytest
from processes import PROCESSES
from ref_process import ITEMS, FastClock, place_all, serve

from giftlib import Client, Journal
from giftlib.api import retry_read

RUNS = int(os.environ.get("GIFTLIB_REF_RUNS", "2"))


@pytest.fixture(scope="module")
def emulator():
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=serve, args=(there, 0.2), daemon=True)
    process.start()
    yield here.recv()
    process.kill()
    process.join()


def orders_of(emulator, type_id):
    """The ids of all orders of the type that the emulator has."""
    url, key = emulator
    client, ids, number, pages = Client(key, url, clock=FastClock(), request_timeout=60), set(), 1, 1
    while number <= pages:
        page = retry_read(lambda number=number: client.list_orders(number, 100), client.clock, 100)
        ids |= {order.order_id for order in page if order.type_id == type_id}
        number, pages = number + 1, page.total_pages
    return ids


def lock(path, seconds):
    """Hold the journal as another program may."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return
        sleep(seconds)
        other.execute("ROLLBACK")


@pytest.mark.parametrize("run", range(RUNS))
def test_same_list_again(emulator, tmp_path, run):
    """Each item of the list is placed once, and the journal knows all orders and nothing else."""
    path, type_id, chance = tmp_path / "journal.sqlite", f"run_{run}", random.Random(run)
    Journal(path).close()
    for attempt in range(30):
        process = PROCESSES.Process(target=place_all, args=(*emulator, path, type_id))
        process.start()
        if attempt < 3:
            process.join(timeout=chance.uniform(0.1, 1.5))
            if chance.random() < 0.5:
                lock(path, chance.uniform(0, 0.005))
            process.kill()
        process.join()
        if process.exitcode == 0:
            break
    with warnings.catch_warnings(), Journal(path) as journal:
        orders, intents = journal.orders(), journal.intents()
    assert len(orders) == ITEMS
    assert intents["state"].eq("placed").all() and len(intents) == ITEMS
    assert set(orders["order_id"]) == orders_of(emulator, type_id)
