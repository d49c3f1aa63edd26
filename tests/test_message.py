"""Messages without keys: guarantees like any other, though nothing of them is made before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rxfero.core.position import Offset
from rxfero.errors import RemoteError, ValueRefused
from tests.integration.cluster import WAIT_S, Cluster, until


async def test_messages_of_a_batch_are_guarantees_like_any_other() -> None:
    async with Cluster() as cluster:
        await cluster.server(lambda request: request.value)
        client = await cluster.client()
        send = client.peers.send
        values: list[Any] = ["a", "b", "\u00e9", b"c", 4, ["d"], None, "e"]
        asked = [send({"type": "say", "value": value}) for value in values]
        early = asked[1]
        assert (early.done, early.verb, early.path) == (False, "say", None)
        assert await asyncio.gather(*asked[1:-1]) == values[1:-1]
        unseen = asked[0]
        assert (unseen.done, unseen.answer, unseen.error) == (True, "a", None)
        assert repr(unseen) == "<Guarantee say None done 'a'>"
        assert await unseen == "a"
        assert isinstance(await asked[-1].on("ack"), int)
        assert await asked[-1].on("reply") == "e"
        numbers = [guarantee.number for guarantee in asked]
        assert numbers == list(range(numbers[0], numbers[0] + len(values)))
        with pytest.raises(AttributeError, match="nothing"):
            _ = asked[0].nothing  # type: ignore[attr-defined]


async def test_of_a_batch_that_is_split_each_is_still_the_one_that_was_given() -> None:
    async with Cluster() as cluster:
        gate = asyncio.Event()

        async def wait(request: Any) -> Any:
            await gate.wait()
            return request.value

        await cluster.server(wait)
        client = await cluster.client()
        asked = [client.peers.send({"type": "say", "value": str(n)}) for n in range(6)]
        looked = asyncio.ensure_future(same_of(asked[0]))
        await until(lambda: client.stats()["pending"] == 6, client)
        client._node.replica.requests.split()
        later = asyncio.ensure_future(same_of(asked[3]))
        number = asked[5].number
        assert not asked[5].done
        asked[5].timeout(WAIT_S)
        assert client._node.replica.requests.pending[number].deadline == asked[5].deadline
        gate.set()
        assert await looked == "0"
        assert await later == "3"
        await until(lambda: asked[5].done, client)
        assert (asked[5].answer, asked[4].answer) == ("5", "4")
        assert repr(asked[5]) == "<Guarantee say None done '5'>"


async def same_of(guarantee: Any) -> Any:
    return await guarantee


async def test_what_nobody_asked_about_fails_on_error() -> None:
    async with Cluster() as cluster:

        def fail(request: Any) -> Any:
            raise ValueError("no")

        await cluster.server(fail)
        client = await cluster.client()
        failures: list[Any] = []
        client.on("error", failures.append)
        for _ in range(3):
            client.peers.send({"type": "say", "value": "x"})
        await until(lambda: len(failures) == 3, client)
        assert {type(f.error).__name__ for f in failures} == {"RemoteError"}
        asked = client.peers.send({"type": "say", "value": "x"})
        unseen = client.peers.send({"type": "say", "value": "y"})
        with pytest.raises(RemoteError):
            await asked
        await until(lambda: len(failures) == 4, client)
        assert isinstance(unseen.error, RemoteError), "though nobody had looked before it failed"


async def test_many_messages_are_sent_at_once_and_answered_in_order() -> None:
    async with Cluster() as cluster:
        await cluster.server(lambda request: [request.type, request.value])
        client = await cluster.client()
        long = "x" * 30_000
        values: list[Any] = [str(n) for n in range(1500)] + [long] * 4 + ["\u00e9", 7, None, b"b"]
        many = client.peers.send_many("say", values)
        assert (len(many), len(list(many))) == (len(values), len(values))
        assert await many == [["say", value] for value in values]
        assert await many[-2] == ["say", None]
        assert many[3].answer == ["say", "3"]
        with pytest.raises(IndexError):
            _ = many[len(values)]
        assert repr(many) == f"<Many {len(values)} messages>"
        assert await client.peers.send_many("say", iter(())) == []


async def test_all_of_many_messages_are_guarantees_however_many_frames_they_fill() -> None:
    async with Cluster() as cluster:
        gate = asyncio.Event()

        async def wait(request: Any) -> Any:
            await gate.wait()
            return request.value

        await cluster.server(wait)
        client = await cluster.client()
        seen: list[Any] = []
        client.on("reply", lambda guarantee: seen.append(guarantee.answer))
        values = ["x" * 200 + str(n) for n in range(1200)]
        many = client.peers.send_many("say", values)
        await until(lambda: client.stats()["pending"] == len(values), client)
        client._node.replica.requests.split()
        gate.set()
        assert await many == values
        await until(lambda: len(seen) == len(values), client)
        assert sorted(seen) == sorted(values)


async def test_of_many_messages_one_that_fails_raises_and_the_rest_is_answered() -> None:
    async with Cluster() as cluster:

        def handler(request: Any) -> Any:
            if request.value == "3":
                raise ValueError("three")
            return request.value

        await cluster.server(handler)
        client = await cluster.client()
        many = client.peers.send_many("say", [str(n) for n in range(6)])
        with pytest.raises(RemoteError, match="three"):
            await many
        assert [await many[at] for at in (0, 1, 2, 4, 5)] == ["0", "1", "2", "4", "5"]


async def test_what_cannot_be_sent_many_times_is_refused() -> None:
    async with Cluster() as cluster:
        await cluster.server(lambda request: request.value)
        client = await cluster.client()
        for verb in ("", 7, "v" * 256):
            with pytest.raises(ValueRefused, match="type"):
                client.peers.send_many(verb, ["x"])  # type: ignore[arg-type]
        with pytest.raises(ValueRefused, match="update_many"):
            client.peers.send_many("update", ["x"])
        with pytest.raises(ValueRefused):
            client.peers.send_many("say", ["x", object()])


async def test_many_keys_are_updated_at_once() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        client = await cluster.client()
        keys = [f"k{n}" for n in range(300)]
        offsets = await client.update_many(keys, range(300))
        assert [type(offset) for offset in offsets] == [Offset] * 300
        for node in (one, two):
            await node.reached(offsets[-1])
        assert await one.update_many(["k1", ("k2", "deep")], [{"a": 1}, 2]) is not None
        assert (one["k1"], one.at("k2.deep")) == ({"a": 1}, 2)
        for columns in (([], []), (["a"], []), (["a", "b"], [1])):
            with pytest.raises(ValueRefused, match="as many"):
                client.update_many(*columns)
        with pytest.raises(ValueRefused):
            client.update_many(["a", "b"], [1, object()])
        assert "a" not in client
