"""A sandbox's past in a file: what happened, a line of JSON each, from which all else follows."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Any, TextIO

from giftlib.clock import Timestamp

from .backend import Event, World
from .settings import Settings

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FORMAT = "giftlib sandbox state 1"
_HEAD = f'{{"format": "{_FORMAT}", '
"""How such a file begins."""


@dataclass(frozen=True)
class Past:
    """What a file tells: `events` at monotonic seconds of a clock of its own, which showed `at` when it was `since`.

    `until` is the last second that it tells of.
    """

    seed: Any
    settings: Settings
    since: datetime
    at: float
    events: list[Event]
    until: float

    def end(self) -> datetime:
        """The latest time that the past reaches."""
        return self.since + timedelta(seconds=self.until - self.at)

    def second_of(self, utc: datetime) -> float:
        """What its clock shows at that time, `until` at the least: a past does not lie in the future."""
        return max(self.at + (utc - self.since).total_seconds(), self.until)


def read_past(path: str | PathLike[str]) -> Past | None:
    """What is in a file, or None if there is none yet. ValueError if it holds anything else.

    A last line without its end is left out: whoever wrote it died before the answer was sent.
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
        settings = Settings.from_json(head["settings"])
        past = Past(head["seed"], settings, datetime.fromisoformat(head["since"]), float(head["at"]), events, until)
        past.end()  # which must be a time there is
        return past
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise ValueError(f"{path} is no sandbox state: {error}") from None


def repeat(path: str | PathLike[str], past: Past, world: World) -> None:
    """Let the events of the past happen in a new world. ValueError, which names the file, for what cannot be."""
    try:
        for event in past.events:
            world.repeat(event)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"{path} is no sandbox state: {error}") from None


class StateFile:
    """A file to which a world's events are added as they happen; `now` is when it is begun.

    OSError if a sandbox that runs has it already (where the system can lock files).
    """

    def __init__(self, path: str | PathLike[str], world: World, now: Timestamp, past: Past | None = None) -> None:
        try:
            head = json.dumps(
                {"format": _FORMAT, "seed": world.seed, "settings": world.settings.to_json(),
                 "since": now.utc.isoformat(), "at": now.monotonic}
            )  # fmt: skip
        except TypeError:
            raise ValueError(f"seed must be a number or a text for its state to be kept, got {world.seed!r}") from None
        self._file: TextIO = open(path, "a", encoding="utf-8", newline="\n")  # noqa: SIM115  # until close()
        try:
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise OSError(f"{path} is the state of a sandbox that runs") from None
        if past is None:
            self._file.truncate(0)
            self._file.write(head + "\n")
        else:
            self._file.truncate(Path(path).read_bytes().rfind(b"\n") + 1)
        self._file.flush()

    def add(self, *events: Event) -> None:
        """Write events; they are in the operating system's hands when this returns."""
        for event in events:
            self._file.write(json.dumps(event, default=str) + "\n")
        self._file.flush()

    def close(self, now: Timestamp) -> None:
        """Note how late it is and close the file. A second call does nothing."""
        if not self._file.closed:
            self.add(Event("end", at=now.monotonic))
            self._file.close()


def save(path: str | PathLike[str], world: World, events: Iterable[Event], now: Timestamp) -> None:
    """Write a whole past to a file, over what it held."""
    file = StateFile(path, world, now)
    file.add(*events)
    file.close(now)
