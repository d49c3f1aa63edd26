"""The display: every public thing has a page that says what it is."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rxfero import Change, Failure
from rxfero.core.ring import Ring
from rxfero.display import PAGES, ROWS, kind_of, page
from rxfero.errors import CompareFailed
from tests.integration.cluster import Cluster, until


def shown(thing: Any) -> str:
    """Give what a page says, without its tags."""
    html = thing._repr_mimebundle_()["text/html"]
    assert html == page(thing)
    text = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return re.sub(r"<[^>]*>", " ", text)


async def test_a_cache_shows_keys_types_sizes_and_owners() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        await one.update("alice", {"email": "a@x.org", "age": 7})
        await one.update("bob", [1, 2, 3])
        await one.update(7, "seven", ack="all")
        for node in (one, two):
            text = shown(node)
            assert all(word in text for word in (node.name, node.id, "server", "3 keys", "2 servers"))
            assert all(word in text for word in ("alice", "dict 2", "a@x.org", "list 3", "str 5"))
            assert f"{node.ring.checksum & 0xFFFFFFFF:08x}" in text
            for key in node:
                assert node.peers.owner((key,)).id in text
        client = await cluster.client()
        assert "client of" in shown(client)
        await client.destroy()
        assert "alice" in shown(client)  # what it held can still be looked at


async def test_only_the_first_keys_are_shown() -> None:
    async with Cluster() as cluster:
        node = await cluster.server()
        await node.patch({f"k{n}": n for n in range(ROWS + 5)})
        assert "and 5 more" in shown(node)


async def test_peers_and_a_peer() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        client = await cluster.client()
        await until(lambda: bool(one.peers.lists.client or two.peers.lists.client), one, two)
        node, other = (one, two) if one.peers.lists.client else (two, one)
        assert all(word in shown(node.peers) for word in (other.id, client.id, "connected", "client"))
        (peer,) = node.peers.lists.connected
        assert all(word in shown(peer) for word in (peer.id, peer.address, "connected"))


async def test_partitions_are_drawn_in_time() -> None:
    async with Cluster() as cluster:
        node = await cluster.server()
        await node.add("alice", 1)
        await node.update("alice", 2)
        await node.remove("alice")
        await node.add("bob", 1)
        html = node.partitions._repr_mimebundle_()["text/html"]
        assert html.count("<circle") == 4
        assert all(word in html for word in ("alice", "bob", "add", "update", "remove"))
        text = shown(node.partitions["alice"])
        assert all(word in text for word in ("3 changes", "owned by", node.id, "update", "remove"))
        assert "0 changes" in shown(node.partitions["nobody"])


def test_a_ring_is_drawn() -> None:
    text = shown(Ring(["a", "b", "c"], shards=64))
    assert all(word in text for word in ("3 servers", "64 shards", "checksum", "a", "b", "c", "%"))
    assert "0 servers" in shown(Ring([]))


async def test_a_guarantee_shows_how_far_it_is() -> None:
    async with Cluster() as cluster:
        node = await cluster.server()
        write = node.update("a", 1)
        assert "○ committed" in shown(write)
        offset = await write
        assert "● committed" in shown(write)
        assert f"{offset!r}"[:20] in write._repr_mimebundle_()["text/plain"]
        refused = node.update("a", 2, expect=3)
        with pytest.raises(CompareFailed):
            await refused
        assert "CompareFailed" in shown(refused)
        assert "bad" in refused._repr_mimebundle_()["text/html"]


def test_a_change_made_by_hand_and_a_failure() -> None:
    change = Change("update", "a.b", {"<b>": 1})
    assert all(word in shown(change) for word in ("update", "a.b", "&lt;b&gt;"))
    failure = Failure(ValueError("broken"), "change", "an observer", "peer-1", change)
    text = shown(failure)
    assert all(word in text for word in ("ValueError", "broken", "an observer", "peer-1"))


@pytest.mark.parametrize(
    ("value", "kind"),
    [({"a": 1}, "dict 1"), ([1, 2], "list 2"), ("abc", "str 3"), (b"abcd", "bytes 4"), (1, "int"),
     (None, "NoneType"), (True, "bool")],
)  # fmt: skip
def test_the_kind_of_a_value(value: Any, kind: str) -> None:
    assert kind_of(value) == kind


def test_what_has_no_page() -> None:
    assert page(object()) is None
    assert len(PAGES) == 9
