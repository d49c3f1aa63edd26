"""The plugin: pytest fixtures `simulated_cluster` and `fero_cluster`, and seeds that come again.

An async test that takes `simulated_cluster`, or has the mark `simulated`, runs on virtual time,
whatever plugin runs the other async tests. When it fails, the seed, the end of the trace and the
command that runs it again are in the report.
"""

from __future__ import annotations

import functools
import inspect
import shlex
from collections.abc import Callable, Generator
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import pytest

from rxfero import testing

if TYPE_CHECKING:
    from rxfero.testing.trace import Trace

LINES = 40  # of a trace in a report
SEED = pytest.StashKey[int]()
CLUSTERS = pytest.StashKey[list[Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --rxfero-seed."""
    parser.getgroup("rxfero").addoption(
        "--rxfero-seed", type=int, default=None, metavar="N",
        help="seed of simulated clusters; drawn anew for each run if not given",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Know the mark, and draw the seed."""
    config.addinivalue_line("markers", "simulated: an async test that runs on virtual time")
    given = config.getoption("--rxfero-seed")
    config.stash[SEED] = SystemRandom().getrandbits(32) if given is None else given


def pytest_report_header(config: pytest.Config) -> str:
    """Tell the seed."""
    return f"rxfero: --rxfero-seed={config.stash[SEED]}"


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: Any) -> None:
    """Put a plain function that runs on virtual time in the place of a simulated async test."""
    if not inspect.iscoroutinefunction(obj) or not collector.istestfunction(obj, name):
        return
    if collector.get_closest_marker("simulated") is not None or _is_simulated(obj):
        setattr(collector.obj, name, _simulated(obj))


def _is_simulated(function: Any) -> bool:
    marks = {mark.name for mark in getattr(function, "pytestmark", ())}
    return "simulated" in marks or "simulated_cluster" in inspect.signature(function).parameters


def _simulated(function: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(function)
    def test(*args: Any, **given: Any) -> None:
        testing.simulate(function(*args, **given))

    return test


@pytest.fixture
def simulated_cluster(request: pytest.FixtureRequest) -> Callable[..., testing.SimulatedCluster]:
    """Make simulated clusters: takes what SimulatedCluster takes, with the seed of this run.

    ::

        async def test_split(simulated_cluster):
            async with simulated_cluster(servers=3, clients=1) as c:
                c.split("s1")
    """
    made: list[Any] = request.node.stash.setdefault(CLUSTERS, [])

    def make(**options: Any) -> testing.SimulatedCluster:
        given: dict[str, Any] = {"seed": request.config.stash[SEED], **options}
        cluster = testing.SimulatedCluster(**given)
        made.append(cluster)
        return cluster

    return make


@pytest.fixture
def fero_cluster() -> Callable[..., testing.FeroCluster]:
    """Make clusters with real sockets on loopback: takes what FeroCluster takes."""
    return testing.FeroCluster


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell of a failed test what it takes to have the failure again."""
    del call
    report = yield
    if report.failed:
        for cluster in item.stash.setdefault(CLUSTERS, []):
            trace = getattr(cluster, "trace", None)
            report.sections.append((f"{cluster!r}", _told(item, cluster.seed, trace)))
    return report


def _told(item: pytest.Item, seed: int, trace: Trace | None) -> str:
    again = f"python -m pytest {shlex.quote(item.nodeid)} --rxfero-seed={seed}"
    lines = [f"run it again: {again}"]
    if trace is not None:
        lines += [f"trace of {trace.count} lines, digest {trace.digest}; its end:"]
        lines += list(trace)[-LINES:]
    return "\n".join(lines)
