"""The index page as a reader without scripts sees it, and its commands as a shell runs them."""

import html
import json
import re
import shutil
import subprocess
from base64 import b64encode
from contextlib import contextmanager
from hashlib import sha256

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from raw_http import QUIET

from giftlib.sandbox import Sandbox
from giftlib.sandbox.faults import ENDPOINTS

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@contextmanager
def quiet_sandbox(**settings):
    with Sandbox(5, **QUIET | settings) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox():
    with quiet_sandbox() as sandbox:
        yield sandbox


def get(sandbox, path="/"):
    return requests.get(sandbox.url + path, timeout=5)


def text_of(page):
    """What a reader sees of it."""
    bare = re.sub(r"<style>.*?</style>|<script>.*?</script>|<[^>]*>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(bare).split())


def lines_of(page):
    """The lines for a shell, by what stands above each."""
    found = re.findall(r"<dt>(.*?)</dt>\s*<dd><pre>(.*?)</pre>", page, re.DOTALL)
    return {name: html.unescape(line) for name, line in found}


def run(line):
    """The status and the content that a line gives in a shell."""
    command = f"{line} --noproxy '*' --silent --write-out '\\n%{{http_code}}'"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20)
    content, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(content)


# Its lines


@needs_curl
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"path_style": "hyphens", "order_ref": "required", "unknown_body_keys": "refused"},
        {"key_style": "sk", "key_type": "PRODUCTION", "sample_order": False, "catalog_products": 1},
    ],
)
def test_commands(settings):
    """Each endpoint has a command that works as it is shown."""
    with quiet_sandbox(**settings) as sandbox:
        sandbox.add_orders(1)
        lines = lines_of(get(sandbox).text)
        assert list(lines) == list(ENDPOINTS)
        for name, line in lines.items():
            status, content = run(line)
            assert (status, content["success"]) == (200, True), name
        assert len(sandbox.truth()) == 2
        assert len(sandbox.requests) == len(ENDPOINTS)


@needs_curl
def test_admin_commands():
    """The control address has commands that work as they are shown."""
    with quiet_sandbox(control=True) as sandbox:
        lines = {name: line for name, line in lines_of(get(sandbox, "/").text).items() if name not in ENDPOINTS}
        expected = get(sandbox, "/_sandbox/").json()["error"]
        assert set(lines) == set(re.findall(r"\b[a-z_]+\b", expected.removeprefix("available are ")))
        for name, line in lines.items():
            assert run(line)[0] == 200, name


def test_admin_off(sandbox):
    """Without a control address there are no commands for it."""
    page = get(sandbox).text
    assert list(lines_of(page)) == list(ENDPOINTS)
    assert "are off" in text_of(page)


# What it says


def test_keys(sandbox):
    """All keys are shown with what they may do."""
    production = sandbox.add_key("PRODUCTION", allowed_ips=("203.0.113.7", "203.0.113.8"))
    disabled = sandbox.add_key(scope="READ-ONLY", enabled=False)
    text = text_of(get(sandbox).text)
    assert f"{sandbox.api_key} SANDBOX READ-WRITE yes any" in text
    assert f"{production} PRODUCTION READ-WRITE yes 203.0.113.7, 203.0.113.8" in text
    assert f"{disabled} SANDBOX READ-ONLY no any" in text


@pytest.mark.parametrize("partial_of_one", ["as counted", "PARTIALLY_FILLED"])
@pytest.mark.parametrize("partial_rounding", ["down", "up"])
@pytest.mark.parametrize("partial_status", ["PARTIALLY_FILLED", "FULFILLED"])
def test_outcomes(partial_status, partial_rounding, partial_of_one):
    """Orders get the outcome that the page says for their type."""
    partial = {"partial_status": partial_status, "partial_rounding": partial_rounding}
    with quiet_sandbox(fulfilment_s=0, partial_of_one=partial_of_one, **partial) as sandbox:
        for type_id, quantity in (("TEST_REFUND", 2), ("TEST_PARTIAL", 5), ("TEST_PARTIAL", 1), ("other", 1)):
            sandbox.add_orders(1, type_id, quantity)
        other, one, half, refund = [order["status"] for order in sandbox.latest_orders()]
        text = text_of(get(sandbox).text)
    assert f"TEST_REFUND {refund}" in text
    assert f"TEST_PARTIAL {half}, with half of the cards, an odd number rounded {partial_rounding}" in text
    assert f"an order of one card becomes {one}" in text
    assert f"any other {other}" in text


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "HANDLING for 10 s (the median; 95 % take 30 s at most)"),
        ({"fulfilment_s": 7}, "HANDLING for 7 s."),
        ({"fulfilment_s": float("inf")}, "HANDLING for ever."),
        ({"test_type_price": 250}, "A card costs 250 dinars"),
        ({"prices": {"TEST_REFUND": 12}}, "A card costs 12 dinars"),
        ({"unknown_type_price": 33}, "costs 33 dinars a card"),
        ({"production_test_types": "ordinary"}, "With a production key it is like any other."),
        ({"partial_rounding": "up"}, 'partial_rounding "up" How half of an odd number'),
        ({"allowed_ips": ("203.0.113.7",)}, 'allowed_ips ["203.0.113.7"] Addresses that may'),
    ],
)
def test_settings(settings, expected):
    """Settings are shown."""
    with quiet_sandbox(**settings) as sandbox:
        assert expected in text_of(get(sandbox).text)


