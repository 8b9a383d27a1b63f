"""The command line, as a shell uses it."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from decimal import Decimal

import pytest
import requests
from sandbox_checks import SlowClock

import giftlib
from giftlib import Client, Journal, OrderOutcomeUnknownError, place_order
from giftlib.cli import main
from giftlib.sandbox import Fault, Sandbox, Settings


@pytest.fixture
def vendor(monkeypatch):
    with Sandbox(clock=SlowClock(), latency_s=0, fulfilment_s=0) as sandbox:
        monkeypatch.setenv("ONECLICKDZ_API_KEY", sandbox.api_key)
        monkeypatch.setenv("ONECLICKDZ_BASE_URL", sandbox.url)
        yield sandbox


def test_track(vendor, capsys):
    """Orders are polled from a shell until they are final."""
    [order_id] = vendor.add_orders(1)
    vendor.clock.set_right()
    assert main(["track", order_id]) == 0
    assert f"{order_id} emulator FULFILLED" in " ".join(capsys.readouterr().out.split())


def test_track_journal(vendor, tmp_path):
    """A journal's unfinished orders are gone on with."""
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    place_order("507f1f77bcf86cd799439011", "type_001", 1, client=vendor.client(), journal=journal)
    journal.close()
    vendor.clock.set_right()
    assert main(["track", "--journal", str(path)]) == 0
    reopened = Journal(path)
    assert reopened.unfinished() == []
    reopened.close()


def test_track_unknown_id(vendor):
    """An order that the API does not know is not taken for a final one."""
    [order_id] = vendor.add_orders(1)
    vendor.clock.set_right()
    with pytest.warns(UserWarning, match="1 orders cannot be polled"):
        assert main(["track", order_id, "6" * 24]) == 1


def test_track_bad_id(vendor, capsys):
    """A bad order id is reported in one line."""
    assert main(["track", "a/b"]) == 1
    assert capsys.readouterr().err.startswith("giftlib: order_ids must be")


