"""Frames of orders in, figures out: how long orders take, what was refunded, when to poll.

Read `intervals` first (orders counted by their intervals, which come from the journal), then `npmle` and `fulfilment`
(the curve and its confidence band), `distributions` (lognormal and log-logistic fits), `scheduling` (what a schedule
costs), `refunds` and `reconciliation` (the money). Importing this room loads neither matplotlib nor scipy: import the
plots from `giftlib.analysis.plots`.
"""

from giftlib.analysis.columns import Floats
from giftlib.analysis.distributions import FAMILIES, Z95, Fit, fit_distribution, fit_with_prior, profile_interval
from giftlib.analysis.fulfilment import FulfilmentCurve, Quantile, in_words, time_to_fulfilment
from giftlib.analysis.reconciliation import reconcile_refunds
from giftlib.analysis.refunds import dinars, refund_totals
from giftlib.analysis.scheduling import Evaluation, FittedSchedule, best_delay, evaluate, fitted, optimum

__all__ = [
    "FAMILIES", "Z95", "Evaluation", "Fit", "FittedSchedule", "Floats", "FulfilmentCurve", "Quantile", "best_delay", "dinars",
    "evaluate", "fit_distribution", "fit_with_prior", "fitted", "in_words", "optimum", "profile_interval", "reconcile_refunds",
    "refund_totals", "time_to_fulfilment",
]  # fmt: skip
