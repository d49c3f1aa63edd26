"""The integration cases that the original had, written anew: two to ten nodes in one process."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops

from rxfero import fero
from rxfero.cache import Cache
from rxfero.errors import Closed, MethodNotAllowed, RxferoError
from tests.integration.cluster import (
    WAIT_S,
    Cluster,
    alike,
    collect,
    flat,
    free_ports,
    key_of,
    keys_of,
    same,
    stable,
    until,
)

# --- add


async def test_add_on_a_lone_server() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        assert await server.add({"name": "foo"}).on("reply") == 1
        assert server == {1: {"name": "foo"}}


async def test_add_from_any_server() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        assert await one.add({"name": "foo"}).on("reply") == 1
        assert await two.add({"name": "bar"}).on("reply") == 2
        assert await one.add({"name": "baz"}).on("reply") == 3
        await same(one, two)
        assert one == {1: {"name": "foo"}, 2: {"name": "bar"}, 3: {"name": "baz"}}


async def test_add_from_a_client() -> None:
    async with Cluster() as cluster:
        one = await cluster.server()
        client = await cluster.client()
        await client.connected()
        two = await cluster.server()
        await stable(one, two)
        assert await client.add({"name": "foo"}).on("reply") == 1
        assert await client.add({"name": "bar"}).on("reply") == 2
        await same(one, two, client)
        assert client == {1: {"name": "foo"}, 2: {"name": "bar"}}


# --- change


async def test_changes_of_two_servers() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        for number, writer in enumerate((one, two), 1):
            writer.update("foo", f"from{number}")
            await until(lambda n=number: one.get("foo") == two.get("foo") == f"from{n}", one, two)
            assert len(one.partitions["foo"]) == len(two.partitions["foo"]) == number
        assert [c.value for c in two.partitions["foo"]] == ["from1", "from2"]


async def test_changes_of_a_server_and_a_client() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        client = await cluster.client()
        for number, writer in enumerate((server, client), 1):
            writer.update("foo", f"from{number}")
            await until(
                lambda n=number: server.get("foo") == client.get("foo") == f"from{n}",
                server, client,
            )  # fmt: skip
            assert len(server.partitions["foo"]) == len(client.partitions["foo"]) == number


# --- guarantees


def by_reply(request: Any) -> None:
    request.reply("baz")


def by_return(request: Any) -> str:
    return "baz"


async def by_await(request: Any) -> str:
    await asyncio.sleep(0)
    return "baz"


@pytest.mark.parametrize("handler", [by_reply, by_return, by_await], ids=lambda h: h.__name__)
async def test_ack_and_reply(handler: Any) -> None:
    async with Cluster() as cluster:
        await cluster.server(handler)
        client = await cluster.client()
        acks, replies = collect(client, "ack"), collect(client, "reply")
        sent = client.peers.send({"foo": "bar"})
        await sent.on("ack")
        assert await client.peers.send({"foo": "bar"}).on("reply") == "baz"
        assert await client.peers.send({"foo": "bar"}) == "baz"
        assert await sent == "baz"
        await until(lambda: sum(acks) == 3 and len(replies) == 3, client)


def as_observable(request: Any) -> Any:
    return reactivex.of(1, 2, 3)


async def as_generator(request: Any) -> Any:
    for number in (1, 2, 3):
        yield number
        await asyncio.sleep(0)


async def as_awaited_observable(request: Any) -> Any:
    return reactivex.of(1, 2, 3)


STREAMS = [as_observable, as_generator, as_awaited_observable]


@pytest.mark.parametrize("handler", STREAMS, ids=lambda h: h.__name__)
async def test_a_stream_of_replies(handler: Any) -> None:
    async with Cluster() as cluster:
        server = await cluster.server(handler)
        client = await cluster.client()
        for sender in (client, server):
            replies = sender.peers.send({"foo": "bar"}).on("reply")
            async with asyncio.timeout(WAIT_S):
                assert await replies.pipe(ops.to_list()) == [1, 2, 3]


class Source:
    """A handler whose replies go on until its subscriber leaves; knows where it runs."""

    def __init__(self) -> None:
        self.running = 0
        self.stopped = asyncio.Event()

    def __call__(self, request: Any) -> Any:
        def subscribe(observer: Any, scheduler: Any = None) -> Any:
            self.running += 1
            for number in (1, 2, 3):
                observer.on_next(number)
            return reactivex.disposable.Disposable(self.stop)

        return reactivex.create(subscribe)

    def stop(self) -> None:
        self.running -= 1
        self.stopped.set()


class Generator(Source):
    """The same as an async generator."""

    async def __call__(self, request: Any) -> Any:  # type: ignore[override]
        self.running += 1
        try:
            for number in (1, 2, 3):
                yield number
            await asyncio.get_running_loop().create_future()
        finally:
            self.stop()


@pytest.mark.parametrize("kind", [Source, Generator])
async def test_a_stream_stops_when_its_subscriber_leaves(kind: type[Source]) -> None:
    async with Cluster() as cluster:
        source = kind()
        server = await cluster.server(source)
        client = await cluster.client()
        for sender in (client, server):
            await stopping(sender, {"foo": "bar"}, source)


async def stopping(sender: Cache, message: Any, source: Source) -> None:
    """Take three replies, then leave, and see the stream end."""
    source.stopped.clear()
    taken: list[Any] = []
    three = asyncio.Event()

    def take(value: Any) -> None:
        taken.append(value)
        if len(taken) == 3:
            three.set()

    subscription = sender.peers.send(message).on("reply").subscribe(take)
    async with asyncio.timeout(WAIT_S):
        await three.wait()
        assert (taken, source.running) == ([1, 2, 3], 1)
        subscription.dispose()
        await source.stopped.wait()
    assert source.running == 0


@pytest.mark.parametrize("kind", [Source, Generator])
async def test_a_brokered_stream_stops_behind_the_proxy(kind: type[Source]) -> None:
    async with Cluster() as cluster:
        sources = [kind(), kind()]
        servers = [await cluster.server(source) for source in sources]
        await stable(*servers)
        client = await cluster.client()
        await client.connected()
        broker = client.peers.lists.connected[0].id
        far = next(i for i, s in enumerate(servers) if s.peers.me.id != broker)
        await stopping(client, {"type": "watch", "key": key_of(servers[far])}, sources[far])
        assert sources[1 - far].running == 0


async def test_a_stream_stops_when_its_client_goes() -> None:
    async with Cluster() as cluster:
        source = Source()
        await cluster.server(source)
        client = await cluster.client()
        first = client.peers.send({"foo": "bar"}).on("reply").pipe(ops.first())
        keep = client.peers.send({"foo": "bar"}).on("reply").subscribe(on_error=lambda _: None)
        async with asyncio.timeout(WAIT_S):
            assert await first == 1
            source.stopped.clear()
            await client.destroy()
            await source.stopped.wait()
        await until(lambda: source.running == 0, *cluster.nodes[:1])
        keep.dispose()


async def test_commit_by_two_servers() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        await one.update("foo", "1").on("reply")
        await two.update("foo", "2").on("reply")
        await same(one, two)
        assert two == {"foo": "2"}


async def test_commit_by_a_client() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        client = await cluster.client()
        offset = await client.update("foo", 1)
        await client.reached(offset)
        assert client == {"foo": 1}
        assert server == {"foo": 1}
        await client.reached(await client.remove("foo"))
        assert client == {}
        assert server == {}


async def test_in_process_requests_take_the_same_path() -> None:
    async with Cluster() as cluster:
        server = await cluster.server(lambda request: request.value["foo"] + "bar")
        assert await server.peers.send({"type": "x", "value": {"foo": "foo"}}) == "foobar"
        assert await server.peers.me.send({"type": "x", "value": {"foo": "two"}}) == "twobar"


# --- destroy


def sockets() -> int:
    """Count this process's sockets (where the system shows them)."""
    if not os.path.isdir("/proc/self/fd"):
        return 0
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            continue
    return found


