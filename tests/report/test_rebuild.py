"""The report of a journal, whatever wrote it."""

import os
import re
import shutil
import sqlite3
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from reporting import OTHERS, files_of, head_of, manifest_of, page_of, write_journal, write_notebook
from samples import ORDER_ID, PRODUCT

from giftlib import Journal, process_orders
from giftlib.cli import main
from giftlib.report.recorded import record
from giftlib.sandbox import Sandbox


def test_own_folder(tmp_path):
    """A journal of several sources that grew is reported whole, into the folder where it lies, and stays as it is."""
    vendor = {"environment": "vendor", "base_url": "https://api.example", "key_type": "SANDBOX"}
    slow = {"environment": "emulator", "settings": {"fulfilment_s": 70, "test_type_price": 1}}
    types = ["type_001", "TEST_REFUND", "TEST_PARTIAL"]
    journals = {
        "1_batch": write_journal(tmp_path / "1", seed=1, types=types),
        "2_slow": write_journal(tmp_path / "2", seed=1, types=types, **slow["settings"]),
        "3_batch": write_journal(tmp_path / "3", seed=1, types=types),
    }
    metadata = [{"name": f"{name}.ipynb", "orders": 3} | (slow if name == "2_slow" else vendor) for name in journals]
    out = tmp_path / "report"
    (out / "figures").mkdir(parents=True)
    for name in ("old.svg", "own.svg"):
        (out / "figures" / name).touch()
    (out / "manifest.json").write_text('{"files": {"figures/old.svg": ""}}')
    record(journals.values(), metadata, out / "journal.sqlite")
    write_journal(out / "journal.sqlite", seed=2, types=["type_001"])
    before = (out / "journal.sqlite").read_bytes()
    assert main(["report", "--journal", str(out / "journal.sqlite"), "--out", str(out)]) == 0
    assert (out / "journal.sqlite").read_bytes() == before
    files = set(files_of(out)) - {"manifest.json"}
    assert files == {*manifest_of(out)["files"], "figures/own.svg"}  # nothing is left of the report before

    first, second, third = re.sub(r"\s+", " ", page_of(out)).split(OTHERS)
    assert "<b>6</b>" in first and "2&nbsp;FULFILLED, 2&nbsp;PARTIALLY_FILLED, 2&nbsp;REFUNDED" in first
    assert "5,880 DA" in first
    assert re.search(
        r"Vendor sandbox: measured on the API at https://api\.example [^<]* Notebooks: 1, 3\..* Journal: ", first
    )
    assert re.match(r"3 orders, 1,962 DA charged, 6 DA refunded\. [^<]*fulfilment_s = 70[^<]* Notebooks: 2\.", second)
    assert re.match("1 orders, .* Emulator: measured on an emulator", third)


FOREIGN = "out must be a new folder or an earlier report's: {} would be replaced, and is not as a report left it; "


@pytest.mark.parametrize("name", ["journal.sqlite", "orders.csv", "index.html", "manifest.json"])
@pytest.mark.parametrize("source", ["--journal", "--notebooks"])
def test_foreign_folder(tmp_path, capsys, name, source):
    """A file that no report wrote, such as the journal that a shop runs on, is not replaced, and no order is placed."""
    write_journal(tmp_path / "other.sqlite", types=["type_001"])
    write_notebook(tmp_path / "1_batch.ipynb", "# None\n---\nimport pathlib; pathlib.Path('ran').touch()")
    shop = tmp_path / "shop"
    shop.mkdir()
    if name == "journal.sqlite":
        write_journal(shop / name)
    else:
        (shop / name).write_text("{}")
    before = files_of(shop)
    given = tmp_path / "other.sqlite" if source == "--journal" else tmp_path
    with pytest.raises(SystemExit, match="2"):
        main(["report", source, str(given), "--out", str(shop)])
    error = capsys.readouterr().err
    assert FOREIGN.format(shop / name) in error and error.count("\n") == 1
    assert files_of(shop) == before and not (tmp_path / "ran").exists()


