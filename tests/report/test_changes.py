"""What changed from one report or journal to another."""

import json
import os
import re
import shutil
import sqlite3
from decimal import Decimal

import pytest
from reporting import write_journal
from samples import PRODUCT

from giftlib import Journal, process_orders, track_orders
from giftlib.cli import main
from giftlib.report import as_text, compare_reports
from giftlib.report.changes import in_one_line
from giftlib.sandbox import Fault, Sandbox

SLOW = {"fulfilment_median_s": 25.0, "fulfilment_p95_s": 60.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Journals: `quick`, `slow` with another emulator, and `both`, which has the orders of these two."""
    folder = tmp_path_factory.mktemp("journals")
    types = ["type_001", "type_001", "TEST_PARTIAL"] * 10
    write_journal(folder / "quick", seed=1, types=types)
    write_journal(folder / "slow", seed=1, types=types, **SLOW)
    with Journal(folder / "both") as journal:
        journal.merge(folder / "quick", folder / "slow")
    return folder


def rows(changes):
    return {what: row._asdict() for what, row in zip(changes["what"], changes.itertuples(index=False))}


def test_identical(folder, tmp_path):
    """A copy is identical, byte for byte, and nothing of it differs."""
    shutil.copy(folder / "quick", tmp_path / "copy")
    changes = compare_reports(folder / "quick", tmp_path / "copy")
    assert in_one_line(changes) == "Identical, byte for byte."
    assert not changes["verdict"].isin(["differs", "changed"]).any()


def test_slower(folder, capsys):
    """Later orders are shown in the median, its difference and its verdict; the command prints it all."""
    changes = compare_reports(folder / "quick", folder / "slow")
    median = rows(changes)["median time"]
    assert median["verdict"] == "changed" and median["change"].endswith("p < 0.001")
    difference, low, high = map(float, re.findall(r"[+-][\d.]+", median["change"]))
    assert 0 < low < difference < high
    assert abs(difference - (float(median["now"].split()[0]) - float(median["earlier"].split()[0]))) < 0.11
    assert rows(changes)["charged"]["verdict"] == rows(changes)["orders"]["verdict"] == "same"
    assert main(["compare", str(folder / "quick"), str(folder / "slow")]) == 0
    printed = capsys.readouterr().out
    assert printed == as_text(changes) + "\n"
    for cell in (*changes["what"], *changes["now"]):
        assert all(word in printed for word in cell.split())
    assert in_one_line(changes).startswith("Changed: median time +")


def test_same_ids(folder):
    """Orders of two emulators are different orders, even if a seed gave them the same ids."""
    with Journal(folder / "quick") as quick, Journal(folder / "slow") as slow:
        assert quick.orders()["order_id"].isin(slow.orders()["order_id"]).any()
    assert "orders in both" not in rows(compare_reports(folder / "quick", folder / "slow"))


def test_grown(folder):
    """In a journal that grew, the new orders are compared with those before, as if each had a journal of its own."""
    grown, apart = (rows(compare_reports(folder / "quick", folder / name)) for name in ("both", "slow"))
    assert (grown["orders in both"]["now"], grown["orders in both"]["verdict"]) == ("30", "same")
    assert (grown["orders"]["now"], grown["orders"]["change"]) == ("60", "+30")
    for column in ("earlier", "now", "change", "verdict"):
        assert grown["median time, of new orders"][column] == apart["median time"][column]


def test_no_new_order(folder):
    """Orders that both have are not tested against themselves."""
    changes = compare_reports(folder / "both", folder / "quick")
    assert rows(changes)["median time"]["change"] == "no order is new"
    assert not changes["verdict"].isin(["changed", "no change shown"]).any()


def test_gone_on(tmp_path):
    """What became of orders that were open is said."""
    with Sandbox(1, fulfilment_s=400, latency_s=0) as sandbox:
        with Journal(tmp_path / "now") as journal, pytest.warns(UserWarning, match="still being processed"):
            process_orders([(PRODUCT, "TEST_REFUND", 2)] * 2, journal=journal, client=sandbox.client())
        shutil.copy(tmp_path / "now", tmp_path / "earlier")
        with Journal(tmp_path / "now") as journal:
            track_orders(journal.unfinished(), timeout=400, journal=journal, client=sandbox.client())
    found = rows(compare_reports(tmp_path / "earlier", tmp_path / "now"))
    assert found["orders in both"]["change"] == "2 became final"
    assert (found["orders not final"]["earlier"], found["orders not final"]["now"]) == ("2", "0")
    assert found["refunded"]["change"] == "+1,960 DA"


def test_other_amount(folder, tmp_path):
    """The same final order with another amount is named, and the sums differ to the centime."""
    shutil.copy(folder / "quick", tmp_path / "altered")
    with sqlite3.connect(tmp_path / "altered") as db:
        [amount] = db.execute("SELECT refunded_amount FROM orders WHERE number = 3").fetchone()
        db.execute("UPDATE orders SET refunded_amount = ? WHERE number = 3", (str(Decimal(amount) - Decimal("0.01")),))
    db.close()
    found = rows(compare_reports(folder / "quick", tmp_path / "altered"))
    assert found["orders in both"]["change"] == "1 final with other figures"
    assert found["refunded"]["change"] == "-0.01 DA"


def test_failures(folder, tmp_path):
    """Failed polls are counted by what they returned, and the orders that have one are compared."""
    with Sandbox(2, faults=[Fault("*", call=40, times=3, status=503)]) as sandbox, Journal(tmp_path / "now") as journal:
        process_orders([(PRODUCT, "type_001", 1)] * 30, journal=journal, client=sandbox.client())
        failed = journal.polls()["outcome"].eq("SERVICE_UNAVAILABLE").sum()
    found = rows(compare_reports(folder / "quick", tmp_path / "now"))
    assert failed and found["polls with SERVICE_UNAVAILABLE"]["now"] == str(failed)
    assert found["orders with a failed poll"]["verdict"] == "no change shown"
    assert found["outcomes"]["verdict"] == "changed"  # a third was PARTIALLY_FILLED, and none is


@pytest.fixture
def made(folder, tmp_path):
    """Two folders of reports: of each the journal, a page and a manifest."""

    def made(name, manifest, page="page"):
        (tmp_path / name / "figures").mkdir(parents=True)
        shutil.copy(folder / "quick", tmp_path / name / "journal.sqlite")
        (tmp_path / name / "index.html").write_text(page)
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest))
        return tmp_path / name

    return made


def test_versions(made):
    """Versions come from the manifests; provenance alone does not make two reports differ."""
    manifest = {
        "source": {"version": "1.0", "commit": "abc"},
        "provenance": {"python": "3.11.1", "packages": {"x": "1"}},
    }
    one = made("one", manifest)
    other = made("other", manifest | {"provenance": {"python": "3.12.0", "packages": {"x": "1"}}})
    newer = made("newer", manifest | {"source": {"version": "1.1", "commit": "abc"}}, "other page")
    changes = compare_reports(one, other)
    assert in_one_line(changes) == "Identical, byte for byte."
    assert (rows(changes)["Python"]["earlier"], rows(changes)["Python"]["now"]) == ("3.11.1", "3.12.0")
    changes = compare_reports(one, newer)
    assert (rows(changes)["giftlib"]["earlier"], rows(changes)["giftlib"]["now"]) == ("1.0 abc", "1.1 abc")
    assert rows(changes)["files"]["change"] == "data identical, byte for byte; these differ: index.html, manifest.json"


@pytest.mark.parametrize("manifest", [[], "text", {"source": 5, "provenance": [1]}, {"provenance": {"packages": "x"}}])
def test_damaged_manifest(made, manifest):
    """A manifest that is not one is not needed."""
    assert rows(compare_reports(made("one", manifest), made("other", {})))["versions"]["verdict"] == "not compared"


def empty(path):
    Journal(path).close()


@pytest.mark.parametrize("command", ["compare {wrong} {right}", "compare {right} {wrong}",
                                     "report --journal {right} --compare {wrong} --out {out}"])  # fmt: skip
@pytest.mark.parametrize(
    "write",
    [os.mkdir, os.mkfifo, empty, lambda path: path.write_text("no journal"), lambda path: None],
    ids=["folder", "pipe", "no order", "no journal", "nothing"],
)
def test_wrong(folder, tmp_path, capsys, write, command):
    """What cannot be compared is named in one line, before anything is run."""
    wrong, right = tmp_path / "wrong", folder / "quick"
    write(wrong)
    assert main(command.format(wrong=wrong, right=right, out=tmp_path / "out").split()) == 1
    assert re.fullmatch(rf"giftlib: {wrong} .+\n", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()
