"""A process is killed while it places orders and waits; after one more run its journal and the emulator agree.

The environment variable GIFTLIB_CRASH_RUNS says how often, a few times by default.
"""

import os
import random
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest
from crashing import ORDERS, place, serve
from processes import PROCESSES
from thorough import tries

from giftlib import Client, Journal

RUNS = int(os.environ.get("GIFTLIB_CRASH_RUNS", tries(3, 5)))


@pytest.fixture(scope="module")
def emulator():
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=serve, args=(there,), daemon=True)
    process.start()
    yield here.recv()
    process.kill()
    process.join()


@pytest.fixture(scope="module")
def whole_run_s(emulator, tmp_path_factory):
    """The seconds that the process takes if it is not killed."""
    started = monotonic()
    process = start(emulator, tmp_path_factory.mktemp("whole") / "journal.sqlite", "run_whole")
    process.join()
    assert process.exitcode == 0
    return monotonic() - started


def start(emulator, path, type_id):
    process = PROCESSES.Process(target=place, args=(*emulator, path, type_id))
    process.start()
    return process


def placed(emulator, type_id):
    """The ids of all orders of the type that the emulator has."""
    url, key = emulator
    client, now, ids, number, pages = Client(key, url), datetime.now(UTC), [], 1, 1
    while number <= pages:
        page = client.list_orders(number, 100, since=now - timedelta(hours=2), until=now + timedelta(hours=1))
        ids += [order.order_id for order in page if order.type_id == type_id]
        number, pages = number + 1, page.total_pages
    return ids


@pytest.mark.parametrize("run", range(RUNS))
def test_killed_process(emulator, whole_run_s, tmp_path, run):
    """A killed process loses no order and places none twice."""
    path, type_id = tmp_path / "journal.sqlite", f"run_{run}"
    killed = start(emulator, path, type_id)
    killed.join(timeout=random.Random(run).uniform(0, whole_run_s))
    killed.kill()
    killed.join()

    again = start(emulator, path, type_id)
    again.join()
    assert again.exitcode == 0
    journal = Journal(path)
    orders, intents = journal.orders(), journal.intents()
    journal.close()
    assert sorted(orders["order_id"]) == sorted(placed(emulator, type_id))
    assert orders["status"].eq("FULFILLED").all()
    assert len(intents) == ORDERS
    # At most the request that was being sent when the process was killed did not reach the emulator.
    assert len(orders) >= ORDERS - 1
