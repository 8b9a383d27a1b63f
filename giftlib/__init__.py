"""Gift-card orders on the OneClickDZ API v3: place them, poll them until they are final, and report what happened.

Every name below is loaded when it is first used, so that `import giftlib` costs next to nothing. `giftlib.errors`,
`giftlib.schedules`, `giftlib.sandbox` and `giftlib.calibration` are modules to import from.

>>> from giftlib import connect, place_order, poll_order_until_complete
>>> client = connect()
>>> order_id = place_order("507f1f77bcf86cd799439011", "TEST_PARTIAL", 4)
>>> poll_order_until_complete(order_id).status.name
'PARTIALLY_FILLED'
"""

TYPE_CHECKING = False  # true for type checkers; to import it from typing would take longer than all the rest

if TYPE_CHECKING:
    from giftlib.analysis import (
        FulfilmentCurve,
        compare_groups,
        fitted,
        orders_needed,
        reconcile_refunds,
        refund_totals,
        remaining_time,
        time_to_fulfilment,
    )
    from giftlib.analysis.plots import (
        plot_poll_timelines,
        plot_refund_totals,
        plot_schedule_tradeoff,
        plot_time_to_fulfilment,
    )
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
    from giftlib.journal import Journal, read_orders, read_polls, write_frame
    from giftlib.polling import (
        at_times,
        check_order_status,
        every,
        exponential,
        handle_order_result,
        place_order,
        poll_order_until_complete,
        process_order,
        process_orders,
        recover_orders,
        track_orders,
        with_jitter,
    )
    from giftlib.sandbox import Sandbox

    __version__: str
else:
    # Where each name is; the imports above say the same to type checkers and to completion.
    _NAMES_OF = {
        "giftlib.analysis": (
            "FulfilmentCurve compare_groups fitted orders_needed reconcile_refunds refund_totals remaining_time "
            "time_to_fulfilment"
        ),
        "giftlib.analysis.plots": (
            "plot_poll_timelines plot_refund_totals plot_schedule_tradeoff plot_time_to_fulfilment"
        ),
        "giftlib.api": (
            "ApiError AuthenticationError Card Client GiftlibError InsufficientBalanceError InvalidRequestError"
            " JournalError NoAnswerError NotFoundError Order OrderOutcomeUnknownError OrderRequest OrderStatus"
            " OutOfStockError PermissionDeniedError PollTimeoutError ProductionKeyError RateLimitError ServerError"
        ),
        "giftlib.clock": "SimulatedClock SystemClock",
        "giftlib.connection": "connect",
        "giftlib.journal": "Journal read_orders read_polls write_frame",
        "giftlib.polling": (
            "at_times check_order_status every exponential handle_order_result place_order poll_order_until_complete"
            " process_order process_orders recover_orders track_orders with_jitter"
        ),
        "giftlib.sandbox": "Sandbox",
    }
    _MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names.split()}
    _MODULES = ("calibration", "errors", "sandbox", "schedules")
    _ROOMS = ("analysis", "api", "clock", "connection", "journal", "polling")

    def __getattr__(name):
        """Load a public name, or a module of giftlib, when it is first used (PEP 562)."""
        from importlib import import_module

        if name == "__version__":
            from importlib.metadata import version

            value = version("giftlib")
        elif name in (*_MODULES, *_ROOMS):
            value = import_module(f"giftlib.{name}")
        elif name in _MODULE_OF:
            value = getattr(import_module(_MODULE_OF[name]), name)
        else:
            hint = ""
            if not name.startswith("_"):  # as tools ask of any module
                from giftlib.api import did_you_mean

                hint = did_you_mean(name, __all__)
            raise AttributeError(f"module 'giftlib' has no attribute {name!r}{hint}")
        globals()[name] = value
        return value

    def __dir__():
        special = (name for name in globals() if name.startswith("__"))
        return sorted({*special, *__all__, *_MODULES, "__version__"})


__all__ = [
    "ApiError", "AuthenticationError", "Card", "Client", "FulfilmentCurve", "GiftlibError", "InsufficientBalanceError",
    "InvalidRequestError", "Journal", "JournalError", "NoAnswerError", "NotFoundError", "Order",
    "OrderOutcomeUnknownError", "OrderRequest", "OrderStatus", "OutOfStockError", "PermissionDeniedError",
    "PollTimeoutError", "ProductionKeyError", "RateLimitError", "Sandbox", "ServerError", "SimulatedClock",
    "SystemClock", "at_times", "check_order_status", "compare_groups", "connect", "every", "exponential", "fitted",
    "handle_order_result", "orders_needed", "place_order", "plot_poll_timelines", "plot_refund_totals",
    "plot_schedule_tradeoff", "plot_time_to_fulfilment", "poll_order_until_complete", "process_order", "process_orders",
    "read_orders", "read_polls", "reconcile_refunds", "recover_orders", "refund_totals", "remaining_time",
    "time_to_fulfilment", "track_orders", "with_jitter", "write_frame",
]  # fmt: skip
