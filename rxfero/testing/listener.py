"""The listener: a port of a simulated host that takes connections; what `create_server` gives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rxfero.testing.socket import Address, Socket

if TYPE_CHECKING:
    from rxfero.testing.host import Process
    from rxfero.testing.stream import Stream


class Listener(asyncio.AbstractServer):
    """A port that takes connections.

    Args:
        process: Whose it is.
        address: Where it listens.
        factory: Makes the protocol of a connection.
    """

    def __init__(self, process: Process, address: Address, factory: Callable[[], Any]) -> None:
        self.process, self.address, self.factory = process, address, factory
        self._sockets = (Socket(address, None),)
        self._closed: asyncio.Future[None] | None = None
        self.open = True

    @property
    def sockets(self) -> tuple[Socket, ...]:
        """Its one socket; none when it is closed."""
        return self._sockets if self.open else ()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self.process.loop

    def is_serving(self) -> bool:
        return self.open

    async def start_serving(self) -> None:
        """Serve, as it does from the beginning."""

    async def serve_forever(self) -> None:
        try:
            await self.process.host.loop.create_future()
        finally:
            self.close()

    def close(self) -> None:
        if self.open:
            self.open = False
            self.process.listeners.remove(self)
            del self.process.host.listeners[self.address[1]]

    def close_clients(self) -> None:
        for stream in self._accepted():
            stream.close()

    def abort_clients(self) -> None:
        for stream in self._accepted():
            stream.abort()

    def _accepted(self) -> list[Stream]:
        port = self.address[1]
        return [s for s in self.process.streams if s.get_extra_info("sockname")[1] == port]

    async def wait_closed(self) -> None:
        """Give the loop a turn: connections go on without their listener."""
        await asyncio.sleep(0)

    def __repr__(self) -> str:
        return f"<Listener {self.address[0]}:{self.address[1]}>"
