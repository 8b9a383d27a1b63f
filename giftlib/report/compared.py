"""What a report, or a journal alone, holds: to be compared with another."""

import json
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pandas as pd

from giftlib.api import GiftlibError, JournalError
from giftlib.journal import Journal, copy_journal
from giftlib.report.archive import metadata_of
from giftlib.report.provenance import sha256, sources_of

UNREADABLE = (
    JournalError, sqlite3.Error, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError
)  # fmt: skip
"""What a damaged journal may raise."""
DATA = ("journal.sqlite", "orders.csv", "polls.csv", "transactions.csv")
_IDENTITIES = """
SELECT json_array(kind, account, key_type, instance, order_id) FROM orders JOIN sources USING (source) ORDER BY number
"""


class Compared(NamedTuple):
    """Hold a journal's frames, with the metadata, manifest and files of its report where there is one.

    `origins` are the APIs and emulators, the most important first. `orders` has two columns more: `origin`, and
    `identity`, which is the same for the same order in another journal (as for `Journal.merge`). `files` has the
    SHA-256 of each file by its name.
    """

    orders: pd.DataFrame
    polls: pd.DataFrame
    intents: pd.DataFrame
    origins: list[str]
    metadata: list[dict[str, Any]]
    manifest: Mapping[str, Any]
    files: dict[str, str]

    def as_on_page(self) -> "Compared":
        """Leave out what differs from machine to machine, and the page itself."""
        manifest = {name: value for name, value in self.manifest.items() if name != "provenance"}
        files = {name: digest for name, digest in self.files.items() if name not in ("index.html", "manifest.json")}
        return self._replace(manifest=manifest, files=files)

    def versions(self) -> dict[str, str]:
        """Give the versions that the manifest names."""
        parts = (self.manifest.get(name) for name in ("source", "provenance"))
        source, made = (part if isinstance(part, dict) else {} for part in parts)
        packages = made["packages"] if isinstance(made.get("packages"), dict) else {}
        revision = [
            source.get("version"),
            str(source.get("commit") or "")[:12],
            source.get("changed") and "and changes",
        ]
        of_giftlib = " ".join(str(part) for part in revision if part)
        named = {"giftlib": of_giftlib, "Python": made.get("python"), "SQLite": made.get("sqlite"), **packages}
        return {str(name): str(version) for name, version in named.items() if version}

    def settings(self) -> dict[str, str]:
        """Give all that the notebooks were run with, by the notebook's name and the setting's."""
        found: dict[str, str] = {}
        for notebook in self.metadata:
            each = {name: notebook.get(name) for name in ("environment", "base_url", "key_type", "seed")}
            each |= {"code": str(notebook.get("sha256"))[:12], **notebook.get("parameters", {})}
            each |= notebook.get("settings") or {}
            found |= {f"{notebook['name']}: {name}": str(value) for name, value in each.items() if value is not None}
        return found


def read_compared(path: Path) -> Compared:
    """Read a report's folder, or a journal's file, which stay as they are.

    Raises JournalError for what cannot be read, and GiftlibError for a folder without a journal and a journal without
    orders.
    """
    journal = path / "journal.sqlite" if path.is_dir() else path
    if not journal.exists():
        raise GiftlibError(f"{path} must be a report's folder, with journal.sqlite in it, or a journal")
    with TemporaryDirectory() as folder:
        copy = Path(folder, "journal.sqlite")
        copy_journal(journal, copy)
        manifest = _manifest(path) if path.is_dir() else {}
        files = {"journal.sqlite": sha256(copy.read_bytes())} | (_files(path, manifest) if path.is_dir() else {})
        try:
            recorded = compared_of(copy, manifest, files)
        except UNREADABLE:
            raise JournalError(f"{journal} is not a journal that can be read") from None
    if recorded.orders.empty:
        raise GiftlibError(f"{path} has no orders to compare")
    return recorded


def compared_of(journal: Path, manifest: Mapping[str, Any], files: dict[str, str]) -> Compared:
    """Read a journal's file, and put it together with what is known of its report."""
    with Journal(journal) as opened:
        orders, polls, intents, sources = opened.orders(), opened.polls(), opened.intents(), opened.sources()
    with closing(sqlite3.connect(journal)) as db:
        orders["identity"] = [identity for (identity,) in db.execute(_IDENTITIES)]
    metadata = metadata_of(journal) or []
    origins = []
    for source in sources_of(metadata, orders, sources):
        origins.append(re.sub(r" Notebooks: [^.]*\.", "", source.description))
        orders.loc[source.orders.index, "origin"] = origins[-1]
    return Compared(orders, polls, intents, origins, metadata, manifest, files)


def _manifest(report: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((report / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _files(report: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Hash the files of a report; its manifest without the provenance, in which two runs of one report differ."""
    paths = [*(report / name for name in ("index.html", *DATA[1:])), *sorted(report.glob("figures/*"))]
    files = {path.relative_to(report).as_posix(): sha256(path.read_bytes()) for path in paths if path.is_file()}
    about = {name: value for name, value in manifest.items() if name != "provenance"}
    return files | {"manifest.json": sha256(json.dumps(about, sort_keys=True).encode())}