def timers() -> list[Any]:
    """Give the timers of asyncio's own loop that are still to fire."""
    scheduled = getattr(asyncio.get_running_loop(), "_scheduled", [])
    return [handle for handle in scheduled if not handle.cancelled()]


async def test_destroy_leaves_no_task_timer_or_socket() -> None:
    before, armed = sockets(), timers()
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        client = await cluster.client()
        await client.update("a", 1)
        for node in (one, client, two):
            await node.destroy()
            await node.destroy()  # idempotent
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert timers() == armed
        assert sockets() == before


async def test_destroy_ends_every_pending_await() -> None:
    async with Cluster() as cluster:
        never = asyncio.Event()

        async def silent(request: Any) -> None:
            await never.wait()

        server = await cluster.server(silent)
        client = await cluster.client()
        waiting = [
            asyncio.ensure_future(wait)
            for wait in (
                client.once("change"),
                client.connected(5),
                client.stable(7),
                awaited(client.peers.send({"type": "x"})),
                awaited(client.peers.send({"type": "x"}).on("reply")),
                awaited(client.update("a", 1)),
                awaited(client.update("b", 1).replicated(2)),
                drained(client),
            )
        ]
        await asyncio.sleep(0)
        await until(lambda: client.stats()["pending"] == 4, client)
        async with asyncio.timeout(WAIT_S):
            await client.destroy()
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(o) for o in outcomes[:-1]] == [Closed] * 7
        assert outcomes[-1] == []
        with pytest.raises(Closed):
            client.update("a", 1)
        with pytest.raises(Closed):
            await client.connected()
        with pytest.raises(Closed):
            await client.once("change")
        await server.destroy()
        never.set()


