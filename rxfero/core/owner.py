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

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from rxfero.core import frame
from rxfero.core.branches import Merge
from rxfero.core.call import (
    AUTO,
    COMMIT,
    COMPARE,
    FAILED,
    GAP,
    MISSING,
    NOT_ALLOWED,
    OK,
    REFUSED,
    RETRY,
    UNKNOWN,
    WRITES,
    WRONG,
)
from rxfero.core.change import COUNT, DATA, LOST, VOID, Record
from rxfero.core.cluster import Cluster
from rxfero.core.columns import write_numbers
from rxfero.core.levels import Levels
from rxfero.core.messages import BARE, PENDING, Dest, Inbound, Run, Shelves, write_answers
from rxfero.core.path import wire
from rxfero.core.position import ZERO_TERM, Offset, Term
from rxfero.core.reads import Reads
from rxfero.core.ring import shards_of
from rxfero.core.rows import Rows
from rxfero.core.shard import OWNER, Shard
from rxfero.core.tree import ABSENT
from rxfero.core.value import pack, pack_body, unpack
from rxfero.errors import (
    CompareFailed,
    KeyMissing,
    MethodNotAllowed,
    Refused,
    RxferoError,
    ValueRefused,
    WrongType,
)

NIL = b"\xc0"
MARK_MAX = 64  # characters of a mark
BY = " "  # in a mark: what has begun, and the boot of who does it, of whom one is enough
TOLD_BYTES = 200  # of a value in the words of a refusal

PLAIN = frozenset(("update", "add"))
KEYS = {str, int}  # types of keys that are whole: of paths of one element
_new: Callable[..., Any] = cast("Any", tuple).__new__


class Answers:
    """Answers of one turn to one destination, as columns."""

    __slots__ = ("numbers", "offsets", "statuses", "values")

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.statuses: list[int] = []
        self.offsets: list[int] = []
        self.values: list[Any] = []

    def parts(self, room: int) -> Iterable[Answers]:
        """Give them in parts of about `room` bytes of values, or of one that is larger."""
        values = self.values
        sizes = [len(v) if type(v) is bytes else 8 for v in values]
        if sum(sizes) <= room:
            yield self
            return
        first = size = 0
        for at, more in enumerate([*sizes, room + 1]):
            if size + more > room and at > first:
                part = Answers()
                part.numbers, part.statuses = self.numbers[first:at], self.statuses[first:at]
                part.offsets, part.values = self.offsets[first:at], values[first:at]
                yield part
                first, size = at, 0
            size += more


