"""The settings as users have them: checked, changed by name, kept in a file, printed as a table."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from html import escape
from math import inf
from os import PathLike
from pathlib import Path
from textwrap import wrap
from typing import Any

from .settings_table import SettingsTable
from .validators import check_fields, default_of


@dataclass(frozen=True)
class Settings(SettingsTable):
    """Describe the service that a sandbox stands for. A bad value is a ValueError that says what is accepted.

    The table below, which printing them gives too, has each setting's value, meaning, unit and the source of its
    default. Grades: DOC (the vendor's documentation), DOC-REAL (a sample there that looks captured from the service),
    LIVE (seen by a third party); "unknown: chosen" means that no public source says it. Amounts are dinars, as
    `Decimal` or `int`, with at most two decimals.

    >>> from giftlib.sandbox import Settings
    >>> Settings.of(latency_s=0.2).but(partial_rounding="up").changes()
    {'latency_s': 0.2, 'partial_rounding': 'up'}
    """

    def __post_init__(self) -> None:
        if isinstance(self.allowed_ips, list):
            object.__setattr__(self, "allowed_ips", tuple(self.allowed_ips))
        if isinstance(self.prices, Mapping):
            object.__setattr__(self, "prices", dict(self.prices))
        check_fields(self)
        for name in ("fulfilment", "latency"):
            median, p95 = (getattr(self, f"{name}_{quantile}_s") for quantile in ("median", "p95"))
            if p95 < median:
                raise ValueError(f"{name}_p95_s must be seconds, at least {name}_median_s, got {p95!r}")

    @classmethod
    def of(cls, **settings: Any) -> "Settings":
        """Give the defaults with some settings changed; an unknown name is a TypeError that lists the known ones."""
        return cls().but(**settings)

    def but(self, **changes: Any) -> "Settings":
        """Give these settings with some changed; an unknown name is a TypeError that lists the known ones."""
        known = [declared.name for declared in fields(self)]
        for name in changes:
            if name not in known:
                raise TypeError(f"unknown setting {name!r}; accepted are {', '.join(known)}")
        return type(self)(**{name: getattr(self, name) for name in known} | changes)

    def changes(self) -> dict[str, Any]:
        """Give the settings that differ from their defaults, by name."""
        return {
            declared.name: value
            for declared in fields(self)
            if (value := getattr(self, declared.name)) != default_of(declared)
        }

    @classmethod
    def from_json(cls, given: Any) -> "Settings":
        """Read settings from a JSON object: amounts as strings, `math.inf` as "inf". ValueError says what is wrong."""
        if not isinstance(given, dict):
            raise ValueError(f"settings must be a JSON object of names and values, got {type(given).__name__}")
        read = {declared.name: declared.metadata["validator"].read for declared in fields(cls)}
        try:
            return cls.of(**{name: read[name](value) if name in read else value for name, value in given.items()})
        except TypeError as error:
            raise ValueError(f"settings: {error}") from None

    def to_json(self) -> dict[str, Any]:
        """Give `changes()` as the JSON object that `from_json` reads."""
        changes = {name: "inf" if value == inf else value for name, value in self.changes().items()}
        plain: dict[str, Any] = json.loads(json.dumps(changes, default=str))
        return plain

    @classmethod
    def read(cls, path: str | PathLike[str]) -> "Settings":
        """Read a settings file, made by `write` or by hand; a ValueError says what is wrong with it."""
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8"), parse_float=Decimal))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is no settings file: {error}") from None

    def write(self, path: str | PathLike[str]) -> None:
        """Write the settings that differ from their defaults to a JSON file."""
        Path(path).write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")

    def __str__(self) -> str:
        lines = [f"  {'setting':33}{'value':24}meaning (* the value differs from the default)"]
        for mark, name, value, meaning in self._rows():
            first, *more = wrap(meaning, 61)
            short = value if len(value) < 24 else f"{value[:22]}…"
            lines += [f"{mark or ' '} {name:33}{short:24}{first}", *(f"{'':59}{line}" for line in more)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = ["<tr><th></th><th>setting</th><th>value</th><th>meaning</th></tr>"]
        for row in self._rows():
            rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>")
        return f"<table>{''.join(rows)}</table>"

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Give mark, name, value and meaning of each setting."""
        changed = self.changes()
        for declared in fields(self):
            name = declared.name
            yield "*" if name in changed else "", name, str(getattr(self, name)), declared.metadata["meaning"]


Settings.__doc__ = f"{Settings.__doc__}\n{Settings()}\n"
