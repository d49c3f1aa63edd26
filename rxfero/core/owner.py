"""The owner: requests carried out where their key lives, and answered when enough servers know.

A request that writes is resolved (push to an index, compare-and-set), logged, applied, handed to
the replicas, and answered at its level: COMMIT at once, replicated(n) when n servers acknowledged
the record. The session's dense numbers are checked first (R10): a duplicate gets its answer again,
a gap names what is missing. A request that is refused takes its number too, with a VOID record, so
that the session stays dense and the refusal survives the owner.

With a handler the request goes to the program first (:class:`Inbound`), one at a time a sender and
shard; `apply` is what the handler's `next()` does.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

from rxfero.core.branches import Merge
from rxfero.core.change import COUNT, DATA, LOST, VOID, Record
from rxfero.core.cluster import Cluster
from rxfero.core.members import ALIVE, JOINING
from rxfero.core.position import ZERO_TERM, Offset, Term
from rxfero.core.requests import (
    ALL,
    AUTO,
    COMMIT,
    COMPARE,
    FAILED,
    GAP,
    MAJORITY,
    MISSING,
    NOT_ALLOWED,
    NOT_REPLICATED,
    OK,
    REFUSED,
    RETRY,
    UNKNOWN,
    WRITES,
    WRONG,
)
from rxfero.core.shard import OWNER, Shard, Wait
from rxfero.core.tree import ABSENT
from rxfero.core.value import pack
from rxfero.errors import CompareFailed, KeyMissing, MethodNotAllowed, RxferoError, WrongType

NIL = b"\xc0"
REMEMBERED = 1 << 15  # answers of handlers kept for repetition, a session: a sender's window
TOLD_BYTES = 200  # of a value in the words of a refusal
SESSIONS = 256  # sessions whose answers are kept

PLAIN = frozenset(("update", "add"))
ONE = (AUTO, 1)  # levels that any one other server fulfils
_new: Callable[..., Any] = cast("Any", tuple).__new__


class Dest(NamedTuple):
    """Where an answer goes: over `route` (a link's name, "" is here) to `to`, for session `sid`."""

    route: str
    to: str
    sid: str


class Inbound:
    """One request on its way through the program's handler."""

    __slots__ = (
        "cancel", "dest", "done", "expect", "hops", "level", "number", "offset", "path", "seq",
        "shard", "term", "ttl_ms", "value", "verb",
    )

    def __init__(
        self, dest: Dest, number: int, verb: str, path: Any, value: bytes, seq: int, shard: int,
        level: int, expect: Any, ttl_ms: int, hops: int,
    ) -> None:
        self.dest, self.number, self.verb, self.path, self.value = dest, number, verb, path, value
        self.seq, self.shard, self.level = seq, shard, level
        self.expect, self.ttl_ms, self.hops = expect, ttl_ms, hops
        self.offset: Offset | None = None
        self.term: Term = ZERO_TERM
        self.done = False
        self.cancel: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"<Inbound {self.dest.sid}#{self.number} {self.verb} {self.path}>"


class Answers:
    """Answers of one turn to one destination, as columns."""

    __slots__ = ("numbers", "offsets", "statuses", "values")

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.statuses: list[int] = []
        self.offsets: list[int] = []
        self.values: list[Any] = []


class Owner:
    """Carries out requests whose keys this node owns."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.answers: dict[tuple[Dest, Term], Answers] = {}
        self._columns = Answers()  # those of the last answer, found without hashing
        self._last_dest: Dest | None = None
        self._last_term: Term | None = None
        self.inbox: list[Inbound] = []
        self._busy: dict[tuple[str, int], deque[Inbound]] = {}
        self._served: OrderedDict[str, OrderedDict[int, Any]] = OrderedDict()
        self._none: OrderedDict[int, Any] = OrderedDict()
        self.open: dict[tuple[str, int], Inbound] = {}

    # --- answers

    def answer(
        self, dest: Dest, number: int, status: int, term: Term, offset: int, value: Any
    ) -> None:
        """Put one answer into this turn's columns."""
        columns = self._columns
        if dest is not self._last_dest or term is not self._last_term or not self.answers:
            columns = self.answers.get((dest, term))
            if columns is None:
                columns = self.answers[dest, term] = Answers()
            self._columns, self._last_dest, self._last_term = columns, dest, term
        columns.numbers.append(number)
        columns.statuses.append(status)
        columns.offsets.append(offset)
        columns.values.append(value)

    def take_answers(self) -> Iterable[tuple[Dest, list[Any]]]:
        """Give the bodies of this turn's REPLY frames by destination."""
        answers, self.answers = self.answers, {}
        for (dest, term), columns in answers.items():
            numbers = columns.numbers
            count = len(numbers)
            dense = numbers[-1] - numbers[0] == count - 1 and numbers == list(
                range(numbers[0], numbers[0] + count)
            )
            yield dest, [
                dest.to,
                dest.sid,
                [numbers[0], count] if dense else [0, numbers],
                columns.statuses if any(columns.statuses) else None,
                term,
                columns.offsets if any(columns.offsets) else None,
                None if columns.values.count(None) == count else columns.values,
            ]

    # --- writes without a handler: the hot path

    def write(self, dest: Dest, row: Any, shard: Shard) -> None:
        """Carry out a log write (a Row of the router) and answer it, now or when replicated."""
        number, verb, path, value, seq, level, expect, ttl_ms = row
        cluster = self._cluster
        sid = dest.sid
        late = False
        if not shard.sessions.is_next(sid, seq):
            verdict = self._admit(dest, number, seq, shard, level)
            if verdict is None:
                return
            late = verdict == "hole"
        reply = None
        if not late and expect is None and not ttl_ms and verb in PLAIN and len(path) == 1:
            stamp = cluster.clock.next()
            at = shard.log.end + 1
            record = _new(
                Record, (shard.term, at, DATA, sid, seq, path, verb, value, stamp, None, 0)
            )
        else:
            try:
                if path == () and verb == "add":
                    record, reply = self._allocate(sid, seq, shard)
                elif late:
                    record = self._late(sid, seq, verb, path, value, shard, expect, ttl_ms)
                else:
                    record = self._resolved(sid, seq, verb, path, value, shard, expect, ttl_ms)
            except RxferoError as error:
                self._refuse(dest, number, seq, shard, error)
                return
            at = record.number
            if record.expires:
                cluster.expiring.add(shard.id)
        shard.append(record)
        cluster.logged(shard, record)
        if level == COMMIT or (level == AUTO and not cluster.cursors):
            self.answer(dest, number, OK, shard.term, at, reply)
        else:
            self._settle(dest, number, shard, at, level, reply)

    def _admit(self, dest: Dest, number: int, seq: int, shard: Shard, level: int) -> str | None:
        verdict = shard.sessions.check(dest.sid, seq)
        if verdict == "next" or verdict == "hole":
            return verdict
        if verdict == "duplicate":
            self._repeat(dest, number, seq, shard, level)
        elif verdict == "gap":
            expected = shard.sessions.expected(dest.sid)
            self.answer(dest, number, GAP, shard.term, 0, expected)
        else:
            self.answer(dest, number, UNKNOWN, shard.term, 0, None)
        return None

    def _late(
        self, sid: str, seq: int, verb: str, path: Any, value: bytes, shard: Shard, expect: Any,
        ttl_ms: int,
    ) -> Record:
        """Give the record of a write for a hole that a merge left: it must not undo newer ones."""
        late = Record(
            shard.term, shard.log.end + 1, DATA, sid, seq, path, verb, value,
            self._cluster.clock.tick(self._cluster.wall_ms), None, 0,
        )
        if expect is not None or Merge(shard).outcome(late).kind == DATA:
            return self._resolved(sid, seq, verb, path, value, shard, expect, ttl_ms)
        late = late._replace(kind=LOST)
        self._cluster.conflict(shard.id, (late,))
        return late

    def _repeat(self, dest: Dest, number: int, seq: int, shard: Shard, level: int) -> None:
        at = shard.sessions.number_of(dest.sid, seq)
        served = self._served.get(dest.sid, self._none).get(number)
        if served is not None and served[0] != OK:
            self.answer(dest, number, served[0], shard.term, 0, served[1])
            return
        reply = None if served is None else served[1]
        log = shard.log
        if at is None and (kept := log.find(dest.sid, seq)) is not None:
            at = kept.number
        if at is not None and log.base < at <= log.end:
            record = log.records[at - log.base - 1]
            if record.kind == VOID:
                self.answer(dest, number, REFUSED, shard.term, 0, record.value)
                return
            if record.kind == COUNT:
                reply = record.value
        self._settle(dest, number, shard, at or log.base, level, reply)

    def _resolved(
        self, sid: str, seq: int, verb: str, path: Any, value: bytes, shard: Shard, expect: Any,
        ttl_ms: int,
    ) -> Record:
        cluster = self._cluster
        if expect is not None or len(path) > 1 or verb not in PLAIN:
            verb, path, value = shard.state.resolve(verb, path, value, expect=expect)
        wall = cluster.wall_ms
        return Record(
            shard.term, shard.log.end + 1, DATA, sid, seq, path, verb, value,
            cluster.clock.tick(wall), None, wall + ttl_ms if ttl_ms else 0,
        )

    def _allocate(self, sid: str, seq: int, shard: Shard) -> tuple[Record, bytes]:
        value = pack(shard.count + 1)
        stamp = self._cluster.clock.tick(self._cluster.wall_ms)
        record = Record(
            shard.term, shard.log.end + 1, COUNT, sid, seq, (), "count", value, stamp, None, 0
        )
        return record, value

    def _log(self, shard: Shard, record: Record) -> None:
        shard.append(record)
        self._cluster.logged(shard, record)
        if record.expires:
            self._cluster.expiring.add(shard.id)

    def _refuse(
        self, dest: Dest, number: int, seq: int, shard: Shard, error: RxferoError
    ) -> None:
        status, value = refusal(error)
        self._void(dest.sid, seq, shard, value)
        self._remember(dest.sid, number, status, value)
        self.answer(dest, number, status, shard.term, 0, value)

    def _void(self, sid: str, seq: int, shard: Shard, value: bytes) -> None:
        stamp = self._cluster.clock.tick(self._cluster.wall_ms)
        if len(value) > 4 * TOLD_BYTES:
            value = pack("refused")
        self._log(
            shard,
            Record(
                shard.term, shard.log.end + 1, VOID, sid, seq, (), "", value, stamp, None, 0
            ),
        )

    # --- levels

    def _settle(
        self, dest: Dest, number: int, shard: Shard, at: int, level: int, value: Any
    ) -> None:
        if level != COMMIT and self.reach(shard, level) < at:
            limit = self._cluster.now + self._cluster.constants.requests.timeout / 1000
            shard.waits.append(Wait(at, level, (dest, number, value), limit))
            self._cluster.waiting.add(shard.id)
            return
        self.answer(dest, number, OK, shard.term, at, value)

    def reach(self, shard: Shard, level: int) -> int:
        """Give how far into a shard's log a level of acknowledgement has come."""
        cluster = self._cluster
        end = shard.log.end
        cursors = cluster.cursors
        if level == AUTO:
            if not cursors:
                return end
            level = 1
        if level == COMMIT:
            return end
        number = shard.id
        matches = sorted(
            [c.match.get(number, 0) for c in cursors.values()], reverse=True
        )
        if level == ALL:
            known = len(cluster.members.table) > 1
            return matches[-1] if matches else 0 if known else end
        if level == MAJORITY:
            voters = sum(m.state in (ALIVE, JOINING) for m in cluster.members.table.values())
            level = voters // 2
            if level == 0:
                return end
        return matches[level - 1] if len(matches) >= level else 0

    def acknowledged(self, name: str, fence: Term, numbers: list[int], ends: list[int]) -> None:
        """Raise what a follower has, and answer what waited for it."""
        cluster = self._cluster
        cursor = cluster.cursors.get(name)
        if cursor is None:
            return
        match, shards, touched = cursor.match, cluster.shards, cluster.touched
        for number, end in zip(numbers, ends, strict=True):
            shard = shards[number]
            if shard.role != OWNER or shard.term != fence:
                continue
            if end > match.get(number, 0):
                match[number] = min(end, shard.log.end)
                touched.add(number)
                waits = shard.waits
                while waits and waits[0].level in ONE and waits[0].number <= end:
                    wait = waits.popleft()
                    dest, request, value = wait.reply
                    self.answer(dest, request, OK, fence, wait.number, value)
                if waits:
                    self.resolve(shard)
                else:
                    cluster.waiting.discard(number)

    def resolve(self, shard: Shard) -> None:
        """Answer the waits of a shard whose level has been reached."""
        waits = shard.waits
        reached: dict[int, int] = {}
        kept: deque[Wait] | None = None
        while waits:
            wait = waits[0]
            limit = reached.get(wait.level)
            if limit is None:
                limit = reached[wait.level] = self.reach(shard, wait.level)
            if wait.number <= limit:
                dest, number, value = wait.reply
                self.answer(dest, number, OK, shard.term, wait.number, value)
            else:
                kept = deque() if kept is None else kept
                kept.append(wait)
            waits.popleft()
        if kept:
            shard.waits = kept
        else:
            self._cluster.waiting.discard(shard.id)

    def resolve_all(self) -> None:
        """Look again at every wait: the set of servers changed."""
        for number in list(self._cluster.waiting):
            self.resolve(self._cluster.shards[number])

    def late(self) -> None:
        """Answer the waits whose time is over with how far they came."""
        cluster = self._cluster
        for number in list(cluster.waiting):
            shard = cluster.shards[number]
            kept: deque[Wait] = deque()
            for wait in shard.waits:
                if wait.deadline > cluster.now:
                    kept.append(wait)
                    continue
                got = sum(c.match.get(number, 0) >= wait.number for c in cluster.cursors.values())
                dest, request, _ = wait.reply
                self.answer(
                    dest, request, NOT_REPLICATED, shard.term, wait.number, pack([wait.level, got])
                )
            shard.waits = kept
            if not kept:
                cluster.waiting.discard(number)

    def lost(self, shard: Shard) -> None:
        """Answer what waits in a shard that another has taken over: ask the new owner."""
        waits, shard.waits = shard.waits, deque()
        self._cluster.waiting.discard(shard.id)
        for wait in waits:
            dest, number, _ = wait.reply
            self.answer(dest, number, RETRY, ZERO_TERM, 0, None)

    # --- with a handler

    def handle(self, inbound: Inbound) -> None:
        """Give a request to the program, in the order of its sender and shard."""
        sid, number = inbound.dest.sid, inbound.number
        served = self._served.get(sid, self._none)
        if number in served:
            known = served[number]
            if known is not None:
                self._repeat_served(inbound, known)
            return
        if inbound.seq:
            line = self._busy.get((sid, inbound.shard))
            if line is not None:
                if all(other.number != number for other in line):
                    line.append(inbound)
                return
        self._begin(inbound)

    def _repeat_served(self, inbound: Inbound, known: tuple[int, Any]) -> None:
        status, value = known
        if inbound.seq and status == OK:
            shard = self._cluster.shards[inbound.shard]
            self._repeat(inbound.dest, inbound.number, inbound.seq, shard, inbound.level)
            return
        self.answer(inbound.dest, inbound.number, status, ZERO_TERM, 0, value)

    def _begin(self, inbound: Inbound) -> bool:
        if inbound.seq:
            shard = self._cluster.shards[inbound.shard]
            if shard.role != OWNER:
                self.answer(inbound.dest, inbound.number, RETRY, ZERO_TERM, 0, None)
                return False
            verdict = self._admit(
                inbound.dest, inbound.number, inbound.seq, shard, inbound.level
            )
            if verdict is None:
                return False
            inbound.term = shard.term
            self._busy[inbound.dest.sid, inbound.shard] = deque()
        self._remember(inbound.dest.sid, inbound.number, None, None)
        self.open[inbound.dest.sid, inbound.number] = inbound
        self.inbox.append(inbound)
        return True

    def apply(self, inbound: Inbound) -> Offset:
        """Log and apply the write of a request: the default verbs (`request.next()`).

        Raises:
            Refused: not a default verb, or the write was refused.
            RxferoError: this node lost the shard meanwhile (the sender retries).
        """
        if inbound.verb not in WRITES or not inbound.seq:
            raise MethodNotAllowed(inbound.verb)
        if inbound.offset is not None:
            return inbound.offset
        shard = self._cluster.shards[inbound.shard]
        if shard.role != OWNER or shard.term != inbound.term:
            raise Moved(f"shard {shard.id} moved to another server")
        sid, seq = inbound.dest.sid, inbound.seq
        verdict = shard.sessions.check(sid, seq)
        if verdict == "duplicate":  # a merge brought it while the handler ran
            at = shard.sessions.number_of(sid, seq) or shard.log.base
            inbound.offset = Offset(shard.id, shard.log.term_at(at), at)
            return inbound.offset
        if inbound.path == () and inbound.verb == "add":
            record, _ = self._allocate(sid, seq, shard)
        elif verdict == "hole":
            record = self._late(
                sid, seq, inbound.verb, inbound.path, inbound.value, shard, inbound.expect,
                inbound.ttl_ms,
            )
        else:
            record = self._resolved(
                sid, seq, inbound.verb, inbound.path, inbound.value, shard, inbound.expect,
                inbound.ttl_ms,
            )
        self._log(shard, record)
        inbound.offset = Offset(shard.id, record.term, record.number)
        return inbound.offset

    def reply(self, inbound: Inbound, status: int, value: bytes | None) -> None:
        """Answer a request that the handler has finished, and begin the next in its line."""
        if inbound.done:
            return
        inbound.done = True
        sid, number = inbound.dest.sid, inbound.number
        self.open.pop((sid, number), None)
        self._remember(sid, number, status, value)
        if not inbound.seq:
            self.answer(inbound.dest, number, status, ZERO_TERM, 0, value)
            return
        shard = self._cluster.shards[inbound.shard]
        if shard.role != OWNER or shard.term != inbound.term:
            self._served.get(sid, self._none).pop(number, None)
            self.answer(inbound.dest, number, RETRY, ZERO_TERM, 0, None)
        elif inbound.offset is not None:
            at = inbound.offset.number
            if status == OK:
                self._settle(inbound.dest, number, shard, at, inbound.level, value)
            else:
                self.answer(inbound.dest, number, status, shard.term, at, value)
        else:
            if not shard.sessions.has(sid, inbound.seq):
                self._void(sid, inbound.seq, shard, value or NIL)
            self.answer(inbound.dest, number, status, shard.term, 0, value)
        line = self._busy.pop((sid, inbound.shard), None)
        while line:
            follower = line.popleft()
            if self._begin(follower):
                self._busy[sid, inbound.shard].extend(line)
                return

    def _remember(self, sid: str, number: int, status: int | None, value: Any) -> None:
        shelf = self._served.get(sid)
        if shelf is None:
            shelf = self._served[sid] = OrderedDict()
            if len(self._served) > SESSIONS:
                self._served.popitem(last=False)
        shelf[number] = None if status is None else (status, value)
        while len(shelf) > REMEMBERED:
            shelf.popitem(last=False)

    def mark(self, shard: Shard, what: str) -> None:
        """Log that something was done that is done once a cluster."""
        stamp = self._cluster.clock.tick(self._cluster.wall_ms)
        self._log(
            shard,
            Record(
                shard.term, shard.log.end + 1, COUNT, "", 0, (), "mark", pack(what), stamp, None, 0
            ),
        )

    # --- time to live

    def expire(self) -> None:
        """Remove what has outlived its time to live, as records of the log."""
        cluster = self._cluster
        wall = cluster.wall_ms
        for number in list(cluster.expiring):
            shard = cluster.shards[number]
            if shard.role != OWNER:
                continue
            for key in shard.state.expired(wall):
                self._log(
                    shard,
                    Record(
                        shard.term, shard.log.end + 1, DATA, "", 0, (key,), "remove", NIL,
                        cluster.clock.tick(wall), None, 0,
                    ),
                )

    def __repr__(self) -> str:
        return f"<Owner {self._cluster.name} open={len(self.open)}>"


class Moved(RxferoError):
    """The shard of a request moved to another owner while its handler ran."""


def _told(value: Any) -> Any:
    """Give a value as a refusal tells it: itself when it is small, else how it begins."""
    if value is not ABSENT and len(pack(value)) <= TOLD_BYTES:
        return value
    return str(value)[:TOLD_BYTES]


def refusal(error: Exception) -> tuple[int, bytes]:
    """Give the status and value that tell an error to the caller."""
    text = str(error).encode("utf-8", "backslashreplace").decode()
    if isinstance(error, CompareFailed):
        return COMPARE, pack([_told(error.expected), _told(error.actual)])
    if isinstance(error, KeyMissing):
        return MISSING, pack(text)
    if isinstance(error, WrongType):
        return WRONG, pack(text)
    if isinstance(error, MethodNotAllowed):
        return NOT_ALLOWED, pack(error.verb)
    if isinstance(error, RxferoError):
        return REFUSED, pack(text)
    return FAILED, pack([type(error).__name__, text])


