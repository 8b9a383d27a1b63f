"""Write all orders of a journal as Parquet files in folders by day, for Dask."""

from collections.abc import Iterable
from decimal import Decimal
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from giftlib.api import JournalError, decimals

from .files import PACKAGES
from .frames import AMOUNTS, COLUMN_TYPES, ORDERS, TEXT, UTC_TIME, read_frames
from .tables import Database

_ORDERS_PER_FILE = 100_000


def export_orders(database: Database, directory: str | PathLike[str]) -> None:
    """Write all orders of a journal; see `Journal.to_parquet` for the files and errors."""
    amounts = " UNION ".join(f"SELECT {name} FROM orders" for name in AMOUNTS)
    with database.reading() as db:
        places = [decimals(Decimal(amount)) for (amount,) in db.execute(amounts) if amount is not None]
    frames = read_frames(database, ORDERS, rows=_ORDERS_PER_FILE, trust_lists=True)
    write_orders(frames, directory, decimal_places=max([2, *places]))


def write_orders(frames: Iterable[pd.DataFrame], directory: str | PathLike[str], decimal_places: int) -> None:
    """Write frames of orders to a new or empty directory, in folders by day: all of them, or nothing."""
    try:
        import pyarrow as pa
    except ImportError:
        raise JournalError(PACKAGES[".parquet"]) from None
    directory = Path(directory)
    if directory.exists() and not (directory.is_dir() and next(directory.iterdir(), None) is None):
        raise ValueError(f"directory must be a new or an empty one, got {directory}")
    kinds = {TEXT: pa.string(), "Int64": pa.int64(), float: pa.float64(), UTC_TIME: pa.timestamp("us", "UTC"),
             object: pa.decimal128(38, decimal_places)}  # fmt: skip
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=directory.parent) as scratch:
            whole = Path(scratch, "whole")
            for at, frame in enumerate(frames):
                day = frame["placed_at"].dt.strftime("%Y-%m-%d").astype(object).fillna("unknown")
                schema = pa.schema([*((name, kinds[COLUMN_TYPES[str(name)]]) for name in frame), ("day", pa.string())])
                frame.assign(day=day).to_parquet(
                    whole, index=False, partition_cols=["day"], schema=schema, max_partitions=max(len(frame), 1),
                    basename_template=f"{at:06}-{{i}}.parquet", existing_data_behavior="overwrite_or_ignore",
                )  # fmt: skip
            if not any(whole.glob("**/*.parquet")):
                raise JournalError("there is no order to write")
            if directory.exists():
                directory.rmdir()
            whole.rename(directory)
    except (OSError, pa.ArrowException) as error:
        raise JournalError(f"{directory} cannot be written: {error}") from None
