"""The service: `fero`, its siblings, restoring once a cluster, and running."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

import pytest

import rxfero
from rxfero import fero, run
from rxfero.errors import AddressInUse, Closed, ConfigurationError, ValueRefused
from tests.integration.cluster import (
    WAIT_S,
    Cluster,
    collect,
    free_ports,
    key_of,
    same,
    stable,
    until,
)


async def test_awaited_and_as_a_context() -> None:
    ports = free_ports(2)
    service = fero("users", ports=ports)
    assert "users" in repr(service)
    cache = await service
    assert cache.name == "users"
    await cache.update("a", 1)
    async with fero("users", ports=ports) as other:
        assert other == {"a": 1}
        await stable(cache, other)
    with pytest.raises(Closed):
        other.update("a", 2)
    assert "destroyed" in repr(other)
    await cache.stable(1)
    async with cache:
        pass
    with pytest.raises(Closed):
        cache.update("a", 2)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("name", ["", "x" * 201, None, 7])
def test_names_that_cannot_be(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="name="):
        fero(name)


async def test_all_gives_services_by_name() -> None:
    ports = free_ports(6)
    caches = await fero.all(["users", "teams"], ports=ports)
    try:
        assert list(caches) == ["users", "teams"]
        await caches["users"].update("a", 1)
        assert caches["teams"] == {}
    finally:
        for cache in caches.values():
            await cache.destroy()
    with pytest.raises(ConfigurationError, match="differ"):
        await fero.all(["users", "users"], ports=ports)
    with pytest.raises(ConfigurationError, match="'ports'"):
        await fero.all(["users"], port=1)
    with pytest.raises(AddressInUse):
        await fero.all(["a", "b", "c"], ports=free_ports(2))
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_destroy_says_so_once() -> None:
    async with Cluster() as cluster:
        cache = await cluster.server()
        destroyed = collect(cache, "destroy")
        ended: list[bool] = []
        cache.on("change").subscribe(on_completed=lambda: ended.append(True))
        await asyncio.gather(cache.destroy(), cache.destroy())
        await cache.destroy()
        assert destroyed == ["test"]
        assert ended == [True]


# --- restoring


class Source:
    """A restore that counts."""

    def __init__(self, values: Any, *, wait: bool = False) -> None:
        self.values, self.calls, self.wait = values, 0, wait

    async def __call__(self) -> Any:
        self.calls += 1
        if self.wait:
            await asyncio.sleep(0)
        if isinstance(self.values, Exception):
            raise self.values
        return self.values


async def test_the_first_server_restores() -> None:
    async with Cluster() as cluster:
        source = Source({"alice": {"n": 1}, 7: "seven"}, wait=True)
        one = await cluster.server(restore=source)
        assert one == {"alice": {"n": 1}, 7: "seven"}
        two = await cluster.server(restore=source)
        client = await cluster.client(restore=source)
        await same(one, two, client)
        assert source.calls == 1


async def test_two_cold_starts_restore_once() -> None:
    async with Cluster() as cluster:
        source = Source({f"k{n}": n for n in range(20)}, wait=True)
        one, two = await asyncio.gather(
            cluster.server(restore=source), cluster.server(restore=source)
        )
        await stable(one, two)
        await same(one, two)
        assert source.calls == 1
        assert one == {f"k{n}": n for n in range(20)}
        await one.destroy()
        three = await cluster.server(restore=source)
        await stable(two, three)
        await same(two, three)
        assert source.calls == 1, "a cluster that lives is not restored again"


async def test_a_server_that_takes_over_meanwhile_does_not_restore_again() -> None:
    """The counter's shard moves to the second server while the first still restores."""
    async with Cluster() as cluster:
        going, begun = asyncio.Event(), asyncio.Event()
        calls = 0

        async def source() -> Any:
            nonlocal calls
            calls += 1
            begun.set()
            await going.wait()
            return {f"k{n}": n for n in range(20)}

        names = iter("cab")  # the counter belongs to "c", then to "a", then to "b"
        first = asyncio.ensure_future(cluster.server(restore=source, id=next(names)))
        await asyncio.wait_for(begun.wait(), WAIT_S)
        others = [await cluster.server(restore=source, id=name) for name in names]
        going.set()
        servers = [await first, *others]
        await stable(*servers)
        await same(*servers)
        assert servers[0].ring.owner("") != "c", "the test is about a shard that moves"
        assert (calls, len(servers[0])) == (1, 20)


