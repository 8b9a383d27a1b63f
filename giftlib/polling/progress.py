"""Tell people and programs how a wait goes: `on_poll`, a panel or a bar, warnings.

None of these may stand between an order and its handling.
"""

import os
import sys
import time
import warnings
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any

from giftlib.api import Client
from giftlib.clock import SystemClock
from giftlib.journal import Poll

from .panel import Panel

OnPoll = Callable[[Poll], object]
_LEAST_PAUSE_S, _GAP_S = 0.1, 0.5
"""Between two drawings there is a pause, or half a second."""


class Progress:
    """Show a panel in a notebook, or a bar, if `progress` is True, or None and a person waits in real time.

    A person waits at a terminal, or in a notebook that can ask for input, as one that nbval, papermill or a report runs
    cannot; not where time is simulated or `TQDM_DISABLE` is set. An output that is missing, closed or broken ends the
    showing, and nothing else.
    """

    def __init__(self, progress: bool | None, client: Client, on_poll: OnPoll | None, go_on: str = "") -> None:
        self._wanted = progress
        self._clock = client.clock
        self._on_poll = on_poll
        self._go_on = go_on
        self._panel = Panel(client)
        self._draw: Callable[[Panel], object] | None = None
        self._drawn_at = -inf
        self._warned: set[str] = set()

    def __enter__(self) -> "Progress":
        with suppress(Exception):
            ipython: Any = sys.modules.get("IPython")
            shell = ipython and ipython.get_ipython()
            notebook = shell if hasattr(shell, "kernel") else None
            if self._wanted is None:
                is_real = isinstance(self._clock, SystemClock) and "TQDM_DISABLE" not in os.environ
                self._wanted = is_real and (
                    notebook.get_parent()["content"]["allow_stdin"] if notebook else sys.stderr.isatty()
                )
            if self._wanted:
                self._draw = ipython.display.display(self._panel, display_id=True).update if notebook else _Bar()
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if error is not None and self._go_on:
            show_in_one_line(error, self._go_on)
        complete = "Complete" if self._panel.final == self._panel.orders else "Ended"
        self._panel.ending = "Interrupted" if isinstance(error, KeyboardInterrupt) else complete
        self._show(at_once=True)

    def report(self, *polls: Poll) -> None:
        """Report polls that were made."""
        for poll in polls:
            if self._on_poll is not None:
                try:
                    self._on_poll(poll)
                except Exception as error:
                    text = f"on_poll raised {type(error).__name__}: {error}; the wait continues"
                    self.warn_once("on_poll", text)
            if self._draw is not None:
                self._panel.add(poll)
        self._show()

    def waiting(self, open_ids: Collection[str], next_at: float, to_place: int = 0, **failed: int) -> None:
        """Say, before a pause, which orders are open, and when the next round of polls begins."""
        self._panel.open_ids, self._panel.next_at, self._panel.to_place = open_ids, next_at, to_place
        self._panel.failed = {name.replace("_", " "): count for name, count in failed.items()}
        pauses = isinstance(self._clock, SystemClock) and next_at - self._clock.monotonic() > _LEAST_PAUSE_S
        self._show(at_once=pauses)

    def warn_once(self, about: str, message: str) -> None:
        """Warn of each thing once in a wait."""
        if about not in self._warned:
            self._warned.add(about)
            warn(message, may_raise=False)

    def _show(self, *, at_once: bool = False) -> None:
        if self._draw is None or not (at_once or time.monotonic() - self._drawn_at > _GAP_S):
            return
        try:
            self._draw(self._panel)
            self._drawn_at = time.monotonic()
        except Exception:
            self._draw = None


class _Bar:
    """Show the panel's counts beside a bar in a terminal, once there are orders."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, panel: Panel) -> None:
        if self._bar is None and panel.orders:
            from tqdm import tqdm

            self._bar = tqdm(disable=False, bar_format="{percentage:3.0f} % |{bar:20}| {desc}")
        if self._bar is not None:
            self._bar.total, self._bar.n = panel.orders, panel.final
            if panel.ending:
                self._bar.colour = "green" if panel.final == panel.orders else "red"
            self._bar.set_description_str(f"{panel.summary}: {panel.statuses}")
            if panel.ending:
                self._bar.close()


def show_in_one_line(error: BaseException, text: str) -> None:
    """Let IPython show this line, after what notes say, in the place of an interrupt's traceback."""
    if isinstance(error, KeyboardInterrupt):
        line = "; ".join([*getattr(error, "__notes__", []), text])
        error._render_traceback_ = partial(list, (f"Interrupted: {line}",))  # type: ignore[attr-defined]


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