async def awaited(guarantee: Any) -> Any:
    return await guarantee


async def drained(cache: Cache) -> list[Any]:
    return [change async for change in cache.stream()]


# --- utf8


async def test_text_of_any_script() -> None:
    text = "“naïve” 😀 Ελλάδα 日本 \x00 " + "é" * 300
    async with Cluster() as cluster:
        server = await cluster.server(lambda r: r.next() if r.type == "update" else r.value)
        client = await cluster.client()
        offset = await server.update((text,), text)
        await client.reached(offset)
        assert client == {text: text}
        assert server == {text: text}
        assert await client.peers.send(text) == text


# --- handshakes


def masters(servers: list[Cache]) -> tuple[str, str]:
    return key_of(servers[0], "A"), key_of(servers[1], "B")


async def test_two_servers_exchange_ten_thousand_writes() -> None:
    messages = 2_500
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        a, b = masters([one, two])
        for first, second in ((a, b), (b, a)):
            sent = []
            for number in range(messages):
                sent += [one.update((first, number), 1), two.update((second, number), 2)]
            for guarantee in sent:
                await guarantee
        await same(one, two)
        assert [len(one[key]) for key in (a, b)] == [messages, messages]
        assert one.partitions[a].head == two.partitions[a].head
        await alike(one, two)


async def test_a_server_and_a_client_sync_what_was_before() -> None:
    async with Cluster() as cluster:
        one = await cluster.server()
        for number in range(3_000):
            one.update(f"foo{number}", "bar")
        two = await cluster.server()
        await stable(one, two)
        client = await cluster.client()
        await same(one, two, client)
        assert len(client) == 3_000
        assert len(client.partitions) == len(two.partitions) == 3_000
        await alike(one, two)


async def test_a_client_follows_a_new_cluster_that_knows_nothing() -> None:
    async with Cluster() as cluster:
        one = await cluster.server()
        client = await cluster.client()
        for number in range(10):
            await one.update(f"foo{number}", "bar")
        await same(one, client)
        resets = collect(client, "reset")
        await one.destroy()
        two = await cluster.server()
        await until(lambda: len(client) == 0, client)
        assert resets
        assert len(two) == 0
        await client.reached(await client.update("new", 1))
        assert client == {"new": 1}
        assert two == {"new": 1}


async def test_moving_start() -> None:
    async with Cluster() as cluster:
        one = await cluster.server()
        one.update("server1", 1)
        client = await cluster.client()
        two = await cluster.server()
        await two.connected()
        two.update("server2", 1)
        await until(lambda: "server2" in client, client)
        await same(one, two, client)
        assert client == {"server1": 1, "server2": 1}
        await two.destroy()
        three = await cluster.server()
        await three.connected()
        three.update("server2", three["server2"] + 1)
        await until(lambda: client.get("server2") == 2, client)
        await same(one, three, client)
        assert client == {"server1": 1, "server2": 2}


@pytest.mark.parametrize("who", [0, 1], ids=["by the writer", "by the other"])
async def test_writes_while_disconnected_arrive_after(who: int) -> None:
    async with Cluster() as cluster:
        servers = await cluster.servers(2)
        one, two = servers
        keys = keys_of(one, 3)
        for peer in list(servers[who].peers):
            servers[who].peers.remove(peer)
        for key in keys:
            one.update(key, "bar")
        await same(*servers)
        await stable(*servers)
        assert two == dict.fromkeys(keys, "bar")
        for server in servers:
            assert [len(server.partitions[key]) for key in keys] == [1, 1, 1]
            assert len(server.peers.lists.connected) == 1


