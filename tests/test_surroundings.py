"""Tests of the surroundings: those of a process, and those that a loop gives."""

from __future__ import annotations

import asyncio
import time
from random import Random

from rxfero.surroundings import Surroundings, surroundings


async def test_a_process_has_the_systems_clocks_and_a_chance_of_its_own() -> None:
    one, other = surroundings(), surroundings()
    assert one.loop is asyncio.get_running_loop()
    assert one.monotonic is time.monotonic
    assert one.wall is time.time
    assert one.rng.getrandbits(64) != other.rng.getrandbits(64)


def test_a_loop_may_give_others() -> None:
    class Loop(asyncio.SelectorEventLoop):
        def surroundings(self) -> Surroundings:
            return Surroundings(self, lambda: 1.0, lambda: 2.0, Random(3))

    async def main() -> None:
        given = surroundings()
        assert (given.monotonic(), given.wall()) == (1.0, 2.0)
        assert given.rng.random() == Random(3).random()

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
