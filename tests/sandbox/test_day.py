"""A working day of mixed traffic under faults: the money adds up at every time."""

import os
import random
from decimal import Decimal

import pytest
import requests
from raw_http import calling
from samples import PRODUCT
from thorough import tries

from giftlib.sandbox import at_rate

TYPES = ["type_001", "type_002", "TEST_PARTIAL", "TEST_REFUND", "612619816f57860f9259eee4", "unknown"]
FINAL = ("FULFILLED", "PARTIALLY_FILLED", "REFUNDED")


class Customer:
    """Repeats a request until there is a response, except for orders, and keeps accounts."""

    def __init__(self, call):
        self.call = call
        self.sandbox = call.sandbox
        self.orders = {}
        self.deposited = Decimal(0)

    def ask(self, method, path, **kwargs):
        with self.sandbox.clock.time_limit(15):
            response = self.call(path, method, **kwargs)
        assert response.status_code in (200, 429, 403) or response.status_code >= 500
        return requests.compat.json.loads(response.content, parse_float=Decimal)["data"]

    def read(self, path):
        while True:
            try:
                return self.ask("GET", path)
            except (requests.RequestException, ValueError, KeyError):
                self.sandbox.clock.sleep(1)

    def place(self, type_id, quantity):
        try:
            body = {"productId": PRODUCT, "typeId": type_id, "quantity": quantity}
            self.ask("POST", "gift-cards/placeOrder", json=body)
        except (requests.RequestException, ValueError, KeyError):
            pass  # the list will show whether it was placed

    def balance_and_cost(self):
        """Read the balance, and what the orders cost so far, at one time."""
        while True:
            time, page, pages = self.sandbox.clock.monotonic(), 1, 1
            balance = self.read("account/balance")["balance"]
            while page <= pages:
                data = self.read(f"gift-cards/list?pageSize=100&page={page}")
                self.orders |= {row["_id"]: row for row in data["items"]}
                final = all(self.orders[row["_id"]]["status"] in FINAL for row in data["items"])
                pages = 0 if final and page > 1 else data["pagination"]["totalPages"]
                page += 1
            if self.sandbox.clock.monotonic() == time:
                return balance, sum(self.cost(row) for row in self.orders.values())

    def cost(self, row):
        if row["status"] in FINAL:
            assert row["fulfilled_amount"] == row["fulfilled_quantity"] * row["price_per_card"]
            return row["fulfilled_amount"]
        prices = {"unknown": 0, "612619816f57860f9259eee4": Decimal("2345.50"), "type_002": 980}
        return row["quantity"] * prices.get(row["type"], 490)


@pytest.mark.parametrize("seed", range(int(os.environ.get("GIFTLIB_DAYS", 1))))
def test_balance_for_a_day(seed):
    """For a working day of traffic and faults the balance is what was deposited less what was charged."""
    rng = random.Random(seed)
    opening = Decimal("25000.75")
    with calling(seed, faults=at_rate(0.2), opening_balance=opening) as call:
        sandbox, customer, checks = call.sandbox, Customer(call), 0
        while sandbox.clock.monotonic() < tries(8, 24) * 3600:
            sandbox.clock.sleep(rng.expovariate(1 / 120))
            customer.place(rng.choice(TYPES), rng.randint(1, 6))
            if rng.random() < 0.1:
                amount = Decimal(rng.randint(1, 10**6)).scaleb(-2)
                sandbox.deposit(amount)
                customer.deposited += amount
            if rng.random() < 0.3:
                balance, cost = customer.balance_and_cost()
                assert balance == opening + customer.deposited - cost
                checks += 1
        assert len(sandbox.truth()) > 100 and checks > 50
        assert {row["status"] for row in customer.orders.values()} >= set(FINAL)
