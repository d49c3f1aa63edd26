"""The partitions: each top-level key's own view of the log it lives in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rxfero.core.change import DATA, LOST, Change, Record
from rxfero.core.path import Path
from rxfero.core.position import Offset, Position
from rxfero.errors import ConfigurationError
from rxfero.shown import Shown
from rxfero.since import beyond, check_since, heads, service_of

if TYPE_CHECKING:
    from rxfero.core.shard import Shard
    from rxfero.node import Node
    from rxfero.peers import Peer, Peers


class Partition(Shown):
    """The retained changes of one top-level key, oldest first."""

    __slots__ = ("_key", "_partitions")

    def __init__(self, partitions: Partitions, key: str | int) -> None:
        self._partitions, self._key = partitions, key

    def _records(self) -> list[Record]:
        shard = self._partitions.shard(self._key)
        key = self._key
        return [
            r for r in shard.shown if r.kind == DATA and r.path and r.path[0] == key
        ]

    def __len__(self) -> int:
        return len(self._records())

    def __iter__(self) -> Iterator[Change]:
        number = self._partitions.shard(self._key).id
        return (Change.of(number, record) for record in self._records())

    @property
    def head(self) -> Offset | None:
        """The offset of the newest retained change; None without one."""
        records = self._records()
        if not records:
            return None
        last = records[-1]
        return Offset(self._partitions.shard(self._key).id, last.term, last.number)

    @property
    def owner(self) -> Peer | None:
        """The server that owns the key."""
        return self._partitions.peers.owner((self._key,))

    def __repr__(self) -> str:
        return f"<Partition {self._key!r} changes={len(self)} head={self.head}>"


class Partitions(Mapping[str | int, Partition], Shown):
    """The partitions of a cache, by top-level key. Read-only."""

    def __init__(self, node: Node, peers: Peers) -> None:
        self._node = node
        self.peers = peers

    def shard(self, key: str | int) -> Shard:
        """Give the shard of a key.

        Raises:
            NotFollowed: of a client that follows other keys.
        """
        return self._node.replica.cluster.held(key)

    def __getitem__(self, key: str | int | tuple[str | int, ...]) -> Partition:
        """Give the partition of a key, whether it has changes or not (then it is empty)."""
        path = key if isinstance(key, tuple) else (key,)
        return Partition(self, Path.parse(path)[0])

    def __iter__(self) -> Iterator[str | int]:
        seen: set[str | int] = set()
        for shard in self._node.replica.cluster.shards:
            for record in list(shard.shown):
                if record.kind == DATA and record.path and record.path[0] not in seen:
                    seen.add(record.path[0])
                    yield record.path[0]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str | int):
            return False
        shard = self.shard(key)
        return any(r.kind == DATA and r.path and r.path[0] == key for r in shard.shown)

    def conflicts(self) -> list[Change]:
        """Give the retained writes that lost against others when a split was merged."""
        return [
            Change.of(shard.id, record)
            for shard in self._node.replica.cluster.shards
            for record in list(shard.shown)
            if record.kind == LOST
        ]

    def heads(self) -> dict[int, Offset]:
        """Give the offset of the newest record of every shard that has one."""
        return heads(self._node.replica)

    def position(self) -> Position:
        """Give where this node stands in all shards: `on("change", since=...)` goes on after it.

        On another node too, and after a restart (as text): as long as the history reaches back.
        """
        replica = self._node.replica
        return Position(heads(replica).values(), service_of(replica))

    def history(
        self, since: Position | None = None, until: Position | None = None
    ) -> list[Change]:
        """Give the retained changes, in the order of their hybrid times: recorded, not awaited.

        Args:
            since: Only what came after it. None: all that is retained.
            until: Only what it has. None: up to now.

        Raises:
            ConfigurationError: the history does not reach back to `since`, or one of them is of
                another service.
        """
        replica = self._node.replica
        for position in (since, until):
            if position is not None:
                check_since(replica, position)
        if since is None:
            bases = [(s.id, s.log) for s in replica.cluster.shards if s.log.base]
            since = Position(Offset(n, log.base_term, log.base) for n, log in bases)
        found = beyond(replica, since)
        if isinstance(found, int):
            raise ConfigurationError("since", str(since)[:80], "is older than what is retained")
        return [c for c in found if until is None or (c.offset is not None and until.has(c.offset))]

    def to_frame(self) -> Any:
        """Give :meth:`history` as a pandas DataFrame: time, type, key, value, shard, number.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        tables: Any = import_module("rxfero.tables")
        return tables.history_frame(self.history())

    def plot(self, axes: Any = None) -> Any:
        """Plot when how many of the retained changes came, by type; gives the matplotlib Axes.

        Args:
            axes: Where to; None for a new figure.

        Raises:
            ConfigurationError: matplotlib is not installed.
        """
        tables: Any = import_module("rxfero.tables")
        return tables.plot(self.history(), axes)

    def _ipython_key_completions_(self) -> list[str | int]:
        return list(self)

    def __repr__(self) -> str:
        return f"<Partitions keys={len(self)}>"
