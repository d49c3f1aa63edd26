"""Tests of clusters with real sockets."""

from __future__ import annotations

import asyncio

import pytest

from rxfero.errors import ConfigurationError
from rxfero.testing import FeroCluster


async def test_members_come_write_and_leave() -> None:
    async with FeroCluster(servers=2, clients=1) as c:
        await asyncio.gather(*(m.cache.update(m.name, 1) for m in c.members))
        assert await c.same() == {"s1": 1, "s2": 1, "c1": 1}
        more = await c.add_server()
        await c.whole()
        await c["s1"].stop()
        await c["s1"].stop()
        await c.whole()
        assert c.running == [c["s2"], more, c["c1"]]
        assert "<RealMember s1 down>" in repr(c)
        assert len(await c.same("s2", more)) == 3
        with pytest.raises(KeyError):
            c["s9"]
    assert c.running == []


async def test_two_clusters_do_not_meet() -> None:
    async with FeroCluster(servers=1) as one, FeroCluster(servers=1, service="real") as other:
        await one["s1"].cache.update("a", 1)
        assert not other["s1"].cache


def test_what_the_cluster_gives_itself_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ports"):
        FeroCluster(ports=(1, 2))


async def test_what_cannot_start_leaves_nothing() -> None:
    cluster = FeroCluster(servers=1, clients=1, security={"secret": "x" * 32}, quorum="nonsense")
    with pytest.raises(ConfigurationError, match="quorum"):
        await cluster.__aenter__()
    assert cluster.members == []
