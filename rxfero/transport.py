"""The transport: sockets to frames and back, on one event loop.

It listens, dials, cuts what it reads into frames and hands over all frames of a read in one call;
it writes what it is given in one write, tells when a peer takes no more bytes for the moment, and
closes with a reason. Every connection has a number (its link id), given at once when it is dialed;
each ends in exactly one `on_close`, also a dial that came to nothing. A connection costs one
protocol object and no task; a dial costs one task until it is decided.

It does not know what a frame means, who the peer is, or when to dial again. It does not encrypt.
Runs on asyncio's loop and on uvloop.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import Final, cast

from rxfero.errors import AddressInUse, ProtocolError
from rxfero.wire import Wire, why

Frame = tuple[int, int, bytes | memoryview]

HIGH_WATER: Final = 256 * 1024  # bytes waiting for a peer at which it is reported as paused
FLUSH_S: Final = 2.0  # longest a closing connection may take to send what it was given


class Transport:
    """All connections of one node.

    Every callback runs in the event loop. `on_paused` may be called inside :meth:`send`; the others
    never inside a call of a method of this class.

    Args:
        loop: The loop everything runs on.
        frame_max: Most bytes of a frame, in both directions of every connection.
        high_water: Bytes waiting for one peer at which `on_paused(id, True)` is called; `False`
            follows at a quarter of it.
        flush_s: Seconds a closing connection may take to send what it was given.
        on_open: `(link id, address dialed or None)`: a connection is there.
        on_frames: `(link id, frames)`: all whole frames of one read, in order. May raise
            ProtocolError: no more is read, and the connection closes with that reason when the
            callbacks the owner has scheduled until then have run (so that it can say why).
        on_close: `(link id, reason)`: a connection has ended, or a dial came to nothing.
        on_broken: `(link id, error)`: a peer broke the protocol, by a frame that cannot be or by
            one that `on_frames` refused; the connection closes next.
        on_paused: `(link id, paused)`: the peer takes no more, or takes again.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, frame_max: int,
        on_open: Callable[[int, tuple[str, int] | None], None],
        on_frames: Callable[[int, list[Frame]], None],
        on_close: Callable[[int, str], None],
        on_paused: Callable[[int, bool], None],
        on_broken: Callable[[int, ProtocolError], None] | None = None,
        high_water: int = HIGH_WATER, flush_s: float = FLUSH_S,
    ) -> None:  # fmt: skip
        self.loop = loop
        self.frame_max, self.high_water, self.flush_s = frame_max, high_water, flush_s
        self.on_open, self.on_frames = on_open, on_frames
        self.on_close, self.on_paused, self.on_broken = on_close, on_paused, on_broken
        self.wires: dict[int, Wire] = {}
        self._dials: dict[int, Dial] = {}
        self._servers: list[asyncio.Server] = []
        self._last_id = 0
        self._closing = False
        self._idle: asyncio.Future[None] | None = None

    async def listen(
        self, host: str, ports: tuple[int, int] | int | None = None
    ) -> tuple[str, int]:
        """Take connections at one address.

        Args:
            host: A numeric address, or a name, of which the first IPv4 (else IPv6) address is used.
            ports: A port, `(first, last)` of which the first free one is taken (last included), or
                None (or 0) for any free one.

        Returns:
            The numeric host and the port listened on.
        Raises:
            AddressInUse: all the ports are taken; told at once.
            OSError: the host is not one of this machine, or the port is not allowed.
        """
        first, last = ports if isinstance(ports, tuple) else (ports or 0, ports or 0)
        address = await self._resolve(host)
        for port in range(first, last + 1):
            try:
                server = await self.loop.create_server(partial(Wire, self), address, port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            # Two processes may bind one port before either listens on it. Who then may not is told
            # so by asyncio; uvloop gives it a server that is closed, without a socket.
            if server.sockets[0] is None:  # pyright: ignore[reportUnnecessaryComparison]
                server.close()
                continue
            self._servers.append(server)
            name = server.sockets[0].getsockname()
            return name[0], name[1]
        raise AddressInUse(host, (first, last))

    def dial(self, host: str, port: int, timeout_s: float) -> int:
        """Begin to connect; `on_open` or `on_close` tells the outcome, never inside this call."""
        link_id = self.new_id()
        dial = self._dials[link_id] = Dial(host, port)
        dial.task = self.loop.create_task(self._connect(link_id, dial, timeout_s))
        dial.task.add_done_callback(partial(self._dialed, link_id))
        return link_id

    def send(self, link_id: int, data: bytes | list[bytes]) -> None:
        """Write frames to a connection, in one write; an unknown or closed one is ignored."""
        wire = self.wires.get(link_id)
        if wire is not None and wire.reason is None:
            if wire.held:
                wire.hand_over()
            if isinstance(data, list):
                wire.socket.writelines(data)
            else:
                wire.socket.write(data)

    def push(self, link_id: int, data: list[bytes]) -> None:
        """As :meth:`send`, in the middle of a long turn: what the peer can take, it gets now.

        A loop writes when the turn is over, so that until then the peer would have nothing to do.
        """
        wire = self.wires.get(link_id)
        if wire is not None and wire.reason is None:
            wire.push(data)

    def opened(self, link_id: int) -> None:
        """Take frames of every kind and size from a connection: its handshake is done."""
        wire = self.wires.get(link_id)
        if wire is not None:
            wire.open()

    def buffered(self, link_id: int) -> int:
        """Give the bytes that wait for the peer to take them."""
        wire = self.wires.get(link_id)
        if wire is None:
            return 0
        return wire.socket.get_write_buffer_size() + sum(map(len, wire.held))

    def peername(self, link_id: int) -> tuple[str, int] | None:
        """Give the numeric address at the other end of a connection."""
        wire = self.wires.get(link_id)
        name = None if wire is None else wire.socket.get_extra_info("peername")
        return None if not name else (name[0], name[1])

    def close(self, link_id: int, reason: str) -> None:
        """End a connection or a dial; what was sent still goes out, for `flush_s` at most."""
        wire, dial = self.wires.get(link_id), self._dials.get(link_id)
        if wire is not None:
            wire.close(reason)
        elif dial is not None:
            dial.cancel(reason)

    def abort(self, link_id: int, reason: str = "the connection was aborted") -> None:
        """End a connection or a dial at once; what was not sent is lost."""
        self.close(link_id, reason)
        wire = self.wires.get(link_id)
        if wire is not None:
            wire.socket.abort()

    async def aclose(self, reason: str = "the node has closed") -> None:
        """Close everything; afterwards there is no socket, task or timer left.

        Takes `flush_s` at most. Cancelling it aborts what is still open. A second call waits too.
        """
        self._closing = True
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        for link_id in [*self._dials, *self.wires]:
            self.close(link_id, reason)
        try:
            while self._dials or self.wires:
                if self._idle is None:
                    self._idle = self.loop.create_future()
                await asyncio.shield(self._idle)
            for server in servers:
                await server.wait_closed()
        except asyncio.CancelledError:
            for link_id in list(self.wires):
                self.abort(link_id)
            raise

    # --- for the connections

    def new_id(self) -> int:
        """Give the number of a new connection."""
        self._last_id += 1
        return self._last_id

    def made(self, wire: Wire) -> bool:
        """Note that a connection is there; False when there is no place for it any more."""
        if self._closing:
            return False
        self.wires[wire.id] = wire
        dial = self._dials.get(wire.id)
        if dial is not None:
            dial.made = True
        self.on_open(wire.id, wire.dialed)
        return True

    def lost(self, wire: Wire, reason: str) -> None:
        """Note that a connection has ended."""
        if self.wires.pop(wire.id, None) is not None:
            self._settle()
            self.on_close(wire.id, reason)

    # --- dialing

    async def _connect(self, link_id: int, dial: Dial, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            await self.loop.create_connection(
                partial(Wire, self, link_id, (dial.host, dial.port)), dial.host, dial.port
            )

    def _dialed(self, link_id: int, task: asyncio.Task[None]) -> None:
        dial = self._dials.pop(link_id)
        self._settle()
        error = None if task.cancelled() else task.exception()
        if dial.made:
            if task.cancelled() or error is not None:
                self._orphaned(link_id)
            return
        if isinstance(error, TimeoutError) and error.errno is None:
            reason = f"no connection to {dial} in time"
        elif isinstance(error, OSError):
            reason = f"{why(error)} ({dial})"
        elif error is not None:
            reason = f"cannot connect to {dial}: {error!r}"
        else:
            reason = dial.reason or "the dial was cancelled"
        self.on_close(link_id, dial.reason or reason)

    def _orphaned(self, link_id: int) -> None:
        """End a connection whose dial was given up in the moment it was made.

        The loop closes it then, and uvloop does so without telling its protocol.
        """
        wire = self.wires.get(link_id)
        if wire is not None:
            wire.socket.abort()
            wire.connection_lost(ConnectionAbortedError("the dial was given up"))

    def _settle(self) -> None:
        if self._idle is not None and not self._dials and not self.wires:
            self._idle.set_result(None)
            self._idle = None

    async def _resolve(self, host: str) -> str:
        with suppress(ValueError):
            return str(ip_address(host))  # a look-up would start a thread
        found = await self.loop.getaddrinfo(
            host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        best = min(found, key=lambda info: info[0] != socket.AF_INET)
        return cast("str", best[4][0])

    def __repr__(self) -> str:
        return f"<Transport connections={len(self.wires)} dials={len(self._dials)}>"


class Dial:
    """A connection that is on its way."""

    __slots__ = ("host", "made", "port", "reason", "task")

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.made = False
        self.reason: str | None = None
        self.task: asyncio.Task[None] | None = None

    def cancel(self, reason: str) -> None:
        if self.reason is None and self.task is not None:
            self.reason = reason
            self.task.cancel()

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
