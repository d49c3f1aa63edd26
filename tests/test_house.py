"""The house: style as a test. The layer table is the map of the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import rxfero

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rxfero"

# Every module in the order of its layer: a module imports only what stands above it.
LAYERS = """
errors ports sources constants
core.frozen core.value core.path core.position core.clock core.change
core.columns core.frame core.hello core.link core.ring core.log core.sessions core.tree core.state
core.shard core.takeover core.catchup core.branches core.members core.peering core.requests
core.cluster core.succession core.follower core.owner core.router core.replica
discovery.hosts discovery.scan options transport streams events
operators.* operators
node since guarantee handler peers partitions cache service
demo_node demo cli __main__ examples.*
""".split()  # noqa: SIM905  (a table to read)

FORBIDDEN_IN_CORE = frozenset(
    ("asyncio", "time", "random", "socket", "threading", "os", "logging", "reactivex", "uvloop")
)
HOMES = {
    "msgpack": {"core.value"},
    "mmh3": {"core.ring"},
    "uvloop": {"service"},
}
LONGER = {  # modules over 400 lines, to be split by noun
    "core.replica": 900, "core.owner": 700, "core.router": 650, "core.requests": 500,
    "core.succession": 500, "cache": 450, "node": 500, "core.state": 450, "constants": 450,
}  # fmt: skip
UNTESTED = {  # modules that another's tests or a program's run covers
    "__main__", "cli", "demo", "demo_node", "options", "node", "since", "guarantee", "handler",
    "peers", "partitions", "cache", "service", "core.columns", "core.shard", "core.takeover",
    "core.catchup", "core.branches", "core.members", "core.peering", "core.requests",
    "core.cluster", "core.succession", "core.follower", "core.owner", "core.router", "core.replica",
}  # fmt: skip
BANNED = ("TO" + "DO", "FIX" + "ME", "X" * 3)


def modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name and name not in ("core", "discovery", "examples"):
            found[name] = path
    return found


MODULES = modules()


def layer(name: str) -> int:
    if name in LAYERS:
        return LAYERS.index(name)
    group = name.split(".")[0] + ".*"
    assert group in LAYERS, f"{name} is in no row of LAYERS: which layer is it?"
    return LAYERS.index(group)


def imports(path: Path, *, typing: bool) -> set[str]:
    """Give what a module imports; with `typing` also what it imports for types only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and not typing:
            skipped.update(ast.walk(node))
    names: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_downwards(name: str) -> None:
    for imported in imports(MODULES[name], typing=False):
        target = imported.removeprefix("rxfero.")
        if imported.startswith("rxfero.") and target in MODULES and target != name:
            same_group = name.split(".")[0] == target.split(".")[0] == "operators"
            assert same_group or layer(target) < layer(name), f"{name} imports {target}"


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith("core.")])
def test_the_core_does_no_io(name: str) -> None:
    used = {imported.split(".")[0] for imported in imports(MODULES[name], typing=False)}
    assert not used & FORBIDDEN_IN_CORE


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_one_home(library: str) -> None:
    users = {
        name
        for name, path in MODULES.items()
        if any(i.split(".")[0] == library for i in imports(path, typing=True))
    }
    assert users == HOMES[library]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_short_and_says_its_noun(name: str) -> None:
    text = MODULES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGER.get(name, 400)
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, "a module begins with its noun and its promise"
    assert ":" in docstring.splitlines()[0]
    for word in BANNED:
        assert word not in text, f"{word} in {name}"


@pytest.mark.parametrize("name", [n for n in MODULES if n not in UNTESTED])
def test_a_module_has_its_tests(name: str) -> None:
    if name.startswith("examples") or name == "operators":
        return
    *folder, leaf = name.split(".")
    folders = [ROOT.joinpath("tests", *folder)]
    assert any((f / f"test_{leaf}.py").exists() for f in folders) or name.startswith("operators.")


def test_every_public_name_is_there() -> None:
    for name in rxfero.__all__:
        assert getattr(rxfero, name) is not None
