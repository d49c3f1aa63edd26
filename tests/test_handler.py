"""The handler: verbs of one's own, over the wire and in process, and every way to answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops

from rxfero import fero
from rxfero.core.call import WINDOW
from rxfero.core.position import Offset
from rxfero.errors import (
    ConfigurationError,
    KeyMissing,
    MethodNotAllowed,
    Refused,
    RemoteError,
    ValueRefused,
)
from rxfero.handler import WAITING, takes_cache
from rxfero.testing import SimulatedCluster, simulate
from tests.integration.cluster import WAIT_S, Cluster, collect, key_of, same, until


class Users:
    """The service of DESIGN 1: register and login."""

    async def __call__(self, request: Any, users: Any) -> Any:
        match request.type:
            case "register":
                return await self.register(request, users)
            case "login":
                return self.login(request, users)
            case _:
                return request.next()

    async def register(self, request: Any, users: Any) -> str:
        await asyncio.sleep(0)
        if request.key in users:
            raise ValueError(f"{request.key} is taken")
        await users.update(request.key, {"password": request.value["password"]})
        return "welcome"

    def login(self, request: Any, users: Any) -> bool:
        return users[request.key]["password"] == request.value["password"]


async def test_register_and_login_through_every_node() -> None:
    async with Cluster() as cluster:
        servers = await cluster.servers(2, Users())
        client = await cluster.client()
        for number, node in enumerate((*servers, client)):
            name = f"user{number}"

            def ask(verb: str, password: str, node: Any = node, name: str = name) -> Any:
                return node.peers.send(
                    {"type": verb, "key": name, "value": {"password": password}}
                )

            assert await ask("register", "secret") == "welcome"
            assert await ask("login", "secret") is True
            assert await ask("login", "wrong") is False
            with pytest.raises(RemoteError, match="user. is taken") as caught:
                await ask("register", "again")
            assert caught.value.type == "ValueError"
            with pytest.raises(MethodNotAllowed, match="logout") as refused:
                await ask("logout", "")
            assert refused.value.outcome == "refused"
        await same(*servers, client)
        assert len(client) == 3


async def test_a_raising_handler_tells_both_sides_and_goes_on() -> None:
    async with Cluster() as cluster:

        def handler(request: Any) -> Any:
            if request.value == "raise":
                raise LookupError("not here")
            return request.value

        server = await cluster.server(handler)
        client = await cluster.client()
        errors = collect(server, "error")
        with pytest.raises(RemoteError) as caught:
            await client.peers.send("raise")
        assert (caught.value.type, caught.value.message) == ("LookupError", "not here")
        assert caught.value.outcome == "uncertain"
        assert isinstance(errors[0].error, LookupError)
        assert errors[0].peer == client.stats()["name"]
        assert await client.peers.send("next") == "next"
        failed = collect(client, "error")
        client.peers.send("raise")  # nobody waits for it
        await until(lambda: len(failed) == 1, client)
        assert isinstance(failed[0].error, RemoteError)
        assert len(errors) == 2


async def test_next_applies_the_default_verbs_once() -> None:
    async with Cluster() as cluster:
        offsets: list[Any] = []

        def handler(request: Any) -> Any:
            offsets.append(request.next())
            assert request.next() == offsets[-1]  # idempotent
            return offsets[-1]

        servers = await cluster.servers(2, handler)
        client = await cluster.client()
        offset = await client.update("a", {"b": 1})
        assert isinstance(offset, Offset)
        assert offsets == [offset]
        await client.patch("a", {"b": 2, "c": 3})
        await client.push("list", 1)
        assert await client.add("x").on("reply") == 1
        await client.remove("a.c")
        with pytest.raises(KeyMissing):
            await client.remove("nothing")
        await same(*servers, client)
        assert client == {"a": {"b": 2}, "list": [1], 1: "x"}


async def test_a_write_that_the_handler_swallows_is_refused() -> None:
    async with Cluster() as cluster:
        await cluster.server(lambda request: "no")
        client = await cluster.client()
        with pytest.raises(Refused, match="'no'"):
            await client.update("a", 1)
        assert client == {}


async def test_a_handler_may_answer_before_it_returns() -> None:
    async with Cluster() as cluster:
        done = asyncio.Event()

        async def handler(request: Any) -> str:
            request.reply("early")
            await done.wait()
            return "late"

        await cluster.server(handler)
        client = await cluster.client()
        assert await client.peers.send({"type": "x", "key": "a"}) == "early"
        assert await client.peers.send({"type": "x", "key": "a"}) == "early"
        done.set()


async def test_what_cannot_be_sent_is_an_error_of_the_handler() -> None:
    async with Cluster() as cluster:

        def handler(request: Any) -> Any:
            return object() if request.type == "value" else reactivex.of(object())

        server = await cluster.server(handler)
        client = await cluster.client()
        with pytest.raises(RemoteError, match="object") as caught:
            await client.peers.send({"type": "value"}).timeout(WAIT_S)
        assert caught.value.type == "ValueRefused"
        with pytest.raises(RemoteError, match="object"):
            await client.peers.send({"type": "stream"}).timeout(WAIT_S)
        assert len(server.peers.lists.client) == 1
        assert all(isinstance(f.error, ValueRefused | RemoteError) for f in cluster.errors)


async def test_streams_that_fail_give_what_they_gave_and_then_the_error() -> None:
    async with Cluster() as cluster:

        async def generator(request: Any) -> Any:
            yield 1
            raise OSError("torn")

        def observable(request: Any) -> Any:
            return reactivex.concat(reactivex.of(1), reactivex.throw(OSError("torn")))

        for handler in (generator, observable):
            server = await cluster.server(handler, id=handler.__name__)
            client = await cluster.client()
            seen: list[Any] = []
            ended = asyncio.get_running_loop().create_future()
            client.peers.send("x").on("reply").subscribe(
                seen.append, ended.set_result, lambda f=ended: f.set_result(None)
            )
            error = await asyncio.wait_for(ended, WAIT_S)
            assert seen == [1]
            assert isinstance(error, RemoteError)
            assert error.type == "OSError"
            await client.destroy()
            await server.destroy()


async def test_a_stream_goes_at_the_pace_of_who_takes_it() -> None:
    async with Cluster() as cluster:
        made, closed = [0], asyncio.Event()

        async def endless(request: Any) -> Any:
            try:
                while True:  # it never waits for anything
                    made[0] += 1
                    yield made[0]
            finally:
                closed.set()

        def handler(request: Any) -> Any:
            return endless(request) if request.type == "count" else request.next()

        server = await cluster.server(handler)
        client = await cluster.client()
        request = client.peers.send({"type": "count"})
        await until(lambda: made[0] >= WINDOW, server)
        await server.update("k", 1)  # the node goes on, though nobody takes the answers
        assert made[0] <= WINDOW + 1
        seen: list[int] = []
        taking = request.on("reply").subscribe(seen.append)
        assert seen == list(range(1, len(seen) + 1)), "what came before is there"
        await until(lambda: len(seen) >= 20 * WINDOW, client)
        assert seen == list(range(1, len(seen) + 1))
        assert made[0] <= len(seen) + WINDOW + 1
        taking.dispose()
        await asyncio.wait_for(closed.wait(), WAIT_S)


def test_a_stream_goes_on_though_its_key_moves_to_another_server() -> None:
    count = WINDOW * 4

    async def numbers() -> Any:
        for number in range(count):
            await asyncio.sleep(0.01)
            yield number

    async def play() -> tuple[dict[str, list[int]], set[str]]:
        def handler(request: Any) -> Any:
            return numbers() if request.type == "count" else request.next()

        async with SimulatedCluster(seed=3, handler=handler, servers=1, clients=1) as cluster:
            client, seen = cluster["c1"].cache, {f"k{n}": list[int]() for n in range(8)}
            for key, taken in seen.items():
                client.peers.send({"type": "count", "key": key}).on("reply").subscribe(taken.append)
            await asyncio.sleep(1)
            await cluster.add_server()
            await cluster.whole()
            moved = {key for key in seen if client.peers.owner((key,)).id == "s2"}
            await cluster.until(lambda: all(len(t) == count for t in seen.values()), timeout_s=60)
        return seen, moved

    seen, moved = simulate(play())
    assert moved, "the new server owns some of the keys"
    assert all(taken == list(range(count)) for taken in seen.values())


async def test_a_stream_that_nobody_takes_ends_in_time() -> None:
    async with Cluster(constants={"requests.timeout": 300}) as cluster:
        closed = asyncio.Event()

        async def endless(request: Any) -> Any:
            try:
                while True:
                    yield 1
            finally:
                closed.set()

        await cluster.server(endless)
        client = await cluster.client()
        request = client.peers.send({"type": "count"})
        await asyncio.wait_for(closed.wait(), WAIT_S)
        with pytest.raises(TimeoutError):
            await request


async def test_an_observable_that_outruns_its_caller_is_ended_with_a_clear_error() -> None:
    async with Cluster() as cluster:
        await cluster.server(lambda request: reactivex.range(0, request.value))
        client = await cluster.client()
        some = WINDOW * 3
        request = client.peers.send({"type": "count", "value": some})
        await until(lambda: request.streams >= WINDOW, client)
        assert await request.on("reply").pipe(ops.to_list()) == list(range(some))
        request = client.peers.send({"type": "count", "value": WINDOW + WAITING + 1})
        with pytest.raises(RemoteError, match="answers are waiting") as caught:
            await request
        assert caught.value.type == "Overloaded"


async def test_the_request_says_who_and_what() -> None:
    async with Cluster() as cluster:
        seen: list[Any] = []

        def handler(request: Any) -> None:
            seen.append(request)

        await cluster.server(handler)
        client = await cluster.client(id="alice")
        await client.peers.send({"type": "hello", "key": "a.b", "value": {"c": [1]}})
        request = seen[0]
        assert (request.type, request.key, request.peer) == ("hello", "a.b", "alice")
        assert request.value == {"c": [1]}
        with pytest.raises(TypeError, match="snapshot"):
            request.value["c"].append(2)
        assert "hello" in repr(request)
        assert "alice" in repr(request)


async def test_requests_of_a_sender_for_a_key_are_handled_in_order() -> None:
    async with Cluster() as cluster:
        order: list[Any] = []

        async def handler(request: Any) -> Any:
            for _ in range(3 - request.value % 3):
                await asyncio.sleep(0)
            order.append(request.value)
            return request.next()

        server = await cluster.server(handler)
        client = await cluster.client()
        key = key_of(server)
        await asyncio.gather(*(client.update(key, n) for n in range(30)))
        assert order == list(range(30))
        assert client[key] == 29


def test_handlers_take_one_or_two_arguments() -> None:
    assert takes_cache(lambda request, cache: None) is True
    assert takes_cache(lambda request: None) is False
    assert takes_cache(lambda *all_: None) is True
    assert takes_cache(lambda request, cache=None: None) is True
    assert takes_cache(print) is True
    for wrong in (7, lambda: None, lambda a, b, c: None):
        with pytest.raises(ConfigurationError, match="handler"):
            takes_cache(wrong)
    with pytest.raises(ConfigurationError, match="handler"):
        fero("test", lambda: None)


async def test_a_keyed_message_reaches_the_owner_from_anywhere() -> None:
    async with Cluster() as cluster:

        def handler(request: Any, cache: Any) -> str:
            return cache.peers.me.id

        servers = await cluster.servers(3, handler)
        client = await cluster.client()
        for owner in servers:
            key = key_of(owner)
            for node in (*servers, client):
                assert await node.peers.send({"type": "who", "key": key}) == owner.peers.me.id
