"""What can go wrong, as one tree::

    GiftlibError
    ├── ApiError                      the API sent an error response
    │   ├── InvalidRequestError       400 and other 4xx: the request is wrong, sending it again will not help
    │   ├── AuthenticationError       401: the key is missing, wrong or expired
    │   ├── PermissionDeniedError     403: the key or the address may not do this, or is blocked
    │   ├── NotFoundError             404: no such order or product, or no such path
    │   ├── InsufficientBalanceError  the account cannot pay for the order
    │   ├── OutOfStockError           the product is sold out
    │   ├── RateLimitError            429: too many requests
    │   └── ServerError               5xx
    ├── NoAnswerError                 no response in time, or one that cannot be read
    ├── PollTimeoutError              an order is still being processed; it has not failed
    ├── OrderOutcomeUnknownError      the response to an order request was lost; the order may have been placed
    ├── ProductionKeyError            an order with real money that was not allowed
    └── JournalError                  the journal cannot be read or written, or is not a journal

A final order is never an exception: `REFUNDED` is a result. Bad arguments are `ValueError`.

>>> from giftlib import ApiError, NoAnswerError, NotFoundError, Sandbox
>>> with Sandbox(seed=1) as sandbox:
...     try:
...         sandbox.client().check_order_status("no-such-order")
...     except NotFoundError as error:
...         print(error.status, error.code)
404 NOT_FOUND
"""

from copyreg import __newobj__  # type: ignore[attr-defined]
from datetime import datetime
from typing import Any


class GiftlibError(Exception):
    """Stand for every error of giftlib; each can be pickled and copied with its attributes, but for an open journal."""

    def __init__(self, message: str = "", **attributes: Any) -> None:
        super().__init__(message)
        vars(self).update(attributes)

    def __reduce__(self) -> tuple[Any, ...]:
        state = {"args": self.args, **vars(self)}
        state.pop("journal", None)
        return __newobj__, (type(self),), state  # without __init__, whose arguments are others


class ApiError(GiftlibError):
    """Report an error response of the API.

    `status` is the HTTP status, `code` the API's own (upper case, hyphens written as underscores) or, where the
    response has none, one for the status (`NOT_FOUND`, `HTTP_502`); `request_id` and `details` are the API's or None;
    `retry_after` is the wait that it asks for in seconds, or None.
    """

    status: int
    code: str
    request_id: str | None = None
    details: Any = None
    retry_after: float | None = None


class InvalidRequestError(ApiError):
    """Report a request that is wrong as it stands (400, or another 4xx that has no class of its own)."""


class AuthenticationError(ApiError):
    """Report a key that is missing, wrong or expired (401). Do not repeat: bad keys lock the address out."""


class PermissionDeniedError(ApiError):
    """Report a key or address that may not do this, or a blocked address (403)."""


class NotFoundError(ApiError):
    """Report an id that does not exist, or belongs to another account or environment, or a wrong path (404)."""


class InsufficientBalanceError(ApiError):
    """Report that the account cannot pay for the order; `details` may hold `required` and `available`."""


class OutOfStockError(ApiError):
    """Report a product with too few cards left."""


class RateLimitError(ApiError):
    """Report that the key's rate limit is reached (429); the request was not carried out."""


class ServerError(ApiError):
    """Report a failure of the service (5xx). After an order request the outcome is unknown."""


class NoAnswerError(GiftlibError):
    """Report that no response came in time, or one that cannot be read.

    `sent` is False when the request certainly never left (no connection was made, or a proxy or a certificate stopped
    it); `status` is the HTTP status if one was read, else None.
    """

    sent: bool = True
    status: int | None = None


class PollTimeoutError(GiftlibError, TimeoutError):
    """Report that the timeout passed while the order is still being processed; it has not failed.

    `order_id`, `last_status` (None if no poll succeeded), `attempts`, `elapsed` in seconds; the error of the last
    failed poll, if any, is the `__cause__`.
    """

    def __init__(self, order_id: str, last_status: str | None, attempts: int, elapsed: float) -> None:
        self.order_id, self.last_status, self.attempts, self.elapsed = order_id, last_status, attempts, elapsed
        super().__init__(
            f"order {order_id} is still being processed, not failed: {attempts} polls in {elapsed:.1f} s, "
            f"last status {last_status or 'unknown'}; continue with poll_order_until_complete({order_id!r})"
        )


class OrderOutcomeUnknownError(GiftlibError):
    """Report an order request that was sent once and whose response was lost. Do not send it again.

    The order may or may not have been placed. `product_id`, `type_id`, `quantity` and the times `sent_at` and
    `gave_up_at` (UTC) are what `giftlib.polling.find_order` needs to search for it; `earliest` and `latest` bound these
    times by the API's clock, None if that is not known; `intent` is its number in the journal, None if it is in none;
    the `__cause__` says what failed.
    """

    intent: int | None = None

    def __init__(
        self,
        product_id: str,
        type_id: str,
        quantity: int,
        sent_at: datetime,
        gave_up_at: datetime,
        earliest: datetime | None = None,
        latest: datetime | None = None,
    ) -> None:
        self.product_id, self.type_id, self.quantity = product_id, type_id, quantity
        self.sent_at, self.gave_up_at = sent_at, gave_up_at
        self.earliest, self.latest = earliest, latest
        super().__init__(
            f"the order of {quantity} x {type_id} of product {product_id} was sent at {sent_at:%Y-%m-%d %H:%M:%S} UTC "
            f"and the response was lost: the order may have been placed. Do not send it again; "
            f"search for it with giftlib.polling.find_order(error)"
        )


class ProductionKeyError(GiftlibError):
    """Report that the key is not a sandbox key and `allow_production=True` was not given: no order was placed."""


class JournalError(GiftlibError):
    """Report a journal that cannot be opened, read or written, or that holds orders of another source.

    `order_id` is the order that was placed before the journal failed, else None: do not place it again.
    """

    order_id: str | None = None


_BY_CODE: dict[str, type[ApiError]] = {
    **dict.fromkeys(("NO_BALANCE", "INSUFFICIENT_BALANCE"), InsufficientBalanceError),
    **dict.fromkeys(("OUT_OF_STOCK", "NO_STOCK", "INSUFFICIENT_STOCK", "PRODUCT_OUT_OF_STOCK"), OutOfStockError),
}
_BY_STATUS: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: RateLimitError,
}


def api_error_class(status: int, code: str) -> type[ApiError]:
    """Return the class for an error response: the code decides where it says more than the status.

    With 401 the key is rejected, and with 5xx the server does not know what it did, whatever the code.
    """
    if code in _BY_CODE and status != 401 and status < 500:
        return _BY_CODE[code]
    other = InvalidRequestError if 400 <= status < 500 else ServerError if status >= 500 else ApiError
    return _BY_STATUS.get(status, other)
