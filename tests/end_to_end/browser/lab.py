"""The notebooks as people meet them: in JupyterLab, started as `make lab` starts it."""

import json
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from giftlib.report.notebooks import ENVIRONMENT
from giftlib.sandbox import Sandbox

ROOT = Path(__file__).parents[3]
NAMES = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
WAITING = """
from giftlib import Sandbox, SystemClock, process_orders
sandbox = Sandbox(clock=SystemClock(), latency_s=0.05, fulfilment_s=FULFILMENT)
full, partial, refund = (("507f1f77bcf86cd799439011", name, 2) for name in ("type_001", "TEST_PARTIAL", "TEST_REFUND"))
journal = process_orders([full, full, partial, refund] * 3, client=sandbox.client(), interval=1)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the notebooks, and some more in which a person waits."""
    folder = tmp_path_factory.mktemp("lab") / "notebooks"
    shutil.copytree(ROOT / "notebooks", folder)
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for name, fulfilment in {"waiting": "4", "waiting_dark": "4", "interrupted": "60"}.items():
        cell = nbformat.v4.new_code_cell(WAITING.replace("FULFILMENT", fulfilment))
        nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), folder / f"{name}.ipynb")
    return folder


@pytest.fixture(scope="module")
def lab(folder):
    """The address of a page for each notebook."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    options = f"--no-browser --allow-root --ip=127.0.0.1 --port={port} --IdentityProvider.token={token}"
    options += " --LabApp.expose_app_in_browser=True"
    settings = {"JUPYTERLAB_SETTINGS_DIR": str(folder.parent / "settings")}  # not those of whoever runs this
    hidden = {*ENVIRONMENT, "ONECLICKDZ_API_KEY", "ONECLICKDZ_BASE_URL"}
    process = subprocess.Popen(
        ["make", "lab", f"NOTEBOOKS={folder}", f"LAB_OPTIONS={options}"],
        cwd=ROOT, env={name: value for name, value in os.environ.items() if name not in hidden} | settings,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    try:
        while not is_up(f"{base}/api/status?token={token}"):
            assert process.poll() is None, "JupyterLab did not start"
            time.sleep(0.01)
        yield lambda name: f"{base}/lab/workspaces/{name.partition('.')[0]}/tree/{name}?token={token}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def is_up(address):
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except OSError:
        return False
    return True


def open_notebook(page, address):
    """Open a notebook and wait for its kernel."""
    page.goto(address)
    page.wait_for_function(
        "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
    )


def run_all(page):
    """Choose "Run All Cells" in the menu, wait until all have run, and save."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(
        """() => [...jupyterapp.shell.currentWidget.content.model.cells]
                 .every(cell => cell.type !== 'code' || cell.executionCount && cell.executionState !== 'running')""",
        timeout=120_000,
    )
    page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")


@pytest.mark.parametrize("name", NAMES)
def test_run_all_ends_without_an_error_and_the_saved_copy_is_clean(name, folder, lab, browser, shoot):
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    before = nbformat.read(folder / name, as_version=4)
    for cell in before.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(before, folder / name)
    open_notebook(page, lab(name))
    run_all(page)
    saved = json.loads((folder / name).read_text(encoding="utf-8"))
    assert all(cell["execution_count"] for cell in saved["cells"] if cell["cell_type"] == "code")
    outputs = [output for cell in saved["cells"] for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output["output_type"] == "error"]
    figures = sum("image/svg+xml" in output.get("data", {}) for output in outputs)
    assert figures >= 1
    page.locator(".jp-RenderedSVG").first.scroll_into_view_if_needed()
    assert page.locator(".jp-RenderedSVG img, .jp-RenderedSVG svg").first.bounding_box()["width"] > 100
    shoot(page, f"lab-{name.partition('.')[0]}")
    text = (folder / name).read_text(encoding="utf-8")
    assert not re.search(r"SANDBOX-(CARD-)?\d", text)
    for seed in range(20):
        with Sandbox(seed) as sandbox:
            assert sandbox.api_key not in text
    context.close()


def test_opening_a_notebook_does_not_change_it(lab, browser):
    """It is not marked as unsaved, where this is the Python with which it was run."""
    name = "0_start_here.ipynb"
    if (
        nbformat.read(ROOT / "notebooks" / name, as_version=4).metadata.language_info.version
        != platform.python_version()
    ):
        pytest.skip("JupyterLab writes the version of Python into a notebook that it opens")
    page = browser.new_page()
    page.set_default_timeout(60_000)
    open_notebook(page, lab(name))
    page.wait_for_function("() => jupyterapp.shell.currentWidget.context.model.getMetadata('language_info')?.version")
    assert not page.evaluate("() => jupyterapp.shell.currentWidget.context.model.dirty")
    page.close()


