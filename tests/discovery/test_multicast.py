"""The multicast: servers of a group hear each other, on loopback, and nobody else is believed."""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import Any

import pytest

from rxfero.constants import Constants
from rxfero.constants import Multicast as Settings
from rxfero.discovery.announcement import ANY_SERVICE, ASK, HERE, Announcement, encode
from rxfero.discovery.multicast import Multicast
from rxfero.errors import ConfigurationError
from rxfero.tasks import end_tasks
from rxfero.testing.network import Network
from tests.discovery.seeker import Finding, group_port, seeker
from tests.testing.world import world

ONE, TWO = ("127.0.0.1", 7001), ("127.0.0.1", 7002)


def on(port: int, **changed: Any) -> Multicast:
    return Multicast(Settings(host="127.0.0.1", port=port, ttl=0, **changed))


async def listens(port: int, **changed: Any) -> None:
    """Wait until a server is in the group."""
    client = seeker("listening", host="", port=0, **changed)
    async with Finding(on(port), client) as finding:
        await finding.has(ONE)


class Stranger:
    """Sends what it likes to a group, and hears what is said there."""

    def __init__(self, port: int) -> None:
        self._where = (Settings().ip, port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        interface = socket.inet_aton("127.0.0.1")
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)

    def say(self, data: bytes) -> None:
        self._socket.sendto(data, self._where)

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


async def test_two_servers_hear_each_other() -> None:
    port = group_port()
    async with Finding(on(port), seeker()) as one:
        async with Finding(on(port), seeker("two", port=7002)) as two:
            await one.has(TWO)
            await two.has(ONE)


async def test_a_client_asks_and_hears_and_is_not_found() -> None:
    port = group_port()
    async with Finding(on(port, jitter=60_000), seeker(alone=lambda: False)) as server:
        await asyncio.sleep(0)
        async with Finding(on(port), seeker("client", host="", port=0)) as client:
            await client.has(ONE)
        assert not server.found


async def test_a_monitor_hears_servers_of_every_service() -> None:
    port = group_port()
    async with Finding(on(port), seeker()), Finding(on(port), seeker("b", service="b", port=7002)):
        asking = seeker("monitor", service=ANY_SERVICE, host="", port=0)
        async with Finding(on(port), asking) as monitor:
            await monitor.has(ONE, TWO)


async def test_only_what_belongs_together_is_found() -> None:
    port = group_port()
    others = [
        seeker("cluster", cluster="other", port=7003),
        seeker("service", service="other", port=7004),
        seeker("secret", secret="long enough", port=7005),
        seeker("one", port=7006),  # as if it were ourselves
    ]
    async with Finding(on(port), seeker()) as one:
        findings = [Finding(on(port), other) for other in others]
        for finding in findings:
            await finding.__aenter__()
        async with Finding(on(port), seeker("two", port=7002)) as two:
            await two.has(ONE)
            await one.until(lambda: one.found.count(TWO) >= 2)
        for finding in findings:
            await finding.__aexit__()
    assert {*one.found} == {TWO}
    assert not any(finding.found for finding in findings[:3])


async def test_with_a_secret_only_the_signed_are_heard() -> None:
    port, secret = group_port(), "long enough"
    async with Finding(on(port), seeker(secret=secret)) as one:
        await listens(port, secret=secret)
        with Stranger(port) as stranger:
            stranger.say(encode(Announcement(HERE, "test", "users", "x", "127.0.0.1", 7009)))
            stranger.say(encode(Announcement(HERE, "test", "users", "x", "10.0.0.1", 7009), "guess"))
            async with Finding(on(port), seeker("two", port=7002, secret=secret)) as two:
                await two.has(ONE)
                await one.has(TWO)
    assert {*one.found} == {TWO}


