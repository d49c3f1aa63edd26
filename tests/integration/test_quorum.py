"""Quorum mode over real sockets: what a majority has on disk counts, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rxfero import (
    Cache,
    CompareFailed,
    ConfigurationError,
    KeyMissing,
    NoQuorum,
    Offset,
    RemoteError,
    fero,
)
from rxfero import operators as fop
from tests.integration.cluster import Cluster, Process, collect, same, until

NAMES = ("a", "b", "c")
MODE: dict[str, Any] = {"quorum": "majority", "voters": list(NAMES)}


class Voters(Cluster):
    """A cluster in quorum mode."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(ports=6, **{**MODE, **options})
        self.path = path

    async def voter(self, name: str, handler: Any = None) -> Cache:
        return await self.server(handler, id=name, storage=str(self.path / name))

    async def voters(self, handler: Any = None) -> list[Cache]:
        return [await self.voter(name, handler) for name in NAMES]


async def test_writes_reads_and_changes(tmp_path: Path) -> None:
    async with Voters(tmp_path) as cluster:
        a, b, c = await cluster.voters()
        client = await cluster.client(quorum=None, voters=())
        seen = {cache: collect(cache) for cache in (a, b, c, client)}
        assert isinstance(await client.update("k", 1), Offset)
        assert await client.read("k") == 1
        await a.update("k", {"deep": [1]})
        await b.push("k.deep", 2)
        assert await client.read("k.deep") == [1, 2]
        assert await c.read("nothing", default="none") == "none"
        with pytest.raises(KeyMissing):
            await a.read("nothing")
        with pytest.raises(CompareFailed):
            await client.update("k", 5, expect="other")
        await client.update("n", 1, expect=None).durable(2)
        ids = [client.add("x"), a.add("y")]
        assert len({(await g, g.answer)[1] for g in ids}) == 2
        await same(a, b, c, client)
        for cache, changes in seen.items():
            await until(lambda changes=changes: len(changes) == 6, cache, what="six changes")
            assert [ch.value for ch in changes if ch.partition == "k"] == [1, {"deep": [1]}, 2]


async def test_a_minority_promises_nothing(tmp_path: Path) -> None:
    async with Voters(tmp_path, constants={"requests.timeout": 1_500}) as cluster:
        a, b, c = await cluster.voters()
        await a.update("k", 1)
        await same(a, b, c)
        await b.destroy()
        assert await a.update("k", 2), "two of three are enough"
        await c.destroy()
        told = collect(a)
        with pytest.raises(NoQuorum):
            await a.update("k", 3)
        with pytest.raises(NoQuorum):
            await a.read("k")
        assert a["k"] == 2
        assert told == []
        await cluster.voter("b")
        await until(lambda: a["k"] == 3, a, what="what was uncertain came to be")
        assert await a.read("k") == 3


async def test_alone_from_the_start(tmp_path: Path) -> None:
    async with Voters(tmp_path, constants={"requests.timeout": 1_000}) as cluster:
        a = await cluster.voter("a")
        with pytest.raises(NoQuorum, match=r"1 voters can be reached, 2 are a majority"):
            await a.update("k", 1)
        client = await cluster.client()
        with pytest.raises(NoQuorum):
            await client.update("k", 2)


async def test_kill_every_process_and_start_again(tmp_path: Path) -> None:
    async with Voters(tmp_path) as cluster:

        async def start(name: str) -> Process:
            return await Process.start(
                cluster.name, cluster.ports, name, storage=str(tmp_path / name), **MODE
            )

        servers = [await start(name) for name in NAMES]
        client = await cluster.client()
        await asyncio.gather(*(client.update(f"k{i}", i) for i in range(300)))
        for server in servers:
            server.process.kill()
        for server in servers:
            await server.kill()
        await client.destroy()
        servers = list(await asyncio.gather(*map(start, NAMES[:2])))
        try:
            client = await cluster.client()
            found = await asyncio.gather(*(client.read(f"k{i}") for i in range(300)))
            assert found == list(range(300))
            await client.update("more", 1)
        finally:
            for server in servers:
                await server.kill()


async def test_kill_an_owner_under_writes(tmp_path: Path) -> None:
    async with Voters(tmp_path) as cluster:
        doomed = await Process.start(
            cluster.name, cluster.ports, "c", storage=str(tmp_path / "c"), **MODE
        )
        try:
            others = [await cluster.voter("a"), await cluster.voter("b")]
            client = await cluster.client()
            await until(lambda: len(client.ring.members) == 3, client, what="three servers")
            writes = [client.update(f"k{i}", i) for i in range(500)]
            await asyncio.gather(*writes[:100])
            doomed.process.kill()
            await asyncio.gather(*writes)
            await same(*others, client)
            assert len(client) == 500
        finally:
            await doomed.kill()


async def test_servers_without_a_vote_own_shards_too(tmp_path: Path) -> None:
    async with Voters(tmp_path) as cluster:
        voters = await cluster.voters()
        guest = await cluster.server()
        await guest.stable(4)
        await until(lambda: guest.stats()["shards"] > 0, guest, what="shards of its own")
        await asyncio.gather(*(guest.update(f"k{i}", i) for i in range(100)))
        assert await guest.read("k7") == 7
        await guest.destroy()
        assert await voters[0].read("k8") == 8
        await same(*voters)
        assert len(voters[0]) == 100


async def test_handlers(tmp_path: Path) -> None:
    def handler(request: Any, cache: Any) -> Any:
        if request.type == "bad":
            raise ValueError("no")
        if request.type == "double":
            return (cache.get(request.key[0]) or 0) * 2
        return request.next()

    async with Voters(tmp_path) as cluster:
        a, b, _ = await cluster.voters(handler)
        await b.update("k", 21)
        assert await a.peers.send({"type": "double", "key": "k"}) == 42
        with pytest.raises(RemoteError, match="no"):
            await b.peers.send({"type": "bad", "key": "k"})
        assert await b.update("k", 22)


async def test_a_pipeline_over_it(tmp_path: Path) -> None:
    async with Voters(tmp_path) as cluster, fero("totals") as totals:
        a, b, _ = await cluster.voters()
        a.on("change").pipe(
            fop.count_by("type"), fop.update(totals, key=lambda p: p[0], value=lambda p: p[1])
        ).subscribe()
        for i in range(10):
            await b.update(f"k{i}", i)
        await until(lambda: totals.get("update") == 10, totals, what="ten counted")


async def test_modes_do_not_mix(tmp_path: Path) -> None:
    async with Voters(tmp_path) as cluster:
        a = await cluster.voter("a")
        told = collect(a, "error")
        other = await cluster.server(quorum=None, voters=())
        await until(lambda: bool(told), a, other, what="a refusal")
        assert "digest" in str(told[0].error)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"quorum": "all"}, "must be None or 'majority'"),
        ({"voters": ["a", "b", "c"]}, "are for quorum='majority'"),
        ({"quorum": "majority"}, "needs voters="),
        ({"quorum": "majority", "voters": "abc"}, "must be a list of names"),
        ({"quorum": "majority", "voters": ["a", "b", "b"]}, "must be 3 or 5 different names"),
        ({**MODE, "id": "a"}, "a voter keeps what it promised on a disk"),
        ({**MODE, "id": "a", "storage": "x", "fsync": "never"}, "must be 'group'"),
    ],
)
async def test_bad_options(options: dict[str, Any], hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint):
        await fero("x", **options)
