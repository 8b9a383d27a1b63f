"""Write orders as Parquet files, which Dask reads where its workers are."""

from collections.abc import Iterable
from decimal import Decimal
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from giftlib.api import JournalError, decimals

from .frames import read_orders
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
    write_orders(read_orders(database, chunk_size=_ORDERS_PER_FILE), directory, decimal_places=max(places, 2))


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
    text, number, seconds, amount = pa.string(), pa.int64(), pa.float64(), pa.decimal128(38, decimal_places)
    schema = pa.schema({
        "order_id": text, "product_id": text, "type_id": text, "quantity": number,
        "placed_at": pa.timestamp("us", "UTC"), "status": text, "polls": number,
        "not_done_by_s": seconds, "done_by_s": seconds,
        "open_at_s": seconds, "final_at_s": seconds, "guess_error_s": seconds,
        "fulfilled_quantity": number, "price_per_card": amount, "fulfilled_amount": amount,
        "refunded_quantity": number, "refunded_amount": amount, "problems": text,
        "ref": text, "source": text, "day": text,
    })  # fmt: skip
    by_day = dataset.partitioning(pa.schema({"day": text}), flavor="hive")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=directory.parent) as scratch:
            whole = Path(scratch, "whole")
            for at, frame in enumerate(frames):
                days = frame["placed_at"].dt.strftime("%Y-%m-%d").astype(object).fillna("unknown")
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