def start_waiting(page):
    """Run all cells; return the panel, each state of which is kept in `window.seen`."""
    page.evaluate(
        """() => { window.seen = new Set(); new MutationObserver(() => document.querySelectorAll(
            '.jp-OutputArea-output img[alt^=timelines]').forEach(image => seen.add(image.parentElement.innerHTML))
        ).observe(document.body, {subtree: true, childList: true}); }"""
    )
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    return page.locator(".jp-OutputArea-output", has=page.locator("img[alt^=timelines]"))


@pytest.mark.parametrize("name", ["waiting", "waiting_dark"])
def test_who_waits_in_real_time_sees_a_panel_that_changes(name, folder, lab, browser, shoot):
    """The panel is in one place, changes at each poll, ends complete, and stays in the saved notebook as a picture."""
    context = browser.new_context(viewport={"width": 1000, "height": 760})
    page = context.new_page()
    page.set_default_timeout(60_000)
    open_notebook(page, lab(f"{name}.ipynb"))
    theme = "Dark" if name == "waiting_dark" else "Light"
    page.evaluate(f"() => jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})")
    panel = start_waiting(page)
    panel.get_by_text("next poll at").wait_for()
    panel.get_by_text("FULFILLED").first.wait_for()
    shoot(page, f"lab-{name}-while")
    panel.get_by_text("Complete").wait_for()
    assert panel.count() == 1
    assert page.evaluate("() => window.seen.size") >= 5
    assert panel.get_by_text("12 of 12 orders final").count() == 1
    assert panel.locator("img").evaluate("image => image.naturalWidth") > 0
    shoot(page, f"lab-{name}-end")
    page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")
    text = (folder / f"{name}.ipynb").read_text(encoding="utf-8")
    [output] = json.loads(text)["cells"][0]["outputs"]
    assert "data:image/svg+xml" in "".join(output["data"]["text/html"])
    assert "12 of 12 orders final" in "".join(output["data"]["text/plain"])
    assert "widget" not in text and not re.search(r"SANDBOX-(CARD-)?\d", text)
    # Opened elsewhere, where it is not trusted, it looks the same.
    written = json.loads(text)
    written["cells"][0]["source"] = "# sent by someone else"
    (folder / f"{name}_sent.ipynb").write_text(json.dumps(written), encoding="utf-8")
    open_notebook(page, lab(f"{name}_sent.ipynb"))
    assert page.locator(".jp-OutputArea-output img[alt^=timelines]").evaluate("image => image.naturalWidth") > 0
    shoot(page, f"lab-{name}-sent")
    context.close()


def test_an_interrupt_is_one_line(folder, lab, browser, shoot):
    context = browser.new_context(viewport={"width": 1000, "height": 760})
    page = context.new_page()
    page.set_default_timeout(60_000)
    open_notebook(page, lab("interrupted.ipynb"))
    panel = start_waiting(page)
    panel.get_by_text("12 open").wait_for()
    page.evaluate("() => jupyterapp.commands.execute('notebook:interrupt-kernel')")
    panel.get_by_text("Interrupted after").wait_for()
    error = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr'], .jp-RenderedText")
    error = error.filter(has_text="To go on")
    error.wait_for()
    shoot(page, "lab-interrupted")
    page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")
    *_, failed = json.loads((folder / "interrupted.ipynb").read_text(encoding="utf-8"))["cells"][0]["outputs"]
    assert failed["ename"] == "KeyboardInterrupt" and len(failed["traceback"]) == 1
    assert "track_orders(journal.unfinished()" in failed["traceback"][0] and "\n" not in failed["traceback"][0]
    context.close()


def test_a_cell_can_be_changed_and_what_it_says_counts(folder, lab, browser):
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    name = "1_first_order.ipynb"
    open_notebook(page, lab(name))
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("seed = 5\ninterval_s = 2")
    run_all(page)
    saved = nbformat.read(folder / name, as_version=4)
    assert "seed = 5\ninterval_s = 2" in [cell.source for cell in saved.cells]
    with Sandbox(seed=5) as sandbox:
        other_ids = sandbox.add_orders(1)[0][8:18]
    assert any(other_ids in str(cell.get("outputs")) for cell in saved.cells)
    context.close()
