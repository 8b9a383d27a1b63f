"""Which notebooks a report runs, and with which parameters."""

from collections.abc import Collection, Mapping, Sequence
from itertools import takewhile
from math import isfinite
from pathlib import Path
from typing import Any

from giftlib.report.notebooks import literal, parameters_of
from giftlib.report.provenance import sha256


def find_notebooks(folder: Path) -> list[Path]:
    """List the notebooks of a folder numbered from 1 up, in reading order. Raises ValueError if there are none.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("10_last.ipynb", "2_second.ipynb", "0_exercises.ipynb", "draft.ipynb"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in find_notebooks(Path(folder))]
    ['2_second.ipynb', '10_last.ipynb']
    """
    notebooks = sorted(folder.glob("[1-9]*.ipynb"), key=lambda path: (_number(path), path.name))
    if not notebooks:
        raise ValueError(
            f"no numbered notebooks in {folder}: giftlib's own are in its repository, not in the installed package; "
            "run this in a checkout or pass --notebooks DIR"
        )
    return notebooks


def choose_notebooks(notebooks: Sequence[Path], numbers: Collection[int]) -> list[Path]:
    """Keep those whose names begin with one of the numbers. Raises ValueError for a number that no notebook has.

    >>> [path.name for path in choose_notebooks([Path("1_first.ipynb"), Path("2_second.ipynb")], [2])]
    ['2_second.ipynb']
    """
    known = {_number(path) for path in notebooks}
    if unknown := sorted(set(numbers) - known):
        raise ValueError(f"there is no notebook {unknown[0]}, only {', '.join(map(str, sorted(known)))}")
    return [path for path in notebooks if _number(path) in numbers]


def _number(path: Path) -> int:
    return int("".join(takewhile(str.isdecimal, path.name)))


def require_parameters(notebooks: Sequence[Path], parameters: Mapping[str, Any]) -> None:
    """Raise ValueError for a parameter that no notebook has, and for one that is a number there and no number here."""
    known = {name: (default, path) for path in reversed(notebooks) for name, default in parameters_of(path).items()}
    for name, value in parameters.items():
        if name in known:
            default, path = known[name]
            if _is_number(default) and not _is_number(value):
                raise ValueError(f"{name} must be a number, as in {path.name}, got {value!r}")
            continue
        there = f"only {', '.join(sorted(known))}" if known else "no cell is tagged 'parameters'"
        raise ValueError(f"no parameter {name} in {', '.join(path.name for path in notebooks)}: {there}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Give the parameters as JSON can have them: infinity as its Python."""
    infinite = {name: literal(value) for name, value in parameters.items() if _is_number(value) and not isfinite(value)}
    return {**parameters, **infinite}


def described(path: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a notebook for a manifest, with the parameters that it is run with."""
    taken = {name: parameters.get(name, default) for name, default in parameters_of(path).items()}
    return {"name": path.name, "sha256": sha256(path.read_bytes()), "parameters": taken}
