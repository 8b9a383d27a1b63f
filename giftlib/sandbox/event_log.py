"""A sandbox's events in a file, one JSON line each; replayed in a new backend they give the same state."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Any

from giftlib.clock import Timestamp

from .backend import Backend, Event
from .settings import Settings

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FORMAT = "giftlib sandbox state 1"
_HEAD = f'{{"format": "{_FORMAT}", '
"""How such a file begins."""
_WRONG_CONTENT = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


@dataclass(frozen=True)
class History:
    """What a file holds: events at monotonic seconds of a clock whose second 0 was at `zero`, the last at `until`."""

    seed: Any
    settings: Settings
    zero: datetime
    events: list[Event]
    until: float

    def end(self) -> datetime:
        """Give the time of the last second."""
        return self.zero + timedelta(seconds=self.until)

    def second_of(self, utc: datetime) -> float:
        """Give the second of that clock at a time, at least `until`: the history is never in the future."""
        return max((utc - self.zero).total_seconds(), self.until)

    def check_same(self, seed: Any, given: Settings) -> None:
        """Raise a ValueError if a seed or a setting is given that is not the one the file was begun with."""
        if seed not in (0, self.seed):
            raise ValueError(f"seed must be {self.seed!r}, with which the state was begun, got {seed!r}")
        before = self.settings.changes()
        for name, value in given.changes().items():
            if before.get(name) != value:
                old = getattr(self.settings, name)
                raise ValueError(f"{name} must be {old!r}, as the state was begun, got {value!r}")


def read_history(path: str | PathLike[str]) -> History | None:
    """Read a file; None if there is none yet. ValueError if it holds anything else.

    An incomplete last line is left out: its writer died before the response was sent.
    """
    if not Path(path).exists():
        return None
    try:
        *lines, rest = Path(path).read_text(encoding="utf-8").split("\n")
        if not lines and _HEAD.startswith(rest[: len(_HEAD)]):
            return None
        head, *rows = map(json.loads, lines)
        if head["format"] != _FORMAT:
            raise ValueError(f"its format is {head['format']!r}, not {_FORMAT!r}")
        events = [Event(*row) for row in rows]
        until = max([head["at"], *(event.at for event in events if event.at is not None)])
        zero = datetime.fromisoformat(head["since"]) - timedelta(seconds=head["at"])
        history = History(head["seed"], Settings.from_json(head["settings"]), zero, events, until)
        history.end()  # which must be a time that exists
        return history
    except _WRONG_CONTENT as error:
        raise ValueError(f"{path} is no sandbox state: {error}") from None


def replay(path: str | PathLike[str], history: History, backend: Backend) -> None:
    """Let the events happen again in a new backend. ValueError, which names the file, for impossible ones."""
    try:
        for event in history.events:
            backend.replay(event)
    except _WRONG_CONTENT as error:
        raise ValueError(f"{path} is no sandbox state: {error}") from None


class EventLog:
    """A file to which events are appended as they happen; `now` is when it is begun.

    OSError if a running sandbox has it already (where the system can lock files).
    """

    def __init__(
        self, path: str | PathLike[str], backend: Backend, now: Timestamp, history: History | None = None
    ) -> None:
        try:
            head = json.dumps(
                {"format": _FORMAT, "seed": backend.seed, "settings": backend.settings.to_json(),
                 "since": now.utc.isoformat(), "at": now.monotonic}
            )  # fmt: skip
        except TypeError:
            raise ValueError(
                f"seed must be a number or a text for its state to be kept, got {backend.seed!r}"
            ) from None
        self._file = open(path, "a", encoding="utf-8", newline="\n")  # noqa: SIM115  # until close()
        try:
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise OSError(f"{path} is the state of a sandbox that runs") from None
        if history is None:
            self._file.truncate(0)
            self._file.write(head + "\n")
        else:
            self._file.truncate(Path(path).read_bytes().rfind(b"\n") + 1)
        if not (history and any(event.type == "instance" for event in history.events)):
            self.add(Event("instance", what=backend.instance))

    def add(self, *events: Event) -> None:
        """Write events; the operating system has them when this returns."""
        for event in events:
            self._file.write(json.dumps(event, default=str) + "\n")
        self._file.flush()

    def close(self, now: Timestamp) -> None:
        """Write the time and close the file. A second call does nothing."""
        if not self._file.closed:
            self.add(Event("end", at=now.monotonic))
            self._file.close()


def save(path: str | PathLike[str], backend: Backend, now: Timestamp) -> None:
    """Write the whole history of a backend to a file, over what it held."""
    log = EventLog(path, backend, now)
    log.add(*backend.history())
    log.close(now)
