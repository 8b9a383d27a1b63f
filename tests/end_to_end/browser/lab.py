"""The notebooks as people meet them: in JupyterLab, started as `make lab` starts it."""

import json
import os
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

from giftlib.report import find_notebooks
from giftlib.report.notebooks import ENVIRONMENT
from giftlib.sandbox import Sandbox

ROOT = Path(__file__).parents[3]
NAMES = [path.name for path in find_notebooks(ROOT / "notebooks")]
BAR = """
from giftlib import Sandbox, SystemClock, track_orders
with Sandbox(clock=SystemClock(), latency_s=0, fulfilment_s=0) as sandbox:
    track_orders(sandbox.add_orders(5), client=sandbox.client())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the notebooks, and one more in which a person waits."""
    folder = tmp_path_factory.mktemp("lab") / "notebooks"
    shutil.copytree(ROOT / "notebooks", folder)
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    waiting = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(BAR)], metadata=kernel)
    nbformat.write(waiting, folder / "waiting.ipynb")
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
    hidden = {*ENVIRONMENT, "ONECLICKDZ_API_KEY", "ONECLICKDZ_BASE_URL"}
    process = subprocess.Popen(
        ["make", "lab", f"NOTEBOOKS={folder}", f"LAB_OPTIONS={options}"],
        cwd=ROOT, env={name: value for name, value in os.environ.items() if name not in hidden},
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


def test_who_waits_in_real_time_sees_a_progress_bar(folder, lab, browser, shoot):
    context = browser.new_context(viewport={"width": 1300, "height": 500})
    page = context.new_page()
    page.set_default_timeout(60_000)
    open_notebook(page, lab("waiting.ipynb"))
    run_all(page)
    bar = page.locator(
        ".jp-OutputArea .progress, .jp-OutputArea .widget-hprogress, .jp-OutputArea [role=progressbar]"
    ).first
    bar.wait_for()
    shoot(page, "lab-waiting")
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
