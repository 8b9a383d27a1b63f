import json
import sys
from datetime import UTC, datetime

from openapi_client import ApiClient, Configuration, DefaultApi, PlaceOrderRequest, PlaceOrderRequestQuantity
from openapi_client.exceptions import NotFoundException

url, key = sys.argv[1:]
api = DefaultApi(ApiClient(Configuration(host=url, api_key={"key": key})))
wanted = PlaceOrderRequest(
    product_id="507f1f77bcf86cd799439011", type_id="TEST_PARTIAL", quantity=PlaceOrderRequestQuantity(4)
)
order_id = api.place_order(wanted).data.order_id
order = api.check_order(order_id).data
start, end = datetime(2025, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
listed = api.list(var_from=start).data.items
transactions = api.transactions(var_from=start, to=end).data.items
try:
    api.check_order("0" * 24)
except NotFoundException as error:
    code = error.data.error.code
print(
    json.dumps(
        {
            "order": order_id,
            "status": order.status,
            "cards": [card.value for card in order.cards],
            "listed": [row.id for row in listed],
            "transactions": [row.type for row in transactions],
            "error": code,
        }
    )
)
