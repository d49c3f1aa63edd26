"""The node: turns, one timer, edges; an idle node does nothing, an overtaken one goes on."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from rxfero.errors import RxferoError
from tests.integration.cluster import WAIT_S, Cluster, collect, key_of, same, stable, until


async def test_writes_of_one_turn_leave_together() -> None:
    async with Cluster() as cluster:
        await cluster.server()
        client = await cluster.client()
        await client.update("warm", 1)
        before = client.stats()["turns"]
        writes = [client.update(f"k{number}", number) for number in range(500)]
        for write in writes:
            await write
        assert client.stats()["turns"] - before < 50


async def test_without_batching_all_arrives_too() -> None:
    async with Cluster(constants={"outbox.max": 0}) as cluster:
        server = await cluster.server()
        client = await cluster.client()
        await asyncio.gather(*(client.update(f"k{n}", n) for n in range(100)))
        await same(server, client)
        assert len(server) == 100


async def test_an_idle_node_takes_few_turns() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        await one.update("a", 1)
        before = one.stats()["turns"]
        await asyncio.sleep(1)  # to see that nothing happens, time must pass
        assert one.stats()["turns"] - before < 60
        assert two["a"] == 1


async def test_no_thread_is_started() -> None:
    before = threading.active_count()
    async with Cluster() as cluster:
        await cluster.servers(2)
        client = await cluster.client()
        await client.update("a", 1)
        assert threading.active_count() == before


async def test_what_is_counted_is_told() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        client = await cluster.client()
        tacks, acks, replies = (collect(client, e) for e in ("tack", "ack", "reply"))
        proxied = collect(server, "proxy")
        for number in range(10):
            await client.update("a", number)
        await until(lambda: sum(acks) == sum(tacks) == len(replies) == 10, client)
        assert len(proxied) == 10
        assert all(guarantee.offset is not None for guarantee in replies)


async def test_owners_and_checksums_are_told_when_a_server_comes_and_goes() -> None:
    async with Cluster() as cluster:
        one = await cluster.server()
        owners, checksums = collect(one, "owner"), collect(one, "checksum")
        two = await cluster.server()
        await stable(one, two)
        moved = {number for numbers in owners for number in numbers}
        ring, name = one._node.replica.cluster.ring, two.peers.me.id
        theirs = {number for number, owner in enumerate(ring.owners) if owner == name}
        assert len(theirs) == two.stats()["shards"]
        assert theirs <= moved  # a process that stood still is told of its own again, too
        assert checksums[-1] == two.ring.checksum
        await two.destroy()
        await one.stable(1)
        assert one.stats()["shards"] == 2048
        assert len(checksums) >= 2


async def test_a_graceful_leave_fails_no_write() -> None:
    async with Cluster() as cluster:
        one, two, three = await cluster.servers(3)
        client = await cluster.client(ports=one.peers.me.port)
        going, failed, done = True, list[BaseException](), 0

        async def write() -> None:
            nonlocal done
            number = 0
            while going:
                number += 1
                try:
                    await client.update(f"k{number % 50}", number)
                except RxferoError as error:
                    failed.append(error)
                done += 1

        writing = asyncio.ensure_future(write())
        await until(lambda: done > 20, client)
        await two.destroy()
        at = done
        await until(lambda: done > at + 20, client)
        await three.destroy()
        at = done
        await until(lambda: done > at + 20, client)
        going = False
        await asyncio.wait_for(writing, WAIT_S)
        assert not failed
        await same(one, client)
        assert one.stats()["shards"] == 2048


async def test_a_slow_reader_loses_nothing() -> None:
    """A follower that takes nothing for a while is throttled, and gets it all later."""
    async with Cluster(constants={"credit.log": 1 << 14, "outbox.frag": 1 << 17}) as cluster:
        one, two = await cluster.servers(2)
        key = key_of(one)
        throttled = collect(one, "throttled")
        wires: list[Any] = list(two._node.transport.wires.values())
        for wire in wires:
            wire.socket.pause_reading()
        value = "x" * 100_000
        for number in range(300):
            await one.update(key, [number, value], ack=0)
        for wire in wires:
            wire.socket.resume_reading()
        await same(one, two, timeout=20)
        assert two[key][0] == 299
        await stable(one, two)
        assert throttled
        assert [peer.status for peer in one.peers] == ["connected"]
