"""Tests of members: their lives, and what waits for them when they end."""

from __future__ import annotations

import asyncio

import pytest

from rxfero.errors import Closed
from rxfero.testing.loop import simulate
from rxfero.testing.simulated import SimulatedCluster


def test_a_life_begins_ends_and_begins_again() -> None:
    async def main() -> None:
        async with SimulatedCluster(servers=2, clients=1) as c:
            member, boot = c["s1"], c["s1"].node.replica.identity.boot
            assert member.running
            assert not member.client
            assert c["c1"].client
            with pytest.raises(RuntimeError, match="lives already"):
                await member.start()
            member.crash()
            member.crash()
            assert member.down
            assert not member.running
            cache = await member.start()
            assert member.cache is cache
            assert member.lives == 2
            assert cache.id == "s1"
            assert member.node.replica.identity.boot > boot
            await member.stop()
            assert member.down
            assert "down" in repr(member)

    simulate(main())


def test_what_waits_for_a_crashed_one_ends() -> None:
    async def main() -> None:
        async with SimulatedCluster(servers=2) as c:
            c.split("s1")
            cache = c["s1"].cache
            waits = [
                asyncio.ensure_future(cache.reached(await cache.update("a", 1).on("commit"))),
                asyncio.ensure_future(cache.once("change")),
                asyncio.ensure_future(c["s1"].run(asyncio.sleep(3600))),
            ]
            await asyncio.sleep(0.1)
            c.crash("s1")
            _, once, ran = await asyncio.gather(*waits, return_exceptions=True)
            assert isinstance(once, Closed)
            assert isinstance(ran, ConnectionAbortedError)
            with pytest.raises(Closed):
                await cache.update("b", 1)
            with pytest.raises(ConnectionAbortedError, match="s1 is down"):
                await c["s1"].run(asyncio.sleep(0))

    simulate(main())


def test_one_that_crashes_while_it_starts_says_so() -> None:
    async def main() -> None:
        async with SimulatedCluster(servers=1) as c:
            c.crash("s1")
            start = asyncio.ensure_future(c["s1"].start())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="not ready"):
                _ = c["s1"].cache
            c.crash("s1")
            with pytest.raises(ConnectionAbortedError):
                await start

    simulate(main())


def test_what_cannot_start_says_why() -> None:
    async def main() -> None:
        async with SimulatedCluster(servers=1) as c:
            c.network.listen(c.network.host("s2").start(), asyncio.Protocol, None, 7000)
            with pytest.raises(OSError, match="7000"):
                await c.add_server()

    simulate(main())


def test_work_runs_in_its_process() -> None:
    async def main() -> None:
        async with SimulatedCluster(servers=1) as c:

            async def work() -> int:
                await asyncio.sleep(1)
                return len(c["s1"].cache)

            c["s1"].pause()
            assert c["s1"].paused
            waiting = asyncio.ensure_future(c["s1"].run(work()))
            await asyncio.sleep(10)
            assert not waiting.done()
            c["s1"].resume()
            assert await waiting == 0
            with pytest.raises(ZeroDivisionError):
                await c["s1"].run(asyncio.to_thread(lambda: 1 // 0))

    simulate(main())