async def test_noise_in_the_group_does_no_harm() -> None:
    port = group_port()
    async with Finding(on(port), seeker()) as one:
        await listens(port)
        with Stranger(port) as stranger:
            for noise in (b"", b"hello", b"rxfd" + bytes(60), bytes(1500)):
                stranger.say(noise)
            bad = Announcement(HERE, "test", "users", "bad", "no host at all/", 7009)
            stranger.say(encode(bad))
            stranger.say(encode(Announcement(HERE, "test", "users", "x", "", 7007)))
            await one.has(("127.0.0.1", 7007))  # who does not say where is where it came from
    assert {*one.found} == {("127.0.0.1", 7007)}
    assert one.task.cancelled()


async def test_what_is_sent_to_the_port_of_one_host_is_not_heard() -> None:
    port = group_port()
    async with Finding(on(port), seeker()) as one:
        await listens(port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stray:
            data = encode(Announcement(HERE, "test", "users", "x", "127.0.0.1", 7009))
            for _ in range(3):
                stray.sendto(data, ("127.0.0.1", port))
        async with Finding(on(port), seeker("two", port=7002)):
            await one.has(TWO)
    assert {*one.found} == {TWO}


@pytest.mark.parametrize(
    "changed", [{"ip": "10.0.0.1"}, {"ip": "ff02::1"}, {"ip": "group"}, {"host": "224.0.0.251"},
                {"host": "lo"}, {"host": "::1"}], ids=str,
)  # fmt: skip
def test_what_is_no_group_or_interface_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="multicast"):
        Multicast(Settings(**changed))


async def test_an_interface_that_is_not_there_is_told() -> None:
    finder = Multicast(Settings(host="192.0.2.1", port=group_port()))
    with pytest.raises(OSError, match=r"."):
        await finder.find(seeker(), lambda host, port: None)


async def test_whoever_leaves_in_the_first_moments_leaves_no_socket() -> None:
    port = group_port()
    for turns in range(8):
        finding = asyncio.ensure_future(on(port).find(seeker(), lambda host, port: None))
        for _ in range(turns):
            await asyncio.sleep(0)
        assert not await end_tasks([finding])
        await asyncio.sleep(0)  # a socket that was to be is made, and closed
        await asyncio.sleep(0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as alone:
            alone.bind((Settings().ip, port))


def pace(alone: bool, asks: int = 0, **changed: Any) -> list[float]:
    """Give when a server announces itself within 100 s, on virtual time."""
    settings = Constants.of({"multicast": changed}).multicast

    async def main(network: Network) -> list[float]:
        loop = asyncio.get_running_loop()
        heard: list[float] = []

        class Ear(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                heard.append(round(loop.time(), 2))

        listener = network.host("ear").start()
        transport, _ = network.datagrams(listener, Ear, ("", settings.port), None, {})
        sock = transport.get_extra_info("socket")
        member = socket.inet_aton(settings.ip) + socket.inet_aton("127.0.0.1")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        process = network.host("server").start()
        finding = process.loop.create_task(
            Multicast(settings).find(seeker(alone=lambda: alone), lambda host, port: None)
        )
        for _ in range(asks):
            await asyncio.sleep(1)
            asked = encode(Announcement(ASK, "test", "users", "asker"))
            transport.sendto(asked, (settings.ip, settings.port))
        await asyncio.sleep(100 - asks)
        finding.cancel()
        await asyncio.gather(finding, return_exceptions=True)
        return heard

    return world(main)


def gaps(times: list[float]) -> list[float]:
    return [b - a for a, b in itertools.pairwise(times)]


def test_announcements_become_seldom_and_never_end() -> None:
    alone, together, eager = pace(True), pace(False), pace(False, retry=True)
    assert gaps(alone)[0] < 0.1
    assert 50 <= len(alone) <= 120  # every 1 to 2 s
    assert 8 <= len(together) <= 25  # every 5 to 10 s
    assert max(gaps(together)) <= 10.1
    assert max(gaps(eager)) <= 2.1


def test_who_is_asked_answers_to_the_group_soon() -> None:
    quiet, asked = pace(False, jitter=60_000), pace(False, 50, jitter=60_000)
    assert len(asked) > len(quiet) + 40
