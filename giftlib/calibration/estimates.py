"""Times in seconds, from spans that hold them: one for all, or a law; each with an interval that holds the truth."""

from math import exp, log
from typing import Any, NamedTuple

import numpy as np

from giftlib.analysis import Z95, Floats

_HALF_DROP = 5.414
"""How far the log-likelihood may fall within an interval: half the 99.9 % quantile of chi-squared, one parameter."""
_GRID, _ZOOMS = 41, 6


class Estimate(NamedTuple):
    """A time in seconds, and the ends of its interval."""

    value: float
    low: float
    high: float


def roundest(low: float, high: float) -> Estimate:
    """The number with the fewest decimals near the middle of an interval, as whoever sets a time would write it."""
    middle = (low + high) / 2
    rounded = (round(middle, decimals) for decimals in range(10))
    return Estimate(next((value for value in rounded if low <= value <= high), middle), low, high)


def same_time(low: Floats, high: Floats) -> Estimate | None:
    """The one time that lies in all the spans, certain as they are; None if there is none."""
    first, last = float(low.max()), float(high.min())
    return roundest(first, last) if first <= last else None


def lognormal(low: Floats, high: Floats) -> tuple[Estimate, Estimate]:
    """Median and 95 % quantile of the lognormal law that makes the spans most likely, with 99.9 % intervals.

    The intervals are those of the profile likelihood, read off a grid that closes in on them. Spans may be open to
    infinity, but not all.
    """
    from scipy.special import ndtr

    with np.errstate(divide="ignore"):
        log_low, log_high = np.log(low), np.log(high)
    ends = log_high[np.isfinite(log_high)]
    box = np.array([[ends.min() - 1.0, ends.max() + 1.0], [log(1e-3), log(4.0)]])
    for _ in range(_ZOOMS):
        grid = [np.linspace(first, last, _GRID) for first, last in box]
        centre, spread = grid[0][:, None], np.exp(grid[1])[None, :]
        a, b = ((end - centre[..., None]) / spread[..., None] for end in (log_low, log_high))
        upper = a > 0  # the smaller tail is the exact one
        share = ndtr(np.where(upper, -a, b)) - ndtr(np.where(upper, -b, a))
        likelihood = np.log(np.maximum(share, 1e-300)).sum(axis=-1)
        inside = likelihood >= likelihood.max() - _HALF_DROP
        step = (box[:, 1] - box[:, 0]) / (_GRID - 1)
        found = [side[np.nonzero(inside)[axis]] for axis, side in enumerate(grid)]
        box = np.array([[values.min() - by, values.max() + by] for values, by in zip(found, step, strict=True)])
    best = np.unravel_index(likelihood.argmax(), likelihood.shape)
    slack = step[0] + Z95 * float(spread[0, best[1]]) * step[1]
    return _estimate(centre + 0 * spread, best, inside, step[0]), _estimate(centre + Z95 * spread, best, inside, slack)


def _estimate(logarithms: Floats, best: Any, inside: Any, slack: float) -> Estimate:
    within = logarithms[inside]
    return Estimate(exp(logarithms[best]), exp(within.min() - slack), exp(within.max() + slack))
