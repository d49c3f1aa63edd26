"""The figures: plain values that say what a node is and has."""

from __future__ import annotations

import asyncio
import json

from rxfero.figures import told
from tests.integration.cluster import Cluster, stable, until


async def test_the_figures_say_what_is_there() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        client = await cluster.client()
        for number in range(10):
            await one.update(f"key{number}", number, ack="all")
        await stable(one, two)
        figures = one.stats()
        assert figures["keys"] == two.stats()["keys"] == 10
        assert figures["shards"] + two.stats()["shards"] == 2048
        assert figures["ring"] == two.stats()["ring"]
        assert (figures["role"], figures["status"]) == ("server", "alive")
        assert client.stats()["status"] == "client"
        assert figures["uptime"] > 0
        assert figures["rss"] >= 0
        assert json.loads(json.dumps(figures)) == figures
        assert [row[0] for row in told(one._node)["others"]] == [two.id]


async def test_a_sink_that_is_too_slow_shows_on_both_sides() -> None:
    async with Cluster() as cluster:
        gate = asyncio.Event()

        async def slow(request: object) -> str:
            await gate.wait()
            return "done"

        server = await cluster.server(slow)
        client = await cluster.client()
        sent = [client.peers.send("work") for _ in range(5)]
        await until(lambda: server.stats()["handling"] == 5, server)
        assert client.stats()["pending"] == 5
        gate.set()
        assert await asyncio.gather(*sent) == ["done"] * 5
        assert server.stats()["handling"] == client.stats()["pending"] == 0
