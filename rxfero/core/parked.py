"""The parked requests: what waits at a server for somebody to own its key, within a limit of bytes.

The module knows no shards and no servers: :mod:`rxfero.core.router` looks again when they change.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from rxfero.core.call import CALL_BYTES
from rxfero.core.messages import Dest
from rxfero.core.rows import Row

PARKED_BYTES: Final = 1 << 20  # requests kept for shards that nobody serves for the moment


class Waiting(NamedTuple):
    """A request, where its answer goes, how often it was passed on, and until when it may wait."""

    dest: Dest
    hops: int
    row: Row
    limit: float


class Parked:
    """Requests in the order in which they came.

    Args:
        limit: Most that they may weigh, in bytes.
    """

    __slots__ = ("_bytes", "_limit", "_waiting")

    def __init__(self, limit: int = PARKED_BYTES) -> None:
        self._limit = limit
        self._waiting: list[Waiting] = []
        self._bytes = 0

    def put(self, waiting: Waiting) -> bool:
        """Let one wait; False: there is no room for it."""
        weight = len(waiting.row.value) + CALL_BYTES
        if self._bytes + weight > self._limit:
            return False
        self._waiting.append(waiting)
        self._bytes += weight
        return True

    def take(self) -> list[Waiting]:
        """Take all of them."""
        taken, self._waiting, self._bytes = self._waiting, [], 0
        return taken

    def __len__(self) -> int:
        return len(self._waiting)

    def __repr__(self) -> str:
        return f"<Parked {len(self._waiting)} requests of {self._bytes} bytes>"
