"""Tests of schedules."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rxfero.errors import ConfigurationError
from rxfero.testing import Schedule, SimulatedCluster, simulate
from rxfero.testing.schedule import FAULTS
from tests.testing.campaign import MODES, campaign


def test_faults_happen_when_the_plan_says() -> None:
    plan = [
        (30.0, "restart", "s2"),
        (2.0, "split", "s1"),
        (5.0, "crash", "s2", {"power": True}),
        (20.0, "heal"),
    ]

    async def main() -> None:
        async with SimulatedCluster(seed=1, servers=3) as c:
            begin = asyncio.get_running_loop().time()
            await c.play(Schedule(plan))
            took = asyncio.get_running_loop().time() - begin
            assert 30 < took < 40
            told = [line for line in c.trace if "cut" in line or "s2 " in line]
            seen = [(float(t.split()[0]) - begin, t.split(" ", 1)[1]) for t in told]
            times = {what: round(when, 3) for when, what in seen}
            assert times["cut s1>s2"] == 2.0
            assert times["s2 loses power"] == 5.0
            assert times["s2 starts"] == 30.0
            await c.whole()

    simulate(main())


def test_a_restart_may_be_crashed_again() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=1, servers=2) as c:
            await c.play(Schedule([
                (1.0, "crash", "s1"), (2.0, "restart", "s1"), (2.0, "crash", "s1"),
                (3.0, "restart", "s1"),
            ]))  # fmt: skip
            await c.whole()
            assert c["s1"].lives == 3

    simulate(main())


@pytest.mark.parametrize("step", [(1.0, "spilt", "s1"), (-1.0, "heal"), ("soon", "heal")])
def test_a_plan_that_cannot_be_is_refused(step: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError, match="did you mean|seconds"):
        Schedule([step])


def test_every_fault_is_one_of_the_cluster() -> None:
    assert all(callable(getattr(SimulatedCluster, name)) for name in FAULTS)


def test_a_drawn_plan_is_the_seeds_and_undoes_itself() -> None:
    one, other = Schedule.random(1, 3, 60.0), Schedule.random(1, 3, 60.0)
    assert one.steps == other.steps
    assert one.steps != Schedule.random(2, 3, 60.0).steps
    assert len(one) > 20
    assert repr(one).startswith("Schedule([(")
    for plan in (one, *(Schedule.random(seed, 2, 30.0) for seed in range(20))):
        names = [step[1] for step in plan]
        assert names.count("crash") == names.count("restart")
        assert names.count("pause") == names.count("resume")
        assert plan.steps[-1][1] == "heal"
    assert not [s for s in Schedule.random(3, 1, 30.0, faults=["cut"]) if s[1] == "cut"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mode", MODES)
def test_a_cluster_outlives_a_drawn_plan_and_keeps_its_promises(mode: str, seed: int) -> None:
    one = campaign(seed, mode, seconds=30.0)
    assert len(one.acknowledged) + len(one.history) + one.failed >= 0.9 * one.asked


def test_a_plan_with_everything_is_a_run_too() -> None:
    digests = {mode: campaign(9, mode, seconds=20.0).digest for mode in MODES}
    assert len(set(digests.values())) == len(MODES)
    assert digests == {mode: campaign(9, mode, seconds=20.0).digest for mode in MODES}
