"""Orders exported to Parquet, and computed by Dask: the same figures as in one frame."""

import os
from decimal import Decimal

import dask
import dask.dataframe as dd
import pandas as pd
import pytest
from dask.distributed import Client as Cluster
from dask.distributed import LocalCluster
from samples import PRODUCT

from giftlib import GiftlibError, Journal, Sandbox, process_orders, refund_totals, time_to_fulfilment
from giftlib.analysis.columns import of_parts
from giftlib.journal import parquet
from giftlib.journal.parquet import write_orders

ITEMS = [("type_001", 1), ("TEST_PARTIAL", 3), ("TEST_REFUND", 2)]


@pytest.fixture(scope="module")
def recorded():
    """A journal of two days: 60 orders placed with it, 3 placed elsewhere and not final."""
    journal = Journal()
    with Sandbox(seed=5) as sandbox:
        client = sandbox.client()
        process_orders([(PRODUCT, *item) for item in ITEMS * 10], client=client, journal=journal)
        sandbox.clock.sleep(86_400)
        process_orders([(PRODUCT, *item) for item in ITEMS * 10], client=client, journal=journal)
        journal.watch(*sandbox.add_orders(3))
    return journal


@pytest.fixture
def exported(recorded, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_ORDERS_PER_FILE", 14)
    recorded.to_parquet(tmp_path / "orders")
    return tmp_path / "orders"


def test_days(recorded, exported):
    """An export holds every order in the folder of its day."""
    back = pd.read_parquet(exported).sort_values("order_id", ignore_index=True)
    days = back.pop("day").astype(str)
    assert sorted(path.name for path in exported.iterdir()) == ["day=2026-01-01", "day=2026-01-02", "day=unknown"]
    orders = recorded.orders().sort_values("order_id", ignore_index=True)
    if int(pd.__version__.split(".")[0]) < 3:
        back = back.astype(orders.dtypes)  # pandas 2 reads texts as objects
    pd.testing.assert_frame_equal(back, orders)
    assert (days == orders["placed_at"].dt.strftime("%Y-%m-%d").fillna("unknown")).all()


def test_decimal_places(recorded, tmp_path):
    """Amounts keep all their decimal places."""
    orders = recorded.orders()[:2].assign(refunded_amount=[Decimal("0.3333"), Decimal("1E+3")])
    write_orders([orders], tmp_path / "orders", decimal_places=4)
    assert list(pd.read_parquet(tmp_path / "orders")["refunded_amount"]) == [Decimal("0.3333"), Decimal(1000)]


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as workers:
        with Cluster(workers) as client:
            yield client


def test_two_processes(recorded, exported, cluster):
    """Two worker processes give the figures of pandas."""
    orders, parts = recorded.orders(), dd.read_parquet(exported, blocksize=None)
    pids = of_parts(parts, ["order_id"], lambda part: pd.DataFrame({"pid": [os.getpid()], "orders": [len(part)]}))
    assert pids["orders"].sum() == len(orders) and set(pids["pid"]) == set(cluster.run(os.getpid).values())
    for outcome in (None, "REFUNDED"):
        one, other = time_to_fulfilment(orders, outcome=outcome), time_to_fulfilment(parts, outcome=outcome)
        pd.testing.assert_frame_equal(one.frame(), other.frame())
        pd.testing.assert_frame_equal(one.band(), other.band())
        assert one.fits == other.fits
    one, other = time_to_fulfilment(orders, "day"), time_to_fulfilment(parts, "day")
    assert list(one) == list(other)
    assert all(one[group].frame().equals(other[group].frame()) for group in one)
    for by in (None, ["day", "type_id"]):
        pd.testing.assert_frame_equal(refund_totals(orders, by), refund_totals(parts, by))


@pytest.mark.parametrize("parts", [1, 4, 25])
def test_any_number_of_parts(recorded, parts):
    """Any number of parts gives the figures of pandas."""
    orders = recorded.orders()
    with dask.config.set({"dataframe.convert-string": False, "scheduler": "synchronous"}):
        frame = dd.from_pandas(orders, npartitions=parts)
        assert time_to_fulfilment(frame).frame().equals(time_to_fulfilment(orders).frame())
        pd.testing.assert_frame_equal(refund_totals(frame, "status"), refund_totals(orders, "status"))


def test_directory_in_use(recorded, exported):
    """A directory in use is left as it is."""
    before = sorted(exported.rglob("*"))
    with pytest.raises(ValueError, match="directory must be a new or an empty one, got .*orders"):
        recorded.to_parquet(exported)
    assert sorted(exported.rglob("*")) == before


def test_empty_directory_and_journal(recorded, tmp_path):
    """An export needs an empty or new directory, and a journal with orders."""
    recorded.to_parquet(tmp_path)
    assert len(pd.read_parquet(tmp_path)) == len(recorded.orders())
    with pytest.raises(GiftlibError, match="no order"):
        Journal().to_parquet(tmp_path / "none")


def test_failed_export(recorded, tmp_path):
    """An export that fails leaves nothing behind."""
    too_long = recorded.orders().assign(refunded_amount=Decimal(10**37))
    with pytest.raises(GiftlibError, match="cannot be written"):
        write_orders([recorded.orders(), too_long], tmp_path / "orders", decimal_places=2)
    (tmp_path / "file").touch()
    with pytest.raises(GiftlibError, match="cannot be written"):
        recorded.to_parquet(tmp_path / "file" / "orders")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
