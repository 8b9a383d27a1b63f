"""What can go wrong, as one tree.

GiftlibError
├── ApiError                      the API answered with an error
│   ├── InvalidRequestError       400 and other 4xx: the request is wrong, sending it again will not help
│   ├── AuthenticationError       401: the key is missing, wrong or expired
│   ├── PermissionDeniedError     403: the key or the address may not do this, or is blocked
│   ├── NotFoundError             404: no such order or product, or no such path
│   ├── InsufficientBalanceError  the account cannot pay for the order
│   ├── OutOfStockError           the product is sold out
│   ├── RateLimitError            429: too many requests
│   └── ServerError               5xx
├── NoAnswerError                 no answer in time, or one that cannot be read
├── PollTimeoutError              an order is still being processed; it has not failed
├── OrderOutcomeUnknownError      a purchase was sent and its answer lost; it may have been made
└── ProductionKeyError            a purchase with real money that nobody allowed

A final order is never an exception: `REFUNDED` is a result. Bad arguments are `ValueError`.
"""

import copyreg
from datetime import datetime
from typing import Any


class GiftlibError(Exception):
    """The root of the tree. Every error can be pickled and copied with its attributes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]  # in no stub


class ApiError(GiftlibError):
    """The API answered with an error.

    `status` is the HTTP status, `code` the API's own (hyphens written as underscores, upper case) or one that
    stands for the status (`NOT_FOUND`, `HTTP_502`) when the answer had none; `request_id` and `details` are the
    API's or None; `retry_after` is what it asked to wait in seconds, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        request_id: str | None = None,
        details: Any = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.details = details
        self.retry_after = retry_after


class InvalidRequestError(ApiError):
    """The request is wrong as it stands (400, or another 4xx that has no class of its own)."""


class AuthenticationError(ApiError):
    """The key is missing, wrong or expired (401). Do not repeat: bad keys lock the address out."""


class PermissionDeniedError(ApiError):
    """The key or the address may not do this, or the address is blocked (403)."""


class NotFoundError(ApiError):
    """There is no such thing, it belongs to another account or environment, or the path is wrong (404)."""


class InsufficientBalanceError(ApiError):
    """The account cannot pay for the order; `details` may hold `required` and `available`."""


class OutOfStockError(ApiError):
    """The product has too few cards left."""


class RateLimitError(ApiError):
    """The key's ceiling of requests a minute is reached (429); nothing was done."""


class ServerError(ApiError):
    """The service failed (5xx). Of a purchase the outcome is unknown."""


class NoAnswerError(GiftlibError):
    """No answer came in time, or one that cannot be read.

    `sent` is False when the request certainly never left (no connection was made); `status` is the HTTP status
    if one was read, else None.
    """

    def __init__(self, message: str, *, sent: bool = True, status: int | None = None) -> None:
        super().__init__(message)
        self.sent = sent
        self.status = status


class PollTimeoutError(GiftlibError):
    """The wait ran out; the order is still being processed, not failed.

    `order_id`, `last_status` (None if no look was answered), `attempts`, `elapsed` in seconds; the last failed
    look, if any, is the `__cause__`.
    """

    def __init__(self, order_id: str, last_status: str | None, attempts: int, elapsed: float) -> None:
        super().__init__(
            f"order {order_id} is still being processed, not failed: {attempts} looks in {elapsed:.1f} s, "
            f"last status {last_status or 'unknown'}; go on with poll_order_until_complete({order_id!r})"
        )
        self.order_id = order_id
        self.last_status = last_status
        self.attempts = attempts
        self.elapsed = elapsed


class OrderOutcomeUnknownError(GiftlibError):
    """A purchase was sent once and no clear answer came: it may or may not have been made. Do not send it again.

    `product_id`, `type_id`, `quantity` and the moments `sent_at` and `gave_up_at` (UTC) are what
    `Client.find_order` needs to look for it; what went wrong is the `__cause__`.
    """

    def __init__(self, product_id: str, type_id: str, quantity: int, sent_at: datetime, gave_up_at: datetime) -> None:
        super().__init__(
            f"the purchase of {quantity} x {type_id} of product {product_id} was sent at "
            f"{sent_at:%Y-%m-%d %H:%M:%S} UTC and its answer lost: it may have been made. Do not send it again; "
            f"look for it with client.find_order(error)"
        )
        self.product_id = product_id
        self.type_id = type_id
        self.quantity = quantity
        self.sent_at = sent_at
        self.gave_up_at = gave_up_at


class ProductionKeyError(GiftlibError):
    """The key is not a sandbox key and `allow_production=True` was not given: no order was placed."""


_BY_CODE: dict[str, type[ApiError]] = {
    "NO_BALANCE": InsufficientBalanceError,
    "INSUFFICIENT_BALANCE": InsufficientBalanceError,
    "OUT_OF_STOCK": OutOfStockError,
    "NO_STOCK": OutOfStockError,
    "INSUFFICIENT_STOCK": OutOfStockError,
    "PRODUCT_OUT_OF_STOCK": OutOfStockError,
}
_BY_STATUS: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: RateLimitError,
}


def api_error_class(status: int, code: str) -> type[ApiError]:
    """The class for an error answer: the code decides where it says more than the status.

    With 401 the key is refused, and with 5xx the server does not know what it did, whatever the code.
    """
    if code in _BY_CODE and status != 401 and status < 500:
        return _BY_CODE[code]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 400 <= status < 500:
        return InvalidRequestError
    return ServerError if status >= 500 else ApiError


def may_pass(error: GiftlibError) -> bool:
    """Whether the same read may succeed later: not after a 4xx, but for those that ask to come again."""
    return not (isinstance(error, ApiError) and 400 <= error.status < 500 and error.status not in {408, 425, 429})


def asked_pause(error: GiftlibError | None) -> float:
    """Seconds that an error asks to wait, at most 60: the ceiling counts over a minute, so more helps nobody."""
    return min(getattr(error, "retry_after", None) or 0.0, 60.0)
