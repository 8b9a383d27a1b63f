"""The figures of the README's benchmark table: `make bench`. Not part of the suite; takes some minutes."""

import os
import platform
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime
from statistics import median
from time import process_time

import numpy as np
import pandas as pd
import requests
from scipy.stats import fisk, lognorm

from giftlib import Client, Journal, Sandbox, poll_order_until_complete, process_orders, track_orders
from giftlib.loops import loop_for_each
from giftlib.optimum import best_delay, optimum
from giftlib.schedules import evaluate, every, learned, wait_then

PRODUCT = "507f1f77bcf86cd799439011"
LAW = lognorm(np.log(3) / 1.6448536, scale=10)
LOG_LOGISTIC = fisk(np.log(19) / np.log(3), scale=10)
SERVER = """
import threading
from giftlib.sandbox import Sandbox
from giftlib.clock import SystemClock
sandbox = Sandbox(clock=SystemClock(), latency_s=0, ceiling_per_minute=None, fulfilment_s=0)
print(sandbox.url, sandbox.api_key, *sandbox.add_orders(1), flush=True)
threading.Event().wait()
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
        return delays(found, sandbox.truth()).mean(), len(sandbox.requests) / orders, refused(sandbox)


def throughput(orders, seed):
    with Sandbox(seed=seed) as sandbox:
        found = process_orders([(PRODUCT, "type_001", 1)] * orders, client=sandbox.client()).orders()
        minutes = sandbox.clock.monotonic() / 60
        return orders / minutes, delays(found, sandbox.truth()).mean(), len(sandbox.requests) / orders, refused(sandbox)


def excess(law, orders, histories):
    """By what share learned schedules exceed the best delay for their requests: mean and worst of the histories."""
    points = [evaluate(optimum(law, worth), law) for worth in np.geomspace(20, 0.3, 60)]
    front = [[point.requests_per_order for point in points], [point.mean_delay_s for point in points]]
    found = []
    for seed in range(histories):
        high = np.ceil(law.rvs(orders, random_state=np.random.default_rng(seed)) / 5) * 5
        schedule = learned(pd.DataFrame({"not_done_by_s": high - 5, "done_by_s": high}))
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


def row(what, claim, seen):
    print(f"| {what} | {claim} | {seen} |", flush=True)


def main():
    print(f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores\n")
    print("| what | aimed at | seen |\n|---|---|---|")
    ours, bare, guide = cpu_per_check()
    row("CPU a check, against a bare `Session.get(...).json()`", "at most 1.15", f"{ours / bare:.2f} ({ours:.0f} µs)")
    row("the same, against the guide's `requests.get`", "", f"{ours / guide:.2f}")

    patient, loop = evaluate(wait_then(7, every=5), LAW), evaluate(every(5), LAW)
    row("`wait_then(7, every=5)`, exact", "2.65 requests, 2.6 s", f"{patient[0]:.2f} requests, {patient[1]:.2f} s")
    row("`every(5)`, exact (the guide's loop)", "3.99, 2.48 s", f"{loop[0]:.2f}, {loop[1]:.2f} s")
    row("best delay with gaps of 5 s", "2.48 s", f"{best_delay(LAW, 2.86, closest=5):.2f} s at 2.86 requests")
    for schedule in (wait_then(7, every=5), every(5)):
        requests_per_order, delay = one_order_at_a_time(schedule)
        row(f"`{schedule}`, 6,000 waits over HTTP", "", f"{requests_per_order:.2f}, {delay:.2f} s")

    for name, law in (("lognormal", LAW), ("log-logistic", LOG_LOGISTIC), ("slow tail", SlowTail())):
        aims = ("at most 25 %", "at most 5 %") if name != "slow tail" else ("", "")
        for orders, aim in zip((5, 20), aims, strict=True):
            mean, worst = excess(law, orders, 20)
            row(f"`learned`, {orders} past orders, {name}: over the optimum", aim, f"{mean:.1%}, worst of 20 {worst:.1%}")
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
    for name, spacing in (("naive loops", 0.0), ("loops with 1 s between looks", 1.0)):
        delay, per_order, refusals = burst(
            50, 0, lambda ids, client, s=spacing: loop_for_each(ids, client=client, spacing=s), latency_s=0
        )
        row(f"burst of 50, {name}", "", f"{delay:.1f} s, {per_order:.2f} requests, {refusals} × 429")
    for orders in (500, 5000):
        seconds, peak = cost_of_tracking(orders)
        row(f"tracking a burst of {orders}, emulator included", "", f"{seconds:.1f} s of CPU, {peak:.0f} MB at the peak")


if __name__ == "__main__":
    main()
