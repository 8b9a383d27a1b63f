"""What a message says of a misspelt name."""

import pytest
from samples import PRODUCT

from giftlib import compare_groups, process_orders, refund_totals, time_to_fulfilment
from giftlib.api import did_you_mean
from giftlib.sandbox import Fault, Sandbox, Settings


def test_did_you_mean():
    """The known name that is most like the misspelt one is named, in whatever letters; none is if none is like it."""
    known = ["REFUNDED", "FULFILLED", 7]
    assert did_you_mean("refund", known) == "; did you mean 'REFUNDED'?"
    assert did_you_mean("xyzzy", known) == did_you_mean(None, known) == did_you_mean("x", []) == ""


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda journal: Settings.of(fulfillment_s=2), "fulfilment_s"),
        (lambda journal: Settings.from_json({"latency": 2}), "latency_s"),
        (lambda journal: Settings.of(partial_rounding="Up"), "up"),
        (lambda journal: Sandbox(latancy_s=1), "latency_s"),
        (lambda journal: Fault("placeorder", status=500), "placeOrder"),
        (lambda journal: Fault("ping", cut="befor"), "before"),
        (lambda journal: Fault("ping", status=500, body="htlm"), "html"),
        (lambda journal: Sandbox().requests.where(methud="GET"), "method"),
        (lambda journal: time_to_fulfilment(journal, outcome="refund"), "REFUNDED"),
        (lambda journal: time_to_fulfilment(journal, by="typeid"), "type_id"),
        (lambda journal: compare_groups(journal, "weeks"), "week"),
        (lambda journal: refund_totals(journal, ["staus"]), "status"),
    ],
)
def test_misspelt(call, meant):
    """A misspelt setting, choice, field, status or column is named with the one that was meant."""
    with Sandbox(seed=1) as sandbox:
        journal = process_orders([(PRODUCT, "type_001", 1)], client=sandbox.client())
    with pytest.raises((TypeError, ValueError), match=f"did you mean '{meant}'[?]"):
        call(journal)
