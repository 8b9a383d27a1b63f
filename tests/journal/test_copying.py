"""A copy of a journal in use is whole, and the original stays as it is."""

import shutil
import sqlite3
import subprocess
import sys

import pytest
from samples import ORDER_ID
from thorough import tries

from giftlib import Journal, JournalError
from giftlib.journal import copy_journal


def orders_in(path):
    with Journal(path) as journal:
        return journal.orders()["order_id"].tolist()


def test_copy_after_kill(tmp_path):
    """A copy has what a killed program left beside the file, and leaves it there."""
    with Journal(tmp_path / "live.sqlite") as written:
        written.watch(ORDER_ID)
        for suffix in ("", "-wal"):  # as they are when the program is gone before it closed the journal
            shutil.copyfile(tmp_path / f"live.sqlite{suffix}", tmp_path / f"killed.sqlite{suffix}")
    before = {path.name: path.read_bytes() for path in tmp_path.glob("killed*")}
    assert len(before) == 2
    copy_journal(tmp_path / "killed.sqlite", tmp_path / "copy.sqlite")
    assert orders_in(tmp_path / "copy.sqlite") == [ORDER_ID]
    assert {path.name: path.read_bytes() for path in tmp_path.glob("killed*")} == before


def test_copy_in_use(tmp_path):
    """A copy is whole, however much a program writes to the journal meanwhile, and has all that was written before."""
    path = tmp_path / "live.sqlite"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        try:
            for _ in range(tries(12, 50)):
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
written = 0
while True:  # with checkpoints, and without a file of SQLite beside it for moments
    with Journal(sys.argv[1]) as journal:
        for _ in range(7):
            journal.watch(*(f"{written + n:024x}" for n in range(300)))
            written += 300
            print(written, flush=True)
"""


def test_copy_of_link(tmp_path):
    """A copy of a link has what SQLite keeps beside the file itself."""
    (tmp_path / "there").mkdir()
    with Journal(tmp_path / "there" / "live.sqlite") as written:
        written.watch(ORDER_ID)
        (tmp_path / "link.sqlite").symlink_to(tmp_path / "there" / "live.sqlite")
        copy_journal(tmp_path / "link.sqlite", tmp_path / "copy.sqlite")
    assert orders_in(tmp_path / "copy.sqlite") == [ORDER_ID]


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
    assert orders_in(tmp_path / "copy.sqlite") == [ORDER_ID]
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {**after, "live.sqlite-shm": b""} == {**before, "live.sqlite-shm": b""}


def test_no_journal(tmp_path):
    """A file that is no journal is named."""
    (tmp_path / "notes.txt").write_text("dear diary, " * 1000)
    with pytest.raises(JournalError, match=r"notes\.txt is not a journal"):
        copy_journal(tmp_path / "notes.txt", tmp_path / "copy.sqlite")
