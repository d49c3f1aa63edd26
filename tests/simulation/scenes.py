"""The scenes: what chance reaches too seldom in quorum mode, played to the point.

Each is run as a test, and by the mutants whose defect only it shows. A scene raises AssertionError
where a promise is broken.
"""

from __future__ import annotations

from rxfero.core.call import COMMIT
from rxfero.core.path import Path
from rxfero.core.ring import shard_of
from rxfero.core.shard import OWNER
from rxfero.core.value import pack
from tests.simulation.world import Disk, Host, World, Write

VOTERS = ("a", "b", "c")


def voters(seed: int = 1) -> tuple[World, dict[str, Host]]:
    """Give three voters at rest, whose disks take 2 ms at most."""
    world = World(seed, voters=VOTERS)
    world.fsync = 0.002
    hosts: dict[str, Host] = {}
    for name in VOTERS:
        hosts[name] = host = world.host(name, start=False)
        host.disk = Disk()
        host.start()
        assert world.run(10, lambda host=host: host.ready), host
    world.run(3.0)
    return world, hosts


def cut_off(world: World, name: str, *others: str) -> None:
    """Cut both ways between a host and others."""
    for other in others:
        world.cut(name, other)
        world.cut(other, name)


def mend(world: World, one: str, other: str) -> None:
    """End the cuts between two hosts."""
    world.cuts -= {(one, other), (other, one)}
    for wire in list(world.wires.values()):
        world._pump_soon(wire)


def end(world: World) -> None:
    """Let all come to rest, and judge."""
    world.settle_down()
    world.quiet()


def a_voter_restarts_after_its_promise(*, safe: bool, seed: int = 1) -> None:
    """A voter promises a joiner a shard and dies; its old owner, cut off meanwhile, asks it next.

    If the voter has forgotten the promise, it helps the old owner to commit what the new owner,
    who counted on the promise, never heard of.

    Args:
        safe: Whether the promise had reached the disk.
    """
    world, hosts = voters(seed)
    a, c = hosts["a"], hosts["c"]
    if not safe:
        world.fsync = 60.0
    d = world.host("d")
    assert world.run(10.0, lambda: d.replica.histories.synced >= {*VOTERS}), "it never catches up"
    cut_off(world, "c", "d")
    assert world.run(10.0, lambda: bool(d.replica.succession.rounds)), "it never asks"
    cut_off(world, "c", "a", "b")
    serves = world.run(1.0, lambda: any(s.role == OWNER for s in d.replica.cluster.shards))
    cut_off(world, "a", "d", "b")
    assert a.disk is not None
    a.disk.under_way = a.disk.under_way if safe else []
    while a.disk.under_way:
        a.disk.synced()
    a.crash()
    world.fsync = 0.002
    mend(world, "a", "c")
    a.start()
    mine = {s.id for s in c.replica.cluster.shards if s.role == OWNER}
    theirs = {s.id for s in d.replica.cluster.shards if s.role == OWNER} if serves else mine
    keys = [f"k{i}" for i in range(200)]
    count = world.constants.shards
    for key in [k for k in keys if shard_of(k, count) in (mine & theirs or mine)][:10]:
        c.submit(Write("update", Path((key,)), pack(1), COMMIT))
    world.run(1.2)
    end(world)


SCENES = {
    "a promise on its way to the disk": lambda: a_voter_restarts_after_its_promise(safe=False),
    "a promise on the disk": lambda: a_voter_restarts_after_its_promise(safe=True),
}
