"""A client that follows a part: it is sent that part, shows it, and says of the rest that it cannot."""

from __future__ import annotations

import pytest

from rxfero.core.ring import shard_of
from rxfero.core.state import State
from rxfero.errors import ConfigurationError, NotFollowed, ValueRefused
from tests.integration.cluster import Cluster, collect, until

SMALL = {"shards": 64}
MINE, OTHER = "alice", "bob"
assert shard_of(MINE, 64) != shard_of(OTHER, 64)


async def test_only_what_is_followed_is_sent() -> None:
    async with Cluster(constants=SMALL) as cluster:
        one, two = await cluster.servers(2)
        for number in range(200):
            one.update(f"k{number}", number)
        await one.update(MINE, 0)
        part = await cluster.client(follow=[MINE])
        whole = await cluster.client()
        seen = collect(part, "change", since="state")
        for number in range(1, 50):
            two.update(MINE, number)
            await one.update(f"k{number}", number)
        offset = await one.update(MINE, "last")
        await part.reached(offset)
        await until(lambda: whole.get(MINE) == "last", whole)
        assert part[MINE] == "last"
        shard = shard_of(MINE, 64)
        assert {c.offset.shard for c in seen if c.offset} == {shard}
        kept = part.stats()["records"]
        assert kept == len(one._node.replica.cluster.shards[shard].log.records)
        assert kept * 3 < whole.stats()["records"]
        fold = State()
        for change in seen:
            fold.apply(change.record)
        assert {key: fold.get(key) for key in fold.parts} == dict(part)


async def test_of_the_rest_it_says_that_it_does_not_hold_it_and_still_writes_and_asks() -> None:
    async with Cluster(constants=SMALL) as cluster:
        (one,) = await cluster.servers(1)
        part = await cluster.client(follow=[MINE])
        offset = await part.update(OTHER, 1)
        assert one[OTHER] == 1
        assert await part.read(OTHER) == 1
        for read in (
            lambda: part[OTHER], lambda: part.get(OTHER), lambda: part.at("bob.x"),
            lambda: OTHER in part, lambda: len(part.partitions[OTHER]),
            lambda: part.on("change", under="bob.x"), lambda: part.stream(under=OTHER),
        ):  # fmt: skip
            with pytest.raises(NotFollowed, match="does not follow 'bob'"):
                read()
        with pytest.raises(ValueRefused, match="not followed"):
            await part.reached(offset)
        with pytest.raises(ConfigurationError, match="not followed"):
            part.on("change", since=offset)
        assert MINE not in part
        seen = collect(part, "change", under="alice.x", since=part.partitions.position())
        await part.update("alice.x", 3)
        await until(lambda: bool(seen), part)
        assert part.at("alice.x") == 3


async def test_it_goes_on_where_it_stood_when_its_server_ends() -> None:
    async with Cluster(constants=SMALL) as cluster:
        servers = await cluster.servers(2)
        part = await cluster.client(follow=[MINE], constants={**SMALL, "connections.max.client": 1})
        seen = collect(part, "change")
        for number in range(20):
            await part.update((MINE, "n"), number)
        (first,) = part.peers.lists.connected
        mine = next(s for s in servers if s.id == first.id)
        other = next(s for s in servers if s is not mine)
        await mine.destroy()
        for number in range(20, 40):
            await other.update((MINE, "n"), number)
        await until(lambda: len(seen) >= 40, part)
        assert [change.value for change in seen] == list(range(40))
