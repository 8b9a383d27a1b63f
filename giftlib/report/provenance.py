"""What a report tells machines of itself: from which source it was made, what came of it, and where and when."""

import hashlib
import os
import platform
import re
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any


def sha256(content: bytes) -> str:
    """The SHA-256 of it, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def source_revision() -> dict[str, Any]:
    """The version of giftlib; in a checkout also its commit and whether files in git were changed since (else None)."""
    root = Path(__file__).parents[2]
    commit = _git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    changed = _git(root, "status", "--porcelain", "--untracked-files=no") if commit else None
    return {"version": version("giftlib"), "commit": commit, "changed": None if changed is None else changed != ""}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        elsewhere = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            ["git", "-C", root, *arguments], capture_output=True, text=True, check=True, timeout=30, env=elsewhere
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def provenance() -> dict[str, Any]:
    """When and where this runs, and with which versions: all that may differ between two runs of the same report."""
    needed = [re.split(r"[^\w.-]", line)[0] for line in requires("giftlib") or [] if "extra ==" not in line]
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: version(name) for name in sorted(needed)},
    }
