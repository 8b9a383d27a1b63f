"""A sandbox's events in a file, one JSON line each; replayed in a new backend they give the same state."""

import errno
import json
import os
from collections.abc import Iterable
from contextlib import closing, suppress
from datetime import datetime, timedelta
from hashlib import sha256
from math import inf
from os import PathLike
from typing import Any, NamedTuple

from giftlib.clock import Timestamp

from .backend import Backend, Event, NotRecorded
from .settings import Settings
from .validators import SEED, read_json, require_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MOST_BYTES = 2**28
"""How large a file may become: what is read must fit in memory. Some two million orders."""
_FORMAT = "giftlib sandbox state 1"
_HEAD = f'{{"format": "{_FORMAT}", '.encode()
"""How such a file begins."""
_WRONG_CONTENT = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


class History(NamedTuple):
    """What a file holds: events at monotonic seconds of a clock, the last at second `until`, which was at `end`."""

    seed: Any
    settings: Settings
    events: list[Event]
    until: float
    end: datetime
    key_digest: str | None

    @classmethod
    def read(cls, lines: Iterable[bytes]) -> "History":
        """Read the lines of a file; one of _WRONG_CONTENT if they are none."""
        head, *rows = map(read_json, lines)
        if head["format"] != _FORMAT:
            raise ValueError(f"its format is not {_FORMAT!r}")
        SEED.check("seed", head["seed"])
        since = datetime.fromisoformat(head["since"])
        if since.tzinfo is None:
            raise ValueError("its time has no offset")
        events = [Event(*row) for row in rows]
        until = max([head["at"], *(event.at for event in events if event.at is not None)])
        end = since - timedelta(seconds=head["at"]) + timedelta(seconds=until)
        return cls(head["seed"], Settings.from_json(head["settings"]), events, until, end, head.get("key_digest"))

    def second_of(self, utc: datetime) -> float:
        """Give the second of that clock at a time, at least `until`: the history is never in the future."""
        return self.until + max((utc - self.end).total_seconds(), 0.0)

    def check_same(self, seed: Any, given: Settings) -> None:
        """Raise a ValueError if a seed or a setting is given that is not the one the file was begun with."""
        if seed not in (0, self.seed):
            raise ValueError(f"seed must be {self.seed!r}, with which the state was begun, got {seed!r}")
        before = self.settings.changes()
        for name, value in given.changes().items():
            if before.get(name) != value:
                old = getattr(self.settings, name)
                raise ValueError(f"{name} must be {old!r}, as the state was begun, got {value!r}")


class EventLog:
    """A file to which events are appended as they happen. It is this object's until `close`, before it is read.

    OSError if a running sandbox has it already (where the system can lock files).
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = path
        try:
            require_file(path, MOST_BYTES)
        except (ValueError, TypeError) as error:
            raise self._no_state(error) from None
        self._size = 0  # without what could not be written whole
        self._reached_s = -inf
        self._file = open(path, "a+b", buffering=0)  # noqa: SIM115  # until close()
        try:
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise OSError(f"{path} is the state of a sandbox that runs") from None

    def read(self) -> History | None:
        """Read the file; None if there is nothing in it yet. ValueError if it holds anything else.

        An incomplete last line is left out: its writer died before the response was sent.
        """
        try:
            self._file.seek(0)
            content = self._file.read()
            *lines, rest = content.split(b"\n")
            if not lines and _HEAD.startswith(rest[: len(_HEAD)]):
                return None
            self._size = len(content) - len(rest)
            return History.read(lines)
        except _WRONG_CONTENT as error:
            raise self._no_state(error) from None

    def begin(self, backend: Backend, now: Timestamp) -> None:
        """Begin the file anew with all that has happened in a backend."""
        SEED.check("seed", backend.seed)
        head = {"format": _FORMAT, "seed": backend.seed, "settings": backend.settings.to_json(),
                "since": now.utc.isoformat(), "at": now.monotonic, "key_digest": _digest_of_key(backend)}  # fmt: skip
        self._size = 0
        try:
            self.add(head, Event("instance", what=backend.instance), *backend.history())
        except OSError:
            self._file.truncate(0)  # a part of a history would be another one
            raise

    def resume(self, history: History, backend: Backend) -> None:
        """Let the events of the file happen again in a new backend. ValueError for impossible ones, or another key."""
        if history.key_digest not in (None, _digest_of_key(backend)):
            raise ValueError(f"api_key must be the one with which {self._path} was begun (not shown)")
        try:
            for event in history.events:
                backend.replay(event)
        except _WRONG_CONTENT as error:
            raise self._no_state(error) from None
        if not any(event.type == "instance" for event in history.events):
            self.add(Event("instance", what=backend.instance))

    def add(self, *rows: Event | dict[str, Any]) -> None:
        """Write events; the operating system has them when this returns. NotRecorded if it cannot take them."""
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        try:
            self._file.truncate(self._size)
            if self._size + len(content) > MOST_BYTES:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            written = 0
            while written < len(content):
                written += self._file.write(content[written:])
        except OSError as error:
            raise NotRecorded(f"{self._path} cannot be written: {error.strerror}") from None
        self._size += written

    def reach(self, now: Timestamp) -> None:
        """Write the time, if it is later than before and there is room: what is shown at it is not taken back."""
        if now.monotonic > self._reached_s and not self._file.closed:
            with suppress(NotRecorded):
                self.add(Event("end", at=now.monotonic))
                self._reached_s = now.monotonic

    def close(self, now: Timestamp | None = None) -> None:
        """Write the time, if one is given, and close the file. A second call does nothing."""
        with closing(self._file):
            if now:
                self.reach(now)

    def _no_state(self, error: Exception) -> ValueError:
        return ValueError(f"{self._path} is no sandbox state: {error!s:.500}")


def _digest_of_key(backend: Backend) -> str:
    """Tell the first key from others without holding it: it may be a real one, for a shop that is not changed."""
    return sha256(next(iter(backend.authenticator.keys)).encode()).hexdigest()
