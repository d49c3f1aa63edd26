"""The raw peer: a TCP connection that speaks the protocol as far as a test wants it to."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from rxfero.core import frame
from rxfero.core.frame import Decoder
from rxfero.core.link import Identity, Link

DIGEST = "2048/200/mmh3"


def identity(**changed: Any) -> Identity:
    """Give who the raw peer says it is: a client of "test", unless told otherwise."""
    plain = Identity("rxfero", "test", "raw", 7, "client", None, "", 0, DIGEST)
    return plain._replace(**changed)


class Raw:
    """One connection to a server.

    Use: :meth:`dial`, then :meth:`greet` for a handshake, :meth:`send` for bytes,
        :meth:`closed` for what the server said before it closed.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.link: Link | None = None
        self.frames: list[tuple[int, Any]] = []
        self._decoder = Decoder(1 << 22)

    @classmethod
    async def dial(cls, port: int) -> Raw:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def greet(self, who: Identity | None = None) -> Raw:
        """Do the handshake; raises ConnectionError when it is refused."""
        self.link = Link(
            1, who or identity(), ("127.0.0.1", 1), time.monotonic(), ping_ms=500, dead_ms=5000,
            timeout_ms=5000, secret=None, nonce=os.urandom(32),
        )
        async with asyncio.timeout(5):
            while self.link.state not in ("open", "closed"):
                self._say()
                data = await self._read()
                if not data:
                    raise ConnectionError(f"closed by the server: {self.reasons}")
                self._take(data)
                for kind, body in list(self.frames):
                    if self.link.state not in ("open", "closed"):
                        self.frames.remove((kind, body))
                        self.link.receive(kind, 0, body, time.monotonic())
                        if self.link.state == "open":
                            self._decoder.open()
                            self._take(b"")
        if self.link.state == "closed":
            raise ConnectionError(self.link.reason)
        self._say()
        return self

    def _say(self) -> None:
        assert self.link is not None
        self.writer.write(b"".join(self.link.out))
        self.link.out.clear()

    def _take(self, data: bytes) -> None:
        self.frames += [(kind, body) for kind, _, body in self._decoder.feed(data)]

    @property
    def reasons(self) -> list[str]:
        """What the server said in REFUSE and GOAWAY frames."""
        return [
            frame.unpack(kind, body, _Limits)[0]
            for kind, body in self.frames
            if kind in (frame.REFUSE, frame.GOAWAY)
        ]

    def send(self, *chunks: bytes) -> None:
        """Write bytes."""
        self.writer.write(b"".join(chunks))

    def say(self, kind: int, fields: Any) -> None:
        """Write a frame."""
        self.send(frame.encode(kind, fields))

    async def reply(self, number: int) -> list[Any]:
        """Wait for the REPLY to a request; give its fields."""
        async with asyncio.timeout(5):
            while True:
                for kind, body in self.frames:
                    if kind == frame.REPLY:
                        fields = frame.unpack(kind, body, _Limits)
                        first, rest = fields[2]
                        if number in (rest if first == 0 else range(first, first + rest)):
                            return fields
                data = await self._read()
                assert data, self.reasons
                self._take(data)

    async def closed(self) -> list[str]:
        """Wait until the server closes; give the reasons it said."""
        try:
            async with asyncio.timeout(5):
                while data := await self._read():
                    self.frames += [(kind, body) for kind, _, body in self._decoder.feed(data)]
        finally:
            self.writer.close()
        return self.reasons

    async def _read(self) -> bytes:
        try:
            return await self.reader.read(1 << 16)
        except ConnectionError:
            return b""



class _Limits:
    containers = 1 << 10
