"""The DNS: a name that stands for many servers is looked up, again and again.

A headless service of an orchestrator, or a name with several A and AAAA records, gives one address
a server. The addresses need a port; with SRV records (extra ``dns``) the port is in the record.

It asks the system's resolver, in a thread of the loop's pool; SRV by dnspython.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rxfero.discovery.hosts import parse_host
from rxfero.errors import ConfigurationError
from rxfero.tasks import end_tasks

if TYPE_CHECKING:
    from rxfero.ports import Seeker

Lookup = Callable[[str, int], Awaitable[list[tuple[str, int]]]]

EVERY_S: Final = 5.0
ALONE_S: Final = 1.0  # while nobody is connected
ADDRESSES: Final = 1024  # of one answer that are looked at


class Dns:
    """A :class:`~rxfero.ports.Finder` by names.

    Args:
        name: The name of the headless service, as "users.default.svc.cluster.local"; with `srv`
            the one of its SRV records, as "_rxfero._tcp.users.default.svc.cluster.local".
        port: Where the servers listen; not given with `srv`.
        srv: Whether to ask for SRV records; needs the extra ``dns``.
        every_s: Seconds between look-ups of a node that has found somebody.
        lookup: Async function of (name, port) that gives (host, port) pairs, instead of all that.

    Raises:
        ConfigurationError: the name is none, or the port is missing or too many.
    """

    def __init__(
        self, name: str, port: int | None = None, *, srv: bool = False, every_s: float = EVERY_S,
        lookup: Lookup | None = None,
    ) -> None:
        if parse_host(name)[1] is not None:
            raise ConfigurationError("name", name, "must be a name; the port is another argument")
        if srv == (port is not None):
            raise ConfigurationError(
                "port", port, "must be given, or be left out with srv=True, which tells it"
            )
        if port is not None:
            parse_host((name, port))
        if not every_s > 0:
            raise ConfigurationError("every_s", every_s, "must be seconds > 0")
        self.name, self.port, self.every_s = name, port or 0, every_s
        self._lookup: Lookup = lookup or (_srv if srv else _addresses)

    async def find(self, here: Seeker, found: Callable[[str, int], None]) -> None:
        """Look up until cancelled.

        A name that is not there (yet) is looked up again: the others may not have started.

        Raises:
            ConfigurationError: SRV records without the extra ``dns``.
        """
        while True:
            try:
                addresses = await self._lookup(self.name, self.port)
            except OSError:
                addresses = []
            for host, port in addresses[:ADDRESSES]:
                found(host, port)
            await asyncio.sleep(min(ALONE_S, self.every_s) if here.alone() else self.every_s)

    def __repr__(self) -> str:
        return f"<Dns {self.name}>"


async def _addresses(name: str, port: int) -> list[tuple[str, int]]:
    """Give the A and AAAA records of a name."""
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((str(info[4][0]), port) for info in infos))


async def _srv(name: str, port: int) -> list[tuple[str, int]]:
    """Give the SRV records of a name, the preferred ones first."""
    del port
    try:
        from dns import asyncbackend, asyncresolver, exception  # noqa: PLC0415  (an extra)
    except ImportError:
        raise ConfigurationError("srv", True, "needs the extra: pip install rxfero[dns]") from None
    backend: Any = copy(asyncbackend.get_backend("asyncio"))
    backend.make_socket = partial(_made, backend.make_socket)
    asked = asyncio.ensure_future(asyncresolver.resolve(name, "SRV", backend=backend))
    try:
        await asyncio.wait([asked])  # itself would forget a cancellation, by wait_for (see tasks)
        answer: Any = asked.result()
    except exception.DNSException as error:
        raise OSError(f"no SRV records of {name}: {error}") from error
    finally:
        await end_tasks([asked])
    records = sorted(answer, key=lambda r: (r.priority, -r.weight))
    return [(r.target.to_text(omit_final_dot=True), r.port) for r in records]


async def _made(make: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
    """Make a socket, and close it if it was not to be: uvloop leaves one open that is cancelled."""
    making = asyncio.ensure_future(make(*args, **options))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        await (await making).close()
        raise
