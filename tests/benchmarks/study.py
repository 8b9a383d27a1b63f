"""Measure how good the estimates of time to fulfilment are: `make study`. Not part of the suite; takes ten minutes.

80 times in each cell, orders are polled by a schedule, with responses that take time, until 60 s after their placement
(`simulate`); 30 times by the emulator, over HTTP. The table of all cells is docs/study.md; this prints what it says.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from math import inf, log
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import expon, fisk, lognorm, norm, uniform

from giftlib import Journal, Sandbox, process_orders, time_to_fulfilment
from giftlib.analysis import fit_distribution
from giftlib.sandbox.catalog import SAMPLE_PRODUCT

REPETITIONS, RUNS, LAST_POLL_S = 80, 30, 60.0
SPREAD = log(3) / norm.ppf(0.95)  # "most within 30 seconds", with a median of 10


class TwoPeaks:
    """Six orders of ten take about 6 s, the others about 22 s."""

    parts = ((0.6, lognorm(0.2, scale=6)), (0.4, lognorm(0.2, scale=22)))

    def rvs(self, n, random_state):
        times = [part.rvs(n, random_state=random_state) for _, part in self.parts]
        return np.where(random_state.random(n) < self.parts[0][0], *times)

    def ppf(self, p):
        return brentq(lambda t: sum(weight * part.cdf(t) for weight, part in self.parts) - p, 0.1, 1000)


DISTRIBUTIONS = {
    "lognormal": lognorm(SPREAD, scale=10),
    "two peaks": TwoPeaks(),
    "constant": uniform(11.9995, 0.001),
    "exponential": expon(scale=10 / log(2)),
    "heavy tail": fisk(1.8, scale=10),
}
SCHEDULES = {"every 5 s": (5, 5), "every 10 s": (10, 10), "7 s, then 5": (7, 5), "one list, 5 s": (None, 5)}
LATENCIES, SIZES = (0, 0.15, 1, 3), (10, 50, 200, 2000)
QUANTILES = {"median": 0.5, "90 %": 0.9, "95 %": 0.95}


def simulate(times, schedule, latency_s, rng):
    """Orders as `Journal.orders` gives them; the server's moment is in the middle of each request."""
    first, pause = SCHEDULES[schedule]
    n = len(times)

    def latency():
        return latency_s * np.exp(0.4 * rng.standard_normal(n))

    placing = latency()
    low, high, error = np.zeros(n), np.full(n, inf), placing / 2
    guess_low, guess_high = np.zeros(n), np.full(n, inf)
    sent = placing + (rng.uniform(0, 5, n) if first is None else first)
    while (asked := np.isinf(high) & (sent < LAST_POLL_S)).any():
        took = latency()
        moment = sent + (took - placing) / 2
        final = asked & (times <= moment)
        still_open = asked & ~final
        low[still_open], guess_low[still_open] = (sent - placing)[still_open], moment[still_open]
        high[final], guess_high[final] = (sent + took)[final], moment[final]
        error[asked] = ((placing + took) / 2)[asked]
        sent = np.maximum(sent + pause, sent + took)
    bounds = {"not_done_by_s": low, "done_by_s": high, "open_at_s": guess_low, "final_at_s": guess_high}
    return pd.DataFrame(bounds | {"guess_error_s": error})


def estimates(orders, distribution):
    """Errors of the median by each estimator, and whether each interval holds the truth."""
    truth = {name: distribution.ppf(p) for name, p in QUANTILES.items()}
    curve = time_to_fulfilment(orders)
    turnbull = curve.frame()
    row = turnbull.iloc[int(np.searchsorted(turnbull["cdf_high"], 0.5 - 1e-9))]
    shown = curve.summary()
    intervals = curve.intervals
    fit = fit_distribution("lognormal", *(intervals[name].to_numpy(float) for name in ("low", "high", "orders")))
    median = {
        "first final poll": orders["done_by_s"].median(),
        "Turnbull": (row["from_s"] + row["to_s"]) / 2,
        "lognormal fit": fit.median_s,
        "shown": shown.loc["median", "estimate"],
    }
    found = {name: value - truth["median"] for name, value in median.items()}
    for name, (_, low, high) in zip(QUANTILES, shown.itertuples(index=False), strict=True):
        found[f"covers {name}"] = low <= truth[name] <= high
    return found


def cell(arguments):
    name, schedule, latency_s, n = arguments
    found = []
    for repetition in range(REPETITIONS):
        rng = np.random.default_rng([repetition, *map(ord, name + schedule), int(100 * latency_s), n])
        times = DISTRIBUTIONS[name].rvs(n, random_state=rng)
        found.append(estimates(simulate(times, schedule, latency_s, rng), DISTRIBUTIONS[name]))
    return arguments, pd.DataFrame(found)


def over_http(seed):
    """200 orders placed and polled every 5 s, where responses take 3 s."""
    with Sandbox(seed=seed, latency_s=3, rate_limit_per_minute=None, fulfilment_p95_s=30) as sandbox:
        items = [(SAMPLE_PRODUCT, "type_001", 1)] * 200
        orders = process_orders(items, client=sandbox.client(), journal=Journal()).orders()
    return estimates(orders, DISTRIBUTIONS["lognormal"])


def row_of(key, found):
    errors = found.filter(regex="^(?!covers)").replace([inf, -inf], np.nan)
    rmse = (errors**2).mean() ** 0.5
    best = rmse.drop("shown").idxmin()
    covers = [f"{found[f'covers {name}'].mean():.0%}" for name in QUANTILES]
    others = f"{rmse[best]:.2f} ({best})"
    return [*key, f"{errors['shown'].mean():+.2f}", f"{rmse['shown']:.2f}", others, *covers]


def main(page):
    prose = page.read_text(encoding="utf-8").partition("| times |")[0]
    columns = ["times", "schedule", "latency (s)", "orders", "bias (s)", "RMSE (s)", "best other RMSE (s)", "median in"]
    columns += ["90 % in", "95 % in"]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    cells = product(DISTRIBUTIONS, SCHEDULES, LATENCIES, SIZES)
    with ProcessPoolExecutor() as workers:
        for key, found in workers.map(cell, cells):
            lines.append("| " + " | ".join(map(str, row_of(key, found))) + " |")
            print(lines[-1], flush=True)
        found = pd.DataFrame(workers.map(over_http, range(RUNS)))
    key = ("lognormal", "by the emulator", 3, 200)
    lines.append("| " + " | ".join(map(str, row_of(key, found))) + " |")
    print(lines[-1])
    page.write_text(prose + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
