"""The vendor's HTTP API: send a request once, wait for the rate limit, read the response, hide every secret in it.

Read `client` first (one method per endpoint), then `orders` and `models` (what it returns), `errors` (what it raises),
`responses` and `parsing` (how a response is read), `session`, `rate_limit` and `retry` (how a request is sent), and
`transport` last (how one time-out bounds a whole request).
"""

from .client import DEFAULT_BASE_URL, Client
from .errors import (
    ApiError,
    AuthenticationError,
    GiftlibError,
    InsufficientBalanceError,
    InvalidRequestError,
    JournalError,
    NoAnswerError,
    NotFoundError,
    OrderOutcomeUnknownError,
    OutOfStockError,
    PermissionDeniedError,
    PollTimeoutError,
    ProductionKeyError,
    RateLimitError,
    ServerError,
)
from .models import ApiKey, CatalogProduct, Page, Product, ProductType, Transaction
from .orders import FINAL, Card, CardSecrets, Order, OrderRequest, OrderStatus
from .parsing import as_count, as_dict, as_id, as_text, decimals
from .rate_limit import RateLimit
from .responses import Response
from .retry import is_retryable, retry_delay, retry_read
from .session import LARGEST_PAGE
from .validation import check_callable, check_count, check_id, check_seconds, check_type

__all__ = [
    "DEFAULT_BASE_URL",
    "FINAL",
    "LARGEST_PAGE",
    "ApiError",
    "ApiKey",
    "AuthenticationError",
    "Card",
    "CardSecrets",
    "CatalogProduct",
    "Client",
    "GiftlibError",
    "InsufficientBalanceError",
    "InvalidRequestError",
    "JournalError",
    "NoAnswerError",
    "NotFoundError",
    "Order",
    "OrderOutcomeUnknownError",
    "OrderRequest",
    "OrderStatus",
    "OutOfStockError",
    "Page",
    "PermissionDeniedError",
    "PollTimeoutError",
    "Product",
    "ProductType",
    "ProductionKeyError",
    "RateLimit",
    "RateLimitError",
    "Response",
    "ServerError",
    "Transaction",
    "as_count",
    "as_dict",
    "as_id",
    "as_text",
    "check_callable",
    "check_count",
    "check_id",
    "check_seconds",
    "check_type",
    "decimals",
    "is_retryable",
    "retry_delay",
    "retry_read",
]
