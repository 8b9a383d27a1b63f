"""Write orders as Parquet files, which Dask reads where its workers are."""

from collections.abc import Iterable
from decimal import Decimal
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from giftlib.api import JournalError, decimals

from .frames import COLUMN_TYPES, ORDERS, TEXT, UTC_TIME, read_frames
from .tables import Database

_AMOUNTS = """
SELECT price_per_card FROM orders UNION SELECT fulfilled_amount FROM orders UNION SELECT refunded_amount FROM orders
"""
_ORDERS_PER_FILE = 100_000


def export_orders(database: Database, directory: str | PathLike[str]) -> None:
    """Write all orders of a journal; see `Journal.to_parquet` for the files and errors."""
    with database.reading() as db:
        amounts = db.execute(_AMOUNTS).fetchall()
    places = max((decimals(Decimal(amount)) for (amount,) in amounts if amount is not None), default=2)
    frames = read_frames(database, ORDERS, rows=_ORDERS_PER_FILE, trust_lists=True)
    write_orders(frames, directory, decimal_places=max(places, 2))


def write_orders(frames: Iterable[pd.DataFrame], directory: str | PathLike[str], decimal_places: int) -> None:
    """Write frames of orders to a new or empty directory: all of them, or nothing."""
    try:
        import pyarrow as pa
        from pyarrow import dataset
    except ImportError:
        raise JournalError('Parquet files need pyarrow: pip install "giftlib[scale]"') from None
    directory = Path(directory)
    if directory.exists() and not (directory.is_dir() and next(directory.iterdir(), None) is None):
        raise ValueError(f"directory must be a new or an empty one, got {directory}")
    kinds = {TEXT: pa.string(), "Int64": pa.int64(), float: pa.float64(), UTC_TIME: pa.timestamp("us", "UTC"),
             object: pa.decimal128(38, decimal_places)}  # fmt: skip
    day = pa.field("day", pa.string())
    by_day = dataset.partitioning(pa.schema([day]), flavor="hive")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=directory.parent) as scratch:
            whole = Path(scratch, "whole")
            for at, frame in enumerate(frames):
                days = frame["placed_at"].dt.strftime("%Y-%m-%d").astype(object).fillna("unknown")
                schema = pa.schema([*((name, kinds[COLUMN_TYPES[str(name)]]) for name in frame), day])
                table = pa.Table.from_pandas(frame.assign(day=days), schema, preserve_index=False)
                dataset.write_dataset(
                    table, whole, basename_template=f"{at:06}-{{i}}.parquet", format="parquet", partitioning=by_day,
                    max_partitions=max(len(table), 1), existing_data_behavior="overwrite_or_ignore",
                )  # fmt: skip
            if not any(whole.glob("**/*.parquet")):
                raise JournalError("there is no order to write")
            if directory.exists():
                directory.rmdir()
            whole.rename(directory)
    except (OSError, pa.ArrowException) as error:
        raise JournalError(f"{directory} cannot be written: {error}") from None
