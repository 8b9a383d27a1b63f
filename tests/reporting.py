"""Notebooks, journals and reports for the tests of giftlib.report."""

import json
import re

import nbformat
from samples import PRODUCT

from giftlib import Journal, process_orders
from giftlib.sandbox import Sandbox

OTHERS = "Not part of the verdict, as they are of another source or have other settings: "
PLACE = f"""
# A small batch

This is [a batch](1_batch.ipynb); [another](2_other.ipynb) comes later.

Each bar is an outcome.
---
from giftlib import Journal, connect, process_orders
client, journal = connect(seed=seed), Journal()
types = ["type_001", "TEST_REFUND", "TEST_PARTIAL"]
process_orders([("{PRODUCT}", types[i % 3], 4) for i in range(n_orders)], journal=journal)
"""
CELLS = f"""{PLACE}---
transactions = client.transactions(page_size=100)
---
import numpy
numpy.mean([])
---
%config InlineBackend.figure_formats = ["svg"]
from giftlib import plot_refund_totals
figure = plot_refund_totals(journal.orders()).figure
---
journal.orders()[["type_id", "status", "polls"]]
"""


def write_notebook(path, cells=CELLS, parameters="seed = 9\nn_orders = 3"):
    """Write a notebook: prose, the cell tagged `parameters` if there is one, and the code cells."""
    prose, *code = cells.strip().split("\n---\n")
    first = [] if parameters is None else [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    nbformat.write(
        nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_markdown_cell(prose), *first, *map(nbformat.v4.new_code_cell, code)]
        ),
        path,
    )


def write_journal(path, *, seed=1, types=("type_001", "TEST_PARTIAL"), quantity=4, **settings):
    """Place orders of these types with an emulator, and write them to the journal at `path`."""
    with Sandbox(seed, **settings) as sandbox, Journal(path) as journal:
        process_orders([(PRODUCT, type_id, quantity) for type_id in types], journal=journal, client=sandbox.client())
    return path


def files_of(out):
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def page_of(out):
    return (out / "index.html").read_text(encoding="utf-8")


def head_of(out):
    page = page_of(out)
    return re.sub(r"\s+", " ", page[page.index("<header") : page.index("<nav")])


def manifest_of(out):
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))
