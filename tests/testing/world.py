"""A small world: a network on a virtual loop, and processes on its hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from rxfero.testing.host import Process
from rxfero.testing.link import Quality
from rxfero.testing.loop import VirtualLoop, simulate
from rxfero.testing.network import Network

PORT = 4000


def world(
    main: Callable[[Network], Awaitable[Any]], *, seed: int = 1, quality: Quality | None = None
) -> Any:
    """Run a function of a new network on virtual time."""

    async def run() -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        network = Network(loop, seed, quality)
        try:
            return await main(network)
        finally:
            for host in network.hosts.values():
                if host.process is not None:
                    host.process.kill()
            loop.bury()

    return simulate(run())


class End(asyncio.Protocol):
    """One end of a connection, and what it was told."""

    def __init__(self) -> None:
        self.data = b""
        self.pieces: list[bytes] = []
        self.told: list[str] = []
        self.error: Exception | None = None
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.pieces.append(data)

    def eof_received(self) -> bool:
        self.told.append("eof")
        return False

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.told.append("lost" if exc is None else type(exc).__name__)


async def pair(network: Network, near: Process, far: Process) -> tuple[End, End]:
    """Connect two processes, and give both ends."""
    ends: list[End] = []

    def factory() -> End:
        ends.append(End())
        return ends[-1]

    if PORT not in far.host.listeners:
        network.listen(far, factory, far.host.address, PORT)
    else:
        far.host.listeners[PORT].factory = factory
    _, end = await network.connect(near, End, far.host.name, PORT, {})
    await asyncio.sleep(0.01)
    return end, ends[-1]
