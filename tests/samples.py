"""Ids, secrets, orders and responses that many tests use."""

from datetime import UTC, datetime

from scripted_server import reply, success

PRODUCT = "507f1f77bcf86cd799439011"
"""The vendor's sample product."""
ORDER_ID = "6901616fe9e88196b4eb64b3"
"""The order of the vendor's guide."""
KEY = "sk_test-5EC0E7A11CE5_40de"
CODE, SERIAL = "AAAA-BBBB-CCCC-0001", "SN-77700001"
DAY = datetime(2025, 10, 29, 1, tzinfo=UTC)

BALANCE = success({"balance": 1})
SANDBOX_KEY = reply(
    {"success": True, "data": {"username": "+213665983439", "apiKey": {"key": KEY, "type": "SANDBOX"}}},
    Date="Thu, 01 Jan 2026 00:00:00 GMT",
    Connection="close",
)

FULFILLED = {
    "_id": ORDER_ID,
    "status": "FULFILLED",
    "quantity": 1,
    "fulfilled_quantity": 1,
    "fulfilled_amount": 490,
    "price_per_card": 490,
    "cards": [{"value": CODE, "serial": SERIAL}],
    "time": "2025-10-29T01:00:00.000Z",
}


def order_row(
    order_id=ORDER_ID, *, product=PRODUCT, type_id="type_001", quantity=2, placed_at="2025-10-29T01:00:00.000Z"
):
    """An order that is not final, as a response has it."""
    return {"_id": order_id, "status": "HANDLING", "quantity": quantity, "product": product, "type": type_id,
            "time": placed_at}  # fmt: skip


def listing(*rows, pages=1, results=None):
    """The response with a page of the order list, which has so many orders in all, by default those of the page."""
    pagination = {"page": 1, "pageSize": 100, "totalPages": pages, "totalResults": results or len(rows)}
    return success({"items": list(rows), "pagination": pagination})
