"""The settings of the emulator; settings.toml says what each means, with its unit and source."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from html import escape
from os import PathLike
from pathlib import Path
from textwrap import wrap
from tomllib import loads
from typing import Any

from . import validators as v

KEY_TYPES = ("SANDBOX", "PRODUCTION")
KEY_SCOPES = ("READ-WRITE", "READ-ONLY")
_MOST_BYTES = 2**20
MEANINGS: dict[str, str] = {
    name: " ".join(meaning.split())
    for name, meaning in loads(Path(__file__).with_name("settings.toml").read_text("utf-8")).items()
}


@dataclass(frozen=True)
class Outcome(v.Checked):
    """Describe what becomes of an order: how many cards are delivered, and after how many seconds.

    None leaves either as it is without. More cards than were ordered are as many as were ordered; `after_s` may be
    `math.inf`: never final. Raise ValueError for what is neither.

    >>> from giftlib.sandbox import Outcome, Sandbox
    >>> with Sandbox(outcomes={"type_001": Outcome(delivered=1, after_s=4)}) as sandbox:
    ...     order_id = sandbox.client().place_order("507f1f77bcf86cd799439011", "type_001", 3)
    ...     sandbox.clock.sleep(5)
    ...     sandbox.latest_orders()[0]["status"]
    'PARTIALLY_FILLED'
    """

    delivered: int | None = v.checked(None, v.whole_number(0, 10**6).or_none())
    after_s: float | None = v.checked(None, v.ANY_S.or_none())


def _read_outcome(given: Any) -> Any:
    try:
        return Outcome(**{name: v.ANY_S.read(value) for name, value in given.items()})
    except (AttributeError, TypeError):
        return given


_OUTCOME = v.Validator("an Outcome", lambda value: isinstance(value, Outcome), _read_outcome)


@dataclass(frozen=True)
class Settings(v.Checked):
    """Describe the service that a sandbox stands for. A bad value is a ValueError that says what is accepted.

    The table below, which printing them gives too, has each setting's value, meaning, unit and the source of its
    default. Grades: DOC (the vendor's documentation), DOC-REAL (a sample there that looks captured from the service),
    LIVE (seen by a third party); "unknown: chosen" means that no public source says it. Amounts are dinars, as
    `Decimal` or `int`, with at most two decimals.

    >>> from giftlib.sandbox import Settings
    >>> Settings.of(latency_s=0.2).but(partial_rounding="up").changes()
    {'latency_s': 0.2, 'partial_rounding': 'up'}
    """

    fulfilment_median_s: float = v.checked(10.0, v.ABOVE_ZERO_S)
    fulfilment_p95_s: float = v.checked(30.0, v.ABOVE_ZERO_S)
    fulfilment_s: float | None = v.checked(None, v.ANY_S.or_none())
    latency_median_s: float = v.checked(0.15, v.ABOVE_ZERO_S)
    latency_p95_s: float = v.checked(0.4, v.ABOVE_ZERO_S)
    latency_s: float | None = v.checked(None, v.FINITE_S.or_none())
    rate_limit_per_minute: int | None = v.checked(60, v.COUNT.or_none())
    production_rate_limit_per_minute: int | None = v.checked(120, v.COUNT.or_none())
    lockout_attempts: int = v.checked(5, v.COUNT)
    lockout_s: float = v.checked(900.0, v.ABOVE_ZERO_S)
    attempts_left_in: str = v.checked("details", v.one_of("details", "message"))
    bad_key_code: str = v.checked("INVALID_ACCESS_TOKEN", v.one_of("INVALID_ACCESS_TOKEN", "ERR_AUTH"))
    key_type: str = v.checked("SANDBOX", v.one_of(*KEY_TYPES))
    key_scope: str = v.checked("READ-WRITE", v.one_of(*KEY_SCOPES))
    allowed_ips: tuple[str, ...] = v.checked((), v.ADDRESSES)
    key_style: str = v.checked("uuid", v.one_of("uuid", "sk"))
    validate_shape: str = v.checked("reference", v.one_of("reference", "quickstart", "bills"))
    partial_rounding: str = v.checked("down", v.one_of("down", "up"))
    partial_of_one: str = v.checked("as counted", v.one_of("as counted", "PARTIALLY_FILLED"))
    partial_status: str = v.checked("PARTIALLY_FILLED", v.one_of("PARTIALLY_FILLED", "FULFILLED"))
    production_test_types: str = v.checked("simulated", v.one_of("simulated", "ordinary"))
    outcomes: Mapping[str, Outcome] = v.checked({}, v.by_type_id(_OUTCOME))
    max_quantity: int = v.checked(10_000, v.QUANTITY)
    text_quantity: str = v.checked("read", v.one_of("refused", "read"))
    unknown_body_keys: str = v.checked("ignored", v.one_of("ignored", "refused"))
    order_ref: str = v.checked("ignored", v.one_of("ignored", "required"))
    card_serials: str = v.checked("numbered", v.one_of("numbered", "empty", "missing"))
    prices: Mapping[str, Decimal] = v.checked({}, v.by_type_id(v.MONEY))
    known_type_price: Decimal | None = v.checked(None, v.MONEY.or_none())
    test_type_price: Decimal = v.checked(Decimal(490), v.MONEY)
    unknown_type_price: Decimal = v.checked(Decimal(0), v.MONEY)
    check_stock: bool = v.checked(False, v.FLAG)
    category_key: str = v.checked("title", v.one_of("title", "name"))
    catalog_totals_in: str = v.checked("top", v.one_of("top", "meta"))
    catalog_products: int = v.checked(7, v.QUANTITY)
    catalog_test_types: bool = v.checked(False, v.FLAG)
    product_id_key: str = v.checked("id", v.one_of("id", "_id"))
    available_field: bool = v.checked(False, v.FLAG)
    cost_field: bool = v.checked(False, v.FLAG)
    head: str = v.checked("like GET", v.one_of("like GET", "refused"))
    wrong_method: str = v.checked("404", v.one_of("404", "405"))
    content_type: str = v.checked("JSON", v.one_of("JSON", "any"))
    encoded_paths: str = v.checked("routed", v.one_of("routed", "not found"))
    preflight: str = v.checked("echoed", v.one_of("echoed", "fixed"))
    validation_wording: str = v.checked("Joi", v.one_of("Joi", "Ajv"))
    path_style: str = v.checked("camelCase", v.one_of("camelCase", "hyphens"))
    final_order_has_type: bool = v.checked(False, v.FLAG)
    malformed_id: str = v.checked("NOT_FOUND", v.one_of("NOT_FOUND", "ERR_VALIDATION"))
    sample_order: bool = v.checked(True, v.FLAG)
    open_list_rows: str = v.checked("plain", v.one_of("plain", "with zeros"))
    list_order: str = v.checked("newest first", v.one_of("newest first", "oldest first"))
    list_lag_s: float = v.checked(0.0, v.FINITE_S)
    list_hides_s: float = v.checked(0.0, v.FINITE_S)
    list_mixes_environments: bool = v.checked(False, v.FLAG)
    list_needs_both_ends: bool = v.checked(False, v.FLAG)
    large_page: str = v.checked("refused", v.one_of("refused", "clamped"))
    page_overflow: str = v.checked("empty", v.one_of("empty", "refused"))
    opening_balance: Decimal = v.checked(Decimal("10000000.00"), v.MONEY)
    balance_moves: bool = v.checked(True, v.FLAG)
    check_balance: bool = v.checked(True, v.FLAG)
    transactions_listed: bool = v.checked(True, v.FLAG)
    refunds: str = v.checked("credited", v.one_of("credited", "missing", "late", "doubled"))
    balance_code: str = v.checked("INSUFFICIENT_BALANCE", v.one_of("INSUFFICIENT_BALANCE", "NO_BALANCE"))
    balance_currency: bool = v.checked(False, v.FLAG)
    code_separator: str = v.checked("_", v.one_of("_", "-"))
    message_at: str = v.checked("error", v.one_of("error", "top"))
    request_id_in: str = v.checked("documented", v.one_of("documented", "always", "never"))
    request_id_style: str = v.checked("req_time_number", v.one_of("req_time_number", "req-number"))

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("fulfilment", "latency"):
            median, p95 = (getattr(self, f"{name}_{quantile}_s") for quantile in ("median", "p95"))
            if p95 < median:
                raise ValueError(f"{name}_p95_s must be seconds, at least {name}_median_s, got {p95!r}")

    @classmethod
    def of(cls, **settings: Any) -> "Settings":
        """Give the defaults with some settings changed; an unknown name is a TypeError that lists the known ones."""
        return cls().but(**settings)

    def but(self, **changes: Any) -> "Settings":
        """Give these settings with some changed; an unknown name is a TypeError that lists the known ones."""
        for name in changes:
            if name not in MEANINGS:
                raise TypeError(v.unknown("setting", name, MEANINGS))
        return replace(self, **changes)

    @classmethod
    def from_json(cls, given: Any) -> "Settings":
        """Read settings from a JSON object: amounts as strings, `math.inf` as "inf". ValueError says what is wrong."""
        if not isinstance(given, dict):
            raise ValueError(f"settings must be a JSON object of names and values, got {type(given).__name__}")
        read = {declared.name: declared.metadata["validator"].read for declared in fields(cls)}
        try:
            return cls.of(**{name: read[name](value) if name in read else value for name, value in given.items()})
        except TypeError as error:
            raise ValueError(f"settings: {error}") from None

    @classmethod
    def read(cls, path: str | PathLike[str]) -> "Settings":
        """Read a settings file, made by `write` or by hand; a ValueError says what is wrong with it."""
        try:
            v.require_file(path, _MOST_BYTES)
            return cls.from_json(v.read_json(Path(path).read_bytes(), Decimal))
        except ValueError as error:
            raise ValueError(f"{path} is no settings file: {error}") from None

    def write(self, path: str | PathLike[str]) -> None:
        """Write the settings that differ from their defaults to a JSON file."""
        Path(path).write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")

    def __str__(self) -> str:
        lines = [f"  {'setting':33}{'value':24}meaning (* the value differs from the default)"]
        for mark, name, value, meaning in _rows(self):
            first, *more = wrap(meaning, 61)
            short = value if len(value) < 24 else f"{value[:22]}…"
            lines += [f"{mark or ' '} {name:33}{short:24}{first}", *(f"{'':59}{line}" for line in more)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = ["<tr><th></th><th>setting</th><th>value</th><th>meaning</th></tr>"]
        for row in _rows(self):
            rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>")
        return f"<table>{''.join(rows)}</table>"


def _rows(settings: Settings) -> Iterator[tuple[str, str, str, str]]:
    """Give mark, name, value and meaning of each setting."""
    changed = settings.changes()
    for name, meaning in MEANINGS.items():
        yield "*" if name in changed else "", name, str(getattr(settings, name)), meaning


Settings.__doc__ = f"{Settings.__doc__}\n{Settings()}\n"
