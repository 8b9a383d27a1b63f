"""What a report was made from and with, which its manifest keeps, and whether its files are still as written."""

import hashlib
import json
import os
import platform
import re
import sqlite3
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from giftlib.api import GiftlibError

DATA = ("journal.sqlite", "orders.csv", "polls.csv", "transactions.csv")


def sha256(content: bytes) -> str:
    """Hash the content; gives hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def source_revision() -> dict[str, Any]:
    """Name giftlib's version; in a git checkout also the commit, and whether tracked files were changed since."""
    commit, changed = None, None
    root = Path(__file__).parents[2]
    if (root / ".git").exists():
        # A GIT_DIR in the environment would name another repository than the one that giftlib lies in.
        variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        with suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30, env=variables)
            commit, dirty, _ = done.stdout.strip().partition("-dirty")
            changed = dirty != ""
    return {"version": version("giftlib"), "commit": commit, "changed": changed}


def provenance() -> dict[str, Any]:
    """Say when and where this runs, and with which versions: all that may differ between two runs of one report."""
    lines = [line for line in requires("giftlib") or [] if "extra ==" not in line or "notebooks" in line]
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: _version(name) for name in sorted({re.split(r"[^\w.-]", line)[0] for line in lines})},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a report; an empty one where none can be read."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def files_of(folder: Path) -> dict[str, str]:
    """Give the SHA-256 of each file that the manifest names, by the file's name."""
    files = read_manifest(folder).get("files")
    return files if isinstance(files, dict) else {}


def verify_report(folder: Path) -> tuple[int, list[str]]:
    """Compare the files of a report with the hashes in its manifest: how many there are, and one line per difference.

    Raises GiftlibError for a folder without a manifest that can be read.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "manifest.json").write_text('{"files": {"orders.csv": "5feceb66"}}')
    ...     verify_report(Path(folder))
    (1, ['missing: orders.csv'])
    """
    written = files_of(folder)
    if not written:
        raise GiftlibError(f"{folder} is not a report: it has no manifest.json that can be read")
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    del there["manifest.json"]
    differences = [f"missing: {name}" for name in sorted(written.keys() - there.keys())]
    for name in sorted(written.keys() & there.keys()):
        if not there[name].is_file() or sha256(there[name].read_bytes()) != written[name]:
            differences.append(f"changed: {name}")
    return len(written), differences + [f"extra: {name}" for name in sorted(there.keys() - written.keys())]


def unmet(folder: Path) -> list[str]:
    """Give the required thresholds that the report in the folder does not meet, each with what was found."""
    required = read_manifest(folder).get("required", [])
    return [f"required {each['required']}, found {each['found']}" for each in required if not each["met"]]
