"""Show a person how a wait goes: a bar and warnings, neither of which may stand between an order and its handling."""

import os
import sys
import warnings
from contextlib import suppress
from typing import Any

from tqdm import tqdm

from giftlib.clock import Clock, SystemClock


class Progress:
    """Show a bar if `progress` is True, or None and a person waits in real time; never where time is simulated.

    In a notebook that is run for a report `TQDM_DISABLE` is set, and no bar is shown. A standard error that is missing,
    closed or broken ends the bar, and nothing else.
    """

    def __init__(self, progress: bool | None, clock: Clock, *, total: float, unit: str, description: str) -> None:
        self._bar: tqdm[Any] | None = None
        with suppress(Exception):
            if progress is None:
                person = "ipykernel" in sys.modules or sys.stderr.isatty()
                progress = person and isinstance(clock, SystemClock) and "TQDM_DISABLE" not in os.environ
            if progress:
                from tqdm.auto import tqdm as bar  # loads the widgets of notebooks, if this is one

                self._bar = bar(total=total, unit=unit, desc=description, disable=False)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exc_info: object) -> None:
        with suppress(Exception):
            if self._bar is not None:
                self._bar.close()

    def show(self, done: float, total: float, **counts: int) -> None:
        """Show how much is done, of how much."""
        try:
            if self._bar is not None:
                self._bar.total = total
                self._bar.set_postfix(counts, refresh=False)
                self._bar.update(done - self._bar.n)
        except Exception:
            self._bar = None


def warn(message: str, *, may_raise: bool = True) -> None:
    """Warn, if that can be done, of the first line outside giftlib that led here.

    Where a filter makes an error of warnings it is raised, or only shown where nothing may be ended by it.
    """
    frame, depth = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "giftlib":
        frame, depth = frame.f_back, depth + 1
    with suppress(OSError, ValueError):
        try:
            warnings.warn(message, stacklevel=depth)
        except UserWarning as error:
            if may_raise:
                raise
            warnings.showwarning(error, UserWarning, frame.f_code.co_filename, frame.f_lineno)
