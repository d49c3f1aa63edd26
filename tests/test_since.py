"""The since: changes from a point on, without gap and without double."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any

import pytest
from reactivex import operators as ops

from rxfero import operators as fop
from rxfero.core.change import DATA, Record
from rxfero.core.position import Offset, Position, Term
from rxfero.core.state import State
from rxfero.core.value import pack
from rxfero.errors import ConfigurationError
from rxfero.testing import FakeCache, SimulatedCluster, simulate
from tests.integration.cluster import WAIT_S, Cluster, collect, key_of, same, until
from tests.test_reader import replace


async def test_the_state_and_then_what_follows() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        client = await cluster.client()
        for number in range(20):
            await one.update(f"k{number % 5}", number)
        await same(one, two, client)
        for node in (one, two, client):
            writing = [one.update(f"k{number}", "now") for number in range(5, 8)]
            seen = collect(node, "change", since="state")
            past = [change for change in seen if change.value != "now"]
            assert {change.key: change.value for change in past} == {
                f"k{number % 5}": number for number in range(15, 20)
            }
            assert [c.value for c in past] == sorted(c.value for c in past), "in order of time"
            assert past[0].offset == node.partitions[past[0].partition].head
            for write in writing:
                await node.reached(await write)
            await until(lambda s=seen: {c.key for c in s} >= {"k5", "k6", "k7"}, node)
            assert {c.key: c.value for c in seen} == dict(node), "folding gives the state"


async def test_a_snapshot_under_writes_has_no_gap_and_no_double() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        key = key_of(one)
        await one.update(key, -1)
        sent = []
        streams: list[list[Any]] = []
        for number in range(100):
            sent.append(one.update(key, number))
            if number % 10 == 0:
                streams.append(collect(two, "change", since="state"))
                await asyncio.sleep(0)
        await two.reached(await sent[-1])
        for seen in streams:
            numbers = [c.offset.number for c in seen if c.key == key]
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
            assert seen[-1].value == 99


async def test_going_on_after_an_offset() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        key = key_of(one)
        for node in (one, two):
            offsets = [await one.update(key, number) for number in range(10)]
            await node.reached(offsets[-1])
            seen = collect(node, "change", since=offsets[4])
            assert [change.value for change in seen] == [5, 6, 7, 8, 9]
            await node.reached(await one.update(key, "live"))
            await until(lambda s=seen: s[-1].value == "live", node)
            assert len(seen) == 6


async def test_other_shards_go_on_too() -> None:
    async with Cluster() as cluster:
        one = await cluster.server()
        await one.update("before", 0)
        at = await one.update("a", 1)
        await one.update("b", 2)
        await one.update("c", 3)
        seen = collect(one, "change", since=at)
        assert [change.key for change in seen] == ["b", "c"]


async def test_a_history_that_is_gone_is_told() -> None:
    async with Cluster(constants={"partitions.history.max": 16}) as cluster:
        one = await cluster.server()
        first = await one.update("a", 0)
        for number in range(1, 400):
            one.update("a", number)
        last = await one.update("a", "last")
        await until(lambda: len(one.partitions["a"]) < 100, one)
        resets = collect(one, "reset")
        seen = collect(one, "change", since=first)
        assert resets == [first.shard]
        assert [change.value for change in seen] == ["last"]
        assert seen[0].offset == last
        never = Offset(first.shard, Term(first.term.n + 9, 1), 1)
        assert [c.value for c in collect(one, "change", since=never)] == ["last"]
        assert len(resets) == 2


async def test_a_stream_from_the_state() -> None:
    async with Cluster() as cluster:
        one = await cluster.server()
        await one.update("a", 1)
        got: list[Any] = []
        async with asyncio.timeout(WAIT_S):
            async for change in one.stream("change", since="state"):
                got.append((change.key, change.value))
                if len(got) == 2:
                    break
                one.update("b", 2)
        assert got == [("a", 1), ("b", 2)]


async def test_expired_and_deep_values_in_the_state() -> None:
    async with Cluster() as cluster:
        one = await cluster.server()
        await one.update("a.b", [1])
        await one.push("a.b", 2)
        await one.update("gone", 1)
        await one.remove("gone")
        seen = collect(one, "change", since="state")
        assert [(change.key, change.value) for change in seen] == [("a", {"b": [1, 2]})]


@pytest.mark.parametrize(
    ("event", "since", "says"),
    [
        ("change", "yesterday", "'state'"),
        ("change", 7, "'state'"),
        ("change", None, "'state'"),
        ("change", Offset(1 << 20, Term(1, 1), 1), "another service"),
        ("status", "state", "only change and commit"),
        ("chnage", "state", "no such event"),
    ],
)
async def test_what_since_cannot_be(event: str, since: Any, says: str) -> None:
    async with Cluster() as cluster:
        one = await cluster.server()
        with pytest.raises(ConfigurationError, match=says):
            one.on(event, since=since)


async def test_operators_of_time_stay_on_the_loop() -> None:
    """After a past, after a stage of a guarantee, and after those of several: no thread."""
    async with Cluster() as cluster:
        one = await cluster.server()
        offset = await one.update("a", 1)
        before = threading.active_count()
        seen: list[Any] = []
        sources: list[Any] = [
            one.on("change", since="state"),
            one.on("change", since=Offset(offset.shard, offset.term, offset.number)),
            one.update("b", 1).on("commit"),
            one.update("b", 2).replicated("all"),
            one.patch({"b": 3, "c": 4}).on("commit"),
        ]
        for source in sources:
            source.pipe(ops.delay(0.001)).subscribe(seen.append)
        await one.update("a", 2)
        await until(lambda: len(seen) >= 6, one)
        assert threading.active_count() == before


async def test_going_on_after_a_position_is_exact_on_any_node() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        client = await cluster.client()
        for number in range(30):
            await one.update(f"k{number}", number)
        await same(one, two, client)
        position = Position.parse(str(client.partitions.position()))
        for number in range(30, 60):
            await two.update(f"k{number % 40}", number)
        await same(one, two, client)
        nodes = (one, two, client)
        streams = [collect(node, "change", since=position) for node in nodes]
        for node, seen in zip(nodes, streams, strict=True):
            assert sorted(c.value for c in seen) == list(range(30, 60))
            everything = collect(node, "change", since=Position())
            assert sorted(c.value for c in everything) == list(range(60))
        await one.update("k1", 60)
        for node, seen in zip(nodes, streams, strict=True):
            await until(lambda s=seen: s[-1].value == 60, node)
            assert len(seen) == 31


async def test_a_node_that_is_behind_a_position_tells_only_what_is_after_it() -> None:
    async with Cluster() as cluster:
        (one,) = await cluster.servers(1)
        offset = await one.update("a", 1)
        seen = collect(one, "change", since=Position([offset._replace(number=offset.number + 2)]))
        offsets = [await one.update("a", number) for number in range(2, 6)]
        await until(lambda: bool(seen) and seen[-1].offset == offsets[-1], one)
        assert [c.value for c in seen] == [4, 5]


async def test_what_was_undone_elsewhere_is_a_reset_as_soon_as_that_is_known() -> None:
    async with Cluster() as cluster:
        (one,) = await cluster.servers(1)
        offset = await one.update("a", 1)
        later = Term(offset.term.n + 1, 5)  # of an owner that this node never heard of
        resets = collect(one, "reset")
        seen = collect(one, "change", since=Position([Offset(offset.shard, later, offset.number + 2)]))
        offsets = [await one.update("a", number) for number in range(2, 6)]
        await until(lambda: bool(seen) and seen[-1].offset == offsets[-1], one)
        assert resets == [offset.shard]
        assert [c.value for c in seen] == [3, 4, 5], "what was not there yet is not told"
        assert not collect(one, "change", since=Position([offsets[-1]]))
        before = Term(offset.term.n - 1, 5)  # of one whose writes are gone
        undone = Position([Offset(offset.shard, before, offsets[-1].number + 9)])
        assert [c.value for c in collect(one, "change", since=undone)] == [5]
        assert resets == [offset.shard] * 2


async def test_a_position_of_another_service_is_refused() -> None:
    async with Cluster() as cluster:
        (one,) = await cluster.servers(1)
        await one.update("a", 1)
        position = one.partitions.position()
        assert Position.parse(str(position)).of == position.of
        assert position.of.startswith("rxfero/")
        for other in ("rxfero/jobs", "staging/" + position.of.partition("/")[2]):
            strange = Position.parse(str(Position(position.offsets, other)))
            for call in (one.on, one.stream):
                with pytest.raises(ConfigurationError, match=f"a position of {other}, and this is"):
                    call("change", since=strange)
            with pytest.raises(ConfigurationError, match="a position of"):
                one.history(strange)


async def test_a_position_that_history_does_not_reach_is_one_reset_and_the_state() -> None:
    async with Cluster() as cluster:
        (one,) = await cluster.servers(1)
        offsets = [await one.update(f"k{number}", number) for number in range(5)]
        resets = collect(one, "reset")
        strange = Position(offset._replace(term=Term(99, 9)) for offset in offsets)
        seen = collect(one, "change", since=strange)
        assert len(resets) == 1
        assert {c.key: c.value for c in seen} == dict(one)
        with pytest.raises(ConfigurationError, match="another service"):
            one.on("change", since=Position([Offset(1 << 20, Term(1, 1), 1)]))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("maxsize", [1, 1024])
@pytest.mark.parametrize("begin", ["state", "position"])
def test_what_a_heal_brings_is_told_to_who_follows_since_before_it(
    seed: int, begin: str, maxsize: int
) -> None:
    """By `on`, and by a stream: folding what both tell gives the state, though the log began anew.

    The stream is read before the heal and after, or only after it.
    """

    async def rest(stream: Any) -> list[Any]:
        found: list[Any] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(1):  # virtual
                while True:
                    found.append(await anext(stream))
        return found

    async def main() -> None:
        async with SimulatedCluster(seed=seed, servers=3, clients=2) as c:
            c.split(["s1", "c1"])
            await asyncio.sleep(60)
            sinces = [
                m.cache.partitions.position() if begin == "position" else "state"
                for m in c.members
            ]
            seen = [
                collect(m.cache, "change", since=since)
                for m, since in zip(c.members, sinces, strict=True)
            ]
            streams = [
                m.cache.stream(since=since, maxsize=maxsize)
                for m, since in zip(c.members, sinces, strict=True)
            ]
            resets = [collect(m.cache, "reset") for m in c.members]
            writes = [m.cache.update(f"{m.name}.{n}", n) for n in range(20) for m in c.members]
            await asyncio.sleep(60)
            read = [await rest(stream) if seed % 2 else [] for stream in streams]
            c.heal()
            await c.whole()
            await asyncio.gather(*writes)
            whole = await c.same()
            assert any(resets), "the split left logs that differ"
            for found, before, stream in zip(seen, read, streams, strict=True):
                for told in (found, before + await rest(stream)):
                    fold = State()
                    for change in told:
                        fold.apply(change.record)
                    shown = {key: fold.get(key) for key in fold.parts}
                    assert shown == whole

    simulate(main())


@pytest.mark.parametrize(
    ("number", "told"),
    [(3, ["three"]), (4, []), (9, [])],
)
def test_a_snapshot_to_a_node_that_is_behind_a_position(number: int, told: list[str]) -> None:
    """It brings the node on its way, there, or beyond."""
    users = FakeCache({"ann": 1})
    one = users.partitions.shard("ann").id
    term = Term(users._node.replica.cluster.shards[one].promised.n + 1, 9)
    seen = collect(users, "change", since=Position([Offset(one, term, number)]))
    undone = Position([Offset(one, term._replace(n=term.n - 1), 9)])  # of an owner between the two
    anew = collect(users, "change", since=undone)
    assert replace(users, one, "one", "two", "three") == term
    users.emit("reset", one)
    assert [change.value for change in seen] == told
    assert [change.value for change in anew] == ["three"]


def test_the_state_comes_in_the_order_of_the_log() -> None:
    """So who has counted one has counted what is before it, also where a merge brought older ones."""
    users, counts = FakeCache({"ann": 1}), FakeCache()
    shard = users.partitions.shard("ann")
    stamp = shard.log.records[-1].hlc
    for n, late in enumerate([5, -9, 7, -3]):
        shard.append(
            Record(
                shard.term, shard.log.end + 1, DATA, f"s{n}", 1, f"k{n}", "update", pack(n),
                stamp + late, None, 0,
            )
        )  # fmt: skip
    seen = [c for c in collect(users, "change", since="state") if c.offset.shard == shard.id]
    assert [c.value for c in seen] == [1, 0, 1, 2, 3]
    fop.resume(users, counts, "keys").pipe(
        fop.checkpoint(counts, "keys", lambda keys, c: [*keys, str(c.key)], [])
    ).subscribe()
    assert sorted(counts["keys"]["value"]) == ["ann", "k0", "k1", "k2", "k3"]


async def test_a_reset_that_another_has_met_is_not_ones_own() -> None:
    async with Cluster(constants={"partitions.history.max": 16}) as cluster:
        one = await cluster.server()
        first = await one.update("a", 0)
        seen = collect(one, "change", since="state")
        last = [await one.update("a", number) for number in range(1, 400)][-1]
        await until(lambda: len(one.partitions["a"]) < 100, one)
        resets = collect(one, "reset")
        assert [c.offset for c in collect(one, "change", since=first)] == [last]
        assert resets == [first.shard]
        assert [change.value for change in seen] == [*range(400)]
