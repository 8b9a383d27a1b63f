"""What becomes of an order: cards delivered, and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import validators as v


@dataclass(frozen=True)
class Outcome:
    """Describe what becomes of an order: how many cards are delivered, and after how many seconds.

    None leaves either as it is without. More cards than were ordered are as many as were ordered; `after_s` may be
    `math.inf`: never final. Raise ValueError for what is neither.

    >>> from giftlib.sandbox import Outcome, Sandbox
    >>> with Sandbox(outcomes={"type_001": Outcome(delivered=1, after_s=4)}) as sandbox:
    ...     order_id = sandbox.client().place_order("507f1f77bcf86cd799439011", "type_001", 3)
    ...     sandbox.clock.sleep(5)
    ...     sandbox.latest_orders()[0]["status"]
    'PARTIALLY_FILLED'
    """

    delivered: int | None = v.checked(None, v.whole_number(0, 10**6).or_none())
    after_s: float | None = v.checked(None, v.ANY_S.or_none())

    def __post_init__(self) -> None:
        v.check_fields(self)


def _read_outcomes(given: Any) -> Any:
    if not isinstance(given, dict) or not all(isinstance(fields, dict) for fields in given.values()):
        return given
    read = {type_id: {name: v.ANY_S.read(value) for name, value in fields.items()} for type_id, fields in given.items()}
    try:
        return {type_id: Outcome(**fields) for type_id, fields in read.items()}
    except TypeError as error:
        raise ValueError(f"outcomes: {error}") from None


OUTCOMES = v.Validator(
    "an Outcome by type id",
    lambda value: isinstance(value, Mapping) and all(isinstance(outcome, Outcome) for outcome in value.values()),
    _read_outcomes,
)
