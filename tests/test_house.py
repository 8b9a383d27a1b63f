"""The packages of giftlib: which may import which, through their `__init__`, and how large each may be."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "giftlib"
FILES = sorted(PACKAGE.rglob("*.py"))

# clock -> api -> journal -> polling -> analysis -> report -> cli: each imports only what stands to its left.
LIBRARY = ["clock", "api", "journal", "polling", "analysis"]
MAY_IMPORT = {
    **{room: set(LIBRARY[:place]) for place, room in enumerate(LIBRARY)},
    "connection": {"clock", "api", "sandbox"},
    "sandbox": {"clock", "api"},  # the api for `Sandbox.client()` alone, see below
    "errors": {"api"},
    "schedules": {"polling", "analysis"},
}
for room in ("polling", "analysis"):
    MAY_IMPORT[room].add("connection")
for room in ("report", "calibration"):
    MAY_IMPORT[room] = {*LIBRARY, "connection", "sandbox"}
MAY_IMPORT["cli"] = {"giftlib", *MAY_IMPORT}
MAY_IMPORT["__main__"] = {"cli"}
MAY_IMPORT["pytest_plugin"] = {"giftlib"}
MAY_IMPORT["giftlib"] = set(MAY_IMPORT) - {"cli", "__main__", "pytest_plugin"}
OPEN_MODULES = {
    "giftlib.analysis.plots",  # so that `giftlib.analysis` does without matplotlib
    "giftlib.api.errors",  # offered by `giftlib.api` as a module
}
RE_EXPORTS = {"giftlib.errors", "giftlib.schedules"}

TRUSTED_WITH_MONEY = ("api", "journal", "polling", "clock", "connection")
# As large as each has become: lower a number when the package shrinks. They rose for sources, refs and deadlines, for a
# smooth estimate, comparisons and exact accounts, for what public bug reports of others broke, for an emulator that
# plays any outcome and keeps what it was asked, for files that lose nothing, for a report with a verdict, every order
# and a comparison, and for a panel that shows a person how a wait goes.
LINES = {TRUSTED_WITH_MONEY: 5724, ("analysis",): 2651, ("report",): 2281, ("sandbox",): 3157, ("calibration",): 866}
LINES_IN_ALL = 15184
LINES_OF_A_FILE = 250
LINES_OF_A_CLASS = 150
ATTRIBUTES = 10
ENTRIES_AT_THE_TOP = 16


class Import(NamedTuple):
    module: str
    target: str
    at_import: bool  # when the module is imported, so neither in a function nor for type checkers alone


def module_of(path):
    parts = ("giftlib", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}
TREES = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in MODULES.items()}


def room_of(module):
    return module.split(".")[1] if "." in module else "giftlib"


def targets_of(module, node):
    """The modules of giftlib that an import statement names; of `from package import module`, the module."""
    if isinstance(node, ast.Import):
        named = [alias.name for alias in node.names]
    else:
        package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
        for _ in range(node.level - 1):
            package = package.rpartition(".")[0]
        start = ".".join(filter(None, [package, node.module])) if node.level else node.module
        named = [name if (name := f"{start}.{alias.name}") in MODULES else start for alias in node.names]
    return {name for name in named if name in MODULES}


def imports_of(module):
    def walk(node, at_import):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (Import(module, target, at_import) for target in targets_of(module, node))
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from (found for child in node.body for found in walk(child, False))
            yield from (found for child in node.orelse for found in walk(child, at_import))
        else:
            at_import = at_import and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from (found for child in ast.iter_child_nodes(node) for found in walk(child, at_import))

    return set(walk(TREES[module], True))


IMPORTS = {found for module in MODULES for found in imports_of(module)}
ROOMS = sorted({room_of(module) for module in MODULES})


def test_reads_imports():
    """The rules below would hold for nothing if no import were found."""
    assert {"connection", "clock", "api"} <= {room_of(target) for _, target, _ in IMPORTS}
    assert Import("giftlib.connection", "giftlib.sandbox", False) in IMPORTS
    assert set(ROOMS) <= set(MAY_IMPORT)


def shown(imports):
    return sorted(f"{module} imports {target}" for module, target, _ in imports)


@pytest.mark.parametrize("room", ROOMS)
def test_direction(room):
    """A package imports only from those to its left."""
    allowed = {room, *MAY_IMPORT[room]}
    assert (
        shown(found for found in IMPORTS if room_of(found.module) == room != room_of(found.target) not in allowed) == []
    )


@pytest.mark.parametrize("room", ["sandbox", "connection"])
def test_light_rooms(room):
    """When it is imported, the emulator loads only the clock of giftlib, and the connection no emulator."""
    allowed = {"sandbox": {"sandbox", "clock"}, "connection": {"clock", "api"}}[room]
    at_import = {found for found in IMPORTS if room_of(found.module) == room and found.at_import}
    assert shown(found for found in at_import if room_of(found.target) not in allowed) == []


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "giftlib"])
def test_doors(room):
    """From outside, a package is imported by its own name, `giftlib.<package>`, and not by a module in it."""
    from_outside = {found for found in IMPORTS if room_of(found.module) != room == room_of(found.target)}
    around = {found for found in from_outside if found.target != f"giftlib.{room}" and found.module not in RE_EXPORTS}
    assert shown(found for found in around if found.target not in OPEN_MODULES) == []


@pytest.mark.parametrize("room", ROOMS)
def test_no_circle(room):
    """Within a package the modules can be read one after the other."""
    graph = {module: set() for module in MODULES if room_of(module) == room}
    for module, target, _ in IMPORTS:
        if module in graph and target in graph:
            graph[module].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def lines_of(path):
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("module", MODULES)
def test_file_size(module):
    assert lines_of(MODULES[module]) <= LINES_OF_A_FILE


CLASSES = {
    f"{module}.{node.name}": node
    for module, tree in TREES.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.ClassDef)
}


@pytest.mark.parametrize("name", CLASSES)
def test_class_size(name):
    node = CLASSES[name]
    assert node.end_lineno - node.lineno + 1 <= LINES_OF_A_CLASS


@pytest.mark.parametrize("name", CLASSES)
def test_attributes(name):
    attributes = {
        node.attr
        for node in ast.walk(CLASSES[name])
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    }
    assert len(attributes) <= ATTRIBUTES, sorted(attributes)


@pytest.mark.parametrize("rooms", LINES, ids="+".join)
def test_room_size(rooms):
    assert sum(lines_of(path) for module, path in MODULES.items() if room_of(module) in rooms) <= LINES[rooms]


def test_size():
    assert sum(map(lines_of, FILES)) <= LINES_IN_ALL


def test_entries_at_the_top():
    assert len([path for path in PACKAGE.iterdir() if path.name != "__pycache__"]) <= ENTRIES_AT_THE_TOP
