"""Tests of datagrams: whole or not at all, to one or to a group."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from rxfero.testing.link import Quality
from rxfero.testing.network import Network
from tests.testing.world import PORT, world

GROUP = "239.1.2.3"


class Taker(asyncio.DatagramProtocol):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, Any]] = []
        self.told: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.got.append((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.told.append(type(exc).__name__)

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")


def opened(network: Network, name: str, *, port: int = PORT, **options: Any) -> Taker:
    host = network.host(name)
    process = host.process or host.start()
    remote = options.pop("remote", None)
    return network.datagrams(process, Taker, ("", port), remote, options)[1]


def test_one_sends_to_another() -> None:
    async def main(network: Network) -> None:
        a, b = opened(network, "a"), opened(network, "b")
        source = a.transport.get_extra_info("sockname")
        a.transport.sendto(b"hello", ("b", PORT))
        a.transport.sendto(b"nobody", ("b", PORT + 1))
        a.transport.sendto(b"nowhere", ("10.9.9.9", PORT))
        await asyncio.sleep(1)
        assert b.got == [(b"hello", source)]
        with pytest.raises(ValueError, match="to whom"):
            a.transport.sendto(b"x")
        a.transport.sendto(b"x" * 70_000, ("b", PORT))
        await asyncio.sleep(1)
        assert a.told == ["OSError"]
        assert "10.0.0.2:4000>10.0.0.3:4000 udp 5" in str(network.trace)

    world(main)


def test_a_group_is_joined_and_left() -> None:
    async def main(network: Network) -> None:
        takers = [opened(network, name) for name in "abc"]
        member = socket.inet_aton(GROUP) + socket.inet_aton("0.0.0.0")
        for taker in takers[:2]:
            taker.transport.get_extra_info("socket").setsockopt(
                socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member
            )
        takers[2].transport.sendto(b"all", (GROUP, PORT))
        await asyncio.sleep(1)
        assert [len(taker.got) for taker in takers] == [1, 1, 0]
        takers[0].transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, member
        )
        takers[2].transport.sendto(b"all", (GROUP, PORT))
        await asyncio.sleep(1)
        assert [len(taker.got) for taker in takers] == [1, 2, 0]

    world(main)


def test_a_bad_link_loses_and_doubles() -> None:
    async def main(network: Network) -> None:
        a, b = opened(network, "a"), opened(network, "b")
        for number in range(200):
            a.transport.sendto(b"%d" % number, ("b", PORT))
        await asyncio.sleep(5)
        numbers = [int(data) for data, _ in b.got]
        assert 50 < len(set(numbers)) < 150
        assert len(numbers) > len(set(numbers))
        assert numbers != sorted(numbers)

    world(main, quality=Quality(loss=0.5, duplicate=0.2, jitter_s=0.5))


def test_a_cut_and_a_closed_socket_lose() -> None:
    async def main(network: Network) -> None:
        a, b = opened(network, "a"), opened(network, "b")
        network.cut(network.host("a"), network.host("b"))
        a.transport.sendto(b"x", ("b", PORT))
        network.heal()
        await asyncio.sleep(5)
        a.transport.sendto(b"y", ("b", PORT))
        b.transport.close()
        b.transport.abort()
        await asyncio.sleep(5)
        assert b.transport.is_closing()
        assert (b.got, b.told) == ([], ["lost"])

    world(main)


def test_ports_are_shared_only_if_asked() -> None:
    async def main(network: Network) -> None:
        first = opened(network, "a")
        with pytest.raises(OSError, match="in use"):
            opened(network, "a")
        second = opened(network, "a", reuse_port=True)
        free = opened(network, "a", port=0, remote=("a", PORT))
        assert free.transport.get_extra_info("sockname")[1] != PORT
        free.transport.sendto(b"x")
        await asyncio.sleep(1)
        assert len(first.got) == len(second.got) == 1
        with pytest.raises(ValueError, match="sock"):
            opened(network, "a", sock=object())

    world(main)


def test_a_killed_process_takes_none_and_a_stopped_one_later() -> None:
    async def main(network: Network) -> None:
        a, b = opened(network, "a"), opened(network, "b")
        process = network.host("b").process
        assert process is not None
        process.stop()
        a.transport.sendto(b"x", ("b", PORT))
        await asyncio.sleep(5)
        assert not b.got
        process.resume()
        await asyncio.sleep(1)
        assert len(b.got) == 1
        process.kill()
        a.transport.sendto(b"y", ("b", PORT))
        await asyncio.sleep(5)
        assert len(b.got) == 1
        assert not b.told
        opened(network, "b").transport.close()

    world(main)


def test_it_is_opened_as_on_any_loop() -> None:
    async def main(network: Network) -> None:
        loop = asyncio.get_running_loop()
        _, taker = await loop.create_datagram_endpoint(Taker, local_addr=("127.0.0.1", PORT))
        process = network.host("a").start()

        async def send() -> None:
            running: Any = process.loop
            transport, _ = await running.create_datagram_endpoint(
                Taker, remote_addr=("program", PORT)
            )
            transport.sendto(b"from a")

        await process.loop.create_task(send())
        await asyncio.sleep(1)
        assert [data for data, _ in taker.got] == [b"from a"]

    world(main)
