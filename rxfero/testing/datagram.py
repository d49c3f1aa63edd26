"""The datagram: UDP in memory: an asyncio transport of datagrams, single ones and to groups.

A datagram comes whole or not at all. It may be overtaken, lost or doubled, as the link's quality
says; a cut loses it. A group is joined by `IP_ADD_MEMBERSHIP` on the transport's socket.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from rxfero.testing.host import DEAD
from rxfero.testing.socket import Address, Socket

if TYPE_CHECKING:
    from rxfero.testing.host import Host, Process
    from rxfero.testing.network import Network

SIZE_MAX = 65_507  # bytes of one


class Datagrams(asyncio.DatagramTransport):
    """A socket that sends and takes datagrams; what `create_datagram_endpoint` gives.

    Args:
        process: Whose it is.
        sockname: Its own address.
        peername: Whom it sends to and takes from alone; None: anybody.
    """

    def __init__(self, process: Process, sockname: Address, peername: Address | None) -> None:
        super().__init__()
        self.process, self.peername = process, peername
        self.port = sockname[1]
        self.groups: set[str] = set()
        self._names = {"sockname": sockname, "peername": peername}
        self._socket = _Joining(self, sockname, peername)
        self._protocol: Any = None
        self._closing = False
        process.host.datagrams.setdefault(self.port, []).append(self)

    def begin(self, factory: Callable[[], Any]) -> Any:
        """Make the protocol and tell it that it is connected; runs in the process."""
        self._protocol = factory()
        self._protocol.connection_made(self)
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket if name == "socket" else self._names.get(name, default)

    def is_closing(self) -> bool:
        return self._closing

    def sendto(self, data: Any, addr: Any | None = None) -> None:
        target = self.peername if addr is None else addr
        if target is None:
            raise ValueError("to whom? the endpoint has no remote address")
        if self._closing:
            return
        if len(data) > SIZE_MAX:
            error = OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
            self.process.soon(self._protocol.error_received, error)
            return
        _send(self, bytes(data), target[0], target[1])

    def arrived(self, data: bytes, source: Address) -> None:
        """Hand over a datagram; runs for the network."""
        if not self._closing and self.peername in (None, source):
            self.process.call(self._protocol.datagram_received, data, source)

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.process.host.datagrams[self.port].remove(self)
            if self.process.state != DEAD:
                self.process.soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Datagrams {self._names['sockname']}{' closed' if self._closing else ''}>"


class _Joining(Socket):
    """The socket of datagrams: joins and leaves groups."""

    type = socket.SOCK_DGRAM
    proto = socket.IPPROTO_UDP

    def __init__(self, owner: Datagrams, sockname: Address, peername: Address | None) -> None:
        super().__init__(sockname, peername)
        self._owner = owner

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """Note an option."""
        super().setsockopt(level, option, value)
        if level == socket.IPPROTO_IP and option == socket.IP_ADD_MEMBERSHIP:
            self._owner.groups.add(socket.inet_ntoa(bytes(value[:4])))
        elif level == socket.IPPROTO_IP and option == socket.IP_DROP_MEMBERSHIP:
            self._owner.groups.discard(socket.inet_ntoa(bytes(value[:4])))


def open_datagrams(
    network: Network, process: Process, factory: Callable[[], Any], local: Address | None,
    remote: Address | None, options: dict[str, Any],
) -> tuple[Datagrams, Any]:  # fmt: skip
    """Open a socket of datagrams on a process's host.

    Raises:
        OSError: the port is taken and not shared (`reuse_port`), or there is no such host.
        ValueError: an option that is not simulated.
    """
    if options.get("sock") is not None:
        raise ValueError("not simulated: sock")
    home = process.host
    port = (local[1] if local else 0) or home.port()
    if home.datagrams.get(port) and not options.get("reuse_port"):
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    peer = None if remote is None else (network.address(remote[0]), remote[1])
    made = Datagrams(process, (home.address, port), peer)
    return made, made.begin(factory)


def _send(sender: Datagrams, data: bytes, where: str, port: int) -> None:
    home = sender.process.host
    network = home.network
    source = (home.address, sender.port)
    if _is_group(where):
        for host in list(network.hosts.values()):
            _carry(network, home, host, data, source, (where, port))
    else:
        target = network.hosts.get(where) or network.at_address(where)
        if target is not None:
            _carry(network, home, target, data, source, (target.address, port))


def _carry(
    network: Network, home: Host, target: Host, data: bytes, source: Address, to: Address
) -> None:
    link, rng = network.link(home, target), network.rng
    way = f"{source[0]}:{source[1]}>{target.address}:{to[1]} udp"
    network.trace.sent(network.loop.time(), way, data)
    times = 0 if rng.random() < link.quality.loss else 1 + (rng.random() < link.quality.duplicate)
    if link.cut:
        return

    def arrive() -> None:
        if link.cut or not target.up:
            return
        for taker in list(target.datagrams.get(to[1], ())):
            if not _is_group(to[0]) or to[0] in taker.groups:
                taker.arrived(data, source)

    for _ in range(times):
        network.at(link.arrival(len(data)), arrive)


def _is_group(where: str) -> bool:
    try:
        return ip_address(where).is_multicast
    except ValueError:
        return False
