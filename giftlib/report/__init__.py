"""Notebooks or a recorded journal in, one page out with its data.

Read `build` first: it writes the report. It uses `selection` (which notebooks and parameters), `notebooks` (run one the
same way on every machine), `progress` (how far they are), `html` (a run notebook as a section; the page), `inlining`
(pictures of prose), `head` (the verdict, which `checks` computes from what was `measured`), `explorer` (every order),
`archive` (all journals in one file) and `provenance` (where the orders come from, what the report was made with).
`changes` compares two reports or journals, which `compared` reads; `verifying` compares a report with its manifest;
`pdf` prints the page. Each name loads when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from giftlib.api import GiftlibError

if TYPE_CHECKING:
    from giftlib.report.build import rebuild_report, write_report
    from giftlib.report.changes import as_text, compare_reports
    from giftlib.report.html import Style
    from giftlib.report.pdf import print_pdf
    from giftlib.report.selection import choose_notebooks, find_notebooks
    from giftlib.report.verifying import unmet, verify_report

_MODULES = {
    **dict.fromkeys(("choose_notebooks", "find_notebooks"), "selection"),
    **dict.fromkeys(("rebuild_report", "write_report"), "build"),
    **dict.fromkeys(("as_text", "compare_reports"), "changes"),
    "Style": "html",
    "print_pdf": "pdf",
    **dict.fromkeys(("unmet", "verify_report"), "verifying"),
}
__all__ = [
    "Style", "as_text", "choose_notebooks", "compare_reports", "find_notebooks", "print_pdf", "rebuild_report",
    "unmet", "verify_report", "write_report",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a name; raises GiftlibError with the line that installs what is missing for it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        raise GiftlibError(f'the report needs {error.name}: pip install "giftlib[notebooks]"') from error