def test_latest_orders(sandbox):
    """The latest orders are shown, newest first, without their cards."""
    first, second = sandbox.add_orders(1, quantity=3) + sandbox.add_orders(1, "TEST_REFUND")
    sandbox.clock.sleep(1000)
    page = get(sandbox).text
    assert f"REFUNDED TEST_REFUND 1 {second} 2026-01-01T00:00:00.000Z FULFILLED type_001 3 {first}" in text_of(page)
    assert "SANDBOX-" not in page


def test_no_orders(sandbox):
    """Without an order it says so."""
    assert "None yet." in text_of(get(sandbox).text)


# Safety


@given(st.text(min_size=1))
def test_type_id_is_text(type_id):
    """A type id is shown as text, with any content."""
    with quiet_sandbox() as sandbox:
        sandbox.add_orders(1, type_id)
        page = get(sandbox).content.decode()
    [shown] = re.findall("<bdi>(.*?)</bdi>", page, re.DOTALL)
    assert not re.search("[<>\"']", shown)
    wanted = type_id if len(type_id) <= 40 else type_id[:39] + "…"
    assert html.unescape(shown) == wanted


@pytest.mark.parametrize("type_id", ["\ud800", "<script>1</script>", "'\"><img src=x onerror=alert(1)>", "x" * 100_000])
def test_hostile_type_id(sandbox, type_id):
    """A hostile type id cannot break the page."""
    before = len(get(sandbox).content)
    sandbox.add_orders(1, type_id)
    page = get(sandbox).content.decode()
    assert page.count("<script>") == page.count("</script>") == 1
    assert "<img" not in page
    assert len(page) < before + 1000


def test_policy(sandbox):
    """The page loads nothing else and may do nothing else."""
    response = get(sandbox)
    policy = response.headers["Content-Security-Policy"].split("; ")
    for tag in ("style", "script"):
        [content] = re.findall(f"<{tag}>(.*?)</{tag}>", response.text, re.DOTALL)
        assert f"{tag}-src 'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'" in policy
    assert {"default-src 'none'", "connect-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"} <= set(policy)
    assert re.findall(r"""(?:src|href)=["'](.*?)["']""", response.text) == ["data:,", "/openapi.json"]
    assert not re.findall(r"""@import|url\(| style=| on\w+=""", response.text)
    assert set(re.findall(r"https?://[^/\s]+", response.text)) == {sandbox.url}


def test_private(sandbox):
    """No other site may read the page, and no cache stores it."""
    headers = get(sandbox).headers
    assert "Access-Control-Allow-Origin" not in headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Type"] == "text/html; charset=utf-8"


# Its place beside the API


@pytest.mark.parametrize("path", ["/", "/openapi.json"])
def test_not_the_api(path):
    """A page view is no request of the API."""
    with Sandbox() as sandbox:
        before = sandbox.clock.monotonic()
        assert get(sandbox, path).status_code == 200
        assert sandbox.requests == []
        assert sandbox.clock.monotonic() == before


@pytest.mark.parametrize("path", ["/", "/openapi.json"])
def test_head(sandbox, path):
    """HEAD gives the headers only, and the connection can be used again."""
    with requests.Session() as session:
        head = session.head(sandbox.url + path, timeout=5)
        page = session.get(sandbox.url + path, timeout=5)
    assert head.content == b""
    assert head.headers == page.headers
    assert int(page.headers["Content-Length"]) == len(page.content)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/"), ("DELETE", "/openapi.json"), ("GET", "/index.html"), ("GET", "//"), ("GET", "/v3")],
)
def test_unknown_page(sandbox, method, path):
    """What is no page gets the router's error."""
    response = requests.request(method, sandbox.url + path, timeout=5)
    assert response.json() | {"message": ""} == {"message": "", "error": "Not Found", "statusCode": 404}


def test_addresses():
    """Its commands work at any address of this machine."""
    with quiet_sandbox(control=True, host="0.0.0.0") as sandbox:
        port = sandbox.url.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost", "127.0.0.2"):
            url = f"http://{host}:{port}"
            page = requests.get(f"{url}/", timeout=5).text
            assert f"curl {url}/v3/ping" in page and "0.0.0.0" not in page
            assert requests.get(f"{url}/_sandbox/truth", timeout=5).status_code == 200


@pytest.mark.parametrize("host", ["[::1", "localhost:0", "user@localhost", "gift cards"])
def test_odd_host(host):
    """A host that is none reaches the page, with the sandbox's own address, and not the control address."""
    with quiet_sandbox(control=True) as sandbox:
        page, truth = (
            requests.get(sandbox.url + path, headers={"Host": host}, timeout=5) for path in ("/", "/_sandbox/truth")
        )
        assert f"curl {sandbox.url}/v3/ping" in page.text and truth.status_code == 403
