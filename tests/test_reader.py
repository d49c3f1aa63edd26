"""The reader: whoever is slow sees every change once and in order, and holds few of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.core.catchup import Image, image
from rxfero.core.change import DATA, TERM, Change, Record
from rxfero.core.position import ZERO_TERM, Position, Term
from rxfero.core.shard import Shard
from rxfero.core.state import State
from rxfero.core.value import pack
from rxfero.errors import ConfigurationError
from rxfero.testing import FakeCache, SimulatedCluster, assert_gap_free, simulate
from tests.integration.cluster import Cluster, same, until

SIZE = 4
ACTS = st.lists(st.sampled_from(["write", "read", "burst"]), max_size=40)


def taken(stream: Any, count: int) -> list[Change]:
    """Read so many changes that are there without waiting."""
    found: list[Change] = []

    async def main() -> None:
        for _ in range(count):
            async with asyncio.timeout(1):
                found.append(await anext(stream))

    asyncio.run(main())
    return found


def replace(users: FakeCache, number: int, *values: str) -> Term:
    """Let a snapshot take the place of a shard: these values of a key of another owner's term.

    It is told with the cache's next turn.
    """
    replica = users._node.replica
    ours, theirs = replica.cluster.shards[number], Shard(number)
    term = Term(ours.promised.n + 1, 9)
    stamp = ours.log.records[-1].hlc + 1
    theirs.append(Record(term, 1, TERM, "", 0, (), "", pack(None), stamp, (ZERO_TERM, 0), 0))
    for n, value in enumerate(values, 2):
        wrote = Record(term, n, DATA, "s", n, "ann", "update", pack(value), stamp, None, 0)
        theirs.append(wrote)
    ours.promise(term)
    replica.succession.adopt(ours, Image(image(theirs, term, 0), number))
    return term


@settings(deadline=None)
@given(ACTS, st.integers(1, 5))
def test_law_what_is_read_is_the_log_however_slowly(acts: list[str], keys: int) -> None:
    users = FakeCache()
    stream = users.stream(maxsize=SIZE)
    seen: list[Change] = []
    for number, act in enumerate(acts):
        if act == "read" and len(seen) < len(users.changes):
            seen += taken(stream, 1)
        elif act != "read":
            for n in range(1 if act == "write" else 3 * SIZE):
                users.update(f"k{(number + n) % keys}", number)
        assert stream.stats()["waiting"] <= SIZE
    seen += taken(stream, len(users.changes) - len(seen))
    assert_gap_free(seen, users.changes)
    assert len(seen) == len(users.changes)


@settings(deadline=None)
@given(ACTS, ACTS)
def test_law_from_a_position_on_what_is_read_is_the_log_and_few_are_held(
    before: list[str], after: list[str]
) -> None:
    users = FakeCache()
    for number, _ in enumerate(before):
        users.update(f"k{number % 3}", number)
    position = users.partitions.position()
    for number, act in enumerate(before):
        for n in range(1 if act == "write" else 3 * SIZE):
            users.update(f"k{(number + n) % 3}", -number)
    stream = users.stream(maxsize=SIZE, since=position)
    assert stream.stats()["waiting"] == 0
    due, seen = len(users.changes) - len(before), []
    for number, act in enumerate(after):
        if act == "read" and len(seen) < due:
            seen += taken(stream, 1)
        elif act != "read":
            users.update(f"k{number % 3}", number)
            due += 1
        assert stream.stats()["waiting"] <= SIZE
    seen += taken(stream, due - len(seen))
    assert_gap_free(seen, users.changes)
    assert sorted(c.offset for c in seen) == sorted(c.offset for c in users.changes[len(before) :])


def test_a_position_of_a_node_that_had_more_is_waited_for() -> None:
    ahead, users = FakeCache(), FakeCache()
    for number in range(3):
        ahead.update("k", number)
    users.update("k", 0)
    stream = users.stream(maxsize=SIZE, since=ahead.partitions.position())
    with pytest.raises(TimeoutError):
        taken(stream, 1)
    for number in range(1, 5):
        users.update("k", number)
    assert [change.value for change in taken(stream, 2)] == [3, 4]


async def test_a_slow_reader_holds_few_and_loses_none() -> None:
    async with Cluster() as cluster:
        server, client = await cluster.server(), await cluster.client()
        stream = client.stream(maxsize=SIZE)
        for n in range(50):
            await asyncio.gather(*(server.update(f"k{n % 7}", [n, m]) for m in range(20)))
        await same(server, client)
        assert stream.stats() == {"waiting": SIZE, "given": 0, "skipped": 0, "lags": 1}
        seen = [await anext(stream) for _ in range(1000)]
        assert_gap_free(seen, server.history())
        await server.update("last", 1)
        assert (await anext(stream)).key == "last"
        assert stream.stats()["lags"] == 1
        assert client.stats()["streams_waiting"] == 0


async def test_where_the_history_is_gone_a_reset_is_told_and_the_state_comes() -> None:
    small = {"partitions.history.max": 16, "shards": 1}
    async with Cluster() as cluster:
        server = await cluster.server(constants=small)
        resets: list[int] = []
        server.on("reset", resets.append)
        stream = server.stream(maxsize=SIZE)
        folded = State()
        for n in range(300):
            await server.update(f"k{n % 3}", n)
        (shard,) = server._node.replica.cluster.shards
        await until(lambda: shard.log.base > 100, server)
        for _ in range(SIZE):
            folded.apply((await anext(stream)).record)
        assert not resets
        for _ in range(3):
            folded.apply((await anext(stream)).record)
        assert resets == [0]
        assert {key: folded.get(key) for key in folded.parts} == dict(server)
        await server.update("last", 1)
        assert (await anext(stream)).key == "last"


@pytest.mark.parametrize("waiting", range(4))
def test_a_snapshot_takes_the_place_of_what_was_read(waiting: int) -> None:
    """Whether there is room when it comes or not."""
    users = FakeCache({"ann": 1})
    one = users.partitions.shard("ann").id
    stream = users.stream(maxsize=2)
    for number in range(waiting):
        users.update("ann", number)
    replace(users, one, "theirs")
    users.emit("reset", one)  # as it will with its next turn, too late for a queue that is full now
    seen = taken(stream, min(waiting, 2) + 1)
    assert [c.value for c in seen] == [*range(min(waiting, 2)), "theirs"]
    assert stream.stats()["waiting"] == 0
    resets: list[int] = []
    users.on("reset", resets.append)
    assert users.partitions.shard("bob").id != one
    for number in range(5):
        users.update("bob", number)
    assert [c.value for c in taken(stream, 5)] == [*range(5)]
    assert resets == [one], "that turn's; the reader knows where it stands, and needs none"


@pytest.mark.parametrize("overflow", ["conflate", "latest", "drop_old", "error"])
def test_whatever_a_stream_leaves_out_a_snapshot_is_told(overflow: str) -> None:
    users = FakeCache({"ann": 1})
    one = users.partitions.shard("ann").id
    stream = users.stream(overflow=overflow)
    replace(users, one, "theirs")
    users.emit("reset", one)
    assert [(c.key, c.value) for c in taken(stream, 1)] == [("ann", "theirs")]
    assert stream.stats()["waiting"] == 0


def test_a_part_is_read_and_the_rest_costs_nothing() -> None:
    users = FakeCache(values={"ann": {"age": 7}})
    stream = users.stream(maxsize=SIZE, since="state", under="ann.age")
    for n in range(50):
        users.update("bob", n)
    users.update("ann", {"age": 8})
    assert [c.value for c in taken(stream, 2)] == [7, 8]


def behind() -> tuple[FakeCache, Any]:
    """Give a cache that was written to 50 times, and a reader that has read nothing yet."""
    users = FakeCache()
    stream = users.stream(maxsize=SIZE)
    for n in range(50):
        users.update("k", n)
    return users, stream


def test_a_reader_that_is_behind_can_be_closed() -> None:
    async def main() -> None:
        _, stream = behind()
        await stream.aclose()
        assert len([change async for change in stream]) == SIZE

    asyncio.run(main())


def test_a_reader_of_a_cache_that_is_destroyed_gets_what_there_was() -> None:
    async def main() -> None:
        users, stream = behind()
        await users.destroy()
        async with asyncio.timeout(1):
            assert [change.value async for change in stream] == list(range(50))

    asyncio.run(main())


def test_what_was_merged_comes_in_the_order_of_the_log() -> None:
    """It keeps its stamp, which is older than those before it."""

    async def main() -> None:
        async with SimulatedCluster(seed=5, servers=3, constants={"shards": 1}) as c:
            c.split("s1")
            await asyncio.sleep(10)
            for n in range(5):
                await c["s1"].cache.push("here", n)
                await c["s2"].cache.push("there", n)
            c.heal()
            await c.whole()
            state = await c.same()
            assert (len(state["here"]), len(state["there"])) == (5, 5)
            for name in ("s1", "s2", "s3"):
                cache, seen = c[name].cache, []
                cache.on("change", seen.append, since=Position())
                numbers = [change.offset.number for change in seen]
                assert numbers == sorted(numbers)
                stamps = [change.stamp for change in seen]
                assert stamps != sorted(stamps), "or this shows nothing"
                stream = cache.stream(maxsize=2, since=Position())
                assert [await anext(stream) for _ in seen] == seen

    simulate(main())


def test_what_cannot_be_is_refused() -> None:
    users = FakeCache()
    for wrong in ({"maxsize": 0}, {"since": 5}, {"under": 1.5}):
        with pytest.raises(ConfigurationError):
            users.stream(**wrong)
