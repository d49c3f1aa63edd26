"""The house: style as a test. Its tables are the map of the code.

What is not yet as it should be stands in a waiver here, by name: a waiver is a debt that is seen.
"""

from __future__ import annotations

import ast
import codecs
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import rxfero
import rxfero.discovery
import rxfero.testing
from rxfero import errors, operators
from rxfero.core import frame
from rxfero.events import EVENTS
from rxfero.options import Options

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rxfero"

# Every module in the order of its layer: a module imports only what stands above it.
LAYERS = """
errors shown extras markup ports sources constants
core.frozen core.heads core.value core.path core.position core.clock core.change
core.columns core.frame core.hello core.link core.ring core.log core.sessions core.tree core.state
core.figures core.quorum core.shard core.catchup core.takeover core.branches core.journal core.members core.peering core.call core.batch core.batches
core.retained core.rows core.requests core.messages core.parked core.settings core.cluster core.succession core.follower core.histories core.reads core.levels core.owner core.answers core.router core.ready core.replica
tasks discovery.hosts discovery.scan discovery.announcement discovery.dns discovery.seeds surroundings discovery.multicast options wire transport streams events
operators.* operators
door disk keep search figures monitor news outbox node since part reader outcome stages guarantee message handler peers partitions writes cache display tables view notebook service thread
commands.output commands.progress commands.whereabouts commands.listing commands.actions commands.serving commands.measuring commands.app
demo_node demo cli __main__ examples.*
testing.checkers testing.laws testing.trace testing.socket testing.link testing.platter testing.host testing.stream testing.listener testing.datagram testing.network
testing.loop
testing.fake testing.marbles testing.member testing.faults testing.schedule testing.strategies testing.waiting testing.simulated testing.model testing.machine testing.real
testing testing.plugin
""".split()  # noqa: SIM905  (a table to read)
RE_EXPORTING = ("", "commands", "core", "discovery", "examples")

# What a group may import besides the groups of its own kind; the core's machines are the node's.
VALUES = {"core.frozen", "core.value", "core.path", "core.position", "core.clock", "core.change"}
KNOWS: dict[str, set[str]] = {
    "discovery": set(),
    "operators": {"core.path", "core.change", "core.position"},
    "options": {"core.call"},
    "disk": VALUES | {"core.journal"},
    "keep": set(),
    "surroundings": set(),
    "tasks": set(),
    "door": set(),
    "streams": set(),
    "events": set(),
    "transport": set(),
    "wire": {"core.frame"},
    "since": VALUES,
    "part": VALUES,
    "reader": VALUES,
    "stages": VALUES | {"core.call"},
    "news": VALUES | {"core.call"},
    "guarantee": VALUES | {"core.call"},  # a guarantee is the call that the core carries
    "message": {"core.batch"},
    "handler": VALUES,
    "peers": VALUES,
    "partitions": VALUES,
    "cache": VALUES,
    "display": VALUES,
    "tables": VALUES,
    "view": VALUES,
    "notebook": set(),
    "thread": set(),
    "service": VALUES,
    "demo_node": VALUES,
    "demo": set(),
    "cli": set(),
    "commands": VALUES,
    "monitor": {"core.frame", "core.hello", "core.link"},
    "examples": set(),
}
REACHES: dict[str, set[str]] = {  # waivers: into machines, for a constant or a type of theirs
    "handler": {"core.call", "core.messages", "core.owner"},
    "part": {"core.state", "core.tree"},
    "peers": {"core.peering", "core.call"},
    "cache": {"core.call", "core.ring", "core.shard"},
    "service": {"core.call", "core.cluster", "core.owner"},
    "display": {"core.ring"},
    "thread": {"core.ring"},
}

FORBIDDEN_IN_CORE = frozenset(
    ("asyncio", "time", "random", "socket", "threading", "os", "logging", "reactivex", "uvloop")
)
HOMES: dict[str, set[str]] = {  # where each library is imported, and nowhere else but for types
    "msgpack": {"core.value"},
    "mmh3": {"core.ring"},
    "uvloop": {"service"},
    "reactivex": {"streams", "events", "since", "part", "reader", "stages", "handler", "operators", "testing", "thread", "view"},
}

EXTRAS = {"pytest": "testing", "hypothesis": "testing", "dns": "dns", "cyclopts": "cli", "rich": "cli"}  # libraries that only a part of the package wants, and its extra

