"""What a sandbox can be told about the world it stands for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from html import escape
from math import inf
from os import PathLike
from pathlib import Path
from textwrap import wrap
from typing import Any

from .validators import (
    ABOVE_ZERO_S,
    ADDRESSES,
    ANY_S,
    COUNT,
    FINITE_S,
    FLAG,
    MONEY,
    PRICES,
    default_of,
    one_of,
    setting,
)

KEY_TYPES = ("SANDBOX", "PRODUCTION")
KEY_SCOPES = ("READ-WRITE", "READ-ONLY")


@dataclass(frozen=True)
class Settings:
    """The sandbox's settings; a bad value is a ValueError that names what is accepted.

    The table below, which printing them gives too, has each setting's value, meaning, unit and where its default comes
    from. Grades: DOC (the vendor's documentation), DOC-REAL (a sample there that looks captured from the service), LIVE
    (seen by a third party); "unknown: chosen" means that no public source tells. Amounts are dinars, as `Decimal` or
    `int`, with at most two decimals.
    """

    # fmt: off
    fulfilment_median_s: float = setting(10.0, ABOVE_ZERO_S, """Median time an order is HANDLING, seconds, lognormal.
        Unknown for the sandbox: chosen within the guide's "seconds" (DOC).""")
    fulfilment_p95_s: float = setting(30.0, ABOVE_ZERO_S, """Time within which 95 % of the orders are final, seconds, at
        least the median. DOC: "most orders resolve within 30 seconds"; the Arabic guide says 3 to 45.""")
    fulfilment_s: float | None = setting(None, ANY_S.or_none(), """The same time for every order, seconds, instead of
        the law; 0: final at the first look; math.inf: never. Unknown.""")

    latency_median_s: float = setting(0.15, ABOVE_ZERO_S, """Median time an answer takes, seconds, lognormal; half of it
        passes before the request is carried out, half after. Unknown: chosen.""")
    latency_p95_s: float = setting(0.4, ABOVE_ZERO_S, """Time within which 95 % of the answers come, seconds, at least
        the median. Unknown: chosen.""")
    latency_s: float | None = setting(None, FINITE_S.or_none(), """The same time for every answer, seconds, instead of
        the law; 0 is allowed.""")

    rate_limit_per_minute: int | None = setting(60, COUNT.or_none(), """Requests a sandbox key may make within any 60
        seconds; None: no ceiling. LIVE: 60.""")
    production_rate_limit_per_minute: int | None = setting(120, COUNT.or_none(), """The same for a production key. LIVE:
        120.""")
    lockout_attempts: int = setting(5, COUNT, """Wrong keys in a row after which an address is blocked. DOC: 5; LIVE:
        20.""")
    lockout_s: float = setting(900.0, ABOVE_ZERO_S, """How long the block lasts, seconds. DOC and LIVE: 15 minutes.""")
    attempts_left_in: str = setting("details", one_of("details", "message"), """Where a wrong key is told how many tries
        are left. DOC: details; LIVE: message.""")
    bad_key_code: str = setting("INVALID_ACCESS_TOKEN", one_of("INVALID_ACCESS_TOKEN", "ERR_AUTH"), """Code of the 401
        for a wrong key. DOC has both as one.""")

    key_type: str = setting("SANDBOX", one_of(*KEY_TYPES), """Environment of the first key, as validate tells it
        (DOC).""")
    key_scope: str = setting("READ-WRITE", one_of(*KEY_SCOPES), """What the first key may do (DOC). A read-only key gets
        403 FORBIDDEN on placeOrder. Unknown: chosen.""")
    allowed_ips: tuple[str, ...] = setting((), ADDRESSES, """Addresses that may use the first key; none: any (DOC).
        Others get 403 IP_NOT_ALLOWED (LIVE).""")
    key_style: str = setting("uuid", one_of("uuid", "sk"), """How a key looks: a UUID (DOC samples) or sk_test_… and
        sk_live_… (DOC, security page).""")
    validate_shape: str = setting("reference", one_of("reference", "quickstart", "bills"), """Shape of validate's
        answer. DOC reference; the quickstart's sample lacks key and allowedips; the bills pages have account and
        key.""")

    partial_rounding: str = setting("down", one_of("down", "up"), """How many of an odd number of TEST_PARTIAL cards are
        delivered. Unknown: chosen.""")
    partial_of_one: str = setting("as counted", one_of("as counted", "PARTIALLY_FILLED"), """Status of a TEST_PARTIAL
        order of one card: as counted is REFUNDED for no card and FULFILLED for one. Unknown: chosen.""")
    partial_status: str = setting("PARTIALLY_FILLED", one_of("PARTIALLY_FILLED", "FULFILLED"), """Status of an order of
        which a part is delivered. DOC guide: PARTIALLY_FILLED; the placeOrder page names no other final states than
        FULFILLED and REFUNDED.""")
    production_test_types: str = setting("simulated", one_of("simulated", "ordinary"), """What TEST_REFUND and
        TEST_PARTIAL do with a production key: as in the sandbox, or fulfilled like any unknown type. Unknown:
        chosen.""")
    max_quantity: int = setting(10_000, COUNT, """The largest quantity of an order; more is refused. Unknown: chosen, so
        that an order's cards are below 1 MiB.""")
    text_quantity: str = setting("refused", one_of("refused", "read"), """What becomes of a quantity written as text,
        "2". Unknown: chosen; Joi, which checks requests (LIVE), may be told either.""")
    unknown_body_keys: str = setting("ignored", one_of("ignored", "refused"), """What becomes of keys in placeOrder's
        body that it does not know. LIVE has both: 0.3.0 ignored, 0.2.0 refused.""")
    order_ref: str = setting("ignored", one_of("ignored", "required"), """Whether placeOrder wants a ref of the
        caller's, takes no quantity (one card) and repeats the ref as orderRef. DOC en, fr: no ref; ar: required.""")
    card_serials: str = setting("numbered", one_of("numbered", "empty", "missing"), """What a card has as serial.
        DOC-REAL: SANDBOX-1 and so on; whether it may be empty or missing is unknown.""")

    prices: Mapping[str, Decimal] = setting({}, PRICES, """Price of a card by type id, dinars, for checkProduct and
        orders, over all that follows.""")
    known_type_price: Decimal | None = setting(None, MONEY.or_none(), """Price that an order of a type of the catalogue
        pays per card, dinars; None: the catalogue's. Unknown for a sandbox key: chosen.""")
    test_type_price: Decimal = setting(Decimal(490), MONEY, """Price of a card of TEST_REFUND and TEST_PARTIAL, dinars.
        Unknown: chosen as in the guide's samples.""")
    unknown_type_price: Decimal = setting(Decimal(0), MONEY, """Price of a card of any other type id, dinars. DOC-REAL:
        0 for type "string".""")
    check_stock: bool = setting(False, FLAG, """Whether an order for more cards than checkProduct shows is refused, with
        403 OUT_OF_STOCK (status and code unknown: chosen). DOC-REAL: ids are not validated. Orders do not lower the
        stock.""")

    category_key: str = setting("title", one_of("title", "name"), """Key of a category's title in the catalogue. DOC
        reference: title; first guide: name.""")
    catalog_totals_in: str = setting("top", one_of("top", "meta"), """Where the catalogue has its totals: beside data
        (DOC reference) or in meta (first guide).""")
    catalog_products: int = setting(6, COUNT, """How many products the catalogue has; those past the sixth are made up.
        DOC: 62 in one sample, 127 in another.""")
    product_id_key: str = setting("id", one_of("id", "_id"), """Keys of ids in checkProduct: productId and id (DOC en,
        fr), or _id for both (ar).""")
    available_field: bool = setting(False, FLAG, """Whether a type has available beside quantity. DOC reference: no;
        overview: "verify available: true".""")
    cost_field: bool = setting(False, FLAG, """Whether a type has cost. DOC: no page shows it, one warns of it.""")
    path_style: str = setting("camelCase", one_of("camelCase", "hyphens"), """Paths checkOrder, checkProduct, placeOrder
        (DOC en, fr), or check-order and so on (ar).""")

    final_order_has_type: bool = setting(False, FLAG, """Whether checkOrder of a final order has product and type. DOC
        samples of checkOrder: no; DOC-REAL rows of list: yes, and list always has them here.""")
    malformed_id: str = setting("NOT_FOUND", one_of("NOT_FOUND", "ERR_VALIDATION"), """What an id that is not 24
        hexadecimal digits gets: 404 or 400. Unknown: chosen; LIVE for bills: 404 for what is not yours.""")
    sample_order: bool = setting(True, FLAG, """Whether checkOrder knows the guide's order 6901616fe9e88196b4eb64b3, two
        cards, FULFILLED (DOC). It is in no list and on no account.""")

    list_order: str = setting("newest first", one_of("newest first", "oldest first"), """Order of the lists of orders
        and of transactions. DOC-REAL: newest first; no page promises it.""")
    list_lag_s: float = setting(0.0, FINITE_S, """How long a list still shows an order as it was, seconds; checkOrder is
        never late. Unknown: chosen.""")
    list_hides_s: float = setting(0.0, FINITE_S, """How long a new order is in no list, seconds. Unknown: chosen.""")
    list_mixes_environments: bool = setting(False, FLAG, """Whether list shows orders of both environments; checkOrder
        never does. DOC-REAL has a sample that may show it; LIVE for bills: no.""")
    list_needs_both_ends: bool = setting(False, FLAG, """Whether list refuses from without to. DOC: silent for orders,
        yes for transactions.""")
    large_page: str = setting("refused", one_of("refused", "clamped"), """What pageSize above 100 does. DOC: 100 at
        most; what more does is unknown: chosen.""")
    page_overflow: str = setting("empty", one_of("empty", "refused"), """What a page past the end is: a page with no
        item, or 400. Unknown: chosen.""")

    opening_balance: Decimal = setting(Decimal("10000000.00"), MONEY, """Balance of each environment's account at the
        start, dinars. Unknown: chosen large.""")
    balance_moves: bool = setting(True, FLAG, """Whether balance follows the orders, or stays as it was at the start.
        DOC: "no real balance deducted" in the sandbox; unknown what that shows.""")
    check_balance: bool = setting(True, FLAG, """Whether an order that the balance cannot pay is refused. DOC; unknown
        for the sandbox.""")
    transactions_listed: bool = setting(True, FLAG, """Whether orders show among the transactions. Unknown for the
        sandbox: chosen.""")
    refunds: str = setting("credited", one_of("credited", "missing", "late", "doubled"), """What becomes of refunds:
        credited as soon as the order is final (DOC: automatic), missing, late by 60 s, or doubled; all but the first
        are errors of the service, to see that they are noticed.""")
    balance_code: str = setting("INSUFFICIENT_BALANCE", one_of("INSUFFICIENT_BALANCE", "NO_BALANCE"), """Code of the 403
        for an order that the balance cannot pay (DOC has both as one).""")
    balance_currency: bool = setting(False, FLAG, """Whether balance tells the currency too. DOC reference: no;
        changelog: DZD.""")

    code_separator: str = setting("_", one_of("_", "-"), """What stands between the words of an error's code. DOC: _;
        LIVE: DUPLICATED-REF.""")
    message_at: str = setting("error", one_of("error", "top"), """Where an error has its message: in error alone (DOC),
        or at the top too, as a guide's sample reads it.""")
    request_id_in: str = setting("documented", one_of("documented", "always", "never"), """Which successes tell their
        requestId in the body: placeOrder and checkProduct as in their samples (DOC), all (DOC, migration page), or none
        (LIVE). Errors and the header X-Request-Id always do.""")
    request_id_style: str = setting("req_time_number", one_of("req_time_number", "req-number"), """How a request id
        looks: req_1730163600_abc123 (DOC) or req-fpg (LIVE).""")
    # fmt: on

    def __post_init__(self) -> None:
        if isinstance(self.allowed_ips, list):
            object.__setattr__(self, "allowed_ips", tuple(self.allowed_ips))
        if isinstance(self.prices, Mapping):
            object.__setattr__(self, "prices", dict(self.prices))
        for declared in fields(self):
            kind, value = declared.metadata["kind"], getattr(self, declared.name)
            if not kind.is_good(value):
                raise ValueError(f"{declared.name} must be {kind.accepted}, got {value!r}")
        for law in ("fulfilment", "latency"):
            median, p95 = (getattr(self, f"{law}_{name}_s") for name in ("median", "p95"))
            if p95 < median:
                raise ValueError(f"{law}_p95_s must be seconds, at least {law}_median_s, got {p95!r}")

    @classmethod
    def of(cls, **settings: Any) -> "Settings":
        """Settings by name; an unknown name is a TypeError that lists the known ones."""
        return cls().but(**settings)

    def but(self, **changes: Any) -> "Settings":
        """These settings with some of them changed; an unknown name is a TypeError that lists the known ones."""
        known = [declared.name for declared in fields(self)]
        for name in changes:
            if name not in known:
                raise TypeError(f"unknown setting {name!r}; accepted are {', '.join(known)}")
        return type(self)(**{name: getattr(self, name) for name in known} | changes)

    def changes(self) -> dict[str, Any]:
        """The settings that differ from their defaults, by name."""
        return {
            declared.name: value
            for declared in fields(self)
            if (value := getattr(self, declared.name)) != default_of(declared)
        }

    @classmethod
    def from_json(cls, given: Any) -> "Settings":
        """Settings from a JSON object of names and values, amounts as texts, `math.inf` as "inf"; a ValueError says
        what is wrong with it."""
        if not isinstance(given, dict):
            raise ValueError(f"settings must be a JSON object of names and values, got {type(given).__name__}")
        kinds = {declared.name: declared.metadata["kind"] for declared in fields(cls)}
        try:
            return cls.of(
                **{name: kinds[name].read(value) if name in kinds else value for name, value in given.items()}
            )
        except TypeError as error:
            raise ValueError(f"settings: {error}") from None

    def to_json(self) -> dict[str, Any]:
        """`changes()` as `from_json` reads them."""
        changes = {name: "inf" if value == inf else value for name, value in self.changes().items()}
        plain = changes | ({"prices": dict(self.prices)} if self.prices else {})
        given: dict[str, Any] = json.loads(json.dumps(plain, default=str))
        return given

    @classmethod
    def read(cls, path: str | PathLike[str]) -> "Settings":
        """The settings in a file that `write` made, or a person in its form; a ValueError names what is wrong."""
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8"), parse_float=Decimal))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is no settings file: {error}") from None

    def write(self, path: str | PathLike[str]) -> None:
        """Keep the settings that differ from their defaults as a JSON file."""
        Path(path).write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")

    def __str__(self) -> str:
        lines = [f"  {'setting':31}{'value':26}meaning (* the value differs from the default)"]
        for mark, name, value, meaning in self._rows():
            first, *more = wrap(meaning, 61)
            short = value if len(value) < 26 else f"{value[:24]}…"
            lines += [f"{mark}{name:31}{short:26}{first}", *(f"{'':59}{line}" for line in more)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{mark}</td><th>{name}</th><td>{escape(value)}</td><td>{escape(meaning)}</td></tr>"
            for mark, name, value, meaning in self._rows()
        )
        head = "<tr><th></th><th>setting</th><th>value</th><th>meaning</th></tr>"
        return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"

    def _rows(self) -> list[tuple[str, str, str, str]]:
        changed = self.changes()
        return [
            ("* " if declared.name in changed else "  ", declared.name, str(getattr(self, declared.name)),
             declared.metadata["meaning"])
            for declared in fields(self)
        ]  # fmt: skip


Settings.__doc__ = f"{Settings.__doc__}\n{Settings()}\n"