def test_foreign_picture(tmp_path, capsys):
    """A picture that no report wrote is not replaced."""
    own, picture = write_journal(tmp_path / "own.sqlite", types=["type_001"]), tmp_path / "out/figures/journal-1.svg"
    picture.parent.mkdir(parents=True)
    picture.touch()
    assert main(["report", "--journal", str(own), "--out", str(tmp_path / "out")]) == 1
    assert FOREIGN.format(picture) in capsys.readouterr().err
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [picture]


@pytest.mark.usefixtures("cells_not_run")
def test_report_that_grew(tmp_path, capsys):
    """A report replaces one before, but not a journal of one before that has orders since."""
    shop, other = tmp_path / "shop", write_journal(tmp_path / "other.sqlite", types=["type_001"])
    for _ in range(2):
        assert main(["report", "--journal", str(other), "--out", str(shop)]) == 0
    with Journal(shop / "journal.sqlite") as journal:  # what came is in its log until it is closed
        journal.watch(ORDER_ID)
        with pytest.raises(SystemExit, match="2"):
            main(["report", "--journal", str(other), "--out", str(shop)])
    with pytest.raises(SystemExit, match="2"):
        main(["report", "--journal", str(other), "--out", str(shop)])
    assert FOREIGN.format(shop / "journal.sqlite") in capsys.readouterr().err
    assert main(["report", "--journal", str(shop / "journal.sqlite"), "--out", str(shop)]) == 0


def refunded(path, seed):
    """Place an order that is refunded; give its account's transactions."""
    with Sandbox(seed) as sandbox, Journal(path) as journal:
        process_orders([(PRODUCT, "TEST_REFUND", 2)], journal=journal, client=sandbox.client())
        return pd.DataFrame(map(asdict, sandbox.client().all_transactions()))


def refunds_of(out):
    [check] = [check for check in manifest_of(out)["checks"] if check["name"].startswith("Refunds")]
    return check["name"], check["outcome"]


@pytest.mark.usefixtures("cells_not_run")
def test_transactions_recorded(tmp_path):
    """A report of a reconciled report's journal is reconciled too, and has the same data."""
    path, account, outs = tmp_path / "own.sqlite", tmp_path / "account.csv", [tmp_path / name for name in "abc"]
    refunded(path, 1).to_csv(account, index=False)
    given = ["--transactions", str(account)]
    assert main(["report", "--journal", str(path), "--out", str(outs[0]), *given]) == 0
    recorded = str(outs[0] / "journal.sqlite")
    assert main(["report", "--journal", recorded, "--out", str(outs[1])]) == 0
    assert main(["report", "--journal", recorded, "--out", str(outs[2]), *given]) == 0
    assert [refunds_of(out) for out in outs] == [("Refunds", "green")] * 3
    for name in ("journal.sqlite", "transactions.csv"):
        assert len({(out / name).read_bytes() for out in outs}) == 1
    before = path.rename(tmp_path / "journal.sqlite").read_bytes()
    assert main(["report", "--journal", str(tmp_path / "journal.sqlite"), "--out", str(tmp_path), *given]) == 0
    assert (tmp_path / "journal.sqlite").read_bytes() == before


@pytest.mark.usefixtures("cells_not_run")
def test_transactions_of_two_sources(tmp_path):
    """A report's own transactions.csv is of the sources that it names."""
    path, out = tmp_path / "own.sqlite", tmp_path / "out"
    rows = [refunded(path, seed) for seed in (1, 2)]
    with Journal(path) as journal:
        sources = journal.orders()["source"]
    pd.concat([of.assign(source=name) for of, name in zip(rows, sources, strict=True)]).to_csv(
        tmp_path / "account.csv", index=False
    )
    arguments = ["report", "--journal", str(path), "--out"]
    assert main([*arguments, str(out), "--transactions", str(tmp_path / "account.csv")]) == 0
    assert refunds_of(out) == ("Refunds", "green")
    assert main([*arguments, str(tmp_path / "again"), "--transactions", str(out / "transactions.csv")]) == 0
    assert refunds_of(tmp_path / "again") == ("Refunds", "green")


