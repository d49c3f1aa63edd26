"""An owner of one shard in a test: what is written to it, and what it answers."""

from __future__ import annotations

from typing import Any

from rxfero.core.call import (
    COMMIT,
)  # fmt: skip
from rxfero.core.catchup import Cursor
from rxfero.core.cluster import Cluster
from rxfero.core.messages import Dest
from rxfero.core.owner import Owner
from rxfero.core.rows import Row
from rxfero.core.shard import Shard
from rxfero.core.value import pack, unpack
from tests.core.parts import cluster_of, own

DEST = Dest("c", "c", "s")
SHARD = 3


class Owned:
    """A node that owns shard 3, with followers; what it answered, by request."""

    def __init__(self, *followers: str, **given_: Any) -> None:
        self.cluster: Cluster = cluster_of(*followers, **given_)
        self.shard: Shard = own(self.cluster, SHARD)
        for name in followers:
            self.cluster.cursors[name] = Cursor(-1, name)
        self.owner = Owner(self.cluster)

    def write(
        self, seq: int, verb: str = "update", path: Any = ("k",), value: Any = None, *,
        number: int = 0, level: int = COMMIT, expect: Any = None, ttl_ms: int = 0,
        dest: Dest = DEST,
    ) -> None:
        packed = value if type(value) is bytes else pack(seq if value is None else value)
        row = Row(number or seq, verb, path, packed, seq, level, expect, ttl_ms)
        self.owner.write(dest, row, self.shard)

    def told(self) -> dict[int, tuple[int, int, Any]]:
        """Take the answers: status, offset and value by request."""
        found: dict[int, tuple[int, int, Any]] = {}
        for columns in self.owner.answers.values():
            rows = zip(
                columns.numbers, columns.statuses, columns.offsets, columns.values, strict=True
            )
            for number, status, offset, value in rows:
                found[number] = (status, offset, unpack(value) if type(value) is bytes else value)
        self.owner.answers.clear()
        return found

    def acknowledge(self, name: str, end: int, synced: int | None = None) -> None:
        disks = None if synced is None else [synced]
        self.owner.levels.acknowledged(name, self.shard.term, [SHARD], [end], disks)
