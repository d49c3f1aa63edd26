"""The transport: real sockets on loopback, on both loops, and what can go wrong with them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import pytest
import pytest_asyncio

from rxfero.core import frame
from rxfero.errors import AddressInUse, ProtocolError
from rxfero.transport import Transport

HOST = "127.0.0.1"
WAIT_S = 5.0  # longest any step may take


class Node:
    """A transport and all it told, with a way to wait for what it tells."""

    def __init__(self, frame_max: int = 1 << 20, **options: object) -> None:
        self.transport = Transport(
            asyncio.get_running_loop(),
            frame_max=frame_max,
            on_open=self._on_open,
            on_frames=self._on_frames,
            on_close=self._on_close,
            on_paused=self._on_paused,
            **options,
        )
        self.opened: list[tuple[int, object]] = []
        self.reads: list[tuple[int, list]] = []
        self.closed: list[tuple[int, str]] = []
        self.pauses: list[tuple[int, bool]] = []
        self.react: Callable[[int, list], None] | None = None
        self.open_at_once = True
        self._news = asyncio.Event()

    def _on_open(self, link_id: int, dialed: object) -> None:
        self.opened.append((link_id, dialed))
        if self.open_at_once:
            self.transport.opened(link_id)
        self._news.set()

    def _on_frames(self, link_id: int, frames: list) -> None:
        self.reads.append((link_id, frames))
        self._news.set()
        if self.react is not None:
            self.react(link_id, frames)

    def _on_close(self, link_id: int, reason: str) -> None:
        self.closed.append((link_id, reason))
        self._news.set()

    def _on_paused(self, link_id: int, paused: bool) -> None:
        self.pauses.append((link_id, paused))
        self._news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something told that makes a condition true."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    @property
    def frames(self) -> list:
        return [found for _, frames in self.reads for found in frames]


@pytest_asyncio.fixture
async def make() -> AsyncIterator[Callable[..., Node]]:
    nodes: list[Node] = []

    def new(**options: object) -> Node:
        nodes.append(Node(**options))
        return nodes[-1]

    yield new
    for node in nodes:
        await node.transport.aclose()


async def connect(dialer: Node, listener: Node) -> tuple[int, int]:
    """Connect two nodes; give the link ids at both ends."""
    host, port = await listener.transport.listen(HOST)
    link = dialer.transport.dial(host, port, WAIT_S)
    await dialer.until(lambda: dialer.opened)
    await listener.until(lambda: listener.opened)
    return link, listener.opened[0][0]


def ping(number: int = 1, filler: bytes = b"") -> bytes:
    return frame.encode(frame.APPENDED, [number, filler])


def free_ports(count: int) -> list[int]:
    """Give neighbouring ports, the first `count` of which are free as far as one can know."""
    for _ in range(50):
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            first = probe.getsockname()[1]
        taken = []
        try:
            for port in range(first, first + count):
                taken.append(socket.socket())
                taken[-1].bind((HOST, port))
        except OSError:
            continue
        else:
            return list(range(first, first + count))
        finally:
            for one in taken:
                one.close()
    raise AssertionError("no neighbouring free ports")


# --- there and back


async def test_frames_go_both_ways(make):
    a, b = make(), make()
    at_a, at_b = await connect(a, b)
    assert a.opened == [(at_a, (HOST, b.transport.peername(at_b) and a.opened[0][1][1]))]
    assert b.opened == [(at_b, None)]

    a.transport.send(at_a, ping(1))
    await b.until(lambda: b.frames)
    b.transport.send(at_b, [ping(2), ping(3)])
    await a.until(lambda: len(a.frames) == 2)

    assert b.frames == [(frame.APPENDED, 0, ping(1)[6:])]
    assert [body for _, _, body in a.frames] == [ping(2)[6:], ping(3)[6:]]


async def test_many_frames_come_in_few_calls(make):
    a, b = make(), make()
    at_a, _ = await connect(a, b)

    a.transport.send(at_a, [ping(i) for i in range(1000)])
    await b.until(lambda: len(b.frames) == 1000)

    assert [body for _, _, body in b.frames] == [ping(i)[6:] for i in range(1000)]
    assert len(b.reads) <= 20


async def test_a_large_frame_arrives_whole(make):
    a, b = make(frame_max=8 << 20), make(frame_max=8 << 20)
    at_a, _ = await connect(a, b)
    large = ping(1, os.urandom(5 << 20))

    a.transport.send(at_a, large)
    await b.until(lambda: b.frames)

    assert b.frames[0][2] == large[6:]


async def test_nagle_is_off(make):
    a, b = make(), make()
    at_a, at_b = await connect(a, b)

    for node, link in ((a, at_a), (b, at_b)):
        raw = node.transport.wires[link].socket.get_extra_info("socket")
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_sending_to_nobody_is_ignored(make):
    a = make()
    a.transport.send(99, ping())
    a.transport.opened(99)
    a.transport.close(99, "nothing")
    a.transport.abort(99)

    assert a.transport.buffered(99) == 0
    assert a.transport.peername(99) is None


async def test_addresses_are_told(make):
    a, b = make(), make()
    at_a, at_b = await connect(a, b)
    dialed = a.opened[0][1]

    assert a.transport.peername(at_a) == dialed
    assert b.transport.peername(at_b)[0] == HOST


@pytest.mark.parametrize("host", ["localhost", "::1"])
async def test_names_and_ipv6_work(make, host):
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    a, b = make(), make()
    numeric, port = await b.transport.listen(host)
    assert numeric in ("127.0.0.1", "::1")
    a.transport.dial(host, port, WAIT_S)
    await b.until(lambda: b.opened)

    assert b.transport.peername(b.opened[0][0])[0] == numeric


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


# --- listening


async def test_the_first_free_port_of_a_range_is_taken(make):
    first, second = free_ports(2)
    a, b = make(), make()

    assert await a.transport.listen(HOST, (first, second)) == (HOST, first)
    assert await b.transport.listen(HOST, (first, second)) == (HOST, second)


async def test_a_range_all_taken_is_told_at_once(make):
    first, second = free_ports(2)
    a, b = make(), make()
    await a.transport.listen(HOST, first)
    await a.transport.listen(HOST, second)

    async with asyncio.timeout(WAIT_S):
        with pytest.raises(AddressInUse, match=rf"{first}.*{second}") as caught:
            await b.transport.listen(HOST, (first, second))
    assert isinstance(caught.value, OSError)


async def test_a_taken_port_is_told_at_once(make):
    a, b = make(), make()
    _, port = await a.transport.listen(HOST)

    with pytest.raises(AddressInUse, match=str(port)):
        await b.transport.listen(HOST, port)


class Raced:
    """A loop on which another process listens first, on the first port that is bound."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop, self.closed, self._raced = loop, 0, False

    def __getattr__(self, name: str) -> object:
        return getattr(self.loop, name)

    def close(self) -> None:
        self.closed += 1

    async def create_server(self, *given: object) -> object:
        if not self._raced:
            self._raced = True
            return SimpleNamespace(sockets=[None], close=self.close)
        return await self.loop.create_server(*given)


