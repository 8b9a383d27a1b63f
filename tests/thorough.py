"""How much the tests try: what shows a fault soon, or with GIFTLIB_THOROUGH=1 what shows a rare one, in minutes."""

import os
from itertools import product

THOROUGH = os.environ.get("GIFTLIB_THOROUGH", "0") != "0"


def tries(usual, thorough):
    """Choose how often a test tries."""
    return thorough if THOROUGH else usual


def pairs(ones, others):
    """Pair each with one of the others, in turn, or with all of them."""
    every = product(enumerate(ones), enumerate(others))
    return [(one, other) for (i, one), (j, other) in every if THOROUGH or (j - i) % len(others) == 0]
