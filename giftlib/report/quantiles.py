"""The table of times that the head of a report and its journal section show."""

from collections.abc import Sequence
from math import inf

import pandas as pd

from giftlib.analysis import FulfilmentCurve


def quantile_table(curve: FulfilmentCurve, quantiles: Sequence[float]) -> pd.DataFrame:
    """Show quantiles of the time to fulfilment in words: one row per quantile, in seconds.

    Column `estimate` is the interval that holds the estimate, `confidence` its 95 % confidence interval.

    >>> from giftlib import time_to_fulfilment
    >>> orders = pd.DataFrame({"not_done_by_s": [5.0, 5.0, 10.0], "done_by_s": [10.0, 10.0, 15.0]})
    >>> quantile_table(time_to_fulfilment(orders), [0.5]).loc["50%", "estimate"]
    '5.0 to 10.0'
    """
    return pd.DataFrame(
        {
            f"{p:.0%}": {"estimate": _interval(*curve.quantile(p)), "confidence": _interval(*curve.quantile_band(p))}
            for p in quantiles
        }
    ).T


def _interval(low: float, high: float) -> str:
    if high == inf:
        return f"more than {low:.1f}"
    return f"{low:.1f} to {high:.1f}" if f"{low:.1f}" != f"{high:.1f}" else f"{low:.1f}"
