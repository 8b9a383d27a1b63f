import hashlib
import json
import re

import nbformat
import pandas as pd
import pytest

from giftlib.__main__ import main
from giftlib.report import find_notebooks, write_report
from giftlib.sandbox import Sandbox

CELLS = """
# A small batch
---
from giftlib import Journal, connect, process_orders, plot_refund_totals
client, journal = connect(seed=9), Journal()
orders = [("507f1f77bcf86cd799439011", kind, 4) for kind in ("type_001", "TEST_REFUND", "TEST_PARTIAL")]
process_orders(orders, journal=journal)
---
%config InlineBackend.figure_formats = ["svg"]
plot_refund_totals(journal.orders()).figure
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The same notebook reported twice."""
    folder = tmp_path_factory.mktemp("notebooks")
    prose, *code = CELLS.strip().split("\n---\n")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell(prose), *map(nbformat.v4.new_code_cell, code)]
    )
    nbformat.write(notebook, folder / "1_batch.ipynb")
    outs = [tmp_path_factory.mktemp("report") for _ in range(2)]
    for out in outs:
        write_report(find_notebooks(folder), out)
    return outs


def test_the_report_is_one_page_with_its_data_beside_it(reports):
    assert sorted(path.name for path in reports[0].iterdir()) == ["index.html", "manifest.json", "orders.csv", "polls.csv"]


@pytest.mark.parametrize("name", ["index.html", "orders.csv", "polls.csv", "manifest.json"])
def test_two_runs_write_the_same_bytes(reports, name):
    assert (reports[0] / name).read_bytes() == (reports[1] / name).read_bytes()


def test_the_page_needs_no_network(reports):
    page = (reports[0] / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)
    assert not re.findall(r"@import|url\(\s*['\"]?http", page)
    assert "<script" not in page


def test_the_head_tells_outcomes_times_and_money(reports):
    page = (reports[0] / "index.html").read_text(encoding="utf-8")
    head = re.sub(r"\s+", " ", page[: page.index("<nav")])
    assert "the embedded emulator" in head
    assert "1 FULFILLED, 1 PARTIALLY_FILLED, 1 REFUNDED" in head
    assert "2,940 DA" in head  # 4 and 2 cards of 490 dinars charged, 4 and 2 refunded
    assert "charged for 6 of 12 cards" in head
    assert re.search(r"[\d.]+ s", head)


def test_the_figures_are_in_the_page(reports):
    assert "data:image/svg+xml" in (reports[0] / "index.html").read_text(encoding="utf-8")


def test_the_frames_are_beside_it_exactly(reports):
    orders, polls = (pd.read_csv(reports[0] / name, dtype=str) for name in ("orders.csv", "polls.csv"))
    assert orders["notebook"].eq("1_batch").all()
    assert orders["refunded_amount"].tolist() == ["0", "1960", "980"]
    assert set(polls["order_id"]) == set(orders["order_id"])


def test_the_manifest_tells_what_was_run_and_what_came_of_it(reports):
    manifest = json.loads((reports[0] / "manifest.json").read_text())
    [notebook] = manifest["notebooks"]
    assert (notebook["name"], notebook["environment"], notebook["seed"]) == ("1_batch.ipynb", "emulator", 9)
    assert {"python", "pandas", "giftlib"} <= set(manifest["versions"])
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((reports[0] / name).read_bytes()).hexdigest() == digest


def test_no_code_no_serial_and_no_key_is_in_it(reports):
    with Sandbox(9) as sandbox:
        key = sandbox.api_key
    for path in reports[0].iterdir():
        text = path.read_text(encoding="utf-8")
        assert key not in text
        assert not re.search(r"SANDBOX-(CARD-)?\d", text)


def test_a_folder_without_notebooks_is_told_in_one_line(tmp_path, capsys):
    assert main(["report", "--notebooks", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"giftlib: no numbered notebooks in {tmp_path}\n"
