"""Put a report's files into its folder, whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from giftlib.journal import guarded


def place(content: Mapping[str, bytes], new: Path, out: Path) -> None:
    """Write the files into the folder `new`, and then move them to `out` in the place of those of an earlier report."""
    for name, written in content.items():  # the disk may be full: the report that was there before is still whole then
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).write_bytes(written)
    (out / "figures").mkdir(parents=True, exist_ok=True)
    _remove_figures(out)
    for suffix in ("-wal", "-shm"):  # of a journal that was there before; SQLite would take them for the new one's
        (out / f"journal.sqlite{suffix}").unlink(missing_ok=True)
    for name, written in content.items():
        if not (out / name).exists() or (out / name).read_bytes() != written:
            (new / name).replace(out / name)


def _remove_figures(out: Path) -> None:
    """Remove the figures of the report that was in the folder before, and no other file."""
    try:
        before = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        return
    for figure in (out / "figures").iterdir():
        if f"figures/{figure.name}" in before:
            figure.unlink()


def as_csv(frame: pd.DataFrame) -> bytes:
    """Write a frame so that a spreadsheet takes it as it is."""
    # With another end of line a text with a carriage return would not be quoted, and begin a row of its own.
    text = guarded(frame).to_csv(
        index=False, float_format="%.6f", lineterminator="\r\n", date_format="%Y-%m-%dT%H:%M:%S.%fZ"
    )
    return text.encode()
