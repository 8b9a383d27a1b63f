"""What strict nbval does not see: a notebook without outputs passes it, and so does one that holds a secret."""

import re
from pathlib import Path

import nbformat
import pytest

from giftlib.report import find_notebooks
from giftlib.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
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
    seeds = {int(seed) for seed in re.findall(r"(?:connect|Sandbox)\(seed=(\d+)", text)}
    assert seeds
    for seed in seeds:
        with Sandbox(seed) as sandbox:
            assert sandbox.api_key not in text
    assert not re.search(r"SANDBOX-(CARD-)?\d", text)


def test_code_cells_are_short(path):
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert max(len(cell.source.splitlines()) for cell in code) <= 12


def test_a_notebook_keeps_the_journal_that_the_report_takes_its_data_from(path):
    assert any("journal = Journal()" in cell.source for cell in nbformat.read(path, as_version=4).cells)
