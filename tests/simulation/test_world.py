"""The judge of the simulation: what it should notice, it notices."""

from __future__ import annotations

from random import Random

import pytest

from rxfero.core.call import COMMIT, OK
from rxfero.core.path import Path
from rxfero.core.ring import shard_of
from rxfero.core.value import pack, pack_body
from tests.simulation.world import World, Write


def cluster(seed: int, servers: int) -> World:
    """Give a cluster at rest."""
    world = World(seed)
    hosts = [world.host(f"n{i}") for i in range(servers)]
    assert world.run(20.0, lambda: all(h.ready for h in hosts))
    world.run(5.0)
    return world


@pytest.mark.parametrize("seed", range(6))
def test_every_part_of_a_split_takes_writes(seed: int) -> None:
    """I17: within 10 s of a split, each server can write to every shard."""
    world, rng = cluster(seed, 5), Random(seed)
    parts: list[list[str]] = [[], [], []]
    for name in world.hosts:
        rng.choice(parts).append(name)
    world.split(*parts)
    world.run(10.0)
    keys = {shard_of(f"key{i}", world.constants.shards): f"key{i}" for i in range(400)}
    assert len(keys) == world.constants.shards
    calls = [
        (host, Write("update", Path((key,)), pack(1), COMMIT))
        for host in world.servers() for key in keys.values()
    ]
    for host, call in calls:
        host.submit(call)
    assert world.run(2.0, lambda: all(call.told for _, call in calls)), f"I17: {parts}"
    assert {call.status for _, call in calls} == {OK}
    world.settle_down()
    world.quiet()


def test_a_log_that_goes_back_in_silence_is_noticed() -> None:
    world = cluster(1, 2)
    host = world.hosts["n0"]
    shard = next(s for s in host.replica.cluster.shards if s.log.end)
    shard.log.end -= 1
    with pytest.raises(AssertionError, match="I13"):
        world.judge(host)


def test_history_forgotten_too_soon_is_noticed() -> None:
    world = cluster(1, 2)
    host = world.hosts["n0"]
    host.submit(Write("update", Path(("a",)), pack(1), COMMIT))
    world.run(1.0)
    shard = host.replica.cluster.shards[shard_of("a", world.constants.shards)]
    shard.stable = shard.log.base
    host.replica.cluster.touched.add(shard.id)
    with pytest.raises(AssertionError, match="I15"):
        world.compacted(host, lambda: shard.log.compact(shard.log.end) and None)


def test_a_request_that_wanders_is_noticed() -> None:
    world = World(1)
    world._count_hops(pack_body(["to", 3]))
    assert world.hops == 4
    with pytest.raises(AssertionError, match="I18"):
        world._count_hops(pack_body(["to", 4]))


def test_a_second_owner_of_a_term_is_noticed() -> None:
    world = cluster(1, 2)
    host, other = world.hosts["n0"], world.hosts["n1"]
    shard = next(s for s in host.replica.cluster.shards if s.role == 2)
    twin = other.replica.cluster.shards[shard.id]
    twin.role, twin.term, twin.promised = 2, shard.term, shard.term
    with pytest.raises(AssertionError, match="I1"):
        world.judge(other)


def test_a_promise_taken_back_is_noticed() -> None:
    world = cluster(1, 2)
    host = world.hosts["n0"]
    shard = max(host.replica.cluster.shards, key=lambda s: s.promised)
    shard.promised = shard.promised._replace(n=0)
    with pytest.raises(AssertionError, match="I3"):
        world.judge(host)


def test_logs_that_differ_are_noticed() -> None:
    world = cluster(1, 2)
    host = world.hosts["n0"]
    host.submit(Write("update", Path(("a",)), pack(1), COMMIT))
    world.run(1.0)
    world.matching()
    log = host.replica.cluster.shards[shard_of("a", world.constants.shards)].log
    log.records[-1] = log.records[-1]._replace(value=pack(2))
    with pytest.raises(AssertionError, match="I2"):
        world.matching()
