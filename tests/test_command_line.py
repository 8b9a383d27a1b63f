import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
import requests

from giftlib import Journal, SystemClock, place_order
from giftlib.__main__ import main
from giftlib.sandbox import Sandbox


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


def test_any_client_can_use_the_emulator_that_a_shell_started():
    command = [sys.executable, "-m", "giftlib", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as emulator:
        address, _, key = emulator.stdout.readline().partition("  X-Access-Token: ")
        answer = requests.get(f"{address}/validate", headers={"X-Access-Token": key.strip()}, timeout=10)
        emulator.send_signal(signal.SIGINT)
    assert answer.json()["data"]["apiKey"]["type"] == "SANDBOX"
    assert emulator.returncode == 0
