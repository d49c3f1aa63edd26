"""The platter: the disk of a simulated server: production's files, and time, chance and power.

What is written is real, in a directory of the host; the writer's thread is not. A batch takes
some virtual time, all that comes meanwhile goes with the next. A killed process leaves what it had
written; lost power leaves what was fsynced, and of the rest as much as chance will have it.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from rxfero.core.journal import Entry
from rxfero.disk import Disk

if TYPE_CHECKING:
    from rxfero.testing.host import Process

WRITE_S = (0.0005, 0.004)  # of a batch and its fsync


class Platter(Disk):
    """The segments of a node in a simulated process.

    Args:
        process: Whose it is; the rest as of a Disk.

    Attributes:
        full: Whether nothing more can be written on it.
    """

    def __init__(self, process: Process, *args: Any) -> None:
        super().__init__(*args)
        self._process = process
        self._busy = False
        process.platters.append(self)

    @property
    def full(self) -> bool:
        """Whether the host's disk is full."""
        return self._process.host.disk_full

    def write(self, entries: list[Entry]) -> None:
        """Hand over a batch; it is written with others in a while."""
        self._queue.append(entries)
        if not self._busy:
            self._soon()

    def _soon(self) -> None:
        self._busy = True
        self._process.loop.call_later(self._process.rng.uniform(*WRITE_S), self._written)

    def _written(self) -> None:
        self._busy = False
        batches = list(self._queue)
        self._queue.clear()
        if self.broken or self._ended or not batches:
            return
        self._write(batches)
        if self._queue:
            self._soon()

    def close(self) -> None:
        """Write what was handed over, and give the directory back. Idempotent."""
        if not self._ended:
            batches = list(self._queue)
            if batches and not self.broken:
                self._write(batches)
            self._ended = True
            if self._file >= 0 and self._fsync != "never":
                self._seal()
            self._release()

    def die(self, *, power: bool) -> None:
        """Be left by a process that was killed, or lost its power."""
        if self._ended:
            return
        self._ended = True
        if power and self._file >= 0 and self._synced < self.size:
            end = self._process.host.rng.randint(self._synced, self.size)
            os.ftruncate(self._file, end)
        self._release()

    # --- instead of the thread's and the system's

    def _begin_thread(self) -> None:
        """Need none."""

    def _append(self, entries: list[Entry]) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super()._append(entries)

    def _sync(self) -> None:
        self._synced = self.size
