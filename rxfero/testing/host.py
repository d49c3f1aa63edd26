"""The host: a simulated machine with an address and clocks, and the processes that live on it.

A :class:`Process` is one life of a program on a host. Whatever its code schedules carries the
process in its context, so that a stopped process stands still (what is due for it waits), and
nothing of a killed one runs any more. Code without a process is the program's: the test itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import TYPE_CHECKING, Any, Final, cast

from rxfero.surroundings import Surroundings
from rxfero.testing.platter import Platter

if TYPE_CHECKING:
    from rxfero.testing.datagram import Datagrams
    from rxfero.testing.listener import Listener
    from rxfero.testing.network import Network
    from rxfero.testing.stream import Stream

PROCESS: ContextVar[Process | None] = ContextVar("PROCESS", default=None)
"""The process that the running code belongs to; None: the program."""

EPOCH_S: Final = 1_700_000_000.0
"""The wall clock at the beginning of virtual time."""

RUNNING, STOPPED, DEAD = "running", "stopped", "dead"
PORTS = (32_768, 60_999)  # of dials


class Host:
    """One machine.

    Args:
        name: As the trace says it.
        address: Its numeric IPv4 address.
        rng: Where its chance comes from.

    Attributes:
        up: Whether there is power; False: it answers nothing.
        disk_full: Whether its disk takes no more.
        skew_s: How far its wall clock is ahead. A node reads it when it starts.
        listeners: By port.
        datagrams: The sockets of datagrams, by port.
    """

    def __init__(self, network: Network, name: str, address: str, rng: Random) -> None:
        self.network, self.loop = network, network.loop
        self.name, self.address, self.rng = name, address, rng
        self.up = True
        self.disk_full = False
        self.skew_s = 0.0
        self.origin_s = rng.uniform(0.0, 1e6)  # of its monotonic clock
        self.process: Process | None = None
        self.listeners: dict[int, Listener] = {}
        self.datagrams: dict[int, list[Datagrams]] = {}
        self._last_port = PORTS[0] - 1

    def start(self) -> Process:
        """Begin a new life."""
        self.up = True
        self.process = Process(self)
        return self.process

    def monotonic(self) -> float:
        """Give this machine's monotonic seconds; every machine counts from another moment."""
        return self.origin_s + self.loop.time()

    def wall(self) -> float:
        """Give this machine's seconds since 1970."""
        return EPOCH_S + self.loop.time() + self.skew_s

    def port(self) -> int:
        """Give a free port."""
        for _ in range(PORTS[1] - PORTS[0]):
            self._last_port += 1
            if self._last_port > PORTS[1]:
                self._last_port = PORTS[0]
            port = self._last_port
            if port not in self.listeners and not self.datagrams.get(port):
                return self._last_port
        raise OSError(99, "no port is free")

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.address}>"


class Process:
    """One life of a program on a host.

    Attributes:
        state: RUNNING, STOPPED or DEAD.
        context: What its code runs in.
        loop: The loop as its code sees it.
    """

    def __init__(self, host: Host, *, program: bool = False) -> None:
        self.host = host
        self.state = RUNNING
        self.rng = Random(host.rng.getrandbits(64))
        self.streams: dict[Stream, None] = {}
        self.listeners: list[Listener] = []
        self.platters: list[Platter] = []
        self.waiters: list[asyncio.Future[Any]] = []  # of the program
        self._backlog: list[Any] = []
        self.context: Context = copy_context()
        self.context.run(PROCESS.set, None if program else self)
        self.loop: asyncio.AbstractEventLoop = host.loop
        if not program:
            self.loop = cast("asyncio.AbstractEventLoop", ProcessLoop(self))

    def surroundings(self) -> Surroundings:
        """Give what a node in this process has of the world."""
        rng = Random(self.rng.getrandbits(64))
        return Surroundings(self.loop, self.host.monotonic, self.host.wall, rng)

    def call(self, callback: Callable[..., object], *args: Any) -> None:
        """Call something of this process from outside: at once, later if stopped, or never."""
        if self.state == RUNNING:
            self.context.run(callback, *args)
        elif self.state == STOPPED:
            self.soon(callback, *args)

    def soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Call something in the next round of the loop."""
        self.host.loop.call_soon(callback, *args, context=self.context)

    def park(self, handle: Any) -> None:
        """Keep what is due until the process goes on; a dead one forgets it."""
        if self.state == STOPPED:
            self._backlog.append(handle)

    def stop(self) -> None:
        """Stand still, as by SIGSTOP: the host goes on taking bytes for it."""
        if self.state == RUNNING:
            self.state = STOPPED

    def resume(self) -> None:
        """Go on, with all that has become due, and then what was received."""
        if self.state != STOPPED:
            return
        self.state = RUNNING
        backlog, self._backlog = self._backlog, []
        self.host.loop.requeue(backlog)
        for stream in list(self.streams):
            stream.wake()

    def kill(self, *, power: bool = False) -> None:
        """End as by SIGKILL: the host closes the connections; without power nobody does."""
        if self.state == DEAD:
            return
        self.state = DEAD
        self._backlog.clear()
        for listener in list(self.listeners):
            listener.close()
        for stream in list(self.streams):
            stream.die(silent=power)
        for taker in [t for takers in self.host.datagrams.values() for t in takers]:
            if taker.process is self:
                taker.close()
        for platter in self.platters:
            platter.die(power=power)
        if power:
            self.host.up = False

    def __repr__(self) -> str:
        return f"<Process on {self.host.name} {self.state}>"


class ProcessLoop:
    """The loop as a process sees it: what goes through it runs in the process, whoever calls."""

    def __init__(self, process: Process) -> None:
        self._process, self._loop = process, process.host.loop

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:
        """As of a loop."""
        return self._loop.call_soon(callback, *args, context=context or self._process.context)

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Any:
        """As of a loop."""
        return self._loop.call_later(
            delay, callback, *args, context=context or self._process.context
        )

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Any:
        """As of a loop."""
        return self._loop.call_at(when, callback, *args, context=context or self._process.context)

    def create_task(self, work: Any, *, context: Context | None = None, **options: Any) -> Any:
        """As of a loop."""
        inside = context or self._process.context.copy()
        return self._loop.create_task(work, context=inside, **options)

    async def create_server(
        self, factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        """As of a loop."""
        del options
        return self._process.host.network.listen(self._process, factory, host, port or 0)

    async def create_connection(
        self, factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        """As of a loop."""
        network = self._process.host.network
        return await network.connect(self._process, factory, host, port, options)

    async def create_datagram_endpoint(
        self, factory: Any, local_addr: Any = None, remote_addr: Any = None, **options: Any
    ) -> Any:
        """As of a loop."""
        network = self._process.host.network
        return network.datagrams(self._process, factory, local_addr, remote_addr, options)

    def disk(self, *args: Any) -> Platter:
        """Give a simulated disk; takes what a Disk takes."""
        return Platter(self._process, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def __repr__(self) -> str:
        return f"<ProcessLoop of {self._process.host.name}>"
