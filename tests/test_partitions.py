"""The partitions: each key's own view of the log, alike on every node."""

from __future__ import annotations

import pytest

from rxfero.core.position import Offset, Position, Term
from rxfero.errors import ConfigurationError, ValueRefused
from rxfero.testing import FakeCache
from tests.integration.cluster import Cluster, alike, key_of, same, until


async def test_a_partition_is_the_changes_of_its_key() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        client = await cluster.client()
        await client.update("a", {"b": 1})
        await client.update("a.b", 2)
        await client.update("other", 1)
        await client.remove("a.b")
        last = await client.push("a.c", "x")
        for node in (one, two, client):
            await node.reached(last)
            partition = node.partitions["a"]
            assert [change.type for change in partition] == ["update", "update", "remove", "add"]
            assert [change.value for change in partition][:2] == [{"b": 1}, 2]
            assert len(partition) == 4
            assert partition.head == last
            assert {change.partition for change in partition} == {"a"}
            assert partition.owner.id == node.peers.owner("a").id
            assert "changes=4" in repr(partition)


async def test_the_mapping_of_partitions() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        await server.update("a", 1)
        await server.update("b.c", 1)
        await server.update(7, 1)
        await server.remove("a")
        partitions = server.partitions
        assert set(partitions) == {"a", "b", 7}  # also of what was removed: it has a history
        assert len(partitions) == 3
        for key in ("a", "b", 7):
            assert key in partitions
        for key in ("c", "7", None, ("b",)):
            assert key not in partitions
        assert len(partitions["nothing"]) == 0
        assert partitions["nothing"].head is None
        assert list(partitions["nothing"]) == []
        assert len(partitions[("b", "c")]) == 1
        assert "keys=3" in repr(partitions)
        with pytest.raises(ValueRefused):
            partitions[("",)]


async def test_heads_are_alike_when_the_replicas_are() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        offsets = [await one.update(f"k{n}", n, ack="all") for n in range(20)]
        await same(one, two)
        await alike(one, two)
        heads = one.partitions.heads()
        for offset in offsets:
            assert isinstance(heads[offset.shard], Offset)
            assert heads[offset.shard].number >= offset.number


async def test_a_history_is_bounded_and_the_value_stays() -> None:
    async with Cluster(constants={"partitions.history.max": 16}) as cluster:
        one, two = await cluster.servers(2)
        client = await cluster.client()
        key = key_of(one)
        for number in range(500):
            one.update(key, number)
        last = await one.update(key, "last")
        for node in (one, two, client):
            await node.reached(last)
            await until(lambda n=node: 0 < len(n.partitions[key]) <= 64, node)
            assert node.partitions[key].head == last
            assert node[key] == "last"
            numbers = [change.offset.number for change in node.partitions[key]]
            assert numbers == list(range(numbers[0], numbers[-1] + 1)), "numbers are not used twice"
        late = await cluster.server()
        await late.stable(3)
        await same(one, two, client, late)


def test_history_is_what_is_recorded_between_two_positions() -> None:
    cache = FakeCache()
    positions = [cache.partitions.position()]
    for number in range(6):
        cache.update(f"k{number % 4}", number)
        positions.append(cache.partitions.position())
    assert [change.value for change in cache.history()] == list(range(6))
    for first in range(7):
        for last in range(first, 7):
            found = cache.history(positions[first], positions[last])
            assert [change.value for change in found] == list(range(first, last))


def test_history_that_is_gone_is_not_made_up() -> None:
    cache = FakeCache({"a": 1})
    offset = cache.partitions["a"].head
    assert offset is not None
    with pytest.raises(ConfigurationError, match="older than what is retained"):
        cache.history(Position([offset._replace(term=Term(99, 9))]))


def test_history_after_compaction_is_what_is_left() -> None:
    cache = FakeCache(constants={"shards": 1, "partitions": {"history": {"max": 16}}})
    for number in range(200):
        cache.update("a", number)
    cache.advance(10)  # histories are compacted now and then
    found = [change.value for change in cache.history()]
    assert 0 < len(found) < 200
    assert found == list(range(200 - len(found), 200))
    with pytest.raises(ConfigurationError):
        cache.history(Position())
