"""The public names: complete, documented, with an example, and loaded only when they are used."""

import ast
import subprocess
import sys
from doctest import DocTestFinder
from pathlib import Path

import pytest

import giftlib

ROOT = Path(__file__).parents[1]
SHOWN = "".join(
    path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("notebooks/*.ipynb")]
)
JUPYTER = {"IPython", "ipykernel", "ipywidgets", "jupyter_client", "nbclient", "nbformat"}
HEAVY = {"dask", "jinja2", "matplotlib", "numpy", "pandas", "requests", "scipy", "tornado"} | JUPYTER
NOT_FOR_THE_EMULATOR = HEAVY - {"tornado"}


def test_sorted():
    assert giftlib.__all__ == sorted(giftlib.__all__)


@pytest.mark.parametrize("name", giftlib.__all__)
def test_documented(name):
    assert getattr(giftlib, name).__doc__


@pytest.mark.parametrize("name", giftlib.__all__)
def test_shown(name):
    """A public name stands in the README, the documentation or a notebook."""
    assert name in SHOWN


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in giftlib.__all__
        if not (isinstance(thing := getattr(giftlib, name), type) and issubclass(thing, Exception))
    ],
)
def test_example(name):
    """A public name's docstring has an example; all errors share the one of their module."""
    thing = getattr(giftlib, name)
    assert any(test.examples for test in DocTestFinder().find(thing, name))


def test_example_of_errors():
    import giftlib.api.errors as errors

    assert ">>>" in errors.__doc__


def test_table_and_types_agree():
    """Type checkers and completion see each name where the table has it."""
    tree = ast.parse(Path(giftlib.__file__).read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    typed = {alias.name: node.module for node in imports for alias in node.names}
    assert typed == giftlib._MODULE_OF
    assert sorted(typed) == giftlib.__all__


def test_completion():
    """Completion offers the public names and the modules to import from, and nothing else."""
    offered = {name for name in dir(giftlib) if not name.startswith("__")}
    assert offered == {*giftlib.__all__, "calibration", "errors", "sandbox", "schedules"}
    assert "__version__" in dir(giftlib)


def test_unknown_name():
    """A misspelt name is an error with the one that is most like it."""
    with pytest.raises(AttributeError, match="no attribute 'tarck_orders'; did you mean 'track_orders'[?]$"):
        giftlib.tarck_orders  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'xyzzy'$"):
        giftlib.xyzzy  # noqa: B018


def loaded(code):
    """The names of all modules that a fresh interpreter has loaded after the code."""
    code = f"import sys; {code}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_light_import():
    """`import giftlib` takes no time, even where the version is read."""
    assert set() == HEAVY & loaded("import giftlib; giftlib.__version__; dir(giftlib); hasattr(giftlib, '__x')")


def test_light_sandbox():
    assert set() == NOT_FOR_THE_EMULATOR & loaded("from giftlib.sandbox import Sandbox; Sandbox().close()")


def test_light_sandbox_command(tmp_path):
    """`giftlib sandbox` has loaded nothing that it does not need when it prints its address."""
    command = [sys.executable, "-X", "importtime", "-m", "giftlib", "sandbox", "--port", "0"]
    with (
        open(tmp_path / "imports", "w+", encoding="utf-8") as imports,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=imports, text=True) as process,
    ):
        assert process.stdout.readline().startswith("export ONECLICKDZ_BASE_URL=http://")
        process.terminate()
        process.wait()
        imports.seek(0)
        imported = {line.rpartition("|")[2].strip() for line in imports}
    assert "tornado" in imported
    assert set() == NOT_FOR_THE_EMULATOR & imported


@pytest.mark.parametrize("name", ["errors", "schedules", "sandbox", "calibration"])
def test_modules(name):
    """They can be imported, and are there after `import giftlib` alone."""
    assert f"giftlib.{name}" in loaded(f"import giftlib; giftlib.{name}")
