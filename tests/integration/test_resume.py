"""A client that loses its servers again and again sees every change once and in order.

`RXFERO_CHANGES=100000 RXFERO_CUTS=50` is the full size; `RXFERO_SEED` draws other moments.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import defaultdict

from rxfero.cache import Cache
from tests.integration.cluster import Cluster, collect, until

CHANGES = int(os.environ.get("RXFERO_CHANGES", "3000"))
CUTS = int(os.environ.get("RXFERO_CUTS", "6"))
SEED = int(os.environ.get("RXFERO_SEED", "7"))
KEYS = 60
BURST = 250
WAIT_S = 50.0


def cut(client: Cache) -> int:
    """Abort every connection of a client; gives how many."""
    links = list(client._node.replica.links)
    for link in links:
        client._node.transport.abort(link)
    return len(links)


async def test_every_change_once_and_in_order_over_lost_connections() -> None:
    rng = random.Random(SEED)
    moments = set(rng.sample(range(0, CHANGES, BURST), min(CUTS, CHANGES // BURST)))
    async with Cluster() as cluster:
        servers = await cluster.servers(2)
        client = await cluster.client()
        await client.connected()
        seen, resets = collect(client), collect(client, "reset")
        lost = 0
        for first in range(0, CHANGES, BURST):
            numbers = range(first, min(CHANGES, first + BURST))
            writes = [servers[n % 2].update(f"k{n % KEYS}", n) for n in numbers]
            if first in moments:
                await until(lambda: bool(client._node.replica.links), client, timeout=WAIT_S)
                lost += cut(client)
            await asyncio.gather(*writes)
        await until(lambda: len(seen) >= CHANGES, client, timeout=WAIT_S)
        assert lost >= len(moments), "each cut ended a connection"
        assert not resets
        values: dict[str, list[int]] = defaultdict(list)
        for change in seen:
            values[change.key].append(change.value)
        assert values == {f"k{k}": list(range(k, CHANGES, KEYS)) for k in range(KEYS)}
        assert dict(client) == dict(servers[0]) == dict(servers[1])
