"""A journal knows where each order was placed: two emulators, another host, or one that is not known."""

import shutil
import sqlite3
import warnings
from contextlib import closing

import pandas as pd
import pytest
from samples import PRODUCT
from sandbox_checks import contains_truth

from giftlib import (
    Client,
    InvalidRequestError,
    Journal,
    JournalError,
    Sandbox,
    SystemClock,
    place_order,
    plot_poll_timelines,
    poll_order_until_complete,
    process_orders,
    reconcile_refunds,
    recover_orders,
    refund_totals,
    time_to_fulfilment,
    track_orders,
)
from giftlib.api import source as source_module
from giftlib.sandbox import Fault

PARTIAL, FULL = (PRODUCT, "TEST_PARTIAL", 2), (PRODUCT, "type_001", 2)


def batch(journal, item, **settings):
    """Ten orders of an item, at a new emulator that has the usual seed."""
    with Sandbox(**settings) as sandbox:
        process_orders([item] * 10, client=sandbox.client(), journal=journal)


def test_same_seed_twice(journal):
    """Two emulators of one seed give the same ids to different orders, and the journal keeps all of them."""
    batch(journal, PARTIAL, fulfilment_s=12)
    [before] = refund_totals(journal.orders())["refunded"]
    batch(journal, FULL, fulfilment_s=2)
    orders = journal.orders()
    assert len(orders) == 20 and orders["order_id"].nunique() == 10
    assert journal.sources()[["name", "orders", "final"]].to_numpy().tolist() == [
        ["emulator", 10, 10],
        ["emulator 2", 10, 10],
    ]
    assert refund_totals(orders)["refunded"].item() == before
    slow, fast = (time_to_fulfilment(part) for _, part in orders.groupby("source"))
    assert fast.quantile(0.5)[-1] < 10 < slow.quantile(0.5)[-1]
    assert journal.polls().groupby("source")["order_id"].nunique().tolist() == [10, 10]
    assert journal.intents()["state"].eq("placed").all()


def test_restarted_emulator(tmp_path, journal):
    """An emulator that goes on from its state file is the same source, one that was reset is another."""
    for _ in range(2):
        with Sandbox(state=tmp_path / "state") as sandbox:
            place_order(*FULL, client=sandbox.client(), journal=journal)
    assert journal.sources()["orders"].tolist() == [2]
    with Sandbox() as sandbox:
        client = sandbox.client()
        place_order(*FULL, client=client, journal=journal)
        sandbox.reset()
        place_order(*FULL, client=client, journal=journal)
    assert journal.sources()["orders"].tolist() == [2, 1, 1]


@pytest.fixture
def vendor(monkeypatch):
    """An emulator that stands for the vendor: it does not name itself, and its host is the vendor's."""
    with Sandbox(7, clock=SystemClock(), latency_s=0, fulfilment_s=0, rate_limit_per_minute=None) as sandbox:
        monkeypatch.setattr(source_module, "DEFAULT_BASE_URL", sandbox.url)
        yield sandbox


def test_foreign_order(vendor, sandbox, tmp_path):
    """The vendor's open orders are not asked of an emulator, and nothing is written."""
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        order_id = place_order(*FULL, client=Client(vendor.api_key, vendor.url), journal=journal)
        assert journal.sources()["kind"].tolist() == ["vendor"]
        for wait in (
            lambda: track_orders(journal.unfinished(), client=sandbox.client(), journal=journal),
            lambda: poll_order_until_complete(order_id, client=sandbox.client(), journal=journal),
        ):
            with pytest.raises(JournalError, match="vendor .*set ONECLICKDZ_API_KEY to a SANDBOX key of account"):
                wait()
        assert len(recover_orders(journal, sandbox.client())) == 0
        assert len(journal.orders()) == 1 and journal.polls().empty
        assert journal.unfinished(sandbox.client().source) == []
        track_orders(journal.unfinished(), interval=0.01, client=Client(vendor.api_key, vendor.url), journal=journal)
        assert journal.orders()["status"].tolist() == ["FULFILLED"]


def test_lost_order_stays_its_sources(vendor, sandbox, journal):
    """An order request that was lost at the vendor is searched for there alone."""
    client = Client(vendor.api_key, vendor.url)
    client.validate()
    with vendor.refusing(), pytest.raises(Exception, match="placeOrder"):
        place_order(*FULL, client=client, journal=journal)
    assert len(recover_orders(journal, sandbox.client())) == 0


def test_unknown_source(journal, sandbox):
    """An order that is remembered without a source is the source's that shows it."""
    [open_order] = sandbox.add_orders(1)
    journal.watch(open_order)
    assert journal.sources()["kind"].tolist() == ["unknown"]
    track_orders(journal.unfinished(sandbox.client().source), client=sandbox.client(), journal=journal)
    assert journal.orders()[["source", "status"]].to_numpy().tolist() == [["emulator", "FULFILLED"]]


def test_unknown_source_elsewhere(journal, sandbox):
    """An API that does not know such an order leaves no trace in the journal."""
    journal.watch("elsewhere")
    with pytest.warns(UserWarning, match="cannot be polled"):
        track_orders(journal.unfinished(), client=sandbox.client(), journal=journal)
    assert len(journal.polls()) == 0
    assert journal.sources()["orders"].tolist() == [1]


