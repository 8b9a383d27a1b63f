"""The verdict on what was measured: named checks, each green, amber or red, and thresholds that one may require."""

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

import pandas as pd

from giftlib.analysis import dinars
from giftlib.report.measured import Measured
from giftlib.report.recorded import Recorded
from giftlib.report.tables import plural

GREEN, AMBER, RED = _WORST = ("green", "amber", "red")
TOLERATED = 0.01
"""So many of the polls may fail, or meet the rate limit, without a word in the verdict."""
ENOUGH = 72
"""Of fewer orders all may lie below the 95th percentile with a probability over 2.5 %: it has no upper limit then."""
_KEY = ["source", "order_id"]


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
    return [*_of_orders(measured), _of_money(measured), *_of_polls(measured), _of_percentiles(measured)]


def verdict_of(checks: Sequence[Check]) -> Verdict:
    """Give the worst outcome, and the sentences of the checks that have it.

    >>> str(verdict_of([Check("open", "green", "every order is final", "", ""), Check("x", "red", "y", "", "")]))
    'Red: y.'
    """
    worst = max((check.outcome for check in checks), key=_WORST.index)
    reasons = [check.sentence for check in checks if check.outcome == worst]
    return Verdict(worst, "all is well" if worst == GREEN else "; ".join(reasons))


def _of_orders(measured: Measured) -> Iterator[Check]:
    orders, is_open = len(measured.orders), measured.open
    said = f"all {orders:,} orders are final" if orders != 1 else "the order is final"
    if is_open:
        are = "is" if is_open == 1 else "are"
        said = f"{is_open:,} of {orders:,} orders {are} open; {measured.money.in_flight} are in flight"
    yield Check("Orders final", AMBER if is_open else GREEN, said, "Amber while one is open.", "orders")
    unclear, said = len(measured.unclear), "the outcome of every order request is known"
    if unclear:
        said = f"the outcome of {plural(unclear, 'order request')} is unknown, and may have cost money"
    rule = "Amber while one is unknown. giftlib track finds it out."
    yield Check("Requests answered", AMBER if unclear else GREEN, said, rule, "unclear" if unclear else "orders")
    lacking = measured.lacking
    wrong = len(measured.problems) - lacking
    found = [f"about {plural(wrong, 'order')} contradict each other"] if wrong else []
    found += [f"about {plural(lacking, 'order')} lack fields"] if lacking else []
    said = f"the responses {' and '.join(found)}" if found else "no response contradicts another"
    rule = "Red from the first on: amounts or numbers of cards that cannot be right, or a final status that changed."
    outcome = RED if wrong else AMBER if lacking else GREEN
    yield Check("Contradictions", outcome, said, f"{rule} Amber where only fields are missing.", "orders")


def _of_money(measured: Measured) -> Check:
    orders, compared, rows, wrong = len(measured.orders), measured.reconciled, measured.mismatches, measured.wrong
    rule = "Red when the account's transactions differ by a centime."
    if rows is None:
        found = "refunds were not compared with the account's transactions"
        return Check("Refunds (not checked)", GREEN, found, f"{rule} Green where there are none.", "money")
    some = f"{compared:,} of {orders:,}"
    name, whose = ("Refunds", "all orders") if compared == orders else (f"Refunds ({some} checked)", f"{some} orders")
    others = int((rows["problem"] == "transaction with no order").sum())
    if len(wrong):
        said = [f"{dinars(measured.missing)} DA of refunds are missing"] if measured.missing else []
        said += [f"{dinars(measured.too_much)} DA of refunds are too much"] if measured.too_much else []
        if kinds := wrong["problem"].drop(list(measured.shortfalls)).value_counts().to_dict():
            listed = ", ".join(f"{kind} ({n:,})" for kind, n in kinds.items())
            said.append(f"the account does not match the orders: {listed}")
        outcome, found = RED, "; ".join(said)
    elif measured.unknown_refunds:
        outcome, found = AMBER, f"the refunds due for {plural(measured.unknown_refunds, 'order')} are not known"
    elif others:
        belong = "belongs" if others == 1 else "belong"
        outcome, found = AMBER, f"{plural(others, 'transaction')} of the account {belong} to no order here"
    else:
        outcome, found = GREEN, f"the refunds of {whose} are reconciled to the centime"
    return Check(name, outcome, found, rule, "mismatches" if len(rows) else "money")


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
    final, outcome = measured.curve.n_final, AMBER
    if isfinite(measured.curve.quantile(0.95).high):
        outcome, said = GREEN, f"{final:,} final orders are enough for the median and the 95th percentile"
    elif final >= ENOUGH:
        said = "there is no upper limit for how long the slowest 5 % take"
    else:
        said = "too few final orders to say how long the slowest 5 % take"
    rule = f"Amber where the 95 % interval has no upper end, as mostly with fewer than {ENOUGH} final orders."
    return Check("Sample size", outcome, said, rule, "curve")


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip
_COUNTS: Mapping[str, Callable[[Measured], tuple[int, int]]] = {
    "open": lambda measured: (measured.open, len(measured.orders)),
    "unknown": lambda measured: (len(measured.unclear), len(measured.orders) + len(measured.unclear)),
    "problems": lambda measured: (len(measured.problems), len(measured.orders)),
    "failed_polls": lambda measured: (len(measured.failed), len(measured.polls)),
    "rate_limited": lambda measured: (len(measured.limited), len(measured.polls)),
    "orders": lambda measured: (len(measured.orders), len(measured.orders)),
}
_WORDS = {"refunds": "reconciled", "verdict": "green"}
_ACCEPTED = (
    "median or a percentile such as p95 with a time, as in median<=15s; "
    f"{', '.join(_COUNTS)} with a number or a percentage, as in open=0 or failed_polls<=1%; "
    "refunds=reconciled; verdict=green"
)


