"""Which notebooks a report runs, and with which parameters."""

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from giftlib.api import GiftlibError
from giftlib.report.manifest import sha256

_INJECTED = "injected-parameters"
_OURS = "giftlib"


class NotebookError(GiftlibError):
    """A cell failed, or what it shows cannot be shown; one line names the notebook, the cell and the error."""


def find_notebooks(folder: Path, only: Collection[int] | None = None) -> list[Path]:
    """List the notebooks of a folder numbered from 1 up, or those with the numbers `only`, in reading order.

    Raises ValueError if there are none, and for a number that no notebook has.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("10_last.ipynb", "2_second.ipynb", "0_exercises.ipynb", "draft.ipynb"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in find_notebooks(Path(folder))]
    ['2_second.ipynb', '10_last.ipynb']
    """
    numbered = sorted((int(re.split(r"\D", path.name)[0]), path) for path in folder.glob("[1-9]*.ipynb"))
    if not numbered:
        raise ValueError(
            f"no numbered notebooks in {folder}: giftlib's own are in its repository, not in the installed package; "
            "run this in a checkout or pass --notebooks DIR"
        )
    known = [number for number, _ in numbered]
    if unknown := sorted({*(only or [])} - {*known}):
        raise ValueError(f"there is no notebook {unknown[0]}, only {', '.join(map(str, dict.fromkeys(known)))}")
    return [path for number, path in numbered if only is None or number in only]


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """Read a notebook. Raises NotebookError for what is none."""
    try:
        notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)
    except Exception as error:  # whatever nbformat raises
        raise NotebookError(f"{path} is not a notebook that can be read: {str(error).partition(chr(10))[0]}") from None
    return notebook


def cell_number(notebook: nbformat.NotebookNode, index: int) -> int:
    """Count the cells up to this one, as the notebook's file has them."""
    return sum(_OURS not in cell.metadata.get("tags", []) for cell in notebook.cells[: index + 1])


def parameters_of(path: Path) -> dict[str, Any]:
    """Read a notebook's parameters, by papermill's convention the assignments in its cell tagged `parameters`.

    Each has its default; that of an expression is its text. The cell `injected-parameters` that papermill left there
    has later ones. Raises NotebookError for what is no notebook, or no Python.
    """
    found: dict[str, Any] = {}
    notebook = read_notebook(path)
    for index in _parameters_cells(notebook):
        try:
            code = TransformerManager().transform_cell(notebook.cells[index].source)  # type: ignore[no-untyped-call]
            assigned = [each for node in ast.parse(code).body for each in _assigned(node)]
        except SyntaxError as error:
            raise NotebookError(f"{path.name}, cell {index + 1}: SyntaxError: {error.msg}") from None
        found |= {target.id: _default(value) for target, value in assigned if isinstance(target, ast.Name)}
    return found


def _parameters_cells(notebook: nbformat.NotebookNode) -> list[int]:
    """Give the places of the first cell tagged `parameters` and of the first with parameters that were injected."""
    first: dict[str, int] = {}
    for index, cell in enumerate(notebook.cells):
        for tag in cell.metadata.get("tags", []) if cell.cell_type == "code" else []:
            first.setdefault(tag, index)
    return sorted({first[tag] for tag in ("parameters", _INJECTED) if tag in first})


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


def set_parameters(notebook: nbformat.NotebookNode, parameters: Mapping[str, Any]) -> None:
    """Set the parameters in a cell of their own, after the notebook's defaults."""
    source = "\n".join(f"{name} = {_literal(value)}" for name, value in parameters.items())
    behind = _parameters_cells(notebook)[-1] + 1
    notebook.cells.insert(behind, nbformat.v4.new_code_cell(source, metadata={"tags": [_INJECTED, _OURS]}))


def _literal(value: Any) -> str:
    return f"float({str(value)!r})" if isinstance(value, float) and not isfinite(value) else repr(value)


def require_parameters(notebooks: Sequence[Path], parameters: Mapping[str, Any]) -> None:
    """Raise ValueError for a parameter that no notebook has, and for one that is a number there and no number here."""
    known = {name: (default, path) for path in reversed(notebooks) for name, default in parameters_of(path).items()}
    for name, value in parameters.items():
        if name not in known:
            there = f"only {', '.join(sorted(known))}" if known else "no cell is tagged 'parameters'"
            raise ValueError(f"no parameter {name} in {', '.join(path.name for path in notebooks)}: {there}")
        default, path = known[name]
        if _is_number(default) and not _is_number(value):
            raise ValueError(f"{name} must be a number, as in {path.name}, got {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Give the parameters as JSON can have them: infinity as its Python."""
    return {
        name: _literal(value) if isinstance(value, float) and not isfinite(value) else value
        for name, value in parameters.items()
    }


def described(path: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a notebook for a manifest, with the parameters that it is run with."""
    taken = {name: parameters.get(name, default) for name, default in parameters_of(path).items()}
    return {"name": path.name, "sha256": sha256(path.read_bytes()), "parameters": as_json(taken)}
