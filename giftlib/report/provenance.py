"""Where a report comes from: the APIs and emulators of its orders, the source of giftlib, the machine and versions."""

import hashlib
import os
import platform
import re
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

_UNKNOWN = "The journal does not record which API these orders came from."


class Source(NamedTuple):
    """An API or an emulator, in words, and the orders that were placed there."""

    description: str
    orders: pd.DataFrame


def sources_of(notebooks: Sequence[Mapping[str, Any]], orders: pd.DataFrame, known: pd.DataFrame) -> list[Source]:
    """List the sources of a report's orders: those of the vendor first, then those with most orders.

    The first is the one that the report judges: real money comes before a simulation, whatever their numbers.

    `notebooks` is the metadata of the notebooks that ran; `orders` has their orders in the same sequence, and after
    them those that no notebook placed, whose sources are `known` (`journal.sources()`). Raises ValueError if the
    metadata counts more orders than there are.
    """
    descriptions = [_description(notebook) for notebook in notebooks]
    if len(set(descriptions)) > 1:
        numbers = pd.Series([notebook["name"].partition("_")[0] for notebook in notebooks])
        together = numbers.groupby(descriptions).agg(", ".join)
        descriptions = [f"{each} Notebooks: {together[each]}." for each in descriptions]
    counts = [notebook["orders"] for notebook in notebooks]
    unknown = len(orders) - sum(counts)
    if unknown < 0:
        raise ValueError(f"the metadata counts {sum(counts)} orders, the journal {len(orders)}")
    names = known.set_index("name").apply(_of_source, axis="columns") if len(known) else pd.Series(dtype=str)
    source_of_each = np.array([*np.repeat(descriptions, counts), *orders["source"].iloc[sum(counts) :].map(names)])
    sources = [
        Source(f"{description}{_accounts(known, frame)}", frame)
        for description, frame in orders.groupby(source_of_each, sort=False)
    ]
    return sorted(sources, key=lambda source: (not source.description.startswith("Vendor"), -len(source.orders)))


def _accounts(known: pd.DataFrame, orders: pd.DataFrame) -> str:
    """Name the accounts by their last digits: an account is a telephone number."""
    real = known["kind"].isin(["vendor", "other"]) & known["name"].isin(orders["source"])
    ends = known.loc[real, "account"].dropna().drop_duplicates().str[-4:]
    return f" Account ending in {', '.join(ends)}." if len(ends) else ""


def _description(notebook: Mapping[str, Any]) -> str:
    if "base_url" in notebook:
        return _of_source({"kind": notebook["environment"], "host": notebook["base_url"], **notebook})
    emulator = "Emulator: measured on the embedded emulator and its simulated clock; not the vendor's figures."
    if notebook["settings"] is None:
        return f"{emulator} The notebook's cells show its settings."
    changed = ", ".join(f"{name} = {value}" for name, value in notebook["settings"].items())
    return f"{emulator} Settings: {changed}." if changed else emulator


def _of_source(source: Mapping[str, Any]) -> str:
    key = str(source["key_type"]).lower()
    return {
        "vendor": f"Vendor {key}: measured on the API at {source['host']} with a {key} key.",
        "other": f"Other host: measured on the API at {source['host']} with a {key} key; it is not the vendor's.",
        "emulator": "Emulator: measured on an emulator; not the vendor's figures.",
    }.get(source["kind"], _UNKNOWN)


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
