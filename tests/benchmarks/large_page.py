"""How long a report's page of 10,000 orders takes to open in Chromium: `python tests/benchmarks/large_page.py`."""

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from giftlib import Journal, Sandbox, track_orders
from giftlib.report import rebuild_report

with TemporaryDirectory() as folder:
    recorded = Path(folder, "orders.sqlite")
    with Sandbox(fulfilment_s=30, rate_limit_per_minute=None) as sandbox, Journal(recorded) as journal:
        track_orders(sandbox.add_orders(12_000), client=sandbox.client(), journal=journal, timeout=3600)
    page = rebuild_report(recorded, Path(folder, "report"))
    print(f"{page.stat().st_size / 1e6:.1f} MB")
    with sync_playwright() as playwright:
        for _ in range(5):
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            opened = browser.new_page()
            began = time.perf_counter()
            opened.goto(page.as_uri())
            opened.wait_for_selector(".orders tbody tr")
            print(f"open after {time.perf_counter() - began:.2f} s")
            browser.close()
