"""All journals of a report in one file."""

import json
import sqlite3

import pandas as pd
import pytest
from reporting import write_journal

from giftlib import Journal
from giftlib.report.recorded import read_recorded, record


def frames(path):
    with Journal(path) as journal:
        return journal.orders(), journal.polls(), journal.intents()


@pytest.fixture
def journals(tmp_path):
    return {str(seed): write_journal(tmp_path / f"{seed}.sqlite", seed=seed) for seed in (1, 2)}


def test_merge(journals, tmp_path):
    """One journal holds all orders and polls of the others."""
    record(journals.values(), None, tmp_path / "all.sqlite")
    together, apart = frames(tmp_path / "all.sqlite"), [frames(path) for path in journals.values()]
    for number, by in ((0, ["order_id"]), (1, ["order_id", "attempt"])):
        expected = pd.concat([each[number] for each in apart], ignore_index=True)
        frames_of_both = [frame.drop(columns="source") for frame in (together[number], expected)]
        pd.testing.assert_frame_equal(*[frame.sort_values(by, ignore_index=True) for frame in frames_of_both])
    assert together[1]["sent_at"].is_monotonic_increasing
    assert together[0]["order_id"].tolist() == [order_id for each in apart for order_id in each[0]["order_id"]]
    assert together[2]["intent"].tolist() == [1, 2, 3, 4]
    assert together[2]["state"].eq("placed").all()


def test_same_order_id(tmp_path):
    """Different orders with the same id are told apart by their sources."""
    journals = {
        "a": write_journal(tmp_path / "a.sqlite", types=["type_001"]),
        "b": write_journal(tmp_path / "b.sqlite", types=["TEST_REFUND"]),
    }
    record(journals.values(), None, tmp_path / "all.sqlite")
    orders, polls, _ = frames(tmp_path / "all.sqlite")
    first, second = orders["order_id"]
    assert first == second
    assert orders["source"].tolist() == ["emulator", "emulator 2"]
    assert orders["status"].tolist() == ["FULFILLED", "REFUNDED"]
    assert polls.groupby("source").size().to_dict() == orders.set_index("source")["polls"].to_dict()


def test_same_bytes(tmp_path):
    """The same orders and polls are written as the same bytes."""
    for name in ("x", "y"):
        made = {str(seed): write_journal(tmp_path / f"{name}{seed}.sqlite", seed=seed) for seed in (1, 2)}
        record(made.values(), {"b": 1, "a": 2}, tmp_path / name)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_runs(tmp_path):
    """Two runs that wrote to one journal stay apart."""
    path = write_journal(tmp_path / "two.sqlite", types=["type_001"])
    write_journal(path, seed=2, types=["type_001"])
    record([path], None, tmp_path / "all.sqlite")
    with sqlite3.connect(tmp_path / "all.sqlite") as db:
        runs = [run.split()[-1] for (run,) in db.execute("SELECT run FROM intents ORDER BY intent")]
    db.close()
    assert runs == ["1", "2"]


@pytest.mark.parametrize("metadata", [None, [{"environment": "emulator", "settings": {"a": 1}, "orders": 4}]])
def test_metadata(journals, tmp_path, metadata):
    """The metadata is kept in the journal."""
    record(journals.values(), metadata, tmp_path / "all.sqlite")
    assert read_recorded(tmp_path / "all.sqlite").metadata == json.loads(json.dumps(metadata))


def test_no_metadata(journals):
    """A journal that no report made has none."""
    assert read_recorded(journals["1"]).metadata is None


def test_older_metadata(journals):
    """Metadata of an older report, which named the column otherwise, can be read."""
    with sqlite3.connect(journals["1"]) as db:
        db.execute("CREATE TABLE report (note TEXT NOT NULL)")
        db.execute("INSERT INTO report VALUES ('[]')")
    db.close()
    assert read_recorded(journals["1"]).metadata == []


def test_reading_changes_nothing(journals, tmp_path):
    """Reading a kept journal does not change its file."""
    record(journals.values(), None, tmp_path / "all.sqlite")
    before = (tmp_path / "all.sqlite").read_bytes()
    frames(tmp_path / "all.sqlite")
    assert (tmp_path / "all.sqlite").read_bytes() == before
