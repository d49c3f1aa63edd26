"""The network: simulated hosts, the links between them, and how connections come about.

It is one world: it has the seed that all chance in it comes from, and the trace of all that was
sent. Addresses are 10.0.0.1, 10.0.0.2 and so on; a name of a host stands for its address.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterable
from contextvars import Context
from random import Random
from typing import TYPE_CHECKING, Any

from rxfero.testing.datagram import Datagrams, open_datagrams
from rxfero.testing.host import DEAD, Host, Process
from rxfero.testing.link import Flow, Link, Quality
from rxfero.testing.listener import Listener
from rxfero.testing.stream import Stream
from rxfero.testing.trace import LINES, Trace

if TYPE_CHECKING:
    from rxfero.testing.loop import VirtualLoop

SYN_S = 1.0  # between the knocks at a host without power
ANY = ("", "0.0.0.0", "127.0.0.1", "localhost", None)


class Network:
    """Hosts and links on one loop.

    Args:
        loop: Where it lives; it becomes the loop's network.
        seed: Of all its chance.
        quality: What its links are like.
        keep: Lines of the trace that are held.

    Attributes:
        trace: What happened.
        program: The process of the test's own code, on a host of its own.
    """

    def __init__(
        self, loop: VirtualLoop, seed: int, quality: Quality | None = None, keep: int = LINES
    ) -> None:
        self.loop, self.seed = loop, seed
        self.quality = quality or Quality()
        self.rng = Random(f"{seed}/network")
        self.trace = Trace(keep)
        self.hosts: dict[str, Host] = {}
        self._by_address: dict[str, Host] = {}
        self._links: dict[tuple[Host, Host], Link] = {}
        self._context = Context()
        loop.network = self
        self.program = Process(self.host("program"), program=True)

    # --- places

    def host(self, name: str) -> Host:
        """Give the host of a name; a new one if there is none."""
        host = self.hosts.get(name)
        if host is None:
            number = len(self.hosts)
            address = f"10.0.{number // 250}.{number % 250 + 1}"
            host = Host(self, name, address, Random(f"{self.seed}/{name}"))
            self.hosts[name] = self._by_address[address] = host
        return host

    def address(self, host: str | None) -> str:
        """Give the address that a name or an address stands for.

        Raises:
            OSError: there is no such host.
        """
        found = self.hosts.get(host or "") or self._by_address.get(host or "")
        if found is None:
            raise OSError(errno.EHOSTUNREACH, f"there is no host {host!r}")
        return found.address

    def at_address(self, address: str) -> Host | None:
        """Give the host of a numeric address, if there is one."""
        return self._by_address.get(address)

    def link(self, source: Host, target: Host) -> Link:
        """Give the link of a direction."""
        link = self._links.get((source, target))
        if link is None:
            link = self._links[source, target] = Link(self, source, target, self.quality)
        return link

    def at(self, when: float, callback: Callable[..., object], *args: Any) -> None:
        """Call something of the network's own at a moment."""
        self.loop.call_at(when, callback, *args, context=self._context)

    def note(self, what: str) -> None:
        """Add a line to the trace."""
        self.trace.note(self.loop.time(), what)

    # --- faults

    def cut(self, source: Host, target: Host) -> None:
        """Let nothing pass in one direction."""
        if source is not target:
            self.note(f"cut {source.name}>{target.name}")
            self.link(source, target).cut = True

    def mend(self, source: Host, target: Host) -> None:
        """Let everything pass again in one direction, as well as at first."""
        link = self.link(source, target)
        link.quality = self.quality
        if link.cut:
            self.note(f"mend {source.name}>{target.name}")
            link.heal()

    def heal(self) -> None:
        """Mend every link."""
        for link in list(self._links.values()):
            self.mend(link.source, link.target)

    def between(self, some: Iterable[Host], others: Iterable[Host]) -> list[Stream]:
        """Give the ends at `some` of connections to `others`."""
        far = {host.address for host in others}
        return [
            stream
            for host in some if host.process is not None
            for stream in list(host.process.streams)
            if stream.get_extra_info("peername")[0] in far
        ]  # fmt: skip

    # --- connections

    def listen(
        self, process: Process, factory: Callable[[], Any], host: str | None, port: int
    ) -> Listener:
        """Take connections on a port of a process's host.

        Raises:
            OSError: the port is taken, or the address is another host's.
        """
        home = process.host
        if host not in ANY and self.address(host) != home.address:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        port = port or home.port()
        if port in home.listeners:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        listener = home.listeners[port] = Listener(process, (home.address, port), factory)
        process.listeners.append(listener)
        self.note(f"{home.name} listens {port}")
        return listener

    async def connect(
        self, process: Process, factory: Callable[[], Any], host: str | None, port: int,
        options: dict[str, Any],
    ) -> tuple[Stream, Any]:  # fmt: skip
        """Connect to a port.

        Raises:
            OSError: refused, or there is no such host. One without power is waited for.
            ValueError: an option that is not simulated.
        """
        if any(value is not None for value in options.values()):
            raise ValueError(f"not simulated: {', '.join(sorted(options))}")
        target = process.host.address if host in ANY else self.address(host)
        dial = _Dial(self, process, self._by_address[target], port)
        dial.knock()
        try:
            stream = await dial.outcome
        except asyncio.CancelledError:
            if dial.stream is not None:
                dial.stream.abort()
            raise
        return stream, stream.begin(factory)

    def datagrams(
        self, process: Process, factory: Callable[[], Any], local: Any, remote: Any,
        options: dict[str, Any],
    ) -> tuple[Datagrams, Any]:  # fmt: skip
        """Open a socket of datagrams; see :func:`rxfero.testing.datagram.open_datagrams`."""
        return open_datagrams(self, process, factory, local, remote, options)

    def __repr__(self) -> str:
        return f"<Network seed={self.seed} hosts={len(self.hosts)}>"


class _Dial:
    """A connection that is not there yet."""

    def __init__(self, network: Network, process: Process, target: Host, port: int) -> None:
        self.network, self.process, self.target = network, process, target
        self.near = (process.host.address, process.host.port())
        self.far = (target.address, port)
        self.flow = Flow(network.link(process.host, target))
        self.outcome: asyncio.Future[Stream] = network.loop.create_future()
        self.stream: Stream | None = None

    def _given_up(self) -> bool:
        return self.outcome.done() or self.process.state == DEAD

    def knock(self) -> None:
        """Ask for the connection."""
        if not self._given_up():
            self.flow.send(0, self._knocked)

    def _knocked(self) -> None:
        """Be let in, or not; runs at the other end."""
        network = self.network
        if self._given_up():
            return
        if not self.target.up:
            network.at(network.loop.time() + SYN_S, self.knock)
            return
        back = Flow(network.link(self.target, self.process.host))
        listener = self.target.listeners.get(self.far[1])
        if listener is None:
            back.send(0, self._refused)
            return
        near = Stream(self.process, self.near, self.far, self.flow)
        far = Stream(listener.process, self.far, self.near, back)
        near.peer, far.peer = far, near
        network.note(f"{near.way} open")
        back.send(0, self._let_in, near)
        listener.process.call(far.begin, listener.factory)

    def _refused(self) -> None:
        if not self._given_up():
            self.outcome.set_exception(
                ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
            )

    def _let_in(self, near: Stream) -> None:
        if self._given_up():
            near.abort()
        else:
            self.stream = near
            self.outcome.set_result(near)
