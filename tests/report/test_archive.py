"""All journals of a report in one file."""

import json
import shutil
import sqlite3
import subprocess
import sys

import pandas as pd
import pytest
from reporting import write_journal
from samples import ORDER_ID

from giftlib import Journal
from giftlib.errors import JournalError
from giftlib.report.archive import copy_journal, metadata_of, record


def frames(path):
    with Journal(path) as journal:
        return journal.orders(), journal.polls(), journal.intents()


@pytest.fixture
def journals(tmp_path):
    return {str(seed): write_journal(tmp_path / f"{seed}.sqlite", seed=seed) for seed in (1, 2)}


def test_merge(journals, tmp_path):
    """One journal holds all orders and polls of the others."""
    record(journals, None, tmp_path / "all.sqlite")
    together, apart = frames(tmp_path / "all.sqlite"), [frames(path) for path in journals.values()]
    for number in (0, 1):
        expected = pd.concat([each[number] for each in apart], ignore_index=True)
        pd.testing.assert_frame_equal(together[number], expected)
    assert together[2]["intent"].tolist() == [1, 2, 3, 4]
    assert together[2]["state"].eq("placed").all()


def test_same_order_id(tmp_path):
    """Different orders with the same id are told apart by their journal's name."""
    journals = {
        "a": write_journal(tmp_path / "a.sqlite", types=["type_001"]),
        "b": write_journal(tmp_path / "b.sqlite", types=["TEST_REFUND"]),
    }
    record(journals, None, tmp_path / "all.sqlite")
    orders, polls, _ = frames(tmp_path / "all.sqlite")
    first, second = orders["order_id"]
    assert second == f"b:{first}"
    assert orders["status"].tolist() == ["FULFILLED", "REFUNDED"]
    assert polls.groupby("order_id").size().to_dict() == orders.set_index("order_id")["polls"].to_dict()


def test_same_bytes(tmp_path):
    """The same orders and polls are written as the same bytes."""
    for name in ("x", "y"):
        made = {str(seed): write_journal(tmp_path / f"{name}{seed}.sqlite", seed=seed) for seed in (1, 2)}
        record(made, {"b": 1, "a": 2}, tmp_path / name)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_runs(tmp_path):
    """Two runs that wrote to one journal stay apart."""
    path = write_journal(tmp_path / "two.sqlite", types=["type_001"])
    write_journal(path, seed=2, types=["type_001"])
    record({"two": path}, None, tmp_path / "all.sqlite")
    with sqlite3.connect(tmp_path / "all.sqlite") as db:
        runs = [run for (run,) in db.execute("SELECT run FROM orders ORDER BY intent")]
    db.close()
    assert sorted(runs) == ["two 1", "two 2"]


@pytest.mark.parametrize("metadata", [None, [{"environment": "emulator", "settings": {"a": 1}}]])
def test_metadata(journals, tmp_path, metadata):
    """The metadata is kept in the journal."""
    record(journals, metadata, tmp_path / "all.sqlite")
    assert metadata_of(tmp_path / "all.sqlite") == json.loads(json.dumps(metadata))


def test_no_metadata(journals):
    """A journal that no report made has none."""
    assert metadata_of(journals["1"]) is None


def test_older_metadata(journals):
    """Metadata of an older report, which named the column otherwise, can be read."""
    with sqlite3.connect(journals["1"]) as db:
        db.execute("CREATE TABLE report (note TEXT NOT NULL)")
        db.execute("INSERT INTO report VALUES ('[1]')")
    db.close()
    assert metadata_of(journals["1"]) == [1]


def test_reading_changes_nothing(journals, tmp_path):
    """Reading a kept journal does not change its file."""
    record(journals, None, tmp_path / "all.sqlite")
    before = (tmp_path / "all.sqlite").read_bytes()
    frames(tmp_path / "all.sqlite")
    assert (tmp_path / "all.sqlite").read_bytes() == before


def test_copy_after_kill(tmp_path):
    """A copy has what a killed program left beside the file, and leaves it there."""
    with Journal(tmp_path / "live.sqlite") as written:
        written.watch(ORDER_ID)
        for suffix in ("", "-wal"):  # as they are when the program is gone before it closed the journal
            shutil.copyfile(tmp_path / f"live.sqlite{suffix}", tmp_path / f"killed.sqlite{suffix}")
    before = {path.name: path.read_bytes() for path in tmp_path.glob("killed*")}
    assert len(before) == 2
    copy_journal(tmp_path / "killed.sqlite", tmp_path / "copy.sqlite")
    assert frames(tmp_path / "copy.sqlite")[0]["order_id"].tolist() == [ORDER_ID]
    assert {path.name: path.read_bytes() for path in tmp_path.glob("killed*")} == before


def test_copy_in_use(tmp_path):
    """A copy is whole, however much a program writes to the journal meanwhile, and has all that was written before."""
    path = tmp_path / "live.sqlite"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        try:
            for _ in range(50):
                written = int(writer.stdout.readline())
                copy_journal(path, tmp_path / "copy.sqlite")
                with sqlite3.connect(tmp_path / "copy.sqlite") as db:
                    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                    assert db.execute("SELECT COUNT(*) FROM orders").fetchone()[0] >= written
                db.close()
        finally:
            writer.kill()


WRITER = """
import sys
from giftlib import Journal
while True:  # with checkpoints, and without a file of SQLite beside it for moments
    with Journal(sys.argv[1]) as journal:
        for _ in range(7):
            start = len(journal.intents()) + len(journal.orders())
            journal.watch(*(f"{start + n:024x}" for n in range(300)))
            print(start + 300, flush=True)
"""


def test_copy_of_link(tmp_path):
    """A copy of a link has what SQLite keeps beside the file itself."""
    (tmp_path / "there").mkdir()
    with Journal(tmp_path / "there" / "live.sqlite") as written:
        written.watch(ORDER_ID)
        (tmp_path / "link.sqlite").symlink_to(tmp_path / "there" / "live.sqlite")
        copy_journal(tmp_path / "link.sqlite", tmp_path / "copy.sqlite")
    assert frames(tmp_path / "copy.sqlite")[0]["order_id"].tolist() == [ORDER_ID]


@pytest.mark.parametrize("files", [[""], ["", "-wal"], ["", "-wal", "-shm"]], ids="+".join)
def test_copy_read_only(tmp_path, files):
    """A journal in a folder that nobody may write to, closed or killed, is copied, and no file comes or changes."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    with Journal(tmp_path / "live.sqlite") as written:
        if len(files) == 1:
            written.close()
            written = Journal(tmp_path / "live.sqlite")
        written.watch(ORDER_ID)
        if len(files) == 1:
            written.close()
        for suffix in files:
            shutil.copyfile(tmp_path / f"live.sqlite{suffix}", folder / f"live.sqlite{suffix}")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    folder.chmod(0o555)
    copy_journal(folder / "live.sqlite", tmp_path / "copy.sqlite")
    folder.chmod(0o755)
    assert frames(tmp_path / "copy.sqlite")[0]["order_id"].tolist() == [ORDER_ID]
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {**after, "live.sqlite-shm": b""} == {**before, "live.sqlite-shm": b""}


def test_no_journal(tmp_path):
    """A file that is no journal is named."""
    (tmp_path / "notes.txt").write_text("dear diary, " * 1000)
    with pytest.raises(JournalError, match=r"notes\.txt is not a journal"):
        copy_journal(tmp_path / "notes.txt", tmp_path / "copy.sqlite")
