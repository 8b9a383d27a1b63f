"""The figures of the table in docs/benchmarks.md: `make bench`. Not part of the suite; takes some minutes."""

import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import dask.dataframe as dd
import nbformat
import numpy as np
import pandas as pd
import requests
from dask.distributed import Client as Cluster
from dask.distributed import LocalCluster
from jupyter_client.manager import start_new_kernel
from naive_polling import loop_for_each
from scipy.stats import fisk, lognorm

from giftlib import (
    Client,
    Journal,
    Sandbox,
    poll_order_until_complete,
    process_orders,
    refund_totals,
    time_to_fulfilment,
    track_orders,
)
from giftlib.journal.parquet import write_orders
from giftlib.report import find_notebooks
from giftlib.schedules import best_delay, evaluate, every, fitted, optimum

ROOT = Path(__file__).parents[2]
PRODUCT = "507f1f77bcf86cd799439011"
LAW = lognorm(np.log(3) / 1.6448536, scale=10)
LOG_LOGISTIC = fisk(np.log(19) / np.log(3), scale=10)
SERVER = """
import os, sys, threading
if len(sys.argv) > 1:
    os.sched_setaffinity(0, {int(sys.argv[1])})
from giftlib.sandbox import Sandbox
from giftlib.clock import SystemClock
sandbox = Sandbox(clock=SystemClock(), latency_s=0, rate_limit_per_minute=None, fulfilment_s=0)
print(sandbox.url, sandbox.api_key, *sandbox.add_orders(1), flush=True)
threading.Event().wait()
"""

WATCHED = """
from time import perf_counter
from giftlib import Sandbox, SystemClock, track_orders
from giftlib.polling import progress

drawing_s, show = 0.0, progress.Progress._show


def timed(self, **options):
    global drawing_s
    begun = perf_counter()
    show(self, **options)
    drawing_s += perf_counter() - begun


progress.Progress._show = timed
with Sandbox(clock=SystemClock()) as sandbox:
    ids, client, begun = sandbox.add_orders(500), sandbox.client(), perf_counter()
    track_orders(ids, client=client, progress=True)
    print(drawing_s, perf_counter() - begun)
"""


class SlowTail:
    """95 % of the orders as the guide says, 5 % with a median of 120 s."""

    usual, slow = LAW, lognorm(np.log(3) / 1.6448536, scale=120)

    def cdf(self, seconds):
        return 0.95 * self.usual.cdf(seconds) + 0.05 * self.slow.cdf(seconds)

    def sf(self, seconds):
        return 1 - self.cdf(seconds)

    def isf(self, share):
        return self.slow.isf(min(20 * share, 0.5))

    def mean(self):
        return 0.95 * self.usual.mean() + 0.05 * self.slow.mean()

    def rvs(self, size, random_state):
        is_slow = random_state.random(size) < 0.05
        times = (law.rvs(size, random_state=random_state) for law in (self.slow, self.usual))
        return np.where(is_slow, *times)


def delays(orders, truth):
    """Seconds from final to seen; every bracket must hold the truth."""
    true = orders["order_id"].map(truth)
    assert ((orders["not_done_by_s"] < true) & (true <= orders["done_by_s"] + 1e-9)).all()
    return orders["done_by_s"] - true


def refused(sandbox):
    return sum(request.status == 429 for request in sandbox.requests)


def one_order_at_a_time(schedule, orders=6000):
    """Requests an order and mean delay of single waits over HTTP, under the ceiling, answers taking no time."""
    with Sandbox(latency_s=0) as sandbox:
        client, journal = sandbox.client(), Journal()
        client.validate()
        for _ in range(orders):
            poll_order_until_complete(*sandbox.add_orders(1), schedule=schedule, client=client, journal=journal)
        return (len(sandbox.requests) - 1) / orders, delays(journal.orders(), sandbox.truth()).mean()


