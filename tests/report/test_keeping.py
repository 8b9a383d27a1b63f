"""A report that ends before its time: its orders, which may be real ones, are kept."""

import re
import shlex
import signal
import subprocess
import sys
from threading import Thread
from time import monotonic, sleep

import pytest
from reporting import PLACE, write_notebook
from samples import PRODUCT
from sandbox_checks import SlowClock

from giftlib import Journal
from giftlib.cli import main
from giftlib.sandbox import Sandbox

WAIT = "import pathlib, time\npathlib.Path('ready').touch()\ntime.sleep(60)"


@pytest.fixture
def report(tmp_path):
    """Arguments that report the notebook `1_first`, whose last cell is given, from a folder into another."""

    def arguments(last):
        (tmp_path / "a b").mkdir()
        write_notebook(tmp_path / "a b" / "1_first.ipynb", f"{PLACE}---\n{last}")
        return ["report", "--notebooks", str(tmp_path / "a b"), "--out", str(tmp_path / "a b" / "out")]

    return arguments


def kept(error):
    """The journal that the error names, in two lines that a shell takes."""
    commands = [shlex.split(line) for line in error.splitlines() if line.startswith("  giftlib ")]
    assert [command[1:3] for command in commands] == [["track", "--journal"], ["report", "--journal"]]
    [path] = {command[3] for command in commands}
    return path


def left(folder):
    return {re.sub("report-.*", "report", path.name) for path in folder.iterdir() if path.name != "ready"}


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ("raise ValueError('no')", "1_first.ipynb, cell 4: ValueError: no"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "1_first.ipynb, cell 4: the kernel died"),
        (
            "from matplotlib import pyplot as plt\nplt.title('$\\\\frac{$')\nplt.show()",
            "1_first.ipynb, cell 4: ValueError: ",
        ),
        (
            "plt = __import__('matplotlib.pyplot').pyplot\nplt.title('$\\\\frac{$');",
            "1_first.ipynb, cell 4: ValueError: ",
        ),
    ],
    ids=["cell", "kernel", "figure", "figure at the end"],
)
def test_failed(report, tmp_path, capfd, last, message):
    """What fails is named in one line, and then where the orders are and what to do with them."""
    assert main(report(last)) == 1
    error = capfd.readouterr().err
    assert error.startswith(f"giftlib: {message}")
    with Journal(kept(error)) as journal:
        assert (len(journal.orders()), len(journal.polls()) > 0) == (3, True)
    assert left(tmp_path / "a b") == {"1_first.ipynb", "giftlib-report"}


@pytest.fixture
def interruptible():
    """Make SIGINT raise KeyboardInterrupt, also where this was started in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signal(report, tmp_path, capfd, interruptible, name):
    """A signal ends the report at once, and the orders are kept."""

    def interrupt():
        wait_for(tmp_path / "a b" / "ready")
        signal.raise_signal(getattr(signal, name))

    thread = Thread(target=interrupt)
    thread.start()
    assert main(report(WAIT)) == 1
    thread.join()
    error = capfd.readouterr().err
    assert error.splitlines()[-4] == "giftlib: interrupted"
    with Journal(kept(error)) as journal:
        assert len(journal.orders()) == 3
    assert left(tmp_path / "a b") == {"1_first.ipynb", "giftlib-report"}


def test_killed(report, tmp_path):
    """A report that is killed leaves its journals in a folder beside the report's."""
    with subprocess.Popen([sys.executable, "-m", "giftlib", *report(WAIT)]) as process:
        wait_for(tmp_path / "a b" / "ready")
        process.kill()
    [path] = tmp_path.glob("a b/giftlib-report-*/journals/*.sqlite")
    with Journal(path) as journal:
        assert len(journal.orders()) == 3


def wait_for(path):
    end = monotonic() + 60
    while not path.exists():
        assert monotonic() < end
        sleep(0.01)


def test_not_written(report, tmp_path, capfd, monkeypatch):
    """A page that cannot be written, as on a full disk, loses neither the orders nor the report before."""
    arguments, out = report("1"), tmp_path / "a b" / "out"
    (out / "figures").mkdir(parents=True)
    before = {
        "index.html": b"page",
        "figures/own.svg": b"",
        "manifest.json": b'{"files": {"figures/own.svg": "", "index.html": ""}}',
    }
    for name, content in before.items():
        (out / name).write_bytes(content)
    monkeypatch.setattr("giftlib.report.build.provenance", full_disk)
    assert main(arguments) == 1
    error = capfd.readouterr().err
    assert error.startswith("giftlib: [Errno 28] No space left on device\n")
    with Journal(kept(error)) as journal:
        assert len(journal.orders()) == 3
    assert {name: (out / name).read_bytes() for name in before} == before


def full_disk(*_):
    raise OSError(28, "No space left on device")


def test_not_merged(report, tmp_path, capfd, monkeypatch):
    """Where not even one journal can be made of all, they stay as they are."""
    monkeypatch.setattr("giftlib.journal.Journal.merge", full_disk)
    assert main(report("1 / 0")) == 1
    folder = capfd.readouterr().err.splitlines()[-1].removeprefix("The orders placed so far are in the journals in ")
    [path] = tmp_path.glob("a b/giftlib-report-*/journals/*.sqlite")
    assert str(path.parent) == folder
    with Journal(path) as journal:
        assert len(journal.orders()) == 3


def test_go_on(tmp_path, capfd, monkeypatch):
    """An order that was placed with a key is gone on with by the line that the error gives."""
    cells = f"""
# One order
---
from giftlib import Journal, connect, place_order
place_order("{PRODUCT}", "type_001", 2, client=connect(), journal=Journal())
1 / 0
"""
    write_notebook(tmp_path / "1_order.ipynb", cells, parameters=None)
    with Sandbox(clock=SlowClock(), latency_s=0, fulfilment_s=0) as vendor:
        monkeypatch.setenv("ONECLICKDZ_API_KEY", vendor.api_key)
        monkeypatch.setenv("ONECLICKDZ_BASE_URL", vendor.url)
        assert main(["report", "--notebooks", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
        path = kept(capfd.readouterr().err)
        vendor.clock.set_right()
        assert main(["track", "--journal", path]) == 0
    assert "FULFILLED" in capfd.readouterr().out
