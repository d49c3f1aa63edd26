"""The monitor: sees every node, changes none, and is let in by whom it has to be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rxfero.core import frame
from rxfero.monitor import Monitor
from rxfero.options import read_options
from tests.discovery.seeker import group_port
from tests.integration.cluster import WAIT_S, Cluster, collect, free_ports, until
from tests.integration.raw import Raw, identity


def monitor(cluster: Cluster, service: str | None = None, **options: Any) -> Monitor:
    return Monitor(service, read_options({"ports": cluster.ports, **options}))


async def test_it_sees_every_node_of_every_service_and_nobody_sees_it() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        other = await cluster.server(ports=free_ports(1))
        seen = collect(one, "*")
        async with monitor(cluster) as watching:
            nodes = await watching.look()
            assert {n.name for n in nodes} == {one.id, two.id}
            assert all(n.answers for n in nodes)
            assert {n.figures["shards"] for n in nodes} == {c.stats()["shards"] for c in (one, two)}
            assert "nodes=2" in repr(watching)
            again = await watching.look()
            assert [n.name for n in again] == [n.name for n in nodes]
        assert not [name for name, _ in seen if name in ("client", "connecting", "status")]
        assert len(one.peers) == 1
        async with Monitor("none", read_options({"ports": cluster.ports})) as asking:
            assert not await asking.look()
            assert any("has 'test'" in reason for reason in asking.refused)
        async with Monitor("test", read_options({"hosts": [other.stats()["address"]]})) as named:
            assert [n.name for n in await named.look()] == [other.id]


async def test_one_address_is_enough_for_the_nodes_of_a_ring() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        where = f"localhost:{one.peers.me.port}"
        options = read_options({"hosts": [where, one.peers.me.address]})
        async with Monitor(None, options) as watching:
            for _ in range(2):  # the name and the number are one node
                assert {n.name for n in await watching.look()} == {one.id, two.id}


async def test_it_sees_who_is_gone_and_who_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        async with monitor(cluster) as watching:
            await watching.look()
            await two.destroy()
            assert {n.name: n.answers for n in await watching.look()} == {
                one.id: True, two.id: False,
            }  # fmt: skip
            monkeypatch.setattr("rxfero.monitor.FORGET_S", 0.0)
            assert {n.name for n in await watching.look()} == {one.id}
            three = await cluster.server()
            assert {n.name for n in await watching.look()} == {one.id, three.id}


async def test_one_that_is_lost_is_forgotten_when_another_takes_its_address() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        async with monitor(cluster) as watching:
            await watching.look()
            port = two.peers.me.port
            await two.destroy()
            assert two.id in {n.name for n in await watching.look()}
            three = await cluster.server(ports=port)
            assert {n.name for n in await watching.look()} == {one.id, three.id}


async def test_it_finds_by_multicast() -> None:
    settings = {"port": group_port(), "ttl": 0}
    async with Cluster(multicast=settings) as cluster:
        one = await cluster.server(ports=None)
        async with Monitor(None, read_options({"multicast": settings})) as watching:
            async with asyncio.timeout(WAIT_S):
                while not (nodes := await watching.look()):  # it may be short of time
                    continue
            assert [n.name for n in nodes] == [one.id]


async def test_with_a_secret_it_has_to_know_it() -> None:
    async with Cluster(security={"secret": "long enough"}) as cluster:
        one = await cluster.server()
        async with monitor(cluster) as stranger:
            assert not await stranger.look()
            assert any("secret" in reason for reason in stranger.refused)
        async with monitor(cluster, security={"secret": "long enough"}) as knowing:
            assert [n.name for n in await knowing.look()] == [one.id]


async def test_a_monitor_may_ask_and_nothing_else() -> None:
    async with Cluster() as cluster:
        one = await cluster.server()
        who = identity(role=frame.WATCHER, service="*", name="watch", digest="")
        for kind in (frame.REQUEST, frame.MEMBERS, frame.HEADS, frame.GONE):
            raw = await (await Raw.dial(one.peers.me.port)).greet(who)
            raw.say(kind, [])
            assert any("not allowed" in reason for reason in await raw.closed())
        raw = await (await Raw.dial(one.peers.me.port)).greet(who)
        for _ in range(1000):
            raw.say(frame.MONITOR, [])
        await until(lambda: one.stats()["turns"] > 0, one)
        raw.writer.close()
        assert not one.stats()["clients"]


async def test_a_finder_that_fails_alone_is_told() -> None:
    options = read_options({"multicast": {"host": "192.0.2.1", "port": group_port()}})
    async with Monitor(None, options) as watching:
        with pytest.raises(OSError, match=r"."):
            await watching.look()


async def test_what_is_told_is_read_whole_or_the_node_is_left() -> None:
    async with Cluster() as cluster:
        one = await cluster.server()
        real = one._node.replica.figures.take
        for bad in ({}, {"name": 7}, {**real(), "others": [["a", "b", 0]]}, {**real(), "uptime": ""}):
            one._node.replica.figures.take = lambda bad=bad: bad
            one._node.replica.figures._at = -1e9
            async with monitor(cluster) as watching:
                assert not await watching.look(0.5)
