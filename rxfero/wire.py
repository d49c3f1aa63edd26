"""The wire: one connection, between the loop that has its bytes and the transport that has frames.

It cuts what comes into frames. What goes is the loop's to write when a turn is over; but what is
pushed in the middle of a long turn, as by a program that asks for a million things without ever
waiting, goes to the socket at once, so that the peer has something to do meanwhile.

It does not know what a frame means, nor what other connections there are.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from rxfero.core.frame import Decoder
from rxfero.errors import ProtocolError

if TYPE_CHECKING:
    from rxfero.transport import Transport

PUSHED: Final = 16  # chunks written at once: as many as every system takes
_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")


class Wire(asyncio.Protocol):
    """One connection: the loop calls it with bytes, it calls the transport with frames.

    Use: `reason` is set when this side closes; nothing is read or sent any more then.
    """

    __slots__ = (
        "_decoder", "_failed", "_file", "_owner", "_stopped", "_timer", "dialed", "held", "id",
        "reason", "socket",
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
        self._file = -1  # -1: all is written by the loop
        self.held: list[bytes | memoryview] = []  # pushed, and not taken by the socket in this turn

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.socket = cast("asyncio.Transport", transport)
        raw: Any = transport.get_extra_info("socket")
        with suppress(OSError):  # the peer may have reset it already; that is told by its end
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(os, "writev"):
            self._file = raw.fileno()
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

    def push(self, data: list[bytes]) -> None:
        if self._file < 0 or self.socket.get_write_buffer_size():
            self.hand_over()
            self.socket.writelines(data)
            return
        if not self.held:
            self._owner.loop.call_soon(self.hand_over)
        self.held += data
        try:
            sent = os.writev(self._file, self.held[:PUSHED])
        except OSError:
            return  # it takes no more now, or has ended, which the loop finds out and tells
        while self.held and sent >= len(self.held[0]):
            sent -= len(self.held.pop(0))
        if sent:
            self.held[0] = memoryview(self.held[0])[sent:]  # what is left may be much: no copy

    def hand_over(self) -> None:
        """Leave to the loop what was pushed and has not left."""
        held, self.held = self.held, []
        if held and self.reason is None:
            self.socket.writelines(held)

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
            self.hand_over()
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
        self._file = -1  # the number may be another's next
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.reason is None:
            lost = "the peer closed the connection"
            self.reason = lost if exc is None else f"the connection broke: {why(exc)}"
        self._owner.lost(self, self.reason)


def why(error: Exception) -> str:
    """Give the cause of a failure in words, for several addresses tried also."""
    codes = {int(code) for code in _ERRNO.findall(str(error))}
    if isinstance(error, OSError) and error.errno:
        codes.add(error.errno)
    if codes == {errno.ECONNREFUSED}:
        return "connection refused"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
