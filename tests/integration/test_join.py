"""A third server joins two that are written to all the time: nothing is missed, nothing doubled.

Three times here; RXFERO_JOINS=20 for more.
"""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from rxfero.cache import Cache
from tests.integration.cluster import Cluster, differences, same, stable

JOINS = int(os.environ.get("RXFERO_JOINS", "3"))
RATE = 200  # writes a second, of each of the two members
LISTS = 10
AFTER_S = 2.0  # within which all replicas are equal


class Writer:
    """Writes through one member: a key of its own, an item of a shared list, in turn.

    Use: `acked` and `asked` are the numbers of the writes; what was refused is in `failed`.
    """

    def __init__(self, cache: Cache, name: str) -> None:
        self.cache, self.name = cache, name
        self.asked, self.acked = 0, set[int]()
        self.failed: list[BaseException] = []
        self._going = True
        self._open: set[asyncio.Task[None]] = set()
        self.task = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while self._going:
            due = int((loop.time() - begun) * RATE)
            while self.asked < due:
                task = loop.create_task(self._one(self.asked))
                self._open.add(task)
                task.add_done_callback(self._open.discard)
                self.asked += 1
            await asyncio.sleep(1 / RATE)

    async def _one(self, number: int) -> None:
        try:
            if number % 2:
                await self.cache.push(f"list{number % LISTS}", f"{self.name}{number}")
            else:
                await self.cache.update(f"{self.name}{number}", number)
        except Exception as error:
            self.failed.append(error)
        else:
            self.acked.add(number)

    async def reach(self, number: int) -> None:
        """Wait until so many writes are acknowledged."""
        async with asyncio.timeout(10):
            while len(self.acked) < number:
                await asyncio.sleep(1 / RATE)

    async def end(self) -> None:
        """Stop and wait for what is open."""
        self._going = False
        await self.task
        async with asyncio.timeout(10):
            await asyncio.gather(*self._open)


@pytest.mark.parametrize("again", range(JOINS))
async def test_a_third_server_joins_under_writes(again: int) -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        for number in range(LISTS):
            await one.update(f"list{number}", [])
        writers = [Writer(one, "a"), Writer(two, "b")]
        await asyncio.gather(*(w.reach(100) for w in writers))
        three = await cluster.server()
        at = len(writers[0].acked)
        await stable(one, two, three)
        await asyncio.gather(*(w.reach(at + 100) for w in writers))
        await asyncio.gather(*(w.end() for w in writers))
        ended = time.monotonic()
        await same(one, two, three, timeout=AFTER_S)
        equal_s = time.monotonic() - ended

        assert three.stats()["shards"] > 0
        for cache in (one, two, three):
            assert len(cache.peers.lists.connected) == 2, "the mesh is full"
        items = [item for number in range(1, LISTS, 2) for item in three[f"list{number}"]]
        assert len(items) == len(set(items)), "no write comes twice"
        for writer in writers:
            assert not writer.failed
            assert writer.acked == set(range(writer.asked))
            for number in writer.acked:
                name = f"{writer.name}{number}"
                if number % 2:
                    assert name in three[f"list{number % LISTS}"]
                else:
                    assert three[name] == number
                    assert len(three.partitions[name]) <= 1
        assert one.partitions.heads() == two.partitions.heads() == three.partitions.heads()
        assert not differences(one, two, three)
        print(f"{sum(w.asked for w in writers)} writes, equal after {equal_s * 1000:.0f} ms")
