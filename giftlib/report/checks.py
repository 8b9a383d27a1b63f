"""Judge what was measured: named checks, each green, amber or red, and the verdict that follows from them."""

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import NamedTuple

from giftlib.analysis import dinars
from giftlib.report.measured import Measured

GREEN, AMBER, RED = "green", "amber", "red"
_WORST = (GREEN, AMBER, RED)
TOLERATED = 0.01
"""So many of the polls may fail, or meet the rate limit, without a word in the verdict."""
ENOUGH = 72
"""Of fewer orders all may lie below the 95th percentile with a probability over 2.5 %: it has no upper limit then."""


class Check(NamedTuple):
    """Hold one check: its outcome, what was found, the rule, and the id of the evidence on the page."""

    name: str
    outcome: str
    sentence: str
    rule: str
    evidence: str


class Verdict(NamedTuple):
    """Hold the worst outcome of the checks and the sentence that says why."""

    outcome: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.outcome.capitalize()}: {self.sentence}."


def checks_of(measured: Measured) -> list[Check]:
    """Check all that a report judges."""
    return [*_of_orders(measured), *_of_money(measured), *_of_polls(measured), _of_percentiles(measured)]


def verdict_of(checks: Sequence[Check]) -> Verdict:
    """Give the worst outcome, and the sentences of the checks that have it.

    >>> str(verdict_of([Check("open", "green", "every order is final", "", ""), Check("x", "red", "y", "", "")]))
    'Red: y.'
    """
    worst = max((check.outcome for check in checks), key=_WORST.index)
    reasons = [check.sentence for check in checks if check.outcome == worst]
    return Verdict(worst, "all is well" if worst == GREEN else "; ".join(reasons))


def count(number: int, of: int, what: str) -> str:
    """Say how many of how many, with the verb.

    >>> count(1, 20, "orders"), count(9, 1200, "orders")
    ('1 of 20 orders is', '9 of 1,200 orders are')
    """
    return f"{number:,} of {of:,} {what} {'is' if number == 1 else 'are'}"


def _of_orders(measured: Measured) -> Iterator[Check]:
    orders, totals = len(measured.orders), measured.totals
    said = f"all {orders:,} orders are final" if orders != 1 else "the order is final"
    if measured.open:
        said = f"{count(measured.open, orders, 'orders')} open"
        if totals["in_flight"]:
            said += f"; up to {dinars(totals['in_flight'])} DA are in flight"
        else:
            said += "; how much money is in flight is not known"
    yield Check("Orders final", AMBER if measured.open else GREEN, said, "Amber while one is open.", "orders")
    unclear, found = len(measured.unclear), "the outcome of every order request is known"
    if unclear:
        found = f"the outcome of {unclear:,} order request{'s'[: unclear > 1]} is unknown, and may have cost money"
    rule = "Amber while one is unknown. giftlib track finds it out."
    yield Check("Requests answered", AMBER if unclear else GREEN, found, rule, "unclear" if unclear else "orders")
    wrong, found = len(measured.contradictions), "no response contradicts another"
    if wrong:
        found = f"the responses about {wrong:,} order{'s'[: wrong > 1]} contradict each other"
    rule = "Red from the first on: amounts or numbers of cards that cannot be right, or a final status that changed."
    yield Check("Contradictions", RED if wrong else GREEN, found, rule, "orders")


def _of_money(measured: Measured) -> Iterator[Check]:
    orders, compared, rows = len(measured.orders), measured.reconciled, measured.mismatches
    rule = "Red when the account's transactions differ by a centime."
    if rows is None:
        found = "refunds were not compared with the account's transactions"
        yield Check("Refunds (not checked)", GREEN, found, f"{rule} Green where there are none.", "money")
        return
    wrong, missing, some = measured.wrong, measured.missing, f"{compared:,} of {orders:,}"
    name, whose = ("Refunds", "all orders") if compared == orders else (f"Refunds ({some} checked)", f"{some} orders")
    outcome, found = GREEN, f"the refunds of {whose} are reconciled to the centime"
    if missing > 0:
        outcome, found = RED, f"{dinars(missing)} DA of refunds are missing"
    elif len(wrong):
        kinds = ", ".join(f"{kind} ({n:,})" for kind, n in wrong["problem"].value_counts().items())
        outcome, found = RED, f"the account does not match the orders: {kinds}"
    elif others := int((rows["problem"] == "transaction with no order").sum()):
        outcome, found = (
            AMBER,
            f"{others:,} transaction{'s'[: others > 1]} of the account belong{'s'[others > 1 :]} to no order here",
        )
    yield Check(name, outcome, found, rule, "mismatches" if len(rows) else "money")


def _of_polls(measured: Measured) -> Iterator[Check]:
    polls = len(measured.polls)
    rule = f"Amber above {100 * TOLERATED:g} % of the polls. Such a poll only widens an order's interval."
    for name, rows, happened in (
        ("Failed polls", measured.failed, "failed"),
        ("Rate limit", measured.limited, "met the rate limit (429)"),
    ):
        found = f"{len(rows):,} of {polls:,} polls {happened}" if len(rows) else f"no poll {happened}"
        outcome = GREEN if len(rows) <= TOLERATED * polls else AMBER
        yield Check(name, outcome, found, rule, "failed" if len(rows) else "orders")


def _of_percentiles(measured: Measured) -> Check:
    final, found = measured.curve.n_final, ""
    if not isfinite(measured.curve.quantile(0.95).high):
        found = "there is no upper limit for how long the slowest 5 % take"
        found = found if final >= ENOUGH else "too few final orders to say how long the slowest 5 % take"
    said = found or f"{final:,} final orders are enough for the median and the 95th percentile"
    rule = f"Amber where the 95 % interval has no upper end. It takes {ENOUGH} final orders at the least."
    return Check("Sample size", AMBER if found else GREEN, said, rule, "curve")
