"""What others' tools make of the description: openapi-generator's clients in three languages, prism, spectral.

Needs Java, Node and PHP, and fetches the tools: see docs/emulator.md. The suite has `test_generated_client.py`.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from requests.adapters import HTTPAdapter
from samples import PRODUCT
from urllib3 import Retry

from giftlib.sandbox import Sandbox

PROGRAMS = Path(__file__).parent / "generated"
UV = [sys.executable, "-m", "uv", "run", "--no-project", "--quiet", "--with"]
GENERATE = [*UV, "openapi-generator-cli==7.26.0", "openapi-generator-cli", "generate"]
NPX = ["npx", "--yes", "--package"]
PRISM = [*NPX, "@stoplight/prism-cli@5.14.2", "prism"]
SPECTRAL = [*NPX, "@stoplight/spectral-cli@6.16.3", "spectral", "lint", "--ruleset", "ruleset.yaml", "--format", "json"]
LEFT = {
    "info-contact": "an emulator has nobody to write to",
    "operation-description": "the summary says it all",
    "operation-tags": "nine operations need no groups",
}


@pytest.fixture
def sandbox():
    with Sandbox(latency_s=0, fulfilment_s=0) as sandbox:
        yield sandbox


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def compiled(folder):
    """The TypeScript program as Node runs it, compiled with strict types."""
    shutil.copy(PROGRAMS / "client.ts", folder)
    options = ["--strict", "--target", "es2022", "--module", "commonjs", "--outDir", "out"]
    run([*NPX, "typescript@5", "tsc", *options, "client.ts"], folder)
    return ["node", "out/client.js"]


RUN = {
    "php": lambda folder: ["php", str(PROGRAMS / "client.php"), str(folder / "php")],
    "python": lambda folder: [*UV, str(folder / "python"), str(PROGRAMS / "client.py")],
    "typescript-fetch": compiled,
}


@pytest.mark.parametrize("language", RUN)
def test_openapi_generator(sandbox, language, tmp_path):
    """A client is generated without an error, and reads orders, cards, transactions and errors into its own types."""
    generated = run([*GENERATE, "-i", f"{sandbox.url}/openapi.json", "-g", language, "-o", language], tmp_path)
    read = json.loads(run([*RUN[language](tmp_path), sandbox.url, sandbox.api_key], tmp_path).stdout)
    assert " ERROR " not in generated.stdout + generated.stderr
    assert read == {
        "order": next(iter(sandbox.truth())), "status": "PARTIALLY_FILLED",
        "cards": ["SANDBOX-CARD-1", "SANDBOX-CARD-2"], "listed": [read["order"]],
        "transactions": ["REFUND-ORDER", "ORDER"], "error": "NOT_FOUND",
    }  # fmt: skip


@pytest.fixture(params=["proxy", "mock"])
def prism(request, sandbox):
    """The address of prism before the emulator, or of what it makes of the description alone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*PRISM, request.param, f"{sandbox.url}/openapi.json", "--port", str(port)]
    command += [sandbox.url] if request.param == "proxy" else []
    session, url = requests.Session(), f"http://127.0.0.1:{port}"
    session.mount(url, HTTPAdapter(max_retries=Retry(total=600, backoff_factor=0.2, backoff_max=0.2, read=0)))
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True
    ) as server:
        try:
            session.get(f"{url}/v3/ping", timeout=10)
            yield url
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def test_prism(prism, sandbox):
    """prism finds nothing wrong with good requests and their responses, nor with errors of the emulator."""
    [order_id] = sandbox.add_orders(1, "TEST_PARTIAL", 4)
    period = "from=2025-01-01T00:00:00Z&to=2100-01-01T00:00:00Z"
    good = [f"checkProduct/{PRODUCT}", f"checkOrder/{order_id}", f"checkOrder/{'0' * 24}"]
    good += ["catalog", "list", "list?page=1&pageSize=5", "list?from=2025-01-01T00:00:00Z", f"list?{period}"]
    good = [f"gift-cards/{path}" for path in good] + ["ping", "validate", "account/balance", "account/transactions"]
    headers = {"X-Access-Token": sandbox.api_key}
    responses = [
        requests.get(f"{prism}/v3/{path}", headers=headers, timeout=10)
        for path in [*good, f"account/transactions?{period}"]
    ]
    body = {"productId": PRODUCT, "typeId": "TEST_PARTIAL", "quantity": 4}
    responses.append(requests.post(f"{prism}/v3/gift-cards/placeOrder", json=body, headers=headers, timeout=10))
    responses.append(requests.get(f"{prism}/v3/validate", headers={"X-Access-Token": "wrong"}, timeout=10))
    assert {response.status_code for response in responses} <= {200, 401, 404}
    assert [response.headers["sl-violations"] for response in responses if "sl-violations" in response.headers] == []


def test_spectral(sandbox, tmp_path):
    """The usual rules find only what is left so on purpose."""
    (tmp_path / "ruleset.yaml").write_text('extends: ["spectral:oas"]')
    found = json.loads(run([*SPECTRAL, f"{sandbox.url}/openapi.json"], tmp_path).stdout)
    assert {finding["code"] for finding in found} == set(LEFT)
