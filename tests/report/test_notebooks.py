"""What strict nbval does not see: a notebook without outputs passes it, and so does one that holds a secret."""

import re
from pathlib import Path

import nbformat
import pytest

from giftlib.report.notebooks import parameters_of
from giftlib.report.build import find_notebooks
from giftlib.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
NOTEBOOKS = find_notebooks(ROOT / "notebooks")

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_a_notebook_was_run_from_top_to_bottom(path):
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_a_notebook_shows_a_picture(path):
    assert "image/svg+xml" in path.read_text(encoding="utf-8")


def test_a_notebook_holds_nothing_that_changes_from_run_to_run(path):
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"ipykernel_\d+| at 0x[0-9a-f]{6,}|iopub\.|/home/|/tmp/", text)


def test_a_notebook_holds_no_code_no_serial_and_no_key(path):
    text = path.read_text(encoding="utf-8")
    seed = parameters_of(path)["seed"]
    further = {int(number) for number in re.findall(r"seed=seed \+ (\d+)", text)}
    assert not re.findall(r"seed=(?!seed\b)", text)
    for number in {0} | further:
        with Sandbox(seed + number) as sandbox:
            assert sandbox.api_key not in text
    assert not re.search(r"SANDBOX-(CARD-)?\d", text)


def test_code_cells_are_short(path):
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert max(len(cell.source.splitlines()) for cell in code) <= 12


def test_a_notebook_keeps_the_journal_that_the_report_takes_its_data_from(path):
    assert any("journal = Journal()" in cell.source for cell in nbformat.read(path, as_version=4).cells)


def test_prose_stays_true_when_there_are_more_orders(path):
    number = parameters_of(path).get("n_orders")
    prose = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    assert number is None or not re.search(rf"\b{number} orders", prose)
