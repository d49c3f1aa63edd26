"""Directed scenarios: the situations that chance reaches too seldom, each by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rxfero.core import catchup, columns, frame
from rxfero.core.call import AUTO, COMMIT, OK
from rxfero.core.change import DATA, LOST, Record
from rxfero.core.members import ALIVE
from rxfero.core.path import Path
from rxfero.core.position import Offset
from rxfero.core.ring import shard_of
from rxfero.core.shard import FOLLOWER, OWNER, Shard
from rxfero.core.value import pack, unpack
from tests.simulation.world import Disk, Host, World, Write, lost_records

SHARDS = 16


def cluster(
    servers: int = 3, clients: int = 0, seed: int = 1, **constants: Any
) -> tuple[World, list[Host]]:
    """A quiet cluster at rest."""
    world = World(seed, {k.replace("__", "."): v for k, v in constants.items()})
    hosts = []
    for i in range(servers):
        hosts.append(world.host(f"n{i}"))
        assert world.run(10, lambda: hosts[-1].ready), hosts[-1]
    for i in range(clients):
        hosts.append(world.host(f"x{i}", client=True))
        assert world.run(10, lambda: hosts[-1].ready), hosts[-1]
    world.run(2.0)
    return world, hosts


def write(
    host: Host, key: str | int, value: Any, level: int = AUTO, verb: str = "update"
) -> Write:
    call = Write(verb, Path((key,)), pack(value), level)
    host.submit(call)
    return call


def add(host: Host, value: Any) -> Write:
    call = Write("add", None, pack(value), COMMIT)
    host.submit(call)
    return call


def done(world: World, *calls: Write, seconds: float = 20.0) -> None:
    assert world.run(seconds, lambda: all(c.told for c in calls)), [c for c in calls if not c.told]


def shard_at(host: Host, key: str | int) -> Shard:
    return host.replica.cluster.shards[shard_of(key, SHARDS)]


def read(host: Host, key: str | int) -> Any:
    state = shard_at(host, key).state
    return state.get(key) if key in state else None


def owner_of(world: World, key: str) -> Host:
    return next(h for h in world.servers() if shard_at(h, key).role == OWNER)


def key_of(host: Host, where: Callable[[str], bool] = lambda key: True) -> str:
    """Give a key that a server owns."""
    return next(
        k for k in (f"k{i}" for i in range(500)) if shard_at(host, k).role == OWNER and where(k)
    )


def test_a_cluster_grows_under_writes_and_each_shard_has_the_owner_of_the_ring() -> None:
    world, hosts = cluster(1)
    calls: list[Write] = []

    def load(count: int) -> None:
        calls.extend([write(host, f"k{count % 40}", count) for host in hosts])
        if world.now < 12.0:
            world.after(0.01, load, count + 1)

    load(0)
    for name in ("n1", "n2"):
        world.run(1.5)
        hosts.append(world.host(name))
    world.run(1.5)
    hosts.append(world.host("x0", client=True))
    world.run(10.0)
    done(world, *calls)
    assert all(c.status == OK for c in calls)
    world.run(3.0)
    world.quiet()
    owned = [sum(s.role == OWNER for s in h.replica.cluster.shards) for h in hosts[:3]]
    assert sum(owned) == SHARDS
    assert all(owned)


def test_the_unanswered_writes_of_a_crashed_owner_reach_the_next_in_order_and_once() -> None:
    world, hosts = cluster(3, clients=1)
    victim, client = hosts[0], hosts[3]
    key = key_of(victim)
    calls = [write(client, key, i) for i in range(50)]
    world.run(0.003)
    victim.crash()
    calls += [write(client, key, i) for i in range(50, 60)]
    done(world, *calls)
    assert all(c.status == OK for c in calls)
    world.settle_down()
    world.quiet()
    assert read(hosts[1], key) == 59
    values = [unpack(r.value) for r in shard_at(hosts[1], key).log.records if r.kind == DATA]
    assert values == sorted(values)


def test_a_killed_owner_is_replaced_within_a_second() -> None:
    world, hosts = cluster(3)
    key = key_of(hosts[2])
    hosts[2].crash()
    started = world.now
    done(world, write(hosts[0], key, 1, COMMIT))
    assert world.now - started < 0.5


def test_a_graceful_leave_loses_nothing_and_is_short() -> None:
    world, hosts = cluster(3, clients=1)
    calls: list[Write] = []

    def load(count: int) -> None:
        stay = (hosts[0], hosts[1], hosts[3])
        calls.extend([write(host, f"k{count % 40}", count, COMMIT) for host in stay])
        if count < 300:
            world.after(0.01, load, count + 1)

    load(0)
    world.run(1.0)
    started = world.now
    hosts[2].leave()
    assert world.run(5.0, lambda: not hosts[2].up)
    assert world.now - started < 0.6
    world.run(5.0)
    done(world, *calls)
    assert all(c.status == OK for c in calls)
    members = hosts[0].replica.members.ring()
    assert members == ("n0", "n1")
    world.quiet()


def test_the_last_server_leaves_at_once() -> None:
    world, hosts = cluster(1)
    hosts[0].leave()
    assert world.run(0.5, lambda: not hosts[0].up)


def test_both_sides_of_a_split_write_and_the_heal_keeps_or_tells_everything() -> None:
    world, hosts = cluster(3)
    a, b, c = hosts
    done(world, write(a, "both", "before"))
    world.split(["n0"], ["n1", "n2"])
    world.run(8.0)
    assert a.replica.members.ring() == ("n0",)
    assert b.replica.members.ring() == ("n1", "n2")
    calls = [write(a, "both", "older"), write(a, "mine", 1)]
    world.run(1.0)
    calls += [write(b, "both", "newer"), write(c, "theirs", 2)]
    done(world, *calls)
    assert read(a, "both") == "older"
    assert read(b, "both") == "newer"
    world.heal()
    world.run(20.0)
    world.quiet()
    for host in hosts:
        assert (read(host, "both"), read(host, "mine"), read(host, "theirs")) == ("newer", 1, 2)
        lost = [r for r in lost_records(host) if r.path == ("both",)]
        assert [unpack(r.value) for r in lost] in ([], ["older"])
    told = {name for name, event, _ in world.notices if event == "conflict"}
    kept = [r for r in shard_at(a, "both").log.records if r.kind == DATA]
    if "older" not in [unpack(r.value) for r in kept]:
        assert told == {"n0", "n1", "n2"}


def test_a_write_that_loses_a_merge_is_told_on_every_node() -> None:
    world, hosts = cluster(2, clients=1)
    a, b, _ = hosts
    world.split(["n0", "x0"], ["n1"])
    world.run(8.0)
    # The side whose log is longer is gone on from; the other side's writes are merged into it.
    calls = [write(a, "k", i) for i in range(5)]
    done(world, *calls)
    loser = write(b, "k", "early")
    done(world, loser)
    assert loser.offset is not None
    world.run(0.5)
    done(world, write(a, "k", "late"))
    world.heal()
    world.run(20.0)
    world.quiet()
    assert {read(h, "k") for h in hosts} == {"late"}
    for host in hosts:
        assert [unpack(r.value) for r in lost_records(host)].count("early") <= 1
    if lost_records(a):
        assert {n for n, e, _ in world.notices if e == "conflict"} == {"n0", "n1", "x0"}


def test_one_id_handed_out_on_both_sides_is_added_again_under_the_next() -> None:
    world, hosts = cluster(2)
    a, b = hosts
    done(world, add(a, "first"))
    world.split(["n0"], ["n1"])
    world.run(8.0)
    one, two = add(a, "from a"), add(b, "from b")
    done(world, one, two)
    assert one.status == two.status == OK
    assert one.path == two.path == (2,)
    world.heal()
    world.run(20.0)
    world.quiet()
    for host in hosts:
        assert {read(host, 1), read(host, 2), read(host, 3)} == {"first", "from a", "from b"}
        assert read(host, 4) is None
    done(world, three := add(a, "next"))
    assert three.path == (4,)


def test_ids_are_consecutive_across_a_failover() -> None:
    world, hosts = cluster(3, clients=1)
    given: list[Any] = []
    for i in range(12):
        call = add(hosts[3], i)
        done(world, call)
        assert call.path is not None
        given.append(call.path[0])
        if i == 5:
            owner_of(world, "").crash()
    assert given == list(range(1, 13))


def test_a_restarted_server_gets_everything_again() -> None:
    world, hosts = cluster(3)
    calls = [write(hosts[i % 3], f"k{i}", i) for i in range(60)]
    done(world, *calls)
    hosts[1].crash()
    world.run(1.0)
    hosts[1].start()
    assert world.run(10.0, lambda: hosts[1].ready)
    world.run(5.0)
    world.quiet()
    assert [read(hosts[1], f"k{i}") for i in range(60)] == list(range(60))


def test_an_owner_that_stood_still_does_not_go_on_as_if_nothing_happened() -> None:
    world, hosts = cluster(3)
    stale, other = hosts[0], hosts[1]
    key = key_of(stale)
    done(world, write(other, key, "before"))
    stale.stop_for(12.0)
    world.run(8.0)
    done(world, write(other, key, "meanwhile", COMMIT))
    world.run(5.0)
    done(world, call := write(stale, key, "after", COMMIT))
    world.run(15.0)
    world.quiet()
    assert call.status == OK
    assert {read(h, key) for h in hosts} == {"after"}
    values = [unpack(r.value) for r in shard_at(other, key).log.records if r.kind == DATA]
    assert values == ["before", "meanwhile", "after"]


def test_who_stood_still_owns_nothing_until_it_has_asked_anew() -> None:
    """R15: it may have been replaced, and nobody can tell it so."""
    world, hosts = cluster(3)
    stale, others = hosts[0], [h.name for h in hosts[1:]]
    key = key_of(stale)
    stale.stop_for(12.0)
    world.run(11.0)
    world.split([stale.name], others)
    assert world.run(5.0, lambda: not stale.stopped)
    write(stale, key, "as if nothing had happened", COMMIT)
    assert shard_at(stale, key).role != OWNER
    world.heal()
    world.run(20.0)
    world.quiet()


def test_a_joiner_is_in_the_ring_when_it_has_all_that_was_there() -> None:
    """R14: and not before."""
    world, hosts = cluster(2)
    done(world, *(write(hosts[i % 2], f"k{i}", "x" * 500) for i in range(200)))
    world.slowness = 20.0
    joiner = world.host("n2")
    rings = {h.replica.cluster.ring.members for h in hosts}
    assert world.run(30.0, lambda: {h.replica.cluster.ring.members for h in hosts} != rings)
    for number in range(SHARDS):
        ends = [h.replica.cluster.shards[number].log.end for h in (*hosts, joiner)]
        assert ends[2] >= min(ends[:2]), f"shard {number}: {ends}"
    world.settle_down()
    world.quiet()


def test_two_founders_that_meet_become_one_cluster() -> None:
    world = World(3)
    world.split(["n0"], ["n1"])
    a, b = world.host("n0"), world.host("n1")
    world.run(15.0)
    assert a.ready
    assert b.ready
    calls = [write(a, f"a{i}", i) for i in range(20)] + [write(b, f"b{i}", i) for i in range(20)]
    done(world, *calls)
    world.heal()
    world.run(20.0)
    world.quiet()
    for host in (a, b):
        assert [read(host, f"a{i}") for i in range(20)] == list(range(20))
        assert [read(host, f"b{i}") for i in range(20)] == list(range(20))


def test_a_writer_heals_an_acknowledged_write_whose_owner_died_before_replicating() -> None:
    world, hosts = cluster(3, clients=1)
    client = hosts[3]
    victim = next(
        h for h in hosts[:3] if h.name not in client.replica.cluster.servers
    )
    key = key_of(victim)
    done(world, write(client, key, "first"))
    for other in hosts[:3]:
        if other is not victim and other.name not in client.replica.cluster.servers:
            world.cut(victim.name, other.name)
    relay = next(h for h in hosts[:3] if h.name in client.replica.cluster.servers)
    call = write(client, key, "acknowledged", COMMIT)
    done(world, call)
    assert call.status == OK
    # Whatever copy there was, it is gone with the owner and its one follower.
    victim.crash()
    relay.crash()
    world.heal()
    world.run(10.0)
    done(world, nxt := write(client, key, "next"))
    assert nxt.status == OK
    world.settle_down()
    world.quiet()
    survivor = next(h for h in hosts[:3] if h not in (victim, relay))
    found = [
        unpack(r.value) for r in shard_at(survivor, key).log.records if r.kind in (DATA, LOST)
    ]
    assert found[-2:] == ["acknowledged", "next"]


def test_frames_go_by_a_third_server_while_one_link_is_cut() -> None:
    world, hosts = cluster(3)
    a, b, _ = hosts
    world.patience = 0.5
    world.cut("n0", "n1")
    world.cut("n1", "n0")
    world.run(12.0)
    assert a.replica.members.ring() == b.replica.members.ring() == ("n0", "n1", "n2")
    key = key_of(b)
    done(world, call := write(a, key, "by relay", COMMIT))
    assert call.status == OK
    done(world, call := write(b, key_of(a), "and back", -1))
    assert call.status == OK
    world.heal()
    world.run(10.0)
    world.quiet()


def test_what_a_broken_link_has_lost_comes_by_a_third_server() -> None:
    for seed in range(1, 7):
        world, hosts = cluster(3, seed=seed)
        a, b, _ = hosts
        world.patience = 0.5
        keys = [k for k in (f"k{i}" for i in range(200)) if shard_at(a, k).role == OWNER]
        world.cut("n0", "n1")
        world.cut("n1", "n0")
        for number, key in enumerate(keys[:40]):
            world.after(number * 0.1, write, a, key, "once", COMMIT)
        world.run(20.0)
        assert a.name not in b.replica.cluster.servers, "the link is cut for good"
        assert [read(b, key) for key in keys[:40]] == ["once"] * 40, f"seed {seed}"
        world.heal()
        world.run(10.0)
        world.quiet()


@pytest.mark.parametrize("voters", [(), ("n0", "n1", "n2")])
@pytest.mark.parametrize("ways", [1, 2])
def test_what_a_link_had_taken_when_it_ended_goes_by_a_third_server(
    voters: tuple[str, ...], ways: int
) -> None:
    world = World(1, voters=voters)
    hosts = [world.host(f"n{i}", start=False) for i in range(3)]
    for host in hosts:
        host.disk = Disk() if voters else None
        host.start()
    assert world.run(10, lambda: all(h.ready for h in hosts))
    world.run(2.0)
    a, b, c = hosts
    for source, target in (("n0", "n1"), ("n1", "n0"))[:ways]:
        world.cut(source, target)
    keys = [k for k in (f"k{i}" for i in range(40)) if shard_at(a, k).role == OWNER]
    assert len({shard_of(k, SHARDS) for k in keys}) > 2
    done(world, *(write(a, key, "kept", COMMIT) for key in keys))
    assert world.run(1, lambda: all(key in shard_at(c, key).view for key in keys))
    assert not any(key in shard_at(b, key).view for key in keys)
    assert world.run(20, lambda: all(key in shard_at(b, key).view for key in keys))
    assert "n1" not in a.replica.cluster.servers, "they are still apart"
    world.heal()
    world.run(10.0)
    world.quiet()


def test_a_client_that_comes_again_is_fed_though_its_old_line_took_nothing_more() -> None:
    world, hosts = cluster(1, clients=1)
    server, client = hosts
    ((link, (wire, end)),) = [
        (n, at) for n, at in server.wires.items() if client in (at[0].ends[0][0], at[0].ends[1][0])
    ]
    server.do(lambda: server.replica.paused(link, True, world.now))
    world.close(wire, 1 - end, "timed out", back=False)  # the server learns nothing of it
    assert world.run(5, lambda: server.replica.cluster.clients.get("x0", link) != link)
    done(world, write(server, "k", "fed"))
    assert world.run(5, lambda: read(client, "k") is not None)
    world.run(10.0)
    world.quiet()


def test_a_slow_follower_catches_up_from_the_log() -> None:
    world, hosts = cluster(2)
    a, b = hosts
    key = key_of(a)
    b.stop_for(1.5)
    calls = [write(a, key, i, COMMIT) for i in range(200)]
    done(world, *calls)
    before = shard_at(b, key).log.end
    world.run(5.0)
    assert shard_at(b, key).log.end >= before + 200
    assert not [n for n in world.notices if n[1] in ("reset", "rollback")]
    world.quiet()


def test_a_follower_behind_the_base_gets_a_snapshot() -> None:
    world, hosts = cluster(2, partitions__history__max=16)
    a, b = hosts
    key = key_of(a)
    calls = [write(a, f"k{i}", i, COMMIT) for i in range(100)]
    done(world, *calls)
    world.cut("n0", "n1")
    world.cut("n1", "n0")
    for i in range(400):
        write(a, key, i, COMMIT)
        world.run(0.001)
    world.run(2.0)
    log = shard_at(a, key).log
    assert log.base > shard_at(b, key).log.end
    world.heal()
    world.run(20.0)
    world.quiet()
    assert read(b, key) == 399


def test_a_late_server_joins_by_snapshots() -> None:
    world, hosts = cluster(1, partitions__history__max=16)
    calls = [write(hosts[0], f"k{i % 50}", i, COMMIT) for i in range(1000)]
    done(world, *calls)
    world.run(2.0)
    late = world.host("late")
    assert world.run(10.0, lambda: late.ready)
    world.run(3.0)
    world.quiet()
    assert [read(late, f"k{i}") for i in range(50)] == list(range(950, 1000))


def test_a_number_that_came_twice_has_one_effect_and_the_same_answer() -> None:
    world, hosts = cluster(2)
    key = key_of(hosts[1])
    call = write(hosts[0], key, "once", COMMIT)
    done(world, call)
    offset = call.offset
    end = shard_at(hosts[1], key).log.end
    hosts[0].replica.requests.again(call, COMMIT, world.now)
    call.told = 0
    hosts[0].mark()
    done(world, call)
    assert (call.status, call.offset) == (OK, offset)
    assert shard_at(hosts[1], key).log.end == end


def test_a_gap_in_the_numbers_is_filled_before_what_follows_it() -> None:
    world, hosts = cluster(2)
    key = key_of(hosts[1])
    done(world, write(hosts[0], key, 1))
    requests = hosts[0].replica.requests
    held = write(hosts[0], key, 2)
    requests.drain(world.now)  # as if the frame had been lost
    after = write(hosts[0], key, 3)
    done(world, held, after)
    values = [unpack(r.value) for r in shard_at(hosts[1], key).log.records if r.kind == DATA]
    assert values == [1, 2, 3]


def test_the_log_stays_bounded_with_and_without_a_dead_member() -> None:
    world, hosts = cluster(2, partitions__history__max=16)
    keys = [f"k{i}" for i in range(8)]

    def load(seconds: float) -> int:
        longest, end = 0, world.now + seconds
        while world.now < end:
            for key in keys:
                write(hosts[0], key, world.now, COMMIT)
            world.run(0.02)
            longest = max(longest, *(
                len(s.log.records) for h in hosts if h.up for s in h.replica.cluster.shards
            ))
        return longest

    assert load(8.0) < 16 * 4 + 100
    hosts[1].crash()
    assert load(8.0) <= 16 * 4 + 100
    world.settle_down()
    world.quiet()


def test_a_pause_of_a_link_holds_back_one_follower_and_no_memory_grows_with_it() -> None:
    world, hosts = cluster(2, credit__log=4096)
    a, b = hosts
    key = key_of(a)
    b.stop_for(1.5)
    for i in range(300):
        write(a, key, "x" * 200 + str(i), COMMIT)
        world.run(0.002)
    wire = next(w for w, _ in a.wires.values() if w.alive[0] and w.alive[1])
    assert max(wire.bytes) < 4096 + 70_000
    cursor = a.replica.cluster.cursors["n1"]
    assert cursor.paused
    world.run(5.0)
    world.quiet()
    assert read(b, key) == read(a, key)


def test_three_sides_of_a_split_come_together() -> None:
    world, hosts = cluster(3)
    world.split(["n0"], ["n1"], ["n2"])
    world.run(8.0)
    calls = [write(h, f"{h.name}-{i}", i) for h in hosts for i in range(20)]
    calls += [write(h, "shared", h.name) for h in hosts]
    done(world, *calls)
    world.heal()
    world.run(20.0)
    world.quiet()
    for host in hosts:
        for other in hosts:
            assert [read(host, f"{other.name}-{i}") for i in range(20)] == list(range(20))


def test_a_server_that_dies_while_it_takes_over_is_replaced() -> None:
    world, hosts = cluster(2)
    calls = [write(hosts[0], f"k{i}", i) for i in range(30)]
    done(world, *calls)
    third = world.host("n2")
    joined = world.run(
        10.0, lambda: any(s.role == OWNER for s in third.replica.cluster.shards) or (
            third.replica.members.me is not None and third.replica.members.me.state == ALIVE
        )
    )
    assert joined
    third.crash()
    done(world, *(write(hosts[1], f"k{i}", -i, COMMIT) for i in range(30)))
    world.settle_down()
    world.quiet()


def test_everybody_down_and_up_again_begins_empty_and_works() -> None:
    world, hosts = cluster(3, clients=1)
    done(world, *(write(hosts[3], f"k{i}", i) for i in range(10)))
    for host in hosts[:3]:
        host.crash()
    world.run(5.0)
    world.settle_down()
    done(world, *(write(h, f"k{i}", h.name) for h in hosts for i in range(10)))
    world.run(5.0)
    world.quiet()


def test_the_offset_of_an_answer_is_where_the_record_stands() -> None:
    world, hosts = cluster(3, clients=1)
    calls = [write(h, f"k{i}", i, -1) for i in range(20) for h in hosts]
    done(world, *calls)
    for call in calls:
        assert call.offset is not None
        shard, term, number = call.offset
        for host in hosts[:3]:
            record: Record = host.replica.cluster.shards[shard].log[number]
            assert Offset(shard, record.term, record.number) == call.offset
            assert (record.sid, record.seq) == (call.sid, call.seq)
    assert shard_at(hosts[3], "k0").role == FOLLOWER
    assert term.n


def told(host: Host, kind: int) -> list[list[Any]]:
    """Give the bodies of a kind that a host has not sent yet."""
    limits = host.world.constants.limits
    return [
        frame.unpack(kind, data[frame.HEADER.size :], limits)
        for _, data in host.replica.cluster.frames if data[4] == kind
    ]


def test_what_is_below_a_promise_changes_nothing() -> None:
    """R2: not a record, not a snapshot, not another's takeover."""
    world, hosts = cluster(2)
    owner, other = hosts
    key = key_of(owner)
    done(world, write(owner, key, "before"))
    theirs, mine = shard_at(owner, key), shard_at(other, key)
    old, higher = theirs.term, theirs.term._replace(n=theirs.term.n + 5)
    end = mine.log.end
    stale = Record(old, end + 1, DATA, "s", 1, key, "update", pack("late"), 1 << 50, None, 0)
    append = columns.write(old, [mine.id], [stale])
    theirs.append(stale)
    snaps = catchup.snapshot(theirs, old, end)
    other.replica.cluster.promise(mine, higher)
    link = other.replica.cluster.servers[owner.name]
    frames = [(frame.APPEND, append), *((frame.SNAP, part) for part in snaps)]
    for kind, body in [*frames, (frame.PREPARE, [old, [mine.id]])]:
        other.replica.cluster.frames.clear()
        packed = frame.encode(kind, body)[frame.HEADER.size :]
        other.replica.receive(link, kind, 0, packed, world.now)
        other.replica.cluster.flush_acks()
        assert (mine.log.end, mine.promised) == (end, higher)
        if kind == frame.PREPARE:
            ((_, heads, fenced),) = told(other, frame.PROMISE)
            assert heads == [[], [], [], []]
            assert [number for number, _ in fenced] == [mine.id]
        else:
            assert told(other, frame.FENCED) == [[[mine.id, list(higher)]]]
        assert not told(other, frame.APPENDED)


def test_a_record_that_does_not_match_is_answered_with_the_history() -> None:
    """R3: one after a gap, and another one at a place that is taken."""
    world, hosts = cluster(2)
    owner, other = hosts
    key = key_of(owner)
    done(world, write(owner, key, "before"))
    shard = shard_at(other, key)
    term, end = shard.promised, shard.log.end
    late = Record(term, end + 2, DATA, "s", 1, key, "update", pack(2), 1 << 50, None, 0)
    beside = late._replace(term=term._replace(n=term.n + 1), number=end)
    link = other.replica.cluster.servers[owner.name]
    for record in (late, beside):
        other.replica.ready(world.now)
        fence = max(record.term, shard.promised)
        body = frame.encode(frame.APPEND, columns.write(fence, [shard.id], [record]))
        other.replica.receive(link, frame.APPEND, 0, body[frame.HEADER.size :], world.now)
        assert told(other, frame.NACK) == [[list(fence), [catchup.history(shard)]]]
        other.replica.cluster.flush_acks()
        assert not [b for b in told(other, frame.APPENDED) if shard.id in b[1]]
        assert shard.log.end == end