def burst(orders, seed, wait=lambda ids, client: track_orders(ids, client=client), **settings):
    with Sandbox(seed=seed, **settings) as sandbox:
        found = wait(sandbox.add_orders(orders), sandbox.client()).orders()
        assert found["status"].eq("FULFILLED").all()
        requests = len(sandbox.requests) - 1  # and one for the type of the key
        return delays(found, sandbox.truth()).mean(), requests / orders, refused(sandbox)


def throughput(orders, seed):
    with Sandbox(seed=seed) as sandbox:
        found = process_orders([(PRODUCT, "type_001", 1)] * orders, client=sandbox.client()).orders()
        minutes = sandbox.clock.monotonic() / 60
        return orders / minutes, delays(found, sandbox.truth()).mean(), len(sandbox.requests) / orders, refused(sandbox)


def excess(law, orders, histories):
    """By what proportion fitted schedules exceed the best delay for their requests: mean and worst of the histories."""
    points = [evaluate(optimum(law, worth), law) for worth in np.geomspace(20, 0.3, 60)]
    front = [[point.requests_per_order for point in points], [point.mean_delay_s for point in points]]
    found = []
    for seed in range(histories):
        high = np.ceil(law.rvs(orders, random_state=np.random.default_rng(seed)) / 5) * 5
        schedule = fitted(pd.DataFrame({"not_done_by_s": high - 5, "done_by_s": high}))
        requests_per_order, delay, _ = evaluate(schedule, law)
        found.append(delay / np.interp(requests_per_order, *front) - 1)
    return np.mean(found), max(found)


def cpu_per_check(rounds=9, checks=200):
    """Microseconds of this process for a check: by giftlib, by a bare session, by the guide's requests.get."""
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        url, key, order_id = server.stdout.readline().split()
        client, session, full = Client(key, url), requests.Session(), f"{url}/v3/gift-cards/checkOrder/{order_id}"
        header = {"X-Access-Token": key}
        session.headers.update(header)
        ways = [
            lambda: client.check_order_status(order_id),
            lambda: session.get(full).json(),
            lambda: requests.get(full, headers=header).json(),
        ]
        taken = [[] for _ in ways]
        for _ in range(rounds):
            for way, seconds in zip(ways, taken, strict=True):
                way()
                begun = process_time()
                for _ in range(checks):
                    way()
                seconds.append((process_time() - begun) / checks * 1e6)
        server.kill()
    return [median(seconds) for seconds in taken]


def load_on_one_core(checks=5000):
    """Looks a second and their slowest percent in ms, emulator and a keep-alive `requests.Session` sharing a core."""
    everywhere, core = os.sched_getaffinity(0), max(os.sched_getaffinity(0))
    with subprocess.Popen([sys.executable, "-c", SERVER, str(core)], stdout=subprocess.PIPE, text=True) as server:
        url, key, order_id = server.stdout.readline().split()
        session, full = requests.Session(), f"{url}/v3/gift-cards/checkOrder/{order_id}"
        session.headers["X-Access-Token"] = key
        os.sched_setaffinity(0, {core})
        taken = [timed(lambda: session.get(full).json()) for _ in range(checks)][200:]
        os.sched_setaffinity(0, everywhere)
        server.kill()
    return len(taken) / sum(taken), float(np.quantile(taken, 0.99)) * 1000


def emulator_of_a_million():
    """Seconds to start and to stop a sandbox with a million orders, and GiB at the peak; wants its own process."""
    begun = perf_counter()
    sandbox = Sandbox(latency_s=0, opening_balance=10**12)
    started = perf_counter() - begun
    for _ in range(10):
        sandbox.add_orders(100_000, "TEST_PARTIAL", 2)
    sandbox.clock.sleep(10**6)
    client = sandbox.client()
    assert len(client.list_orders(5000, 100)) == 100 == len(client.transactions(15_000, 100))
    begun = perf_counter()
    sandbox.close()
    return started, perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def timed(call):
    begun = perf_counter()
    call()
    return perf_counter() - begun


