"""Rules that say when to poll next, and what they cost, importable by a short name."""

from giftlib.analysis import Evaluation, FittedSchedule, best_delay, evaluate, fitted, optimum
from giftlib.polling import PollTime, Schedule, at_times, every, exponential, with_jitter

__all__ = [
    "Evaluation", "FittedSchedule", "PollTime", "Schedule", "at_times", "best_delay", "evaluate", "every",
    "exponential", "fitted", "optimum", "with_jitter",
]  # fmt: skip
