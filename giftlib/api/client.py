"""The API's endpoints, one method each. Nothing here sends a request twice, but for reads with `tries`."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from math import inf
from operator import attrgetter
from typing import Any
from urllib.parse import quote

from . import errors
from .access import Access
from .errors import ApiError, NoAnswerError, OrderOutcomeUnknownError
from .listing import Listing
from .models import CatalogProduct, Item, Page, Product, ProductType, Transaction
from .orders import Order, OrderRequest
from .parsing import as_amount, as_dicts, as_text
from .responses import Response, read
from .retry import retry_read
from .session import LARGEST_PAGE, Seconds, Time
from .validation import check_count, check_id

_NOTHING_WAS_DONE = {400, 401, 403, 429}
"""Error responses that come before anything is ordered."""
_MOST_PAGES = 10_000
"""A million orders; a list that goes on is taken for one without end."""


class Client(Access):
    """Call the API with one key.

    `base_url` is with or without `/v3`; plain http is accepted for this machine alone. `request_timeout` bounds each
    request in seconds. Once `validate` has returned the key's type, every request waits until it fits under the key's
    published rate limit (60 requests per minute for a sandbox key, 120 for a production key). A client is for one
    thread; in a `with` statement its connections are closed at the end.

    >>> from giftlib import Sandbox
    >>> with Sandbox(seed=1) as sandbox:
    ...     client = sandbox.client()
    ...     order_id = client.place_order("507f1f77bcf86cd799439011", "TEST_PARTIAL", 4)
    ...     client.check_order_status(order_id).status.value
    'HANDLING'
    """

    def balance(self) -> Decimal:
        """Return the account's balance in dinars."""
        balance = as_amount(self._session.get("account/balance").data.get("balance"))
        if balance is None:
            raise NoAnswerError("GET /v3/account/balance: the response has no balance", status=200)
        return balance

    def transactions(
        self, page: int = 1, page_size: int = 20, *, since: Time = None, until: Time = None
    ) -> Page[Transaction]:
        """Return one page of the account's transactions; `since` and `until` (aware datetimes) are given together."""

        def transaction(item: dict[str, Any], **_: object) -> Transaction:
            return Transaction.from_response(item)

        return self._session.page("account/transactions", transaction, page, page_size, since, until)

    def catalog(self) -> list[CatalogProduct]:
        """Return every product, in the API's order. It changes rarely: request it once a day at most."""
        return [
            CatalogProduct.from_response(product, category=as_text(category.get("title", category.get("name"))))
            for category in self._session.get("gift-cards/catalog").items("categories")
            for product in as_dicts(category.get("products"))
        ]

    def check_product(self, product_id: str) -> Product:
        """Return a product's denominations with price and stock; raise NotFoundError for an unknown id."""
        response = self._session.get(f"gift-cards/checkProduct/{_path_part('product_id', product_id)}")
        types = tuple(map(ProductType.from_response, response.items("types")))
        return Product.from_response(response.data, types=types)

    def place_order(self, product_id: str, type_id: str, quantity: int) -> str:
        """Place an order of `quantity` cards and return its id; see `place`."""
        return self.place(OrderRequest(product_id, type_id, quantity))

    def place(self, request: OrderRequest, *, not_after: float = inf) -> str:
        """Place an order and return its id. The request is sent once, whatever happens.

        It is not sent if it could last longer than until the clock's monotonic second `not_after`.

        Raise ProductionKeyError, before anything is sent, if the key is not a sandbox key and the client was not
        made with `allow_production=True`. An ApiError (400, 401, 403, 429, too little stock or balance) or a
        NoAnswerError whose `sent` is False proves that nothing was ordered; all else is an OrderOutcomeUnknownError.
        """
        self.require_sandbox_key()
        sent_at, earliest = self.clock.now_utc(), self.api_time()[0]
        wanted = (request.product_id, request.type_id, request.quantity)
        try:
            body = dict(zip(("productId", "typeId", "quantity"), wanted, strict=True))
            return read(self._session.send("POST", "gift-cards/placeOrder", body=body, not_after=not_after), _order_id)
        except (ApiError, NoAnswerError) as error:
            if _nothing_was_placed(error):
                raise
            cause: Exception = error
        except ValueError:
            cause = NoAnswerError("POST /v3/gift-cards/placeOrder: the response has no order id", status=200)
        latest = self.api_time()[1]
        raise OrderOutcomeUnknownError(*wanted, sent_at, self.clock.now_utc(), earliest, latest) from cause

    def request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> Response:
        """Return the response to a GET, or a POST where `place_order` would send one; NoAnswerError if none comes."""
        if method not in ("GET", "POST"):
            raise ValueError(f"method must be GET or POST, got {method!r}")
        path = "/".join(_path_part("path", part) for part in path.split("/"))
        if method == "POST":
            self.require_sandbox_key()
        return self._session.send(method, path, params=params, body=body)

    def check_order_status(self, order_id: str, *, timeout: Seconds = None) -> Order:
        """Poll an order once, taking at most `timeout` seconds (the client's `request_timeout` if None)."""
        path = f"gift-cards/checkOrder/{_path_part('order_id', order_id)}"
        response = self._session.get(path, timeout=timeout)
        order = Order.from_response(
            response.data, order_id=order_id, request_id=response.request_id, retry_after=response.retry_after,
            http_status=response.status,
        )  # fmt: skip
        del response  # a field that the API does not document may hold a code
        if order.order_id != order_id:
            raise NoAnswerError(f"GET /v3/{path}: the response is about another order", status=200)
        return order

    def list_orders(
        self, page: int = 1, page_size: int = 20, *, since: Time = None, until: Time = None, timeout: Seconds = None
    ) -> Page[Order]:
        """Return one page (at most 100) of the orders placed from `since` to `until` (aware, both or none)."""
        return self._session.page("gift-cards/list", Order.from_response, page, page_size, since, until, timeout)

    def all_orders(self, *, since: Time = None, until: Time = None, tries: int = 1) -> Iterator[Order]:
        """Yield all orders placed from `since` to `until` (aware, both or none), each once, in the list's sequence.

        Pages are requested as they are needed, each up to `tries` times. Orders placed meanwhile come at the end. Raise
        NoAnswerError for a list without end, or one that does not show as many as it says that it has.

        >>> from giftlib import Sandbox
        >>> with Sandbox() as sandbox:
        ...     order_ids = sandbox.add_orders(250)
        ...     len({order.order_id for order in sandbox.client().all_orders()} & set(order_ids))
        250
        """
        return self._all("gift-cards/list", partial(self.list_orders, since=since, until=until), "order_id", tries)

    def all_transactions(self, *, since: Time = None, until: Time = None, tries: int = 1) -> Iterator[Transaction]:
        """Yield all transactions of the account, as `all_orders` does the orders.

        >>> from giftlib import Sandbox
        >>> with Sandbox() as sandbox:
        ...     _ = sandbox.client().place_order("507f1f77bcf86cd799439011", "TEST_REFUND", 1)
        ...     [transaction.type for transaction in sandbox.client().all_transactions()]
        ['ORDER']
        """
        read = partial(self.transactions, since=since, until=until)
        return self._all("account/transactions", read, "transaction_id", tries)

    def _all(self, path: str, read: Callable[[int, int], Page[Item]], id_name: str, tries: int) -> Iterator[Item]:
        check_count("tries", tries)

        def page(number: int) -> Page[Item]:
            return retry_read(lambda: read(number, LARGEST_PAGE), self.clock, tries)

        listing = Listing(f"GET /v3/{path}", page, attrgetter(id_name), _MOST_PAGES)
        yield from listing
        if not listing.is_whole:
            raise NoAnswerError(f"GET /v3/{path}: the list does not show all that it says it has", status=200)


def _order_id(placed: Response) -> str:
    return check_id("orderId", placed.data.get("orderId"))


def _nothing_was_placed(error: ApiError | NoAnswerError) -> bool:
    if isinstance(error, NoAnswerError):
        return not error.sent
    rejected = isinstance(error, errors.InsufficientBalanceError | errors.OutOfStockError) and 400 <= error.status < 500
    return rejected or error.status in _NOTHING_WAS_DONE


def _path_part(name: str, value: str) -> str:
    return quote(check_id(name, value), safe="")
