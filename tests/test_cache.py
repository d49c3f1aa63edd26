"""The cache: a mapping to read, writes that say what came of them, snapshots that stay."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from reactivex import operators as ops

from rxfero import Change
from rxfero.cache import Cache
from rxfero.core.position import Offset, Term
from rxfero.errors import (
    CompareFailed,
    ConfigurationError,
    KeyMissing,
    RequestTimeout,
    RxferoError,
    ValueRefused,
    WrongType,
)
from rxfero.testing import FakeCache
from tests.integration.cluster import WAIT_S, Cluster, collect, key_of, same, stable, until


async def test_reading_is_a_mapping() -> None:
    async with Cluster() as cluster:
        cache = await cluster.server()
        assert isinstance(cache, Mapping)
        await cache.update("alice", {"email": "a@x.org", "tags": ["a", "b"]})
        await cache.update(("bob@x.org",), 1)
        await cache.update(7, "seven")
        await cache.update("7", "text")
        assert len(cache) == 4
        assert set(cache) == {"alice", "bob@x.org", 7, "7"}
        assert (cache[7], cache["7"]) == ("seven", "text")
        assert cache[("alice", "email")] == "a@x.org"
        assert cache.at("alice.tags.1") == cache.at(("alice", "tags", 1)) == "b"
        assert cache.at("alice.nothing", "default") == "default"
        assert cache.at(("bob@x.org",)) == 1
        assert cache.get("nobody") is None
        for key in ("alice", 7, ("alice", "tags")):
            assert key in cache
        for key in ("nobody", 8, None, 1.5, ("alice", "nothing"), [], ()):
            assert key not in cache
        for key in ("nobody", "alice.email", None, ("alice", "nothing"), (), ("alice", 1.5)):
            with pytest.raises(KeyError):
                cache[key]  # type: ignore[index]
        with pytest.raises(ValueRefused):
            cache.at("")
        assert dict(cache.items())["alice"] == {"email": "a@x.org", "tags": ["a", "b"]}
        assert cache == dict(cache)
        assert cache != {}
        assert hash(cache) == hash(cache)
        assert "keys=4" in repr(cache)


async def test_keys_never_meet_the_methods() -> None:
    async with Cluster() as cluster:
        cache = await cluster.server()
        names = ["update", "on", "change", "__proto__", "constructor", "peers", "__class__"]
        for name in names:
            await cache.update(name, {name: 1})
        assert {name: cache[name] for name in names} == {name: {name: 1} for name in names}
        await cache.update("still", "works")


async def test_every_kind_of_value_comes_back_on_every_node() -> None:
    values: list[Any] = [
        None, True, False, 0, -1, (1 << 63) - 1, -(1 << 63), 1.5, float("inf"), "", "é😀", b"\x00\xff",
        [], {}, [None, [True, {"a": {1: b"x"}}]], datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
    ]  # fmt: skip
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        client = await cluster.client()
        for number, value in enumerate(values):
            await client.update(number, value)
        await same(one, two, client)
        for node in (one, two, client):
            for number, value in enumerate(values):
                assert node[number] == value
                assert type(node[number]) is type(value) or isinstance(value, list | dict)


async def test_what_a_reader_holds_is_a_snapshot() -> None:
    async with Cluster() as cluster:
        cache = await cluster.server()
        mine = {"list": [1, {"deep": True}]}
        await cache.update("a", mine)
        mine["list"].append("after")
        held = cache["a"]
        before = copy.deepcopy(held.copy())
        mutations = [
            lambda: held.update(x=1), lambda: held.__setitem__("x", 1), lambda: held.pop("list"),
            held.clear, lambda: held["list"].append(1), lambda: held["list"].sort(),
            lambda: held["list"].__setitem__(0, 9), lambda: held["list"][1].clear(),
            lambda: held["list"].__delitem__(0), lambda: held.setdefault("x", 1),
        ]  # fmt: skip
        for mutate in mutations:
            with pytest.raises(TypeError, match="snapshot"):
                mutate()
        await cache.update("a.list.0", "changed")
        await cache.push("a.list", "pushed")
        await cache.update("a.more", 1)
        await cache.remove("a.list.1.deep")
        assert held == before == {"list": [1, {"deep": True}]}
        assert cache["a"] == {"list": ["changed", {}, "pushed"], "more": 1}
        mutable = held.copy()
        mutable["list"].append("mine")
        assert cache["a"]["list"][-1] == "pushed"
        await cache.update("b", held)  # what was read can be written again
        assert cache["b"] == before


async def test_compare_and_set() -> None:
    async with Cluster() as cluster:
        servers = await cluster.servers(2)
        client = await cluster.client()
        first = await client.update("a", 1, expect=None)
        with pytest.raises(CompareFailed) as caught:
            await client.update("a", 2, expect=None)
        assert caught.value.actual == 1
        await client.update("a", 2, expect=1)
        with pytest.raises(CompareFailed) as caught:
            await client.update("a", 3, expect=1)
        assert (caught.value.expected, caught.value.actual) == (1, 2)
        with pytest.raises(CompareFailed):
            await client.update("a", 3, expect=first)
        at = await client.update("a", {"b": [1]}, expect=2)
        await client.update("a.b", [1, 2], expect=[1])
        with pytest.raises(CompareFailed):
            await client.remove("a", expect=at)
        await client.remove("a", expect={"b": [1, 2]})
        await same(*servers, client)
        assert client == {}


async def test_one_of_many_wins_a_compare_and_set() -> None:
    async with Cluster() as cluster:
        nodes = await cluster.servers(3)
        await nodes[0].update("n", 0)
        await same(*nodes)

        async def increment(node: Cache) -> None:
            for _ in range(10):
                while True:
                    seen = node["n"]
                    try:
                        offset = await node.update("n", seen + 1, expect=seen)
                    except CompareFailed:
                        await until(lambda s=seen: node["n"] != s, node)
                    else:
                        await node.reached(offset)
                        break

        async with asyncio.timeout(WAIT_S):
            await asyncio.gather(*map(increment, nodes))
        await same(*nodes)
        assert nodes[0]["n"] == 30


async def test_time_to_live() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        removed = collect(two, "change")
        await one.update(key_of(one), "short", ttl=0.1)
        await one.update(key_of(two), "short", ttl=0.1)
        await one.update("stays", 1, ttl=60)
        await one.update("kept", 1, ttl=0.1)
        await one.update("kept", 2)  # a later write without a limit takes it away
        await until(lambda: len(one) == len(two) == 2, one, two)
        assert one == {"stays": 1, "kept": 2}
        assert sum(change.type == "remove" for change in removed) == 2
        for wrong in (0, -1, "1", True, float("nan"), 1e10):
            with pytest.raises(ConfigurationError, match="ttl"):
                one.update("a", 1, ttl=wrong)  # type: ignore[arg-type]


async def test_patch_is_one_record() -> None:
    async with Cluster() as cluster:
        servers = await cluster.servers(2)
        client = await cluster.client()
        changes = collect(client)
        await client.update("a", {"x": 1, "y": {"z": 1}})
        offset = await client.patch("a", {"x": 2, "y.z": 3, "new": [1]})
        await client.reached(offset)
        assert client["a"] == {"x": 2, "y": {"z": 3}, "new": [1]}
        assert len(client.partitions["a"]) == 2
        await until(lambda: len(changes) == 2, client)
        assert changes[1].type == "patch"
        outcomes = await client.patch({"b": 1, "c": 2})
        assert all(isinstance(o, Offset) for o in outcomes)
        await same(*servers, client)
        for wrong in ({}, [], None, 7):
            with pytest.raises(ValueRefused, match="patch"):
                client.patch("a", wrong)
        with pytest.raises(TypeError):
            client.patch()


async def test_pushes_of_three_nodes_keep_all_values_in_each_ones_order() -> None:
    async with Cluster() as cluster:
        nodes = await cluster.servers(3)
        sent = [
            node.push("list", [who, number])
            for number in range(50)
            for who, node in enumerate(nodes)
        ]
        for guarantee in sent:
            await guarantee
        await same(*nodes)
        items = nodes[0]["list"]
        assert len(items) == 150
        for who in range(3):
            assert [n for w, n in items if w == who] == list(range(50))
        await nodes[0].update("text", "x")
        with pytest.raises(WrongType):
            await nodes[1].push("text", 1)


async def test_ids_of_three_nodes_are_unique_and_dense() -> None:
    async with Cluster() as cluster:
        nodes = await cluster.servers(3)
        client = await cluster.client()
        writers = [*nodes, client]
        ids = await asyncio.gather(
            *(node.add([who, n]).on("reply") for n in range(25) for who, node in enumerate(writers))
        )
        assert sorted(ids) == list(range(1, 101))
        await same(*nodes, client)
        assert len(client) == 100
        assert await client.push("last") is not None  # push(value) is add(value)
        await client.add("named.key", 1)
        assert client.at("named.key") == 1
        for wrong in ((), (1, 2, 3)):
            with pytest.raises(TypeError):
                client.add(*wrong)


async def test_removing() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        await server.update("a", {"b": {"c": 1}, "list": [1, 2, 3]})
        await server.remove("a.b.c")
        assert server["a"]["b"] == {}
        for missing in ("a.b.c", "nothing", ("nothing", "deep")):
            with pytest.raises(KeyMissing) as caught:
                await server.remove(missing)
            assert isinstance(caught.value, KeyError)
        await server.remove("a")
        assert "a" not in server


async def test_set_applies_a_change_record() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        seen = collect(server)
        await server.update("a", 1)
        await until(lambda: len(seen) == 1, server)
        await server.set(Change("update", "b", {"c": 1}))
        await server.set(Change("push", "list", 1))
        await server.set(seen[0])
        assert server == {"a": 1, "b": {"c": 1}, "list": [1]}
        with pytest.raises(ValueRefused):
            server.set({"type": "update"})  # type: ignore[arg-type]
        with pytest.raises(ValueRefused, match="login"):
            server.set(Change("login", "a", 1))


async def test_changes_say_what_was_written_where_when_and_by_whom() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        commits, changes = collect(two, "commit"), collect(two, "change")
        offset = await one.update("alice.email", "x")
        await two.reached(offset)
        await until(lambda: len(commits) == len(changes) == 1, two)
        change = changes[0]
        assert (change.type, change.key, change.value) == ("update", "alice.email", "x")
        assert change.key == ("alice", "email")
        assert change.offset == offset
        assert change.partition == "alice"
        assert abs((datetime.now(UTC) - change.time).total_seconds()) < 60
        assert change.origin.startswith(one.stats()["name"])
        assert commits[0] == change


async def test_a_write_in_an_observer_keeps_the_order_of_the_log() -> None:
    async with Cluster() as cluster:
        cache = await cluster.server()
        first: list[Any] = []
        second: list[Any] = []

        def writes(change: Change) -> None:
            first.append(change.value)
            if change.value < 5:
                cache.update("a", change.value + 1)

        cache.on("change", writes)
        cache.on("change", lambda change: second.append(change.value))
        cache.update("a", 0)
        await until(lambda: len(second) == 6, cache)
        assert first == second == [0, 1, 2, 3, 4, 5]


async def test_an_observer_that_raises_harms_nobody() -> None:
    async with Cluster() as cluster:
        cache = await cluster.server()

        def raises(_: Any) -> None:
            raise LookupError("observer")

        cache.on("change", raises)
        values = collect(cache)
        cache.update("x", 0).on("reply").subscribe(raises)
        await cache.update("a", 1)
        await until(lambda: len(values) == 2 and len(cluster.errors) == 3, cache)
        assert {type(f.error) for f in cluster.errors} == {LookupError}


async def test_on_once_off_and_stream() -> None:
    async with Cluster() as cluster:
        cache = await cluster.server()
        seen: list[Any] = []
        everything = collect(cache, "*")
        subscription = cache.on("change", seen.append)
        once = asyncio.ensure_future(cache.once("change"))
        await asyncio.sleep(0)
        await cache.update("a", 1)
        assert (await asyncio.wait_for(once, WAIT_S)).value == 1
        subscription.dispose()
        await cache.update("a", 2)
        assert len(seen) == 1
        cache.on("change", seen.append)
        cache.off("change", seen.append)
        await cache.update("a", 3)
        assert len(seen) == 1
        assert [p.value for name, p in everything if name == "change"] == [1, 2, 3]
        got: list[Any] = []

        async def read() -> None:
            async for change in cache.stream():
                got.append(change.value)
                if len(got) == 3:
                    return

        reading = asyncio.ensure_future(read())
        await asyncio.sleep(0)
        for number in range(3):
            cache.update("s", number)
        await asyncio.wait_for(reading, WAIT_S)
        assert got == [0, 1, 2]
        first = cache.on("change").pipe(ops.map(lambda c: c.value), ops.first())
        waiting = asyncio.ensure_future(awaited(first))
        await asyncio.sleep(0)
        await cache.update("a", 4)
        assert await asyncio.wait_for(waiting, WAIT_S) == 4


async def awaited(source: Any) -> Any:
    return await source


async def test_read_your_writes_on_any_node() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        client = await cluster.client()
        for number in range(20):
            offset = await client.update(f"k{number}", number)
            for node in (one, two, client):
                await node.reached(offset)
                assert node[f"k{number}"] == number
        ahead = Offset(offset.shard, offset.term, offset.number + 5)
        with pytest.raises(RequestTimeout, match="reached"):
            await two.reached(ahead, timeout=0.05)
        for wrong in ("0:1.1:1", Offset(99_999, Term(1, 1), 1)):
            with pytest.raises(ValueRefused):
                await two.reached(wrong)  # type: ignore[arg-type]


async def test_waiting_for_servers_ends_typed() -> None:
    async with Cluster() as cluster:
        cache = await cluster.server()
        await cache.stable(1)
        await cache.connected(0)
        with pytest.raises(RequestTimeout, match=r"stable\(2\)"):
            await cache.stable(2, timeout=0.05)
        with pytest.raises(RequestTimeout, match=r"connected\(1\)"):
            await cache.connected(1, timeout=0.05)


async def test_a_client_does_not_wait_for_servers_that_it_has_lost() -> None:
    """Met here once, in another ring: what it said of the ring then counts no more."""
    async with Cluster(ports=6) as cluster:
        ports = range(cluster.ports[0], cluster.ports[0] + 3)

        async def serve(name: str, port: int) -> Cache:
            return await cluster.server(id=name, ports=(port, port), hosts=hosts)

        hosts = [f"127.0.0.1:{port}" for port in ports]
        one, two = await serve("one", ports[0]), await serve("two", ports[1])
        await stable(one, two)
        client = await cluster.client(hosts=hosts[:1], constants={"retries.cap": 50})
        await client.stable(2)
        await one.destroy()
        await client.stable(1)
        one, three = await serve("one", ports[0]), await serve("three", ports[2])
        await stable(one, two, three)
        await client.stable(3, WAIT_S)


async def test_figures_are_plain_values() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        await one.update("a", 1)
        figures = one.stats()
        assert all(type(v) in (int, str, float) for v in figures.values())
        assert (figures["keys"], figures["members"], figures["servers"]) == (1, 2, 1)
        assert figures["ring"] == two.stats()["ring"] == one.ring.checksum
        assert figures["shards"] + two.stats()["shards"] == 2048


async def test_custom_hash_and_partition() -> None:
    """Keys of one partition live in one shard, so with one owner and in one order."""

    def by_first_letter(change: Any) -> str:
        return str(change.key[0])[0]

    def rough(data: bytes) -> int:
        return (sum(data) * 2_654_435_761) % (1 << 32)

    async with Cluster(partition=by_first_letter, hash=rough) as cluster:
        one, two = await cluster.servers(2)
        client = await cluster.client()
        offsets = [await client.update(f"a{n}", n) for n in range(20)]
        assert len({offset.shard for offset in offsets}) == 1
        assert [o.number for o in offsets] == sorted(o.number for o in offsets)
        owners = {node.peers.owner(f"a{n}").id for node in (one, two, client) for n in range(20)}
        assert len(owners) == 1
        await client.update("b", 1)
        await client.add("x")
        await same(one, two, client)
        assert client["a7"] == 7
        assert len(client) == 22
        with pytest.raises(RxferoError):
            await (await cluster.server(hash=None)).stable(3, timeout=0.1)


async def test_streams_are_seen_in_the_figures_until_they_go() -> None:
    cache = FakeCache()

    def told() -> list[int]:
        figures = cache.stats()
        return [figures[name] for name in ("streams", "streams_waiting", "streams_skipped")]

    stream = cache.stream(maxsize=4, overflow="conflate")
    for number in range(10):
        cache.update(f"k{number % 3}", number)
    assert told() == [1, 3, 7]
    assert [(await anext(stream)).value for _ in range(3)] == [9, 7, 8]
    assert told() == [1, 0, 7]
    await stream.aclose()
    del stream
    assert told() == [0, 0, 0]


async def test_events_come_in_batches_to_who_wants_them() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        singles = {name: collect(two, name) for name in ("commit", "change")}
        batches = {name: collect(two, f"{name}s") for name in ("commit", "change")}
        every = collect(two, "*")
        await one.patch({f"k{n}": n for n in range(200)})
        await one.update("last", 1, ack="all")
        await until(lambda: len(singles["change"]) == 201, two)
        for name, seen in singles.items():
            assert [change for batch in batches[name] for change in batch] == seen
            assert len(batches[name]) < len(seen)
            assert all(batches[name])  # none is empty
        names = [name for name, _ in every if name in ("commit", "commits", "change", "changes")]
        assert names.index("commit") < names.index("commits") < names.index("change")

        replies, together = collect(two, "reply"), collect(two, "replies")
        for n in range(50):
            two.update(f"k{n}", -n)
        await two.update("last", 2)
        await until(lambda: len(replies) == 51, two)
        assert [guarantee for batch in together for guarantee in batch] == replies
        assert len(together) < 51
