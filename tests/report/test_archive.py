import json
import shutil
import sqlite3

import pandas as pd
import pytest

from giftlib import GiftlibError, Journal, process_orders
from giftlib.report.archive import copy_journal, note_of, record
from giftlib.sandbox import Sandbox

PRODUCT = "507f1f77bcf86cd799439011"


def recorded(path, *, seed, kinds=("type_001", "TEST_PARTIAL")):
    """A journal's file, of orders bought from an emulator."""
    with Sandbox(seed) as sandbox:
        journal = process_orders([(PRODUCT, kind, 4) for kind in kinds], client=sandbox.client())
    journal.save(path)
    journal.close()
    return path


def frames(path):
    journal = Journal(path)
    try:
        return journal.orders(), journal.polls(), journal.intents()
    finally:
        journal.close()


@pytest.fixture
def journals(tmp_path):
    return {str(seed): recorded(tmp_path / f"{seed}.sqlite", seed=seed) for seed in (1, 2)}


def test_one_journal_holds_all_orders_and_looks_of_the_others(journals, tmp_path):
    record(journals, None, tmp_path / "all.sqlite")
    together, apart = frames(tmp_path / "all.sqlite"), [frames(path) for path in journals.values()]
    for number in (0, 1):
        expected = pd.concat([each[number] for each in apart], ignore_index=True)
        pd.testing.assert_frame_equal(together[number], expected)
    assert together[2]["intent"].tolist() == [1, 2, 3, 4]
    assert together[2]["state"].eq("placed").all()


def test_different_orders_with_one_id_are_told_apart_by_their_journals_name(tmp_path):
    journals = {
        "a": recorded(tmp_path / "a.sqlite", seed=1, kinds=["type_001"]),
        "b": recorded(tmp_path / "b.sqlite", seed=1, kinds=["TEST_REFUND"]),
    }
    record(journals, None, tmp_path / "all.sqlite")
    orders, polls, _ = frames(tmp_path / "all.sqlite")
    first, second = orders["order_id"]
    assert second == f"b:{first}"
    assert orders["status"].tolist() == ["FULFILLED", "REFUNDED"]
    assert polls.groupby("order_id").size().to_dict() == orders.set_index("order_id")["polls"].to_dict()


def test_the_same_orders_and_looks_are_the_same_bytes(tmp_path):
    for name in ("x", "y"):
        made = {str(seed): recorded(tmp_path / f"{name}{seed}.sqlite", seed=seed) for seed in (1, 2)}
        record(made, {"b": 1, "a": 2}, tmp_path / name)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_runs_stay_apart(tmp_path):
    path = recorded(tmp_path / "two.sqlite", seed=1, kinds=["type_001"])
    again = Journal(path)
    with Sandbox(2) as sandbox:
        process_orders([(PRODUCT, "type_001", 1)], client=sandbox.client(), journal=again)
    again.close()
    record({"two": path}, None, tmp_path / "all.sqlite")
    with sqlite3.connect(tmp_path / "all.sqlite") as db:
        runs = [run for (run,) in db.execute("SELECT run FROM orders ORDER BY intent")]
    db.close()
    assert sorted(runs) == ["two 1", "two 2"]


@pytest.mark.parametrize("note", [None, [{"environment": "emulator", "settings": {"a": 1}}]])
def test_the_note_is_kept(journals, tmp_path, note):
    record(journals, note, tmp_path / "all.sqlite")
    assert note_of(tmp_path / "all.sqlite") == json.loads(json.dumps(note))


def test_a_journal_that_no_report_made_has_no_note(journals):
    assert note_of(journals["1"]) is None


def test_looking_into_a_kept_journal_does_not_change_its_file(journals, tmp_path):
    record(journals, None, tmp_path / "all.sqlite")
    before = (tmp_path / "all.sqlite").read_bytes()
    frames(tmp_path / "all.sqlite")
    assert (tmp_path / "all.sqlite").read_bytes() == before


def test_a_copy_has_what_a_killed_program_left_beside_the_file_and_leaves_it_there(tmp_path):
    written = Journal(tmp_path / "live.sqlite")
    written.watch("6901616fe9e88196b4eb64b3")
    for end in ("", "-wal"):  # as they are when the program is gone before it closed the journal
        shutil.copyfile(tmp_path / f"live.sqlite{end}", tmp_path / f"killed.sqlite{end}")
    written.close()
    before = {path.name: path.read_bytes() for path in tmp_path.glob("killed*")}
    assert len(before) == 2
    copy_journal(tmp_path / "killed.sqlite", tmp_path / "copy.sqlite")
    assert frames(tmp_path / "copy.sqlite")[0]["order_id"].tolist() == ["6901616fe9e88196b4eb64b3"]
    assert {path.name: path.read_bytes() for path in tmp_path.glob("killed*")} == before


def test_a_file_that_is_no_journal_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("dear diary, " * 1000)
    with pytest.raises(GiftlibError, match=r"notes\.txt is not a journal"):
        copy_journal(tmp_path / "notes.txt", tmp_path / "copy.sqlite")
