"""The API, one method an endpoint. Nothing here sends a request twice."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NoReturn
from urllib.parse import quote

from giftlib.api.errors import (
    ApiError,
    InsufficientBalanceError,
    NoAnswerError,
    OrderOutcomeUnknownError,
    OutOfStockError,
    ProductionKeyError,
    asked_pause,
    may_pass,
)
from giftlib.api.models import ApiKey, CatalogProduct, Item, Page, Product, ProductType, Transaction
from giftlib.api.orders import Order
from giftlib.api.parsing import as_amount, as_count, as_flag, as_moment, as_text
from giftlib.api.responses import Answer, as_dict, as_dicts, as_list, raise_for_error
from giftlib.api.session import Exchange
from giftlib.api.transport import is_loopback
from giftlib.api.validation import check_count, check_id, check_kind, check_seconds
from giftlib.clock import Clock, SystemClock

DEFAULT_BASE_URL = "https://api.oneclickdz.com"
LARGEST_PAGE = 100

_MOST_PAGES = 1000
_NOTHING_WAS_DONE = {400, 401, 403, 429}
"""Refusals that come before anything is bought."""
_PER_MINUTE = {"SANDBOX": 60, "PRODUCTION": 120}
CLOCK_SKEW = timedelta(minutes=2)
"""How far apart the clocks here and there are taken to be at most."""


class Client:
    """A key's view of the API.

    `base_url` is without `/v3`; plain http is accepted for this machine alone. `request_timeout` bounds each
    exchange in seconds. Errors are those of `giftlib.api.errors`. Once the key's type is known from `validate`, every
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
        if not isinstance(allow_production, bool):
            raise ValueError(f"allow_production must be True or False, got {allow_production!r}")
        if not isinstance(api_key, str) or not re.fullmatch(r"[!-~]{1,500}", api_key):
            raise ValueError("api_key must be a text of printable ASCII characters without spaces (value not shown)")
        self.base_url = _checked_url(base_url)
        self.clock = SystemClock() if clock is None else clock
        self.request_timeout = check_seconds("request_timeout", request_timeout)
        self.allow_production = allow_production
        self.key_type: str | None = None
        self._exchange = Exchange(self.base_url, api_key, self.clock, self.request_timeout)

    def __repr__(self) -> str:
        return f"Client({self.base_url})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Client holds a key and is not pickled; make a new one")

    @property
    def requests_per_minute(self) -> int | None:
        """The published ceiling of the key, or None as long as its type is not known."""
        return _PER_MINUTE.get(self.key_type or "")

    def pace(self) -> int:
        """Keep to the key's ceiling from now on, or to the lowest one while its type is not known; gives it."""
        self._exchange.requests_per_minute = self.requests_per_minute or min(_PER_MINUTE.values())
        return self._exchange.requests_per_minute

    def validate(self) -> ApiKey:
        """What the API knows of the key. The key itself, which the answer repeats, is dropped."""
        data = self._get("validate").data
        key = as_dict(data.get("apiKey") or data.get("key"))
        self.key_type = as_text(key.get("type"))
        self._exchange.requests_per_minute = self.requests_per_minute
        return ApiKey(
            username=as_text(data.get("username")),
            type=self.key_type,
            scope=as_text(key.get("scope")),
            is_enabled=as_flag(key.get("isEnabled")),
            allowed_ips=tuple(filter(None, map(as_text, as_list(key.get("allowedips"))))),
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
            for product in as_dicts(category.get("products"))
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
        made with `allow_production=True`. An ApiError (400, 401, 403, 429, too little stock or balance) or a
        NoAnswerError (no connection was made) proves that nothing was bought; whatever else happens is an
        OrderOutcomeUnknownError.
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
        except ApiError as error:
            refused = isinstance(error, InsufficientBalanceError | OutOfStockError) and 400 <= error.status < 500
            if refused or error.status in _NOTHING_WAS_DONE:
                raise
            cause: Exception = error
        except NoAnswerError as error:
            if not error.sent:
                raise
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

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """The answer to a GET or POST of a path below `/v3/`, whatever it says: no error is raised for it.

        NoAnswerError if none comes. A POST is sent once, and only where `place_order` would send one.
        """
        if method not in ("GET", "POST"):
            raise ValueError(f"method must be GET or POST, got {method!r}")
        path = "/".join(_path_part("path", part) for part in path.split("/"))
        if method == "POST":
            self.require_purchase_allowed()
        return self._exchange.send(method, path, params=params, body=body)

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

    def find_order(self, lost: OrderOutcomeUnknownError, *, known: Collection[str] = (), tries: int = 1) -> list[Order]:
        """The orders that may be the lost purchase: same product, type and quantity, placed about then.

        `known` are ids that belong to other purchases. None found: it was not made, or does not show yet. More
        than one: the API cannot tell which is yours. Two minutes are allowed for clocks that differ. Each page
        of the list is asked for `tries` times, 5 s or what `Retry-After` says apart, before its error is raised.
        """
        check_kind("lost", lost, OrderOutcomeUnknownError)
        since, until = lost.sent_at - CLOCK_SKEW, lost.gave_up_at + CLOCK_SKEW
        wanted = (lost.product_id, lost.type_id, lost.quantity)
        return [
            order
            for order in self._all_orders(since, until, check_count("tries", tries))
            if order.order_id is not None
            and order.order_id not in known
            and (order.product_id, order.type_id, order.quantity) == wanted
            and since <= (order.placed_at or since) <= until
        ]

    def _all_orders(self, since: datetime, until: datetime, tries: int) -> Iterator[Order]:
        """Each order once: the pages of a list that grows overlap, and a page without news is the last."""
        number, pages, seen = 1, 1, set[str | None]()
        while number <= pages:
            if number > _MOST_PAGES:
                raise NoAnswerError(
                    f"GET /v3/gift-cards/list: no end of the list after {_MOST_PAGES} pages", status=200
                )
            page = self._read_patiently(number, since, until, tries)
            fresh = [order for order in page if order.order_id not in seen]
            yield from fresh
            seen.update(order.order_id for order in fresh)
            number, pages = number + 1, page.total_pages if fresh else 0

    def _read_patiently(self, number: int, since: datetime, until: datetime, tries: int) -> Page[Order]:
        for attempt in range(1, tries + 1):
            try:
                return self.list_orders(number, LARGEST_PAGE, since=since, until=until)
            except (ApiError, NoAnswerError) as error:
                if attempt == tries or not may_pass(error):
                    raise
                self.clock.sleep(max(asked_pause(error), 5.0))
        raise AssertionError("unreachable")

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
        pagination = as_dict(answer.data.get("pagination"))
        return Page(
            items=tuple(read(item) for item in answer.rows("items")),
            page=page,
            page_size=page_size,
            total_pages=as_count(pagination.get("totalPages")) or 0,
            total_results=as_count(pagination.get("totalResults")) or 0,
        )

    def _get(self, path: str, *, params: Mapping[str, Any] | None = None, timeout: float | None = None) -> Answer:
        return self._call("GET", path, params=params, timeout=timeout)

    def _call(self, method: str, path: str, **request: Any) -> Answer:
        """A successful answer; every other is raised as what it is."""
        if request.get("timeout") is not None:
            check_seconds("timeout", request["timeout"] or 1e-3)  # 0 is a time that is just up
        answer = self._exchange.send(method, path, **request)
        raise_for_error(answer)
        return answer


def _checked_url(base_url: str | None) -> str:
    url = DEFAULT_BASE_URL if base_url is None else str(base_url).strip().rstrip("/") or DEFAULT_BASE_URL
    parts = re.fullmatch(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", url, re.IGNORECASE)
    if (
        not parts
        or int((parts[3] or ":0")[1:]) > 65535
        or (parts[1].lower() == "http" and not is_loopback(parts[2].lower().strip("[]")))
    ):
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
