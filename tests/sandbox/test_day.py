"""A day of mixed traffic under faults: the money adds up whenever anybody looks."""

import os
import random
from decimal import Decimal

import pytest
import requests

from giftlib.sandbox import Sandbox, at_rate

TYPES = ["type_001", "type_002", "TEST_PARTIAL", "TEST_REFUND", "612619816f57860f9259eee4", "unknown"]
FINAL = ("FULFILLED", "PARTIALLY_FILLED", "REFUNDED")


class Customer:
    """Somebody who asks again until there is an answer, except for purchases, and who keeps books."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["X-Access-Token"] = sandbox.api_key
        self.orders = {}
        self.deposited = Decimal(0)

    def ask(self, method, path, **kwargs):
        with self.sandbox.clock.time_limit(15):
            answer = self.session.request(method, f"{self.sandbox.url}/v3/{path}", timeout=5, **kwargs)
        assert answer.status_code in (200, 429, 403) or answer.status_code >= 500
        return requests.compat.json.loads(answer.content, parse_float=Decimal)["data"]

    def read(self, path):
        while True:
            try:
                return self.ask("GET", path)
            except (requests.RequestException, ValueError, KeyError):
                self.sandbox.clock.sleep(1)

    def buy(self, type_id, quantity):
        try:
            wish = {"productId": "507f1f77bcf86cd799439011", "typeId": type_id, "quantity": quantity}
            self.ask("POST", "gift-cards/placeOrder", json=wish)
        except (requests.RequestException, ValueError, KeyError):
            pass  # whether it was bought will show in the list

    def look(self):
        """Read balance and orders at one moment: the balance, and what the orders cost so far."""
        while True:
            moment, page, pages = self.sandbox.clock.monotonic(), 1, 1
            balance = self.read("account/balance")["balance"]
            while page <= pages:
                data = self.read(f"gift-cards/list?pageSize=100&page={page}")
                self.orders |= {row["_id"]: row for row in data["items"]}
                settled = all(self.orders[row["_id"]]["status"] in FINAL for row in data["items"])
                pages = 0 if settled and page > 1 else data["pagination"]["totalPages"]
                page += 1
            if self.sandbox.clock.monotonic() == moment:
                return balance, sum(self.cost(row) for row in self.orders.values())

    def cost(self, row):
        if row["status"] in FINAL:
            assert row["fulfilled_amount"] == row["fulfilled_quantity"] * row["price_per_card"]
            return row["fulfilled_amount"]
        prices = {"unknown": 0, "612619816f57860f9259eee4": Decimal("2345.50"), "type_002": 980}
        return row["quantity"] * prices.get(row["type"], 490)


@pytest.mark.parametrize("seed", range(int(os.environ.get("GIFTLIB_DAYS", 1))))
def test_for_a_day_the_balance_is_deposits_less_charges(seed):
    rng = random.Random(seed)
    opening = Decimal("25000.75")
    settings = {"latency_s": 0, "rate_limit_per_minute": None, "opening_balance": opening}
    with Sandbox(seed, faults=at_rate(0.2), **settings) as sandbox:
        customer, looks = Customer(sandbox), 0
        while sandbox.clock.monotonic() < 24 * 3600:
            sandbox.clock.sleep(rng.expovariate(1 / 120))
            customer.buy(rng.choice(TYPES), rng.randint(1, 6))
            if rng.random() < 0.1:
                amount = Decimal(rng.randint(1, 10**6)).scaleb(-2)
                sandbox.deposit(amount)
                customer.deposited += amount
            if rng.random() < 0.3:
                balance, cost = customer.look()
                assert balance == opening + customer.deposited - cost
                looks += 1
        customer.session.close()
        assert len(sandbox.truth()) > 100 and looks > 100
        assert {row["status"] for row in customer.orders.values()} >= set(FINAL)
