"""Tests of waiting: what is waited for, and what is said when it does not come."""

from __future__ import annotations

import asyncio

import pytest

from rxfero.testing import SimulatedCluster, simulate
from rxfero.testing.waiting import Waiting


def test_it_waits_until_something_holds() -> None:
    async def main() -> None:
        loop, waiting = asyncio.get_running_loop(), Waiting()
        await waiting.until(lambda: loop.time() > 30)
        assert 30 < loop.time() < 30.1
        with pytest.raises(TimeoutError, match="rain did not come to be within 5 s"):
            await waiting.until(lambda: False, timeout_s=5, what="rain")
        assert 35 <= loop.time() < 35.2
        with pytest.raises(NotImplementedError):
            await waiting.whole()

    simulate(main())


def test_the_same_waits_for_merges() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=7, servers=2) as c:
            c.split("s1")
            await asyncio.sleep(20)
            await asyncio.gather(*(m.cache.update(f"{m.name}{n}", n) for m in c.members
                                   for n in range(20)))  # fmt: skip
            c.heal()
            await c.whole()
            assert len(await c.same()) == 40
            assert len(await c.same("s1", c["s2"])) == 40
            with pytest.raises(KeyError):
                await c.same("s9")

    simulate(main())
