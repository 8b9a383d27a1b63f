"""Measure the estimates against surpyval's Turnbull on the same intervals, on one core: part of `make bench`.

It runs in an environment of its own, which has giftlib and surpyval. Seconds are of the processor, the least of twenty
that are taken in turn.
"""

import os

os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")

from time import process_time

import numpy as np
import pandas as pd
from surpyval import Turnbull

from giftlib import time_to_fulfilment


def fastest(calls, rounds=20):
    seconds = []
    for _ in range(rounds):
        for call in calls:
            begun = process_time()
            call()
            seconds.append(process_time() - begun)
    return [min(seconds[place :: len(calls)]) for place in range(len(calls))]


def off_grid(n):
    """Lognormal times, 5 % open, each polled every 5 s from a moment of its own."""
    rng = np.random.default_rng(n)
    times = rng.lognormal(np.log(10), 0.668, n)
    low = times - rng.uniform(0, 5, n)
    high = np.where(rng.random(n) < 0.05, np.inf, low + 5)
    return pd.DataFrame({"not_done_by_s": low.clip(0), "done_by_s": high})


def main():
    print(
        "| intervals | surpyval 0.25 | `frame()` (Turnbull) | ratio | `quantile(0.5)` | ratio | `band()` |\n"
        + "|---" * 7
        + "|"
    )
    for n in (200, 1000, 3000, 10_000):
        orders = off_grid(n)
        low, high = (orders[name].to_numpy() for name in ("not_done_by_s", "done_by_s"))
        theirs, turnbull, smooth, band = fastest([
            lambda: Turnbull.fit(xl=low, xr=high, turnbull_estimator="Kaplan-Meier"),
            lambda: time_to_fulfilment(orders).frame(),
            lambda: time_to_fulfilment(orders).quantile(0.5),
            lambda: time_to_fulfilment(orders).band(),
        ])  # fmt: skip
        row = [f"{1000 * theirs:.1f} ms", f"{1000 * turnbull:.1f} ms", f"{turnbull / theirs:.2f}"]
        row += [f"{1000 * smooth:.1f} ms", f"{smooth / theirs:.2f}", f"{1000 * band:.1f} ms"]
        print(f"| {n:,} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