def cost_of_tracking(orders):
    """CPU seconds, and MB at the peak, of tracking a burst; measured in runs of their own, memory slows."""
    begun = process_time()
    burst(orders, 0)
    seconds = process_time() - begun
    tracemalloc.start()
    burst(orders, 0)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return seconds, peak


def orders_frame(orders, seed, latency_s=0.0, first_look=lambda rng, n: 5.0):
    """Made-up orders with the columns of `Journal.orders`, polled every 5 s."""
    rng = np.random.default_rng(seed)
    first = first_look(rng, orders)
    high = first + 5 * np.maximum(np.ceil((LAW.rvs(orders, random_state=rng) - first) / 5), 0)
    request_s = latency_s * rng.uniform(0.2, 2, orders)
    prices = np.array([Decimal(centimes).scaleb(-2) for centimes in range(10_000, 110_000, 100)])
    price = prices[rng.integers(0, len(prices), orders)]
    quantity = rng.integers(1, 10, orders)
    delivered = np.where(rng.random(orders) < 0.8, quantity, rng.integers(0, 10, orders) % (quantity + 1))
    status = np.select([delivered == quantity, delivered == 0], ["FULFILLED", "REFUNDED"], "PARTIALLY_FILLED")
    days = pd.to_datetime("2026-01-01", utc=True) + pd.to_timedelta(seed, "D")
    return pd.DataFrame(
        {
            "order_id": pd.array([f"6955b9{seed:06x}{number:012x}" for number in range(orders)], dtype="str"),
            "product_id": PRODUCT,
            "type_id": pd.array(
                rng.choice(["type_001", "type_002", "TEST_PARTIAL", "TEST_REFUND"], orders), dtype="str"
            ),
            "quantity": pd.array(quantity, dtype="Int64"),
            "placed_at": (days + pd.to_timedelta(rng.integers(0, 86_400, orders), "s")).as_unit("us"),
            "status": pd.array(status, dtype="str"),
            "polls": pd.array(high // 5 + 1, dtype="Int64"),
            "not_done_by_s": np.maximum(high - 5 - request_s, 0),
            "done_by_s": high + request_s,
            "open_at_s": np.maximum(high - 5 + request_s * rng.uniform(-0.5, 0.5, orders), 0),
            "final_at_s": high + request_s * rng.uniform(-0.5, 0.5, orders),
            "guess_error_s": 2 * request_s,
            "fulfilled_quantity": pd.array(delivered, dtype="Int64"),
            "price_per_card": price,
            "fulfilled_amount": price * delivered,
            "refunded_quantity": pd.array(quantity - delivered, dtype="Int64"),
            "refunded_amount": price * (quantity - delivered),
            "problems": "",
        }
    )


def fastest(call, rounds=5):
    return min(timed(call) for _ in range(rounds))


def a_million():
    for name, latency_s, first_look in (
        ("on one grid", 0.0, lambda rng, n: 5.0),
        ("with latency", 0.15, lambda rng, n: 5.0),
        ("from any time on", 0.15, lambda rng, n: rng.uniform(0, 5, n)),
    ):
        orders = orders_frame(10**6, 0, latency_s, first_look)
        ours = fastest(lambda: time_to_fulfilment(orders))
        plain = fastest(lambda: orders.groupby(["not_done_by_s", "done_by_s"]).size())
        row(f"`time_to_fulfilment`, a million orders polled {name}, against `groupby().size()` of their intervals",
            "at most 3", f"{ours / plain:.2f} ({1000 * ours:.0f} ms)")  # fmt: skip
    columns = ["quantity", "fulfilled_quantity", "refunded_quantity", "fulfilled_amount", "refunded_amount"]
    ours = fastest(lambda: refund_totals(orders))
    plain = fastest(lambda: [orders[column].sum() for column in columns])
    row(
        "`refund_totals` of a million orders, against plain sums",
        "at most 2",
        f"{ours / plain:.2f} ({1000 * ours:.0f} ms)",
    )
    ours, plain = (
        fastest(lambda: refund_totals(orders, "status")),
        fastest(lambda: orders.groupby("status")[columns].sum()),
    )
    row("the same by status, against a plain `groupby`", "", f"{ours / plain:.2f} ({1000 * ours:.0f} ms)")


def twenty_million():
    """Through Parquet and Dask; the curve and the sums must be those of the frames that were written."""
    with tempfile.TemporaryDirectory() as directory:
        charged, within_10_s = Decimal(0), 0

        def frames():
            nonlocal charged, within_10_s
            for seed in range(200):
                frame = orders_frame(100_000, seed, 0.15)
                charged += frame["fulfilled_amount"].sum()
                within_10_s += (frame["done_by_s"] <= 10.5).sum()
                yield frame

        write_orders(frames(), f"{directory}/orders", decimal_places=2)
        with (
            LocalCluster(n_workers=2, threads_per_worker=1, memory_limit="2GiB", dashboard_address=None) as workers,
            Cluster(workers) as cluster,
        ):
            orders = dd.read_parquet(f"{directory}/orders")
            begun = perf_counter()
            curve = time_to_fulfilment(orders)
            curve_s = perf_counter() - begun
            at, after = (curve.sample_bounds((within_10_s + more) / curve.n)[1] for more in (0, 1))
            assert curve.n == 20 * 10**6 and at <= 10.5 < after
            begun = perf_counter()
            assert refund_totals(orders)["charged"].item() == charged
            sums_s = perf_counter() - begun
            peaks = cluster.run(lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        row("20 million orders from Parquet, two Dask workers", "within 2 GiB a worker",
            f"{max(peaks.values()) / 2**30:.2f} GiB, {curve_s:.0f} s the curve, {sums_s:.0f} s the sums")  # fmt: skip


def notebooks_under_nbval(rounds=3):
    """Seconds of strict nbval on two cores: our notebooks, and as many that only import pandas and pyplot."""
    ours = find_notebooks(ROOT / "notebooks")
    with tempfile.TemporaryDirectory() as folder:
        for path in ours:
            cell = nbformat.v4.new_code_cell("import matplotlib.pyplot as plt\nimport pandas as pd", execution_count=1)
            nbformat.write(nbformat.v4.new_notebook(cells=[cell]), Path(folder) / path.name)
        shutil.copy(ROOT / "notebooks" / "conftest.py", folder)
        command = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider"]
        taken = [
            [timed(lambda: subprocess.run([*command, where], cwd=ROOT, check=True, capture_output=True))
             for where in (str(ROOT / "notebooks"), folder)]
            for _ in range(rounds)
        ]  # fmt: skip
    return [min(seconds) for seconds in zip(*taken, strict=True)]


def panel_of_500_orders():
    """The panel's updates, the seconds that they took, and those of the wait, in a real kernel and in real time."""
    manager, client = start_new_kernel(kernel_name="python3")
    found = Counter()

    def take(message):
        found[message["msg_type"]] += 1
        if message["msg_type"] == "stream":
            found["text"] = message["content"]["text"]

    client.execute_interactive(WATCHED, output_hook=take, allow_stdin=False, timeout=600)
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    return found["update_display_data"], *map(float, found["text"].split())


def row(what, claim, seen):
    print(f"| {what} | {claim} | {seen} |", flush=True)


def main():
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.machine()}, "
        f"{os.cpu_count()} cores\n"
    )
    print("| what | aimed at | seen |\n|---|---|---|")
    ours, bare, guide = cpu_per_check()
    row("CPU a check, against a bare `Session.get(...).json()`", "at most 1.15", f"{ours / bare:.2f} ({ours:.0f} µs)")
    row("the same, against the guide's `requests.get`", "", f"{ours / guide:.2f}")

    rate, slowest = load_on_one_core()
    row("the emulator, checkOrder by a keep-alive session, both on one core", "1,000 a second, 99 % under 10 ms",
        f"{rate:,.0f} a second, 99 % under {slowest:.1f} ms")  # fmt: skip
    with ProcessPoolExecutor(1, get_context("spawn")) as aside:
        start, stop, peak = aside.submit(emulator_of_a_million).result()
    row("the emulator with a million orders", "start and stop under 0.2 s each, under 1.5 GiB",
        f"{1000 * start:.0f} ms, {1000 * stop:.0f} ms, {peak:.2f} GiB")  # fmt: skip

    patient, loop = evaluate(every(5, first=7), LAW), evaluate(every(5), LAW)
    row("`every(5, first=7)`, exact", "2.65 requests, 2.6 s", f"{patient[0]:.2f} requests, {patient[1]:.2f} s")
    row("`every(5)`, exact (the guide's loop)", "3.99, 2.48 s", f"{loop[0]:.2f}, {loop[1]:.2f} s")
    row("best delay with gaps of 5 s", "2.48 s", f"{best_delay(LAW, 2.86, closest=5):.2f} s at 2.86 requests")
    for schedule in (every(5, first=7), every(5)):
        requests_per_order, delay = one_order_at_a_time(schedule)
        row(f"`{schedule}`, 6,000 waits over HTTP", "", f"{requests_per_order:.2f}, {delay:.2f} s")

    for name, law in (("lognormal", LAW), ("log-logistic", LOG_LOGISTIC), ("slow tail", SlowTail())):
        aims = ("at most 25 %", "at most 5 %") if name != "slow tail" else ("", "")
        for orders, aim in zip((5, 20), aims, strict=True):
            mean, worst = excess(law, orders, 20)
            row(
                f"`fitted`, {orders} past orders, {name}: over the optimum", aim, f"{mean:.1%}, worst of 20 {worst:.1%}"
            )
    millions = LAW.rvs(10**6, random_state=0)
    begun = process_time()
    evaluate(every(5), millions)
    row("`evaluate` on a million orders", "under 2 s", f"{process_time() - begun:.2f} s")

    for orders in (200, 500, 1000):
        rate, delay, per_order, refusals = np.mean([throughput(orders, seed) for seed in range(5)], axis=0)
        row(f"`process_orders`, {orders} orders, 60/min", "45 a minute, 3 s, no 429",
            f"{rate:.1f} a minute, {delay:.2f} s, {per_order:.2f} requests, {refusals:.0f} × 429")  # fmt: skip
    for orders, aim, seeds in ((50, "2.7 s, 0.25 requests, no 429", 40), (500, "6 s, no 429", 5), (5000, "no 429", 1)):
        delay, per_order, refusals = np.mean([burst(orders, seed) for seed in range(seeds)], axis=0)
        row(f"burst of {orders}, mean of {seeds}", aim,
            f"{delay:.2f} s, {per_order:.3f} requests, {refusals:.0f} × 429")  # fmt: skip
    for name, spacing in (("naive loops", 0.0), ("loops with 1 s between polls", 1.0)):
        delay, per_order, refusals = burst(
            50, 0, lambda ids, client, s=spacing: loop_for_each(ids, client=client, spacing=s), latency_s=0
        )
        row(f"burst of 50, {name}", "", f"{delay:.1f} s, {per_order:.2f} requests, {refusals} × 429")
    for orders in (500, 5000):
        seconds, peak = cost_of_tracking(orders)
        row(
            f"tracking a burst of {orders}, emulator included", "", f"{seconds:.1f} s of CPU, {peak:.0f} MB at the peak"
        )
    updates, drawing_s, wait_s = panel_of_500_orders()
    row("the panel of a wait for 500 orders in a notebook, part of the time", "under 5 %",
        f"{drawing_s / wait_s:.1%} ({updates} updates in {wait_s:.0f} s)")  # fmt: skip
    a_million()
    twenty_million()
    ours, empty = notebooks_under_nbval()
    row("all notebooks under strict nbval, two cores, against as many that only import pandas and pyplot",
        "at most 1.6", f"{ours / empty:.2f} ({ours:.1f} s)")  # fmt: skip


if __name__ == "__main__":
    main()
