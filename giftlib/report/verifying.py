"""Whether a report's files are as they were written."""

import json
from pathlib import Path

from giftlib.api import GiftlibError
from giftlib.report.provenance import sha256


def verify_report(folder: Path) -> tuple[int, list[str]]:
    """Compare the files of a report with the hashes in its manifest: how many there are, and one line per difference.

    Raises GiftlibError for a folder without a manifest that can be read.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "manifest.json").write_text('{"files": {"orders.csv": "5feceb66"}}')
    ...     verify_report(Path(folder))
    (1, ['missing: orders.csv'])
    """
    manifest = folder / "manifest.json"
    try:
        written = dict(json.loads(manifest.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        raise GiftlibError(f"{folder} is not a report: it has no {manifest.name} that can be read") from None
    there = {str(path.relative_to(folder).as_posix()): path for path in folder.rglob("*") if not path.is_dir()}
    del there[manifest.name]
    differences = [f"missing: {name}" for name in sorted(written.keys() - there.keys())]
    differences += [
        f"changed: {name}"
        for name in sorted(written.keys() & there.keys())
        if not there[name].is_file() or sha256(there[name].read_bytes()) != written[name]
    ]
    return len(written), differences + [f"extra: {name}" for name in sorted(there.keys() - written.keys())]


def unmet(out: Path) -> list[str]:
    """Give the required thresholds that the report in the folder `out` does not meet, each with what was found."""
    required = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["required"]
    return [f"required {each['required']}, found {each['found']}" for each in required if not each["met"]]
