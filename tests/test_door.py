"""The door: strangers cost neither memory nor time, and who knows the secret gets in."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rxfero.door import FAILED_MAX, HOSTS_MAX, MINUTE_S, UNPROVEN_MAX, Door
from rxfero.errors import HandshakeRefused
from tests.integration.cluster import Cluster, until

KNOCKS = st.lists(st.tuples(st.sampled_from(["knock", "gone", "failed"]), st.integers(0, 200)))


def test_who_failed_often_is_turned_away_for_a_while() -> None:
    door = Door()
    for link in range(FAILED_MAX):
        assert door.knock(link, "evil", 0.0) is None
        door.failed(link, float(link))
    assert "5 times" in str(door.knock(9, "evil", FAILED_MAX))
    assert door.knock(10, "good", FAILED_MAX) is None
    assert door.knock(11, "evil", MINUTE_S) is None


def test_of_those_that_prove_nothing_so_many_are_held() -> None:
    door = Door()
    for link in range(UNPROVEN_MAX):
        assert door.knock(link, "h", 0.0) is None
    assert "64 connections" in str(door.knock(99, "h", 0.0))
    door.gone(3)
    assert door.knock(99, "h", 0.0) is None


def test_many_hosts_cost_no_more_memory() -> None:
    door = Door()
    for link in range(2 * HOSTS_MAX):
        door.knock(link, f"h{link}", 0.0)
        door.failed(link, 0.0)
    assert repr(door) == f"<Door 0 unproven, {HOSTS_MAX} hosts failed>"


@given(KNOCKS)
def test_law_never_more_than_so_many(knocks: list[Any]) -> None:
    door, inside = Door(), set[int]()
    for what, link in knocks:
        if what == "knock":
            if link not in inside and door.knock(link, "h", 0.0) is None:
                inside.add(link)
        else:
            door.gone(link)
            inside.discard(link)
        assert len(inside) <= UNPROVEN_MAX


async def test_silent_connections_do_not_keep_out_who_knows_the_secret_for_long() -> None:
    secret = {"security": {"secret": "s" * 32}}
    async with Cluster() as cluster:
        server = await cluster.server(**secret)
        where = (server.peers.me.host, server.peers.me.port)
        silent = [await asyncio.open_connection(*where) for _ in range(UNPROVEN_MAX + 1)]
        await until(lambda: bool(cluster.errors), server)
        (failure,) = cluster.errors
        assert isinstance(failure.error, HandshakeRefused)
        assert "have not proved" in str(failure.error)
        for _, writer in silent:
            writer.close()
        client = await cluster.client(**secret)
        await client.update("a", 1)


async def test_who_guesses_is_turned_away_before_a_word() -> None:
    async with Cluster() as cluster:
        server = await cluster.server(security={"secret": "s" * 32})
        for _ in range(FAILED_MAX + 1):
            guess = await cluster.client(
                ports=server.peers.me.port, security={"secret": "t" * 32}
            )
            await until(lambda: bool(cluster.errors), guess)
        await until(lambda: any("times in a minute" in str(f.error) for f in cluster.errors), server)
        assert not server.peers.lists.client
        assert not guess.peers.lists.connected
