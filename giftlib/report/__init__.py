"""Notebooks or a recorded journal in, one page out with its data.

Read `build` first: it writes the report. It uses `selection` (which notebooks and parameters), `notebooks` (run one
the same way on every machine), `section` (a run notebook as HTML, with its `figures` and `tables`), `recorded` (reads
all journals, merged in one file), `measured` (the numbers of these orders), `checks` (the verdict on them), `page`
(the page from all this), `manifest` (the report's versions and hashes, and whether its files are still the same) and
`folder` (the files are written all or none). `compared` reads two reports or journals, `changes` says how they differ.
Each name loads when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from giftlib.api import GiftlibError

if TYPE_CHECKING:
    from giftlib.report.build import rebuild_report, write_report
    from giftlib.report.changes import as_text, compare_reports
    from giftlib.report.manifest import unmet, verify_report
    from giftlib.report.page import Style, print_pdf
    from giftlib.report.selection import find_notebooks

_MODULES = {
    "build": ("rebuild_report", "write_report"),
    "changes": ("as_text", "compare_reports"),
    "manifest": ("unmet", "verify_report"),
    "page": ("Style", "print_pdf"),
    "selection": ("find_notebooks",),
}
__all__ = [
    "Style", "as_text", "compare_reports", "find_notebooks", "print_pdf", "rebuild_report", "unmet", "verify_report",
    "write_report",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a name; raises GiftlibError with the line that installs what is missing for it."""
    for module, names in _MODULES.items():
        if name in names:
            try:
                return getattr(import_module(f"{__name__}.{module}"), name)
            except ModuleNotFoundError as error:
                raise GiftlibError(f'the report needs {error.name}: pip install "giftlib[notebooks]"') from error
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
