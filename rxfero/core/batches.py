"""The batches of one process: those that wait to be sent, and those that wait for their answers.

They are found by the numbers of their messages. What takes one out of here decides what becomes of
it: :mod:`rxfero.core.requests` settles it, or lets its messages go their own ways.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from rxfero.core.batch import Batch


class Batches:
    """Batches by the number of their first message, in the order of these.

    Attributes:
        waiting: Those that have not been sent.
        flying: Messages of those that have been.
        count: Messages of both.
    """

    __slots__ = ("_sent", "count", "flying", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Batch] = deque()
        self._sent: dict[int, Batch] = {}
        self.flying = self.count = 0

    def add(self, batch: Batch) -> None:
        """Let a batch wait to be sent."""
        self.waiting.append(batch)
        self.count += len(batch.values)

    def send(self, target: str, room: int) -> Batch | None:
        """Take the next to be sent; None when there is none of at most `room` messages."""
        waiting = self.waiting
        if not waiting or len(waiting[0].values) > room:
            return None
        batch = waiting.popleft()
        batch.sent(target)
        self._sent[batch.first] = batch
        self.flying += len(batch.values)
        return batch

    def of(self, numbers: Sequence[int]) -> Batch | None:
        """Give the one on its way that has just these numbers."""
        batch = self._sent.get(numbers[0])
        count = len(numbers)
        if batch is None or len(batch.values) != count or numbers[-1] - numbers[0] != count - 1:
            return None
        return batch

    def remove(self, batch: Batch) -> None:
        """Keep one that was on its way no more."""
        del self._sent[batch.first]
        count = len(batch.values)
        self.flying -= count
        self.count -= count

    def take(self, wanted: Callable[[Batch], bool]) -> list[Batch]:
        """Take those on their way that are wanted."""
        taken = [batch for batch in self._sent.values() if wanted(batch)]
        for batch in taken:
            self.remove(batch)
        return taken

    def take_waiting(self) -> list[Batch]:
        """Take those that wait to be sent."""
        taken = list(self.waiting)
        self.waiting.clear()
        self.count -= sum(map(len, taken))
        return taken

    @property
    def oldest(self) -> int | None:
        """The least number on its way, else the least that waits; None when there is none."""
        if self._sent:
            return next(iter(self._sent))
        return self.waiting[0].first if self.waiting else None

    @property
    def due(self) -> float:
        """The soonest deadline of a message, in monotonic seconds; inf when there is none."""
        every = (*self._sent.values(), *self.waiting)
        return min([batch.due for batch in every], default=float("inf"))

    @property
    def bytes(self) -> int:
        """What all weigh."""
        return sum([batch.size for batch in (*self._sent.values(), *self.waiting)])

    def __repr__(self) -> str:
        return f"<Batches sent={len(self._sent)} waiting={len(self.waiting)} messages={self.count}>"
