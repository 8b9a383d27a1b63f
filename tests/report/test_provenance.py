"""Where a report's orders come from."""

import os
import subprocess

import pandas as pd
import pytest

from giftlib.report.manifest import source_revision
from giftlib.report.recorded import sources_of

VENDOR = {"environment": "vendor", "base_url": "https://api.example", "key_type": "SANDBOX"}
EMULATOR = {"environment": "emulator", "settings": {}}
SLOW = {"environment": "emulator", "settings": {"fulfilment_s": 70, "latency_s": 0}}

KNOWN = pd.DataFrame({"name": ["unknown"], "kind": ["unknown"], "host": [None], "account": [None], "key_type": [None]})


def sources(*notebooks, orders):
    metadata = [{"name": f"{number}_x.ipynb", "orders": n} | about for number, (about, n) in enumerate(notebooks, 1)]
    return [
        (source.description, source.orders["id"].tolist())
        for source in sources_of(metadata, pd.DataFrame({"id": range(orders), "source": "unknown"}), KNOWN)
    ]


def test_one_source():
    """One source needs no list of notebooks."""
    [(description, orders)] = sources((EMULATOR, 2), (EMULATOR, 1), orders=3)
    assert description == (
        "Emulator: measured on the embedded emulator and its simulated clock; not the vendor's figures."
    )
    assert orders == [0, 1, 2]


def test_several_sources():
    """Each source has its orders; the one with most of them comes first."""
    (first, usual), (second, slow) = sources((EMULATOR, 1), (SLOW, 2), (EMULATOR, 3), orders=6)
    assert first.startswith("Emulator: ") and first.endswith(" Notebooks: 1, 3.")
    assert second.endswith(" Settings: fulfilment_s = 70, latency_s = 0. Notebooks: 2.")
    assert (usual, slow) == ([0, 3, 4, 5], [1, 2])


def test_same_size():
    """Of two sources with as many orders, the first notebook's comes first."""
    assert [orders for _, orders in sources((SLOW, 1), (EMULATOR, 1), orders=2)] == [[0], [1]]


def test_vendor_first():
    """Real money comes before a simulation with more orders."""
    assert [orders for _, orders in sources((EMULATOR, 2), (VENDOR, 1), orders=3)] == [[2], [0, 1]]


def test_account():
    """An account, which is a telephone number, is named by its end."""
    known = pd.DataFrame({
        "name": ["vendor"], "kind": ["vendor"], "host": ["api.example"], "account": ["+213600004321"],
        "key_type": ["PRODUCTION"],
    })  # fmt: skip
    [source] = sources_of([], pd.DataFrame({"source": ["vendor"]}), known)
    assert "production key. Account ending in 4321." in source.description
    assert "+2136" not in source.description


def test_two_accounts():
    """Two accounts at one host are judged one by one, whether a notebook placed their orders or not."""
    known = pd.DataFrame({
        "name": ["vendor", "vendor 2"], "kind": ["vendor"] * 2, "host": ["api.example"] * 2,
        "account": ["+213600004321", "+213600008765"], "key_type": ["SANDBOX"] * 2,
    })  # fmt: skip
    orders = pd.DataFrame({"source": ["vendor", "vendor 2", "vendor"]})
    for notebooks in ([], [{"name": "1_x.ipynb", "orders": 3} | VENDOR]):
        first, second = sources_of(notebooks, orders, known)
        assert "Account ending in 4321." in first.description and "8765" not in first.description
        assert "Account ending in 8765." in second.description
        assert [*first.orders.index] == [0, 2]


def test_no_orders():
    """A notebook without orders is no source."""
    [(description, _)] = sources((EMULATOR, 0), (VENDOR, 1), orders=1)
    assert description == (
        "Vendor sandbox: measured on the API at https://api.example with a sandbox key. Notebooks: 2."
    )


def test_other_settings():
    """An emulator that the notebook started itself is shown by its cells."""
    [(description, _)] = sources((EMULATOR | {"settings": None}, 1), orders=1)
    assert description.endswith("The notebook's cells show its settings.")


def test_unknown():
    """Orders after those of the notebooks are of unknown source, and come last among as many."""
    (_, known), (description, unknown) = sources((VENDOR, 2), orders=4)
    assert description == "The journal does not record which API these orders came from."
    assert (known, unknown) == ([0, 1], [2, 3])


def test_too_many():
    """Metadata that counts more orders than there are is an error."""
    with pytest.raises(ValueError, match="counts 7 orders, the journal 2"):
        sources((EMULATOR, 7), orders=2)


def test_revision(monkeypatch):
    """The revision is that of giftlib's checkout, whatever repository the environment names."""
    command = ["git", "rev-parse", "HEAD"]
    there = subprocess.run(command, cwd=os.path.dirname(__file__), capture_output=True, text=True, check=False)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert source_revision()["commit"] == (there.stdout.strip() or None)
