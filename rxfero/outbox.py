"""The outbox: what a program asks its node for, until it leaves: with the turn, or in its middle.

Messages without keys gather in a batch, all else goes to the replica at once. `outbox.max` bytes
that are asked for in one turn leave in the middle of it, and then twice as many at a time, so that
whoever asks for a million things without ever waiting keeps no more of them here than a frame, and
the servers have something to do: soon at first, and then in frames that cost less.

It does not know when turns come, nor what a request is about.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from rxfero.core.batch import Batch
from rxfero.core.call import CALL_BYTES, Call, weigh
from rxfero.core.router import ROWS
from rxfero.errors import Closed, Overloaded

if TYPE_CHECKING:
    from rxfero.constants import Constants
    from rxfero.core.replica import Replica
    from rxfero.transport import Transport

HEAD_BYTES = 4096  # of a frame, beside the one value that may fill it


class Outbox(ABC):
    """What a node has been asked for in this turn. The base of :class:`rxfero.node.Node`.

    Args:
        constants: Of them `outbox.max`, `outbox.frag` and `requests.pending`.

    Attributes:
        batch: The messages of this turn; it knows how much may be taken yet.
        turns: How many turns there have been.
        first, frame: Bytes of requests that leave together: at the first time in a turn, and most.
        value_max: Most bytes of a value.
    """

    service: str
    loop: asyncio.AbstractEventLoop
    replica: Replica
    transport: Transport
    _monotonic: Callable[[], float]

    def __init__(self, constants: Constants) -> None:
        self.turns = 0
        self.closed = self.marked = False
        self.batch = Batch(0, self)
        self.value_max = int(constants.outbox.frag) - HEAD_BYTES
        most = min(self.value_max, ROWS * CALL_BYTES)
        self.first, self.frame = (min(n * constants.outbox.max, most) for n in (1, 2))
        self._pending_max = int(constants.requests.pending)

    def submit(self, call: Call) -> None:
        """Take a request; it leaves with the turn.

        Raises:
            Closed: the node has been stopped.
            Overloaded: too much is waiting already.
        """
        size = len(call.value) + CALL_BYTES
        over = size > self.batch.room
        if over:
            self._check()
        if self.batch.values:
            self._hand_over()
        self.replica.submit(call, self._monotonic())
        self.batch.room -= size
        if over:
            self._flush()
        elif not self.marked:
            self.mark()

    def submit_all(self, calls: Sequence[Call]) -> None:
        """As :meth:`submit`, for writes with keys; a frame's worth at a time.

        Raises:
            Closed, Overloaded: as :meth:`submit`; those before have been taken.
        """
        if self.batch.values:
            self._hand_over()
        fit = self.fit(len(calls), weigh(calls))
        for first in range(0, len(calls), fit):
            part = calls[first : first + fit]
            size = weigh(part)
            over = size > self.batch.room
            if over:
                self._check()
            self.replica.cluster.now = now = self._monotonic()
            self.replica.router.submit_all(part, now)
            self.batch.room -= size
            if over:
                self._flush()
            elif not self.marked:
                self.mark()

    def fit(self, count: int, weight: int) -> int:
        """Give how many of `count` requests, that weigh so much together, fill a frame; >= 1."""
        return max(1, count * self.frame // weight)

    def post(self, verb: str, value: str | bytes, *, packed: bool) -> tuple[Batch, int]:
        """As :meth:`submit`, for a message without a key: it goes with the others of its turn.

        Gives the batch it goes with, and its place there.
        `Peers.send` does the same in place where nothing is to be done but to keep it.
        """
        batch = self.batch
        over = len(value) + CALL_BYTES > batch.room
        if over:
            self._check()
        place = batch.add(verb, value, packed=packed)
        if over:
            self._flush()
        elif not self.marked:
            self.mark()
        return batch, place

    def post_all(self, verb: str, values: list[str]) -> tuple[Batch, int] | None:
        """As :meth:`post`, for many values, all text of ASCII; gives the place of the first.

        None when they are more than one frame should carry: nothing was taken.
        """
        size = sum(map(len, values)) + CALL_BYTES * len(values)
        if size > self.batch.room:
            self._check()
            self._flush()
            if size > self.batch.room:
                return None
        batch = self.batch
        place = batch.extend(verb, values, size)
        self.mark()
        return batch, place

    def _check(self) -> None:
        if self.closed:
            raise Closed(self.service)
        held = self.replica.requests.bytes + self.batch.weight
        if held > self._pending_max:
            raise Overloaded(held, self._pending_max)

    def _hand_over(self) -> None:
        if self.batch.values:
            batch = self.batch
            self.batch = Batch(self.turns, self, batch.make, max(0, batch.room))
            self.replica.send(batch, self._monotonic())

    def _room(self, most: int) -> None:
        """Begin to count anew what was asked for."""
        self.batch.room = min(most, self._pending_max - self.replica.requests.bytes)

    def _flush(self) -> None:
        """Send what has been asked for so far, in the middle of a turn (`outbox.max`)."""
        self._hand_over()
        self.turns = self.batch.turn = self.turns + 1
        cluster = self.replica.cluster
        self.replica.router.flush_calls()
        frames, cluster.frames = cluster.frames, []
        self._send(frames, self.transport.push)
        self._room(self.frame)
        self.mark()

    def mark(self) -> None:
        """Ask for a turn."""
        if not self.marked:
            self.marked = True
            self.loop.call_soon(self._turn)

    def _send(
        self, frames: Iterable[tuple[int, bytes]], send: Callable[[int, list[bytes]], None]
    ) -> None:
        by_link: dict[int, list[bytes]] = {}
        for link_id, data in frames:
            by_link.setdefault(link_id, []).append(data)
        for link_id, chunks in by_link.items():
            send(link_id, chunks)

    @abstractmethod
    def _turn(self) -> None:
        """Take a turn."""
