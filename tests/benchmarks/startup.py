"""Measure how long giftlib takes to start, beside what it could be compared with. Not part of the suite.

Prints a table of medians over 7 runs, taken in turn so that a busy moment of the machine falls on all alike, and what
the fixtures cost each of 200 tests under `pytest -n 4`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

RUNS = 7
PYTHON = [sys.executable, "-c"]
COMMANDS = {
    "pass": [*PYTHON, "pass"],
    "import giftlib": [*PYTHON, "import giftlib"],
    "import giftlib.sandbox": [*PYTHON, "import giftlib.sandbox"],
    "giftlib --version": [sys.executable, "-m", "giftlib", "--version"],
    "giftlib sandbox, to its first line": [sys.executable, "-m", "giftlib", "sandbox", "--port", "0"],
    "import tornado.web, requests": [*PYTHON, "import tornado.web, requests"],
    "import pandas": [*PYTHON, "import pandas"],
}
TESTS = """
import pytest

@pytest.mark.parametrize("number", range(200))
def test_order(gift_card_client, number):
    gift_card_client.place_order("p", "type_001", 1)
"""
CONFTEST = """
from collections import defaultdict
from statistics import median

took = defaultdict(list)

def pytest_runtest_logreport(report):
    took[report.when].append(1000 * report.duration)

def pytest_terminal_summary(terminalreporter):
    for part in ("setup", "teardown"):
        terminalreporter.write_line(f"| {part} of the fixtures, 200 tests, `pytest -n 4` | {median(took[part]):.1f} |")
"""


def to_first_line(command: list[str]) -> float:
    """Seconds until the command has printed a line or ended."""
    started = perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        took = perf_counter() - started
        if line:
            process.terminate()
    return took


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(1 + RUNS):  # the first fills the disk's cache
        for name, command in COMMANDS.items():
            times[name].append(to_first_line(command))
    print(f"| what | median of {RUNS}, ms |\n|---|---|")
    for name, taken in times.items():
        print(f"| `{name}` | {1000 * median(taken[1:]):.0f} |")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_shop.py").write_text(TESTS)
        (Path(folder) / "conftest.py").write_text(CONFTEST)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--numprocesses=4"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    print(*(line for line in done.stdout.splitlines() if line.startswith("|")), sep="\n")


if __name__ == "__main__":
    main()
