"""The API, one method an endpoint: envelopes, errors, exact numbers, hidden codes.

Nothing here sends a request twice. The facts about the API and its contradictions are tolerated on both sides:
fields may be missing or doubly named, codes hyphenated, answers without an envelope.
"""

import errno
import json
import re
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from math import inf
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ReadTimeoutError
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
_LONGEST_WAIT = 86400.0
"""Seconds on the wire whatever the time-out; sockets take no more than some weeks."""
_SHORTEST_KEY = 8
"""Texts shorter than this are no real keys; looking for them in answers would garble other words."""

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
        self._ended: deque[float] = deque(maxlen=max(_PER_MINUTE.values()))

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
            for category in self._get("gift-cards/catalog").rows("categories")
            for product in _dicts(category.get("products"))
        ]

    def check_product(self, product_id: str) -> Product:
        """A product's denominations with price and stock. Raises NotFoundError for an unknown id."""
        answer = self._get(f"gift-cards/checkProduct/{_path_part('product_id', product_id)}")
        data = answer.data
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
                for kind in answer.rows("types")
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
            if order.order_id not in known
            and (order.product_id, order.type_id, order.quantity) == wanted
            and since <= (order.placed_at or since) <= until
        ]

    def _all_orders(self, since: datetime, until: datetime) -> Iterator[Order]:
        """Each order once: the pages of a list that grows overlap, and a page without news is the last."""
        number, pages, seen = 1, 1, set[str | None]()
        while number <= pages:
            page = self.list_orders(number, LARGEST_PAGE, since=since, until=until)
            fresh = [order for order in page if order.order_id not in seen]
            yield from fresh
            seen.update(order.order_id for order in fresh)
            number, pages = number + 1, page.total_pages if fresh else 0

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
        answer = self._get(path, params=params, timeout=timeout)
        pagination = _dict(answer.data.get("pagination"))
        return Page(
            items=tuple(read(item) for item in answer.rows("items")),
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
        answer = self._exchange(what, method, path, params, body, timeout)
        status = answer.status
        if 300 <= status < 400:
            raise NoAnswerError(f"{what}: redirected, which giftlib does not follow (the key would go along)",
                                status=status)  # fmt: skip
        if status >= 400 or answer.fields.get("success") is False:
            _raise_api_error(answer)
        if not isinstance(answer.fields.get("data"), dict):
            raise NoAnswerError(f"{what}: status {status} with an answer that cannot be read", status=status)
        return answer

    def _exchange(
        self,
        what: str,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
        timeout: float | None,
    ) -> "_Answer":
        """One request and its answer, whole; NoAnswerError if that does not come within the time-out."""
        left = inf if timeout is None else timeout
        allowed = min(left - self._wait_for_place(what, left), self.request_timeout)
        # Seconds of a simulated clock say nothing of the network's: there the clock itself ends the exchange.
        on_wire = allowed if isinstance(self.clock, SystemClock) else self.request_timeout
        limit = getattr(self.clock, "time_limit", nullcontext)
        started, status, outer = self.clock.monotonic(), None, sys.exception()
        try:
            with limit(allowed), self._session.request(
                method,
                f"{self.base_url}/v3/{path}",
                params=params,
                json=body,
                timeout=Timeout(total=min(max(on_wire, 0.001), _LONGEST_WAIT)),
                allow_redirects=False,
                stream=True,
            ) as response:
                status = response.status_code
                return self._read(what, response)
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
            sent, timed_out, reason = _diagnosis(error, outer)
        finally:
            self._ended.append(self.clock.monotonic())
        # Raised out here, without the content, so that neither what was read nor an exception of another library,
        # with the key in its request, hangs on it.
        if timed_out or self.clock.monotonic() - started >= allowed:
            reason = f"no answer within {allowed:.3g} s"
        raise NoAnswerError(f"{what}: {reason}", sent=sent, status=status)

    def _read(self, what: str, response: requests.Response) -> "_Answer":
        content = bytearray()
        for chunk in response.iter_content(65536):
            content += chunk
            if len(content) > LARGEST_ANSWER:
                raise OSError(errno.EMSGSIZE, "an answer of more than 10 MiB")
        fields, headers = _decode(content, self._without_key), response.headers
        return _Answer(
            what=what,
            status=response.status_code,
            fields=fields,
            request_id=as_text(fields.get("requestId")) or self._without_key(as_text(headers.get("X-Request-Id"))),
            retry_after=_retry_after(headers, self.clock),
        )

    def _wait_for_place(self, what: str, longest: float) -> float:
        """Sleep until a request fits under the key's ceiling in every window of 60 s; give the seconds slept.

        A request counts from when it ended, since it may have arrived as late as that.
        """
        ceiling, now = self.requests_per_minute, self.clock.monotonic()
        if ceiling is None or len(self._ended) < ceiling or self._ended[-ceiling] <= now - 60:
            return 0.0
        wait = self._ended[-ceiling] + 60.001 - now
        if wait > longest:
            raise NoAnswerError(f"{what}: not sent, no place under {ceiling} requests a minute", sent=False)
        self.clock.sleep(wait)
        return self.clock.monotonic() - now

    def _without_key(self, raw: Any) -> Any:
        """A text or list of an answer, without the key should the answer repeat it."""
        key = str(self._session.headers["X-Access-Token"])
        if isinstance(raw, list):
            return [self._without_key(item) for item in raw]
        return raw.replace(key, "****") if isinstance(raw, str) and len(key) >= _SHORTEST_KEY else raw


class _Answer(NamedTuple):
    """What an answer told; neither the key nor a card's code can be seen in it."""

    what: str
    status: int
    fields: dict[str, Any]
    request_id: str | None
    retry_after: float | None

    @property
    def data(self) -> dict[str, Any]:
        return self.fields["data"]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The objects in that list of the data; NoAnswerError if there is no such list."""
        if not isinstance(self.data.get(name), list):
            raise NoAnswerError(f"{self.what}: the answer has no list of {name}", status=self.status)
        return _dicts(self.data[name])


def _raise_api_error(answer: _Answer) -> NoReturn:
    error, status = _dict(answer.fields.get("error")), answer.status
    code = as_text(error.get("code")) or _CODE_FOR_STATUS.get(status, f"HTTP_{status}")
    code = code.upper().replace("-", "_")
    message = as_text(error.get("message")) or as_text(answer.fields.get("message")) or "no explanation given"
    traced = f" (request {answer.request_id})" if answer.request_id else ""
    raise api_error_class(status, code)(
        f"{answer.what}: {status} {code}: {message}{traced}",
        status=status,
        code=code,
        request_id=answer.request_id,
        details=error.get("details"),
        retry_after=answer.retry_after,
    )


def _checked_url(base_url: str | None) -> str:
    url = DEFAULT_BASE_URL if base_url is None else str(base_url).strip().rstrip("/") or DEFAULT_BASE_URL
    parts = re.fullmatch(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", url, re.IGNORECASE)
    if not parts or (parts[1].lower() == "http" and not is_loopback(parts[2].lower().strip("[]"))):
        raise ValueError(
            "base_url must be https:// and a host (plain http only for this machine), without /v3 or anything else "
            "(value not shown, it may hold a secret)"
        )
    return url


def _path_part(name: str, value: str) -> str:
    return quote(check_id(name, value), safe="")


def _iso(name: str, moment: datetime) -> str:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ValueError(f"{name} must be a datetime with a time zone, got {moment!r}")
    return moment.isoformat(timespec="milliseconds")


def _decode(content: bytearray, without_key: Callable[[Any], Any]) -> dict[str, Any]:
    """The JSON object in an answer, numbers exact, card codes and the key already hidden; {} if there is none."""

    def hidden(fields: dict[str, Any]) -> dict[str, Any]:
        if fields.get("cards") is not None:
            cards = as_cards(fields["cards"])
            fields["cards"] = "****" if cards is None else cards
        return {without_key(name): without_key(field) for name, field in fields.items()}

    try:
        answer = json.loads(
            content.decode(), parse_float=Decimal, parse_constant=_refuse_constant, object_hook=hidden
        )
    except (ValueError, ArithmeticError, RecursionError):
        return {}
    return _dict(answer)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


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


def _diagnosis(error: BaseException | None, outer: BaseException | None) -> tuple[bool, bool, str]:
    """Whether the request may have left, whether time ran out, and what broke.

    It left unless an error proves that no connection was made. What broke is told in the words of the operating
    system where it has some, never in those of the peer. `outer`, which the caller was handling, is not looked at.
    """
    sent, timed_out, reason = True, False, "the connection broke or the answer was not HTTP"
    while error is not None and error is not outer:
        sent = sent and not isinstance(error, ConnectTimeoutError)
        timed_out = timed_out or isinstance(error, TimeoutError | ReadTimeoutError)
        reason = getattr(error, "strerror", None) or reason
        error = error.__cause__ or error.__context__
    return sent, timed_out, reason


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
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
