"""Frames of orders in, figures out: how long orders take, what was refunded, when to poll.

Read `interval_counts` first (orders counted by their intervals, which come from the journal), then `smooth`, `bands`
and `fulfilment` (the curve, its confidence band and quantiles), `turnbull` (the same without smoothing),
`distributions` (lognormal and log-logistic fits), `comparison` (groups, numbers of orders, late orders), `scheduling`
(what a schedule costs), `accounts`, `refunds` and `reconciliation` (the money). Importing this package loads neither
matplotlib nor scipy: import the plots from `giftlib.analysis.plots`.
"""

from giftlib.analysis.accounts import read_transactions
from giftlib.analysis.bands import Quantile
from giftlib.analysis.columns import Floats
from giftlib.analysis.comparison import (
    RemainingTime,
    adjusted,
    compare_counts,
    compare_groups,
    orders_needed,
    remaining_time,
)
from giftlib.analysis.distributions import FAMILIES, Z95, Fit, fit_distribution, fit_with_prior, profile_interval
from giftlib.analysis.fulfilment import FulfilmentCurve, time_to_fulfilment
from giftlib.analysis.reconciliation import reconcile_refunds
from giftlib.analysis.refunds import dinars, refund_totals
from giftlib.analysis.scheduling import Evaluation, FittedSchedule, best_delay, evaluate, fitted, optimum

__all__ = [
    "FAMILIES", "Z95", "Evaluation", "Fit", "FittedSchedule", "Floats", "FulfilmentCurve", "Quantile", "RemainingTime",
    "adjusted", "best_delay", "compare_counts", "compare_groups", "dinars", "evaluate", "fit_distribution",
    "fit_with_prior", "fitted", "optimum", "orders_needed", "profile_interval", "read_transactions",
    "reconcile_refunds", "refund_totals", "remaining_time", "time_to_fulfilment",
]  # fmt: skip
