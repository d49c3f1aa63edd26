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
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import Any, Final, cast

from rxfero.core.frame import Decoder
from rxfero.errors import AddressInUse, ProtocolError

Frame = tuple[int, int, bytes]

HIGH_WATER: Final = 256 * 1024  # bytes waiting for a peer at which it is reported as paused
FLUSH_S: Final = 2.0  # longest a closing connection may take to send what it was given
_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")


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
        self.wires: dict[int, _Wire] = {}
        self._dials: dict[int, _Dial] = {}
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
                server = await self.loop.create_server(partial(_Wire, self), address, port)
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
        dial = self._dials[link_id] = _Dial(host, port)
        dial.task = self.loop.create_task(self._connect(link_id, dial, timeout_s))
        dial.task.add_done_callback(partial(self._dialed, link_id))
        return link_id

    def send(self, link_id: int, data: bytes | list[bytes]) -> None:
        """Write frames to a connection, in one write; an unknown or closed one is ignored."""
        wire = self.wires.get(link_id)
        if wire is not None and wire.reason is None:
            if isinstance(data, list):
                data = data[0] if len(data) == 1 else b"".join(data)
            wire.socket.write(data)

    def opened(self, link_id: int) -> None:
        """Take frames of every kind and size from a connection: its handshake is done."""
        wire = self.wires.get(link_id)
        if wire is not None:
            wire.open()

    def buffered(self, link_id: int) -> int:
        """Give the bytes that wait for the peer to take them."""
        wire = self.wires.get(link_id)
        return 0 if wire is None else wire.socket.get_write_buffer_size()

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

    def made(self, wire: _Wire) -> bool:
        """Note that a connection is there; False when there is no place for it any more."""
        if self._closing:
            return False
        self.wires[wire.id] = wire
        dial = self._dials.get(wire.id)
        if dial is not None:
            dial.made = True
        self.on_open(wire.id, wire.dialed)
        return True

    def lost(self, wire: _Wire, reason: str) -> None:
        """Note that a connection has ended."""
        if self.wires.pop(wire.id, None) is not None:
            self._settle()
            self.on_close(wire.id, reason)

    # --- dialing

    async def _connect(self, link_id: int, dial: _Dial, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            await self.loop.create_connection(
                partial(_Wire, self, link_id, (dial.host, dial.port)), dial.host, dial.port
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
            reason = f"{_why(error)} ({dial})"
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


class _Dial:
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


class _Wire(asyncio.Protocol):
    """One connection: the loop calls it with bytes, it calls the transport with frames.

    Use: `reason` is set when this side closes; nothing is read or sent any more then.
    """

    __slots__ = (
        "_decoder", "_failed", "_owner", "_stopped", "_timer", "dialed", "id", "reason", "socket",
    )  # fmt: skip

    socket: asyncio.Transport

    def __init__(
        self, owner: Transport, link_id: int | None = None, dialed: tuple[str, int] | None = None
    ) -> None:
        self._owner = owner
        self.id = owner.new_id() if link_id is None else link_id
        self.dialed = dialed
        self.reason: str | None = None
        self._decoder = Decoder(owner.frame_max)
        self._failed = False  # whether the peer broke the protocol
        self._stopped = False  # whether reading is paused
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.socket = cast("asyncio.Transport", transport)
        raw: Any = transport.get_extra_info("socket")
        with suppress(OSError):  # the peer may have reset it already; that is told by its end
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.set_write_buffer_limits(high=self._owner.high_water)
        if not self._owner.made(self):
            self.socket.abort()

    def data_received(self, data: bytes) -> None:
        decoder = self._decoder
        if self._failed:
            return
        try:
            frames = decoder.feed(data)
            while frames and self.reason is None:
                was_open = decoder.is_open
                self._owner.on_frames(self.id, frames)
                if was_open or not decoder.is_open:
                    break
                frames = decoder.feed(b"")  # what came behind the handshake's last frame
        except ProtocolError as error:
            self._fail(error)
            return
        if decoder.failed is not None:
            self._fail(decoder.failed)
        elif decoder.held and not self._stopped:
            self._stopped = True
            self.socket.pause_reading()

    def open(self) -> None:
        held = self._decoder.held
        self._decoder.open()
        if held:
            self._owner.loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self.reason is not None or self._failed:
            return
        if self._stopped:
            self._stopped = False
            self.socket.resume_reading()
        self.data_received(b"")

    def _fail(self, error: ProtocolError) -> None:
        self._failed = True
        if self._owner.on_broken is not None:
            self._owner.on_broken(self.id, error)
        self._owner.loop.call_soon(self.close, str(error))

    def close(self, reason: str) -> None:
        if self.reason is None:
            self.reason = reason
            self.socket.close()
            self._timer = self._owner.loop.call_later(self._owner.flush_s, self.socket.abort)

    def pause_writing(self) -> None:
        if self.reason is None:
            self._owner.on_paused(self.id, True)

    def resume_writing(self) -> None:
        if self.reason is None:
            self._owner.on_paused(self.id, False)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.reason is None:
            lost = "the peer closed the connection"
            self.reason = lost if exc is None else f"the connection broke: {_why(exc)}"
        self._owner.lost(self, self.reason)


def _why(error: Exception) -> str:
    """Give the cause of a failure in words, for several addresses tried also."""
    codes = {int(code) for code in _ERRNO.findall(str(error))}
    if isinstance(error, OSError) and error.errno:
        codes.add(error.errno)
    if codes == {errno.ECONNREFUSED}:
        return "connection refused"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
