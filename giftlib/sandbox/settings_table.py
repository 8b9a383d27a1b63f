"""The settings of the emulator, one entry each: type, default, accepted values, meaning with unit and source."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from .validators import ABOVE_ZERO_S, ADDRESSES, ANY_S, COUNT, FINITE_S, FLAG, MONEY, PRICES, checked, one_of

KEY_TYPES = ("SANDBOX", "PRODUCTION")
KEY_SCOPES = ("READ-WRITE", "READ-ONLY")


@dataclass(frozen=True)
class SettingsTable:
    """The fields of `Settings`."""

    # fmt: off
    fulfilment_median_s: float = checked(10.0, ABOVE_ZERO_S, """Median time that an order is HANDLING, seconds,
        lognormal. Unknown for the sandbox: chosen within the guide's "seconds" (DOC).""")
    fulfilment_p95_s: float = checked(30.0, ABOVE_ZERO_S, """Time within which 95 % of the orders are final, seconds, at
        least the median. DOC: "most orders resolve within 30 seconds"; the Arabic guide says 3 to 45.""")
    fulfilment_s: float | None = checked(None, ANY_S.or_none(), """One time for every order, seconds, instead of the
        distribution; 0: final at the first poll; math.inf: never final. Unknown.""")
    latency_median_s: float = checked(0.15, ABOVE_ZERO_S, """Median latency of a response, seconds, lognormal; half
        of it passes before the request is carried out, half after. Unknown: chosen.""")
    latency_p95_s: float = checked(0.4, ABOVE_ZERO_S, """Time within which 95 % of the responses come, seconds, at least
        the median. Unknown: chosen.""")
    latency_s: float | None = checked(None, FINITE_S.or_none(), """One latency for every response, seconds, instead of
        the same distribution; 0 is allowed.""")

    rate_limit_per_minute: int | None = checked(60, COUNT.or_none(), """Requests that a sandbox key may make in any 60
        seconds; None: no rate limit. LIVE: 60.""")
    production_rate_limit_per_minute: int | None = checked(120, COUNT.or_none(), """The same for a production key. LIVE:
        120.""")
    lockout_attempts: int = checked(5, COUNT, """Wrong keys in a row after which an address is blocked. DOC: 5; LIVE:
        20.""")
    lockout_s: float = checked(900.0, ABOVE_ZERO_S, """How long the block lasts, seconds. DOC and LIVE: 15 minutes.""")
    attempts_left_in: str = checked("details", one_of("details", "message"), """Where the response to a wrong key says
        how many attempts are left. DOC: details; LIVE: message.""")
    bad_key_code: str = checked("INVALID_ACCESS_TOKEN", one_of("INVALID_ACCESS_TOKEN", "ERR_AUTH"), """Code of the 401
        for a wrong key. DOC has both for it.""")

    key_type: str = checked("SANDBOX", one_of(*KEY_TYPES), """Environment of the first key, as validate reports it
        (DOC).""")
    key_scope: str = checked("READ-WRITE", one_of(*KEY_SCOPES), """What the first key may do (DOC). A read-only key gets
        403 FORBIDDEN on placeOrder. Unknown: chosen.""")
    allowed_ips: tuple[str, ...] = checked((), ADDRESSES, """Addresses that may use the first key; none: any (DOC).
        Others get 403 IP_NOT_ALLOWED (LIVE).""")
    key_style: str = checked("uuid", one_of("uuid", "sk"), """Form of a key: a UUID (DOC samples), or sk_test_… and
        sk_live_… (DOC, security page).""")
    validate_shape: str = checked("reference", one_of("reference", "quickstart", "bills"), """Shape of validate's
        response. DOC reference; the quickstart's sample lacks key and allowedips; the bills pages have account and
        key.""")

    partial_rounding: str = checked("down", one_of("down", "up"), """How half of an odd number of TEST_PARTIAL cards is
        rounded. Unknown: chosen.""")
    partial_of_one: str = checked("as counted", one_of("as counted", "PARTIALLY_FILLED"), """Status of a TEST_PARTIAL
        order of one card: as counted is REFUNDED for no card and FULFILLED for one. Unknown: chosen.""")
    partial_status: str = checked("PARTIALLY_FILLED", one_of("PARTIALLY_FILLED", "FULFILLED"), """Status of an order of
        which a part is delivered. DOC guide: PARTIALLY_FILLED; the placeOrder page names no other final statuses than
        FULFILLED and REFUNDED.""")
    production_test_types: str = checked("simulated", one_of("simulated", "ordinary"), """What TEST_REFUND and
        TEST_PARTIAL do with a production key: as in the sandbox, or fulfilled like any unknown type. Unknown:
        chosen.""")
    max_quantity: int = checked(10_000, COUNT, """Largest quantity of an order; more is rejected. Unknown: chosen, so
        that an order's cards are below 1 MiB.""")
    text_quantity: str = checked("refused", one_of("refused", "read"), """Whether a quantity written as text, "2", is
        rejected or read. Unknown: chosen; Joi, which checks requests (LIVE), can do either.""")
    unknown_body_keys: str = checked("ignored", one_of("ignored", "refused"), """Whether unknown keys in placeOrder's
        body are ignored or rejected. LIVE has both: 0.3.0 ignored, 0.2.0 refused.""")
    order_ref: str = checked("ignored", one_of("ignored", "required"), """Whether placeOrder wants a ref of the
        caller's, takes no quantity (one card) and returns the ref as orderRef. DOC en, fr: no ref; ar: required.""")
    card_serials: str = checked("numbered", one_of("numbered", "empty", "missing"), """What a card has as serial.
        DOC-REAL: SANDBOX-1 and so on; whether it may be empty or missing is unknown.""")

    prices: Mapping[str, Decimal] = checked({}, PRICES, """Price of a card by type id, dinars, for checkProduct and
        orders, over all that follows.""")
    known_type_price: Decimal | None = checked(None, MONEY.or_none(), """Price per card that an order of a type in the
        catalogue pays, dinars; None: the catalogue's. Unknown for a sandbox key: chosen.""")
    test_type_price: Decimal = checked(Decimal(490), MONEY, """Price of a card of TEST_REFUND and TEST_PARTIAL, dinars.
        Unknown: chosen as in the guide's samples.""")
    unknown_type_price: Decimal = checked(Decimal(0), MONEY, """Price of a card of any other type id, dinars. DOC-REAL:
        0 for type "string".""")
    check_stock: bool = checked(False, FLAG, """Whether an order for more cards than checkProduct shows is rejected with
        403 OUT_OF_STOCK (status and code unknown: chosen). DOC-REAL: ids are not validated. Orders do not lower the
        stock.""")

    category_key: str = checked("title", one_of("title", "name"), """Key of a category's title in the catalogue. DOC
        reference: title; first guide: name.""")
    catalog_totals_in: str = checked("top", one_of("top", "meta"), """Where the catalogue has its totals: beside data
        (DOC reference) or in meta (first guide).""")
    catalog_products: int = checked(6, COUNT, """How many products the catalogue has; those after the sixth are made up.
        DOC: 62 in one sample, 127 in another.""")
    product_id_key: str = checked("id", one_of("id", "_id"), """Keys of ids in checkProduct: productId and id (DOC en,
        fr), or _id for both (ar).""")
    available_field: bool = checked(False, FLAG, """Whether a type has available beside quantity. DOC reference: no;
        overview: "verify available: true".""")
    cost_field: bool = checked(False, FLAG, """Whether a type has cost. DOC: no page shows it, one warns of it.""")
    path_style: str = checked("camelCase", one_of("camelCase", "hyphens"), """Paths checkOrder, checkProduct, placeOrder
        (DOC en, fr), or check-order and so on (ar).""")

    final_order_has_type: bool = checked(False, FLAG, """Whether checkOrder of a final order has product and type. DOC
        samples of checkOrder: no; DOC-REAL rows of list: yes, and list always has them here.""")
    malformed_id: str = checked("NOT_FOUND", one_of("NOT_FOUND", "ERR_VALIDATION"), """What an id that is not 24
        hexadecimal digits gets: 404 or 400. Unknown: chosen; LIVE for bills: 404 for what is not yours.""")
    sample_order: bool = checked(True, FLAG, """Whether checkOrder knows the guide's order 6901616fe9e88196b4eb64b3, two
        cards, FULFILLED (DOC). It is in no list and on no account.""")

    list_order: str = checked("newest first", one_of("newest first", "oldest first"), """Order of the lists of orders
        and of transactions. DOC-REAL: newest first; no page promises it.""")
    list_lag_s: float = checked(0.0, FINITE_S, """How long a list still shows an order's earlier status, seconds;
        checkOrder is never late. Unknown: chosen.""")
    list_hides_s: float = checked(0.0, FINITE_S, """How long a new order is in no list, seconds. Unknown: chosen.""")
    list_mixes_environments: bool = checked(False, FLAG, """Whether list shows orders of both environments; checkOrder
        never does. DOC-REAL has a sample that may show it; LIVE for bills: no.""")
    list_needs_both_ends: bool = checked(False, FLAG, """Whether list rejects from without to. DOC: nothing for orders,
        yes for transactions.""")
    large_page: str = checked("refused", one_of("refused", "clamped"), """Whether pageSize above 100 is rejected or
        lowered to 100. DOC: 100 at most; what more does is unknown: chosen.""")
    page_overflow: str = checked("empty", one_of("empty", "refused"), """What a page after the last one is: a page with
        no item, or 400. Unknown: chosen.""")

    opening_balance: Decimal = checked(Decimal("10000000.00"), MONEY, """Balance of each environment's account at the
        start, dinars. Unknown: chosen large.""")
    balance_moves: bool = checked(True, FLAG, """Whether balance follows the orders, or stays as it was at the start.
        DOC: "no real balance deducted" in the sandbox; unknown what that shows.""")
    check_balance: bool = checked(True, FLAG, """Whether an order that the balance cannot pay is rejected. DOC; unknown
        for the sandbox.""")
    transactions_listed: bool = checked(True, FLAG, """Whether orders show among the transactions. Unknown for the
        sandbox: chosen.""")
    refunds: str = checked("credited", one_of("credited", "missing", "late", "doubled"), """How refunds are paid:
        credited as soon as the order is final (DOC: automatic), missing, late by 60 s, or doubled; all but the first
        are errors of the service, to test that they are noticed.""")
    balance_code: str = checked("INSUFFICIENT_BALANCE", one_of("INSUFFICIENT_BALANCE", "NO_BALANCE"), """Code of the 403
        for an order that the balance cannot pay (DOC has both for it).""")
    balance_currency: bool = checked(False, FLAG, """Whether balance has the currency too. DOC reference: no; changelog:
        DZD.""")

    code_separator: str = checked("_", one_of("_", "-"), """What stands between the words of an error's code. DOC: _;
        LIVE: DUPLICATED-REF.""")
    message_at: str = checked("error", one_of("error", "top"), """Where an error has its message: in error alone (DOC),
        or at the top too, as a guide's sample reads it.""")
    request_id_in: str = checked("documented", one_of("documented", "always", "never"), """Which successes have their
        requestId in the body: placeOrder and checkProduct as in their samples (DOC), all (DOC, migration page), or none
        (LIVE). Errors and the header X-Request-Id always have it.""")
    request_id_style: str = checked("req_time_number", one_of("req_time_number", "req-number"), """Form of a request id:
        req_1730163600_abc123 (DOC) or req-fpg (LIVE).""")
    # fmt: on
