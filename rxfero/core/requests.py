"""The requests: what this process asked for, numbered, kept until answered, matched by number.

One process is one session: its requests carry dense numbers, and its log writes carry dense
sequence numbers a shard, so that an owner can refuse gaps and repeat answers (R10). A request stays
here until a reply, a timeout or the end of the cache. Unanswered ones are sent again, in order,
after a link closed or when nothing was sent or heard for `RETRY_S` (then doubling); and the
owner's exact table makes the repetition harmless. Acknowledged writes are retained until they are
known to be on every live server, or until the retain window is full (R12): a GAP answer inside the
window resends them, outside of it the session ends, its calls fail as `Uncertain` and the missing
acknowledged writes are told as `LostWrites`. At most one rewind a shard in `REWIND_S` (R11).

The module knows shards only as numbers and servers not at all; :mod:`rxfero.core.replica` routes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

from rxfero.core.batch import Batch
from rxfero.core.batches import Batches
from rxfero.core.call import (
    CALL_BYTES,
    CLOSED,
    GAP,
    LOST,
    NO_QUORUM,
    OK,
    RETRY,
    TIMEOUT,
    UNKNOWN,
    WRITES,
    Call,
    weigh,
)
from rxfero.core.position import Offset, Term
from rxfero.core.retained import Retained

if TYPE_CHECKING:
    from random import Random

    from rxfero.core.shard import Shard

RETRY_S, RETRY_S_MAX, REWIND_S = 1.0, 5.0, 0.25
WINDOW = 1 << 15  # requests on their way at once; more wait here
BATCHED = 1 << 17  # messages of batches on their way at once
RETRY_SOON_S = 0.02  # after a RETRY answer: a takeover takes about one round trip


class Requests:
    """The session of one process: numbers, pending and retained requests.

    Args:
        name, rng: The session id starts with the one and ends with the other's; also for jitter.
        timeout_s: Default seconds until a request ends in a timeout.
        retain: Acknowledged writes kept (records, bytes).
        follows: The shards of which this process has the log; None: of all.
    """

    def __init__(
        self, name: str, rng: Random, timeout_s: float, retain: tuple[int, int],
        follows: frozenset[int] | None = None,
    ) -> None:
        self._name, self._rng = name, rng
        self._follows = follows
        self.timeout_s = timeout_s
        self._retain = retain
        self.number = 0
        self.pending: dict[int, Call] = {}
        self.queue: list[Call] = []
        self.batches = Batches()
        self.whole: list[Batch] = []  # that were answered as a whole, since somebody took them
        self.bytes = 0
        self._dropped = False  # whether the queue may hold what nobody waits for any more
        self.settled: list[Call] = []
        self.lost: list[tuple[int, list[int]]] = []
        self._progress = 0.0
        self._retry_s = RETRY_S
        self._looked, self._look_s = 0.0, RETRY_S  # when the oldest was looked at, and how often
        self._oldest: int = 0  # pending then, by number
        self._newest: int = 0
        self._soonest = self._hurry = float("inf")
        self._refused: set[int] = set()
        self._open_session()

    def _open_session(self) -> None:
        self.sid = f"{self._name[:40]}-{self._rng.getrandbits(48):012x}"
        self._seqs: dict[int, int] = {}
        self._kept = Retained(self._retain)
        self._rewound: dict[int, float] = {}

    # --- sending

    def send(self, batch: Batch, now: float) -> None:
        """Number a batch of messages without keys, and let it wait for its turn to be sent."""
        deadline = batch.number(self.number + 1, now + self.timeout_s)
        self.number += len(batch)
        if deadline < self._soonest:
            self._soonest = deadline
        if not self.count:
            self._first(now)
        self.batches.add(batch)
        self.bytes += batch.size

    @property
    def count(self) -> int:
        """How many requests have no answer yet."""
        return len(self.pending) + self.batches.count

    @property
    def unsent(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self.queue or self.batches.waiting)

    def next_batch(self, target: str, now: float) -> Batch | None:
        """Take the next batch to be sent; None when there is none, or the window has no room."""
        room = BATCHED - self.batches.flying - len(self.pending)
        batch = self.batches.send(target, room)
        if batch is not None:
            self._progress = now
        return batch

    def find(self, number: int) -> Call | None:
        """Give the unanswered request of a number; one of a batch goes its own way from now on."""
        call = self.pending.get(number)
        if call is None and self.batches.flying:
            self._split(number, number)
            call = self.pending.get(number)
        return call

    def unbatch(self) -> None:
        """Queue the messages of waiting batches one by one: they go by other ways, or mixed."""
        for batch in (waiting := self.batches.take_waiting()):
            self.queue += self._own_ways(batch)
        if waiting:
            self.queue.sort(key=_by_number)

    def _split(self, low: int, high: int) -> None:
        """Let batches on their way with numbers between two go their own ways from now on."""
        for batch in self.batches.take(lambda b: b.first <= high and b.first + len(b) > low):
            self._own_ways(batch)

    def _own_ways(self, batch: Batch) -> list[Call]:
        calls = batch.split()
        self.pending.update([(call.number, call) for call in calls])
        self.bytes += weigh(calls) - batch.size
        return calls

    def split(self) -> None:
        """Let all messages go their own ways from now on."""
        self.unbatch()
        if self.batches.flying:
            self._split(0, self.number)
            ordered = sorted(self.pending.items())
            self.pending.clear()
            self.pending.update(ordered)

    def _first(self, now: float) -> None:
        """Something is pending from now on."""
        self._progress, self._retry_s = now, RETRY_S
        self._looked, self._look_s, self._oldest = now, RETRY_S, 0

    def submit(self, call: Call, shard: int, now: float) -> None:
        """Number a request and queue it; `shard` is -1 for one without a key."""
        self.number = number = self.number + 1
        call.number, call.shard = number, shard
        if call.verb in WRITES:
            call.seq = self._seqs[shard] = self._seqs.get(shard, 0) + 1
        deadline = call.deadline = call.deadline or now + self.timeout_s
        if deadline < self._soonest:
            self._soonest = deadline
        if not self.pending and not self.batches.count:
            self._first(now)
        self.pending[number] = call
        self.queue.append(call)
        self.bytes += len(call.value) + CALL_BYTES

    def submit_all(self, calls: Sequence[Call], shards: Sequence[int], now: float) -> None:
        """As :meth:`submit`, for new writes with keys."""
        seqs, number, deadline = self._seqs, self.number, now + self.timeout_s
        if deadline < self._soonest:
            self._soonest = deadline
        if not self.count:
            self._first(now)
        for call, shard in zip(calls, shards, strict=True):
            number += 1
            call.number, call.shard, call.deadline = number, shard, deadline
            call.seq = seqs[shard] = seqs.get(shard, 0) + 1
        self.pending.update(zip(range(self.number + 1, number + 1), calls, strict=True))
        self.number = number
        self.queue += calls
        self.bytes += weigh(calls)

    def again(self, call: Call, level: int, now: float) -> None:
        """Ask once more for a settled or pending write, at another level of durability."""
        self.find(call.number)
        call.level, call.done = level, False
        if call.number not in self.pending:
            self.bytes += call.size
        self.pending[call.number] = call
        call.deadline = now + self.timeout_s
        self._soonest = min(self._soonest, call.deadline)
        self.queue.append(call)

    def drain(self, now: float) -> list[Call]:
        """Take the requests to send in this turn, in order, as many as the window has room for."""
        if self._dropped:
            self.queue = [c for c in self.queue if c.number in self.pending]
            self._dropped = False
        queue = self.queue
        if queue:
            self._progress = now
        room = WINDOW - (len(self.pending) - len(queue))
        if len(queue) > room:
            if room < WINDOW // 8:
                return []  # taken in large parts: each moves what remains
            part, queue[:room] = queue[:room], []
            return part
        self.queue = []
        return queue

    def heard(self, now: float) -> None:
        """Note that a server received something: what is on its way there need not be repeated."""
        self._progress, self._retry_s = now, RETRY_S

    def resend(self, now: float, lost: str | None = None) -> None:
        """Queue again, in order, all that is unanswered (or all that went to one lost server).

        Who sends a stream of answers has the request: it is not sent again while that lives.
        """
        self.split()
        calls = self.pending.values()
        if lost is None:
            again = [c for c in calls if c.handler is None]
        else:
            again = [c for c in calls if lost in (c.target, c.handler)]
            for call in again:
                call.handler = None
        self._enqueue(again)
        self._progress = now

    # --- answers

    def answered(self, numbers: Sequence[int], answers: list[Any], now: float) -> list[Call]:
        """Take a column of answers to messages; give the calls that settled by themselves."""
        self._progress, self._retry_s = now, RETRY_S
        if self.batches.flying:
            batch = self.batches.of(numbers)
            if batch is not None:
                self.batches.remove(batch)
                self.bytes -= batch.size
                batch.settle(answers)
                self.whole.append(batch)
                return []
            self._split(min(numbers), max(numbers))
        calls: list[Any] = list(map(self.pending.pop, numbers, repeat(None)))
        if None in calls:
            there = [i for i, call in enumerate(calls) if call is not None]
            calls, answers = [calls[i] for i in there], [answers[i] for i in there]
        for call, answer in zip(calls, answers, strict=True):
            call.content = answer
            call.done = True
        self.bytes -= weigh(calls)
        return calls

    def reply(
        self, numbers: Any, statuses: list[int] | None, term: Term, offsets: Any, values: Any,
        now: float,
    ) -> list[Call]:
        """Take a column of answers; give the calls that settled."""
        self._progress, self._retry_s = now, RETRY_S
        if statuses is None and values is None and offsets is not None and self._follows is None:
            written = self._written(numbers, term, offsets)
            if written is not None:
                return written
        return self._each(numbers, statuses, term, offsets, values, now)

    def _each(
        self, numbers: Any, statuses: list[int] | None, term: Term, offsets: Any, values: Any,
        now: float,
    ) -> list[Call]:
        pending: dict[int, Call] = self.pending
        settled: list[Call] = []
        freed = 0
        kept = self._kept
        for i, number in enumerate(numbers):
            call = pending.get(number)
            if call is None:
                call = self.find(number)
                if call is None:
                    continue
            status = OK if statuses is None else statuses[i]
            value = None if values is None else values[i]
            if status in (GAP, UNKNOWN):
                self._rewind(call, 1 if status == UNKNOWN else _number(value), now)
                continue
            if status == RETRY:
                self._hurry = min(self._hurry, now + RETRY_SOON_S)
                self._refused.add(call.shard)
                continue
            if status == NO_QUORUM and call.seq:
                # It may come to be yet, and those after it have their numbers: it stays pending.
                if not call.done:
                    call.status, call.result, call.done = status, value, True
                    settled.append(call)
                self._hurry = min(self._hurry, now + RETRY_S)
                self._refused.add(call.shard)
                continue
            del pending[number]
            freed += len(call.value) + CALL_BYTES
            if offsets is not None and offsets[i]:
                call.offset = _new(Offset, (call.shard, term, offsets[i]))
                if number in kept and self._unseen(call.shard):
                    kept.drop(number)  # the next owner has it
                elif call.seq:
                    kept.add(number, call)
            if call.done:
                continue  # it timed out before; its outcome stays what the caller was told
            call.status, call.result, call.done = status, value, True
            settled.append(call)
        self.bytes -= freed
        kept.trim()
        return settled

    def _written(self, numbers: Any, term: Term, offsets: Any) -> list[Call] | None:
        """Take the answers to writes that all went well, as columns; None when some need more."""
        if len({*numbers}) < len(numbers) or not self._kept.calls.keys().isdisjoint(numbers):
            return None
        calls: list[Any] = list(map(self.pending.get, numbers))
        if None in calls or 0 in offsets:
            return None
        if [c for c in calls if c.done or not c.seq or c.status or c.result is not None]:
            return None
        for call, at in zip(calls, offsets, strict=True):
            call.offset = _new(Offset, (call.shard, term, at))
            call.done = True
        deque(map(self.pending.pop, numbers), 0)
        size = weigh(calls)
        self.bytes -= size
        self._kept.add_all(numbers, calls, size)
        self._kept.trim()
        return calls

    def safe(self, term: Term, points: dict[int, int], shards: list[Shard]) -> None:
        """Forget the retained writes that every live server holds (R12).

        One that the local copy of the log does not hold, though its position has been passed,
        was lost with its owner: it is sent again. Where there is no local copy, one that was
        written in an earlier `term` is: its owner's table tells whether it is there.
        """
        lost: list[Call] = []
        for number, call in list(self._kept.calls.items()):
            point = points.get(call.shard, 0)
            if call.offset is None or call.offset.number > point:
                continue
            unseen, sessions = self._unseen(call.shard), shards[call.shard].sessions
            if call.offset.term == term if unseen else sessions.has(self.sid, call.seq):
                self._kept.drop(number)
            elif number not in self.pending:
                lost.append(call)
        self._enqueue(lost)

    def _unseen(self, shard: int) -> bool:
        return self._follows is not None and shard not in self._follows

    def _enqueue(self, calls: list[Call]) -> None:
        """Queue requests again, in order, those not queued already."""
        if not calls:
            return
        queued = {c.number for c in self.queue}
        fresh = [c for c in calls if c.number not in queued]
        for call in fresh:
            if call.number not in self.pending:
                self.pending[call.number] = call
                self.bytes += call.size
        self.queue = sorted(self.queue + fresh, key=_by_number)

    def _rewind(self, call: Call, expected: int, now: float) -> None:
        """Send again from `expected` on, or end the session when that is no longer here."""
        if now - self._rewound.get(call.shard, -REWIND_S) < REWIND_S:
            return  # this answer is to something sent before the last rewind (R11)
        self._rewound[call.shard] = now
        shard = call.shard
        have = {c.seq: c for c in self._kept.calls.values() if c.shard == shard}
        for other in self.pending.values():
            if other.shard == shard and other.seq:
                have[other.seq] = other
        missing = [s for s in range(expected, call.seq) if s not in have]
        if missing:
            begins = expected == 1 and len(missing) == call.seq - 1
            self._restart(shard, [] if begins else missing)
            return
        self._enqueue([have[s] for s in sorted(have) if s >= expected])

    def _restart(self, shard: int, missing: list[int]) -> None:
        """Open a new session: this one has a hole that nobody can fill."""
        self.lost.append((shard, missing))
        for call in list(self.pending.values()):
            if call.seq:
                del self.pending[call.number]
                self.bytes -= call.size
                if not call.done:
                    call.status, call.done = LOST, True
                    self.settled.append(call)
        self.queue = [c for c in self.queue if not c.seq]
        self._open_session()

    def drop(self, call: Call) -> None:
        """Forget a request whose caller no longer wants it (not a log write: those keep order)."""
        self.unbatch()
        self.find(call.number)
        if self.pending.pop(call.number, None) is not None:
            self.bytes -= call.size
            self._dropped = True

    # --- time

    @property
    def deadline(self) -> float | None:
        """When :meth:`wake` has something to do, in monotonic seconds."""
        if not self.count:
            return None
        return min(
            self._soonest, self._hurry, self._progress + self._retry_s, self._looked + self._look_s
        )

    def wake(self, now: float) -> list[Call]:
        """End the calls whose time is over; send again when nothing was heard for long."""
        expired: list[Call] = []
        if now >= self._soonest:
            soonest = self.batches.due
            if soonest <= now:
                self.split()
                soonest = float("inf")
            for call in list(self.pending.values()):
                if call.done:
                    continue
                if call.deadline <= now:
                    call.status, call.done = TIMEOUT, True
                    expired.append(call)
                    if not call.seq:
                        self.drop(call)
                elif call.deadline < soonest:
                    soonest = call.deadline
            self._soonest = soonest
        if now >= self._hurry:
            self._enqueue([c for c in self.pending.values() if c.shard in self._refused])
            self._refused, self._hurry = set(), float("inf")
        if self.count and now >= self._progress + self._retry_s:
            self.resend(now)
            self._retry_s = min(RETRY_S_MAX, self._retry_s * 2) * (0.75 + self._rng.random() / 2)
        if self.count and now >= self._looked + self._look_s:
            self._look(now)
        return expired

    def _look(self, now: float) -> None:
        """Send again what others' answers have passed by: it was lost behind a server we hear."""
        numbers = next(iter(self.pending), None), self.batches.oldest
        oldest = min([number for number in numbers if number is not None])
        if oldest == self._oldest:
            self.split()
            late = [c for n, c in self.pending.items() if n <= self._newest]
            self._enqueue([c for c in late if c.handler is None])
            self._look_s = min(RETRY_S_MAX, self._look_s * 2)
        else:
            self._look_s = RETRY_S
        self._looked, self._oldest, self._newest = now, oldest, self.number

    def sooner(self, call: Call) -> None:
        """Note that a call's deadline was moved."""
        self._soonest = min(self._soonest, call.deadline)

    def close(self) -> list[Call]:
        """End every pending call; the cache is being destroyed."""
        self.split()
        ended = [c for c in self.pending.values() if not c.done]
        for call in ended:
            call.status, call.done = CLOSED, True
        self.pending.clear()
        self.queue.clear()
        return ended

    def __repr__(self) -> str:
        return f"<Requests {self.sid} pending={self.count} retained={len(self._kept)}>"


_new: Callable[..., Any] = cast("Any", tuple).__new__
_by_number: Callable[[Call], int] = attrgetter("number")


def _number(value: Any) -> int:
    return value if type(value) is int and value > 0 else 1
