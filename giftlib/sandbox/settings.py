"""What a sandbox can be told about the world it stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from math import inf
from numbers import Real
from typing import Any

KEY_TYPES = ("SANDBOX", "PRODUCTION")
KEY_SCOPES = ("READ-WRITE", "READ-ONLY")
ROUNDINGS = ("down", "up")
REFUNDS = ("credited", "missing", "late", "doubled")
BALANCE_CODES = ("INSUFFICIENT_BALANCE", "NO_BALANCE")


@dataclass(frozen=True)
class Settings:
    """The sandbox's settings; a bad value is a ValueError that names what is accepted.

    Each field is followed by its meaning, its unit and where its default comes from. Grades: DOC (the vendor's
    documentation), DOC-REAL (a sample there that looks captured from the service), LIVE (seen by a third party);
    "unknown: chosen" means that no public source tells. Amounts are dinars, as `Decimal` or `int`, with at most two
    decimals.
    """

    fulfilment_median_s: float = 10.0
    """Median time an order is `HANDLING`, seconds, lognormal. Unknown: chosen within the guide's "seconds" (DOC)."""
    fulfilment_p95_s: float = 30.0
    """Time within which 95 % of the orders are final, seconds. "Most orders resolve within 30 seconds" (DOC)."""
    fulfilment_s: float | None = None
    """The same time for every order, seconds, instead of the law; `math.inf`: no order is ever final."""

    latency_median_s: float = 0.15
    """Median time an answer takes, seconds, lognormal; half of it passes before the request is carried out, half
    after. Unknown: chosen."""
    latency_p95_s: float = 0.4
    """Time within which 95 % of the answers come, seconds. Unknown: chosen."""
    latency_s: float | None = None
    """The same time for every answer, seconds, instead of the law; 0 is allowed."""

    ceiling_per_minute: int | None = 60
    """Requests a key may make within any 60 seconds; None: no ceiling. LIVE: 60 sandbox, 120 production."""
    lockout_attempts: int = 5
    """Wrong keys in a row after which an address is blocked. DOC: 5; LIVE: 20."""
    lockout_s: float = 900.0
    """How long the block lasts, seconds. DOC and LIVE: 15 minutes."""

    key_type: str = "SANDBOX"
    """What `validate` says of the key, `SANDBOX` or `PRODUCTION` (DOC). It changes nothing else: what `TEST_REFUND`
    and `TEST_PARTIAL` do with a production key is unknown."""
    key_scope: str = "READ-WRITE"
    """`READ-WRITE` or `READ-ONLY` (DOC). A read-only key gets 403 `FORBIDDEN` on placeOrder. Unknown: chosen."""
    allowed_ips: tuple[str, ...] = ()
    """Addresses that may use the key; empty: any (DOC). Others get 403 `IP_NOT_ALLOWED` (LIVE)."""

    partial_rounding: str = "down"
    """`down` or `up`: how many of an odd number of `TEST_PARTIAL` cards are delivered. Unknown: chosen. One card
    rounded down is `REFUNDED`, rounded up `FULFILLED`, as a part of one does not exist."""
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    """Price of a card by type id, dinars, over the catalogue's own. Unknown for a sandbox key: chosen to be the
    catalogue's (samples, DOC)."""
    test_type_price: Decimal = Decimal(490)
    """Price of a card of `TEST_REFUND` and `TEST_PARTIAL`, dinars. Unknown: chosen as in the guide's samples."""
    unknown_type_price: Decimal = Decimal(0)
    """Price of a card of any other type id, dinars. DOC-REAL: 0 for type "string"."""
    check_stock: bool = False
    """Whether an order for more cards than checkProduct shows is refused, with 403 `OUT_OF_STOCK` (status and code
    unknown: chosen). DOC-REAL: ids are not validated, so off. Orders do not lower the stock."""

    list_lag_s: float = 0.0
    """How long a list still shows an order as it was, seconds; checkOrder is never late. Unknown: chosen."""
    list_hides_s: float = 0.0
    """How long a new order is in no list, seconds. Unknown: chosen."""

    opening_balance: Decimal = Decimal("10000000.00")
    """Balance of the account at the start, dinars; orders lower it. Unknown: chosen large."""
    refunds: str = "credited"
    """What becomes of refunds: `credited` as soon as the order is final (DOC: automatic), `missing`, `late` by 60 s, or
    `doubled`; all but the first are errors of the service, to see that they are noticed."""
    balance_code: str = "INSUFFICIENT_BALANCE"
    """Code of the 403 for an order that the balance cannot pay, this or `NO_BALANCE` (DOC has both as one)."""
    sample_order: bool = True
    """Whether checkOrder knows the guide's order 6901616fe9e88196b4eb64b3, two cards, `FULFILLED` (DOC). It is in no
    list and on no account."""

    def __post_init__(self) -> None:
        _check(self, "fulfilment_median_s", _is_above_zero(self.fulfilment_median_s), "seconds above 0")
        _check(
            self,
            "fulfilment_p95_s",
            _is_above_zero(self.fulfilment_p95_s) and self.fulfilment_p95_s >= self.fulfilment_median_s,
            "seconds, at least fulfilment_median_s",
        )
        _check(
            self,
            "fulfilment_s",
            self.fulfilment_s is None or _is_number(self.fulfilment_s) and self.fulfilment_s >= 0,
            "seconds from 0 up, math.inf or None",
        )
        _check(self, "latency_median_s", _is_above_zero(self.latency_median_s), "seconds above 0")
        _check(
            self,
            "latency_p95_s",
            _is_above_zero(self.latency_p95_s) and self.latency_p95_s >= self.latency_median_s,
            "seconds, at least latency_median_s",
        )
        _check(
            self,
            "latency_s",
            self.latency_s is None or _is_number(self.latency_s) and 0 <= self.latency_s < inf,
            "finite seconds from 0 up, or None",
        )
        _check(
            self,
            "ceiling_per_minute",
            self.ceiling_per_minute is None or _is_count(self.ceiling_per_minute),
            "a whole number from 1 up, or None",
        )
        _check(self, "lockout_attempts", _is_count(self.lockout_attempts), "a whole number from 1 up")
        for name in ("list_lag_s", "list_hides_s"):
            seconds = getattr(self, name)
            _check(self, name, _is_number(seconds) and 0 <= seconds < inf, "finite seconds from 0 up")
        _check(self, "lockout_s", _is_above_zero(self.lockout_s), "seconds above 0")
        for name, accepted in (
            ("key_type", KEY_TYPES),
            ("key_scope", KEY_SCOPES),
            ("partial_rounding", ROUNDINGS),
            ("refunds", REFUNDS),
            ("balance_code", BALANCE_CODES),
        ):
            _check(self, name, getattr(self, name) in accepted, " or ".join(accepted))
        _check(
            self,
            "allowed_ips",
            isinstance(self.allowed_ips, (tuple, list)) and all(isinstance(ip, str) for ip in self.allowed_ips),
            "a tuple of addresses",
        )
        for name in ("check_stock", "sample_order"):
            _check(self, name, isinstance(getattr(self, name), bool), "True or False")
        _check(
            self,
            "prices",
            isinstance(self.prices, Mapping)
            and all(isinstance(type_id, str) and _is_money(price) for type_id, price in self.prices.items()),
            f"type ids with {_MONEY}",
        )
        for name in ("test_type_price", "unknown_type_price", "opening_balance"):
            _check(self, name, _is_money(getattr(self, name)), _MONEY)

    @classmethod
    def of(cls, **settings: Any) -> "Settings":
        """Settings by name; an unknown name is a TypeError that lists the known ones."""
        known = [f.name for f in fields(cls)]
        for name in settings:
            if name not in known:
                raise TypeError(f"unknown setting {name!r}; accepted are {', '.join(known)}")
        return cls(**settings)


_MONEY = "dinars as int or Decimal, not negative, with at most two decimals"


def _check(settings: Settings, name: str, good: bool, accepted: str) -> None:
    if not good:
        raise ValueError(f"{name} must be {accepted}, got {getattr(settings, name)!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_above_zero(value: Any) -> bool:
    return _is_number(value) and 0 < value < inf


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_money(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return False
    value = Decimal(value)
    return value.is_finite() and value >= 0 and value == round(value, 2)
