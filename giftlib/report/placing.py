"""Put a report's files into its folder, whole or not at all."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from giftlib.journal import guarded


def place(content: Mapping[str, bytes], new: Path, out: Path) -> None:
    """Write the files into the folder `new`, and then move them to `out` in the place of those of an earlier report."""
    for name, written in content.items():  # the disk may be full: the report that was there before is still whole then
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).write_bytes(written)
    (out / "figures").mkdir(parents=True, exist_ok=True)
    _remove_old(out, content)
    for suffix in ("-wal", "-shm"):  # of a journal that was there before; SQLite would take them for the new one's
        (out / f"journal.sqlite{suffix}").unlink(missing_ok=True)
    for name, written in content.items():
        if not (out / name).exists() or (out / name).read_bytes() != written:
            (new / name).replace(out / name)


def _remove_old(out: Path, content: Collection[str]) -> None:
    """Remove the files of the report that was in the folder before and that this one lacks, and no other file."""
    try:
        before = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        return
    for path in (out / "transactions.csv", *(out / "figures").iterdir()):
        if path.is_file() and (name := path.relative_to(out).as_posix()) in before and name not in content:
            path.unlink()


def as_csv(frame: pd.DataFrame) -> bytes:
    """Write a frame so that a spreadsheet takes it as it is."""
    # With another end of line a text with a carriage return would not be quoted, and begin a row of its own.
    text = guarded(frame).to_csv(
        index=False, float_format="%.6f", lineterminator="\r\n", date_format="%Y-%m-%dT%H:%M:%S.%fZ"
    )
    return text.encode()