class Result(NamedTuple):
    """Hold what was required, what was found, and whether that is enough."""

    required: str
    found: str
    met: bool


class Requirement(NamedTuple):
    """Hold one threshold: `name`, how it is compared, and the limit in seconds, a number, a percentage, or a word."""

    name: str
    sign: str
    limit: Any
    unit: str = ""

    @classmethod
    def read(cls, text: str) -> "Requirement":
        """Read a threshold. Raises ValueError that says what is accepted.

        >>> Requirement.read("p95 <= 40 s")
        Requirement(name='p95', sign='<=', limit=40.0, unit='s')
        """
        plain = re.sub(r"\s+", "", text)
        if any(plain == f"{name}={word}" for name, word in _WORDS.items()):
            return cls(*plain.partition("="))
        if found := re.fullmatch(r"([a-z_0-9]+)(<=|>=|<|>|=)(\d+(?:\.\d+)?)(s|%)?", plain):
            name, sign, limit, unit = found[1], found[2], float(found[3]), found[4] or ""
            if unit != "%" and name != "p00" and re.fullmatch(r"median|p\d{2}", name):
                return cls(name, sign, limit, "s")
            if unit != "s" and name in _COUNTS:
                return cls(name, sign, limit, unit)
        raise ValueError(f"require must be {_ACCEPTED}, got {text!r}")

    def __str__(self) -> str:
        limit = self.limit if self.name in _WORDS else f"{self.limit:g} {self.unit}".strip()
        return f"{self.name} {self.sign} {limit}"

    def judge(self, measured: Measured) -> Result:
        """Compare what was measured with the limit; of a time, the estimate counts."""
        orders, compare = len(measured.orders), _COMPARE[self.sign]
        if self.name == "refunds":
            found = f"{measured.reconciled:,} of {orders:,} orders compared, {len(measured.wrong):,} mismatches"
            return Result(str(self), found, measured.reconciled == orders and not len(measured.wrong))
        if self.name == "verdict":
            outcome = verdict_of(checks_of(measured)).outcome
            return Result(str(self), outcome, outcome == self.limit)
        if self.unit == "s":
            time = measured.curve.quantile(0.5 if self.name == "median" else int(self.name[1:]) / 100)
            return Result(str(self), str(time), compare(time.estimate, self.limit))
        number, of = _COUNTS[self.name](measured)
        value = 100 * number / max(of, 1) if self.unit else number
        return Result(str(self), f"{value:.3g} %" if self.unit else f"{number:,}", compare(value, self.limit))


class Head(NamedTuple):
    """Hold what the page says of one source."""

    description: str
    measured: Measured
    checks: list[Check]
    verdict: Verdict
    required: list[Result]


def heads_of(
    recorded: Recorded, transactions: Mapping[str, pd.DataFrame], requirements: Sequence[Requirement]
) -> list[Head]:
    """Judge each source; the requirements are for the first, which the report judges.

    Requests of a source that has no order here count for the first too.
    """
    of_others = {name for source in recorded.sources[1:] for name in source.orders["source"].unique()}
    heads: list[Head] = []
    for source in recorded.sources:
        polls = recorded.polls.merge(source.orders[_KEY], on=_KEY)
        requested_from = recorded.intents["source"]
        mine = requested_from.isin(source.orders["source"])
        if not heads:
            mine |= ~requested_from.isin(of_others)
        measured = Measured(source.orders, polls, recorded.intents[mine], transactions)
        checks, required = checks_of(measured), [] if heads else [each.judge(measured) for each in requirements]
        heads.append(Head(source.description, measured, checks, verdict_of(checks), required))
    return heads
