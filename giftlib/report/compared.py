"""What a report, or a journal alone, holds: to be compared with another."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pandas as pd

from giftlib.api import GiftlibError, JournalError
from giftlib.journal import copy_journal
from giftlib.report.manifest import DATA, read_manifest, sha256
from giftlib.report.recorded import UNREADABLE, Recorded, read_recorded


class Compared(NamedTuple):
    """Hold a journal's frames, and what is known of its report: versions, settings, and the SHA-256 of each file.

    `origins` are the APIs and emulators, the most important first; `orders` has a column more that names them.
    """

    orders: pd.DataFrame
    polls: pd.DataFrame
    intents: pd.DataFrame
    origins: list[str]
    versions: dict[str, str]
    settings: dict[str, str]
    files: dict[str, str]


def read_compared(path: Path, *, for_page: bool = False) -> Compared:
    """Read a report's folder, or a journal's file, which stay as they are.

    For a page, what differs from machine to machine is left out, and the page itself. Raises JournalError for what
    cannot be read, and GiftlibError for a folder without a journal and a journal without orders.
    """
    journal = path / "journal.sqlite" if path.is_dir() else path
    if not journal.exists():
        raise GiftlibError(f"{path} must be a report's folder, with journal.sqlite in it, or a journal")
    with TemporaryDirectory() as folder:
        copy = Path(folder, "journal.sqlite")
        copy_journal(journal, copy)
        files = {"journal.sqlite": sha256(copy.read_bytes())}
        manifest = read_manifest(path)
        made = manifest.pop("provenance", {})  # in which two runs of one report differ
        if path.is_dir():
            named = ([] if for_page else ["index.html"]) + [*DATA[1:], "figures/*"]
            paths = (file for name in named for file in sorted(path.glob(name)) if file.is_file())
            files |= {file.relative_to(path).as_posix(): sha256(file.read_bytes()) for file in paths}
            if not for_page:
                files["manifest.json"] = sha256(json.dumps(manifest, sort_keys=True).encode())
        try:
            compared = compared_of(read_recorded(copy), manifest, {} if for_page else made, files)
        except UNREADABLE:
            raise JournalError(f"{journal} is not a journal that can be read") from None
    if compared.orders.empty:
        raise GiftlibError(f"{path} has no orders to compare")
    return compared


def compared_of(recorded: Recorded, manifest: Any, provenance: Any, files: dict[str, str]) -> Compared:
    """Put what a journal holds together with what is known of its report."""
    orders, origins = recorded.orders.assign(origin=""), []
    for source in recorded.sources:
        origins.append(re.sub(r" Notebooks: [^.]*\.", "", source.description))
        orders.loc[source.orders.index, "origin"] = origins[-1]
    versions, settings = _versions(manifest.get("source"), provenance), _settings(recorded.metadata or [])
    return Compared(orders, recorded.polls, recorded.intents, origins, versions, settings, files)


def _versions(source: Any, made: Any) -> dict[str, str]:
    """Name the versions; none where the manifest is not one."""
    try:
        commit, changed = str(source.get("commit") or "")[:12], "and changes" if source.get("changed") else ""
        giftlib = " ".join(filter(None, [source.get("version"), commit, changed]))
        named = {
            "giftlib": giftlib,
            "Python": made.get("python"),
            "SQLite": made.get("sqlite"),
            **made.get("packages", {}),
        }
    except (AttributeError, TypeError):
        return {}
    return {str(name): str(version) for name, version in named.items() if version}


def _settings(metadata: list[Mapping[str, Any]]) -> dict[str, str]:
    """Give all that the notebooks were run with, by the notebook's name and the setting's."""
    found: dict[str, str] = {}
    for notebook in metadata:
        each = {name: notebook.get(name) for name in ("environment", "base_url", "key_type", "seed")}
        each |= {"code": str(notebook.get("sha256"))[:12], **notebook.get("parameters", {})}
        each |= notebook.get("settings") or {}
        found |= {f"{notebook['name']}: {name}": str(value) for name, value in each.items() if value is not None}
    return found
