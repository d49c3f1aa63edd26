"""Tests of the pytest plugin, each in a pytest of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The plugin is named here, not found by its entry point: the package need not be installed anew.
RUN = [sys.executable, "-m", "pytest", "-p", "no:rxfero", "-p", "rxfero.testing.plugin",
       "-p", "no:cacheprovider", "-p", "no:rerunfailures", "-W", "error",
       "-W", "ignore::pytest.PytestDeprecationWarning"]  # fmt: skip

SIMULATED = """
import asyncio
import pytest

async def test_an_hour(simulated_cluster):
    async with simulated_cluster(servers=2, clients=1) as c:
        await asyncio.sleep(600)
        await c["c1"].cache.update("a", 1)
        assert await c.same() == {"a": 1}

@pytest.mark.simulated
async def test_marked():
    await asyncio.sleep(10**6)

class TestMethods:
    @pytest.mark.parametrize("number", [1, 2])
    async def test_method(self, simulated_cluster, number, tmp_path):
        async with simulated_cluster(servers=number, seed=9) as c:
            assert c.seed == 9 and len(c.servers) == number and tmp_path.exists()
"""
FAILING = """
async def test_fails(simulated_cluster):
    async with simulated_cluster(servers=2) as c:
        c.crash("s2")
        assert c.seed % 2 == 5
"""
REAL = """
async def test_real(fero_cluster):
    async with fero_cluster(servers=2, clients=1) as c:
        await c["c1"].cache.update("a", 1)
        assert await c.same() == {"a": 1}
"""


def run(folder: Path, text: str, *options: str) -> tuple[int, str]:
    (folder / "test_it.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [*RUN, f"--rootdir={folder}", *options, "test_it.py"], cwd=folder,
        env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "options", [("-p", "no:asyncio"), ("-p", "asyncio"), ("-o", "asyncio_mode=auto")], ids=str
)
def test_simulated_tests_run_whatever_runs_the_others(
    tmp_path: Path, options: tuple[str, str]
) -> None:
    code, told = run(tmp_path, SIMULATED, *options)
    assert code == 0, told
    assert "4 passed" in told


def test_a_failure_tells_its_seed_and_trace_and_comes_again(tmp_path: Path) -> None:
    code, told = run(tmp_path, FAILING)
    assert code == 1, told
    again = re.search(r"run it again: python -m pytest (\S+) (--rxfero-seed=\d+)", told)
    assert again, told
    assert again[1] == "test_it.py::test_fails"
    assert again[2] in told.splitlines()[3] or f"rxfero: {again[2]}" in told
    assert "s2 crashes" in told
    digest = re.search(r"trace of \d+ lines, digest \w+", told)
    _, second = run(tmp_path, FAILING, again[2])
    assert digest
    assert digest[0] in second


def test_real_clusters_run_beside(tmp_path: Path) -> None:
    code, told = run(tmp_path, REAL, "-o", "asyncio_mode=auto")
    assert code == 0, told


def test_the_page_shows_tests_that_pass(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    shown = re.search(r"```python\n(import pytest\n.*?)```", page, re.DOTALL)
    assert shown
    code, told = run(tmp_path, shown[1])
    assert code == 0, told
    assert "2 passed" in told


def test_it_is_found_by_its_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"rxfero": "rxfero.testing.plugin"}
