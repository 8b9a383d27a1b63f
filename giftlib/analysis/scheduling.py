"""The best that any schedule can do against a law: the bound that schedules are measured by."""

from typing import Any

import numpy as np

from giftlib.api.validation import check_seconds
from giftlib.polling.schedules import Evaluation, Schedule, evaluate, fixed

_STEP_S = 0.05
_LONGEST_S = 400.0


def optimum(law: Any, worth_s: float, *, closest: float = 0.0) -> Schedule:
    """The schedule that makes mean delay + `worth_s` x requests an order smallest, by dynamic programming.

    With F the law (a frozen distribution of scipy.stats) and S = 1 - F, the cost from an open look at s on is
    J(s) = min over u of worth_s S(s) + integral of F(t) - F(s) from s to u + J(u) (Barlow, Hunter and Proschan 1963,
    J. SIAM 11: 1078-1095). Looks are at least `closest` seconds apart, on a grid of 0.05 s up to the time that one
    order in 100,000 takes, 400 s at most.
    """
    check_seconds("worth_s", worth_s)
    times = np.arange(0.0, min(float(law.isf(1e-5)), _LONGEST_S) + _STEP_S, _STEP_S)
    share = law.cdf(times)
    area = np.concatenate([[0.0], np.cumsum((share[1:] + share[:-1]) / 2 * _STEP_S)])
    gap = max(round(closest / _STEP_S), 1)
    last = len(times) - 1
    cost, following = np.zeros(len(times)), np.full(len(times), last)
    for i in range(last - 1, -1, -1):
        first = min(i + (gap if i else 1), last)  # the first look may come at once
        totals = area[first:] - share[i] * times[first:] + cost[first:]
        best = int(np.argmin(totals))
        following[i] = first + best
        cost[i] = worth_s * (1 - share[i]) + totals[best] - area[i] + share[i] * times[i]
    looks = [int(following[0])]
    while looks[-1] < last:
        looks.append(int(following[looks[-1]]))
    if len(looks) > 2:
        looks.pop()  # it stands where the grid ends, whatever the gap before it
    return fixed([float(times[i]) for i in looks])


def best_delay(law: Any, requests_per_order: float, *, closest: float = 0.0) -> float:
    """The smallest mean delay, in seconds, that so many requests an order can buy.

    Between two optimal schedules it is the line from one to the other: what taking each for a share of orders gives.
    """
    cheap, dear = 0.02, 1e3
    few, many = _point(law, dear, closest), _point(law, cheap, closest)
    if not few.requests_per_order <= requests_per_order <= many.requests_per_order:
        raise ValueError(
            f"requests_per_order must be from {few.requests_per_order:.3g} to {many.requests_per_order:.3g} here, "
            f"got {requests_per_order!r}"
        )
    while dear / cheap > 1.001 and many.requests_per_order - few.requests_per_order > 0.005:
        middle = float(np.sqrt(cheap * dear))
        point = _point(law, middle, closest)
        if point.requests_per_order > requests_per_order:
            cheap, many = middle, point
        else:
            dear, few = middle, point
    return float(np.interp(
        requests_per_order,
        [few.requests_per_order, many.requests_per_order],
        [few.mean_delay_s, many.mean_delay_s],
    ))  # fmt: skip


def _point(law: Any, worth_s: float, closest: float) -> Evaluation:
    return evaluate(optimum(law, worth_s, closest=closest), law)