LINES, FUNCTION = 400, 60
LONGER = {  # waivers: modules over 400 lines, to be split by noun
    "core.replica": 880,
    "core.owner": 600,
    "core.router": 500,
    "core.requests": 495,
    "core.cluster": 415,
    "core.succession": 410,
}
LONGER_FUNCTIONS = {  # waivers: functions of the core over 60 lines
    ("core.replica", "__init__"): 75,
}
TESTED_BY: dict[str, str] = {  # waivers: no file of their own, covered by those
    **dict.fromkeys(
        """
        core.cluster
        core.replica
        """.split(),  # noqa: SIM905
        "simulation/test_scenarios.py",
    ),
    **dict.fromkeys(("node", "partitions", "peers", "service", "writes"), "integration/test_original.py"),
    **dict.fromkeys(("__main__", "demo_node"), "test_demo.py"),
    **dict.fromkeys(
        ("examples.counts", "examples.notifications", "examples.register_login"),
        "test_examples.py",
    ),
    "operators": "test_house.py",
    "testing": "testing/test_simulated.py",
}
NO_MODULE = {"test_house.py", "test_examples.py", "test_benchmarks.py", "test_costs.py"}
NOUNS = {"__main__": "program", "cli": "command line", "demo_node": "demo's node"}

# Debts in comments, and the names of writing machines (turned, so that this file passes too).
DEBTS = ("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK")
MACHINES = codecs.decode("pynhqr naguebcvp bcranv pungtcg pbcvybg pbqrk trzvav yyz", "rot13")
BANNED = re.compile(rf"\b({'|'.join(DEBTS)}|(?i:{'|'.join(MACHINES.split())}))\b")
NO_NOUNS = {"utils", "util", "helpers", "common", "base", "manager", "misc"}
TEXTS = [
    path
    for place in ("rxfero", "tests", "docs", "benchmarks", "typings", ".ci", "*.md", "*.toml")
    for found in ROOT.glob(place)
    for path in ([found] if found.is_file() else sorted(found.rglob("*")))
    if path.is_file() and path.suffix in (".py", ".pyi", ".md", ".toml", ".js", ".txt", "")
]


def modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name not in RE_EXPORTING:
            found[name] = path
    return found


MODULES = modules()


def group(name: str) -> str:
    return name if name.startswith("core.") else name.split(".")[0]


def layer(name: str) -> int:
    row = name if name in LAYERS else f"{name.split('.')[0]}.*"
    assert row in LAYERS, f"{name} is in no row of LAYERS in tests/test_house.py: add it there"
    return LAYERS.index(row)


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
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def ours(name: str) -> set[str]:
    """Give the modules of the package that a module imports when it runs."""
    found = {i.removeprefix("rxfero.") for i in imports(MODULES[name], typing=False)}
    return {i for i in found if i in MODULES and i != name}


# --- who imports whom


@pytest.mark.parametrize("name", MODULES)
def test_a_module_stands_in_the_table_of_layers(name: str) -> None:
    layer(name)


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_downwards(name: str) -> None:
    for target in ours(name):
        assert group(target) != "testing" or group(name) == "testing", f"{name} imports {target}"
        same_group = name.split(".")[0] == target.split(".")[0] == "operators"
        assert same_group or layer(target) < layer(name), f"{name} imports {target}"


@pytest.mark.parametrize("name", [n for n in MODULES if group(n) in KNOWS])
def test_only_the_node_knows_the_machines(name: str) -> None:
    known = KNOWS[group(name)] | REACHES.get(group(name), set())
    reached = {target for target in ours(name) if target.startswith("core.")}
    assert reached <= known, f"{name} reaches into {reached - known}"


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith("core.")])
def test_the_core_does_no_io(name: str) -> None:
    used = {imported.split(".")[0] for imported in imports(MODULES[name], typing=False)}
    assert not used & FORBIDDEN_IN_CORE


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_its_homes(library: str) -> None:
    users = {
        group(name)
        for name, path in MODULES.items()
        if any(i.split(".")[0] == library for i in imports(path, typing=False))
    }
    assert users == HOMES[library]


def test_what_is_imported_is_what_is_required() -> None:
    used = {i.split(".")[0] for p in MODULES.values() for i in imports(p, typing=True)}
    foreign = used - sys.stdlib_module_names - {"rxfero", *EXTRAS}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = {re.split(r"[^\w-]", text)[0] for text in project["dependencies"]}
    assert foreign == required == set(HOMES)
    for library, extra in EXTRAS.items():
        assert any(text.startswith(library) for text in project["optional-dependencies"][extra])
    assert project["version"] == rxfero.__version__


def test_importing_the_package_is_cheap() -> None:
    script = "import sys, rxfero.testing; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert not {"reactivex", "uvloop", "msgpack", "mmh3", "asyncio"} & set(done.stdout.split())


