"""The notebooks as committed: what strict nbval does not see, since one without outputs or with a secret passes it."""

import re
from math import inf
from pathlib import Path
from platform import python_version
from runpy import run_path

import nbformat
import pytest
from reporting import write_notebook

from giftlib.report.notebooks import run_notebook
from giftlib.report.selection import NotebookError, parameters_of
from giftlib.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
for_each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@for_each_notebook
def test_run(path):
    """A notebook was run from top to bottom."""
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


@for_each_notebook
def test_picture(path):
    """A notebook shows a picture."""
    assert "image/svg+xml" in path.read_text(encoding="utf-8")


@for_each_notebook
def test_stable(path):
    """A notebook holds nothing that changes from run to run."""
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"ipykernel_\d+| at 0x[0-9a-f]{6,}|iopub\.|/home/|/tmp/", text)


@for_each_notebook
def test_no_secrets(path):
    """A notebook holds no card code, no serial and no key."""
    text = path.read_text(encoding="utf-8")
    seed = parameters_of(path)["seed"]
    further = {int(number) for number in re.findall(r"seed=seed \+ (\d+)", text)}
    assert not re.findall(r"seed=(?!seed\b)", text)
    for number in {0} | further:
        with Sandbox(seed + number) as sandbox:
            assert sandbox.api_key not in text
    assert not re.search(r"SANDBOX-(CARD-)?\d", text)


@for_each_notebook
def test_short_cells(path):
    """Code cells are short, but for one that is folded."""
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    code = [cell for cell in code if not cell.metadata.get("jupyter", {}).get("source_hidden")]
    assert max(len(cell.source.splitlines()) for cell in code) <= 12


@for_each_notebook
def test_journal(path):
    """A notebook keeps the journal that the report takes its data from."""
    assert any("journal = Journal()" in cell.source for cell in nbformat.read(path, as_version=4).cells)


@for_each_notebook
def test_prose(path):
    """Prose stays true when there are more orders."""
    number = parameters_of(path).get("n_orders")
    prose = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    assert number is None or not re.search(rf"\b{number} orders", prose)


def test_tool(tmp_path, capsys):
    """`tools/notebooks.py` finds what an editor left in a notebook, and runs it so that this is gone."""
    path = tmp_path / "1_own.ipynb"
    cell = nbformat.v4.new_code_cell(
        "1 + 1", metadata={"tags": ["kept"], "collapsed": False, "execution": {"iopub.status.idle": "now"}}
    )
    language = {"name": "python", "version": "3.11.7"}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"language_info": language, "widgets": {}}), path)

    main = run_path(str(ROOT / "tools" / "notebooks.py"))["main"]

    def tool(*options):
        return main([str(tmp_path), *options]), capsys.readouterr().out

    before = path.read_bytes()
    assert tool("--check") == (1, f"{path} is not tidy: make notebooks\n")
    assert path.read_bytes() == before
    assert tool() == (0, "")
    assert tool("--check") == (0, "")
    notebook = nbformat.read(path, as_version=4)
    [cell] = notebook.cells
    assert cell.metadata == {"tags": ["kept"], "slideshow": {"slide_type": "skip"}}
    assert (cell.execution_count, cell.outputs[0].data) == (1, {"text/plain": "2"})
    assert "widgets" not in notebook.metadata and notebook.metadata.language_info.version == python_version()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("n_orders = 3", {"n_orders": 3}), ("n_orders: int = 3  # how many", {"n_orders": 3}),
        ("%matplotlib inline\nn_orders = 3", {"n_orders": 3}), ("!true\nn_orders = 3", {"n_orders": 3}),
        ("n, seed = 3, 0", {"n": 3, "seed": 0}), ("a = b = 3", {"a": 3, "b": 3}), ("n: int", {}), ("n += 1", {}),
        ("wait_s = 5 * 60", {"wait_s": "5 * 60"}), ("longest = float('inf')", {"longest": "float('inf')"}),
        ("n, seed = pair", {}),
        ("[n, (seed)] = [3, 0]", {"n": 3, "seed": 0}), ("n = 3; seed = 0", {"n": 3, "seed": 0}),
        ("d['n'] = 3", {}), ("print('x')", {}),
    ],
)  # fmt: skip
def test_parameters(tmp_path, source, expected):
    """Parameters are read as papermill's users write them."""
    write_notebook(tmp_path / "1_own.ipynb", parameters=source)
    assert parameters_of(tmp_path / "1_own.ipynb") == expected


@pytest.mark.parametrize(
    ("content", "problem"),
    [("n = (", "1_own.ipynb, cell 2: SyntaxError: "), (None, "1_own.ipynb is not a notebook that can be read: ")],
)
def test_no_parameters_to_read(tmp_path, content, problem):
    """A cell that is no Python, and a file that is no notebook, are named in one line."""
    path = tmp_path / "1_own.ipynb"
    if content is None:
        path.write_text("{}")
    else:
        write_notebook(path, parameters=content)
    with pytest.raises(NotebookError, match=f"{re.escape(problem)}.+$") as raised:
        parameters_of(path)
    assert "\n" not in str(raised.value)


def test_injected(tmp_path):
    """What papermill injected into a notebook is its default here, and a parameter that is given comes after it."""
    path = tmp_path / "1_own.ipynb"
    tagged = {"parameters": "n = 1\nlongest = 5.0", "injected-parameters": "n = 2"}
    cells = [nbformat.v4.new_code_cell(source, metadata={"tags": [tag]}) for tag, source in tagged.items()]
    nbformat.write(nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_code_cell("print(n, longest)")]), path)
    assert parameters_of(path) == {"n": 2, "longest": 5.0}
    assert run_notebook(path).cells[-1].outputs[0].text == "2 5.0\n"
    given = run_notebook(path, parameters={"n": 3, "longest": inf, "other": 1})
    assert given.cells[-1].outputs[0].text == "3 inf\n"


CURVE = """
# A curve
---
from giftlib import connect, process_orders, time_to_fulfilment
journal = process_orders([("p", "type_001", 1)] * 40, client=connect())
print(time_to_fulfilment(journal).band().to_numpy().tolist())
"""


def test_any_processor(tmp_path, monkeypatch):
    """Outputs are the same to the last digit on processors that OpenBLAS treats differently."""
    write_notebook(tmp_path / "1_curve.ipynb", CURVE, parameters=None)
    printed = []
    for core in ("Nehalem", "Haswell"):
        monkeypatch.setenv("OPENBLAS_CORETYPE", core)
        printed.append(run_notebook(tmp_path / "1_curve.ipynb").cells[-1].outputs[0].text)
    assert printed[0] == printed[1]
