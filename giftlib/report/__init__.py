"""Notebooks or a recorded journal in, one page out with its data.

Read `build` first: it writes the report. It uses `notebooks` (run one the same way on every machine), `html` (a run
notebook as a section; the page), `head` (the verdict, which `checks` computes from what was `measured`), `explorer`
(every order), `archive` (all journals in one file) and `provenance` (where orders come from, what the report was made
with). `verifying` compares a report with its manifest. Each name loads when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from giftlib.api import GiftlibError

if TYPE_CHECKING:
    from giftlib.report.build import choose_notebooks, find_notebooks, rebuild_report, write_report
    from giftlib.report.verifying import unmet, verify_report

__all__ = ["choose_notebooks", "find_notebooks", "rebuild_report", "unmet", "verify_report", "write_report"]


def __getattr__(name: str) -> Any:
    """Load a name; raises GiftlibError with the line that installs what is missing for it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = "verifying" if name in ("unmet", "verify_report") else "build"
        return getattr(import_module(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as error:
        raise GiftlibError(f'the report needs {error.name}: pip install "giftlib[notebooks]"') from error
