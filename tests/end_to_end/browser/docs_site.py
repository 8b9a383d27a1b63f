"""The documentation site in a browser without a network: `make docs` first."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import pytest

import giftlib

ROOT = Path(__file__).parents[3]
SITE = ROOT / "build" / "site"
INDEX = SITE / "docs" / "index.html"


@pytest.fixture
def page(browser):
    if not INDEX.exists():
        pytest.fail("needs the site: make docs", pytrace=False)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_offline(True)
    yield context.new_page()
    context.close()


def test_search(page, shoot):
    """A word typed into the search box finds the pages about it."""
    page.goto(INDEX.as_uri())
    box = page.locator("input[name=q]").first
    box.fill("reconcile_refunds")
    box.press("Enter")
    page.locator("#search-results li a", has_text=re.compile("reconcile_refunds")).first.wait_for()
    shoot(page, "site-search")


@pytest.mark.parametrize("name", giftlib.__all__)
def test_name(name):
    """Each public name has a page with an example; all errors have one page."""
    errors = name in dir(giftlib.errors)
    page = SITE / "docs" / ("errors.html" if errors else f"api/giftlib.{name}.html")
    text = page.read_text(encoding="utf-8")
    assert '<span class="gp">&gt;&gt;&gt; </span>' in text
    assert f'id="giftlib.{"api.errors." if errors else ""}{name}"' in text


def test_links(page):
    """No link leads to a file or a heading that is not there."""
    missing, anchors = [], {}
    for path in sorted(SITE.rglob("*.html")):
        page.goto(path.as_uri())
        anchors[path] = set(page.evaluate("[...document.querySelectorAll('[id]')].map(element => element.id)"))
        anchors[path, "links"] = set(page.evaluate("[...document.links].map(link => link.href)"))
    for path in [path for path in anchors if isinstance(path, Path)]:
        for link in anchors[path, "links"]:
            url = urlsplit(link)
            target = Path(url2pathname(url.path)).resolve() if url.scheme == "file" else path
            there = anchors.get(target, {unquote(url.fragment)})
            if not target.exists() or (url.fragment and unquote(url.fragment) not in there):
                missing.append((path.relative_to(SITE).as_posix(), link))
    assert not missing


def test_pictures(page, shoot):
    """Notebooks are shown with their outputs."""
    page.goto((SITE / "notebooks" / "3_time_to_fulfilment.html").as_uri())
    assert page.locator(".cell_output img, .cell_output svg").count() >= 3
    shoot(page, "site-notebook")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "name", ["docs/index", "docs/howto", "docs/facts", "docs/api/giftlib.Journal", "notebooks/3_time_to_fulfilment"]
)
def test_axe_finds_no_violation(name, scheme, page, axe):
    page.emulate_media(color_scheme=scheme)
    page.goto((SITE / f"{name}.html").as_uri())
    page.evaluate(axe)
    found = page.evaluate("() => axe.run()")
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
