"""The outbox: what leaves in the middle of a turn, what is refused, and that nothing of it is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rxfero import Closed, Overloaded
from tests.integration.cluster import Cluster, collect, until

LIMITS = {"outbox.max": 4096}


async def frames_of(client: Any, ask: Any) -> tuple[int, int]:
    """Give the requests handed to the socket within a call, and after it."""
    tacks = collect(client, "tack")
    outcome = ask()
    at_once = client._node.replica.requests.batches.flying + sum(
        call.target is not None for call in client._node.replica.requests.pending.values()
    )
    await outcome
    return at_once, sum(tacks)


@pytest.mark.parametrize("count", [1, 10, 1000])
async def test_many_writes_leave_a_frame_at_a_time_before_the_turn_is_over(count: int) -> None:
    async with Cluster(constants=LIMITS) as cluster:
        server = await cluster.server()
        client = await cluster.client()
        keys = [f"k{n}" for n in range(count)]
        at_once, all_in_all = await frames_of(
            client, lambda: client.update_many(keys, ["x" * 100] * count)
        )
        assert all_in_all == count
        # A frame of 4096 bytes has about 25 of these; less than one waits for the turn.
        assert count - 30 <= at_once <= count
        assert len(server) == count


@pytest.mark.parametrize("size", [10, 1000, 5000])
async def test_many_messages_leave_a_frame_at_a_time_too(size: int) -> None:
    async with Cluster(constants=LIMITS) as cluster:
        await cluster.server(lambda request: len(request.value))
        client = await cluster.client()
        many = client.peers.send_many("say", ["x" * (size + n % 3) for n in range(700)])
        assert client._node.replica.requests.batches.flying > 600
        assert await many == [size + n % 3 for n in range(700)]


async def test_the_first_frame_of_a_turn_leaves_soon_and_later_ones_are_twice_as_large() -> None:
    async with Cluster(constants=LIMITS) as cluster:
        await cluster.server(lambda request: None)
        client = await cluster.client()
        sent: list[int] = []
        push = client._node.transport.push

        def pushed(link: int, chunks: list[bytes]) -> None:
            sent.append(sum(map(len, chunks)))
            push(link, chunks)

        client._node.transport.push = pushed  # type: ignore[method-assign]
        for _ in range(2):  # in two turns
            asked = [client.peers.send({"type": "say", "value": "x" * 500}) for _ in range(60)]
            await asyncio.gather(*asked)
        first, *more = sent[: len(sent) // 2]
        assert 3000 < first < 5000
        assert all(7000 < size < 9000 for size in more)
        assert sent == [first, *more] * 2


@pytest.mark.parametrize("frame", [0, 4096, 1 << 16])
async def test_all_kinds_of_requests_keep_their_order(frame: int) -> None:
    async with Cluster(constants={"outbox.max": frame}) as cluster:
        heard: list[Any] = []
        await cluster.server(
            lambda request: heard.append((request.type, request.value)) or request.value
            if request.type == "say" else request.next()
        )  # fmt: skip
        client = await cluster.client()
        for turn in range(5):
            client.peers.send({"type": "say", "value": f"a{turn}"})
            client.update_many([f"k{n}" for n in range(40)], [f"{turn}" * 200] * 40)
            client.peers.send_many("say", [f"b{turn}", f"c{turn}"])
            client.update("k1", f"last {turn}")
        await client.peers.send({"type": "say", "value": "end"})
        await until(lambda: client.get("k1") == "last 4", client)
        said = [value for _, value in heard]
        assert said == [f"{x}{turn}" for turn in range(5) for x in "abc"] + ["end"]


async def test_more_than_may_wait_is_refused_and_what_was_taken_is_answered() -> None:
    async with Cluster(constants={"requests.pending": 1 << 20}) as cluster:
        server = await cluster.server()
        client = await cluster.client()
        keys, text = [f"k{n}" for n in range(5000)], "x" * 1000
        replies = collect(client, "reply")
        with pytest.raises(Overloaded) as refused:
            client.update_many(keys, [text] * 5000)
        assert refused.value.waiting > refused.value.limit == 1 << 20
        taken = client.stats()["pending"]
        assert 900 < taken < 1200, "about a MiB of them"
        await until(lambda: len(replies) == taken, client)
        assert set(server) == set(keys[:taken])
        assert await client.update_many(["last"], [1])


async def test_a_closed_one_takes_nothing() -> None:
    async with Cluster() as cluster:
        await cluster.server()
        client = await cluster.client()
        await client.destroy()
        for ask in (
            lambda: client.update_many(["a"], [1]),
            lambda: client.peers.send_many("say", ["x"]),
            lambda: client.peers.send_many("say", [{}, 1]),
            lambda: client.peers.send({"type": "say", "value": "x"}),
        ):
            with pytest.raises(Closed):
                ask()
