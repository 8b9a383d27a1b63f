"""A sandbox's past in a file: what happened, a line of JSON each, from which all else follows."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Any, TextIO

from giftlib.clock import Moment

from .settings import Settings
from .world import Event, World

_FORMAT = "giftlib sandbox state 1"


@dataclass(frozen=True)
class Past:
    """What a file tells: `events` happened at so many seconds after `since`, the last of them `until`."""

    seed: Any
    settings: Settings
    since: datetime
    events: list[Event]
    until: float

    def end(self) -> datetime:
        """The latest time that the past reaches."""
        return self.since + timedelta(seconds=self.until)


def read_past(path: str | PathLike[str]) -> Past | None:
    """What is in a file, or None if there is none yet. ValueError if it holds anything else.

    A last line without its end is left out: whoever wrote it died before the answer was sent.
    """
    if not Path(path).exists():
        return None
    lines = Path(path).read_text(encoding="utf-8").split("\n")[:-1]
    if not lines:
        return None
    try:
        head, *rows = map(json.loads, lines)
        if head["format"] != _FORMAT:
            raise ValueError(f"its format is {head['format']!r}, not {_FORMAT!r}")
        events = [Event(*row) for row in rows]
        until = max((event.at for event in events if event.at is not None), default=0.0)
        settings = Settings.from_json(head["settings"])
        return Past(head["seed"], settings, datetime.fromisoformat(head["since"]), events, until)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is no sandbox state: {error}") from None


class StateFile:
    """A file to which a world's events are added as they happen; `now` is when it was opened."""

    def __init__(self, path: str | PathLike[str], world: World, now: Moment, past: Past | None = None) -> None:
        self._start = now.monotonic if past is None else start_of(past, now)
        self._file: TextIO
        if past is None:
            head = {
                "format": _FORMAT,
                "seed": world.seed,
                "settings": world.settings.to_json(),
                "since": now.utc.isoformat(),
            }
            try:
                line = json.dumps(head)
            except TypeError:
                raise ValueError(
                    f"seed must be a number or a text for its state to be kept, got {world.seed!r}"
                ) from None
            self._file = open(path, "w", encoding="utf-8", newline="\n")  # noqa: SIM115  # until close()
            self._file.write(line + "\n")
        else:
            content = Path(path).read_bytes()
            self._file = open(path, "r+", encoding="utf-8", newline="\n")  # noqa: SIM115
            self._file.truncate(content.rfind(b"\n") + 1)
            self._file.seek(0, 2)
        self._file.flush()

    def add(self, *events: Event) -> None:
        """Write events; they are in the operating system's hands when this returns."""
        for event in events:
            at = None if event.at is None else event.at - self._start
            self._file.write(json.dumps(event._replace(at=at), default=str) + "\n")
        self._file.flush()

    def close(self, now: Moment) -> None:
        """Note how late it is and close the file. A second call does nothing."""
        if not self._file.closed:
            self.add(Event("end", at=now.monotonic))
            self._file.close()


def start_of(past: Past, now: Moment) -> float:
    """The monotonic second, of a clock that now shows `now`, at which the past began."""
    return now.monotonic - (now.utc - past.since).total_seconds()


def repeat(past: Past, world: World, now: Moment) -> None:
    """Let the events of the past happen in a new world."""
    start = start_of(past, now)
    for event in past.events:
        world.repeat(event._replace(at=None if event.at is None else start + event.at))


def save(path: str | PathLike[str], world: World, events: Iterable[Event], now: Moment) -> None:
    """Write a whole past to a new file."""
    file = StateFile(path, world, now)
    file.add(*events)
    file.close(now)
