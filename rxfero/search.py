"""The search for others: every address of the options is probed, and what the finders find.

A server goes on, ever more seldom, after it has found some: a cluster that was cut in two finds
itself again. A client stops while it is connected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rxfero.discovery.hosts import parse_host, parse_hosts
from rxfero.discovery.scan import candidates
from rxfero.tasks import end_tasks

if TYPE_CHECKING:
    from rxfero.node import Node
    from rxfero.options import Options
    from rxfero.ports import Finder

SCAN_S = 2.0  # longest a round may take
RESCAN_S, RESCAN_S_MAX = 0.25, 10.0  # between rounds
ALONE_S_MAX = 2.0  # between rounds of a server that has found nobody
SETTLE_S = 0.2  # without a new connection, before a server founds a cluster where others may be
FIND_S = 0.4  # the same where the others have to be found first
CALM_S, CALM_S_MAX = 0.05, 5.0  # ticks on which a server that listens for others is to be on time
FOUND_MAX = 1024  # addresses of finders that are remembered
TRIES = 8  # of an address that was found, until it has to be found again
AGAIN_S, AGAIN_S_MAX = 0.5, 10.0  # between tries of an address that was found
PROBES_MAX = 64  # at once, of addresses that were found
FAILED_S, FAILED_S_MAX = 1.0, 60.0  # after which a finder that failed is begun anew


@dataclass(frozen=True, slots=True)
class Here:
    """The node as a finder gets it: see :class:`rxfero.ports.Seeker`."""

    cluster: str
    service: str
    name: str
    host: str
    port: int
    secret: str | None
    alone: Callable[[], bool]


def settle_s(options: Options) -> float:
    """Give the seconds of silence after which a node that starts may take itself for the first."""
    if options.finders:
        return FIND_S
    return SETTLE_S if parse_hosts(options.hosts, options.ports) else 0.0


class Search:
    """One node's search.

    Use: :meth:`start`, :meth:`stop`; the finders are given :meth:`found`.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._found: dict[tuple[str, int], _Again] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}  # and what runs in each

    def start(self) -> None:
        """Look for others from now on."""
        node = self._node
        for finder in node.options.finders:
            self._tasks[node.loop.create_task(self._find(finder))] = repr(finder)
        self._tasks[node.loop.create_task(self._scan())] = "the scan"

    async def stop(self) -> None:
        """Look no further. A finder that catches its cancellation again and again is told of."""
        for task in await end_tasks(self._tasks):
            error = RuntimeError("goes on though it was cancelled: let CancelledError through")
            self._node.fail(error, "discovery", context=self._tasks[task])

    def found(self, host: str, port: int) -> None:
        """Take an address at which a server may listen; it is dialed if it is news.

        Raises:
            ConfigurationError: it is no address.
        """
        parse_host((host, port))
        where = (host, port)
        again = self._found.get(where)
        if again is None:
            while len(self._found) >= FOUND_MAX:
                del self._found[next(iter(self._found))]
            again = self._found[where] = _Again()
        again.tries = 0
        self._try(where, again)

    async def _scan(self) -> None:
        node = self._node
        wait = RESCAN_S
        if node.options.finders and not node.options.client:
            await self._listen()
        while True:
            connected = not self._alone()
            if not connected or not node.options.client:
                await self._round()
            node.replica.discovered = True
            node.mark()
            if connected:
                wait = min(RESCAN_S_MAX, wait * 2)
            elif node.options.client:
                wait = RESCAN_S
            else:
                wait = min(ALONE_S_MAX, wait * 2)
            await asyncio.sleep(wait)

    async def _listen(self) -> None:
        """Wait until others have had time to be heard.

        Where many servers start at once, all of them are short of time, and silence says nothing:
        whoever founds a cluster then has to merge it with the others' later, which costs all of
        them more than to wait. So only time counts in which this process is on time itself.
        """
        node = self._node
        began, calm = node.now, 0.0
        while self._alone() and calm < FIND_S and node.now - began < CALM_S_MAX:
            before = node.now
            await asyncio.sleep(CALM_S)
            late = node.now - before - CALM_S
            calm = calm + CALM_S if late < CALM_S / 2 else 0.0

    async def _round(self) -> None:
        """Probe every address that is not known yet."""
        node = self._node
        replica, options = node.replica, node.options
        me = (replica.identity.host, replica.identity.port)
        places = parse_hosts(options.hosts, options.ports)
        probed = False
        for where in candidates(places, me, node.rng):
            if not self._known(where):
                self._probe(where)
                probed = True
        for where, again in list(self._found.items()):
            probed |= self._try(where, again)
        if probed:
            await node.holds(lambda: not replica.probing, SCAN_S)

    def _try(self, where: tuple[str, int], again: _Again) -> bool:
        """Probe an address that was found, unless there is no need, or it was tried just now."""
        node = self._node
        identity = node.replica.identity
        if self._known(where) or where == (identity.host, identity.port):
            again.tries, again.wait_s = 0, AGAIN_S
            return False
        if node.options.client and not self._alone():
            return False
        if node.now < again.at or node.replica.probes >= PROBES_MAX:
            return False
        if again.tries >= TRIES:
            del self._found[where]
            return False
        again.tries += 1
        again.at = node.now + again.wait_s
        again.wait_s = min(AGAIN_S_MAX, again.wait_s * 2)
        self._probe(where)
        return True

    def _probe(self, where: tuple[str, int]) -> None:
        node = self._node
        timeout_s = node.options.constants.connections.timeout / 1000
        node.replica.probe(node.transport.dial(*where, timeout_s))

    def _known(self, where: tuple[str, int]) -> bool:
        return where in self._node.replica.peering.servers  # its keys are pairs like these

    def _alone(self) -> bool:
        return not self._node.replica.cluster.servers

    async def _find(self, finder: Finder) -> None:
        """Run a finder; what it raises is told, and it is begun anew."""
        node = self._node
        me, secret = node.replica.identity, node.options.secret
        here = Here(me.cluster, me.service, me.name, me.host, me.port, secret, self._alone)
        wait = FAILED_S
        while True:
            try:
                await finder.find(here, self.found)
                return
            except Exception as error:  # noqa: BLE001  (the finder's fault, told on "error")
                node.fail(error, "discovery", context=repr(finder))
            await asyncio.sleep(wait)
            wait = min(FAILED_S_MAX, wait * 2)


class _Again:
    """When an address that was found is tried again.

    Attributes: at (monotonic seconds), wait_s (after that), tries (since it was found).
    """

    __slots__ = ("at", "tries", "wait_s")

    def __init__(self) -> None:
        self.at, self.wait_s, self.tries = 0.0, AGAIN_S, 0
