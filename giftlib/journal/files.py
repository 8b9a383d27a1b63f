"""Write the journal's frames to files that people open, and read them back as they were: Excel, CSV, Parquet."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import BadZipFile

import pandas as pd
from pandas.api.types import is_object_dtype, is_string_dtype

from giftlib.api import JournalError

from .frames import AMOUNTS, COLUMN_TYPES, TEXT, TIMES, UTC_TIME

PACKAGES = {".parquet": 'Parquet files need pyarrow: pip install "giftlib[scale]"',
            ".xlsx": 'Excel files need openpyxl: pip install "giftlib[excel]"'}  # fmt: skip
_FORMULA = re.compile(r"[='@+\-\t\r\n\uff1d\uff20\uff0b\uff0d]|#(NULL!|DIV/0!|VALUE!|REF!|NAME\?|NUM!|N/A)$|$")
"""A spreadsheet would run such a text, read it as an error, or drop it; `guarded` puts an apostrophe before it."""
_NO_TEXT = re.compile("[\ud800-\udfff]")
_NO_TEXT_IN_EXCEL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]|.{32768}", re.DOTALL)
_EXACT, _MILLISECOND = "_exact", pd.Timedelta(milliseconds=1)
_MOST_ROWS = 2**20 - 1


def write_frame(frame: pd.DataFrame, path: str | PathLike[str]) -> None:
    """Write `journal.orders()`, `journal.polls()` or a part of them to a file, which is replaced if it is there.

    The name decides: .csv, .xlsx (needs openpyxl, `pip install "giftlib[excel]"`) or .parquet (needs pyarrow). Columns
    of your own may be among them. `read_orders` and `read_polls` read all three back.

    An apostrophe is put before a text or a name that a spreadsheet would run as a formula. Excel has no time zones and
    shows milliseconds: times are in UTC there, the exact ones as text in the last columns (`placed_at_exact`); those in
    a zone of your own are local times. It holds amounts as numbers up to 15 digits, as texts beyond, and 16 digits of
    seconds.

    Raise ValueError for another name, too many rows for Excel, two columns of one name, or a text that such a file
    cannot hold; JournalError for a missing package, OSError if the file cannot be written. A file that was there is
    still there then.

    >>> from giftlib import Sandbox, process_orders, read_orders, write_frame
    >>> with Sandbox(seed=1) as sandbox:
    ...     journal = process_orders([("507f1f77bcf86cd799439011", "TEST_PARTIAL", 4)], client=sandbox.client())
    >>> write_frame(journal.orders(), "orders.csv")
    >>> read_orders("orders.csv").equals(journal.orders())
    True
    """
    suffix, target = _suffix_of(path), Path(path).resolve()
    if len(frame) > _MOST_ROWS and suffix == ".xlsx":
        raise ValueError(f"frame must have at most {_MOST_ROWS} rows for Excel, got {len(frame)}")
    if not frame.columns.is_unique:
        raise ValueError(f"frame must have each column once, got two {frame.columns[frame.columns.duplicated()][0]!r}")
    if suffix != ".parquet":
        frame = guarded(frame)
    _check_texts(frame, _NO_TEXT_IN_EXCEL if suffix == ".xlsx" else _NO_TEXT)
    try:
        with TemporaryDirectory(dir=target.parent) as scratch:
            written = Path(scratch, f"frame{suffix}")
            if suffix == ".parquet":
                frame.to_parquet(written, index=False)
            elif suffix == ".csv":
                frame.to_csv(written, index=False, lineterminator="\r\n")
            else:
                with pd.ExcelWriter(written, engine="openpyxl", datetime_format="yyyy-mm-dd hh:mm:ss.000") as book:
                    _for_excel(frame).to_excel(book, index=False, freeze_panes=(1, 1))
            written.replace(target)
    except ImportError:
        raise JournalError(PACKAGES[suffix]) from None


def read_orders(path: str | PathLike[str]) -> pd.DataFrame:
    """Read orders from a file that `write_frame`, `Journal.to_parquet` or a report wrote, as `journal.orders()` gives them.

    Amounts are exact, times in UTC, ids such as "007" or "NA" texts, and what is missing stays missing. Columns of your
    own are texts, but for Parquet. Empty rows are left out. Raise ValueError for a file that holds no orders, a row without
    an order_id, and for what is no number or time where one must be, JournalError for a missing package.

    >>> from giftlib import Journal, read_orders, write_frame
    >>> write_frame(Journal().orders(), "orders.csv")
    >>> len(read_orders("orders.csv"))
    0
    """  # noqa: E501
    return _read(path, "status")


def read_polls(path: str | PathLike[str]) -> pd.DataFrame:
    """Read polls from a file, as `journal.polls()` gives them; otherwise as `read_orders`.

    >>> from giftlib import Journal, read_polls, write_frame
    >>> write_frame(Journal().polls(), "polls.csv")
    >>> len(read_polls("polls.csv"))
    0
    """
    return _read(path, "attempt")


def guarded(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a copy that a spreadsheet takes as it is: an apostrophe stands before what it would run or drop."""
    frame = frame.copy()
    for name in _text_columns(frame):
        blank = "" if name == "problems" else "'"  # an order without a problem has the empty text there
        dtype = object if isinstance(frame[name].dtype, pd.CategoricalDtype) else frame[name].dtype
        frame[name] = pd.Series([_guarded(value, blank) for value in frame[name]], index=frame.index, dtype=dtype)
    return frame.rename(columns=_guarded)