@pytest.mark.parametrize("version", [0, 1, 2, 4, 99])
@pytest.mark.parametrize("read", [Journal, lambda path: Journal().merge(path)])
def test_another_version(tmp_path, version, read):
    """A file of another version, or another program's, is refused, with the way out, and stays as it is."""
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"CREATE TABLE orders (order_id TEXT); PRAGMA user_version = {version}")
    before = path.read_bytes()
    way_out = f"version {version} .* reads version 3: the giftlib that wrote it"
    with pytest.raises(JournalError, match=way_out if version else "another program's"):
        read(path)
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


def test_merge(tmp_path, journal):
    """Journals are brought together: each source keeps its orders, and what both hold stands once."""
    for name, item in (("a", PARTIAL), ("b", FULL)):
        with Journal(tmp_path / name) as one:
            batch(one, item)
    shutil.copy(tmp_path / "a", tmp_path / "copy of a")
    journal.merge(tmp_path / "a", tmp_path / "b", tmp_path / "copy of a")
    orders = journal.orders()
    assert journal.sources()["orders"].tolist() == [10, 10]
    for name, source in (("a", "emulator"), ("b", "emulator 2")):
        with Journal(tmp_path / name) as one:
            for expected, merged in ((one.orders(), orders), (one.polls(), journal.polls())):
                found = merged[merged["source"] == source].reset_index(drop=True)
                pd.testing.assert_frame_equal(found.drop(columns="source"), expected.drop(columns="source"))
    assert len(journal.intents()) == len(orders) == 20


def test_merge_keeps_final(tmp_path, sandbox):
    """An order seen final stays final, whichever journal saw it."""
    client = sandbox.client()
    with Journal(tmp_path / "early") as early:
        order_id = place_order(*PARTIAL, client=client, journal=early, ref="a")
    shutil.copy(tmp_path / "early", tmp_path / "late")
    with Journal(tmp_path / "late") as late:
        poll_order_until_complete(order_id, client=client, journal=late)
    for first, second in (("early", "late"), ("late", "early")):
        with Journal(tmp_path / f"{first}+{second}") as merged:
            merged.merge(tmp_path / first, tmp_path / second)
            assert merged.orders()["status"].tolist() == ["PARTIALLY_FILLED"]
            assert place_order(*PARTIAL, client=client, journal=merged, ref="a") == order_id


def test_merge_of_clashing_refs(tmp_path, sandbox, journal):
    """A ref that stands for different orders in two journals is an error, and nothing is added."""
    for name in "ab":
        with Journal(tmp_path / name) as one:
            place_order(*FULL, client=sandbox.client(), journal=one, ref="line 1")
    journal.merge(tmp_path / "a")
    with pytest.raises(JournalError, match="ref 'line 1' stands for another request"):
        journal.merge(tmp_path / "b")
    assert len(journal.orders()) == 1
    with pytest.raises(JournalError, match="cannot be read"):
        journal.merge(tmp_path / "none")


@pytest.mark.parametrize("into_backup", [False, True])
def test_merge_of_a_retried_ref(tmp_path, make_sandbox, into_backup):
    """A backup of before a retry can be merged, and into it: of a ref's requests the one that was placed stays."""
    client = make_sandbox(faults=[Fault("placeOrder", status=400)]).client()
    with Journal(tmp_path / "live") as live:
        with pytest.raises(InvalidRequestError):
            place_order(*PARTIAL, client=client, journal=live, ref="r1")
        live.save(tmp_path / "backup")
        live.save(tmp_path / "again")
        order_id = place_order(*PARTIAL, client=client, journal=live, ref="r1")
    into, *others = ["backup", "again", "live"] if into_backup else ["live", "backup"]
    with Journal(tmp_path / into) as merged:
        merged.merge(*(tmp_path / other for other in others))
        assert merged.intents()[["state", "order_id"]].to_numpy().tolist() == [["placed", order_id]]
        assert place_order(*PARTIAL, client=client, journal=merged, ref="r1") == order_id


def test_nothing_to_merge(tmp_path, journal):
    """An empty file is no journal, and what is no name of a file is named."""
    (tmp_path / "empty").touch()
    with pytest.raises(JournalError, match="empty is no journal: it is empty"):
        journal.merge(tmp_path / "empty")
    for wrong in (None, Journal()):
        with pytest.raises(ValueError, match="paths must be names of files, got"):
            journal.merge(wrong)


def test_sources_apart(journal):
    """Orders of two emulators that have the same ids are two rows of a plot, and not reconciled with one account."""
    for item in (PARTIAL, FULL):
        batch(journal, item)
    orders = journal.orders()
    assert len(plot_poll_timelines(journal.polls(), orders).get_yticks()) == 20
    with pytest.raises(ValueError, match="orders must be of one source, .* got emulator, emulator 2"):
        reconcile_refunds(orders, [])


@pytest.mark.parametrize("reverse", [False, True])
def test_merge_in_any_sequence(tmp_path, reverse):
    """Polls of two programs are in the order in which they were made, and bound the orders, however they are merged."""
    paths = [tmp_path / "first.sqlite", tmp_path / "second.sqlite"]
    with Sandbox(seed=2, fulfilment_s=42) as sandbox:
        ids = sandbox.add_orders(8)
        for path, timeout in zip(paths, (30, 300), strict=True):
            with Journal(path) as journal, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                track_orders(ids, client=sandbox.client(), journal=journal, timeout=timeout)
    with Journal() as merged:
        merged.merge(*(paths[::-1] if reverse else paths))
        orders, polls = merged.orders(), merged.polls()
    assert polls["sent_at"].is_monotonic_increasing
    assert (orders["done_by_s"] - orders["not_done_by_s"]).max() < 12
    assert contains_truth(orders, sandbox.truth())
