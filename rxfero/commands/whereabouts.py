"""The whereabouts: where a command looks for a cluster, and how it comes to one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from rxfero.cache import Cache
from rxfero.commands.progress import Progress
from rxfero.errors import ConfigurationError
from rxfero.monitor import Monitor
from rxfero.options import Options, read_options
from rxfero.service import fero

LOOK_S = 0.1  # between looks at how much of the state is here
REASONS = 3  # told of those for which nodes refused us


class NoCluster(Exception):
    """No server was found, or none of that service."""


@Parameter(name="*")
@dataclass(frozen=True)
class Whereabouts:
    """Where to look; without hosts and ports, by multicast on loopback.

    Attributes:
        hosts: Hosts, separated by commas: names, addresses, "host:port".
        ports: A port, or the first and the last as 5100-5109.
        cluster: The cluster's name.
        secret: The cluster's secret.
        interface: Address of the interface to look on by multicast.
        multicast: Whether to look by multicast; by default when no hosts and ports are given.
        timeout: Seconds to look, and then to wait for each answer.
    """

    hosts: Annotated[str | None, Parameter(env_var="RXFERO_HOSTS")] = None
    ports: Annotated[str | None, Parameter(env_var="RXFERO_PORTS")] = None
    cluster: Annotated[str, Parameter(env_var="RXFERO_CLUSTER")] = "rxfero"
    secret: Annotated[str | None, Parameter(env_var="RXFERO_SECRET")] = None
    interface: Annotated[str | None, Parameter(env_var="RXFERO_INTERFACE")] = None
    multicast: bool | None = None
    timeout: float = 5.0

    def options(self) -> dict[str, Any]:
        """Give the options of a node that looks there.

        Raises:
            ConfigurationError: the ports are none, or the timeout is not > 0.
        """
        if not 0 < self.timeout < 1e6:
            raise ConfigurationError("--timeout", self.timeout, "must be seconds > 0")
        made: dict[str, Any] = {"cluster": self.cluster}
        if self.hosts is not None:
            made["hosts"] = [host.strip() for host in self.hosts.split(",") if host.strip()]
        if self.ports is not None:
            numbers = self.ports.split("-")
            if len(numbers) > 2 or not all(n.isascii() and n.isdigit() for n in numbers):
                raise ConfigurationError("--ports", self.ports, "must be as 5100 or 5100-5109")
            made["ports"] = [int(number) for number in numbers]
        if self.secret is not None:
            made["security"] = {"secret": self.secret}
        if self.interface is not None:
            made["multicast"] = {"host": self.interface}
        elif self._by_multicast:
            made["multicast"] = True
        return made

    def words(self) -> list[str]:
        """Give the arguments that say the same."""
        said = {
            "--hosts": self.hosts, "--ports": self.ports, "--cluster": self.cluster,
            "--interface": self.interface,
        }  # fmt: skip
        made = [f"{name}={value}" for name, value in said.items() if value is not None]
        if self.multicast is not None:
            made.append("--multicast" if self.multicast else "--no-multicast")
        return made

    def read(self) -> Options:
        """Give the options, checked."""
        return read_options(self.options())

    @property
    def _by_multicast(self) -> bool:
        if self.multicast is None:
            return self.hosts is None and self.ports is None
        return self.multicast

    @asynccontextmanager
    async def join(self, service: str) -> AsyncGenerator[Cache, None]:
        """Be a client of a service for a while.

        Raises:
            NoCluster: no server of it was found.
        """
        starting = fero(service, client=True, **self.options())
        async with starting as cache:
            await self._synced(cache)
            yield cache

    async def _synced(self, cache: Cache) -> None:
        """Wait until the state is here: as long as it takes, if only more of it comes."""
        loop, most = asyncio.get_running_loop(), -1
        waiting = asyncio.ensure_future(cache.connected(1, None))
        try:
            with Progress(f"syncing {cache.name}", "records") as progress:
                until = loop.time() + self.timeout
                while not (await asyncio.wait({waiting}, timeout=LOOK_S))[0]:
                    records: int = cache.stats()["records"]
                    if records > max(0, most):
                        most, until = records, loop.time() + self.timeout
                        progress.show(records)
                    elif loop.time() > until:
                        raise await self.nobody(cache.name)
                waiting.result()
        finally:
            waiting.cancel()

    async def nobody(self, service: str | None) -> NoCluster:
        """Give the error that says what was found instead of a service."""
        where = self._where()
        async with Monitor(None, self.read()) as monitor:
            seen = await monitor.look(min(1.0, self.timeout))
        services = sorted({node.figures["service"] for node in seen})
        if service is not None and services:
            return NoCluster(f"no server of {service!r} {where}; there is: {', '.join(services)}")
        reasons = list(monitor.refused)[:REASONS]
        if reasons:
            return NoCluster(f"every server {where} refused: {'; '.join(reasons)}")
        hint = "" if self.hosts or self.ports else "; servers are found so that have multicast=True"
        return NoCluster(f"no server {where}{hint} (else give --hosts and --ports)")

    def _where(self) -> str:
        options = self.read()
        places = [f"at {', '.join(map(str, options.hosts))}"]
        if options.ports is not None and isinstance(options.ports, tuple):
            places.append("ports {}-{}".format(*options.ports))
        if options.multicast:
            group = options.constants.multicast
            if self.hosts is None and self.ports is None:
                places = []
            places.append(f"by multicast on {group.host} ({group.ip}:{group.port})")
        return " ".join(places)
