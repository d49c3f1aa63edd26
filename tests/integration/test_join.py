"""A third server joins two that are written to all the time: nothing is missed, nothing doubled.

Three times here; RXFERO_JOINS=20 for more.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from typing import Any

import pytest

from rxfero.cache import Cache
from tests.integration.cluster import Cluster, differences, stable, until

JOINS = int(os.environ.get("RXFERO_JOINS", "3"))
RATE = 200  # writes a second, of each of the two members
LISTS = 10
AFTER_S = 2.0  # within which all replicas are equal


class Writer:
    """Writes through one member: a key of its own, an item of a shared list, in turn.

    Use: `acked` and `asked` are the numbers of the writes; what was refused is in `failed`;
        `rate` is how many a second were asked for between the first and the last.
    """

    def __init__(self, cache: Cache, name: str) -> None:
        self.cache, self.name = cache, name
        self.asked, self.acked = 0, set[int]()
        self.failed: list[BaseException] = []
        self.begun = self.last = time.monotonic()
        self._going = True
        self._open: set[asyncio.Task[None]] = set()
        self.task = asyncio.ensure_future(self._write())

    @property
    def rate(self) -> float:
        return self.asked / (self.last - self.begun)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._going:
            now = time.monotonic()
            due = 1 + int((now - self.begun) * RATE)
            while self.asked < due:
                task = loop.create_task(self._one(self.asked))
                self._open.add(task)
                task.add_done_callback(self._open.discard)
                self.asked += 1
                self.last = now
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

    def expected(self) -> Counter[tuple[str, Any]]:
        """Give the key and value of every acknowledged write, each once."""
        return Counter(
            (f"list{n % LISTS}", f"{self.name}{n}") if n % 2 else (f"{self.name}{n}", n)
            for n in self.acked
        )

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


def held(cache: Cache) -> Counter[tuple[str, Any]]:
    """Give the key and value of every write in a replica's state: list items, and the others."""
    lists = {f"list{number}" for number in range(LISTS)}
    return Counter(
        (key, item)
        for key, value in cache.items()
        for item in (value if key in lists else [value])
    )


def logged(cache: Cache) -> Counter[tuple[str, Any]]:
    """Give the key and value of every write in a replica's logs, but for the making of lists."""
    return Counter(
        (str(change.partition), change.value)
        for partition in cache.partitions.values()
        for change in partition
        if change.value != []
    )


@pytest.mark.parametrize("again", range(JOINS))
async def test_a_third_server_joins_under_writes(again: int) -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        for number in range(LISTS):
            await one.update(f"list{number}", [])
        writers = [Writer(one, "a"), Writer(two, "b")]
        await asyncio.gather(*(w.reach(100) for w in writers))
        before = [w.asked for w in writers]
        three = await cluster.server()
        await stable(one, two, three)
        joined = [w.asked for w in writers]
        await asyncio.gather(*(w.reach(at + 100) for w, at in zip(writers, joined, strict=True)))
        await asyncio.gather(*(w.end() for w in writers))
        last = max(w.last for w in writers)

        def level() -> bool:
            heads = [cache.partitions.heads() for cache in (one, two, three)]
            return heads[0] == heads[1] == heads[2] and not differences(one, two, three)

        left = last + AFTER_S - time.monotonic()
        await until(level, one, two, three, timeout=left, what="equal after the last write")
        equal_s = time.monotonic() - last

        assert all(j > b for j, b in zip(joined, before, strict=True)), "no writes at the join"
        assert all(w.rate >= RATE for w in writers)
        assert three.stats()["shards"] > 0
        ids = {cache.peers.me.id for cache in (one, two, three)}
        for cache in (one, two, three):
            others = {peer.id for peer in cache.peers.lists.connected}
            assert others == ids - {cache.peers.me.id}, "the mesh is full"
        for writer in writers:
            assert not writer.failed
            assert writer.acked == set(range(writer.asked))
        expected = writers[0].expected() + writers[1].expected()
        for cache in (one, two, three):
            assert held(cache) == expected, "every acknowledged write is there once"
            assert logged(cache) == expected, "and was logged once"
        print(
            f"{len(expected)} writes at {sum(w.rate for w in writers):.0f} a second, "
            f"{sum(joined) - sum(before)} of them during the join, "
            f"equal {equal_s * 1000:.0f} ms after the last"
        )
