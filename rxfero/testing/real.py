"""The real cluster: nodes on loopback, with real sockets on ports that the system chose.

For tests of what a simulation has not: the loop that is used in production, threads, a whole stack.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rxfero.errors import ConfigurationError
from rxfero.service import fero
from rxfero.testing.waiting import Waiting

if TYPE_CHECKING:
    from rxfero.cache import Cache
    from rxfero.node import Node

HOST = "127.0.0.1"
FEW_SHARDS = {"shards": 16}


class RealMember:
    """One node of a real cluster.

    Attributes:
        name: s1, s2 and so on for servers, c1 and so on for clients; also its node's id.
        cache: Its cache.
    """

    def __init__(self, name: str, cache: Cache) -> None:
        self.name = self.id = name
        self.cache = cache

    @property
    def node(self) -> Node:
        """The node under its cache."""
        return self.cache._node  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    @property
    def client(self) -> bool:
        """Whether it is a client."""
        return bool(self.node.options.client)

    @property
    def running(self) -> bool:
        """Whether it has not been stopped."""
        return not self.node.closed

    async def stop(self) -> None:
        """Leave the cluster in good order. Idempotent."""
        await self.cache.destroy()

    def __repr__(self) -> str:
        return f"<RealMember {self.name} {'up' if self.running else 'down'}>"


class FeroCluster(Waiting):
    """A cluster of nodes on loopback, in this process and on the running loop.

    An async context manager; at its end every node is destroyed, the clients first.

    Args:
        servers: How many servers there are at first.
        clients: How many clients.
        service: The service's name.
        handler: As of :func:`rxfero.fero`, on every member.
        **options: Options of :func:`rxfero.fero` for every member, but hosts, ports, client and
            id. Without `constants` there are 16 shards, so that starting is cheap.

    Attributes:
        servers, clients: The members.

    Raises:
        ConfigurationError: an option that the cluster gives itself.
    """

    def __init__(
        self, *, servers: int = 3, clients: int = 0, service: str = "real",
        handler: Callable[..., Any] | None = None, **options: Any,
    ) -> None:  # fmt: skip
        for name in ("hosts", "ports", "client", "id"):
            if name in options:
                raise ConfigurationError(name, options[name], "is given by the cluster itself")
        self._counts = servers, clients
        self._service, self._handler = service, handler
        self._options: dict[str, Any] = {"constants": FEW_SHARDS, **options}
        self.servers: list[RealMember] = []
        self.clients: list[RealMember] = []

    async def __aenter__(self) -> FeroCluster:
        try:
            for _ in range(self._counts[0]):
                await self.add_server()
            for _ in range(self._counts[1]):
                await self.add_client()
            await self.whole()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        await self.aclose()

    async def aclose(self) -> None:
        """Destroy every node. Idempotent."""
        for member in [*self.clients, *reversed(self.servers)]:
            with suppress(Exception):
                await member.stop()
            await asyncio.sleep(0)

    @property
    def members(self) -> list[RealMember]:
        """All members: the servers, then the clients."""
        return [*self.servers, *self.clients]

    def __getitem__(self, name: RealMember | str) -> RealMember:
        """Give a member by its name.

        Raises:
            KeyError: there is none.
        """
        for member in self.members:
            if name in (member.name, member):
                return member
        raise KeyError(name)

    async def add_server(self) -> RealMember:
        """Start one more server, and wait until it is ready."""
        name = f"s{len(self.servers) + 1}"
        member = RealMember(name, await self._start(name, [HOST]))
        self.servers.append(member)
        return member

    async def add_client(self, **options: Any) -> RealMember:
        """Start one more client, with options of its own, and wait until it is ready."""
        name = f"c{len(self.clients) + 1}"
        member = RealMember(name, await self._start(name, [], **{"client": True, **options}))
        self.clients.append(member)
        return member

    async def _start(self, name: str, own: list[str], **more: Any) -> Cache:
        others = [m.node.replica.identity for m in self.servers if m.running]
        hosts = [*own, *(f"{other.host}:{other.port}" for other in others)] or [HOST]
        options: dict[str, Any] = {**self._options, "hosts": hosts, "id": name, **more}
        return await fero(self._service, self._handler, **options)

    def __repr__(self) -> str:
        return f"<FeroCluster {self.members!r}>"
