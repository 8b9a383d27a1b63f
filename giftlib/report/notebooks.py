"""Running notebooks the same way everywhere, each in a fresh kernel and a fixed environment."""

import asyncio
import os
import sqlite3
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, NoReturn

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from tqdm import tqdm

from giftlib.report.selection import NotebookError, cell_number, parameters_of, read_notebook, set_parameters

ENVIRONMENT: Mapping[str, str] = {
    "GIFTLIB_JOURNAL_DIR": "",
    "GIFTLIB_SANDBOX_SETTINGS": "",
    "IPYKERNEL_CELL_NAME": "cell.py",
    "LC_ALL": "C.UTF-8",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MATPLOTLIBRC": str(Path(__file__).with_name("matplotlibrc")),
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
    notebook, known = read_notebook(path), parameters_of(path)
    if given := {name: value for name, value in (parameters or {}).items() if name in known}:
        set_parameters(notebook, given)
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


def _reason(error: Exception) -> str:
    if isinstance(error, CellExecutionError):
        return ": ".join([error.ename, *error.evalue.strip().splitlines()[-1:]])
    return f"timed out after {_CELL_TIMEOUT_S} s" if isinstance(error, CellTimeoutError) else "the kernel died"


def with_progress(notebooks: Sequence[Path], journals: Path) -> Iterator[Path]:
    """Yield the notebooks, and show in a terminal which runs, and how many orders its journals have.

    The journals are those that kernels write into the folder `journals`.
    """
    bar, ended = tqdm(notebooks, unit="notebook", disable=None), Event()

    def show_orders() -> None:
        while not ended.wait(0.5):
            placed, final = _count_orders(journals)
            bar.set_postfix_str(f"{final} of {placed} orders final")

    if not bar.disable:
        Thread(target=show_orders, daemon=True).start()
    try:
        for path in bar:
            bar.set_description(path.stem)
            yield path
    finally:
        ended.set()


def _count_orders(journals: Path) -> tuple[int, int]:
    placed = final = 0
    for path in journals.glob("*.sqlite"):
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", timeout=0.1, uri=True)) as db:
            there = db.execute("SELECT COUNT(*), COUNT(*) FILTER (WHERE is_final) FROM orders").fetchone()
            placed, final = placed + there[0], final + there[1]
    return placed, final
