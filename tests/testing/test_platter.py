"""Tests of the disks of simulated servers: what is left after a kill, after lost power, when full."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rxfero.errors import NoQuorum, NotDurable
from rxfero.testing import SimulatedCluster, simulate

VOTERS: dict[str, Any] = {"disks": True, "quorum": "majority", "voters": ["s1", "s2", "s3"]}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("power", [False, True])
def test_what_is_durable_outlives_them_all(seed: int, power: bool) -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=seed, servers=3, clients=1, disks=True) as c:
            cache = c["c1"].cache
            writes = [cache.update(f"k{n}", n) for n in range(60)]
            safe = {
                f"k{n}": n for n, guarantee in enumerate(writes[:30])
                if await guarantee.durable(1)
            }  # fmt: skip
            for member in c.servers:
                c.crash(member, power=power)
            await asyncio.gather(*(c.restart(member) for member in c.servers))
            await c.whole()
            found = await c.same()
            assert len(safe) == 30
            assert found.items() >= safe.items()

    simulate(main())


def test_a_wiped_disk_is_empty() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=1, servers=1, disks=True) as c:
            await c["s1"].cache.update("a", 1).durable(1)
            assert dict(await c.restart("s1")) == {"a": 1}
            assert dict(await c.restart("s1", wipe=True)) == {}
            await c["s1"].cache.update("a", 1).durable(1)
            cache = await c.restart("s1", fresh=True)
            assert dict(cache) == {}
            assert cache.id == "s1.4"

    simulate(main())


def test_a_full_disk_promises_nothing_until_there_is_room() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=2, servers=1, disks=True) as c:
            cache, told = c["s1"].cache, []
            cache.on("error", told.append)
            c.fill_disk("s1")
            write = cache.update("a", 1)
            await write.on("commit")
            with pytest.raises((NotDurable, TimeoutError)):
                await write.timeout(5).durable(1)
            assert "No space" in str(told[0])
            c.fill_disk("s1", full=False)
            await asyncio.sleep(10)
            await cache.update("b", 2).durable(1)
            assert dict(await c.restart("s1")) == {"a": 1, "b": 2}

    simulate(main())


@pytest.mark.parametrize("seed", range(4))
def test_a_quorum_goes_on_without_a_minority_and_loses_nothing(seed: int) -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=seed, servers=3, clients=1, **VOTERS) as c:
            await c["c1"].cache.update("a", 1)
            c.split("s1")
            await asyncio.sleep(20)
            with pytest.raises((NoQuorum, TimeoutError)):
                await c["s1"].cache.update("b", 2).timeout(5)
            await c["c1"].cache.update("a", 3)
            c.heal()
            await c.whole()
            for member in c.servers:
                c.crash(member, power=True)
            await asyncio.gather(*(c.restart(member) for member in c.servers))
            await c.whole()
            assert await c["c1"].cache.read("a") == 3
            assert await c["c1"].cache.read("b", "nothing") in (2, "nothing"), "uncertain it was"

    simulate(main())


def test_a_seed_with_disks_is_a_run() -> None:
    async def main() -> str:
        async with SimulatedCluster(seed=3, servers=3, clients=1, **VOTERS) as c:
            await asyncio.gather(*(c["c1"].cache.update(f"k{n}", n) for n in range(20)))
            c.crash("s2", power=True)
            await c.restart("s2")
            await c.whole()
            await c["s2"].stop()
            return c.trace.digest

    assert simulate(main()) == simulate(main())
