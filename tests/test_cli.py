import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta

import nbformat
import pytest
import requests

from giftlib import Journal, SystemClock, place_order
from giftlib.cli import main
from giftlib.sandbox import Sandbox, Settings


class ClockThatIsSlow(SystemClock):
    """It is an hour behind, so orders placed by it are old, and nobody waits before the first look."""

    def now_utc(self):
        return super().now_utc() - timedelta(hours=1)


@pytest.fixture
def vendor(monkeypatch):
    with Sandbox(clock=ClockThatIsSlow(), latency_s=0, fulfilment_s=0) as sandbox:
        monkeypatch.setenv("ONECLICKDZ_API_KEY", sandbox.api_key)
        monkeypatch.setenv("ONECLICKDZ_BASE_URL", sandbox.url)
        yield sandbox


def test_orders_are_tracked_from_a_shell(vendor, capsys):
    [order_id] = vendor.add_orders(1)
    assert main(["track", order_id]) == 0
    assert f"{order_id} FULFILLED" in " ".join(capsys.readouterr().out.split())


def test_a_journals_unfinished_orders_are_gone_on_with(vendor, tmp_path):
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    place_order("507f1f77bcf86cd799439011", "type_001", 1, client=vendor.client(), journal=journal)
    journal.close()
    assert main(["track", "--journal", str(path)]) == 0
    reopened = Journal(path)
    assert reopened.unfinished() == []
    reopened.close()


def test_a_bad_order_id_is_told_in_one_line(vendor, capsys):
    assert main(["track", "a/b"]) == 1
    assert capsys.readouterr().err.startswith("giftlib: order_ids must be")


@contextmanager
def emulator(*options, end=signal.SIGINT):
    """A sandbox that a shell started: its process, its API's address and its key."""
    command = [sys.executable, "-m", "giftlib", "sandbox", "--port", "0", *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        address, _, key = process.stdout.readline().partition("  X-Access-Token: ")
        yield process, address, {"X-Access-Token": key.strip()}
        process.send_signal(end)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_any_client_can_use_the_emulator_that_a_shell_started_until_it_is_told_to_stop(end):
    with emulator(end=end) as (process, address, key):
        answer = requests.get(f"{address}/validate", headers=key, timeout=10)
    assert answer.json()["data"]["apiKey"]["type"] == "SANDBOX"
    assert process.returncode == 0


def test_the_emulator_takes_settings_and_keeps_its_state(tmp_path):
    settings, state = tmp_path / "settings.json", tmp_path / "state"
    Settings.of(latency_s=0, balance_currency=True).write(settings)
    wish = {"productId": "p", "typeId": "t", "quantity": 1}
    options = ("--clock", "simulated", "--settings", settings, "--state", state, "--seed", 3)
    ids = []
    for _ in range(2):
        with emulator(*options, "--control") as (_, address, key):
            assert "currency" in requests.get(f"{address}/account/balance", headers=key, timeout=10).json()["data"]
            answer = requests.post(f"{address}/gift-cards/placeOrder", json=wish, headers=key, timeout=10)
            ids.append(answer.json()["data"]["orderId"])
            truth = requests.get(f"{address.removesuffix('/v3')}/_sandbox/truth", timeout=10).json()
            assert list(truth) == ids


def test_a_taken_port_is_told_in_one_line(capsys):
    with Sandbox() as sandbox:
        port = sandbox.url.rpartition(":")[2]
        assert main(["sandbox", "--port", port]) == 1
    assert capsys.readouterr().err == f"giftlib: port {port} is taken; choose another, or --port 0 for a free one\n"


@pytest.mark.parametrize(("option", "told"), [("--settings", "No such file"), ("--state", "is no sandbox state")])
def test_a_bad_file_is_told_in_one_line(tmp_path, capsys, option, told):
    path = tmp_path / "file"
    if option == "--state":
        path.write_text("nonsense\n")
    assert main(["sandbox", "--port", "0", option, str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("giftlib: ") and told in error and error.count("\n") == 1


def saved_by_hand(path):
    """A notebook as an editor saves it, with what differs from save to save."""
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(
                "1 + 1", execution_count=1, metadata={"tags": ["kept"], "collapsed": False, "execution": {"x": "now"}},
                outputs=[nbformat.v4.new_output("execute_result", {"text/plain": "2"}, execution_count=1)],
            )
        ],
        metadata={"language_info": {"name": "python", "version": "3.11.7"}, "widgets": {}},
    )  # fmt: skip
    nbformat.write(notebook, path)


def test_notebooks_are_tidied_with_their_outputs_kept(tmp_path, capsys):
    path = tmp_path / "1_own.ipynb"
    saved_by_hand(path)
    command = ["notebooks", "--notebooks", str(tmp_path)]
    assert (main([*command, "--check"]), capsys.readouterr().out) == (1, f"{path} is not tidy\n")
    assert (main([*command, "--tidy"]), capsys.readouterr().out) == (0, f"{path} tidied\n")
    assert (main([*command, "--check"]), capsys.readouterr().out) == (0, "")
    notebook = nbformat.read(path, as_version=4)
    [cell] = notebook.cells
    assert (cell.metadata, cell.execution_count, cell.outputs[0].data) == ({"tags": ["kept"]}, 1, {"text/plain": "2"})
    assert notebook.metadata.language_info == {"name": "python"}
