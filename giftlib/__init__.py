"""Gift-card orders on the OneClickDZ API v3: place them, wait for them well, and report honestly on what happened."""

from giftlib.analysis import FulfilmentCurve, reconcile_refunds, refund_totals, time_to_fulfilment
from giftlib.analysis.plots import (
    plot_poll_timelines,
    plot_refund_totals,
    plot_schedule_tradeoff,
    plot_time_to_fulfilment,
)
from giftlib.api.client import Client
from giftlib.api.errors import (
    ApiError,
    AuthenticationError,
    GiftlibError,
    InsufficientBalanceError,
    InvalidRequestError,
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
from giftlib.api.orders import Card, Order, OrderStatus
from giftlib.clock import SimulatedClock, SystemClock
from giftlib.connection import connect
from giftlib.journal.store import Journal
from giftlib.polling.many_orders import process_orders, track_orders
from giftlib.polling.one_order import check_order_status, poll_order_until_complete
from giftlib.polling.placing import handle_order_result, place_order, process_order
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
    "NoAnswerError",
    "NotFoundError",
    "Order",
    "OrderOutcomeUnknownError",
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
    "refund_totals",
    "time_to_fulfilment",
    "track_orders",
]
