"""README, docs/ and docstrings: examples run, commands exist, and the table of facts names what there is."""

import re
import shlex
import subprocess
from doctest import ELLIPSIS, DocTestFinder, DocTestRunner
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest
from matplotlib import pyplot
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser

import giftlib
from giftlib import connection
from giftlib.cli import main
from giftlib.sandbox import Settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FACTS = (ROOT / "docs" / "facts.md").read_text(encoding="utf-8")
ROWS = [line.split(" | ") for line in FACTS.splitlines() if line.startswith("| ") and not line.startswith("| fact")]


def blocks(page, language):
    """The fenced blocks of a page in that language."""
    document = Sybil([CodeBlockParser(language, lambda example: None)]).parse(page)
    return [example.parsed for example in document.examples()]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_the_examples_of_a_page_run_from_top_to_bottom_and_print_what_it_says(page, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = {}

    def run(example):
        exec(example.parsed, names)

    def compare(example):
        assert capsys.readouterr().out == example.parsed

    for example in Sybil([CodeBlockParser("python", run), CodeBlockParser("text", compare)]).parse(page).examples():
        example.evaluate()


MODULES = ["giftlib", *(module.name for module in walk_packages(giftlib.__path__, "giftlib."))]
EXAMPLES = [
    example
    for name in MODULES
    if name != "giftlib.__main__"
    for example in DocTestFinder().find(import_module(name))
    if example.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_docstring_examples(example, monkeypatch, tmp_path):
    """The examples of a docstring run, one after the other, and print what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(connection, "_current", None)  # an example may connect; later tests shall not notice
    report = []
    failed, tried = DocTestRunner(verbose=False, optionflags=ELLIPSIS).run(example, out=report.append)
    pyplot.close("all")
    assert (failed, tried) == (0, len(example.examples)), "".join(report)


def test_docstring_examples_are_found():
    assert "giftlib" in [example.name for example in EXAMPLES]


COMMANDS = [
    line.removeprefix("$ ").partition("  #")[0].strip()
    for page in PAGES
    for block in blocks(page, "console")
    for line in block.splitlines()
]


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_a_command_is_one_that_there_is(command, capsys, monkeypatch, tmp_path):
    words = [word for word in shlex.split(command) if not re.fullmatch("[A-Z_]+=.*", word)]
    if words[0] == "make":
        assert subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, check=False).returncode == 0
    elif words[0] == ".venv/bin/giftlib" or words[1:3] == ["-m", "giftlib"]:
        options = words[3:] if words[1] == "-m" else words[1:]
        for file in (tmp_path / word for word in words if word.endswith((".json", ".sqlite", ".svg"))):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as told:  # after all options, so that each is read
            main([*options, "--help"])
        assert told.value.code == 0
        known = capsys.readouterr().out
        assert all(word in known for word in options[1:] if word.startswith("--"))
    elif words[1:3] == ["-m", "pytest"]:
        for word in words[3:]:
            assert word.startswith("-") or not word.endswith(".py") or (ROOT / word).exists()
        if "-k" in words:
            tests = "".join((ROOT / word).read_text(encoding="utf-8") for word in words if word.endswith(".py"))
            assert all(name in tests for name in re.findall(r"\w+", words[words.index("-k") + 1]) if name != "or")
    else:
        assert words[0] in ("export", "cd", "git", "python3", "npx", "apt-get", ".venv/bin/python"), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][2:40])
def test_facts(row):
    """A fact is where the table says, and its tests exist."""
    _, grade, where, tested = row
    assert re.search("DOC|LIVE|unknown", grade)
    for name in re.findall("`(.+?)`", where):
        module, _, thing = name.rpartition(".")
        if module and module != "Sandbox":
            assert hasattr(import_module(f"giftlib.sandbox.{module}"), thing)
        else:
            assert name.partition(".")[0] in ("Sandbox", *Settings.__dataclass_fields__)
    assert there_are_tests(tested)


def there_are_tests(cell):
    """Whether a cell of a table names tests, all of which exist."""
    tests = re.findall(r"\[`(\w+)`\]\(\.\./tests/([\w/]+\.py)\)", cell)
    return tests and all(
        f"\ndef test_{name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8") for name, file in tests
    )


COMPARISON = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("row", re.findall("^[|] (?![|]).*", COMPARISON, re.M), ids=lambda row: row[2:40])
def test_comparison(row):
    """What the emulator is said to have beside others is held by tests, and nothing else claims to be."""
    _, ours, *others, tested = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(others) == 7
    assert there_are_tests(tested) if "yes" in ours else tested == ""


def test_every_setting_has_a_fact():
    """Every setting is in the table of facts."""
    named = {name for row in ROWS for name in re.findall("`([a-z_0-9]+)`", row[2])}
    assert set(Settings.__dataclass_fields__) <= named


ROOMS = sorted(path.parent for path in (ROOT / "giftlib").glob("*/__init__.py"))


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_door(room):
    """The order of reading in a package's `__init__` names modules that are there."""
    reading = import_module(f"giftlib.{room.name}").__doc__.partition("Read `")[2]
    named = re.findall("`([a-z_]+)`", f"`{reading}")
    assert [name for name in named if not (room / f"{name}.py").exists()] == []


def test_files_of_the_library():
    """The files that docs/library.md names are there."""
    page = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    named = re.findall("`([a-z_]+/[a-z_]+[.]py)`", page)
    assert [name for name in named if not (ROOT / "giftlib" / name).exists() and not (ROOT / name).exists()] == []


FRAMES = ["orders", "polls", "intents", "sources"]


@pytest.mark.parametrize("frame", FRAMES)
def test_columns(frame):
    """docs/columns.md names the columns of each frame of a journal, in their order."""
    section = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8").partition(f"## `journal.{frame}()`")[2]
    cells = [line.split("|")[1] for line in section.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    with giftlib.Journal() as journal:
        assert re.findall(r"`(\w+)`", "".join(cells)) == list(getattr(journal, frame)())


def test_reference():
    """docs/reference.md lists every public name but the errors, which are on a page of their own."""
    listed = re.findall(r"^   ([\w.]+)$", (ROOT / "docs" / "reference.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(giftlib.__all__) <= {*listed, *dir(giftlib.errors)}
