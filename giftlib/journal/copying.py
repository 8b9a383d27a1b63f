"""Copy a journal while it is in use."""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from giftlib.api import JournalError

from .tables import Database, check_regular


def copy_journal(journal: Path, path: Path) -> None:
    """Copy a journal to `path`, even while programs write to it or after one was killed; the original stays as it is.

    The copy is brought up to date. Raise JournalError if the journal cannot be read.
    """
    try:
        original = journal.resolve(strict=True)  # SQLite's files lie beside that, and not beside a link to it
        check_regular(original)
        while not _copied(original, path):
            pass
        Database(path).close()
    except JournalError as error:
        raise JournalError(str(error).replace(str(path), str(journal))) from None
    except (sqlite3.Error, OSError) as error:
        raise JournalError(f"{journal} cannot be read: {error}") from None


def _copied(original: Path, path: Path) -> bool:
    """Copy once; gives False if the original changed meanwhile."""
    for suffix in ("", "-wal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    beside = {suffix: original.with_name(original.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")}
    if beside["-shm"].exists() or beside["-journal"].exists():  # in use, or was when its program was killed
        read_only = f"{original.as_uri()}?mode=ro"
        with closing(sqlite3.connect(read_only, uri=True)) as source, closing(sqlite3.connect(path)) as target:
            source.execute("BEGIN")
            source.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()  # waits for a lock, but not without end
            source.backup(target)
        return True
    before = _state(beside)
    for suffix in ("", "-wal"):  # SQLite would leave files beside the original
        if beside[suffix].exists():
            shutil.copyfile(beside[suffix], path.with_name(path.name + suffix))
    return _state(beside) == before


def _state(files: Mapping[str, Path]) -> list[tuple[int, int] | None]:
    states = [path.stat() if path.exists() else None for path in files.values()]
    return [state and (state.st_size, state.st_mtime_ns) for state in states]