@pytest.mark.parametrize("messages", [10, 100_000])
async def test_reconnection(messages: int) -> None:
    """Writes before, during and after a lost connection: all arrive, once and in order."""
    if messages > 1000 and type(asyncio.get_running_loop()).__module__ == "asyncio.unix_events":
        messages //= 10  # the full load on one loop is enough
    started = time.monotonic()
    patient = {"requests.timeout": 120_000}  # all are asked for at once
    async with Cluster(constants=patient) as cluster:
        one, two = await cluster.servers(2)
        before, during, after = keys_of(one, 3)
        for key in (before, during, after):
            await one.update(key, [])
        sent = [one.push(before, number) for number in range(messages)]
        await two.reached(await sent[-1], WAIT_S)
        for peer in list(two.peers):
            two.peers.remove(peer)
        written = 0
        async with asyncio.timeout(WAIT_S):
            while not (written and one.peers.lists.connected and two.peers.lists.connected):
                one.push(during, written)
                written += 1
                await asyncio.sleep(0)
        meanwhile = one.push(during, written)
        sent = [one.push(after, number) for number in range(messages)]
        await two.reached(await sent[-1])
        await two.reached(await meanwhile)
        for key, n in ((before, messages), (during, written + 1), (after, messages)):
            assert one[key] == two[key] == list(range(n))
        await alike(one, two)
    print(f"{messages}: {written} while disconnected, {time.monotonic() - started:.1f} s in all")


async def test_rolling_five() -> None:
    async with Cluster(ports=8) as cluster:
        servers: list[Cache] = []
        while len(servers) < 5:
            servers.append(await cluster.server())
            await stable(*servers)
            await servers[-1].update(f"by{len(servers)}", len(servers))
        await same(*servers)
        assert len({server.ring.checksum for server in servers}) == 1
        assert sorted(servers[0].values()) == [1, 2, 3, 4, 5]


async def test_swarm_of_ten() -> None:
    async with Cluster(ports=12) as cluster:
        servers = list(await asyncio.gather(*(cluster.server() for _ in range(10))))
        await stable(*servers, timeout=20)
        await asyncio.gather(*(s.update(f"by{i}", i) for i, s in enumerate(servers)))
        await same(*servers)
        assert len(servers[0]) == 10
        owned = [s.stats()["shards"] for s in servers]
        assert sum(owned) == 2048
        assert max(owned) <= 1.25 * 204.8


# --- groups and several services


@pytest.mark.parametrize("group", [True, "monitor"])
async def test_client_groups(group: Any) -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        waiting = asyncio.ensure_future(server.once("client"))
        await asyncio.sleep(0)
        client = await cluster.client(client=group)
        peer = await asyncio.wait_for(waiting, WAIT_S)
        assert (peer.status, peer.client) == ("client", group)
        assert server.peers.lists.client == [peer]
        assert client.peers.lists.connected[0].client is False
        await client.destroy()
        await until(lambda: not server.peers.lists.client, server)


async def test_several_services_in_one_process() -> None:
    names = [f"service{number}" for number in range(5)]
    async with Cluster(ports=7) as cluster:
        servers = await fero.all(names, ports=cluster.ports)
        clients = await fero.all(names, ports=cluster.ports, client=True)
        for cache in [*servers.values(), *clients.values()]:
            cluster.adopt(cache)
        assert list(servers) == list(clients) == names
        for name in names:
            await clients[name].connected()
            await clients[name].update("name", name)
        for name in names:
            assert servers[name] == {"name": name}
            assert [p.id for p in clients[name].peers.lists.connected] == [
                servers[name].peers.me.id
            ]


async def test_services_take_the_free_ports_of_a_range() -> None:
    async with Cluster(ports=4) as cluster:
        servers = await cluster.servers(3)
        assert sorted(s.peers.me.port for s in servers) == list(
            range(cluster.ports[0], cluster.ports[0] + 3)
        )


async def test_all_or_none_of_several_services_start() -> None:
    first, _ = free_ports(2)
    with pytest.raises(RxferoError):
        await fero.all(["a", "b", "c"], ports=(first, first + 1))
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_no_verb_is_handled_twice() -> None:
    async with Cluster() as cluster:
        seen: list[str] = []

        def handler(request: Any) -> Any:
            seen.append(request.type)
            return request.next()

        servers = await cluster.servers(3, handler)
        client = await cluster.client()
        with pytest.raises(MethodNotAllowed):
            await client.peers.send({"type": "no", "key": "a"})
        await asyncio.gather(*(client.update(f"k{i}", i) for i in range(50)))
        assert sorted(seen) == ["no"] + ["update"] * 50
        await same(*servers, client)
        assert sorted(flat([servers[0].values()])) == list(range(50))
