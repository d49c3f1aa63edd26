"""Frames: whatever waits to be sent, however large its keys, no frame is more than others take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rxfero import Cache
from rxfero.core.path import KEY_BYTES_MAX
from rxfero.errors import ValueRefused
from rxfero.testing import SimulatedCluster, simulate

FRAG = 1 << 14  # bytes of a frame
LARGEST = FRAG - 4096  # bytes of a value
CONSTANTS = {"outbox": {"frag": FRAG}, "shards": 16}
MANY = 60
KEYS: list[Callable[[int], Any]] = [
    lambda n: f"{n:06}".ljust(KEY_BYTES_MAX, "k"),
    lambda n: f"{n:08}" + "\U0001f34b" * ((KEY_BYTES_MAX - 8) // 4),
    lambda n: (f"{n:06}".ljust(KEY_BYTES_MAX // 2, "k"), "l" * (KEY_BYTES_MAX // 2)),
]


class Watched(SimulatedCluster):
    """A cluster whose frames are small, and what went wrong in it."""

    def __init__(self, **given: Any) -> None:
        super().__init__(constants=CONSTANTS, **given)
        self.wrong: list[Any] = []

    def watch(self) -> None:
        for member in (*self.servers, *self.clients):
            member.cache.on("error", self.wrong.append)


async def written(cache: Cache, key: Callable[[int], Any]) -> None:
    await asyncio.wait_for(asyncio.gather(*[cache.update(key(n), n) for n in range(MANY)]), 60)


@pytest.mark.parametrize("key", KEYS, ids=["ascii", "four bytes", "deep"])
def test_what_waited_for_a_server_arrives(key: Callable[[int], Any]) -> None:
    async def main() -> None:
        async with Watched(servers=1, clients=1) as cluster:
            (server,), (client,) = cluster.servers, cluster.clients
            cluster.crash(server)
            waiting = asyncio.ensure_future(written(client.cache, key))
            await asyncio.sleep(1)
            await cluster.restart(server)
            cluster.watch()
            await waiting
            assert len(server.cache) == MANY
            assert not cluster.wrong

    simulate(main())


@pytest.mark.parametrize("key", KEYS, ids=["ascii", "four bytes", "deep"])
@pytest.mark.parametrize("writer", ["server", "client"])
def test_many_at_once_reach_servers_clients_and_who_joins(
    key: Callable[[int], Any], writer: str
) -> None:
    async def main() -> None:
        async with Watched(servers=2, clients=1) as cluster:
            cluster.watch()
            source = cluster.servers[0] if writer == "server" else cluster.clients[0]
            await written(source.cache, key)
            late = await cluster.add_server()
            cluster.watch()
            await late.cache.stable(3)
            for member in (*cluster.servers, *cluster.clients):
                assert len(member.cache) == MANY
            assert not cluster.wrong

    simulate(main())


@pytest.mark.parametrize("before", [1, 8])
def test_the_largest_value_goes_by_itself(before: int) -> None:
    async def main() -> None:
        async with Watched(servers=2, clients=1) as cluster:
            cluster.watch()
            for member in (cluster.servers[0], cluster.clients[0]):
                small = [member.cache.update(f"k{n}", "*" * 900) for n in range(before)]
                large = member.cache.update("large", "*" * (LARGEST - 8))
                await asyncio.wait_for(asyncio.gather(*small, large), 60)
            late = await cluster.add_server()
            await late.cache.stable(3)
            assert len(late.cache) == before + 1
            assert not cluster.wrong

    simulate(main())


def test_a_condition_counts_as_what_is_written_does() -> None:
    half = "*" * (LARGEST // 2 - 16)

    async def main() -> None:
        async with Watched(servers=1, clients=1) as cluster:
            cluster.watch()
            cache = cluster.clients[0].cache
            await cache.update("k", half)
            await asyncio.wait_for(cache.update("k", half, expect=half), 60)
            with pytest.raises(ValueRefused, match="the limit is"):
                cache.update("k", half + "*" * 99, expect=half)
            many = [cache.update("k", half, expect=half) for _ in range(9)]
            await asyncio.wait_for(asyncio.gather(*many), 60)
            assert not cluster.wrong

    simulate(main())
