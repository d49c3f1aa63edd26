"""The machine finds nothing in a cluster that keeps its promises, and whatever it is that does not.

More stories, longer ones: RXFERO_STORIES=2000 RXFERO_STEPS=100 python -m pytest tests/testing/test_machine.py
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from rxfero.core.position import Term
from rxfero.testing import ClusterMachine
from rxfero.testing.checkers import Violation

STORIES = settings(
    max_examples=int(os.environ.get("RXFERO_STORIES", "25")),
    stateful_step_count=int(os.environ.get("RXFERO_STEPS", "25")),
    deadline=None,
    derandomize="RXFERO_STORIES" not in os.environ,
    suppress_health_check=list(HealthCheck),
    database=None,
)


class Voters(ClusterMachine):
    options: ClassVar[dict[str, Any]] = {
        "disks": True, "quorum": "majority", "voters": ["s1", "s2", "s3"],
    }  # fmt: skip


TestAvailable = ClusterMachine.TestCase
TestAvailable.settings = STORIES
TestVoters = Voters.TestCase
TestVoters.settings = STORIES


@pytest.fixture(params=[ClusterMachine, Voters], ids=["available", "voters"])
def machine(request: pytest.FixtureRequest) -> Iterator[ClusterMachine]:
    made = request.param()
    made.start(seed=7)
    yield made
    made.teardown()


def broken(machine: ClusterMachine, promise: str) -> None:
    """Check that this is what the machine finds."""
    with pytest.raises(Violation) as caught:
        machine.rest()
    assert caught.value.promise == promise


def test_at_rest_nothing_is_under_way_not_even_what_nobody_awaits_any_more() -> None:
    class Two(Voters):
        clients = 2

    machine = Two()
    machine.start(seed=7)
    machine.split([True, True, False, False, False])  # c2 is with one voter
    machine.write(4, 0)
    machine.run(asyncio.sleep(60))
    (late,) = machine.cluster["c2"].node.replica.requests.pending.values()
    assert late.done, "its await has timed out"
    machine.rest()
    assert machine.cluster["s1"].cache["k0"] == 1
    assert machine.model.initial["k0"] == 1
    machine.teardown()


def test_a_story_by_hand(machine: ClusterMachine) -> None:
    for _ in range(2):
        machine.write(0, 0)
        machine.push(3, 1)
        machine.subscribe(1)
        machine.split([True, False, False, False, False])
        machine.wait(6.0)
        machine.write(0, 0)
        machine.push(0, 1)
        machine.write(1, 0)
        machine.push(1, 1)
        machine.remove(2, 2)
        machine.read(0, 0)
        machine.wait(3.0)
        machine.heal()
        machine.resume(0, 2)
        machine.crash(0)
        machine.write(1, 1)
        machine.restart()
        machine.cut(0, 1, both=False)
        machine.wait(1.0)
        machine.heal()
        machine.pause(0)
        machine.wait(4.0)
        machine.rest()
        machine.one_owner()
    (observer, _) = machine.observers
    assert observer.shows() == dict(machine.cluster["s1"].cache)
    assert len(observer.shows()["l1"]) >= 4


def test_servers_come_and_go_while_it_writes() -> None:
    machine = ClusterMachine()
    machine.start(seed=3)
    for n in range(6):
        machine.write(n, 0)
        machine.push(n, 0)
        if n % 2:
            machine.join()
        else:
            machine.leave(n)
    machine.wait(2.0)
    sure = [number for (_, number), pushed in machine.model.pushed.items() if pushed]
    machine.teardown()
    assert len(sure) >= 3


def test_a_write_that_is_gone_is_found(machine: ClusterMachine) -> None:
    machine.push(0, 0)
    machine.rest()
    machine.run(machine.cluster["s1"].cache.remove("l0"))
    broken(machine, "kept")


def test_a_write_of_nobody_is_found(machine: ClusterMachine) -> None:
    machine.run(machine.cluster["s1"].cache.update("k0", -1))
    broken(machine, "kept")


def test_a_push_of_nobody_is_found(machine: ClusterMachine) -> None:
    machine.run(machine.cluster["s1"].cache.push("l0", -1))
    broken(machine, "kept")


def test_a_write_that_is_there_twice_is_found(machine: ClusterMachine) -> None:
    machine.push(0, 0)
    machine.rest()
    machine.run(machine.cluster["s1"].cache.push("l0", machine._count))
    broken(machine, "once")


def test_an_older_write_that_came_back_is_found(machine: ClusterMachine) -> None:
    machine.write(0, 0)
    machine.wait(1.0)
    old = machine._count
    machine.write(0, 0)
    machine.wait(1.0)
    machine.run(machine.cluster["s1"].cache.update("k0", old))
    broken(machine, "linearizable")


def test_an_observer_that_has_missed_something_is_found(machine: ClusterMachine) -> None:
    machine.subscribe(0)
    machine.write(0, 0)
    machine.wait(1.0)
    machine.observers[0].state.parts.clear()
    broken(machine, "observed")


def test_two_owners_of_a_term_are_found(machine: ClusterMachine) -> None:
    machine.one_owner()
    (shard, term, _), *_ = machine._reigns
    machine._reigns[shard, term, "another/1"] = None
    with pytest.raises(Violation, match="one_owner"):
        machine.one_owner()
    del machine._reigns[shard, term, "another/1"]
    machine._reigns[shard, Term(term.n + 9, 1), "another/1"] = None
    machine.one_owner()


def test_what_is_wrong_is_told_as_a_story() -> None:
    class Forgetful(ClusterMachine):
        servers, most, clients = 1, 1, 0

        @rule(seconds=st.floats(0.5, 1.0))
        def forget(self, seconds: float) -> None:
            self.wait(seconds)
            if "l0" in self.cluster["s1"].cache:
                self.run(self.cluster["s1"].cache.remove("l0"))

    drawn = (Phase.explicit, Phase.generate)  # to look for a shorter one takes its time
    few = settings(STORIES, max_examples=200, phases=drawn, print_blob=False)
    with pytest.raises(Violation, match="kept") as caught:
        run_state_machine_as_test(Forgetful, settings=few)
    told = "\n".join(caught.value.__notes__)
    assert told.index("state.start(") < told.index("state.push(") < told.rindex("state.forget(")
