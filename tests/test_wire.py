"""The wire: what is pushed in the middle of a turn, in its order with all else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from rxfero.core import frame
from rxfero.core.frame import Decoder
from rxfero.core.value import unpack_body
from rxfero.transport import Transport

HOST = "127.0.0.1"
WAIT_S = 5.0  # longest any step may take
SMALL = 4096  # bytes that its system is asked to keep for the peer


@dataclass
class Pair:
    """A transport, its one connection, and the other end of that: a socket that blocks."""

    transport: Transport
    link: int
    peer: socket.socket
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    closed: list[str] = field(default_factory=list)

    async def rest(self, count: int) -> bytes:
        """Read so many bytes, or to the end, while the loop goes on."""
        self.peer.setblocking(False)
        loop, got = asyncio.get_running_loop(), bytearray()
        async with asyncio.timeout(WAIT_S):
            while len(got) < count:
                data = await loop.sock_recv(self.peer, 1 << 16)
                if not data:
                    break
                got += data
        return bytes(got)


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        listener.bind((HOST, 0))
        listener.listen(1)
        opened = asyncio.Event()
        closed: list[str] = []
        transport = Transport(
            asyncio.get_running_loop(), frame_max=1 << 20,
            on_open=lambda link, dialed: opened.set(), on_frames=lambda link, frames: None,
            on_close=lambda link, reason: closed.append(reason),
            on_paused=lambda link, paused: None,
        )  # fmt: skip
        link = transport.dial(HOST, listener.getsockname()[1], WAIT_S)
        async with asyncio.timeout(WAIT_S):
            await opened.wait()
        transport.opened(link)
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(WAIT_S)
            yield Pair(transport, link, peer, opened, closed)
            await transport.aclose()


def chunk(number: int, size: int) -> bytes:
    return frame.encode(frame.APPENDED, [number, bytes(size)])


async def test_what_is_pushed_leaves_before_the_turn_is_over(pair: Pair) -> None:
    data = chunk(1, 100)
    pair.transport.push(pair.link, [data[:10], data[10:]])
    assert pair.peer.recv(len(data), socket.MSG_WAITALL) == data, "the loop has not run meanwhile"
    assert pair.transport.buffered(pair.link) == 0


@pytest.mark.parametrize("sends_between", [False, True])
async def test_all_comes_in_order_whatever_the_peer_takes_at_once(
    pair: Pair, sends_between: bool
) -> None:
    # Far more than the two systems keep for a peer that reads nothing yet.
    chunks = [chunk(number, 60_000) for number in range(200)]
    for number, data in enumerate(chunks):
        if sends_between and number % 50 == 49:
            pair.transport.send(pair.link, data)
        else:
            pair.transport.push(pair.link, [data[:6], data[6:]])
    sent = b"".join(chunks)
    assert 0 < pair.transport.buffered(pair.link) < len(sent), "some has left, the rest waits"
    pair.transport.send(pair.link, chunk(200, 10))
    pair.transport.push(pair.link, [chunk(201, 10)])
    got = await pair.rest(len(sent) + 2 * len(chunk(200, 10)))
    decoder = Decoder(1 << 20)
    decoder.open()
    numbers = [unpack_body(body)[0] for kind, _, body in decoder.feed(got)]
    assert numbers == list(range(202))
    assert pair.transport.buffered(pair.link) == 0


async def test_what_was_pushed_arrives_before_the_close(pair: Pair) -> None:
    chunks = [chunk(number, 60_000) for number in range(100)]
    pair.transport.push(pair.link, chunks)
    pair.transport.close(pair.link, "done")
    pair.transport.push(pair.link, [b"too late"])
    assert await pair.rest(1 << 30) == b"".join(chunks)
    async with asyncio.timeout(WAIT_S):
        await pair.transport.aclose()
    assert pair.closed == ["done"]


async def test_a_push_to_a_peer_that_has_gone_is_told_as_its_end(pair: Pair) -> None:
    pair.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    pair.peer.close()  # with a reset
    for number in range(3):
        pair.transport.push(pair.link, [chunk(number, 10)])
    async with asyncio.timeout(WAIT_S):
        while not pair.closed:
            await asyncio.sleep(0)
    assert len(pair.closed) == 1
    pair.transport.push(pair.link, [chunk(9, 10)])  # to nobody: ignored
