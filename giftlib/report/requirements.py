"""Thresholds that a report must meet: `--require median<=15s`."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from giftlib.report.checks import checks_of, verdict_of
from giftlib.report.measured import Measured

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip
_COUNTS: Mapping[str, Callable[[Measured], tuple[int, int]]] = {
    "open": lambda measured: (measured.open, len(measured.orders)),
    "unknown": lambda measured: (len(measured.unclear), len(measured.orders) + len(measured.unclear)),
    "problems": lambda measured: (len(measured.contradictions), len(measured.orders)),
    "failed_polls": lambda measured: (len(measured.failed), len(measured.polls)),
    "rate_limited": lambda measured: (len(measured.limited), len(measured.polls)),
    "orders": lambda measured: (len(measured.orders), len(measured.orders)),
}
_WORDS = {"refunds": "reconciled", "verdict": "green"}
ACCEPTED = (
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
        """Read a threshold. Raises ValueError for what is none.

        >>> Requirement.read("p95 <= 40 s")
        Requirement(name='p95', sign='<=', limit=40.0, unit='s')
        """
        plain = re.sub(r"\s+", "", text)
        if any(plain == f"{name}={word}" for name, word in _WORDS.items()):
            return cls(*plain.partition("="))
        found = re.fullmatch(r"([a-z_0-9]+)(<=|>=|<|>|=)(\d+(?:\.\d+)?)(s|%)?", plain)
        if found is None:
            raise ValueError(text)
        name, sign, limit, unit = found[1], found[2], float(found[3]), found[4] or ""
        is_time = re.fullmatch(r"median|p\d{2}", name) is not None
        if not (is_time and unit in ("", "s") and name != "p00") and not (name in _COUNTS and unit != "s"):
            raise ValueError(text)
        return cls(name, sign, limit, "s" if is_time else unit)

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


def read_requirements(texts: Sequence[str]) -> list[Requirement]:
    """Read thresholds; raises ValueError that says what is accepted."""
    for text in texts:
        try:
            Requirement.read(text)
        except ValueError:
            raise ValueError(f"require must be {ACCEPTED}, got {text!r}") from None
    return list(map(Requirement.read, texts))
