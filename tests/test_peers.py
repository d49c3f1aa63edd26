"""The peers: who there is, in which state, and messages to them."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from rxfero import Change
from rxfero.core.peering import STATUSES
from rxfero.errors import Closed, ConfigurationError, MethodNotAllowed, NotConnected, ValueRefused
from tests.integration.cluster import (
    WAIT_S,
    Cluster,
    collect,
    free_ports,
    key_of,
    same,
    stable,
    until,
)


async def test_who_there_is() -> None:
    async with Cluster() as cluster:
        one = await cluster.server(id="one")
        two = await cluster.server(id="two")
        await stable(one, two)
        client = await cluster.client(id="three")
        await until(lambda: len(one.peers.lists.client) + len(two.peers.lists.client) == 1, one, two)
        peers = one.peers
        assert peers.name == "test"
        assert peers.me.id == "one"
        assert peers.me is one.peers.me
        assert client.peers.me is False
        (other,) = peers.lists.connected
        assert (other.id, other.host, other.port) == ("two", "127.0.0.1", two.peers.me.port)
        assert other.address == f"127.0.0.1:{other.port}"
        assert other.uuid == two.peers.me.uuid != peers.me.uuid
        assert (other.status, other.client) == ("connected", False)
        assert other in list(peers)
        assert list(peers).count(other) == 1
        assert len(peers) == len(peers.lists.all)
        assert peers.lists["connected"] == peers.lists.connected == [other]
        for status in STATUSES:
            assert peers.lists[status] == getattr(peers.lists, status)
        assert "two" in repr(other)
        assert "connected=1" in repr(peers)
        seen = client.peers.lists.connected
        assert {p.id for p in seen} <= {"one", "two"}
        assert len(seen) >= 1


async def test_figures_of_a_peer() -> None:
    async with Cluster(constants={"heartbeat.ping": 20}) as cluster:
        one, two = await cluster.servers(2)
        (peer,) = one.peers.lists.connected
        await until(lambda: peer.rtt is not None, one)
        assert 0 < peer.rtt < WAIT_S
        assert peer.outbox_bytes == 0
        await one.update(key_of(one), 1, ack="all")
        assert peer.lag == 0
        assert two.peers.me.outbox_bytes == 0


async def test_every_status_is_an_event_of_its_name() -> None:
    async with Cluster() as cluster:
        one = await cluster.server()
        told: list[tuple[str, str]] = []
        for status in ("connecting", "connected", "disconnected", "client", "removed"):
            one.on(status, lambda peer, s=status: told.append((s, peer.id)))
        statuses = collect(one, "status")
        two = await cluster.server(id="two")
        await stable(one, two)
        client = await cluster.client(id="three", ports=one.peers.me.port)
        await client.connected()
        await until(lambda: ("client", "three") in told, one)
        await client.destroy()
        await until(lambda: ("removed", "three") in told, one)
        await two.destroy()
        await until(lambda: ("disconnected", "two") in told, one)
        names = [s for s, _ in itertools.groupby(s for s, who in told if who == "two")]
        assert names[:2] == ["connecting", "connected"], "twice where both dialed"
        assert len(statuses) == len(told)
        assert not one.peers.lists.connected
        assert not one.peers.lists.client


async def test_who_owns_a_key() -> None:
    async with Cluster() as cluster:
        servers = await cluster.servers(3)
        client = await cluster.client()
        await until(lambda: len(client.ring.members) == 3, client)
        owned = [0, 0, 0]
        for number in range(300):
            key = f"key{number}"
            ids = {node.peers.owner(key).id for node in (*servers, client)}
            assert len(ids) == 1, "all agree"
            (name,) = ids
            owned[[s.peers.me.id for s in servers].index(name)] += 1
            change = Change("update", (key, "deep"), 1)
            assert client.peers.owner(change).id == client.peers.owner((key, "deep")).id == name
        assert min(owned) > 50
        with pytest.raises(ValueRefused):
            client.peers.owner("")


async def test_messages_without_a_key_are_spread_or_aimed() -> None:
    async with Cluster() as cluster:

        def handler(request: Any, cache: Any) -> str:
            return cache.peers.me.id

        one, two = await cluster.servers(2, handler)
        client = await cluster.client(constants={"connections.max.client": 2})
        await client.connected(2)
        answers = {await client.peers.send("who") for _ in range(10)}
        assert answers == {one.peers.me.id, two.peers.me.id}
        for peer in client.peers.lists.connected:
            assert await peer.send("who") == peer.id
            assert await peer.send({"type": "who", "key": key_of(one)}) == one.peers.me.id
        assert await one.peers.send("who") == one.peers.me.id
        (other,) = one.peers.lists.connected
        assert await other.send("who") == two.peers.me.id
        assert await one.peers.me.send("who") == one.peers.me.id


async def test_messages_that_cannot_be() -> None:
    async with Cluster() as cluster:
        one = await cluster.server()
        client = await cluster.client()
        wrong: list[Any] = [
            {"type": ""}, {"type": 7}, {"type": "x" * 256}, {"type": "x", "kye": 1},
            {"type": "update"}, {"type": "x", "key": ""}, {"type": "x", "value": object()},
            object(), b"x" * (1 << 20),
        ]  # fmt: skip
        for message in wrong:
            with pytest.raises(ValueRefused):
                client.peers.send(message)
        (peer,) = client.peers.lists.connected
        with pytest.raises(NotConnected, match="servers"):
            one.peers.lists.client[0].send("x")
        await client.peers.send({"type": "update", "key": "a", "value": 1})
        await client.peers.send(Change("update", "b", 2))
        await peer.send({"type": "push", "key": "c", "value": 3})
        with pytest.raises(MethodNotAllowed):
            await client.peers.send(["any", "value"])
        await same(one, client)
        assert one == {"a": 1, "b": 2, "c": [3]}
        await client.destroy()
        with pytest.raises(Closed):
            client.peers.send("x")


async def test_creating_a_peer_dials_it_at_once() -> None:
    async with Cluster() as cluster:
        apart = free_ports(1)
        one = await cluster.server()
        two = await cluster.server(ports=apart)
        await one.update("a", 1)
        peer = one.peers.create("127.0.0.1", apart[0])
        assert peer.status in ("disconnected", "connecting")
        await stable(one, two)
        assert peer.status == "connected"
        assert peer.id == two.peers.me.id
        await same(one, two)
        for host, port in (("", 1), (7, 1), ("h", 0), ("h", 65_536), ("h", "1")):
            with pytest.raises(ConfigurationError):
                one.peers.create(host, port)  # type: ignore[arg-type]


async def test_a_peer_that_never_answers_is_given_up() -> None:
    (port, _) = free_ports(1)
    async with Cluster(constants={"retries": {"base": 1, "max": 2}}) as cluster:
        one = await cluster.server()
        removed = collect(one, "removed")
        peer = one.peers.create("127.0.0.1", port)
        await until(lambda: bool(removed), one)
        assert removed == [peer]
        assert peer.status == "removed"
        assert peer not in list(one.peers)


async def test_removing_a_peer_closes_its_connection() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        removed = collect(one, "removed")
        (peer,) = one.peers.lists.connected
        one.peers.remove(peer)
        await until(lambda: bool(removed), one)
        assert peer.status == "removed"
        await stable(one, two)  # a member of the cluster is found again
        await one.update("a", 1)
        await same(one, two)


async def test_a_client_goes_on_with_another_server() -> None:
    async with Cluster() as cluster:
        servers = await cluster.servers(2)
        client = await cluster.client()
        await client.connected()
        names = [s.peers.me.id for s in servers]
        first = names.index(client.peers.lists.connected[0].id)
        lost = asyncio.ensure_future(client.once("disconnected"))
        await asyncio.sleep(0)
        await servers[first].destroy()
        await asyncio.wait_for(lost, WAIT_S)
        await client.update("a", 1)
        assert servers[1 - first]["a"] == 1
        assert client.peers.lists.connected[0].id == names[1 - first]
