"""The search: others are found whenever they come, by whoever came first."""

from __future__ import annotations

from tests.integration.cluster import Cluster, same, stable, until


async def test_a_server_that_comes_later_is_found() -> None:
    async with Cluster() as cluster:
        one = await cluster.server()
        assert len(one.peers) == 0
        two = await cluster.server()
        await stable(one, two)
        assert [p.status for p in one.peers] == [p.status for p in two.peers] == ["connected"]


async def test_a_client_that_came_first_finds_its_server() -> None:
    async with Cluster() as cluster:
        client = await cluster.client()
        assert len(client.peers) == 0
        server = await cluster.server()
        await until(lambda: len(client.peers.lists.connected) == 1, client)
        await client.update("a", 1)
        await same(server, client)


async def test_a_removed_server_is_found_again() -> None:
    """A server goes on looking, so that a cluster that was cut in two finds itself."""
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        (peer,) = one.peers
        one.peers.remove(peer)
        await until(lambda: len(one.peers.lists.connected) == 1, one)
        await stable(one, two)
