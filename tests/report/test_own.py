"""A report of one's own: the example of docs/report.md, with title, logo and parameters; on paper; its progress."""

import base64
import re
import sys
from io import StringIO
from pathlib import Path
from time import monotonic, sleep

import nbformat
import pytest
from reporting import PLACE, manifest_of, page_of, write_journal, write_notebook

from giftlib import Journal
from giftlib.cli import main
from giftlib.report import print_pdf
from giftlib.report.notebooks import with_progress

OWN = Path(__file__).parents[2] / "docs" / "own"


def test_documented():
    """The page shows the cells of the example as they are."""
    cells = [cell.source for cell in nbformat.read(OWN / "1_this_week.ipynb", as_version=4).cells[1:]]
    assert "\n---\n".join(cells) in (OWN.parent / "report.md").read_text(encoding="utf-8")


def test_example(tmp_path, capsys):
    """The example runs, and the page is one's own."""
    out, logo = tmp_path / "out", OWN / "shop.svg"
    options = ["--title", "Shop & Sons", "--logo", str(logo), "--no-code", "--param", "n_orders=4"]
    assert main(["report", "--notebooks", str(OWN), "--out", str(out), *options]) == 0
    assert capsys.readouterr().err == ""
    page = page_of(out)
    assert "<title>Shop &amp; Sons</title>" in page and "Shop &amp; Sons</h1>" in page
    inlined = [base64.b64decode(data) for data in re.findall(r'src="data:image/svg[+]xml;base64,([^"]+)"', page)]
    assert inlined.count(logo.read_bytes()) == 2  # in the head, and in the notebook's prose
    assert "process_orders" not in page and "FulfilmentCurve: 4 orders" in page
    [notebook] = manifest_of(out)["notebooks"]
    assert notebook["parameters"]["n_orders"] == 4


def test_no_utf_8(tmp_path, capsys):
    """A title that is no UTF-8 text is refused before an order is placed; an output that is none is shown escaped."""
    write_notebook(tmp_path / "1_batch.ipynb", f"{PLACE}---\nopen('ran', 'w').close()\nprint('\\udcff')")
    arguments = ["report", "--notebooks", str(tmp_path), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "--title", "bad\udcff"])
    assert capsys.readouterr().err == "giftlib report: error: title must be UTF-8 text, got 'bad\\udcff'\n"
    assert not (tmp_path / "ran").exists()
    assert main(arguments) == 0
    assert "udcff" in page_of(tmp_path / "out")


def test_transactions_not_read(tmp_path, capsys):
    """Transactions that cannot be read are named, and so is an iterator, which may be used up."""
    kept = {
        "1_iterator": "transactions = client.all_transactions()\nlist(transactions)",
        "2_frame": "import pandas as pd\n"
        "transactions = pd.DataFrame(map(vars, client.all_transactions())).drop(columns='amount')",
    }
    for name, cell in kept.items():
        write_notebook(tmp_path / f"{name}.ipynb", f"{PLACE}---\n{cell};")
    assert main(["report", "--notebooks", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().err.splitlines()
    said = "ipynb: the variable transactions cannot be read, so the refunds are not checked with it: "
    assert lines[0].startswith(f"giftlib: 1_iterator.{said}it is an iterator")
    assert lines[1].startswith(f"giftlib: 2_frame.{said}") and "amount" in lines[1]
    assert page_of(tmp_path / "out").count(said) == 2
    assert "Refunds (not checked)" in page_of(tmp_path / "out")


@pytest.fixture
def page(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "index.html").write_text("<p>page")
    return tmp_path / "a b" / "index.html"


def browser(folder, script):
    (folder / "chromium").write_text(f"#!/bin/sh\n{script}")
    (folder / "chromium").chmod(0o755)


def test_pdf(page, tmp_path, monkeypatch):
    """A browser prints the page, the last of its arguments, to the file that it is given."""
    browser(
        tmp_path, 'for each; do case $each in --print-to-pdf=*) to=${each#*=};; esac; done; printf %s "$each" > "$to"'
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    assert print_pdf(page) == tmp_path / "a b.pdf"
    assert (tmp_path / "a b.pdf").read_text() == page.as_uri()
    assert [path.name for path in page.parent.iterdir()] == ["index.html"]


@pytest.mark.parametrize("script", [None, "exit 1", "exit 0"])
def test_no_pdf(page, tmp_path, capsys, monkeypatch, script):
    """Where no browser prints, one line says how else; the report is there."""
    journal = write_journal(tmp_path / "own.sqlite", types=["type_001"])
    monkeypatch.setenv("PATH", str(tmp_path))
    if script:
        browser(tmp_path, script)
    monkeypatch.setattr("giftlib.report.build.rebuild_report", lambda *_, **__: page)
    assert main(["report", "--journal", str(journal), "--pdf"]) == 1
    captured = capsys.readouterr()
    assert captured.out == f"{page}\n"
    assert captured.err.startswith("giftlib: ") and captured.err.count("\n") == 1
    assert f"open {page} in any browser and print it to a file" in captured.err
    assert not list(tmp_path.glob("**/*.pdf"))


@pytest.mark.usefixtures("cells_not_run")
def test_no_pdf_of_an_unmet_report(tmp_path, capsys, monkeypatch):
    """A threshold that is not met is exit code 3, and named, also where no browser prints."""
    journal, out = write_journal(tmp_path / "own.sqlite", types=["type_001"]), tmp_path / "out"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["report", "--journal", str(journal), "--out", str(out), "--require", "orders>=3", "--pdf"]) == 3
    missed, printed = capsys.readouterr().err.splitlines()
    assert missed == "giftlib: required orders >= 3, found 1"
    assert printed.startswith("giftlib: no Chromium, Chrome or Edge is found for --pdf; ")


class Terminal(StringIO):
    def isatty(self):
        return True


def test_progress(tmp_path, monkeypatch):
    """In a terminal a bar shows the notebook and, while it runs, how many orders are final."""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with Journal(tmp_path / "live.sqlite") as journal:
        write_journal(tmp_path / "done.sqlite")
        journal.watch("507f1f77bcf86cd799439011")
        for _ in with_progress([Path("1_one.ipynb")], tmp_path):
            end = monotonic() + 60
            while "2 of 3 orders final" not in terminal.getvalue():
                assert monotonic() < end, terminal.getvalue()
                sleep(0.01)
    assert "1_one" in terminal.getvalue()


def test_no_progress(tmp_path, capsys):
    """Where no terminal is, nothing is shown."""
    assert list(with_progress([Path("1_one.ipynb")], tmp_path)) == [Path("1_one.ipynb")]
    assert capsys.readouterr().err == ""
