"""Run all notebooks and keep their outputs in the files, or check that the files are as a run leaves them.

Usage: `python tools/notebooks.py [--check] [DIR]` (`make notebooks`, `make lint`).
"""

import argparse
import sys
from pathlib import Path

import nbformat
from tqdm import tqdm

from giftlib.report.notebooks import run_notebook

_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def tidied(notebook: nbformat.NotebookNode) -> str:
    """Write the notebook as text, without what differs from save to save.

    Kept are cells, outputs, the cells' tags and which are folded; versions, timings, widgets and an editor's state
    are dropped. What the kernel says of itself stays: without it JupyterLab marks each notebook that it opens as
    unsaved. Each heading begins a slide, each other text one below it, and code before the second is on none.
    """
    texts = 0
    cells = []
    for cell in notebook.cells:
        texts += cell.cell_type == "markdown"
        kind = "skip" if texts < 2 else "-"
        if cell.cell_type == "markdown":
            kind = "slide" if cell.source.startswith("#") else "subslide"
        kept = {name: cell.metadata[name] for name in ("tags", "jupyter") if name in cell.metadata}
        cells.append({**cell, "metadata": {**kept, "slideshow": {"slide_type": kind}}})
    metadata = {"kernelspec": _KERNEL, "language_info": notebook.metadata.get("language_info", {})}
    text: str = nbformat.writes(nbformat.from_dict({**notebook, "cells": cells, "metadata": metadata}))
    return f"{text}\n"


def main(arguments: list[str] | None = None) -> int:
    """Run, or check; 1 if a notebook is not tidy."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("notebooks"), metavar="DIR")
    parser.add_argument("--check", action="store_true", help="run and change nothing, name the notebooks not tidy")
    chosen = parser.parse_args(arguments)
    paths = sorted(chosen.folder.glob("*.ipynb"))
    if chosen.check:
        untidy = [
            path for path in paths if path.read_text(encoding="utf-8") != tidied(nbformat.read(path, as_version=4))
        ]
        print("".join(f"{path} is not tidy: make notebooks\n" for path in untidy), end="")
        return int(bool(untidy))
    for path in tqdm(paths, unit="notebook", disable=None):
        path.write_text(tidied(run_notebook(path)), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