def _guarded(value: Any, blank: str = "'") -> Any:
    if not isinstance(value, str) or not _FORMULA.match(value):
        return value
    return "'" + value if value else blank


def _text_columns(frame: pd.DataFrame) -> list[Any]:
    kinds = {name: getattr(dtype, "categories", frame[name]).dtype for name, dtype in frame.dtypes.items()}
    return [name for name, kind in kinds.items() if is_string_dtype(kind) or is_object_dtype(kind)]


def _check_texts(frame: pd.DataFrame, refused: re.Pattern[str]) -> None:
    columns = {"frame.columns": frame.columns, **{str(name): frame[name] for name in _text_columns(frame)}}
    for name, values in columns.items():
        for value in values:
            if isinstance(value, str) and refused.search(value):
                raise ValueError(f"{name} must hold texts that such a file can hold, got {value!r:.80}")


def _suffix_of(path: str | PathLike[str]) -> str:
    suffix = ".parquet" if Path(path).is_dir() else Path(path).suffix.lower()
    if suffix not in (".csv", *PACKAGES):
        raise ValueError(f"path must end in .csv, .xlsx or .parquet, got {str(path)!r}")
    return suffix


def _for_excel(frame: pd.DataFrame) -> pd.DataFrame:
    exact = {}
    for name in frame:
        if isinstance(frame[name].dtype, pd.DatetimeTZDtype):
            times = frame[name]
            if name in TIMES:
                times = times.dt.tz_convert(UTC)
                exact[f"{name}{_EXACT}"] = times.map(lambda time: time.isoformat(), na_action="ignore").astype(TEXT)
            frame[name] = times.dt.tz_localize(None).dt.round("ms")
        elif name in AMOUNTS:
            frame[name] = frame[name].map(_amount_for_excel, na_action="ignore").astype(object)
    return frame.assign(**exact)


def _amount_for_excel(amount: Any) -> Any:
    short = f"{float(amount):.15g}"  # so many digits Excel keeps
    return float(amount) if Decimal(short) == amount else str(amount)


def _read(path: str | PathLike[str], needed: str) -> pd.DataFrame:
    suffix = _suffix_of(path)
    as_they_are: dict[str, Any] = {"dtype": object, "keep_default_na": False, "na_values": [""]}
    try:
        if suffix == ".parquet":
            read = pd.read_parquet(path)
        elif suffix == ".csv":
            read = pd.read_csv(path, encoding="utf-8-sig", **as_they_are)
        else:
            read = pd.read_excel(path, engine="openpyxl", **as_they_are)
    except ImportError:
        raise JournalError(PACKAGES[suffix]) from None
    except (ValueError, KeyError, BadZipFile) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if suffix != ".parquet":
        read = read.rename(columns=lambda name: str(name).removeprefix("'")).dropna(how="all")
    for name in ("order_id", needed):
        if name not in read:
            raise ValueError(f"{path} must have the column {name!r}, got {', '.join(map(str, read))}")
    if suffix == ".parquet":
        if Path(path).is_dir():
            read = read.drop(columns="day", errors="ignore")  # of the folders
        read = read.reset_index(drop=True)
        read = read.assign(**{name: _typed(read[name], path) for name in AMOUNTS if name in read})  # Dask writes texts
        return read.astype({name: COLUMN_TYPES[name] for name in read if name in COLUMN_TYPES})
    if (nameless := read["order_id"].isna()).any():
        row, first = read.index[nameless][0], read[nameless].iloc[0].dropna().iloc[0]
        raise ValueError(f"{path} must have an order_id in each row, got none in row {row + 2}, with {first!r}")
    frame = pd.DataFrame({name: _typed(read[name], path) for name in read})
    for name in TIMES:
        if name in frame and (exact := f"{name}{_EXACT}") in frame:
            times = frame.pop(exact)
            frame[name] = times.where((times - frame[name]).abs() <= _MILLISECOND, frame[name])  # else it was edited
    return frame


def _typed(raw: pd.Series, path: str | PathLike[str]) -> pd.Series:
    name = str(raw.name)
    kind = UTC_TIME if name.removesuffix(_EXACT) in TIMES else COLUMN_TYPES.get(name, TEXT)
    parse, accepted = _PARSERS[kind]
    values = []
    for value in raw:
        try:
            if kind != TEXT and (isinstance(value, bool) or "_" in str(value)):
                raise ValueError  # Python would read a number
            values.append(None if pd.isna(value) else parse(value))
        except (ValueError, ArithmeticError, TypeError):
            raise ValueError(f"{path}: {name} must hold {accepted}, got {value!r}") from None
    column = pd.Series(values, dtype=kind)
    return column.fillna("") if name == "problems" else column


def _count(value: Any) -> int:
    number = Decimal(str(value))
    if number != int(number):
        raise ValueError
    return int(number)


def _amount(value: Any) -> Decimal:
    amount = Decimal(str(value) if isinstance(value, str | Decimal) else f"{value:.15g}")
    if not amount.is_finite():
        raise ValueError
    return amount


def _time(value: Any) -> datetime:
    time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


_PARSERS: dict[Any, tuple[Callable[[Any], Any], str]] = {
    TEXT: (lambda value: str(value).removeprefix("'"), "texts"),
    "Int64": (_count, "whole numbers"),
    float: (float, "numbers"),
    object: (_amount, "amounts"),
    UTC_TIME: (_time, "ISO 8601 times"),
}
