"""Programs whose host is fixed reach the emulator through its proxy: TLS for any host, and absolute form."""

import os
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from giftlib.sandbox import Sandbox

GUIDE = Path(__file__).parents[1] / "end_to_end" / "guide"
ORDER = "6901616fe9e88196b4eb64b3"


@pytest.fixture
def proxied(tmp_path):
    """A sandbox with a proxy, and the environment of a program that is to reach it."""
    with Sandbox(latency_s=0, proxy_port=0) as sandbox:
        (tmp_path / "ca.pem").write_bytes(sandbox.proxy.certificate)
        trusted = dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"), str(tmp_path / "ca.pem"))
        address = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), sandbox.proxy.url)
        own = {name: value for name, value in os.environ.items() if name.lower() not in ("no_proxy", "all_proxy")}
        yield sandbox, own | trusted | address | {"API_KEY": sandbox.api_key}


@pytest.mark.parametrize(
    "url", ["https://api.oneclickdz.com/v3/ping", "http://any.host/v3/ping", "https://[::1]/v3/ping"]
)
def test_any_host(proxied, url):
    """Every host leads to the emulator, with a certificate for it; a connection is used again."""
    sandbox, environment = proxied
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"https": sandbox.proxy.url, "http": sandbox.proxy.url}
        session.verify = environment["REQUESTS_CA_BUNDLE"]
        for _ in range(2):
            assert session.get(url, timeout=5).json()["data"]["api"] == "ok"


def test_refusing(proxied):
    """While the sandbox refuses connections, so does its proxy; then both are there again."""
    sandbox, _ = proxied
    host, _, port = sandbox.proxy.url.removeprefix("http://").rpartition(":")
    with sandbox.refusing(), pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
    test_any_host(proxied, "https://api.oneclickdz.com/v3/ping")


def test_no_proxy():
    """Without a proxy a sandbox opens no tunnel."""
    with Sandbox(latency_s=0) as sandbox:
        assert requests.request("CONNECT", f"{sandbox.url}/x", timeout=5).status_code == 404


def test_untrusted(proxied):
    """Without the certificate no program takes the emulator for the vendor."""
    sandbox, _ = proxied
    with pytest.raises(requests.exceptions.SSLError):
        requests.get("https://api.oneclickdz.com/v3/ping", proxies={"https": sandbox.proxy.url}, timeout=5)


@pytest.mark.parametrize(
    ("command", "sample", "call"),
    [
        ([sys.executable], "status_check.py", "\nprint(check_order_status('{order}')['status'])"),
        (["bash"], "status_check.sh", ""),
        (
            ["php", "-d", "curl.cainfo=ca.pem"],
            "status_check.php",
            "\n<?php echo checkOrderStatus('{order}', getenv('API_KEY'))['status'];",
        ),
    ],
    ids=["python", "curl", "php"],
)
def test_samples_of_the_guide(proxied, tmp_path, command, sample, call):
    """The guide's own samples, host and scheme untouched, need the proxy and the CA file only."""
    if shutil.which(command[0]) is None or (command == ["bash"] and shutil.which("curl") is None):
        pytest.skip(f"needs {command[0]}")
    if command[0] == "php" and subprocess.run(["php", "-r", "exit((int) !extension_loaded('curl'));"]).returncode:
        pytest.skip("needs php with its curl extension")
    sandbox, environment = proxied
    program = tmp_path / sample
    text = (GUIDE / sample).read_text(encoding="utf-8").replace("YOUR_API_KEY", sandbox.api_key)
    assert "https://api.oneclickdz.com" in text
    program.write_text(text + call.replace("{order}", ORDER), encoding="utf-8")
    done = subprocess.run(
        [*command, program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert "FULFILLED" in done.stdout, done.stderr


NO_HTTP = [b"CONNECT", b"nonsense\r\n\r\n", b"CONNECT x:443 HTTP/1.1\r\n\r\nplain", b"\xff\r\n\r\n", b"x" * 70_000]


@pytest.mark.parametrize("sent", NO_HTTP, ids=[repr(sent[:20]) for sent in NO_HTTP])
def test_no_http(proxied, sent):
    """What is no request ends its own connection, and no other."""
    host, _, port = proxied[0].proxy.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while connection.recv(65536):
                pass
    test_any_host(proxied, "https://api.oneclickdz.com/v3/ping")


def test_command(tmp_path):
    """The command writes the certificate, and its lines are all that a shell needs."""
    command = [sys.executable, "-m", "giftlib", "sandbox", "--port", "0", "--proxy", str(tmp_path / "ca.pem")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline() for _ in range(4)]
        script = f"unset NO_PROXY no_proxy; {''.join(lines)} curl -sS -m 9 https://api.oneclickdz.com/v3/ping"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, check=False)
        process.terminate()
    assert '"api":"ok"' in done.stdout, done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost"])
def test_address(host):
    """The proxy names an address that can be reached, and a port that is taken leaves nothing open."""
    with Sandbox(host=host, latency_s=0, proxy_port=0) as sandbox:
        answer = requests.get("http://any.host/v3/ping", proxies={"http": sandbox.proxy.url}, timeout=5)
        assert answer.ok
        with pytest.raises(OSError, match="in use"):
            Sandbox(host=host, proxy_port=int(sandbox.proxy.url.rpartition(":")[2]))


@pytest.mark.parametrize("port", [99999, -1, True, 1.5, ""])
def test_bad_port(port):
    """A port that is none is rejected at once."""
    with pytest.raises(ValueError, match="proxy_port must be a whole number from 0 to 65535, got"):
        Sandbox(proxy_port=port)


def test_without_trustme(monkeypatch):
    """Without trustme the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ValueError, match=r"giftlib\[proxy\]"):
        Sandbox(proxy_port=0)
