"""The search for others: every address of the options is probed, and again while nobody is found.

A server goes on, ever more seldom, after it has found some: a cluster that was cut in two finds
itself again. A client stops while it is connected.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rxfero.discovery.hosts import parse_hosts
from rxfero.discovery.scan import candidates

if TYPE_CHECKING:
    from rxfero.node import Node

SCAN_S = 2.0  # longest a round may take
RESCAN_S, RESCAN_S_MAX = 0.25, 10.0  # between rounds
ALONE_S_MAX = 2.0  # between rounds of a server that has found nobody


async def search(node: Node) -> None:
    """Look for others until cancelled."""
    wait = RESCAN_S
    while True:
        replica = node.replica
        connected = bool(replica.cluster.servers)
        if not connected or not node.options.client:
            await _round(node)
        replica.discovered = True
        node.mark()
        if connected:
            wait = min(RESCAN_S_MAX, wait * 2)
        elif node.options.client:
            wait = RESCAN_S
        else:
            wait = min(ALONE_S_MAX, wait * 2)
        await asyncio.sleep(wait)


async def _round(node: Node) -> None:
    """Probe every address that is not known yet."""
    replica, options = node.replica, node.options
    me = (replica.identity.host, replica.identity.port)
    places = parse_hosts(options.hosts, options.ports)
    known = {c.address for c in replica.peering.servers.values()}
    timeout_s = options.constants.connections.timeout / 1000
    probed = False
    for host, port in candidates(places, me, node.rng):
        if (host, port) not in known:
            replica.probe(node.transport.dial(host, port, timeout_s))
            probed = True
    if probed:
        await node.holds(lambda: not replica.probing, SCAN_S)
