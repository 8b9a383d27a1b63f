"""The exercises of notebook 0, with a solution of each."""

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "0_start_here.ipynb"

SOLUTIONS = [
    'order_id = place_order(product_id, "type_001", 3, journal=journal)',
    "order = check_order_status(order_id)",
    "final_order = poll_order_until_complete(order_id, interval=6, journal=journal)",
    'open_polls = (journal.polls()["outcome"] == "HANDLING").sum()',
    """
partial = place_order(product_id, "TEST_PARTIAL", 5, journal=journal)
partial = poll_order_until_complete(partial, journal=journal)
delivered = partial.fulfilled_quantity
""",
    "refund = partial.refunded_amount",
    'ten = process_orders([(product_id, type_id, 2) for type_id in ["type_001", "TEST_REFUND"] * 5])',
    'proportion = refund_totals(ten)["refund_rate"].item()',
    """
sixty = process_orders([(product_id, "type_001", 1)] * 60)
median = time_to_fulfilment(sixty).quantile(0.5)
""",
    """
recover_orders(its_journal, its_client)
found_id = its_journal.orders()["order_id"].item()
""",
]

# An answer that a reader may give: another order's, not waited for, rounded, too many, a number for two.
MISTAKES = [
    'order_id = place_order(product_id, "type_001", 2, journal=journal)',
    "order = order_id",
    "final_order = check_order_status(order_id)",
    "open_polls = len(journal.polls()) + 1",
    "delivered = 5",
    "refund = 980.0",
    'ten = process_orders([(product_id, "type_001", 2)] * 10)',
    "proportion = 1",
    "sixty = process_orders([(product_id, 'type_001', 1)] * 60); median = 10",
    "found_id = order_id",
]


@pytest.fixture(scope="module")
def verdicts():
    """What the check cells print, by exercise: before an answer, after a mistake, and after the solution."""
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    variables, verdicts, answers = {}, [], []
    for cell in cells:
        if "exercise" in cell.metadata.get("tags", []):
            answers = [cell.source, MISTAKES[len(verdicts)], SOLUTIONS[len(verdicts)]]
            continue
        said = StringIO()
        with redirect_stdout(said):
            for answer in answers or [""]:
                exec(answer, variables)
                exec(re.sub(r"(?m)^%.*", "", cell.source), variables)
        if answers:
            verdicts.append(said.getvalue().splitlines())
        answers = []
    variables["lossy"].close()
    return verdicts


@pytest.mark.parametrize("number", range(1, 11))
def test_exercise(number, verdicts):
    """A check says of no answer, of a wrong one and of a right one what each is."""
    before, mistaken, solved = verdicts[number - 1]
    assert (before, solved) == (f"{number}. Not answered yet.", f"{number}. Right.")
    assert mistaken.startswith(f"{number}. Not yet. ")


def test_number(verdicts):
    """There are ten exercises, each with a check."""
    assert len(verdicts) == 10
