"""What the API may wrongly report: ready-made `alter`s for a `Fault`, from the data of a response to other data.

Each works on the responses of all endpoints and leaves alone what it does not concern.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from typing import Any

from giftlib.sandbox.faults import Fault
from giftlib.sandbox.messages import write_json

Alter = Callable[[dict[str, Any]], dict[str, Any]]


def in_every_object(change: Alter) -> Alter:
    """The `alter` that makes `change` in every object of the data, the innermost first."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return change({name: walk(item) for name, item in value.items()})
        return [walk(item) for item in value] if isinstance(value, list) else value

    return wraps(change)(walk)


@in_every_object
def open_again(order: dict[str, Any]) -> dict[str, Any]:
    """An order that was final is `HANDLING`, without amounts and cards."""
    if "status" not in order:
        return order
    final_only = ("fulfilled_quantity", "fulfilled_amount", "price_per_card", "cards")
    return {name: item for name, item in order.items() if name not in final_only} | {"status": "HANDLING"}


@in_every_object
def too_few_cards(order: dict[str, Any]) -> dict[str, Any]:
    """The last card is missing; the status and the numbers say otherwise."""
    return order | {"cards": order["cards"][:-1]} if "cards" in order else order


@in_every_object
def unknown_status(order: dict[str, Any]) -> dict[str, Any]:
    """The order's status is unknown: `ON_HOLD`."""
    return order | {"status": "ON_HOLD"} if "status" in order else order


@in_every_object
def numbers_as_text(fields: dict[str, Any]) -> dict[str, Any]:
    """Every number is a text: "490" for 490."""
    return {name: write_json(item) if type(item) in (int, float, Decimal) else item for name, item in fields.items()}


@in_every_object
def hyphenated(error: dict[str, Any]) -> dict[str, Any]:
    """An error's code has hyphens: `NOT-FOUND`. DOC-REAL in another part of this API, `DUPLICATED-REF`."""
    return error | {"code": error["code"].replace("_", "-")} if "code" in error else error


def without(*names: str) -> Alter:
    """The fields of these names are missing."""
    return in_every_object(lambda fields: {name: item for name, item in fields.items() if name not in names})


def null(*names: str) -> Alter:
    """The fields of these names are null."""
    return in_every_object(lambda fields: fields | {name: None for name in names if name in fields})


WRONG_ORDERS = tuple(
    Fault("checkOrder", alter=alter)
    for alter in (
        open_again,
        too_few_cards,
        unknown_status,
        numbers_as_text,
        without("status"),
        without("quantity", "fulfilled_quantity", "fulfilled_amount", "price_per_card"),
        without("cards"),
        null("status"),
        null("quantity", "fulfilled_quantity", "fulfilled_amount", "price_per_card"),
        null("cards"),
    )
)
"""Wrong responses about an order, for `at_rate(0.3, WRONG_ORDERS, "checkOrder")`."""
