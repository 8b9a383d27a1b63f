"""Measure how often `giftlib compare` says "changed", with and without a change: the table in docs/report.md.

For each seed the emulator fulfils the orders of several journals, each at random: types (so outcomes), times, failed
polls. Two are alike; in one the median is 2 s later (12 s, not 10); one is polled half as often. Takes some minutes.
"""

from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from giftlib import Journal, Sandbox, process_orders
from giftlib.report import compare_reports
from giftlib.sandbox import Fault
from giftlib.sandbox.catalog import SAMPLE_PRODUCT

SEEDS, SIZES = range(100), (100,)
TYPES = {"type_001": 0.8, "TEST_PARTIAL": 0.1, "TEST_REFUND": 0.1}
SLOWER = {"fulfilment_median_s": 12.0, "fulfilment_p95_s": 36.0}  # each time is 1.2 times as long
NOW = {"nothing": ({}, 5), "median 2 s later": (SLOWER, 5), "polled every 10 s, not 5": ({}, 10)}


def write_journal(path, seed, n, settings, interval_s):
    rng = np.random.default_rng(seed)
    orders = [(SAMPLE_PRODUCT, str(name), 2) for name in rng.choice(list(TYPES), n, p=list(TYPES.values()))]
    faults = [Fault(endpoint, status=503, rate=0.02) for endpoint in ("checkOrder", "list")]
    with Sandbox(seed, faults=faults, **settings) as sandbox, Journal(path) as journal:
        process_orders(orders, interval=interval_s, client=sandbox.client(), journal=journal)


def changed(case):
    """For each journal that is compared with the first, the rows that say "changed"."""
    seed, n = case
    with TemporaryDirectory() as folder:
        first = Path(folder, "first.sqlite")
        write_journal(first, seed, n, {}, 5)
        found = []
        for number, (what, (settings, interval_s)) in enumerate(NOW.items(), 1):
            path = Path(folder, f"{number}.sqlite")
            write_journal(path, seed + 1000 * number, n, settings, interval_s)
            changes = compare_reports(first, path)
            rows = changes.loc[changes["verdict"] == "changed", "what"]
            found.append({"orders": n, "what changed": what, "any row": len(rows) > 0} | dict.fromkeys(rows, True))
        return found


def main():
    with ProcessPoolExecutor() as pool:
        rows = pd.DataFrame([row for found in pool.map(changed, product(SEEDS, SIZES)) for row in found])
    counts = rows.fillna(False).groupby(["orders", "what changed"], sort=False).sum().astype(int)
    print(f'Of {len(SEEDS)} comparisons, how many say "changed":\n\n{counts.reset_index().to_string(index=False)}')


if __name__ == "__main__":
    main()