class Owner:
    """Carries out requests whose keys this node owns."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.answers: dict[tuple[Dest, Term], Answers] = {}
        self._columns = Answers()  # those of the last answer, found without hashing
        self._last_dest: Dest | None = None
        self._last_term: Term | None = None
        self.kind: type[Inbound] = Inbound
        self.bare = BARE  # of that kind
        self.inbox: list[Inbound | Run] = []
        self.unknown: list[Run] = []  # of this turn: their senders wait for a receipt
        self.reads = Reads(cluster, self.answer)
        self.levels = Levels(cluster, self.answer, self.reads.look)
        self._commit_waits = cluster.quorum is not None
        self._busy: dict[tuple[str, int], deque[Inbound]] = {}
        self._served = Shelves()
        self._placed_of: tuple[int, str, Term] | None = None
        self._placed: dict[int, int] = {}
        self._placed_to = 0
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

    def _answer_all(self, dest: Dest, numbers: list[int], records: list[Record]) -> None:
        """Put answers to writes that went well into this turn's columns."""
        if len({record.term for record in records}) > 1:
            for number, record in zip(numbers, records, strict=True):
                self.answer(dest, number, OK, record.term, record.number, None)
            return
        self.answer(dest, numbers[0], OK, records[0].term, records[0].number, None)
        columns, more = self._columns, len(numbers) - 1
        columns.numbers += numbers[1:]
        columns.statuses += [OK] * more
        columns.offsets += [record.number for record in records[1:]]
        columns.values += [None] * more

    def take_answers(self) -> Iterable[tuple[Dest, list[Any]]]:
        """Give the bodies of this turn's REPLY frames by destination."""
        answers, self.answers = self.answers, {}
        room = self._cluster.room
        for (dest, term), columns in answers.items():
            for part in columns.parts(room):
                count = len(part.numbers)
                yield dest, [
                    dest.to,
                    dest.sid,
                    write_numbers(part.numbers),
                    part.statuses if any(part.statuses) else None,
                    term,
                    part.offsets if any(part.offsets) else None,
                    None if part.values.count(None) == count else part.values,
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
                Record, (shard.term, at, DATA, sid, seq, path[0], verb, value, stamp, None, 0)
            )
        else:
            try:
                if path == ():
                    record, reply = self._special(sid, seq, verb, value, shard)
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
        if not self._commit_waits and (
            level == COMMIT or (level == AUTO and not cluster.cursors)
        ):
            self.answer(dest, number, OK, shard.term, at, reply)
        else:
            self.levels.settle(dest, number, shard, at, level, reply)

    def write_many(self, dest: Dest, rows: Rows) -> Rows:
        """Do as :meth:`write` for all of a frame that need no more than their turn; give the rest.

        That is what nearly all are: updates of whole keys that are served here, the next of their
        session. It saves most of what a write costs to do them in one loop.
        """
        _, _, sid, _, numbers, verb, keys, values, seqs, level, expects, ttls = rows
        plain = type(verb) is str and verb in PLAIN and expects is None and ttls is None
        if not plain or type(level) is not int or 0 in seqs or not KEYS.issuperset(map(type, keys)):
            return rows
        cluster, clock = self._cluster, self._cluster.clock
        shards = cluster.shards
        at_once = not self._commit_waits and (
            level == COMMIT or (level == AUTO and not cluster.cursors)
        )
        first = clock.first(clock.wall_ms, 0)
        stamps = iter(range(first, first + len(numbers) + 1))  # they take less than sums do
        stamp = next(stamps)
        where: list[int] = []
        made: list[Record] = []
        rest: list[int] = []
        taken: list[int] = []
        homes = [shards[number] for number in shards_of(keys, cluster.count)]
        columns: Iterable[tuple[int, int, Any, bytes, int, Shard]] = zip(
            range(len(numbers)), numbers, keys, values, seqs, homes, strict=True
        )
        for place, number, key, value, seq, shard in columns:
            mine = shard.role == OWNER
            record = shard.write(sid, seq, key, verb, value, stamp) if mine else None
            if record is None:
                rest.append(place)
                continue
            stamp = next(stamps)
            where.append(shard.id)
            made.append(record)
            if at_once:
                taken.append(number)
            else:
                self.levels.settle(dest, number, shard, record.number, level, None)
        clock.first(clock.wall_ms, len(made))
        if made:
            cluster.followed(where, made)
        if taken:
            self._answer_all(dest, taken, made)
        return rows.only(rest)

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
            shard.term, shard.log.end + 1, DATA, sid, seq, wire(path), verb, value,
            self._cluster.clock.tick(self._cluster.wall_ms), None, 0,
        )
        if expect is not None or Merge(shard).outcome(late).kind == DATA:
            return self._resolved(sid, seq, verb, path, value, shard, expect, ttl_ms)
        late = late._replace(kind=LOST)
        self._cluster.conflict(shard.id, (late,))
        return late

    def _repeat(self, dest: Dest, number: int, seq: int, shard: Shard, level: int) -> None:
        at = shard.sessions.number_of(dest.sid, seq)
        served = self._served.find(dest.sid, number)
        if served is not None and served[0] != OK:
            self.levels.settle(dest, number, shard, at or 0, COMMIT, served[1], served[0], 0)
            return
        reply = None if served is None else served[1]
        log = shard.log
        if at is None:
            at = self._place(dest.sid, seq, shard)
        if at is not None and log.base < at <= log.end:
            record = log.records[at - log.base - 1]
            if record.kind == VOID:
                status, told = unpack(record.value)
                self.levels.settle(dest, number, shard, at, COMMIT, pack(told), status, 0)
                return
            if record.kind == COUNT:
                reply = record.value
        self.levels.settle(dest, number, shard, at or log.base, level, reply)

    def _place(self, sid: str, seq: int, shard: Shard) -> int | None:
        """Give the place in the log of a write that is older than its session's window.

        Such are sent again by the thousand when an owner changes: the log is read once for all.
        """
        log, of = shard.log, (shard.id, sid, shard.term)
        if self._placed_of != of:
            self._placed_of, self._placed, self._placed_to = of, {}, log.base
        for record in log.records[max(self._placed_to - log.base, 0) :]:
            if record.sid == sid:
                self._placed[record.seq] = record.number
        self._placed_to = log.end
        return self._placed.get(seq)

    def _resolved(
        self, sid: str, seq: int, verb: str, path: Any, value: bytes, shard: Shard, expect: Any,
        ttl_ms: int,
    ) -> Record:
        cluster = self._cluster
        if expect is not None or len(path) > 1 or verb not in PLAIN:
            verb, path, value = shard.state.resolve(verb, path, value, expect=expect)
        wall = cluster.wall_ms
        return Record(
            shard.term, shard.log.end + 1, DATA, sid, seq, wire(path), verb, value,
            cluster.clock.tick(wall), None, wall + ttl_ms if ttl_ms else 0,
        )

    def _special(
        self, sid: str, seq: int, verb: str, value: bytes, shard: Shard
    ) -> tuple[Record, bytes]:
        """Give the record of a write to no key: the next id, or a mark of what is done once."""
        if verb == "add":
            return self._allocate(sid, seq, shard)
        what: Any = unpack(value)
        if verb != "push" or type(what) is not str or len(what) > MARK_MAX:
            raise WrongType(f"{verb} without a key")
        begun, _, boot = what.partition(BY)
        if boot and any(self._lives(m[len(begun) + 1 :]) for m in shard.marks
                        if m != what and m.startswith(begun + BY)):
            raise Refused(f"{begun} is under way already")
        stamp = self._cluster.clock.tick(self._cluster.wall_ms)
        return Record(
            shard.term, shard.log.end + 1, COUNT, sid, seq, (), "mark", value, stamp, None, 0
        ), value

    def _lives(self, boot: str) -> bool:
        return any(str(m.boot) == boot for m in self._cluster.members.table.values())

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
        self._void(dest.sid, seq, shard, status, value)
        self._served.of(dest.sid).note(number, (status, value))
        self.levels.settle(dest, number, shard, shard.log.end, COMMIT, value, status, 0)

    def _void(self, sid: str, seq: int, shard: Shard, status: int, value: bytes) -> None:
        """Log that a number is taken, with the refusal, which whoever asks again is told."""
        stamp = self._cluster.clock.tick(self._cluster.wall_ms)
        if len(value) > 4 * TOLD_BYTES:
            said = "handled, but the reply was too long to be kept for who asks again"
            failed = (FAILED, pack(["Uncertain", said]))
            status, value = failed if status == OK else (REFUSED, pack("refused"))
        value = pack([status, unpack(value)])
        self._log(
            shard,
            Record(
                shard.term, shard.log.end + 1, VOID, sid, seq, (), "", value, stamp, None, 0
            ),
        )

    # --- with a handler

    def handle(self, inbound: Inbound) -> None:
        """Give a request to the program, in the order of its sender and shard."""
        sid, number = inbound.dest.sid, inbound.number
        shelf = self._served.of(sid)
        if shelf.knows(number):
            known = shelf.find(number)
            if known is None:
                return
            if not inbound.seq or self._cluster.shards[inbound.shard].sessions.has(
                sid, inbound.seq
            ):
                self._repeat_served(inbound, known)
                return
            shelf.forget(number)  # what it logged has been undone since
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
        self._served.of(inbound.dest.sid).note(inbound.number, None)
        self.open[inbound.dest.sid, inbound.number] = inbound
        self.inbox.append(inbound)
        return True

    def take(
        self, dest: Dest, numbers: Sequence[int], verbs: Iterable[str], keys: list[Any] | None,
        values: list[Any],
    ) -> bool:
        """Give a batch of messages to the program; False: not all of it is new."""
        run = Run(dest, numbers, self.bare, verbs, keys, values)
        if not self._served.of(dest.sid).take(run):
            return False
        self.inbox.append(run)
        self.unknown.append(run)
        return True

    def begun(self, inbound: Inbound) -> None:
        """Note that a message of a batch is answered later: its caller may cancel it."""
        if not inbound.done:
            self.open[inbound.dest.sid, inbound.number] = inbound

    def answer_all(self, run: Run, answers: list[Any], *, whole: bool) -> None:
        """Answer a batch of messages, all that are not `PENDING`, in one frame.

        Args:
            whole: None of them is.

        Raises:
            ValueRefused: an answer cannot be sent; none was.
        """
        dest, numbers, given = run.dest, run.numbers, answers
        column = None
        if not whole:
            numbers = [n for n, a in zip(numbers, answers, strict=True) if a is not PENDING]
            given = [a for a in answers if a is not PENDING]
        if given:
            receipt = whole and not run.known
            run.known = run.known or receipt
            body = write_answers(dest.sid, numbers, given, receipt=receipt)
            packed, column = pack_body(body), body[2]
            if len(packed) > self._cluster.constants.outbox.frag - 64:
                raise ValueRefused("answers", f"{len(packed)} bytes packed are more than a frame")
            self._cluster.say_packed(dest.route, frame.ANSWER, packed)
        run.answered(answers, column if whole else None)

    def apply(self, inbound: Inbound) -> Offset:
        """Log and apply the write of a request: the default verbs (`request.next()`).

        Raises:
            Refused: not a default verb, or the write was refused.
            RxferoError: this node lost the shard meanwhile (the sender retries).
        """
        if inbound.type not in WRITES or not inbound.seq:
            raise MethodNotAllowed(inbound.type)
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
        if inbound.key == () and inbound.type == "add":
            record, _ = self._allocate(sid, seq, shard)
        elif verdict == "hole":
            record = self._late(
                sid, seq, inbound.type, inbound.key, inbound.packed, shard, inbound.expect,
                inbound.ttl_ms,
            )
        else:
            record = self._resolved(
                sid, seq, inbound.type, inbound.key, inbound.packed, shard, inbound.expect,
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
        self._served.of(sid).note(number, (status, value))
        if not inbound.seq:
            self.answer(inbound.dest, number, status, ZERO_TERM, 0, value)
            return
        shard = self._cluster.shards[inbound.shard]
        if shard.role != OWNER or shard.term != inbound.term:
            self._served.of(sid).forget(number)
            self.answer(inbound.dest, number, RETRY, ZERO_TERM, 0, None)
        elif inbound.offset is not None:
            at = inbound.offset.number
            if status == OK:
                self.levels.settle(inbound.dest, number, shard, at, inbound.level, value)
            else:
                self.levels.settle(inbound.dest, number, shard, at, COMMIT, value, status)
        else:
            if not shard.sessions.has(sid, inbound.seq):
                self._void(sid, inbound.seq, shard, status, value or NIL)
            at = shard.sessions.number_of(sid, inbound.seq) or shard.log.base
            self.levels.settle(inbound.dest, number, shard, at, COMMIT, value, status, 0)
        line = self._busy.pop((sid, inbound.shard), None)
        while line:
            follower = line.popleft()
            if self._begin(follower):
                self._busy[sid, inbound.shard].extend(line)
                return

    # --- time to live

    def expire(self) -> None:
        """Remove what has outlived its time to live, as records of the log."""
        cluster = self._cluster
        self._placed_of, self._placed = None, {}
        wall = cluster.wall_ms
        for number in list(cluster.expiring):
            shard = cluster.shards[number]
            if shard.role != OWNER:
                continue
            for key in shard.state.expired(wall):
                self._log(
                    shard,
                    Record(
                        shard.term, shard.log.end + 1, DATA, "", 0, key, "remove", NIL,
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


