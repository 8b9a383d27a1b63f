"""Gift-card orders on the OneClickDZ API v3: place them, wait for them well, and report honestly on what happened."""

from giftlib.analysis.fulfilment import FulfilmentCurve, time_to_fulfilment
from giftlib.analysis.plots import (
    plot_poll_timelines,
    plot_refund_totals,
    plot_schedule_tradeoff,
    plot_time_to_fulfilment,
)
from giftlib.analysis.reconciliation import reconcile_refunds
from giftlib.analysis.refunds import refund_totals
from giftlib.api import (
    ApiError,
    AuthenticationError,
    Card,
    Client,
    GiftlibError,
    InsufficientBalanceError,
    InvalidRequestError,
    JournalError,
    NoAnswerError,
    NotFoundError,
    Order,
    OrderOutcomeUnknownError,
    OrderRequest,
    OrderStatus,
    OutOfStockError,
    PermissionDeniedError,
    PollTimeoutError,
    ProductionKeyError,
    RateLimitError,
    ServerError,
)
from giftlib.clock import SimulatedClock, SystemClock
from giftlib.connection import connect
from giftlib.journal import Journal
from giftlib.polling import (
    check_order_status,
    handle_order_result,
    place_order,
    poll_order_until_complete,
    process_order,
    process_orders,
    recover_orders,
    track_orders,
)
from giftlib.sandbox import Sandbox

__all__ = [
    "ApiError",
    "AuthenticationError",
    "Card",
    "Client",
    "FulfilmentCurve",
    "GiftlibError",
    "InsufficientBalanceError",
    "InvalidRequestError",
    "Journal",
    "JournalError",
    "NoAnswerError",
    "NotFoundError",
    "Order",
    "OrderOutcomeUnknownError",
    "OrderRequest",
    "OrderStatus",
    "OutOfStockError",
    "PermissionDeniedError",
    "PollTimeoutError",
    "ProductionKeyError",
    "RateLimitError",
    "Sandbox",
    "ServerError",
    "SimulatedClock",
    "SystemClock",
    "check_order_status",
    "connect",
    "handle_order_result",
    "place_order",
    "plot_poll_timelines",
    "plot_refund_totals",
    "plot_schedule_tradeoff",
    "plot_time_to_fulfilment",
    "poll_order_until_complete",
    "process_order",
    "process_orders",
    "reconcile_refunds",
    "recover_orders",
    "refund_totals",
    "time_to_fulfilment",
    "track_orders",
]
