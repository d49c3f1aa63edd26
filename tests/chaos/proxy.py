"""The proxy: a TCP relay that treats what goes through it badly, on command.

One stands before each server; clients and servers dial the proxies' ports, so every connection
between processes goes through one. What it does is done to all its connections at once: `delay`
them, `stall` them (nothing passes, nothing ends), make them `slow` (bytes a second), pass them in
`slices` of a few bytes, `reset` them.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from contextlib import suppress

CHUNK = 1 << 16
LINGER = struct.pack("ii", 1, 0)  # close with RST


class Proxy:
    """Relays connections from a port of its own to a server.

    Attributes:
        delay: Seconds that each chunk waits.
        rate: Most bytes a second of each direction; 0 is no limit.
        slices: Whether chunks are cut into pieces of 1 to 7 bytes.
        resets: Connections ended so far.
    """

    def __init__(self, target: int, rng: random.Random, host: str) -> None:
        self.target, self.host, self._rng = target, host, rng
        self.port = 0
        self.delay, self.rate, self.slices = 0.0, 0, False
        self.resets = 0
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None
        self._pairs: dict[int, tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            far, there = await asyncio.open_connection(self.host, self.target)
        except OSError:
            self._abort(back)
            return
        number = id(back)
        self._pairs[number] = (back, there)
        both = [
            asyncio.ensure_future(self._pass(near, there)),
            asyncio.ensure_future(self._pass(far, back)),
        ]
        self._tasks.update(both)
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            self._tasks.difference_update(both)
            self._pairs.pop(number, None)
            for writer in (back, there):
                with suppress(OSError, RuntimeError):
                    writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                for part in self._parts(data):
                    writer.write(part)
                    await writer.drain()
                    await self._flows.wait()
                    if self.rate:
                        await asyncio.sleep(len(part) / self.rate)

    def _parts(self, data: bytes) -> list[bytes]:
        if not self.slices:
            return [data]
        parts: list[bytes] = []
        while data:
            size = self._rng.randint(1, 7) if len(parts) < 200 else len(data)
            parts.append(data[:size])
            data = data[size:]
        return parts

    def stall(self) -> None:
        """Let nothing pass; connections stay, and new ones open, silent."""
        self._flows.clear()

    def reset(self) -> None:
        """End all connections as by a fault of the network."""
        for pair in list(self._pairs.values()):
            for writer in pair:
                self._abort(writer)
            self.resets += 1

    def calm(self) -> None:
        """Treat everything well again."""
        self.delay, self.rate, self.slices = 0.0, 0, False
        self._flows.set()

    def _abort(self, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        with suppress(OSError):
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        writer.transport.abort()

    async def close(self) -> None:
        """End everything."""
        self._flows.set()
        if self._server is not None:
            self._server.close()
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def __repr__(self) -> str:
        return f"<Proxy {self.port} to {self.target} connections={len(self._pairs)}>"
