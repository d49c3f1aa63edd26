"""The figures: plain values that say what a node is and has."""

from __future__ import annotations

import json

from rxfero.figures import told
from tests.integration.cluster import Cluster, stable


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
