"""The multicast: servers of one network announce themselves to a UDP group and hear each other.

A server sends HERE when it starts, soon again, and then ever more seldom, for as long as it lives:
so a swarm that starts at once hears each other even where datagrams get lost, and a cluster that
was cut in two finds itself again. Who looks for servers (a client, a monitor) sends ASK; servers
answer with a HERE to the group. Nothing is ever sent to the group's port of one host: of several
processes that share it, only one would get it.

It stays on the interface it is told (`host`, loopback by default). It connects to nobody and
believes nobody: it yields addresses, and the handshake admits who listens there.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, cast

from rxfero.constants import Multicast as Settings
from rxfero.discovery.announcement import (
    ANY_SERVICE,
    ASK,
    HERE,
    Announcement,
    decode,
    encode,
)
from rxfero.discovery.hosts import parse_host
from rxfero.errors import ConfigurationError
from rxfero.surroundings import surroundings

if TYPE_CHECKING:
    from rxfero.ports import Seeker

FIRST_S: Final = 0.05  # between the first two announcements; doubled with each
SELDOM: Final = 5  # times `jitter` at most between those of a node that has found somebody
ANSWER_S: Final = 0.05  # longest an ASK waits for its answer, so that one HERE answers many
_ALL: Final = 49  # IP_MULTICAST_ALL of Linux; 0: nothing that only other sockets have joined


class Multicast:
    """A :class:`~rxfero.ports.Finder` by UDP multicast.

    Args:
        settings: Group, interface, port and pace: :class:`rxfero.constants.Multicast`.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = Settings() if settings is None else settings
        for what in ("ip", "host"):
            value = getattr(self.settings, what)
            try:
                fits = ip_address(value)
            except ValueError:
                fits = None
            if fits is None or fits.version != 4 or (what == "ip") != fits.is_multicast:
                kind = "an IPv4 multicast group" if what == "ip" else "an interface's IPv4 address"
                raise ConfigurationError(f"constants.multicast.{what}", value, f"must be {kind}")

    async def find(self, here: Seeker, found: Callable[[str, int], None]) -> None:
        """Announce and listen until cancelled.

        Raises:
            OSError: the group cannot be joined on that interface.
        """
        settings = self.settings
        loop, _, _, rng = surroundings()
        group = _Group(here, settings, found)
        windows = sys.platform == "win32"
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: group,
                local_addr=("" if windows else settings.ip, settings.port),
                reuse_port=None if windows else True,
            )
            _join(transport, settings)
            wait = FIRST_S
            while True:
                if here.port or here.alone():
                    group.say()
                await group.asked(wait * rng.uniform(0.5, 1.0), rng.uniform(0.0, ANSWER_S))
                most = settings.jitter / 1000
                if not settings.retry and not here.alone():
                    most *= SELDOM
                wait = min(max(most, FIRST_S), wait * 2)
        finally:
            group.close()

    def __repr__(self) -> str:
        return f"<Multicast {self.settings.ip}:{self.settings.port} on {self.settings.host}>"


class _Group(asyncio.DatagramProtocol):
    """One node's place in the group."""

    def __init__(
        self, here: Seeker, settings: Settings, found: Callable[[str, int], None]
    ) -> None:
        self._here, self._settings, self._found = here, settings, found
        self._transport: asyncio.DatagramTransport | None = None
        self._asked = asyncio.Event()
        self._closed = False
        listens = here.port != 0
        host = "" if not listens or ip_address(here.host).is_unspecified else here.host
        said = Announcement(
            HERE if listens else ASK, here.cluster, here.service, here.name, host, here.port
        )
        self._data = encode(said, here.secret)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        if self._closed:
            transport.close()

    def close(self) -> None:
        """Leave. uvloop makes a socket to its end though who asked for it has been cancelled."""
        self._closed = True
        if self._transport is not None:
            self._transport.close()

    def say(self) -> None:
        """Send our announcement to the group."""
        assert self._transport is not None, "an endpoint without a transport"
        self._asked.clear()
        with suppress(OSError):  # the network may be away for a while; there is a next time
            self._transport.sendto(self._data, (self._settings.ip, self._settings.port))

    async def asked(self, timeout_s: float, pause_s: float) -> None:
        """Wait until it is time to announce again, or, after a pause, because somebody asked."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._asked.wait()
                await asyncio.sleep(pause_s)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        here = self._here
        said = decode(data, here.secret)
        if said is None or said.cluster != here.cluster or said.name == here.name:
            return
        if said.kind == ASK:
            every = said.service == ANY_SERVICE and self._settings.monitor
            if here.port and (every or said.service == here.service):
                self._asked.set()
        elif here.service in (said.service, ANY_SERVICE):
            with suppress(ConfigurationError):  # no host: somebody's mistake, or malice
                self._found(parse_host((said.host or addr[0], said.port))[0], said.port)

    def error_received(self, exc: Exception) -> None:
        """Let it pass: a datagram that could not be sent is one that got lost."""


def _join(transport: asyncio.BaseTransport, settings: Settings) -> None:
    """Join the group on the one interface, and send to it by that one."""
    sock: Any = transport.get_extra_info("socket")
    interface = socket.inet_aton(settings.host)
    member = struct.pack("4s4s", socket.inet_aton(settings.ip), interface)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, settings.ttl)
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_IP, _ALL, 0)
