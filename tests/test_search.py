"""The search: others are found whenever they come, by whoever came first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rxfero.errors import ConfigurationError
from rxfero.search import AGAIN_S_MAX, FOUND_MAX, PROBES_MAX, TRIES, Search, settle_s
from rxfero.tasks import TRIES as TOLD_TO_END
from rxfero.testing import SimulatedCluster, simulate
from rxfero.testing.fake import FakeCache
from tests.integration.cluster import Cluster, same, stable, until


class Told:
    """A finder that finds what it is told to."""

    def __init__(self) -> None:
        self.addresses: asyncio.Queue[tuple[Any, Any]] = asyncio.Queue()

    async def find(self, here: Any, found: Callable[[str, int], None]) -> None:
        while True:
            found(*await self.addresses.get())


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


async def test_what_a_finder_finds_is_connected_to() -> None:
    finder = Told()
    async with Cluster() as cluster:
        one = await cluster.server(ports=None)
        two = await cluster.server(ports=None, finders=[finder])
        assert len(two.peers) == 0
        finder.addresses.put_nowait((one.peers.me.host, one.peers.me.port))
        finder.addresses.put_nowait((two.peers.me.host, two.peers.me.port))  # itself: no harm
        await stable(one, two)


async def test_a_client_remembers_what_was_found() -> None:
    finder = Told()
    async with Cluster() as cluster:
        one = await cluster.server(ports=None)
        where = (one.peers.me.host, one.peers.me.port)
        finder.addresses.put_nowait(where)
        client = await cluster.client(ports=None, finders=[finder])
        assert len(client.peers.lists.connected) == 1
        (peer,) = client.peers
        client.peers.remove(peer)
        await until(lambda: len(client.peers.lists.connected) == 1, client)


async def test_a_finder_that_fails_is_told_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rxfero.search.FAILED_S", 0.01)

    class Broken:
        async def find(self, here: Any, found: Callable[[str, int], None]) -> None:
            raise OSError("no such interface")

    class Wrong:
        async def find(self, here: Any, found: Callable[[str, int], None]) -> None:
            found("no host/", 1)

    finder = Told()
    async with Cluster() as cluster:
        one = await cluster.server(ports=None)
        finder.addresses.put_nowait((one.peers.me.host, one.peers.me.port))
        async with asyncio.timeout(20):
            two = await cluster.server(ports=None, finders=[Broken(), Wrong(), finder])
            await stable(one, two)
            both = {OSError, ConfigurationError}
            await until(lambda: {type(f.error) for f in cluster.errors} == both, two)
        assert {f.event for f in cluster.errors} == {"discovery"}


async def test_a_finder_that_catches_its_cancellation_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rxfero.tasks.AGAIN_S", 0.001)
    ended = asyncio.Event()
    caught = 0

    class Stubborn:
        async def find(self, here: Any, found: Callable[[str, int], None]) -> None:
            nonlocal caught
            while not ended.is_set():
                try:
                    await ended.wait()
                except asyncio.CancelledError:
                    caught += 1

    async with Cluster() as cluster:
        one = await cluster.server(ports=None, finders=[Stubborn()])
        try:
            async with asyncio.timeout(20):
                await one.destroy()
        finally:
            ended.set()
        assert caught == TOLD_TO_END
        (failure,) = cluster.errors
        assert failure.event == "discovery"
        assert "CancelledError" in str(failure.error)


def test_a_cluster_that_was_cut_in_two_finds_itself_by_multicast() -> None:
    async def main() -> None:
        plain: dict[str, Any] = {"hosts": ["127.0.0.1"], "ports": None, "multicast": True}
        async with SimulatedCluster(seed=3, servers=4, clients=1, **plain) as c:
            await c["s1"].cache.update("before", 1)
            c.split(["s1", "s2"], ["s3", "s4", "c1"])
            await asyncio.sleep(600)  # beyond every attempt to dial the others again
            await c["s1"].cache.update("here", 1)
            await c["s3"].cache.update("there", 1)
            assert "there" not in c["s1"].cache
            c.heal()
            await asyncio.sleep(30)
            await c.same()
            assert {"before", "here", "there"} <= {*c["s1"].cache} == {*c["c1"].cache}
            assert len(c["s1"].cache.ring.members) == 4

    simulate(main())


class Desk:
    """What a search asks of a node, and what it had dialed."""

    def __init__(self, **options: Any) -> None:
        self.cache = FakeCache()
        self.node: Any = self.cache._node
        self.node.transport = self
        self.node.replica.probe = lambda link: None
        self.dialed: list[tuple[str, int]] = []
        self.clock = 0.0
        self.search = Search(self)  # type: ignore[arg-type]

    @property
    def now(self) -> float:
        return self.clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self.node, name)

    def dial(self, host: str, port: int, timeout_s: float) -> int:
        self.dialed.append((host, port))
        return len(self.dialed)


async def test_an_address_nobody_answers_at_is_given_up_unless_found_again() -> None:
    desk = Desk()
    for _ in range(5):
        desk.search.found("10.0.0.1", 7000)
    assert len(desk.dialed) == 1  # not with every datagram
    for _ in range(100):
        desk.clock += AGAIN_S_MAX
        await desk.search._round()
    assert len(desk.dialed) == 1 + TRIES
    desk.search.found("10.0.0.1", 7000)
    assert len(desk.dialed) == 2 + TRIES


async def test_what_is_found_is_bounded() -> None:
    desk = Desk()
    for number in range(FOUND_MAX + 100):
        desk.search.found(f"10.0.{number // 250}.{number % 250}", 7000)
    assert len(desk.search._found) == FOUND_MAX
    desk.node.replica._probes = {*range(PROBES_MAX)}
    before = len(desk.dialed)
    desk.search.found("10.9.9.9", 7000)
    assert len(desk.dialed) == before


@pytest.mark.parametrize("wrong", [("", 7000), ("a b", 7000), ("a", 0), ("a", 65_536), ("a", "1")])
async def test_what_is_no_address_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        Desk().search.found(*wrong)


async def test_where_others_may_be_a_server_waits_before_it_founds() -> None:
    options = Desk().node.options
    assert settle_s(options) == 0.0