async def test_a_restore_that_gives_nothing_is_done_too() -> None:
    async with Cluster() as cluster:
        source = Source(None)
        one = await cluster.server(restore=source)
        two = await cluster.server(restore=source)
        await stable(one, two)
        assert (len(one), source.calls) == (0, 1)


async def test_a_plain_function_restores_too() -> None:
    async with Cluster() as cluster:
        one = await cluster.server(restore=lambda: {"a.b": 1})
        assert one == {"a.b": 1}  # keys of a mapping are taken as they are


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (LookupError("no file"), LookupError),
        ([1, 2], ConfigurationError),
        ({"a": object()}, ValueRefused),
        ({"": 1}, ValueRefused),
    ],
    ids=["raises", "a list", "a bad value", "a bad key"],
)
async def test_a_restore_that_fails_ends_the_start(values: Any, error: type[Exception]) -> None:
    ports = free_ports(1)
    with pytest.raises(error):
        await fero("test", ports=ports, restore=Source(values))
    assert asyncio.all_tasks() == {asyncio.current_task()}
    async with fero("test", ports=ports) as again:
        assert again == {}


# --- connecting something that stores


class Storage:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, Any, Any]] = []

    def restore(self) -> dict[str, Any]:
        return {"before": 1}

    async def update(self, change: Any) -> None:
        await asyncio.sleep(0)
        self.kept.append((change.type, change.key, change.value))

    def remove(self, change: Any) -> None:
        self.kept.append((change.type, change.key, None))


async def test_a_storage_is_told_once_by_the_owner() -> None:
    async with Cluster() as cluster:
        storages = [Storage(), Storage()]
        servers = await cluster.servers(2)
        for server, storage in zip(servers, storages, strict=True):
            assert await fero.connect(storage)(server) is server
        await same(*servers)
        assert servers[1] == {"before": 1}
        keys = [key_of(server) for server in servers]
        for key in keys:
            await servers[0].update(key, key)
            await servers[0].remove(key)
        await until(lambda: sum(len(s.kept) for s in storages) >= 4, *servers)
        for key, storage in zip(keys, storages, strict=True):  # what it restored is not told back
            assert storage.kept == [("update", key, key), ("remove", key, None)]


async def test_a_storage_may_be_a_mapping_and_the_caches_several() -> None:
    told: list[Any] = []
    ports = free_ports(5)
    caches = await rxfero.connect({"update": told.append})(
        fero.all(["users", "teams"], ports=ports)
    )
    try:
        for cache in caches.values():
            await cache.update("a", cache.name)
        await until(lambda: len(told) == 2, *caches.values())
        assert {change.value for change in told} == {"users", "teams"}
    finally:
        for cache in caches.values():
            await cache.destroy()


async def test_a_storage_that_fails_harms_nobody() -> None:
    async with Cluster() as cluster:

        async def fails(change: Any) -> None:
            raise OSError("disk full")

        server = await cluster.server()
        await fero.connect({"update": fails})(server)
        await server.update("a", 1)
        await until(lambda: len(cluster.errors) == 1, server)
        assert "disk full" in str(cluster.errors[0])
        await server.update("b", 1)


# --- running


def test_run_gives_the_result_and_puts_the_collector_back() -> None:
    before = gc.get_threshold()

    async def main() -> str:
        assert gc.get_threshold() != before
        return type(asyncio.get_running_loop()).__module__

    module = run(main())
    assert gc.get_threshold() == before
    assert sys.platform == "win32" or module.startswith("uvloop")


async def test_run_inside_a_loop_is_refused() -> None:
    async def main() -> None: ...

    work = main()
    with pytest.raises(RuntimeError):
        run(work)
    work.close()
