"""The simulated cluster: whole nodes over a simulated network and clock, and faults at will.

The nodes are the production's: only sockets, clocks and chance are others
(:mod:`rxfero.surroundings`). Everything that happens follows from the seed and the program, so a
run can be had again, byte for byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from rxfero.cache import Cache
from rxfero.testing.faults import Faults, Who
from rxfero.testing.link import Quality
from rxfero.testing.loop import VirtualLoop
from rxfero.testing.member import Member
from rxfero.testing.network import Network
from rxfero.testing.schedule import Schedule
from rxfero.testing.trace import LINES, Trace
from rxfero.testing.waiting import Waiting

PORT = 7000
SHARDS = 16  # few: what a heartbeat costs grows with them


class SimulatedCluster(Faults, Waiting):
    """A cluster of real nodes on virtual time; an async context manager.

    It starts all members together and waits until the cluster is whole. At the end every member
    that is still up is killed, so the end never hangs; who wants them to leave awaits
    :meth:`Member.stop` before.

    Args:
        seed: Of all chance.
        servers: How many servers there are at first: s1, s2 and so on.
        clients: How many clients: c1, c2 and so on.
        service: The service's name.
        handler: As of :func:`rxfero.fero`, on every member.
        quality: What the links are like at first.
        disks: Whether each server has a disk: `storage` in a temporary directory of its own, which
            is deleted at the end. What a quorum needs.
        skew_s: How far each wall clock is off at first, at most, ahead or behind.
        keep: Lines of the trace that are held.
        **options: Options of :func:`rxfero.fero` for every member. Without `constants` there are
            16 shards, so that long times are cheap.

    Attributes:
        servers, clients: The members.
        network: The network.

    Raises:
        RuntimeError: (when entered) the running loop is none with virtual time.

    ::

        async def main():
            async with SimulatedCluster(seed=1, servers=3, clients=2) as c:
                c.split("s1", ["s2", "s3"])
                await asyncio.sleep(3600)
                c.heal()
                await c.same()

        simulate(main())
    """

    def __init__(
        self, *, seed: int = 0, servers: int = 3, clients: int = 0, service: str = "simulated",
        handler: Callable[..., Any] | None = None, quality: Quality | None = None,
        disks: bool = False, skew_s: float = 0.0, keep: int = LINES, **options: Any,
    ) -> None:  # fmt: skip
        self.seed = seed
        self._counts = servers, clients
        self._service, self._handler, self._options = service, handler, options
        self._disks = disks
        self._folder: TemporaryDirectory[str] | None = None
        self._quality, self._skew_s, self._keep = quality, skew_s, keep
        self._loop: VirtualLoop
        self.servers, self.clients = [], []

    # --- life

    async def __aenter__(self) -> SimulatedCluster:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop):
            raise RuntimeError(
                "SimulatedCluster needs a loop with virtual time: run the program by"
                " rxfero.testing.simulate(main()), or use the fixture simulated_cluster"
            )
        self._loop = loop
        if self._disks:
            self._folder = TemporaryDirectory(prefix="rxfero-")
        self.network = Network(loop, self.seed, self._quality, self._keep)
        for _ in range(self._counts[0]):
            self._server()
        for _ in range(self._counts[1]):
            self._client()
        try:
            await asyncio.gather(*(member.start() for member in self.members))
            await self.whole()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Kill all that lives. Idempotent."""
        for member in self.members:
            member.crash()
        self._loop.bury()
        if self._folder is not None:
            self._folder.cleanup()

    def _server(self) -> Member:
        member = self._member(f"s{len(self.servers) + 1}", client=False)
        self.servers.append(member)
        return member

    def _client(self, **more: Any) -> Member:
        member = self._member(f"c{len(self.clients) + 1}", client=True, **more)
        self.clients.append(member)
        return member

    def _member(self, name: str, *, client: bool, **more: Any) -> Member:
        def options(member: Member) -> dict[str, Any]:
            own = [] if client else [member.host.address]
            hosts = dict.fromkeys([*own, *(s.host.address for s in self.servers)])
            made: dict[str, Any] = {
                "hosts": list(hosts), "ports": (PORT, PORT), "id": member.id,
                "constants": {"shards": SHARDS},
            }  # fmt: skip
            if client:
                made["client"] = True
            elif self._folder is not None:
                made["storage"] = self._place(member.name)
            return made | self._options | more

        host = self.network.host(name)
        host.skew_s = self._skew_s * host.rng.uniform(-1.0, 1.0)
        return Member(host, self._service, self._handler, options)

    # --- members

    @property
    def trace(self) -> Trace:
        """What happened so far."""
        return self.network.trace

    async def add_server(self) -> Member:
        """Start one more server, and wait until it is ready."""
        member = self._server()
        await member.start()
        return member

    async def add_client(self, **options: Any) -> Member:
        """Start one more client, with options of its own, and wait until it is ready."""
        member = self._client(**options)
        await member.start()
        return member

    def _place(self, name: str) -> str:
        assert self._folder is not None, "there are disks"
        return str(Path(self._folder.name) / name)

    async def restart(self, who: Who, *, fresh: bool = False, wipe: bool = False) -> Cache:
        """Start a member again, after a crash if it still lives.

        Args:
            fresh: Whether it comes as another node, with a name not seen before; else it is the
                same node with a new boot.
            wipe: Whether its disk is empty; another node's always is.

        Returns:
            Its new cache, ready.
        """
        member = self[who]
        member.crash()
        if fresh:
            member.id = f"{member.name}.{member.lives + 1}"
        if self._folder is not None and (fresh or wipe):
            rmtree(self._place(member.name), ignore_errors=True)
        return await member.start()

    def play(self, schedule: Schedule) -> asyncio.Task[None]:
        """Let faults happen by a plan, counted from now; the task ends with the last of them.

        Raises: (when awaited) what a fault raises that cannot be.
        """
        return self._loop.create_task(schedule.run(self))

    def __repr__(self) -> str:
        return f"<SimulatedCluster seed={self.seed} {self.members!r}>"
