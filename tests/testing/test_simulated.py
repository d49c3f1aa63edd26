"""Tests of the simulated cluster: whole nodes, faults, and that a seed is a run."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import pytest
from reactivex import operators as ops

from rxfero.core.position import Term
from rxfero.testing import SimulatedCluster, simulate


def test_writes_of_every_member_reach_every_member() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=1, servers=3, clients=2) as c:
            await asyncio.gather(*(m.cache.update(m.name, 1) for m in c.members))
            assert await c.same() == {"s1": 1, "s2": 1, "s3": 1, "c1": 1, "c2": 1}
            assert c.running == c.members

    simulate(main())


def test_an_hour_and_operators_of_time() -> None:
    async def main() -> None:
        async with SimulatedCluster(servers=1, clients=1) as c:
            seen: list[Any] = []
            c["c1"].cache.on("change").pipe(
                ops.map(lambda change: change.value), ops.delay(1800.0)
            ).subscribe(seen.append)
            await c["s1"].cache.update("a", 1)
            await asyncio.sleep(1700)
            assert not seen
            await asyncio.sleep(200)
            assert seen == [1]

    simulate(main())


def test_a_handler_serves_and_streams() -> None:
    async def handle(request: Any) -> Any:
        await asyncio.sleep(request.value)
        return request.value * 2

    async def main() -> None:
        async with SimulatedCluster(servers=2, clients=1, handler=handle) as c:
            peers = c["c1"].cache.peers
            replies = [peers.send({"type": "wait", "value": n}).on("reply") for n in (20, 10)]
            assert await asyncio.gather(*replies) == [40, 20]

    simulate(main())


@pytest.mark.parametrize("seed", range(5))
def test_both_parts_of_a_split_go_on_and_become_one_again(seed: int) -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=seed, servers=3, clients=2) as c:
            c.split(["s1", "c1"], ["s2", "s3"])  # c2 is a part of its own
            await asyncio.sleep(60)
            assert c["s1"].cache.ring.members == ("s1",)
            assert c["s2"].cache.ring.members == ("s2", "s3")
            writes = [m.cache.update(m.name, 1) for m in c.members]
            await asyncio.gather(*writes[:4])
            assert not writes[4].done
            c.heal()
            await c.whole()
            await writes[4]
            assert await c.same() == {m.name: 1 for m in c.members}

    simulate(main())


@pytest.mark.parametrize("power", [False, True])
def test_a_crash_loses_nothing_and_a_restart_comes_back(power: bool) -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=3, servers=3, clients=1) as c:
            await asyncio.gather(*(c["c1"].cache.update(f"k{n}", n) for n in range(50)))
            c.crash("s2", power=power)
            await c.whole()
            assert len(await c.same()) == 50
            await c["c1"].cache.update("more", 1)
            await c.restart("s2")
            await c.whole()
            assert len(await c.same()) == 51

    simulate(main())


def test_a_cut_of_one_link_or_of_one_direction() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=4, servers=3) as c:
            c.cut("s1", "s2", both=False)
            await asyncio.sleep(30)
            c.cut(["s1"], ["s2", "s3"])
            await asyncio.sleep(30)
            assert c["s1"].cache.ring.members == ("s1",)
            c.heal("s1", c.servers[1:])
            await c.whole()
            await c["s1"].cache.update("a", 1)
            assert await c.same() == {"a": 1}

    simulate(main())


def test_members_come_and_leave() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=5, servers=1) as c:
            await c["s1"].cache.update("a", 1)
            more = await c.add_server()
            client = await c.add_client()
            await c.whole()
            assert (more.name, client.name) == ("s2", "c1")
            await c["s1"].stop()
            await c.whole()
            assert await c.same() == {"a": 1}
            with pytest.raises(KeyError):
                c["s9"]

    simulate(main())


def test_what_does_not_come_to_be_says_what_differs() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=6, servers=2) as c:
            c.split("s1", "s2")
            await asyncio.sleep(30)
            await c["s1"].cache.update("a", 1)
            with pytest.raises(TimeoutError, match="'a' is 1 on s1, 'nothing' on s2"):
                await c.same(timeout_s=5)
            with pytest.raises(TimeoutError, match="whole cluster"):
                await c.whole(timeout_s=5)
            assert "seed=6" in repr(c)

    simulate(main())


async def test_it_needs_virtual_time() -> None:
    with pytest.raises(RuntimeError, match="simulate"):
        await SimulatedCluster().__aenter__()


RUN = """
import asyncio, sys
from rxfero.testing import Schedule, SimulatedCluster, simulate

VOTERS = {"disks": True, "quorum": "majority", "voters": ["s1", "s2", "s3"]}

async def main():
    async with SimulatedCluster(seed=int(sys.argv[1]), servers=3, clients=2, keep=10**6) as c:
        await asyncio.gather(*(m.cache.update((m.name, "x"), {"by": m.name}) for m in c.members))
        c.split("s1", ["s2", "s3", "c1"])
        await asyncio.sleep(20)
        writes = [m.cache.update((m.name, "y"), 1) for m in c.members]
        await asyncio.sleep(5)
        c.heal()
        await c.whole()
        c.crash("s2")
        await c["c1"].cache.update("z", 1)
        await c.restart("s2")
        await c.whole()
        print(await c.same())
        print(c.trace)

async def hostile():
    async with SimulatedCluster(seed=int(sys.argv[1]), clients=1, skew_s=2, keep=10**6, **VOTERS) as c:
        playing = c.play(Schedule.random(int(sys.argv[1]), 3, 20.0, every_s=0.5))
        writes = []
        while not playing.done():
            await asyncio.sleep(0.2)
            writes.append(c["c1"].cache.update(f"k{len(writes)}", len(writes)))
        await asyncio.gather(playing, *writes, return_exceptions=True)
        await c.whole()
        print(await c.same())
        print(c.trace)

simulate(main())
simulate(hostile())
"""


def run(seed: int, hash_seed: str) -> bytes:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, str(seed)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True, timeout=60, check=True,
    ).stdout  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_a_seed_is_a_run_byte_for_byte_whatever_the_hash_seed(seed: int) -> None:
    first, *others = [run(seed, hash_seed) for hash_seed in ("0", "1", "77", "random")]
    assert first.count(b"\n") > 500
    assert all(other == first for other in others)
    assert run(seed + 10, "0") != first


def test_an_owner_that_a_lost_candidate_was_promised_beyond_is_the_owner_again() -> None:
    """Also of a shard that nobody writes to: nothing but the heartbeat's digest tells of it."""

    async def main() -> None:
        async with SimulatedCluster(seed=5, servers=3) as c:
            one, two = (c[name].cache._node.replica.cluster for name in ("s1", "s2"))
            shard = next(s for s in two.shards if s.owner == "s1")
            two.promise(shard, Term(shard.promised.n + 5, 99))
            shard.owner = None
            await asyncio.sleep(20)
            assert shard.owner == "s1"
            assert one.shards[shard.id].term == shard.promised

    simulate(main())


def test_an_owner_that_one_server_took_for_dead_is_its_owner_again() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=5, servers=3) as c:
            two = c["s2"].cache._node.replica.cluster
            quiet = [s for s in two.shards if s.owner == "s1"]
            for shard in quiet:
                shard.owner = None
            await asyncio.sleep(20)
            assert quiet
            assert all(shard.owner == "s1" for shard in quiet)

    simulate(main())
