"""Measure how well the median is known: `make study`. Not part of the suite; takes some minutes.

300 times 50 orders, placed and polled one by one over HTTP, every 5 s; the true median is 10 s.
"""

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
from scipy.stats import lognorm, norm

from giftlib import Journal, Sandbox, place_order, poll_order_until_complete, time_to_fulfilment
from giftlib.sandbox.catalog import SAMPLE_PRODUCT

REPETITIONS, ORDERS, MEDIAN_S = 300, 50, 10.0
TRUE = lognorm(np.log(3) / norm.ppf(0.95), scale=MEDIAN_S)


def repetition(seed, latency_s):
    """Give the estimated medians, and whether each interval holds the true one."""
    journal = Journal()
    with Sandbox(seed=seed, latency_s=latency_s, rate_limit_per_minute=None) as sandbox:
        client = sandbox.client()
        for _ in range(ORDERS):
            order_id = place_order(SAMPLE_PRODUCT, "type_001", 1, client=client, journal=journal)
            poll_order_until_complete(order_id, client=client, journal=journal)
    orders = journal.orders()
    curve = time_to_fulfilment(orders)
    band = curve.band().set_index("seconds")
    end = min(band.index, key=lambda seconds: abs(seconds - MEDIAN_S))
    first, last = curve.quantile_band(0.5)
    return {
        "time of first final poll (naive)": orders["done_by_s"].median(),
        "nonparametric, `curve.point(0.5)`": curve.point(0.5),
        "lognormal fit": curve.fits["lognormal"].quantile(0.5),
        "`curve.band()` at the end of a Turnbull interval nearest to the median": band["low"][end]
        <= TRUE.cdf(end)
        <= band["high"][end],
        "`curve.quantile_band(0.5)`": first <= MEDIAN_S <= last,
    }


def main():
    print("| responses | estimate of the median | bias | RMSE | 95 % interval holds the truth |\n|---|---|---|---|---|")
    with ProcessPoolExecutor() as workers:
        for name, latency_s in (("immediately", 0), ("in 0.15 s (median)", None)):
            found = pd.DataFrame(workers.map(repetition, range(REPETITIONS), [latency_s] * REPETITIONS))
            for estimate, values in found.items():
                if values.dtype == bool:
                    print(f"| {name} | {estimate} | | | {values.mean():.1%} |")
                else:
                    errors = values - MEDIAN_S
                    print(f"| {name} | {estimate} | {errors.mean():+.2f} s | {np.sqrt((errors**2).mean()):.2f} s | |")


if __name__ == "__main__":
    main()
