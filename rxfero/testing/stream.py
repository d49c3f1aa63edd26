"""The stream: TCP in memory, one end of a connection, as an asyncio transport.

An end keeps to what asyncio's sockets do: what is written waits in the program's buffer until the
connection takes it (`Quality.buffer` bytes may be on their way or unread), with high and low water;
bytes arrive in order, in the pieces that came together; `close` sends what waits and then the end,
`abort` and what comes after an end is a reset. It knows no faults: those are the link's, and
:meth:`Stream.die`.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rxfero.testing.host import RUNNING
from rxfero.testing.link import Flow
from rxfero.testing.socket import Socket

if TYPE_CHECKING:
    from rxfero.testing.host import Process
    from rxfero.testing.network import Network

Address = tuple[str, int]
HIGH = 64 * 1024  # as asyncio's
READ_MAX = 256 * 1024  # bytes of one data_received


class Stream(asyncio.Transport):
    """One end of a connection.

    Args:
        process: Whose it is.
        sockname: Its own address.
        peername: The other end's.
        flow: What it sends with.

    Attributes:
        lost: Whether it has ended.
        inbox: Bytes that have arrived and were not given to the protocol.
    """

    def __init__(
        self, process: Process, sockname: Address, peername: Address, flow: Flow
    ) -> None:
        super().__init__()
        self.process, self.flow = process, flow
        self.peer: Stream | None = None
        self.way = f"{sockname[0]}:{sockname[1]}>{peername[0]}:{peername[1]}"
        self._names = {"sockname": sockname, "peername": peername}
        self._socket = Socket(sockname, peername)
        self._protocol: Any = None
        self._buffer: deque[bytes] = deque()
        self._size = 0  # bytes in the buffer
        self._flight = 0  # bytes the other end has not read yet
        self._high, self._low = HIGH, HIGH // 4
        self._full = False  # whether the protocol has been asked to pause
        self._paused = False  # whether reading is paused
        self.inbox: deque[bytes] = deque()
        self._ended = False  # whether the other end has said that it sends no more
        self._reset: Exception | None = None  # told when the inbox is empty
        self._eof = False  # whether this end sends no more
        self._said = False  # whether the other end is told so
        self._closing = False
        self.lost = False
        process.streams[self] = None

    # --- as a transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket if name == "socket" else self._names.get(name, default)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        if self._paused and not self._closing:
            self._paused = False
            self.process.soon(self._read)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = HIGH if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high, self._low = high, low
        self._check_high()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return self._size

    def can_write_eof(self) -> bool:
        return True

    def write(self, data: Any) -> None:
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        self._buffer.append(bytes(data))
        self._size += len(data)
        self._pump()
        self._check_high()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        if not self._eof and not self._closing:
            self._eof = True
            self._pump()

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._pump()

    def abort(self) -> None:
        self._end(None, reset=True)

    # --- sending

    def _pump(self) -> None:
        """Let the connection take what it can; then what follows after the last byte."""
        room = self.flow.link.quality.buffer - self._flight
        while self._buffer and room > 0:
            data = self._buffer[0] if len(self._buffer) == 1 else b"".join(self._buffer)
            self._buffer.clear()
            if len(data) > room:
                self._buffer.append(data[room:])
                data = data[:room]
            room -= len(data)
            self._size -= len(data)
            self._flight += len(data)
            network = self.network
            network.trace.sent(network.loop.time(), self.way, data)
            self.flow.send(len(data), self._arrived, data)
        if self._buffer or self.lost:
            return
        if self._closing:
            self._end(None, reset=bool(self.inbox))
        elif self._eof:
            self._say_end()

    def _say_end(self) -> None:
        peer = self.peer
        if peer is not None and not self._said:
            self._said = True
            self.network.note(f"{self.way} fin")
            self.flow.send(0, peer.ended)

    def _arrived(self, data: bytes) -> None:
        """Hand over bytes at the other end; runs for the network."""
        peer = self.peer
        if peer is None:
            return
        if peer.lost:
            if peer.process.host.up:
                peer.say_reset()
            return
        peer.inbox.append(data)
        peer.wake()

    def acked(self, size: int) -> None:
        """Note that the other end has read so many bytes; room for more."""
        self._flight -= size
        if self.lost:
            return
        self._pump()
        if self._full and self._size <= self._low:
            self._full = False
            self.process.soon(self._tell, "resume_writing")

    def _check_high(self) -> None:
        if self._size > self._high and not self._full and not self._closing:
            self._full = True
            self._tell("pause_writing")

    def _tell(self, what: str, *args: Any) -> None:
        """Call the protocol; what it raises ends the connection, as in asyncio."""
        try:
            getattr(self._protocol, what)(*args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  (told to the loop, as asyncio does)
            self.network.loop.call_exception_handler({
                "message": f"Fatal error: protocol.{what}() call failed.",
                "exception": error, "transport": self, "protocol": self._protocol,
            })  # fmt: skip
            self._end(error if isinstance(error, Exception) else None, reset=True)

    # --- receiving

    def begin(self, factory: Callable[[], Any]) -> Any:
        """Make the protocol and tell it that it is connected; runs in the process."""
        self._protocol = factory()
        self._tell("connection_made", self)
        if self.inbox or self._ended or self._reset is not None:
            self.process.soon(self._read)
        return self._protocol

    def wake(self) -> None:
        """Let the process read, if it runs."""
        if self.process.state == RUNNING and self._protocol is not None and not self._paused:
            self.process.context.run(self._read)

    def _read(self) -> None:
        while not self._paused and not self._closing and self.inbox:
            data = self.inbox.popleft()
            while self.inbox and len(data) + len(self.inbox[0]) <= READ_MAX:
                data += self.inbox.popleft()
            self._acknowledge(len(data))
            self._tell("data_received", data)
        if self.inbox or self._paused or self.lost:
            return
        if self._reset is not None:
            self._end(self._reset, reset=False)
        elif self._ended and not self._closing:
            self._ended = False
            keep = False
            try:
                keep = bool(self._protocol.eof_received())
            except Exception as error:  # noqa: BLE001  (as in _tell)
                self._end(error, reset=True)
            if not keep:
                self.close()

    def _acknowledge(self, size: int) -> None:
        peer = self.peer
        if peer is None or peer.lost:
            return
        if peer.waits or self.flow.link.cut or self.flow.blackhole:
            self.flow.send(0, peer.acked, size)
        else:
            peer.acked(size)  # nobody can tell when it comes

    @property
    def waits(self) -> bool:
        """Whether bytes wait for the connection to take them."""
        return self._size > 0

    def ended(self) -> None:
        """Note that the other end sends no more."""
        if self.lost:
            return
        self._ended = True
        self.wake()

    def reset(self) -> None:
        """Note that the other end knows nothing of the connection; what has arrived is read."""
        if self.lost:
            return
        self._buffer.clear()
        self._size = 0
        self._reset = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        self.flow.drop()
        if self._closing:
            self._end(self._reset, reset=False)
        else:
            self.wake()

    # --- the end

    def say_reset(self) -> None:
        """Tell the other end that there is nothing here; once, and again when it sends."""
        peer = self.peer
        if peer is not None and not peer.lost:
            self.network.note(f"{self.way} rst")
            flow = Flow(self.flow.link) if self.flow.silent else self.flow
            flow.once(peer.reset)

    def _end(self, error: Exception | None, *, reset: bool) -> None:
        if self.lost:
            return
        self._closing = self.lost = True
        self._buffer.clear()
        self._size = 0
        self.process.streams.pop(self, None)
        if self._reset is None and not self.flow.silent:
            if reset:
                self.flow.drop()
                self.say_reset()
            else:
                self._say_end()
        if self._protocol is not None:
            self.process.soon(self._protocol.connection_lost, error)

    def break_off(self) -> None:
        """End here with an error while the other end learns nothing of it: half open."""
        self.flow.blackhole = True
        if self.peer is not None:
            self.peer.flow.blackhole = True
        self._end(TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)), reset=False)

    def die(self, *, silent: bool) -> None:
        """End with the process: the host says so to the other end, or nobody does."""
        self._protocol = None
        if silent:
            self.flow.blackhole = self.flow.silent = True
        self._end(None, reset=bool(self.inbox))

    @property
    def network(self) -> Network:
        """The network it is in."""
        return self.flow.link.network

    def __repr__(self) -> str:
        return f"<Stream {self.way}{' lost' if self.lost else ''}>"