def open_still(path):
    with (
        Sandbox(1, fulfilment_s=400, latency_s=0) as sandbox,
        Journal(path) as journal,
        pytest.warns(UserWarning, match="still being processed"),
    ):
        process_orders([(PRODUCT, "type_001", 2)], journal=journal, client=sandbox.client())


def watched(path):
    with Journal(path) as journal:
        journal.watch(ORDER_ID)


@pytest.mark.parametrize(
    ("write", "source"),
    [(open_still, "measured on an emulator"), (watched, "does not record which API these orders came from")],
)
def test_any_journal(tmp_path, write, source):
    """A journal is reported without a final order too, and even without a poll; its head says where from."""
    write(tmp_path / "own.sqlite")
    assert main(["report", "--journal", str(tmp_path / "own.sqlite"), "--out", str(tmp_path / "out")]) == 0
    assert source in head_of(tmp_path / "out")


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    return write_journal(tmp_path_factory.mktemp("own") / "own.sqlite", types=["type_001"])


DEEP = "replace(hex(zeroblob(50000)), '0', '[') || replace(hex(zeroblob(50000)), '0', ']')"


@pytest.mark.parametrize(
    "statements",
    [
        ["ALTER TABLE polls RENAME TO looks"],
        *(
            [f"UPDATE orders SET fulfilled_amount = '{amount}'"]
            for amount in ("abc", "-Infinity", "[", "")
        ),
        *(
            [f"UPDATE orders SET problems = {problems}"]
            for problems in ("'{'", "'[1]'", "X'ff'", DEEP)
        ),
        ["UPDATE orders SET quantity = 'many'"],
        ["ALTER TABLE polls RENAME TO looks", "CREATE VIEW polls AS SELECT * FROM looks"],
        ["CREATE TRIGGER sly AFTER INSERT ON polls BEGIN DELETE FROM orders; END"],
        ["CREATE TABLE report (metadata TEXT)", f"INSERT INTO report VALUES ({DEEP})"],
        ["CREATE TABLE report (other TEXT)", "INSERT INTO report VALUES ('x')"],
        *(
            ["CREATE TABLE report (metadata TEXT)", f"INSERT INTO report VALUES ('{metadata}')"]
            for metadata in ("nonsense", "[1]", '"text"', '{"a": 1}', '[{"environment": "vendor", "orders": 1}]',
                             '[{"environment": "emulator", "name": "1.ipynb", "orders": 7}]',
                             '[{"environment": "emulator", "name": "1.ipynb", "settings": "x", "orders": 1}]',
                             '[{"environment": "emulator", "name": "1.ipynb", "settings": {}, "orders": -1}]',
                             '[{"environment": "emulator", "name": "1.ipynb", "settings": {}, "orders": 7}]')
        ),
    ],
)  # fmt: skip
def test_damaged(journal, tmp_path, capsys, statements):
    """A damaged journal is reported in one line."""
    path = shutil.copy(journal, tmp_path / "own.sqlite")
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)
    db.close()
    assert main(["report", "--journal", str(path), "--out", str(tmp_path / "out")]) == 1
    assert re.fullmatch(rf"giftlib: {path} is .+\n", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def other_database(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE orders (id)")
    db.close()


@pytest.mark.parametrize(
    "write",
    [
        lambda path: Journal(path).close(),
        lambda path: path.write_bytes(b"no journal " * 1000),
        lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64),
        lambda path: path.write_bytes(write_journal(path).read_bytes()[:9000]),
        other_database,
    ],
    ids=["no order", "no journal", "encrypted", "cut off", "other database"],
)
def test_nothing_to_report(tmp_path, capsys, write):
    """A journal without orders, and a file that is no journal, are reported in one line."""
    path = tmp_path / "own.sqlite"
    write(path)
    assert main(["report", "--journal", str(path), "--out", str(tmp_path / "out")]) == 1
    assert re.fullmatch(r"giftlib: .+\n", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_no_file(tmp_path, make):
    """A folder, a pipe and a device are no journals, and nobody waits for them."""
    make(tmp_path / "own.sqlite")
    with pytest.raises(SystemExit, match="2"):
        main(["report", "--journal", str(tmp_path / "own.sqlite")])
