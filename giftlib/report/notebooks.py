"""Running notebooks the same way everywhere: a fresh kernel in fixed surroundings, nothing kept that varies by run."""

import ast
import copy
import os
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from giftlib.api.errors import GiftlibError

SURROUNDINGS: Mapping[str, str] = {
    "GIFTLIB_SANDBOX_SETTINGS": "",
    "IPYKERNEL_CELL_NAME": "cell.py",
    "LC_ALL": "C.UTF-8",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MATPLOTLIBRC": str(files("giftlib.report") / "matplotlibrc"),
    "PYTHONDEVMODE": "",
    "PYTHONHASHSEED": "0",
    "PYTHONWARNINGS": "",
    "SOURCE_DATE_EPOCH": "1767225600",
    "TQDM_DISABLE": "1",
    "TZ": "UTC",
}
"""Set before a kernel starts, these take the machine, the user and the day out of what a notebook prints."""


_CELL_TIMEOUT_S = 1800
"""With a key the wait for hundreds of orders takes real minutes."""


_PLACES = [f"{place}{os.sep}" for place in (sysconfig.get_path("purelib"), Path(__file__).parents[2])]
"""Where modules lie: a warning tells it, and it differs from machine to machine."""


class _OwnKernel(AsyncKernelManager):
    """The kernel of the Python that runs this, whatever kernels a user has installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


class NotebookError(GiftlibError):
    """A cell failed; the message is one line that names the notebook, the cell and the error."""


def parameters_of(path: Path) -> dict[str, Any]:
    """What can be set from outside in the notebook, with its defaults: the assignments in its cell tagged `parameters`.

    The convention is papermill's. Raises ValueError for a default that is no literal.
    """
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)
    assignments = [
        node
        for cell in notebook.cells[_place_of_parameters(notebook)]
        for node in ast.parse(cell.source).body
        if isinstance(node, ast.Assign)
    ]
    return {ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in assignments}


def run_notebook(
    path: Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    surroundings: Mapping[str, str] | None = None,
    folder: Path | None = None,
    then: str | None = None,
) -> nbformat.NotebookNode:
    """Run the notebook at `path` and give it with its new outputs; the file is not changed.

    Of `parameters`, those that the notebook has are set in a cell of their own behind its defaults. `surroundings`
    are environment variables over `SURROUNDINGS`; `folder` is the working directory, by default the notebook's own.
    `then` is Python code to run after the last cell, of which nothing is kept. Raises NotebookError when a cell fails.
    """
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)
    known = parameters_of(path)
    given = {name: value for name, value in (parameters or {}).items() if name in known}
    behind = _place_of_parameters(notebook).stop
    if given:
        source = "\n".join(f"{name} = {value!r}" for name, value in given.items())
        notebook.cells.insert(behind, nbformat.v4.new_code_cell(source, metadata={"tags": ["injected-parameters"]}))
    if then is not None:
        notebook.cells.append(nbformat.v4.new_code_cell(then))
    started: list[int] = []
    runner = NotebookClient(
        notebook,
        timeout=_CELL_TIMEOUT_S,
        kernel_manager_class=_OwnKernel,
        extra_arguments=["--log-level=ERROR"],
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder or path.parent)}},
        on_cell_start=lambda cell_index, **_: started.append(cell_index),
    )
    try:
        with tempfile.TemporaryDirectory() as profile:  # else what a user's own profile says would be run first
            runner.execute(env={**os.environ, **SURROUNDINGS, **(surroundings or {}), "IPYTHONDIR": profile})
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        number = started[-1] + 1 - bool(given and started[-1] > behind) if started else 0
        raise NotebookError(f"{path.name}, cell {number}: {_told(error)}") from None
    if then is not None:
        notebook.cells.pop()
    for cell in notebook.cells:
        for output in (output for output in cell.get("outputs", []) if output.output_type == "stream"):
            for place in _PLACES:
                output.text = output.text.replace(place, "")
    return tidied(notebook)


def tidied(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without what differs from one save to the next: of its metadata are kept the kernel's and the
    language's name and the cells' tags; its outputs stay."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({name: cell.metadata[name] for name in ("tags",) if name in cell.metadata})
    return notebook


def _place_of_parameters(notebook: nbformat.NotebookNode) -> slice:
    """The place of the cell tagged `parameters` among the cells; an empty one at the start if there is none."""
    for number, cell in enumerate(notebook.cells):
        if "parameters" in cell.metadata.get("tags", []):
            return slice(number, number + 1)
    return slice(0, 0)


def _told(error: Exception) -> str:
    if isinstance(error, CellExecutionError):
        return ": ".join([error.ename, *error.evalue.strip().splitlines()[-1:]])
    if isinstance(error, CellTimeoutError):
        return f"it did not end within {_CELL_TIMEOUT_S} s"
    return "its kernel died"
