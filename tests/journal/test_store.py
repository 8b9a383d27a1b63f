"""The journal's file: what it keeps, who may write it, and what it never holds."""

import json
import os
import sqlite3
import threading
from contextlib import closing, suppress
from math import inf
from time import monotonic
from unittest import mock

import pandas as pd
import pytest
from processes import PROCESSES
from samples import PRODUCT
from sandbox_checks import place_and_wait

from giftlib import GiftlibError, Journal, JournalError, OrderRequest, PollTimeoutError, poll_order_until_complete
from giftlib.api import Source
from giftlib.clock import SimulatedClock, Timestamp
from giftlib.sandbox import Fault


def test_final_order_stays_final(make_sandbox, journal):
    """An order seen final stays final, with its amounts, though a later poll shows it open."""
    sandbox = make_sandbox(fulfilment_s=1)
    order_id = place_and_wait(sandbox, journal)
    before = journal.orders()
    still_open = {"success": True, "data": {"_id": order_id, "status": "HANDLING"}}
    sandbox.inject(Fault("checkOrder", body=json.dumps(still_open).encode()))
    with pytest.raises(PollTimeoutError):
        poll_order_until_complete(order_id, 1, client=sandbox.client(), journal=journal)
    after = journal.orders()
    assert after["polls"].item() == before["polls"].item() + 1
    pd.testing.assert_frame_equal(after.drop(columns="polls"), before.drop(columns="polls"))


def test_reopened_journal(make_sandbox, tmp_path):
    """A journal that is opened again has the same orders and polls."""
    path = tmp_path / "journal.sqlite"
    sandbox = make_sandbox(fulfilment_s=inf)
    with Journal(path) as journal:
        order_id = place_and_wait(sandbox, journal, timeout=20)
        orders, polls = journal.orders(), journal.polls()
    with Journal(path) as reopened:
        assert reopened.unfinished() == [order_id]
        pd.testing.assert_frame_equal(reopened.orders(), orders)
        pd.testing.assert_frame_equal(reopened.polls(), polls)
        assert repr(reopened) == "Journal(1 orders, 0 final; emulator)"


@pytest.mark.parametrize("error", [None, KeyError])
def test_with_statement(sandbox, tmp_path, error):
    """A with statement closes the journal, whatever ends it, with all that happened in the file."""
    with suppress(KeyError), Journal(tmp_path / "journal.sqlite") as journal:
        place_and_wait(sandbox, journal)
        if error is not None:
            raise error
    with pytest.raises(JournalError, match="closed"):
        journal.orders()
    assert not (tmp_path / "journal.sqlite-wal").exists()
    with Journal(tmp_path / "journal.sqlite") as reopened:
        assert len(reopened.orders()) == 1


def test_saved_copy(sandbox, journal, tmp_path):
    """A saved copy holds the same orders."""
    place_and_wait(sandbox, journal)
    journal.save(tmp_path / "copy.sqlite")
    pd.testing.assert_frame_equal(Journal(tmp_path / "copy.sqlite").orders(), journal.orders())


@pytest.mark.parametrize("content", ["not a database, but some text that is long enough", "another version"])
def test_not_a_journal(tmp_path, content):
    """A file that is not a journal of this version is rejected by name."""
    path = tmp_path / "file"
    if content == "another version":
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA user_version = 99")
    else:
        path.write_text(content * 50)
    with pytest.raises(GiftlibError, match=str(path)):
        Journal(path)


@pytest.mark.parametrize("path", ["/nowhere/at/all.sqlite", 5])
def test_unopenable_path(path):
    """A journal that cannot be opened is an error of giftlib."""
    with pytest.raises(GiftlibError, match="cannot be opened"):
        Journal(path)


def test_two_journals_on_one_file(sandbox, tmp_path):
    """Two journals on one file see each other's orders."""
    path = tmp_path / "journal.sqlite"
    with Journal(path) as first, Journal(path) as second:
        ids = [place_and_wait(sandbox, journal) for journal in (first, second, first)]
        assert first.orders()["order_id"].tolist() == ids
        pd.testing.assert_frame_equal(first.polls(), second.polls())


def write_orders(path, name):
    with Journal(path) as journal:
        for number in range(30):
            sent = Timestamp.now(SimulatedClock())
            intent = journal.intend(OrderRequest(PRODUCT, "type_001", 1), Source(), sent).intent
            journal.placed(intent, f"{name}{number}", sent, Source())
            journal.watch("shared")


