"""Show progress to a person: on a terminal or in a live notebook, never where time is simulated."""

import os
import sys
from typing import Any

from tqdm import tqdm

from giftlib.clock import Clock, SystemClock


def progress_bar(progress: bool | None, clock: Clock, *, total: float, unit: str, description: str) -> "tqdm[Any]":
    """Return a bar that shows itself if `progress` is True, or None and a person waits in real time.

    In a notebook that is run for a report `TQDM_DISABLE` is set, and no bar is shown.
    """
    if progress is None:
        person = sys.stderr.isatty() or "ipykernel" in sys.modules
        progress = person and isinstance(clock, SystemClock) and "TQDM_DISABLE" not in os.environ
    if not progress:
        return tqdm(total=total, disable=True)
    from tqdm.auto import tqdm as bar  # loads the widgets of notebooks, if this is one

    return bar(total=total, unit=unit, desc=description, disable=False)
