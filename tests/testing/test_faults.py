"""Tests of the faults that need no other module's tests: each takes effect, and a heal ends it."""

from __future__ import annotations

import asyncio

import pytest

from rxfero.testing import Quality, SimulatedCluster, simulate


async def rtt(c: SimulatedCluster) -> float:
    begin = asyncio.get_running_loop().time()
    await c["c1"].cache.update("x", 1).on("commit")
    return asyncio.get_running_loop().time() - begin


def test_a_slow_link_is_slow_until_a_heal() -> None:
    async def main() -> None:
        async with SimulatedCluster(servers=1, clients=1) as c:
            assert await rtt(c) < 0.1
            c.slow("c1", latency_s=0.3)
            assert 0.6 <= await rtt(c) < 1.0
            c.slow("c1", "s1", bandwidth=200.0)
            assert await rtt(c) > 0.9
            c.heal("c1")
            await asyncio.sleep(10)
            assert await rtt(c) < 0.1

    simulate(main())


def test_a_link_with_a_small_buffer_throttles_its_writer() -> None:
    async def main() -> None:
        async with SimulatedCluster(servers=2, quality=Quality(buffer=1024)) as c:
            c.slow("s1", "s2", latency_s=0.5)
            await asyncio.gather(*(c["s1"].cache.update(f"k{n}", "v" * 500) for n in range(10)))
            assert len(await c.same()) == 10

    simulate(main())


def test_a_paused_owner_is_replaced_and_comes_back() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=2, servers=3, clients=1) as c:
            c.pause("s1")
            await c.whole()
            await asyncio.gather(*(c["c1"].cache.update(f"k{n}", n) for n in range(40)))
            assert len(c["s1"].cache) == 0
            c.resume("s1")
            await c.whole()
            assert len(await c.same()) == 40

    simulate(main())


def test_a_short_pause_changes_no_ring() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=2, servers=2) as c:
            c.pause("s1")
            c.pause("s1")
            await asyncio.sleep(1)
            c.resume("s1")
            c.resume("s1")
            await asyncio.sleep(5)
            assert c["s2"].cache.ring.members == ("s1", "s2")

    simulate(main())


@pytest.mark.parametrize("fault", ["reset", "half_open"])
def test_lost_connections_are_made_again_and_lose_nothing(fault: str) -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=3, servers=3, clients=1) as c:
            writes = [c["c1"].cache.update(f"k{n}", n) for n in range(20)]
            getattr(c, fault)("s1")
            getattr(c, fault)("c1")
            writes += [c["c1"].cache.update(f"l{n}", n) for n in range(20)]
            await asyncio.gather(*writes)
            await asyncio.sleep(30)
            await c.whole()
            assert len(await c.same()) == 40
            assert any(fault.replace("_", "-") in line for line in c.trace)

    simulate(main())


def test_a_clock_that_went_back_does_not_keep_a_server_out() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=4, servers=3, skew_s=5.0) as c:
            await c["s1"].cache.update("a", 1)
            assert len({m.host.skew_s for m in c.members}) == 3
            c.skew("s2", -20.0)
            await c.restart("s2")
            await c.whole()
            await c["s2"].cache.update("b", 2)
            assert await c.same() == {"a": 1, "b": 2}

    simulate(main())


def test_one_that_comes_as_another_node_has_another_name() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=5, servers=2) as c:
            await c["s1"].cache.update("a", 1)
            cache = await c.restart("s2", fresh=True)
            assert cache.id == "s2.2"
            await c.whole()
            assert c["s1"].cache.ring.members == ("s1", "s2.2")
            assert await c.same() == {"a": 1}
            with pytest.raises(KeyError):
                c.crash("s2.2")

    simulate(main())