def test_processes_on_one_file(tmp_path):
    """Processes that write one new journal at the same time lose nothing."""
    path = tmp_path / "journal.sqlite"
    processes = [PROCESSES.Process(target=write_orders, args=(path, name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    with Journal(path) as journal:
        expected = {f"{name}{number}" for name in "abc" for number in range(30)} | {"shared"}
        assert sorted(journal.unfinished()) == sorted(expected)
        assert journal.intents()["state"].eq("placed").all()


def test_write_after_failed_write(tmp_path):
    """A journal can be written after a write that failed."""
    with Journal(tmp_path / "j") as journal, Journal(tmp_path / "j") as other:
        with pytest.raises(ValueError, match="order_ids must be"):
            journal.watch("fine", "\ud800")
        other.watch("theirs")
        journal.watch("fine")
        assert journal.unfinished() == ["theirs", "fine"]


def test_no_secret_in_file(sandbox, tmp_path):
    """The file holds neither the key nor a code."""
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        place_and_wait(sandbox, journal, quantity=3)
        written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    written += path.read_bytes()
    assert b"type_001" in written
    assert b"SANDBOX-" not in written
    assert sandbox.api_key.encode() not in written


@pytest.mark.parametrize("read", [
    Journal.orders, Journal.polls, Journal.intents, Journal.sources, Journal.unfinished, repr,
    lambda journal: journal.watch("a"), lambda journal: journal.save("x"),
])  # fmt: skip
def test_closed_journal(read):
    """Whatever is done with a journal that is closed is a JournalError."""
    journal = Journal()
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        read(journal)


@pytest.mark.parametrize("table", ["orders", "polls", "intents"])
def test_damaged_journal(sandbox, tmp_path, table):
    """A file that is damaged is a JournalError wherever it is read."""
    path = tmp_path / "j"
    with Journal(path) as journal:
        place_and_wait(sandbox, journal)
    with closing(sqlite3.connect(path)) as db:
        [page] = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    with Journal(path) as journal, pytest.raises(JournalError):
        getattr(journal, table)()


def test_threads(sandbox, tmp_path):
    """A journal works from any thread, and from several at once."""
    journal, failures = Journal(tmp_path / "j"), []

    def write(name):
        try:
            for number in range(15):
                journal.watch(f"{name}{number}")
                assert f"{name}{number}" in journal.unfinished()
                journal.orders()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(journal.unfinished()) == 60
    journal.close()


@pytest.mark.parametrize("replaced", [False, True])
def test_file_that_is_gone(tmp_path, replaced):
    """Nothing is written to a file that was deleted or replaced while it was open."""
    path = tmp_path / "j"
    with Journal(path) as journal:
        journal.watch("a")
        path.unlink()
        if replaced:
            path.write_bytes(b"")
        with pytest.raises(JournalError, match="was deleted or replaced"):
            journal.watch("b")


def test_interrupted_write(tmp_path):
    """An interrupt inside a write leaves no open transaction, here or for others."""
    with Journal(tmp_path / "j") as journal, Journal(tmp_path / "j") as other:
        with (
            mock.patch("giftlib.journal.rows.add_orders", side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            journal.watch("a")
        other.watch("b")
        journal.watch("c")
        assert journal.unfinished() == ["b", "c"]


@pytest.mark.parametrize("statement", [
    "CREATE VIEW v AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n",
    "CREATE TRIGGER t AFTER INSERT ON orders BEGIN DELETE FROM orders; END",
    "CREATE VIRTUAL TABLE f USING fts5(a)",
    "PRAGMA user_version = 99",
])  # fmt: skip
def test_hostile_file(tmp_path, statement):
    """A file with views, triggers or virtual tables, or of a later version, is not opened."""
    Journal(tmp_path / "j").close()
    with closing(sqlite3.connect(tmp_path / "j")) as db:
        db.execute(statement)
    with pytest.raises(JournalError, match="is not a journal that can be opened"):
        Journal(tmp_path / "j")


def test_view_for_a_table(tmp_path):
    """A view that never ends in place of a table is not opened."""
    with closing(sqlite3.connect(tmp_path / "j")) as db:
        db.execute(
            "CREATE VIEW orders AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n"
        )
        db.execute("PRAGMA user_version = 3")
    with pytest.raises(JournalError, match="it has a view"):
        Journal(tmp_path / "j")


def test_odd_path(tmp_path):
    """What is no regular file is not opened, and does not hang."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, "/dev/zero"):
        with pytest.raises(JournalError, match="cannot be opened"):
            Journal(path)


def test_locked_journal(sandbox, tmp_path):
    """A wait ends at its time-out also when another program keeps the journal locked."""
    client = sandbox.client()
    [order_id] = sandbox.add_orders(1)
    with Journal(tmp_path / "j") as journal, closing(sqlite3.connect(tmp_path / "j", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        started = monotonic()
        with pytest.raises(JournalError, match="locked"):
            poll_order_until_complete(order_id, client=client, journal=journal, timeout=0.5)
        assert monotonic() - started < 10


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 5000])
def test_saved_over_a_file(journal, tmp_path, content):
    """A copy overwrites nothing, and an error names its path."""
    (tmp_path / "there").write_bytes(content)
    with pytest.raises(JournalError, match="there cannot be written: there is something already"):
        journal.save(tmp_path / "there")
    assert (tmp_path / "there").read_bytes() == content
    with pytest.raises(JournalError, match="none/copy cannot be written"):
        journal.save(tmp_path / "none" / "copy")


def test_another_working_directory(sandbox, tmp_path, monkeypatch):
    """A journal of a relative path goes on where the program changes its working directory."""
    monkeypatch.chdir(tmp_path)
    with Journal("journal.sqlite") as journal:
        monkeypatch.chdir("/")
        place_and_wait(sandbox, journal)
        assert len(journal.orders()) == 1
