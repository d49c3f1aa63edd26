"""The figures: what a node can say of itself in plain values, for `cache.stats()` and monitors.

They are counted when they are asked for; nothing is counted on the way of a write.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rxfero
from rxfero.core.members import ALIVE, DEAD, JOINING, LEAVING
from rxfero.core.shard import OWNER

if TYPE_CHECKING:
    from rxfero.node import Node

STATES = {JOINING: "joining", ALIVE: "alive", LEAVING: "leaving", DEAD: "dead"}
MEMBERS_MAX = 256  # of those told to a monitor


def figures(node: Node) -> dict[str, Any]:
    """Give counts, bytes and shares of a node.

    `pending` are its requests that are not answered yet, `handling` those of others that its
    handler has not answered; a sink that is too slow shows in both.
    """
    replica = node.replica
    cluster = replica.cluster
    me = replica.members.me
    shards = cluster.shards
    return {
        "service": node.service,
        "name": replica.identity.name,
        "role": replica.identity.role,
        "address": f"{replica.identity.host}:{replica.identity.port}",
        "status": "client" if me is None else STATES[me.state],
        "keys": sum(len(s.view.parts) for s in shards),
        "shards": sum(s.role == OWNER for s in shards),
        "records": sum(len(s.log.records) for s in shards),
        "log_bytes": sum(s.log.bytes for s in shards),
        "commits": sum(s.seen for s in shards),
        "members": len(cluster.ring.members),
        "ring": cluster.ring.checksum,
        "servers": len(cluster.servers),
        "clients": len(cluster.clients),
        "pending": replica.requests.count,
        "pending_bytes": replica.requests.bytes,
        "handling": len(replica.owner.open),
        "turns": node.turns,
        "uptime": round(node.now - node.born, 3),
        "rss": _rss(),
    }


def told(node: Node) -> dict[str, Any]:
    """Give what a monitor is told: the figures, and where the other servers listen."""
    others = [m for m in node.replica.members.others() if m.state != DEAD][:MEMBERS_MAX]
    return {
        **figures(node),
        "boot": node.replica.identity.boot,
        "version": rxfero.__version__,
        "others": [[m.name, m.host, m.port] for m in others],
    }


def _rss() -> int:
    """Give the bytes of memory this process has now; 0 where the system does not tell."""
    if sys.platform == "linux":
        with suppress(OSError, ValueError, IndexError):
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE")
    return 0