@contextmanager
def emulator(*options, end=signal.SIGINT):
    """A sandbox that a shell started: its process, its API's address and its key."""
    command = [sys.executable, "-m", "giftlib", "sandbox", "--port", "0", *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        shown = dict(re.findall("^export (.*?)=(.*)$", "".join(process.stdout.readline() for _ in range(2)), re.M))
        address, key = f"{shown['ONECLICKDZ_BASE_URL']}/v3", shown["ONECLICKDZ_API_KEY"]
        yield process, address, {"X-Access-Token": key}
        process.send_signal(end)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_sandbox(end):
    """Any client can use the emulator that a shell started, until a signal stops it."""
    with emulator(end=end) as (process, address, key):
        response = requests.get(f"{address}/validate", headers=key, timeout=10)
    assert response.json()["data"]["apiKey"]["type"] == "SANDBOX"
    assert process.returncode == 0


def test_sandbox_settings_and_state(tmp_path):
    """The emulator takes settings from a file and keeps its state in another."""
    settings, state = tmp_path / "settings.json", tmp_path / "state"
    Settings.of(latency_s=0, balance_currency=True).write(settings)
    order = {"productId": "p", "typeId": "t", "quantity": 1}
    options = ("--clock", "simulated", "--settings", settings, "--state", state, "--seed", 3)
    ids = []
    for _ in range(2):
        with emulator(*options, "--control") as (_, address, key):
            assert "currency" in requests.get(f"{address}/account/balance", headers=key, timeout=10).json()["data"]
            response = requests.post(f"{address}/gift-cards/placeOrder", json=order, headers=key, timeout=10)
            ids.append(response.json()["data"]["orderId"])
            truth = requests.get(f"{address.removesuffix('/v3')}/_sandbox/truth", timeout=10).json()
            assert list(truth) == ids


def test_sandbox_options(tmp_path):
    """Key, settings over those of the file, and names of the control address are given in the shell, each repeated."""
    Settings.of(latency_s=0, partial_rounding="up", fulfilment_s=9).write(tmp_path / "settings.json")
    options = ["--api-key", "my-test-key", "--settings", tmp_path / "settings.json", "--set", "fulfilment_s=0"]
    options += ["--set", "wrong_method=405", "--set", "opening_balance=1e5", "--set", 'prices={"t": 99.50}']
    options += ["--set", 'outcomes={"t": {"delivered": 1}}', "--control", "--allow-host", "one", "--allow-host", "two"]
    with emulator(*options) as (_, address, key):
        control = f"{address.removesuffix('/v3')}/_sandbox/settings"
        told = [requests.get(control, headers={"Host": name}, timeout=10) for name in ("one", "two", "three")]
        client = Client("my-test-key", address)
        placed = [client.place_order("p", type_id, 3) for type_id in ("t", "TEST_PARTIAL")]
        delivered = [client.check_order_status(order_id).fulfilled_quantity for order_id in placed]
        balance, deleted = client.balance(), requests.delete(f"{address}/account/balance", headers=key, timeout=10)
    assert key == {"X-Access-Token": "my-test-key"}
    assert [response.status_code for response in told] == [200, 200, 403]
    assert delivered == [1, 2]
    assert balance == 100000 - Decimal("99.50") - 980 and deleted.status_code == 405


def test_sandbox_taken_port(capsys):
    with Sandbox() as sandbox:
        port = sandbox.url.rpartition(":")[2]
        assert main(["sandbox", "--port", port]) == 1
    assert capsys.readouterr().err == f"giftlib: port {port} is taken; choose another, or --port 0 for a free one\n"


@pytest.mark.parametrize(("option", "problem"), [("--settings", "No such file"), ("--state", "is no sandbox state")])
def test_sandbox_bad_file(tmp_path, capsys, option, problem):
    """A bad file is reported in one line."""
    path = tmp_path / "file"
    if option == "--state":
        path.write_text("nonsense\n")
    assert main(["sandbox", "--port", "0", option, str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("giftlib: ") and problem in error and error.count("\n") == 1


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"giftlib {giftlib.__version__}\n"


def test_report_without_notebooks(tmp_path, monkeypatch, capsys):
    """Outside a checkout one line says where notebooks come from."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["report"])
    error = capsys.readouterr().err
    assert error.startswith("giftlib report: error: no folder notebooks; giftlib's notebooks come with its source")
    assert error.count("\n") == 1


def test_report_without_extra():
    """A package that the extra brings and that is missing is named, with the command that installs it."""
    code = "import sys; sys.modules['nbformat'] = None; import giftlib.cli as c; sys.exit(c.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "report", "--journal", __file__]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == 'giftlib: the report needs nbformat: pip install "giftlib[notebooks]"\n'


def test_track_typo(tmp_path, capsys):
    """A journal that does not exist is an error, and no file is made."""
    with pytest.raises(SystemExit):
        main(["track", "--journal", str(tmp_path / "typo")])
    assert "must be a file, got" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_track_without_key(tmp_path, monkeypatch, capsys):
    """An order of another API is not asked of the emulator, its journal stays as it is, and what is missing is said."""
    path = tmp_path / "journal.sqlite"
    with Sandbox() as there, Journal(path) as journal:
        order_id = place_order("507f1f77bcf86cd799439011", "type_001", 1, client=there.client(), journal=journal)
        account = there.client().validate().username
    monkeypatch.delenv("ONECLICKDZ_API_KEY", raising=False)
    monkeypatch.delenv("ONECLICKDZ_BASE_URL", raising=False)
    assert main(["track", "--journal", str(path)]) == 1
    captured = capsys.readouterr()
    assert f"order {order_id} belongs to another source (emulator" in captured.err
    assert f"set ONECLICKDZ_API_KEY to a SANDBOX key of account {account}" in captured.err
    with Journal(path) as journal:
        assert journal.polls().empty and len(journal.sources()) == 1


@pytest.mark.parametrize("environment", [{"PYTHONOPTIMIZE": "2"}, {"PYTHONIOENCODING": "ascii"}])
def test_unusual_interpreters(tmp_path, environment):
    """Commands work without docstrings, and print what the output's encoding lacks as escapes."""
    path = tmp_path / "journal.sqlite"
    with Sandbox(clock=SlowClock(), latency_s=0, fulfilment_s=0) as sandbox:
        environment |= {"ONECLICKDZ_API_KEY": sandbox.api_key, "ONECLICKDZ_BASE_URL": sandbox.url}
        with Journal(path) as journal:
            sandbox.inject(Fault("placeOrder", cut="before"))
            with pytest.raises(OrderOutcomeUnknownError):
                place_order("p", "بطاقة", 1, client=sandbox.client(), journal=journal)
        command = [sys.executable, "-m", "giftlib", "track", "--journal", str(path)]
        done = subprocess.run(command, capture_output=True, env={**os.environ, **environment}, check=False)
    assert not done.stderr
    assert b"unknown outcome" in done.stdout
