"""Running notebooks the same way everywhere: a fresh kernel in fixed surroundings, nothing kept that varies by run."""

import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import nbformat
from nbclient import NotebookClient

SURROUNDINGS: Mapping[str, str] = {
    "IPYKERNEL_CELL_NAME": "cell.py",
    "LC_ALL": "C.UTF-8",
    "MATPLOTLIBRC": str(files("giftlib") / "matplotlibrc"),
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": "1767225600",
    "TQDM_DISABLE": "1",
    "TZ": "UTC",
}
"""Set before a kernel starts, these take the machine, the user and the day out of what a notebook prints."""


_CELL_TIMEOUT_S = 1800
"""With a key the wait for hundreds of orders takes real minutes."""


def run_notebook(path: Path, *, then: str | None = None) -> nbformat.NotebookNode:
    """Run the notebook at `path` and give it with its new outputs; the file is not changed.

    `then` is Python code to run after the last cell, of which nothing is kept. Raises
    nbclient.exceptions.CellExecutionError when a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    if then is not None:
        notebook.cells.append(nbformat.v4.new_code_cell(then))
    runner = NotebookClient(
        notebook,
        timeout=_CELL_TIMEOUT_S,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    runner.execute(env=os.environ | SURROUNDINGS)
    if then is not None:
        notebook.cells.pop()
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return notebook
