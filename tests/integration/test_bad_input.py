"""What must not work does not: it says so, at once, with a type, and nobody else notices."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import struct
import time
from typing import Any

import pytest

from rxfero import fero
from rxfero.cache import Cache
from rxfero.core import frame
from rxfero.errors import (
    AddressInUse,
    ConfigurationError,
    HandshakeRefused,
    NotConnected,
    Overloaded,
    ProtocolError,
    RequestTimeout,
    UnknownEvent,
    ValueRefused,
)
from tests.integration.cluster import WAIT_S, Cluster, free_ports, same, until
from tests.integration.raw import Raw, identity

# --- at the call


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prots": 1}, "'ports'"),
        ({"clent": True}, "'client'"),
        ({"ports": (2, 1)}, "ports="),
        ({"ports": "7000"}, "ports="),
        ({"constants": {"outbox.mux": 1}}, "outbox.mux.*'max'"),
        ({"constants": {"outbox": {"max": -1}}}, "outbox.max"),
        ({"multicast": "lo"}, "multicast="),
        ({"hosts": "127.0.0.1"}, "hosts="),
        ({"security": {"secret": "short"}}, "security="),
    ],
)
def test_unknown_and_wrong_options_are_refused_at_the_call(
    options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        fero("test", **options)


async def test_unknown_events_and_statuses_are_refused_with_the_nearest() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        for ask in (server.on, server.once, server.off):
            with pytest.raises(UnknownEvent, match="did you mean 'change'"):
                ask("chnage")
        with pytest.raises(ConfigurationError, match="disconnected, connecting"):
            server.peers.lists["conected"]
        with pytest.raises(UnknownEvent, match="'reply'"):
            server.update("a", 1).on("replay")


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (object(), "value"),
        ({"a": [1, {2, 3}]}, r"value.*a.*1"),
        ({"a": {(1, 2): 3}}, r"value.*a"),
        ([1, 2, 1 << 64], r"value.*2"),
        ("\ud800", "value"),
        ({"deep": [complex(1, 2)]}, r"value.*deep.*0"),
    ],
)
async def test_values_outside_the_domain_are_refused_with_their_place(
    value: Any, place: str
) -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        for write in (
            lambda: server.update("k", value),
            lambda: server.add(value),
            lambda: server.push("k", value),
            lambda: server.patch("k", {"x": value}),
            lambda: server.peers.send({"type": "x", "value": value}),
        ):
            with pytest.raises(ValueRefused) as caught:
                write()
            assert caught.value.path
        with pytest.raises(ValueRefused, match=place):
            server.update("k", value)
        assert server == {}
        assert server.stats()["pending"] == 0


async def test_empty_and_huge_keys_and_values() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        client = await cluster.client()
        for key in ("", (), ("",), "a..b", None, 1.5, True, "k" * 1025, ("a",) * 33, b"k"):
            with pytest.raises(ValueRefused):
                client.update(key, 1)  # type: ignore[arg-type]
        longest = "k" * 1024
        limit = 1 << 20
        with pytest.raises(ValueRefused, match=r"outbox\.frag"):
            client.update("k", b"x" * limit)
        await client.update(longest, b"")
        await client.update("big", b"x" * (limit - 8192))
        await same(server, client)
        assert len(server["big"]) == limit - 8192
        assert server[longest] == b""


async def test_an_unanswered_load_is_refused_before_memory_is_full() -> None:
    async with Cluster(constants={"requests.pending": 1 << 16}) as cluster:
        never = asyncio.Event()

        async def silent(request: Any) -> None:
            await never.wait()

        await cluster.server(silent)
        client = await cluster.client()
        with pytest.raises(Overloaded, match=r"requests\.pending") as caught:  # noqa: PT012
            for _ in range(100):
                client.peers.send(b"x" * 1024)
        assert caught.value.retry
        never.set()


async def test_a_taken_port_range_is_told_at_once() -> None:
    ports = free_ports(2)
    held = []
    for port in range(ports[0], ports[1] + 1):
        held.append(socket.socket())
        held[-1].bind(("127.0.0.1", port))
        held[-1].listen()
    begun = time.monotonic()
    try:
        with pytest.raises(AddressInUse, match=str(ports[1])) as caught:
            await fero("test", ports=ports)
        assert isinstance(caught.value, OSError)
        assert time.monotonic() - begun < 1
    finally:
        for sock in held:
            sock.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- nobody there, or nobody answers


async def test_a_client_without_a_server_waits_clearly_and_ends_typed() -> None:
    async with Cluster(ports=3) as cluster:
        client = await cluster.client()
        assert len(client) == 0
        assert "peers=0" in repr(client)
        with pytest.raises(RequestTimeout, match="no server is connected") as caught:
            await client.connected(timeout=0.05)
        assert isinstance(caught.value, TimeoutError)
        with pytest.raises(RequestTimeout, match="no server is connected"):
            await client.update("a", 1).timeout(0.05)
        with pytest.raises(RequestTimeout, match="no server is connected"):
            await client.peers.send({"type": "x"}).timeout(0.05)
        waiting = asyncio.ensure_future(awaited(client.update("b", 2)))
        server = await cluster.server()
        async with asyncio.timeout(WAIT_S):
            await waiting
        assert server["b"] == 2


async def awaited(guarantee: Any) -> Any:
    return await guarantee


async def test_a_handler_that_never_answers_times_out_and_harms_nobody() -> None:
    async with Cluster(constants={"requests.timeout": 200}) as cluster:
        never = asyncio.Event()

        async def handler(request: Any) -> Any:
            if request.type == "silent":
                await never.wait()
            return request.next() if request.type == "update" else "answer"

        server = await cluster.server(handler)
        client = await cluster.client()
        with pytest.raises(RequestTimeout, match=r"silent.*0\.2 s") as caught:
            await client.peers.send({"type": "silent"})
        assert caught.value.outcome == "uncertain"
        with pytest.raises(RequestTimeout):
            await client.peers.send({"type": "silent", "key": "a"}).timeout(0.05)
        assert await client.peers.send({"type": "other"}) == "answer"
        await client.update("a", 1)
        assert server == {"a": 1}
        never.set()


async def test_a_message_to_a_peer_that_is_gone() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        peer = one.peers.lists.connected[0]
        await two.destroy()
        await until(lambda: not one.peers.lists.connected, one)
        with pytest.raises(NotConnected):
            peer.send({"type": "x"})


# --- peers that do not fit


async def dial(cluster: Cluster, server: Cache) -> Raw:
    raw = await Raw.dial(server.peers.me.port)
    cluster.closing.append(raw.writer.close)
    return raw


async def failure(cache: Cache) -> Any:
    return await asyncio.wait_for(cache.once("error"), WAIT_S)


@pytest.mark.parametrize(
    ("who", "says"),
    [
        ({"cluster": "other"}, "cluster"),
        ({"service": "other"}, "service"),
        ({"digest": "64/200/mmh3"}, "digest"),
        ({"proto_min": 2, "proto_max": 3}, "version"),
        ({"role": "server", "service": "other", "port": 9}, "service"),
    ],
)
async def test_peers_that_do_not_fit_are_refused_with_the_reason_on_both_sides(
    who: dict[str, Any], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        told = asyncio.ensure_future(failure(server))
        await asyncio.sleep(0)
        raw = await dial(cluster, server)
        with pytest.raises(ConnectionError, match=says):
            await raw.greet(identity(**who))
        await raw.closed()
        seen = await told
        assert isinstance(seen.error, HandshakeRefused)
        assert says in str(seen.error)
        assert any(says in record.getMessage() for record in caplog.records)
        assert not server.peers.lists.all


async def test_services_and_clusters_on_shared_ports_never_meet() -> None:
    async with Cluster(ports=6) as cluster:
        users = await cluster.server()
        teams = cluster.adopt(await fero("teams", ports=cluster.ports))
        other = await cluster.server(cluster="other")
        secured = await cluster.server(security={"secret": "long enough"})
        wrong = await cluster.server(security={"secret": "another one"})
        alone = (users, teams, other, secured, wrong)
        for number, cache in enumerate(alone):
            await cache.update("who", number)
        for cache in alone:
            await cache.stable(1)
        assert [cache["who"] for cache in alone] == [0, 1, 2, 3, 4]
        assert [len(cache.peers.lists.connected) for cache in alone] == [0] * 5
        client = await cluster.client(security={"secret": "long enough"})
        await client.connected()
        assert client["who"] == 3


async def test_two_live_nodes_of_one_name() -> None:
    async with Cluster() as cluster:
        one = await cluster.server(id="alice")
        two = await cluster.server(id="bob")
        await one.stable(2)
        told = asyncio.ensure_future(failure(one))
        await asyncio.sleep(0)
        raw = await dial(cluster, one)
        with pytest.raises(ConnectionError, match="in use"):
            await raw.greet(identity(role="server", name="bob", port=9))
        await raw.closed()
        assert "bob" in str((await told).error)
        await one.update("a", 1)
        await same(one, two)


# --- bytes that are no frames, and frames that are no sense

OVERSIZED = struct.pack(">IBB", 1 << 30, frame.HELLO, 0)
STRANGERS = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": bytes.fromhex("16030100c8010000c40303"),
    "zeros": bytes(64),
    "random": random.Random(1).randbytes(512),
    "oversized": OVERSIZED,
    "early request": frame.encode(frame.REQUEST, [1]),
    "early append": frame.encode(frame.APPEND, [[1, 1], []]),
    "two hellos": frame.encode(frame.HELLO, ["rxfero", 1, 1]) * 2,
    "another magic": frame.encode(frame.HELLO, ["fero", 1, 1]),
    "no array": struct.pack(">IBB", 3, frame.HELLO, 0) + b"\xc0",
    "bad msgpack": struct.pack(">IBB", 3, frame.HELLO, 0) + b"\xc1",
    "welcome first": frame.encode(frame.WELCOME, [1, []]),
}


async def test_who_speaks_another_protocol_is_closed_with_a_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        client = await cluster.client()
        await client.update("a", 1)
        for name, bytes_ in STRANGERS.items():
            told = asyncio.ensure_future(failure(server))
            await asyncio.sleep(0)
            raw = await dial(cluster, server)
            raw.send(bytes_)
            reasons = await raw.closed()
            error = (await told).error
            assert isinstance(error, ProtocolError), name
            assert reasons, f"{name}: the stranger is told why"
            assert any(str(error) in record.getMessage() for record in caplog.records), name
            await client.update("b", name)
            assert server == {"a": 1, "b": name}
            assert len(server.peers.lists.client) == 1
        assert len(cluster.errors) == len(STRANGERS), cluster.errors


async def test_a_stranger_that_says_nothing_is_closed() -> None:
    async with Cluster(constants={"connections.timeout": 150}) as cluster:
        server = await cluster.server()
        raw = await dial(cluster, server)
        half = await dial(cluster, server)
        half.send(frame.encode(frame.HELLO, ["rxfero", 1, 1])[:9])
        for silent in (raw, half):
            assert await silent.closed()
        await server.update("a", 1)


def request(number: int, key: Any, value: bytes, **changed: Any) -> list[Any]:
    """Give the fields of a REQUEST of one update."""
    body: dict[str, Any] = {
        "to": "raw", "hops": 0, "sid": "raw-1", "numbers": [0, [number]], "verbs": "update",
        "keys": [key], "values": [value], "seqs": [number], "levels": 0, "expects": None,
        "ttls": None,
    }  # fmt: skip
    return list({**body, **changed}.values())


NONSENSE = {
    "truncated body": struct.pack(">IBB", 40, frame.REQUEST, 0) + b"\x9b\xa3raw" + bytes(33),
    "oversized": struct.pack(">IBB", 1 << 24, frame.REQUEST, 0),
    "too small": struct.pack(">IBB", 1, frame.REQUEST, 0),
    "no array": struct.pack(">IBB", 3, frame.REQUEST, 0) + b"\x01",
    "bad msgpack": struct.pack(">IBB", 3, frame.REQUEST, 0) + b"\xc1",
    "a second hello": frame.encode(frame.HELLO, ["rxfero", 1, 1]),
    "a second welcome": frame.encode(frame.WELCOME, [1, []]),
    "an append from a client": frame.encode(frame.APPEND, [[1, 1], []]),
    "a promise from a client": frame.encode(frame.PROMISE, [[9, 9], []]),
    "members from a client": frame.encode(frame.MEMBERS, [[], 0]),
    "an unknown kind that matters": struct.pack(">IBB", 3, 200, 1) + b"\x90",
    "an empty request": frame.encode(frame.REQUEST, []),
    "a short column": frame.encode(frame.REQUEST, request(1, "k", b"\x01", values=[])),
    "a key of floats": frame.encode(frame.REQUEST, request(1, [1.5], b"\x01")),
    "an empty key": frame.encode(frame.REQUEST, request(1, "", b"\x01")),
    "a value that is no bytes": frame.encode(frame.REQUEST, request(1, "k", 7)),  # type: ignore[arg-type]
    "a value that is no msgpack": frame.encode(frame.REQUEST, request(1, "k", b"\xc1")),
    "a value with a tail": frame.encode(frame.REQUEST, request(1, "k", b"\x01\x02")),
    "a cut value": frame.encode(frame.REQUEST, request(1, "k", b"\x92\x01")),
    "a negative number": frame.encode(frame.REQUEST, request(1, "k", b"\x01", numbers=[-5, 1])),
    "a seq of text": frame.encode(frame.REQUEST, request(1, "k", b"\x01", seqs=["1"])),
    "a session of none": frame.encode(frame.REQUEST, request(1, "k", b"\x01", sid=None)),
    "a ttl of text": frame.encode(frame.REQUEST, request(1, "k", b"\x01", ttls=["x"])),
    "a level of nonsense": frame.encode(frame.REQUEST, request(1, "k", b"\x01", levels=-7)),
    "too many disks": frame.encode(frame.REQUEST, request(1, "k", b"\x01", levels=-1_000)),
    "a nack of nonsense": frame.encode(frame.NACK, [1, 2, 3]),
    "heads of nonsense": frame.encode(frame.HEADS, [0, [[-1, "x"]]]),
    "a cancel of nonsense": frame.encode(frame.CANCEL, [1]),
    "a ping of nonsense": frame.encode(frame.PING, ["now"]),
}


async def test_a_peer_that_breaks_the_protocol_is_closed_and_nothing_has_moved(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        client = await cluster.client()
        for name, bytes_ in NONSENSE.items():
            await client.update("a", name)
            raw = await (await dial(cluster, server)).greet()
            await until(lambda: len(server.peers.lists.client) == 2, server)
            heads = server.partitions.heads()
            told = asyncio.ensure_future(failure(server))
            await asyncio.sleep(0)
            raw.send(bytes_)
            reasons = await raw.closed()
            seen = await told
            assert isinstance(seen.error, ProtocolError), (name, seen)
            assert seen.peer == "raw", name
            assert reasons, f"{name}: the peer is told why"
            assert any(str(seen.error) in r.getMessage() for r in caplog.records), name
            assert server.partitions.heads() == heads, name
            assert server == {"a": name}
            await until(lambda: len(server.peers.lists.client) == 1, server)
        await same(server, client)
        assert len(cluster.errors) == len(NONSENSE), cluster.errors


async def test_random_frames_move_nothing_and_end_nobody_else() -> None:
    seed = int(os.environ.get("RXFERO_SEED", "7"))
    rng = random.Random(seed)
    async with Cluster() as cluster:
        server = await cluster.server()
        client = await cluster.client()
        await client.update("a", 1)
        heads = server.partitions.heads()
        logging.getLogger("rxfero").setLevel(logging.CRITICAL)
        try:
            for _ in range(60):
                raw = await (await dial(cluster, server)).greet()
                kind = rng.choice([k for k in frame.KINDS if k != frame.GOAWAY])
                body = rng.randbytes(rng.randrange(0, 60))
                raw.send(struct.pack(">IBB", 2 + len(body), kind, rng.randrange(2)) + body)
                raw.send(OVERSIZED)  # whatever the first was, now it is over
                await raw.closed()
                assert client.stats()["servers"] == 1
        finally:
            logging.getLogger("rxfero").setLevel(logging.NOTSET)
        assert server.partitions.heads() == heads
        await client.update("b", 2)
        assert server == {"a": 1, "b": 2}
        await until(lambda: len(server.peers.lists.client) == 1, server)


async def test_frames_in_pieces_are_whole_frames() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        raw = await (await dial(cluster, server)).greet()
        whole = frame.encode(frame.REQUEST, request(1, "k", b"\x05"))
        for at in range(0, len(whole), 7):
            raw.send(whole[at : at + 7])
            await raw.writer.drain()
        await until(lambda: server.get("k") == 5, server)
        assert not cluster.errors


@pytest.mark.parametrize(
    "changed",
    [
        {"keys": [None]},
        {"verbs": "nothing"},
        {"expects": [["what", 1]]},
        {"expects": [["value", b"\xc1"]]},
        {"verbs": "push"},
        {"verbs": "patch", "values": [b"\x01"]},
    ],
    ids=str,
)
async def test_requests_that_cannot_be_carried_out_are_answered(changed: dict[str, Any]) -> None:
    """Well-formed but impossible: refused by an answer, and the connection goes on."""
    async with Cluster() as cluster:
        server = await cluster.server()
        await server.update("k", "text")
        raw = await (await dial(cluster, server)).greet()
        raw.say(frame.REQUEST, request(1, "k", b"\x01", **changed))
        raw.say(frame.REQUEST, request(2, "other", b"\x02", seqs=[1]))
        reply = await raw.reply(1)
        assert reply[3] is not None
        assert reply[3][0] not in (0, None)
        await until(lambda: server.get("other") == 2, server)
        assert server == {"k": "text", "other": 2}
        assert not cluster.errors


async def test_out_of_order_requests_are_refused_without_effect() -> None:
    """A session's numbers are dense: what comes too early waits for nobody, and is not applied."""
    async with Cluster() as cluster:
        server = await cluster.server()
        raw = await (await dial(cluster, server)).greet()
        raw.say(frame.REQUEST, request(1, "k", b"\x01"))
        raw.say(frame.REQUEST, request(5, "k", b"\x05"))
        raw.say(frame.REQUEST, request(1, "k", b"\x01"))
        raw.say(frame.REQUEST, request(2, "k", b"\x02"))
        await until(lambda: server.get("k") == 2, server)
        assert [change.value for change in server.partitions["k"]] == [1, 2]
