"""The stages: observable and awaitable, and told by whom a write is held."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rxfero import NotAcknowledged, fero
from rxfero import operators as fop
from rxfero.errors import ConfigurationError, Refused
from rxfero.stages import Acceptance, Joint, Stage
from rxfero.testing import FakeCache, SimulatedCluster, simulate
from tests.operators.fake import Seen


def test_a_write_is_awaited_at_the_servers_that_a_predicate_accepts() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=1, servers=3, clients=1) as cluster:
            for node in cluster.members:
                for server in cluster.servers:
                    asked: list[str] = []

                    def wanted(peer: Any, name: str = server.name, of: Any = asked) -> bool:
                        of.append(peer.id)
                        return peer.id == name

                    guarantee = node.cache.update("a", node.name)
                    assert await guarantee.acknowledged(wanted) == guarantee.number
                    assert server.name in asked
                    assert server.cache["a"] == node.name  # it has it already

    simulate(main())


def test_all_that_hold_it_at_last_are_asked_about_and_then_it_fails() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=2, servers=3, clients=1) as cluster:
            client = cluster.clients[0].cache
            asked: set[str] = set()

            def nobody(peer: Any) -> bool:
                asked.add(peer.id)
                return False

            with pytest.raises(NotAcknowledged) as caught:
                await client.update("a", 1).acknowledged(nobody)
            assert asked == {"s1", "s2", "s3"} == set(caught.value.names)
            assert caught.value.offset is not None
            assert caught.value.outcome == "uncertain"
            done = client.update("a", 2)
            await done
            assert await done.acknowledged(lambda peer: peer.id == "s2") == done.number

    simulate(main())


def test_a_server_that_is_cut_off_is_waited_for_within_a_bound() -> None:
    async def main() -> None:
        async with SimulatedCluster(seed=3, servers=3, clients=1) as cluster:
            client = cluster.clients[0].cache
            owner = client.peers.owner("a")
            assert owner is not None
            gone = next(s.name for s in cluster.servers if s.name != owner.id)
            cluster.crash(gone)
            with pytest.raises(NotAcknowledged, match="accepts none"):
                await client.update("a", 1).acknowledged(lambda peer: peer.id == gone)

    simulate(main())


def test_a_message_is_acknowledged_by_the_server_that_received_it() -> None:
    async def main() -> None:
        def hello(_: Any) -> str:
            return "ok"

        async with SimulatedCluster(seed=4, servers=2, clients=1, handler=hello) as cluster:
            for node in cluster.members:
                ask = node.cache.peers.send
                sent = ask({"type": "hello", "key": "a"})
                assert await sent.acknowledged(lambda peer: peer.id in ("s1", "s2")) > 0
                with pytest.raises(NotAcknowledged, match="received by s"):
                    await ask({"type": "hello", "key": "a"}).acknowledged(lambda _: False)

    simulate(main())


async def test_over_real_sockets_in_a_chain() -> None:
    async with fero("stages") as one, fero("stages", hosts=[one.peers.me.address]) as two:
        await one.stable(2)
        numbers: asyncio.Queue[int] = asyncio.Queue()
        one.on("commit", under="from").pipe(
            fop.update(one, key=lambda change: ("to", change.key[1])),
            fop.await_ack(where=lambda peer: peer.id == two.id),
        ).subscribe(numbers.put_nowait)
        for n in range(20):
            one.update(("from", n), n)
        async with asyncio.timeout(30):
            for n in range(20):
                await numbers.get()
                assert two["to"][n] == n


def test_a_predicate_that_raises_and_one_that_is_none() -> None:
    cache = FakeCache()
    with pytest.raises(ConfigurationError, match="where"):
        cache.update("a", 1).acknowledged("b")  # pyright: ignore[reportArgumentType]

    def broken(_: Any) -> bool:
        raise ZeroDivisionError

    seen = Seen(cache.update("a", 1).acknowledged(broken))
    assert isinstance(seen.error, ZeroDivisionError)
    assert seen.values == []


def test_one_server_alone_is_asked_about_at_once() -> None:
    cache = FakeCache()
    guarantee = cache.update("a", 1)
    seen = Seen(guarantee.acknowledged(lambda peer: peer is cache.peers.me))
    assert seen.values == [guarantee.number]
    assert seen.completed
    added = cache.add("no key")
    assert Seen(added.acknowledged(lambda peer: peer is cache.peers.me)).values == [added.number]


def test_what_was_refused_stays_refused() -> None:
    cache = FakeCache({"a": 1})
    seen = Seen(cache.update("a", 2, expect=3).acknowledged(lambda _: True))
    assert isinstance(seen.error, Refused)


def test_a_joint_has_the_stage_of_all_its_parts() -> None:
    cache = FakeCache()
    joint = cache.patch({"a": 1, "b": 2})
    assert isinstance(joint, Joint)
    seen = Seen(joint.acknowledged(lambda _: True))
    cache.advance(0.001)
    assert seen.values == [part.number for part in joint.parts]
    assert seen.completed


def test_they_say_what_they_are() -> None:
    guarantee = FakeCache().update("a", 1)
    stage = guarantee.on("commit")
    assert isinstance(stage, Stage)
    assert repr(stage).startswith("<Stage commit of <Guarantee update")
    held = guarantee.acknowledged(bool)
    assert isinstance(held, Acceptance)
    assert repr(held).startswith("<Acceptance of <Guarantee update")
