"""Measure the estimates against surpyval's Turnbull on the same intervals, on one core: part of `make bench`.

It runs in an environment of its own, which has giftlib and surpyval. Seconds are of the processor, the least of five.
"""

import os

os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")

from time import process_time

import numpy as np
import pandas as pd
from surpyval import Turnbull

from giftlib import time_to_fulfilment


def fastest(call):
    seconds = []
    for _ in range(5):
        begun = process_time()
        call()
        seconds.append(process_time() - begun)
    return min(seconds)


def off_grid(n):
    """Lognormal times, 5 % open, each polled every 5 s from a moment of its own."""
    rng = np.random.default_rng(n)
    times = rng.lognormal(np.log(10), 0.668, n)
    low = np.maximum(times - rng.uniform(0, 5, n), 0)
    return pd.DataFrame({"not_done_by_s": low, "done_by_s": np.where(rng.random(n) < 0.05, np.inf, low + 5)})


def log_likelihood(orders, points, masses):
    after = np.append(0.0, np.cumsum(masses))
    before, by = (after[np.searchsorted(points, orders[name], "right")] for name in ("not_done_by_s", "done_by_s"))
    return np.log(by - before).sum()


def main():
    print(
        "| intervals | surpyval 0.25 | `frame()` (Turnbull) | ratio | `quantile(0.5)` | ratio | `band()` |\n"
        + "|---" * 7
        + "|"
    )
    for n in (200, 1000, 3000, 10_000):
        orders = off_grid(n)
        bounds = [orders[name].to_numpy() for name in ("not_done_by_s", "done_by_s")]
        theirs = fastest(lambda: Turnbull.fit(xl=bounds[0], xr=bounds[1], turnbull_estimator="Kaplan-Meier"))
        turnbull, smooth, band = (
            fastest(lambda name=name, arguments=arguments: getattr(time_to_fulfilment(orders), name)(*arguments))
            for name, arguments in (("frame", ()), ("quantile", (0.5,)), ("band", ()))
        )
        row = [f"{1000 * theirs:.0f} ms", f"{1000 * turnbull:.0f} ms", f"{turnbull / theirs:.2f}"]
        row += [f"{1000 * smooth:.0f} ms", f"{smooth / theirs:.2f}", f"{1000 * band:.0f} ms"]
        print(f"| {n:,} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
