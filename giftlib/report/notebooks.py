"""Running notebooks the same way everywhere: a fresh kernel in a fixed environment."""

import ast
import asyncio
import os
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

from giftlib.api import GiftlibError

ENVIRONMENT: Mapping[str, str] = {
    "GIFTLIB_JOURNAL_DIR": "",
    "GIFTLIB_SANDBOX_SETTINGS": "",
    "IPYKERNEL_CELL_NAME": "cell.py",
    "LC_ALL": "C.UTF-8",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MATPLOTLIBRC": str(files("giftlib.report") / "matplotlibrc"),
    "OPENBLAS_CORETYPE": "Haswell",
    "PYTHONDEVMODE": "",
    "PYTHONHASHSEED": "0",
    "PYTHONWARNINGS": "",
    "SOURCE_DATE_EPOCH": "1767225600",
    "TQDM_DISABLE": "1",
    "TZ": "UTC",
}
"""Environment variables of every kernel, so that outputs do not depend on the machine, the user or the day. OpenBLAS
computes otherwise on each type of processor; any x86 one of the last ten years can do it as on Haswell."""

_CELL_TIMEOUT_S = 1800  # with a key, waiting for hundreds of orders takes real minutes

_INJECTED = "injected-parameters"
_OURS = "giftlib"

_MODULE_FOLDERS = [f"{folder}{os.sep}" for folder in (sysconfig.get_path("purelib"), Path(__file__).parents[2])]
"""A warning names its module's file, whose folder differs from machine to machine."""


class _OwnKernel(AsyncKernelManager):
    """The kernel of the Python that runs this, whatever kernels a user has installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


class _Loop(asyncio.SelectorEventLoop):
    """A loop in which Ctrl-C is Ctrl-C: nbclient, where it can, makes a dead kernel of it."""

    def add_signal_handler(self, *_: object) -> NoReturn:
        raise RuntimeError


class NotebookError(GiftlibError):
    """A cell failed, or what it shows cannot be shown; one line names the notebook, the cell and the error."""


def parameters_of(path: Path) -> dict[str, Any]:
    """Read a notebook's parameters, by papermill's convention the assignments in its cell tagged `parameters`.

    Each has its default; that of an expression is its text. The cell `injected-parameters` that papermill left there
    has later ones. Raises NotebookError for what is no notebook, or no Python.
    """
    found: dict[str, Any] = {}
    notebook = _read(path)
    for index in _parameters_cells(notebook):
        try:
            code = TransformerManager().transform_cell(notebook.cells[index].source)  # type: ignore[no-untyped-call]
            assigned = [each for node in ast.parse(code).body for each in _assigned(node)]
        except SyntaxError as error:
            raise NotebookError(f"{path.name}, cell {index + 1}: SyntaxError: {error.msg}") from None
        found |= {target.id: _default(value) for target, value in assigned if isinstance(target, ast.Name)}
    return found


def _read(path: Path) -> nbformat.NotebookNode:
    try:
        notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)
    except Exception as error:  # whatever nbformat raises for what is no notebook
        raise NotebookError(f"{path} is not a notebook that can be read: {str(error).partition(chr(10))[0]}") from None
    return notebook


def _assigned(node: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Each target of an assignment with its value."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    value: Any = getattr(node, "value", None)
    for target in targets if value else ():
        if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
            yield from zip(target.elts, value.elts, strict=False)
        else:
            yield target, value


def _default(value: ast.expr) -> Any:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return ast.unparse(value)


def literal(value: Any) -> str:
    """Write a value in Python, infinity too.

    >>> literal(5), literal(float("inf"))
    ('5', "float('inf')")
    """
    return f"float({str(value)!r})" if isinstance(value, float) and not isfinite(value) else repr(value)


def run_notebook(
    path: Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    then: str | None = None,
) -> nbformat.NotebookNode:
    """Run the notebook at `path` and return it with its new outputs; the file is not changed.

    Those of `parameters` that the notebook has are set in a cell of their own, after its defaults. `environment`
    adds to `ENVIRONMENT` and overrides it; `folder` is the working directory, by default the notebook's own. `then` is
    Python code that runs after the last cell and leaves no trace. Raises NotebookError when a cell or a figure fails.
    """
    notebook, known = _read(path), parameters_of(path)
    given = {name: value for name, value in (parameters or {}).items() if name in known}
    if given:
        source = "\n".join(f"{name} = {literal(value)}" for name, value in given.items())
        behind = _parameters_cells(notebook)[-1] + 1
        notebook.cells.insert(behind, nbformat.v4.new_code_cell(source, metadata={"tags": [_INJECTED, _OURS]}))
    if then is not None:
        notebook.cells.append(nbformat.v4.new_code_cell(then))
    started: list[int] = []
    runner = NotebookClient(
        notebook,
        timeout=_CELL_TIMEOUT_S,
        kernel_manager_class=_OwnKernel,
        extra_arguments=["--log-level=ERROR"],
        shutdown_kernel="immediate",  # all it did is on the disk; asked politely, a busy kernel takes 5 s and complains
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder or path.parent)}},
        on_cell_start=lambda cell_index, **_: started.append(cell_index),
        on_cell_executed=_check_figures,
    )
    try:
        with tempfile.TemporaryDirectory() as profile:  # otherwise the startup files of a user's profile would run
            _execute(runner, {**os.environ, **ENVIRONMENT, **(environment or {}), "IPYTHONDIR": profile})
    except (CellExecutionError, CellTimeoutError, RuntimeError) as error:
        number = cell_number(notebook, started[-1]) if started else 0
        raise NotebookError(f"{path.name}, cell {number}: {_reason(error)}") from None
    if then is not None:
        notebook.cells.pop()
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        for module_folder in _MODULE_FOLDERS:
            if output.output_type == "stream":
                output.text = output.text.replace(module_folder, "")
    return notebook


def cell_number(notebook: nbformat.NotebookNode, index: int) -> int:
    """Count the cells up to this one, as the notebook's file has them."""
    return sum(_OURS not in cell.metadata.get("tags", []) for cell in notebook.cells[: index + 1])


def _check_figures(cell: nbformat.NotebookNode, execute_reply: Mapping[str, Any], **_: object) -> None:
    """Fail for an error that IPython shows, but not as the cell's own: of a figure after the cell's last line."""
    for output in cell.outputs:
        if output.output_type == "error" and execute_reply["content"]["status"] == "ok":
            raise CellExecutionError("", output.ename, output.evalue)


def _execute(runner: NotebookClient, environment: Mapping[str, str]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner(loop_factory=_Loop) as loop:
            # `loop.run` would cancel its task at Ctrl-C, and nbclient takes that for a dead kernel.
            loop.get_loop().run_until_complete(runner.async_execute(env=environment))
    else:
        runner.execute(env=environment)  # in a thread, if this runs in a notebook itself


def _parameters_cells(notebook: nbformat.NotebookNode) -> list[int]:
    """Give the places of the first cell tagged `parameters` and of the first with parameters that were injected."""
    tags = [cell.metadata.get("tags", []) if cell.cell_type == "code" else [] for cell in notebook.cells]
    return sorted({next(at for at, each in enumerate(tags) if tag in each) for tag in ("parameters", _INJECTED)
                   if any(tag in each for each in tags)})  # fmt: skip


def _reason(error: Exception) -> str:
    if isinstance(error, CellExecutionError):
        return ": ".join([error.ename, *error.evalue.strip().splitlines()[-1:]])
    return f"timed out after {_CELL_TIMEOUT_S} s" if isinstance(error, CellTimeoutError) else "the kernel died"
