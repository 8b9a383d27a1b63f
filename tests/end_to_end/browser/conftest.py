"""A real browser: Debian's Chromium, driven by Playwright. `make test-browser`; not part of `make test`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

SHOTS = Path(__file__).parents[3] / "screenshots"
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def browser():
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.fail("needs Chromium: apt-get install chromium, or its path in CHROMIUM", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", *QUIET])
        yield browser
        browser.close()


@pytest.fixture
def shoot():
    """Keeps a picture of the page, for a person to look at."""
    SHOTS.mkdir(exist_ok=True)
    return lambda page, name, **options: page.screenshot(path=SHOTS / f"{name}.png", **options)


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The script of axe-core, from npm."""
    folder = tmp_path_factory.mktemp("npm")
    if shutil.which("npm") is None:
        pytest.skip("axe-core comes from npm, and there is none")
    npm = ["npm", "install", "--no-fund", "--no-audit", "--ignore-scripts", "--prefix", str(folder), "axe-core"]
    if subprocess.run(npm, capture_output=True, timeout=120).returncode:
        pytest.skip("npm could not fetch axe-core")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
