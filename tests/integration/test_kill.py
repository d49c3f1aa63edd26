"""A server process ends by kill -9 in the middle of 5,000 pipelined writes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from rxfero.core.position import Offset
from rxfero.errors import RxferoError
from tests.integration.cluster import Cluster, Process, same, stable, until

WRITES = 5_000
LISTS = 20


@pytest.mark.parametrize("victim", ["the one written to", "another"])
async def test_kill_a_server_under_pipelined_writes(victim: str) -> None:
    async with Cluster(constants={"requests.timeout": 20_000}) as cluster:
        doomed = await Process.start(cluster.name, cluster.ports, "doomed")
        others = [await cluster.server(id="left"), await cluster.server(id="right")]
        try:
            for server in others:
                await server.stable(3)
                await server.connected(2)
            port = None
            for peer in others[0].peers.lists.connected:
                if (peer.id == "doomed") == (victim == "the one written to"):
                    port = peer.port
            assert port is not None
            client = await cluster.client(ports=port)
            await client.connected()
            lists = [f"list{number}" for number in range(LISTS)]
            await asyncio.gather(*(client.update(name, []) for name in lists))

            acked, failed = set[int](), dict[int, BaseException]()
            third = asyncio.Event()

            async def write(number: int) -> None:
                try:
                    if number % 2:
                        guarantee = client.push(lists[number % LISTS], number)
                    else:
                        guarantee = client.update(f"key{number}", number)
                    assert isinstance(await guarantee.replicated(1), Offset)
                except RxferoError as error:
                    failed[number] = error
                else:
                    acked.add(number)
                    if len(acked) > WRITES // 3:
                        third.set()

            # in bursts, so that there is something in flight when the process ends
            tasks = []
            for number in range(WRITES):
                tasks.append(asyncio.ensure_future(write(number)))
                if number % 250 == 249:
                    await asyncio.sleep(0)
                if number == WRITES // 2:
                    async with asyncio.timeout(20):
                        await third.wait()
                if number == WRITES * 3 // 4:
                    killed = asyncio.ensure_future(doomed.kill())
                    at, flying = time.monotonic(), number - len(acked)
            client.peers.create("127.0.0.1", others[0].peers.me.port)
            async with asyncio.timeout(25):
                await asyncio.gather(*tasks)
            took = time.monotonic() - at
            await killed

            assert flying > 500, "writes were on their way when the process ended"
            assert len(acked) + len(failed) == WRITES, "every await has ended"
            await stable(*others)
            await same(*others)
            await client.connected()
            await until(lambda: client.ring.checksum == others[0].ring.checksum, client)
            await same(*others, client)
            for cache in (*others, client):
                items = Counter(item for name in lists for item in cache[name])
                assert not [n for n, times in items.items() if times > 1], "doubled"
                missing = [
                    n for n in acked
                    if (n not in items if n % 2 else cache.get(f"key{n}") != n)
                ]  # fmt: skip
                assert not missing, f"{len(missing)} acknowledged writes are missing"
            print(f"{victim}: {len(acked)} acked, {len(failed)} failed, {took:.2f} s after kill -9")
        finally:
            await doomed.kill()
