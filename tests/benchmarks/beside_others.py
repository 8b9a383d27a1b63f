"""Measure how long the emulator takes to start, and its memory then, beside others. Not part of the suite.

Needs Node, and fetches the others into a folder that it removes. Prints the table of docs/benchmarks.md: medians over 7
runs, taken in turn so that a busy moment of the machine falls on all alike.
"""

import resource
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import psutil
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from giftlib.sandbox import Sandbox

RUNS = 7
MOTO, MOUNTEBANK, PRISM = "moto[server]==5.2.5", "mountebank@2.9.1", "@stoplight/prism-cli@5.14.2"


def install(folder: Path) -> dict[str, tuple[list[str], str]]:
    """Fetch the others; give for each its command, but for the port, and what it is asked."""
    with Sandbox() as sandbox:
        description = requests.get(f"{sandbox.url}/openapi.json", timeout=5).text
    (folder / "openapi.json").write_text(description, encoding="utf-8")
    uv = [sys.executable, "-m", "uv", "--quiet"]
    for command in (
        [*uv, "venv", "--python", sys.executable, "env"],
        [*uv, "pip", "install", "--python", "env", MOTO],
        ["npm", "install", "--silent", "--no-fund", "--no-audit", MOUNTEBANK, PRISM],
    ):
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    programs = folder / "node_modules" / ".bin"
    return {
        "`giftlib sandbox`": ([sys.executable, "-m", "giftlib", "sandbox", "--port"], "/v3/ping"),
        MOTO: ([str(folder / "env" / "bin" / "moto_server"), "--port"], "/moto-api/data.json"),
        MOUNTEBANK: ([str(programs / "mb"), "start", "--nologfile", "--port"], "/"),
        PRISM: ([str(programs / "prism"), "mock", "openapi.json", "--port"], "/v3/ping"),
    }


def to_first_response(command: list[str], path: str, folder: Path) -> list[float]:
    """Start a server; give the ms until it has answered well, its processor time in ms and its memory in MB then."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    session, url = requests.Session(), f"http://127.0.0.1:{port}"
    session.mount(url, HTTPAdapter(max_retries=Retry(total=5000, backoff_factor=0.01, backoff_max=0.01, read=0)))
    session.trust_env = False
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = perf_counter()
    with subprocess.Popen([*command, port], cwd=folder, **quiet) as process:
        session.get(url + path, timeout=30).raise_for_status()
        took = perf_counter() - started
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        busy = sum(sum(member.cpu_times()[:2]) for member in family)
        memory = sum(member.memory_info().rss for member in family)
        for member in family:
            member.terminate()
    return [1000 * took, 1000 * busy, memory / 1e6]


def imports() -> list[float]:
    """Give the ms, and the processor time in ms, that Python takes to import an HTTP server and client."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    subprocess.run([sys.executable, "-c", "import tornado.web, requests"], check=True)
    took, after = perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return [1000 * took, 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = install(folder)
        bare = []
        seen: dict[str, list[list[float]]] = {name: [] for name in commands}
        for _ in range(1 + RUNS):  # the first fills the disk's cache
            bare.append(imports())
            for server, (command, path) in commands.items():
                seen[server].append(to_first_response(command, path, folder))
    base, base_busy = (median(values) for values in zip(*bare[1:], strict=True))
    print("| server | to its first response, ms | times the imports | processor time, ms | memory, MB |")
    print("|---|---|---|---|---|")
    print(f'| `python -c "import tornado.web, requests"`, to its end | {base:.0f} | 1 | {base_busy:.0f} | |')
    for server, runs in seen.items():
        took, busy, memory = (median(values) for values in zip(*runs[1:], strict=True))
        print(f"| {server} | {took:.0f} | {took / base:.2f} | {busy:.0f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