# --- how a module is written


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_short(name: str) -> None:
    lines = len(MODULES[name].read_text(encoding="utf-8").splitlines())
    assert lines <= LONGER.get(name, LINES), f"{name} has {lines} lines: split it by noun"


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith("core.")])
def test_a_function_of_the_core_is_short(name: str) -> None:
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            limit = LONGER_FUNCTIONS.get((name, node.name), FUNCTION)
            assert lines <= limit, f"{name}.{node.name} has {lines} lines"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_names_its_noun_and_its_promise(name: str) -> None:
    docstring = ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    assert docstring, f"{name} has no docstring"
    head, colon, promise = docstring.splitlines()[0].partition(":")
    leaf = name.split(".")[-1]
    noun = NOUNS.get(leaf, leaf)
    plain = re.compile(r"[^a-z0-9]")
    assert plain.sub("", noun.lower()) in plain.sub("", head.lower()), f"{name}: {head}"
    assert colon
    assert promise.strip()
    assert leaf not in NO_NOUNS, f"{leaf} is no noun that says what it holds"


@pytest.mark.parametrize("name", [n for n in MODULES if not n.startswith("examples")])
def test_a_module_has_its_tests(name: str) -> None:
    *folder, leaf = name.split(".")
    own = ROOT.joinpath("tests", *folder, f"test_{leaf}.py")
    assert own.exists() or name in TESTED_BY, f"{name} has no {own.relative_to(ROOT)}"


@pytest.mark.parametrize(
    "path", [p.relative_to(ROOT / "tests") for p in (ROOT / "tests").rglob("test_*.py")], ids=str
)
def test_a_test_has_its_module(path: Path) -> None:
    if str(path) in NO_MODULE or path.parts[0] in ("chaos", "docs", "fuzz", "integration", "simulation"):
        return
    name = ".".join((*path.parts[:-1], path.stem.removeprefix("test_")))
    assert name in MODULES, f"tests/{path} tests no module"


def test_waivers_are_of_what_there_is() -> None:
    waived = {*LONGER, *(name for name, _ in LONGER_FUNCTIONS), *TESTED_BY, *REACHES}
    assert waived <= set(MODULES)
    for test in set(TESTED_BY.values()):
        assert (ROOT / "tests" / test).exists(), test


def test_no_text_has_banned_words() -> None:
    assert len(TEXTS) > 100
    for path in TEXTS:
        found = BANNED.search(path.read_text(encoding="utf-8"))
        assert not found, f"{path.relative_to(ROOT)} says {found and found.group()}"


# --- what is public is there, and written down


def test_every_public_name_is_there() -> None:
    assert len(set(rxfero.__all__)) == len(rxfero.__all__)
    assert set(dir(rxfero)) == set(rxfero.__all__)
    for name in rxfero.__all__:
        assert getattr(rxfero, name) is not None


def error_names() -> set[str]:
    kinds = {k for k in vars(errors).values() if isinstance(k, type)}
    return {k.__name__ for k in kinds if issubclass(k, errors.RxferoError)}


def test_every_error_and_operator_is_public() -> None:
    assert error_names() <= set(rxfero.__all__)
    verbs = {
        name.split(".")[1]
        for name, path in MODULES.items()
        if name.startswith("operators.")
        and not (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
        .splitlines()[0]
        .startswith("The ")
    }
    assert verbs == {name for name in operators.__all__ if name.islower()}


@pytest.mark.parametrize("name", [name for name in operators.__all__ if name.islower()])
def test_an_operator_has_its_laws(name: str) -> None:
    tests = (ROOT / "tests" / "operators" / f"test_{name}.py").read_text(encoding="utf-8")
    assert tests.count("def test_law_") >= 3


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("docs/events.md", set(EVENTS)),
        ("docs/errors.md", error_names()),
        ("docs/operators.md", set(operators.__all__)),
        ("docs/wire.md", {row.name for row in frame.KINDS.values()}),
        ("README.md", set(Options.__dataclass_fields__) | {"handler"}),
        ("docs/api.md", set(rxfero.__all__) - {"__version__", "fero", "connect"}),
        ("docs/api.md", set(rxfero.testing.__all__) | set(rxfero.discovery.__all__)),
        ("docs/index.md", {f"{p.stem}.md" for p in (ROOT / "docs").glob("*.md")} - {"index.md"}),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_page_names_them_all(page: str, names: set[str]) -> None:
    words = set(re.findall(r"[\w.]+", (ROOT / page).read_text(encoding="utf-8")))
    words |= {word.rpartition(".")[2] for word in words if word.startswith("rxfero.")}
    assert names <= words, f"{page} does not name {names - words}"
