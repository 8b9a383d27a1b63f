"""The API, one method an endpoint: envelopes, errors, exact numbers, hidden codes.

Nothing here sends a request twice. The facts about the API and its contradictions are tolerated on both sides:
fields may be missing or doubly named, codes hyphenated, answers without an envelope.
"""

import json
import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import nullcontext
from datetime import datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote, urlsplit

import requests
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.util import Timeout

from giftlib.arguments import check_count, check_id, check_seconds
from giftlib.clock import Clock, SystemClock
from giftlib.errors import (
    ApiError,
    NoAnswerError,
    OrderOutcomeUnknownError,
    ProductionKeyError,
    ServerError,
    api_error_class,
)
from giftlib.orders import Order, as_cards
from giftlib.reading import as_amount, as_count, as_flag, as_moment, as_text
from giftlib.resources import ApiKey, CatalogProduct, Item, Page, Product, ProductType, Transaction
from giftlib.transport import is_loopback, new_session

DEFAULT_BASE_URL = "https://api.oneclickdz.com"
LARGEST_ANSWER = 10 * 2**20
LARGEST_PAGE = 100

_PER_MINUTE = {"SANDBOX": 60, "PRODUCTION": 120}
_CODE_FOR_STATUS = {
    404: "NOT_FOUND",
    413: "PAYLOAD_TOO_LARGE",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
CLOCK_SKEW = timedelta(minutes=2)
"""How far apart the clocks here and there are taken to be at most."""


class Client:
    """A key's view of the API.

    `base_url` is without `/v3`; plain http is accepted for this machine alone. `request_timeout` bounds each
    exchange in seconds. Errors are those of `giftlib.errors`. Once the key's type is known from `validate`, every
    request waits for its place under the key's published ceiling (60 a minute for a sandbox key, 120 for a
    production key). A client is for one thread.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str = DEFAULT_BASE_URL,
        *,
        clock: Clock | None = None,
        request_timeout: float = 15.0,
        allow_production: bool = False,
    ) -> None:
        if not isinstance(api_key, str) or not re.fullmatch(r"[!-~]{1,500}", api_key):
            raise ValueError("api_key must be a text of printable ASCII characters without spaces (value not shown)")
        self.base_url = _checked_url(base_url)
        self.clock = SystemClock() if clock is None else clock
        self.request_timeout = check_seconds("request_timeout", request_timeout)
        self.allow_production = allow_production
        self.key_type: str | None = None
        self._session = new_session(self.base_url)
        self._session.headers["X-Access-Token"] = api_key
        self._sent: deque[float] = deque()

    def __repr__(self) -> str:
        return f"Client({self.base_url})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Client holds a key and is not pickled; make a new one")

    @property
    def requests_per_minute(self) -> int | None:
        """The published ceiling of the key, or None as long as its type is not known."""
        return _PER_MINUTE.get(self.key_type or "")

    def validate(self) -> ApiKey:
        """What the API knows of the key. The key itself, which the answer repeats, is dropped."""
        data = self._get("validate").data
        key = _dict(data.get("apiKey") or data.get("key"))
        self.key_type = as_text(key.get("type"))
        return ApiKey(
            username=as_text(data.get("username")),
            type=self.key_type,
            scope=as_text(key.get("scope")),
            is_enabled=as_flag(key.get("isEnabled")),
            allowed_ips=tuple(filter(None, map(as_text, _list(key.get("allowedips"))))),
        )

    def balance(self) -> Decimal:
        """The account's balance in dinars."""
        balance = as_amount(self._get("account/balance").data.get("balance"))
        if balance is None:
            raise NoAnswerError("GET /v3/account/balance: the answer has no balance", status=200)
        return balance

    def transactions(
        self, page: int = 1, page_size: int = 20, *, since: datetime | None = None, until: datetime | None = None
    ) -> Page[Transaction]:
        """One page of the account's movements; `since` and `until` (aware datetimes) are given together."""
        return self._page("account/transactions", _transaction, page, page_size, since, until)

    def catalog(self) -> list[CatalogProduct]:
        """Every product, in the API's order. It changes rarely: ask once a day at most."""
        return [
            CatalogProduct(
                product_id=as_text(product.get("id", product.get("_id"))),
                title=as_text(product.get("title", product.get("name"))),
                category=as_text(category.get("title", category.get("name"))),
                enabled=as_flag(product.get("enabled")),
                region=as_text(product.get("region")),
            )
            for category in _dicts(self._get("gift-cards/catalog").data.get("categories"))
            for product in _dicts(category.get("products"))
        ]

    def check_product(self, product_id: str) -> Product:
        """A product's denominations with price and stock. Raises NotFoundError for an unknown id."""
        data = self._get(f"gift-cards/checkProduct/{_path_part('product_id', product_id)}").data
        return Product(
            product_id=as_text(data.get("productId", data.get("_id"))),
            title=as_text(data.get("productTitle", data.get("title"))),
            types=tuple(
                ProductType(
                    type_id=as_text(kind.get("id", kind.get("_id"))),
                    name=as_text(kind.get("name")),
                    price=as_amount(kind.get("price")),
                    quantity=as_count(kind.get("quantity")),
                )
                for kind in _dicts(data.get("types"))
            ),
        )

    def place_order(self, product_id: str, type_id: str, quantity: int) -> str:
        """Buy `quantity` cards and give the order's id. The request is sent once, whatever happens.

        Raises ProductionKeyError, before anything is sent, if the key is not a sandbox key and the client was not
        made with `allow_production=True`; ApiError if the API refused; OrderOutcomeUnknownError if the request
        left and no clear answer came.
        """
        check_id("product_id", product_id)
        check_id("type_id", type_id)
        quantity = check_count("quantity", quantity)
        self.require_purchase_allowed()
        sent_at = self.clock.now_utc()
        body = {"productId": product_id, "typeId": type_id, "quantity": quantity}
        try:
            answer = self._call("POST", "gift-cards/placeOrder", body=body)
            return check_id("orderId", answer.data.get("orderId"))
        except NoAnswerError as error:
            if not error.sent:
                raise
            cause: Exception = error
        except ServerError as error:
            cause = error
        except ValueError:
            cause = NoAnswerError("POST /v3/gift-cards/placeOrder: the answer has no order id", status=200)
        raise OrderOutcomeUnknownError(product_id, type_id, quantity, sent_at, self.clock.now_utc()) from cause

    def require_purchase_allowed(self) -> None:
        """Raise ProductionKeyError unless the key is a sandbox key or purchases with real money were allowed."""
        if self.allow_production:
            return
        if self.key_type is None:
            self.validate()
        if self.key_type != "SANDBOX":
            raise ProductionKeyError(
                f"the key's type is {self.key_type or 'unknown'}, not SANDBOX: an order would cost real money; "
                f"pass allow_production=True to place it all the same"
            )

    def check_order_status(self, order_id: str, *, timeout: float | None = None) -> Order:
        """One look at an order, taking at most `timeout` seconds (the client's `request_timeout` if None)."""
        path = f"gift-cards/checkOrder/{_path_part('order_id', order_id)}"
        answer = self._get(path, timeout=timeout)
        order = Order(answer.data, order_id=order_id, request_id=answer.request_id)
        if order.order_id != order_id:
            raise NoAnswerError(f"GET /v3/{path}: the answer is about another order", status=200)
        return order

    def list_orders(
        self,
        page: int = 1,
        page_size: int = 20,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        timeout: float | None = None,
    ) -> Page[Order]:
        """One page (at most 100) of the orders placed from `since` to `until` (aware datetimes, given together)."""
        return self._page("gift-cards/list", Order, page, page_size, since, until, timeout=timeout)

    def find_order(self, lost: OrderOutcomeUnknownError, *, known: Collection[str] = ()) -> list[Order]:
        """The orders that may be the lost purchase: same product, type and quantity, placed about then.

        `known` are ids that belong to other purchases. None found: it was not made, or does not show yet. More
        than one: the API cannot tell which is yours. Two minutes are allowed for clocks that differ.
        """
        since, until = lost.sent_at - CLOCK_SKEW, lost.gave_up_at + CLOCK_SKEW
        wanted = (lost.product_id, lost.type_id, lost.quantity)
        return [
            order
            for order in self._all_orders(since, until)
            if order.order_id not in known and (order.product_id, order.type_id, order.quantity) == wanted
        ]

    def _all_orders(self, since: datetime, until: datetime) -> Iterator[Order]:
        number, pages = 1, 1
        while number <= pages:
            page = self.list_orders(number, LARGEST_PAGE, since=since, until=until)
            yield from page
            number, pages = number + 1, page.total_pages if page.items else 0

    def _page(
        self,
        path: str,
        read: Callable[..., Item],
        page: int,
        page_size: int,
        since: datetime | None,
        until: datetime | None,
        *,
        timeout: float | None = None,
    ) -> Page[Item]:
        params: dict[str, Any] = {
            "page": check_count("page", page),
            "pageSize": check_count("page_size", page_size, most=LARGEST_PAGE),
        }
        if (since is None) != (until is None):
            raise ValueError(f"since and until must be given together, got since={since!r}, until={until!r}")
        if since is not None and until is not None:
            params |= {"from": _iso("since", since), "to": _iso("until", until)}
        data = self._get(path, params=params, timeout=timeout).data
        if not isinstance(data.get("items"), list):
            raise NoAnswerError(f"GET /v3/{path}: the answer has no list of items", status=200)
        pagination = _dict(data.get("pagination"))
        return Page(
            items=tuple(read(item) for item in _dicts(data["items"])),
            page=page,
            page_size=page_size,
            total_pages=as_count(pagination.get("totalPages")) or 0,
            total_results=as_count(pagination.get("totalResults")) or 0,
        )

    def _get(self, path: str, *, params: Mapping[str, Any] | None = None, timeout: float | None = None) -> "_Answer":
        return self._call("GET", path, params=params, timeout=timeout)

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> "_Answer":
        """The `data` of a successful answer; every other answer is raised as what it is."""
        what = f"{method} /v3/{path}"
        status, headers, content = self._exchange(what, method, path, params, body, timeout)
        if 300 <= status < 400:
            raise NoAnswerError(f"{what}: redirected, which giftlib does not follow (the key would go along)",
                                status=status)  # fmt: skip
        answer = _decode(content)
        request_id = self._public(answer.get("requestId")) or self._public(headers.get("X-Request-Id"))
        if status >= 400 or answer.get("success") is False:
            self._raise_api_error(what, status, headers, answer, request_id)
        if not isinstance(answer.get("data"), dict):
            raise NoAnswerError(f"{what}: status {status} with an answer that cannot be read", status=status)
        return _Answer(answer["data"], request_id)

    def _exchange(
        self,
        what: str,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
        timeout: float | None,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request and its answer, whole; NoAnswerError if that does not come within the time-out."""
        allowed = self.request_timeout if timeout is None else min(timeout, self.request_timeout)
        allowed -= self._wait_for_place(what, allowed)
        # Seconds of a simulated clock say nothing of the network's: there the clock itself ends the exchange.
        on_wire = allowed if isinstance(self.clock, SystemClock) else self.request_timeout
        limit = getattr(self.clock, "time_limit", nullcontext)
        started = self.clock.monotonic()
        try:
            with limit(allowed), self._session.request(
                method,
                f"{self.base_url}/v3/{path}",
                params=params,
                json=body,
                timeout=Timeout(total=max(on_wire, 0.001)),
                allow_redirects=False,
                stream=True,
            ) as response:
                content = bytearray()
                for chunk in response.iter_content(65536):
                    content += chunk
                    if len(content) > LARGEST_ANSWER:
                        raise NoAnswerError(f"{what}: an answer of more than 10 MiB", status=response.status_code)
                return response.status_code, response.headers, bytes(content)
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
            sent, reason = _was_sent(error), _reason(error)
            timed_out = isinstance(error, requests.Timeout | TimeoutError) or "timed out" in str(error)
        # Raised out here so that no exception of another library, with the key in its request, hangs on it.
        if timed_out or self.clock.monotonic() - started >= allowed:
            reason = f"no answer within {allowed:.3g} s"
        raise NoAnswerError(f"{what}: {reason}", sent=sent)

    def _wait_for_place(self, what: str, longest: float) -> float:
        """Sleep until a request fits under the key's ceiling in every window of 60 s; give the seconds slept."""
        ceiling, now = self.requests_per_minute, self.clock.monotonic()
        wait = 0.0
        if ceiling is not None:
            while self._sent and self._sent[0] <= now - 60:
                self._sent.popleft()
            if len(self._sent) >= ceiling:
                wait = self._sent[0] + 60 - now + 0.001
                if wait > longest:
                    raise NoAnswerError(f"{what}: not sent, no place under {ceiling} requests a minute", sent=False)
                self.clock.sleep(wait)
        self._sent.append(now + wait)
        return wait

    def _raise_api_error(
        self, what: str, status: int, headers: Mapping[str, str], answer: Mapping[str, Any], request_id: str | None
    ) -> NoReturn:
        error = _dict(answer.get("error"))
        code = self._public(error.get("code")) or _CODE_FOR_STATUS.get(status, f"HTTP_{status}")
        code = code.upper().replace("-", "_")
        message = self._public(error.get("message")) or self._public(answer.get("message")) or "no explanation given"
        traced = f" (request {request_id})" if request_id else ""
        raise api_error_class(status, code)(
            f"{what}: {status} {code}: {message}{traced}",
            status=status,
            code=code,
            request_id=request_id,
            details=error.get("details"),
            retry_after=_retry_after(headers, self.clock),
        )

    def _public(self, raw: Any) -> str | None:
        """A text of an answer, without the key should the answer repeat it."""
        text = as_text(raw)
        return text and text.replace(str(self._session.headers["X-Access-Token"]), "****")


class _Answer(NamedTuple):
    data: dict[str, Any]
    request_id: str | None


def _checked_url(base_url: str) -> str:
    url = (base_url or DEFAULT_BASE_URL).strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme == "http" and is_loopback(parts.hostname or ""):
        pass
    elif parts.scheme != "https" or not parts.hostname:
        raise ValueError(f"base_url must be an https address (plain http only for this machine), got {base_url!r}")
    if parts.path or parts.query or parts.fragment or parts.username:
        raise ValueError(f"base_url must be a scheme and a host, without /v3 or anything else, got {base_url!r}")
    return url


def _path_part(name: str, value: str) -> str:
    return quote(check_id(name, value), safe="")


def _iso(name: str, moment: datetime) -> str:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ValueError(f"{name} must be a datetime with a time zone, got {moment!r}")
    return moment.isoformat(timespec="milliseconds")


def _decode(content: bytes) -> dict[str, Any]:
    """The JSON object in an answer, card codes already hidden and numbers exact; {} if there is none."""
    try:
        answer = json.loads(
            content.decode(), parse_float=Decimal, parse_constant=_refuse_constant, object_hook=_hide_cards
        )
    except (ValueError, ArithmeticError, RecursionError):
        return {}
    return _dict(answer)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _hide_cards(fields: dict[str, Any]) -> dict[str, Any]:
    if "cards" in fields:
        fields["cards"] = as_cards(fields["cards"]) or ()
    return fields


def _dict(raw: Any) -> dict[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _dicts(raw: Any) -> list[dict[str, Any]]:
    return [item for item in _list(raw) if isinstance(item, dict)]


def _transaction(item: Mapping[str, Any]) -> Transaction:
    return Transaction(
        transaction_id=as_text(item.get("_id")),
        type=as_text(item.get("type")),
        operation=as_text(item.get("operation")),
        amount=as_amount(item.get("amount")),
        old_balance=as_amount(item.get("oldBalance")),
        new_balance=as_amount(item.get("newBalance")),
        object_id=as_text(item.get("objid")),
        note=as_text(item.get("note")),
        time=as_moment(item.get("time")),
    )


def _was_sent(error: BaseException) -> bool:
    """False if the error proves that no connection was made, so that nothing can have been done."""
    return not (
        isinstance(error, requests.ConnectTimeout)
        or isinstance(getattr(error.args[0] if error.args else None, "reason", None), NewConnectionError)
    )


def _reason(error: BaseException) -> str:
    """What broke, in the words of the operating system where it has some; never what the peer sent."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return getattr(error, "strerror", None) or "the connection broke or the answer was not HTTP"


def _retry_after(headers: Mapping[str, str], clock: Clock) -> float | None:
    """Seconds that Retry-After asks to wait (RFC 9110, 10.2.3: a number or a date); None if it makes no sense.

    A date is read against the answer's own Date, so that a wrong clock here does not matter.
    """
    raw = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", raw):
        return float(raw)
    until = _http_date(raw)
    if until is None:
        return None
    now = _http_date(headers.get("Date", "")) or clock.now_utc()
    return max((until - now).total_seconds(), 0.0)


def _http_date(raw: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(raw)
        return moment.astimezone()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
