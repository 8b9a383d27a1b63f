"""The emulator's page in a browser: place an order with a chosen outcome, see it move, inject a fault, read the log."""

import pytest
import requests

from giftlib import SystemClock
from giftlib.sandbox import Sandbox


@pytest.fixture
def sandbox():
    with Sandbox(clock=SystemClock(), control=True, latency_s=0, fulfilment_s=60) as sandbox:
        yield sandbox


def test_page(sandbox, browser, shoot):
    """Everything that the page offers works, and an id can be copied while it refreshes."""
    context = browser.new_context(viewport={"width": 1100, "height": 1600})
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=sandbox.url)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(sandbox.url)

    page.fill("[name=delivered]", "1")
    page.fill("[name=after_s]", "2")
    page.click("text=Place order")
    page.wait_for_selector("#orders >> text=HANDLING")
    order_id = page.inner_text("#orders code")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#orders code'))")
    page.wait_for_selector("#orders >> text=PARTIALLY_FILLED", timeout=10_000)
    assert list(sandbox.truth()) == [order_id]
    sandbox.add_orders(2, "type_002")  # by a shop, meanwhile: the row moves down
    page.wait_for_selector("#orders >> text=type_002")
    page.keyboard.press("Control+C")
    assert page.evaluate("navigator.clipboard.readText()") == order_id

    page.select_option("[name=endpoint]", "balance")
    page.click("text=Inject fault")
    page.wait_for_selector("#faults >> text=balance")
    answer = requests.get(f"{sandbox.url}/v3/account/balance", headers={"X-Access-Token": sandbox.api_key}, timeout=5)
    assert answer.status_code == 503
    page.wait_for_selector("#requests >> text=GET /v3/account/balance")
    page.wait_for_selector("#faults >> text=none")
    rows = page.locator("#requests tr").all_inner_texts()
    assert len(rows) == len(sandbox.requests) and rows[0].split("\t")[2:] == ["SANDBOX", "503", "yes"]
    assert page.locator("#orders tr").count() == 3
    shoot(page, "emulator", full_page=True)
    assert said == []
    context.close()