async def test_a_port_on_which_another_listens_in_the_same_moment_is_taken(make):
    first, second = free_ports(2)
    a, b = make(), make()
    for node in (a, b):
        node.transport.loop = Raced(node.transport.loop)

    assert await a.transport.listen(HOST, (first, second)) == (HOST, second)
    assert a.transport.loop.closed == 1
    with pytest.raises(AddressInUse):
        await b.transport.listen(HOST, first)


async def test_a_host_that_is_not_ours_is_told_at_once(make):
    with pytest.raises(OSError, match="assign"):
        await make().transport.listen("192.0.2.1")


# --- dialing


async def test_a_refused_dial_says_so(make):
    a = make()
    (port,) = free_ports(1)

    link = a.transport.dial(HOST, port, WAIT_S)
    assert a.closed == []
    await a.until(lambda: a.closed)

    assert a.closed == [(link, f"connection refused ({HOST}:{port})")]
    assert a.opened == []


async def test_a_name_that_is_refused_on_all_its_addresses_says_so(make):
    a = make()
    (port,) = free_ports(1)
    a.transport.dial("localhost", port, WAIT_S)
    await a.until(lambda: a.closed)

    assert a.closed[0][1] == f"connection refused (localhost:{port})"


async def test_a_dial_has_its_time(make):
    a = make()
    with socket.socket() as deaf:  # a full backlog: nobody answers
        deaf.bind((HOST, 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex((HOST, port))
        link = a.transport.dial(HOST, port, 0.05)
        await a.until(lambda: a.closed)
        for filler in fillers:
            filler.close()

    assert a.closed == [(link, f"no connection to {HOST}:{port} in time")]


async def test_an_unknown_host_is_told(make):
    a = make()
    a.transport.dial("no.such.host.invalid", 5000, WAIT_S)
    await a.until(lambda: a.closed)

    assert "no.such.host.invalid:5000" in a.closed[0][1]


async def test_an_impossible_address_is_told(make):
    a = make()
    a.transport.dial(HOST, 70000, WAIT_S)
    a.transport.dial("", 5, WAIT_S)
    await a.until(lambda: len(a.closed) == 2)

    assert a.opened == []


async def test_a_dial_can_be_given_up_at_once(make):
    a, b = make(), make()
    host, port = await b.transport.listen(HOST)
    link = a.transport.dial(host, port, WAIT_S)
    a.transport.close(link, "not needed")
    a.transport.close(link, "not needed any more")
    await a.until(lambda: a.closed)

    assert a.closed == [(link, "not needed")]
    assert a.opened == []


@pytest.mark.parametrize("reason", [None, "not this one"])
async def test_a_dial_given_up_while_it_is_made_ends_once(make, reason):
    a, b = make(), make()
    host, port = await b.transport.listen(HOST)

    def give_up(link_id: int, dialed: object) -> None:
        a.opened.append((link_id, dialed))
        if reason is not None:
            a.transport.close(link_id, reason)
        a.transport._dials[link_id].task.cancel()

    a.transport.on_open = give_up
    link = a.transport.dial(host, port, WAIT_S)
    await a.until(lambda: a.closed)
    await b.until(lambda: b.closed)
    await a.transport.aclose()

    assert [closed for closed, _ in a.closed] == [link]
    assert reason is None or a.closed[0][1] == reason


async def test_ids_are_never_used_twice(make):
    a, b = make(), make()
    host, port = await b.transport.listen(HOST)
    links = [a.transport.dial(host, port, WAIT_S) for _ in range(5)]
    await b.until(lambda: len(b.opened) == 5)

    assert len(set(links)) == 5
    assert len({link for link, _ in b.opened}) == 5


# --- closing


async def test_what_was_sent_arrives_before_the_close(make):
    a, b = make(), make()
    at_a, at_b = await connect(a, b)

    a.transport.send(at_a, [ping(i, bytes(1000)) for i in range(500)])
    a.transport.close(at_a, "done")
    a.transport.send(at_a, ping(-1))  # too late: ignored
    await b.until(lambda: b.closed)
    await a.until(lambda: a.closed)

    assert len(b.frames) == 500
    assert a.closed == [(at_a, "done")]
    assert b.closed == [(at_b, "the peer closed the connection")]


async def test_a_closed_link_gets_no_more_frames(make):
    a, b = make(), make()
    at_a, at_b = await connect(a, b)
    b.react = lambda link, frames: b.transport.close(link, "enough")

    a.transport.send(at_a, ping(1))
    await b.until(lambda: b.closed)
    a.transport.send(at_a, ping(2))
    await a.until(lambda: a.closed)

    assert len(b.frames) == 1
    assert b.closed == [(at_b, "enough")]


async def test_a_peer_that_takes_nothing_cannot_hold_a_close(make):
    a = make(flush_s=0.05)
    with socket.socket() as deaf:
        deaf.bind((HOST, 0))
        deaf.listen(1)
        link = a.transport.dial(HOST, deaf.getsockname()[1], WAIT_S)
        await a.until(lambda: a.opened)
        a.transport.send(link, bytes(32 << 20))
        a.transport.close(link, "over")
        await a.until(lambda: a.closed)

    assert a.closed == [(link, "over")]


async def test_abort_ends_at_once(make):
    a, b = make(flush_s=60), make()
    at_a, at_b = await connect(a, b)
    a.transport.send(at_a, bytes(8))
    a.transport.abort(at_a, "broken")
    await a.until(lambda: a.closed)
    await b.until(lambda: b.closed)

    assert a.closed == [(at_a, "broken")]
    assert [link for link, _ in b.closed] == [at_b]


async def test_a_reset_is_told_as_such(make):
    b = make()
    host, port = await b.transport.listen(HOST)
    raw = socket.create_connection((host, port))
    await b.until(lambda: b.opened)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    raw.close()
    await b.until(lambda: b.closed)

    assert b.closed[0][1] == "the connection broke: Connection reset by peer"


async def test_aclose_leaves_nothing(make):
    before = _open_files()
    others = asyncio.all_tasks()
    a, b = make(), make()
    at_a, at_b = await connect(a, b)
    (port,) = free_ports(1)
    refused = a.transport.dial(HOST, port, WAIT_S)
    again = a.transport.dial(*a.opened[0][1], WAIT_S)
    a.transport.send(at_a, ping(7))

    await asyncio.gather(a.transport.aclose(), a.transport.aclose())
    await b.until(lambda: b.frames)
    await b.transport.aclose("bye")
    await b.transport.aclose()

    assert sorted(link for link, _ in a.closed) == sorted([at_a, refused, again])
    assert (at_a, "the node has closed") in a.closed
    assert len([link for link, _ in b.closed if link == at_b]) == 1
    assert asyncio.all_tasks() == others
    assert repr(a.transport) == "<Transport connections=0 dials=0>"
    await asyncio.sleep(0)
    if before:  # uvloop keeps a pair of its own
        assert _open_files() <= before + 2


async def test_a_cancelled_aclose_aborts(make):
    a = make(flush_s=60)
    with socket.socket() as deaf:
        deaf.bind((HOST, 0))
        deaf.listen(1)
        link = a.transport.dial(HOST, deaf.getsockname()[1], WAIT_S)
        await a.until(lambda: a.opened)
        a.transport.send(link, bytes(32 << 20))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await a.transport.aclose()
        await a.until(lambda: a.closed)

    assert a.closed == [(link, "the node has closed")]


async def test_nobody_connects_to_a_closing_node(make):
    a, b = make(), make(flush_s=0.2)
    await connect(a, b)
    closing = asyncio.ensure_future(b.transport.aclose())
    link = a.transport.dial(*a.opened[0][1], WAIT_S)
    await a.until(lambda: link in [closed for closed, _ in a.closed])
    await closing

    assert len(b.opened) == 1


async def test_who_connects_while_a_node_closes_is_turned_away(make):
    b = make()
    host, port = await b.transport.listen(HOST)
    b.transport._closing = True  # as aclose() sets it, with the connection accepted already
    with socket.create_connection((host, port)) as raw:
        raw.setblocking(False)
        async with asyncio.timeout(WAIT_S):
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.get_running_loop().sock_recv(raw, 1) == b""

    assert b.opened == []
    assert b.closed == []


# --- a slow peer


async def test_a_closing_connection_is_not_told_as_taking_again(make):
    a = make(high_water=64 * 1024)
    with socket.socket() as slow:
        slow.bind((HOST, 0))
        slow.listen(1)
        link = a.transport.dial(HOST, slow.getsockname()[1], WAIT_S)
        await a.until(lambda: a.opened)
        reader, _ = slow.accept()
        reader.setblocking(False)
        a.transport.send(link, bytes(16 << 20))
        await a.until(lambda: a.pauses)
        a.transport.close(link, "over")
        loop, got = asyncio.get_running_loop(), 0
        async with asyncio.timeout(WAIT_S):
            while data := await loop.sock_recv(reader, 1 << 20):
                got += len(data)
        reader.close()
        await a.until(lambda: a.closed)

    assert got == 16 << 20
    assert a.pauses == [(link, True)]
    assert a.closed == [(link, "over")]


async def test_a_slow_peer_is_told_and_forgiven(make):
    a = make(high_water=64 * 1024)
    with socket.socket() as slow:
        slow.bind((HOST, 0))
        slow.listen(1)
        link = a.transport.dial(HOST, slow.getsockname()[1], WAIT_S)
        await a.until(lambda: a.opened)
        reader, _ = slow.accept()
        reader.setblocking(False)
        sent = 0
        while not a.pauses:
            a.transport.send(link, bytes(64 * 1024))
            sent += 64 * 1024
            assert sent < 64 << 20
            await asyncio.sleep(0)
        assert a.pauses == [(link, True)]
        assert a.transport.buffered(link) > 64 * 1024

        loop, got = asyncio.get_running_loop(), 0
        async with asyncio.timeout(WAIT_S):
            while got < sent:
                got += len(await loop.sock_recv(reader, 1 << 20))
        await a.until(lambda: len(a.pauses) == 2)
        reader.close()

    assert a.pauses == [(link, True), (link, False)]
    assert a.transport.buffered(link) == 0


# --- a peer that breaks the protocol


async def test_a_bad_frame_closes_only_its_connection(make):
    a, b = make(), make()
    at_a, _ = await connect(a, b)
    host, port = a.opened[0][1]
    raw = socket.create_connection((host, port))
    await b.until(lambda: len(b.opened) == 2)
    raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
    await b.until(lambda: b.closed)
    raw.close()

    assert b.closed[0][0] == b.opened[1][0]
    assert "the limit is" in b.closed[0][1]
    a.transport.send(at_a, ping(1))
    await b.until(lambda: b.frames)


async def test_good_frames_before_a_bad_one_are_handed_over(make):
    b = make()
    host, port = await b.transport.listen(HOST)
    with socket.create_connection((host, port)) as raw:
        raw.sendall(ping(1) + b"\xff" * 6)
        await b.until(lambda: b.closed)

    assert len(b.frames) == 1
    assert "4294967295 bytes" in b.closed[0][1]


async def test_a_protocol_error_of_the_owner_closes_the_connection(make):
    a, b = make(), make()

    def react(link: int, frames: list) -> None:
        raise ProtocolError("a frame that I do not like")

    b.react = react
    at_a, at_b = await connect(a, b)
    a.transport.send(at_a, ping(1))
    await b.until(lambda: b.closed)

    assert b.closed == [(at_b, "a frame that I do not like")]


async def test_the_owner_may_say_why_before_the_connection_closes(make):
    a, b = make(), make()

    def react(link: int, frames: list) -> None:
        asyncio.get_running_loop().call_soon(b.transport.send, link, ping(99))
        raise ProtocolError("no")

    b.react = react
    at_a, at_b = await connect(a, b)
    a.transport.send(at_a, [ping(1), ping(2)])
    await a.until(lambda: a.closed)
    await b.until(lambda: b.closed)

    assert [body for _, _, body in a.frames] == [ping(99)[6:]]
    assert len(b.reads) == 1
    assert b.closed == [(at_b, "no")]


# --- the end of the handshake


@pytest.mark.parametrize("when", ["inside", "later", "never"])
async def test_frames_behind_a_welcome_wait_for_opened(make, when):
    b = make()
    b.open_at_once = False
    if when == "inside":
        b.react = lambda link, frames: b.transport.opened(link)
    host, port = await b.transport.listen(HOST)
    with socket.create_connection((host, port)) as raw:
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        welcome = frame.encode(frame.WELCOME, [1, []])
        await loop.sock_sendall(raw, welcome + ping(1, bytes(10_000)) + ping(2))
        await b.until(lambda: b.frames)
        link = b.opened[0][0]
        if when != "inside":
            assert [kind for kind, _, _ in b.frames] == [frame.WELCOME]
        if when == "never":
            b.transport.opened(link)
            b.transport.close(link, "after all not")
            await b.until(lambda: b.closed)
            assert len(b.frames) == 1
            return
        if when == "later":
            await loop.sock_sendall(raw, ping(3))
            b.transport.opened(link)
        await b.until(lambda: len(b.frames) >= (4 if when == "later" else 3))
        await loop.sock_sendall(raw, ping(4))
        await b.until(lambda: b.frames[-1][2] == ping(4)[6:])

    bodies = [body for _, _, body in b.frames[1:]]
    numbers = (1, 2, 3, 4) if when == "later" else (1, 2, 4)
    assert bodies == [ping(n, bytes(10_000) if n == 1 else b"")[6:] for n in numbers]


async def test_a_peer_cannot_fill_memory_behind_its_welcome(make):
    b = make(frame_max=1 << 16)
    b.open_at_once = False
    host, port = await b.transport.listen(HOST)
    with socket.create_connection((host, port)) as raw:
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        flood = loop.create_task(
            loop.sock_sendall(raw, frame.encode(frame.WELCOME, [1, []]) + bytes(64 << 20))
        )
        await b.until(lambda: b.frames)
        await asyncio.wait([flood], timeout=0.1)
        held = b.transport.wires[b.opened[0][0]]._decoder.buffered

        assert not flood.done()
        assert held < 2 << 20
        flood.cancel()
        await asyncio.wait([flood])


def _open_files() -> int:
    """Count this process's open files, where that can be known."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
