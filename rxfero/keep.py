"""The keep: a node's disk on its loop: opened before the first connection, written every turn.

The writer's thread tells when entries are on the disk, and the loop hands that to the replica as
an input like any other. A fault (a full disk, a failed fsync) ends nothing: the node goes on in
memory, tells it on `error`, acknowledges nothing as durable, and begins its journal anew every few
seconds until that works.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from rxfero.disk import Disk
from rxfero.errors import ConfigurationError, ProtocolError, StorageDamaged

if TYPE_CHECKING:
    from rxfero.core.journal import Entry
    from rxfero.core.replica import Replica
    from rxfero.node import Node
    from rxfero.options import Options

MEND_S = 5.0  # between attempts to write again after a fault


class Keep:
    """The disk of one node.

    Args:
        node: Whose it is.
        options: Its options; `storage` is given.
        name: Its name, if neither the options nor the disk has one.

    Raises:
        ConfigurationError: the disk belongs to a node of another name.
    """

    def __init__(self, node: Node, options: Options, name: str) -> None:
        assert options.storage is not None, "a keep without a disk"
        self._node, self._options = node, options
        self.path = Path(options.storage) / quote(node.service, safe="")
        known = Disk.owner_of(self.path)
        self.name = name if options.id is not None or known is None else str(known["name"])
        self._timer: asyncio.TimerHandle | None = None
        self._disk: Disk
        self._replica: Replica

    async def open(self, replica: Replica, digest: str) -> None:
        """Read the disk into a replica.

        Raises:
            ConfigurationError: the disk is another node's, in use, or cannot be used.
            StorageDamaged: it cannot be read.
        """
        options, self._replica = self._options, replica
        owner = {
            "cluster": options.cluster, "service": self._node.service, "name": self.name,
            "digest": digest,
        }
        fsync = options.fsync / 1000 if isinstance(options.fsync, int) else options.fsync
        make = getattr(self._node.loop, "disk", Disk)  # a loop that simulates has its own
        self._disk = disk = make(self.path, owner, fsync, self._from_thread)
        strict = self.name in options.voters
        try:
            found = await self._node.loop.run_in_executor(None, partial(disk.open, strict=strict))
        except OSError as error:
            raise ConfigurationError("storage", str(self.path), str(error)) from error
        try:
            replica.remember(found.entries, whole=found.whole)
        except ProtocolError as error:
            disk.close()
            raise StorageDamaged(f"{self.path}: {error}") from error
        if found.damage is not None:
            self._node.fail(StorageDamaged(found.damage), "storage")

    def write(self, entries: list[Entry]) -> None:
        """Write what a turn gave."""
        self._disk.write(entries)

    def _from_thread(self, batches: int, synced: bool, error: OSError | None) -> None:
        try:
            self._node.loop.call_soon_threadsafe(self._wrote, batches, synced, error)
        except RuntimeError:
            return  # the loop has been closed: nobody is there to be told

    def _wrote(self, batches: int, synced: bool, error: OSError | None) -> None:
        node = self._node
        if node.closed:
            return
        if error is not None:
            self._replica.unwritten()
            node.fail(error, "storage", context=f"writing to {self.path}")
            self._timer = node.loop.call_later(MEND_S, self._mend)
            return
        for _ in range(batches):
            self._replica.wrote(node.now, synced=synced)
        if self._disk.large and not self._replica.rewriting:
            self._replica.rewrite()
        node.mark()

    def _mend(self) -> None:
        self._disk.mend()
        self._replica.rewrite()
        self._node.mark()

    async def close(self) -> None:
        """Write what is left and give the disk back."""
        if self._timer is not None:
            self._timer.cancel()
        await self._node.loop.run_in_executor(None, self._disk.close)

    def __repr__(self) -> str:
        return f"<Keep {self.path}>"
