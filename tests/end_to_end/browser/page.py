"""The report's page in a browser without a network: complete, quiet, and fit for phone, dark, paper and keyboard.

The environment variable GIFTLIB_REPORT names the folder of a report; without it one is made, in a minute.
"""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    if made := os.environ.get("GIFTLIB_REPORT"):
        return ROOT / made
    out = tmp_path_factory.mktemp("report")
    subprocess.run([sys.executable, "-m", "giftlib", "report", "--out", str(out)], cwd=ROOT, check=True)
    return out


WAYS = {
    "light": {"viewport": {"width": 1200, "height": 900}},
    "dark": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
    "without-scripts": {"viewport": {"width": 1200, "height": 900}, "java_script_enabled": False},
}


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def opened(request, report, browser):
    """The page, what its console said, what it asked for, and the name of the way it is looked at."""
    context = browser.new_context(**request.param)
    context.set_offline(True)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda made: asked.append(made.url))
    page.goto((report / "index.html").as_uri())
    yield page, said, asked, request.node.callspec.id
    context.close()


def test_it_says_nothing_in_the_console_and_asks_for_nothing_but_itself(opened, report, shoot):
    page, said, asked, name = opened
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [(report / "index.html").as_uri()]
    shoot(page, f"report-{name}")
    shoot(page, f"report-{name}-whole", full_page=True)


def test_every_figure_has_its_picture_and_its_words(opened, report):
    page = opened[0]
    files = list((report / "figures").iterdir())
    figures = page.locator("figure img")
    assert figures.count() == len(files) > 6
    for figure in figures.all():
        assert figure.bounding_box()["width"] > 200
        assert len(figure.get_attribute("alt")) > 40
    if opened[3] != "without-scripts":
        assert figures.evaluate_all("images => images.every(image => image.complete && image.naturalWidth > 200)")


def test_the_page_itself_scrolls_in_no_other_way_than_down(opened):
    page, name = opened[0], opened[3]
    if name != "without-scripts":
        assert page.evaluate("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_the_contents_lead_to_every_chapter(opened):
    page = opened[0]
    for link in page.locator("nav a").all():
        assert page.locator(f"[id='{link.get_attribute('href')[1:]}']").count() == 1
    assert page.locator("nav > ul > li").count() == page.locator("section").count() >= 7


def luminance(page):
    red, green, blue = page.evaluate(
        "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_it_is_dark_where_dark_is_wanted(opened):
    page, name = opened[0], opened[3]
    if name != "without-scripts":
        assert (luminance(page) < 64) == (name == "dark")


def test_tables_sort_by_keyboard_numbers_as_numbers(opened):
    page, name = opened[0], opened[3]
    if name == "without-scripts":
        assert page.locator("th button").count() == 0
        return
    table = page.locator("table").filter(has=page.locator("th", has_text="not_done_by_s")).first
    button = table.locator("th button", has_text="not_done_by_s").first
    column = table.locator("thead tr:last-child th").all_inner_texts().index(button.inner_text())

    def shown():
        return pd.to_numeric(
            pd.Series([row.locator("th,td").nth(column).inner_text() for row in table.locator("tbody tr").all()])
        )

    for way in ("ascending", "descending"):
        button.focus()
        page.keyboard.press("Enter")
        assert table.locator(f"th[aria-sort={way}]").count() == 1
        assert shown().is_monotonic_increasing if way == "ascending" else shown().is_monotonic_decreasing


def test_it_can_be_printed(report, browser):
    context = browser.new_context()
    page = context.new_page()
    page.goto((report / "index.html").as_uri())
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF") and printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") >= 7
    context.close()


@pytest.mark.parametrize("way", ["light", "dark", "phone"])
def test_axe_finds_no_violation(way, report, browser, axe):
    context = browser.new_context(**WAYS[way], bypass_csp=True)
    page = context.new_page()
    page.goto((report / "index.html").as_uri())
    page.evaluate("() => document.querySelectorAll('details').forEach(details => { details.open = true; })")
    page.evaluate(axe)
    found = page.evaluate("() => axe.run()")
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
    assert len(found["passes"]) > 20
    context.close()


def test_an_order_is_found_by_its_id_and_shows_its_polls(opened, report):
    page, name = opened[0], opened[3]
    orders = pd.read_csv(report / "orders.csv", dtype=str)
    if name == "without-scripts":
        assert page.locator(".orders tbody tr").count() == len(orders)
        return
    wanted = orders.loc[orders["polls"].astype(int) > 1, "order_id"].iloc[-1]
    page.fill("[name=search]", wanted[6:])
    [row] = page.locator(".orders tbody tr").all()
    row.locator("summary").click()
    assert wanted in row.inner_text() and "HANDLING" in row.inner_text()
    page.fill("[name=search]", "")
    page.select_option("[name=outcome]", "REFUNDED")
    refunded = (orders["status"] == "REFUNDED").sum()
    assert page.inner_text("[role=search] output") == f"{min(refunded, 25)} of {refunded} orders shown"


def test_code_opens_one_by_one_and_all_at_once(opened):
    page, name = opened[0], opened[3]
    code = page.locator(".code .highlight")
    assert not code.first.is_visible()
    page.locator(".code summary").first.click()
    assert code.first.is_visible() and not code.nth(1).is_visible()
    if name != "without-scripts":
        page.click("text=Show all code")
        assert all(each.is_visible() for each in code.all())
