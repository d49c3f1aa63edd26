"""The reader: changes at the pace of who reads them, out of the log when that is slower.

As long as the reader keeps up, changes wait in a queue. When the queue is full, the reader stops
listening and remembers where it stands; when it has read what waits, it reads on from the log, and
listens again once it has caught up. So a slow reader costs `maxsize` changes, however far it is
behind, and loses none: where the history no longer reaches back, or a snapshot took its place,
`reset` is told and the state comes. One that begins at a position reads from there in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import reactivex
from reactivex.disposable import SingleAssignmentDisposable

from rxfero.core.change import Change
from rxfero.core.position import Position
from rxfero.operators.checks import whole
from rxfero.operators.to_async_iter import Pull
from rxfero.part import part_of
from rxfero.since import beyond, changes_since, heads, state

if TYPE_CHECKING:
    from rxfero.core.replica import Replica
    from rxfero.events import Hub


class Reader(Pull[Change]):
    """The changes, or commits, of one node, to be read one by one. Made by :meth:`Cache.stream`.

    Args:
        replica, hub: Of the node.
        event: "change" or "commit".
        maxsize: Changes that wait in memory.
        since: As of :meth:`Cache.on`.
        under: Only what concerns this path; None: everything.

    Raises:
        ConfigurationError: an argument cannot be.
    """

    def __init__(
        self, replica: Replica, hub: Hub, event: str, maxsize: int, since: Any = "now",
        under: Any = None,
    ) -> None:  # fmt: skip
        whole("stream.maxsize", maxsize, 1)
        self._replica, self._hub, self._event = replica, hub, event
        self._part = None if under is None else part_of(under, event, replica.cluster.held)
        self._ends = heads(replica)
        self._begins, self._behind, self._lags = True, False, 0
        begin = self._position() if isinstance(since, str) and since == "now" else since
        source = changes_since(replica, hub, event, begin, self._begun)
        if isinstance(since, Position):  # all since then may be much: it is read as it is wanted
            self._ends = {offset.shard: offset for offset in since.offsets}
            self._behind, source = True, reactivex.never()
        super().__init__(source, maxsize, "block")
        self._begins = False

    def stats(self) -> dict[str, int]:
        """Give as of a :class:`Pull`, and how often it fell behind and read from the log."""
        return {**super().stats(), "lags": self._lags}

    def _next(self, item: Change) -> None:
        if self._ended is not None or self._behind:
            return
        if not self._begins:
            if len(self._items) >= self._maxsize:
                self._fall_behind()
                return
            self._stand_at(item)
        self._keep(item)

    def _fall_behind(self) -> None:
        self._behind = True
        self._lags += 1
        self._subscription.dispose()

    def _begun(self, shard: int) -> None:
        if self._ended is not None or self._behind:
            return
        if len(self._items) >= self._maxsize:
            self._fall_behind()  # the log will show that where it stands is no more
            return
        self._ends.update(heads(self._replica, shard))
        for change in state(self._replica, shard):
            self._keep(change)

    def _keep(self, item: Change) -> None:
        kept = item if self._part is None else self._part(item)
        if kept is not None:
            self._items.append(kept)
            self._wake()

    def _stand_at(self, item: Change) -> None:
        offset = item.offset
        assert offset is not None, "what the log tells has an offset"
        self._ends[offset.shard] = offset

    def _position(self) -> Position:
        return Position(self._ends.values())

    def _refill(self) -> bool:
        if not self._behind:
            return False
        found = beyond(self._replica, self._position(), self._maxsize)
        if isinstance(found, int):
            self._hub.emit("reset", found)
            self._ends = heads(self._replica)
            for change in state(self._replica):
                self._keep(change)
            self._listen()
            return True
        for change in found:
            self._stand_at(change)
            self._keep(change)
        if len(found) < self._maxsize:
            self._listen()
        return True

    def _listen(self) -> None:
        source = changes_since(
            self._replica, self._hub, self._event, self._position(), self._begun
        )
        self._behind, self._begins = False, True
        for shard, head in heads(self._replica).items():
            known = self._ends.get(shard)  # of another node, which may have had more
            self._ends[shard] = head if known is None else max(head, known)
        self._subscription = SingleAssignmentDisposable()
        self._subscription.disposable = source.subscribe(self._next, self._end, self._completed)
        self._begins = False
