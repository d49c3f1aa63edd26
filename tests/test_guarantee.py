"""The guarantee: its stages, awaited and observed, and every way it can fail."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import Any

import pytest
from reactivex import operators as ops

from rxfero.core.call import ALL, AUTO, COMMIT, MAJORITY
from rxfero.core.position import Offset
from rxfero.errors import (
    ConfigurationError,
    KeyMissing,
    MethodNotAllowed,
    NotReplicated,
    RequestTimeout,
    UnknownEvent,
)
from rxfero.guarantee import level_of
from rxfero.stages import Joint
from tests.integration.cluster import WAIT_S, Cluster, collect, same, until


async def test_every_stage_of_a_write_can_be_awaited() -> None:
    async with Cluster() as cluster:
        one, two = await cluster.servers(2)
        client = await cluster.client()
        for node in (one, two, client):
            write = node.update("a", 1)
            assert isinstance(await write.on("ack"), int)
            committed = await write.on("commit")
            assert isinstance(committed, Offset)
            assert await write == committed
            assert await write.on("reply") == committed
            assert await write.replicated(1) == committed
            assert await write.replicated("all") == committed
            assert await write.replicated("majority") == committed
            assert await write == committed  # again, long after
            assert repr(committed) in repr(write)
        assert [len(n.partitions["a"]) for n in (one, two)] == [3, 3]


async def test_every_stage_is_an_observable() -> None:
    async with Cluster() as cluster:
        await cluster.servers(2)
        client = await cluster.client()
        write = client.update("a", 1)
        seen: list[Any] = []
        done = {stage: asyncio.Event() for stage in ("ack", "commit", "reply", "replicated")}
        for stage in ("ack", "commit", "reply"):
            write.on(stage).subscribe(
                lambda v, s=stage: seen.append((s, v)), None, done[stage].set
            )
        write.replicated(1).subscribe(
            lambda v: seen.append(("replicated", v)), None, done["replicated"].set
        )
        async with asyncio.timeout(WAIT_S):
            await asyncio.gather(*(event.wait() for event in done.values()))
        assert sorted(stage for stage, _ in seen) == ["ack", "commit", "replicated", "reply"]
        late: list[Any] = []
        write.on("commit").subscribe(late.append)
        assert late == [dict(seen)["commit"]]
        doubled = client.update("b", 2).on("commit").pipe(ops.map(lambda o: o.number * 2))
        assert await doubled == client.partitions["b"].head.number * 2


async def test_an_ack_comes_before_the_handler_is_done() -> None:
    async with Cluster() as cluster:
        gate = asyncio.Event()

        async def handler(request: Any) -> str:
            await gate.wait()
            return "done"

        await cluster.server(handler)
        client = await cluster.client()
        sent = client.peers.send({"type": "x"})
        async with asyncio.timeout(WAIT_S):
            await sent.on("ack")
            assert not sent.done
            gate.set()
            assert await sent == "done"


async def test_an_ack_says_received_also_when_the_answer_is_a_refusal() -> None:
    async with Cluster() as cluster:
        await cluster.server()
        client = await cluster.client()
        sent = client.peers.send({"type": "nothing", "key": "a"})
        with pytest.raises(MethodNotAllowed):
            await sent
        assert isinstance(await sent.on("ack"), int)
        for stage in ("commit", "reply"):
            with pytest.raises(MethodNotAllowed):
                await sent.on(stage)


async def test_refusals_reach_every_stage_and_the_reason_stays() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        client = await cluster.client()
        for node in (server, client):
            failed: list[Exception] = []
            removing = node.remove("nothing")
            removing.on("reply").subscribe(on_error=failed.append)
            for _ in range(2):
                with pytest.raises(KeyMissing):
                    await removing
            assert [type(e) for e in failed] == [KeyMissing]
            assert isinstance(removing.error, KeyMissing)
        assert not cluster.errors


async def test_who_does_not_look_is_told_on_error_and_not_warned() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        errors = collect(server, "error")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            server.update("a", 1)
            server.remove("nothing")
            await until(lambda: len(errors) == 1, server)
            gc.collect()
        assert isinstance(errors[0].error, KeyMissing)
        assert server == {"a": 1}


async def test_more_servers_than_there_are() -> None:
    async with Cluster(constants={"requests.timeout": 300}) as cluster:
        await cluster.servers(2)
        client = await cluster.client()
        write = client.update("a", 1)
        with pytest.raises((NotReplicated, RequestTimeout)) as caught:
            await write.replicated(5)
        assert caught.value.outcome == "uncertain"
        assert client["a"] == 1
        assert isinstance(await client.update("a", 2, ack=0), Offset)
        assert isinstance(await client.update("a", 2, ack="all"), Offset)


async def test_a_lone_server_commits_by_itself() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        for level in (None, 0, "auto", "commit", "majority", "all"):
            assert isinstance(await server.update("a", 1, ack=level), Offset)


async def test_cancelling_an_await_leaves_the_write_on_its_way() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        write = server.update("a", 1)
        waiting = asyncio.ensure_future(awaited(write))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert isinstance(await write, Offset)
        assert server == {"a": 1}


async def awaited(guarantee: Any) -> Any:
    return await guarantee


async def test_timeouts_are_of_one_request() -> None:
    async with Cluster() as cluster:
        gate = asyncio.Event()

        async def handler(request: Any) -> Any:
            await gate.wait()
            return request.next()

        server = await cluster.server(handler)
        client = await cluster.client()
        patient = client.update("b", 2)
        with pytest.raises(RequestTimeout, match=r"update.*a.*0\.05 s"):
            await client.update("a", 1).timeout(0.05)
        with pytest.raises(RequestTimeout):
            await client.update("c", 1).on("commit").timeout_after(0.05)
        gate.set()
        assert isinstance(await patient, Offset)
        await until(lambda: server.get("a") == 1, server)  # uncertain: it happened after all
        await until(lambda: server.get("c") == 1, server)
        for wrong in (0, -1, "1", True):
            with pytest.raises(ConfigurationError, match="timeout"):
                client.update("a", 1).timeout(wrong)  # type: ignore[arg-type]


async def test_stages_and_levels_that_there_are() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        write = server.update("a", 1)
        with pytest.raises(UnknownEvent, match="'commit'"):
            write.on("comit")
        for wrong in (0, -1, "most", True, 1.5, "commit", "auto"):
            with pytest.raises(ConfigurationError):
                write.replicated(wrong)  # type: ignore[arg-type]
        await write


def test_levels_are_read() -> None:
    assert [level_of(x) for x in (3, "commit", "all", "majority", "auto", 0)] == [
        3, COMMIT, ALL, MAJORITY, AUTO, COMMIT,
    ]  # fmt: skip
    for wrong in (-1, True, None, "three", 1.5):
        with pytest.raises(ConfigurationError, match="ack"):
            level_of(wrong)


async def test_several_guarantees_as_one() -> None:
    async with Cluster() as cluster:
        servers = await cluster.servers(2)
        joint = servers[0].patch({"a": 1, "b": 2, "c": 3})
        assert isinstance(joint, Joint)
        assert len(await joint.timeout(WAIT_S)) == 3
        assert len(await joint.on("commit").pipe(ops.to_list())) == 3
        assert len(await joint.replicated(1).pipe(ops.to_list())) == 3
        await same(*servers)
        assert "3 guarantees" in repr(joint)


async def test_the_last_of_several_answers_is_what_awaiting_gives() -> None:
    async with Cluster() as cluster:

        async def handler(request: Any) -> Any:
            for number in range(3):
                yield number
                if request.value == "slow":
                    await asyncio.sleep(0.01)

        await cluster.server(handler)
        client = await cluster.client()
        for pace in ("slow", "fast"):
            assert await client.peers.send(pace) == 2
            assert await client.peers.send(pace).on("reply") == 2
            assert await client.peers.send(pace).on("reply").pipe(ops.to_list()) == [0, 1, 2]
