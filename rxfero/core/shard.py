"""The shard: one log with its state, who may write it, and what waits for its replicas.

The shard is the unit of log, term and hand-over. Here are the local rules: the fence (R2), the
match of a follower's log (R3), the order of log first and state after, and what a record does to
the state, the applied set and the covers when it is applied. What travels between nodes (takeover,
catch-up, branches) is in the modules of those names; the shard knows no peers but by name.

Log matching needs no `prev` on the wire: a record of term T follows a record of term T, except a
TERM record, which names what it follows in its `origin`. So two logs with one record in common at
a position are equal up to it (Raft 5.3, I2).
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

from rxfero.core.change import COUNT, DATA, LOST, MERGE, TERM, VOID, Record
from rxfero.core.columns import read_keys, whole_numbers
from rxfero.core.log import OVERHEAD, Log
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.quorum import Prefix
from rxfero.core.sessions import Sessions
from rxfero.core.state import State
from rxfero.core.value import check_all, unpack
from rxfero.errors import ProtocolError

FOLLOWER, CANDIDATE, OWNER = 0, 1, 2
ROLES = ("follower", "candidate", "owner")

GREW, KNOWN, MISSES, DIVERGED = 0, 1, 2, 3  # what following a record came to

WHOLE = frozenset(("update", "add"))  # verbs that set the value at their path
_new: Callable[..., Any] = cast("Any", tuple).__new__
NONE: tuple[tuple[Any, ...], ...] = ((),) * 7  # the columns of a state without keys
TERMS_COVERED = 128  # newest foreign terms whose merged intervals are remembered


class Wait:
    """A reply that is due when enough servers hold a record."""

    __slots__ = ("deadline", "level", "number", "reply")

    def __init__(self, number: int, level: int, reply: Any, deadline: float) -> None:
        self.number, self.level, self.reply, self.deadline = number, level, reply, deadline


class Fold(NamedTuple):
    """What a log is folded to."""

    state: State
    sessions: Sessions
    covers: dict[Term, list[list[int]]]
    counter: int
    marks: set[str]


def read_fold(dump: Any) -> Fold:
    """Read what :meth:`Shard.dump` gave.

    Raises:
        ProtocolError: it is no such thing.
    """
    state, sessions = State(), Sessions()
    try:
        parts, table, covers, count, marks = dump
        evict_hlc, rows = table
        keys, values, numbers, hlcs, sids, seqs, ends = zip(*parts, strict=True) if parts else NONE
        names = [*sids, *marks, *[row[0] for row in rows]]
        whole: list[Any] = [numbers, hlcs, seqs, ends, (count, evict_hlc)]
        whole += [column for row in rows for column in (row[1:5], row[5], row[6])]
        spans = [span for _, _, row in covers for span in row]  # of dumps they are negative
        whole += [[abs(lo), abs(hi)] for lo, hi in spans]
        state.load(parts)
        sessions.load(table)
        found = {
            Term.read((n, boot)): [[lo, hi] for lo, hi in row] for n, boot, row in covers
        }
    except (TypeError, ValueError, LookupError) as error:
        raise ProtocolError(f"a state that cannot be read: {error}") from error
    if (
        {type(name) for name in names} - {str}
        or {type(value) for value in values} - {bytes}
        or not whole_numbers([column for column in whole if column])
        or any(type(key) is tuple for key in read_keys(list(keys)))
    ):
        raise ProtocolError("a state with a name, value, number or key that can be none")
    check_all(list(values))
    return Fold(state, sessions, found, count, set(marks))


class Shard:
    """One of the fixed shards on this node.

    Invariant: `promised` never decreases (I3); `role == OWNER` implies `term == promised` and
    `log.last_term == term`.
    """

    __slots__ = (
        "branches",
        "count",
        "covers",
        "dumps",
        "id",
        "log",
        "marks",
        "matched",
        "owner",
        "prefix",
        "promised",
        "role",
        "safe",
        "sessions",
        "stable",
        "state",
        "synced",
        "term",
        "view",
        "waits",
    )

    def __init__(self, number: int, *, quorum: bool = False) -> None:
        self.id = number
        self.log = Log()
        self.state = State()  # at the end of the log
        self.prefix: Prefix | None = Prefix() if quorum else None
        self.view = self.state if self.prefix is None else self.prefix.state  # what readers see
        self.sessions = Sessions()
        self.promised: Term = ZERO_TERM
        self.term: Term = ZERO_TERM
        self.role = FOLLOWER
        self.owner: str | None = None
        self.covers: dict[Term, list[list[int]]] = {}
        self.branches: list[list[Record]] = []
        self.dumps: list[list[Any]] = []
        self.waits: deque[Wait] = deque()
        self.safe = 0  # told in this term: all live servers hold the log up to here (R12)
        self.stable = 0  # all known servers, also those believed dead, do (R13)
        self.synced = 0  # how far the log is on this node's disk
        self.matched = 0  # how far it is known to be that of the owner with the promised term
        self.count = 0
        self.marks: set[str] = set()

    # --- fence

    def promise(self, term: Term) -> bool:
        """Refuse from now on whatever is below `term`; give whether a role was lost (R2)."""
        assert term >= self.promised, "I3"
        if term == self.promised:
            return False
        self.promised, self.matched = term, 0
        lost = self.role != FOLLOWER
        self.role, self.owner = FOLLOWER, None
        return lost

    # --- log first, state after

    def append(self, record: Record) -> None:
        """Log and apply a record of the owner (available mode: committed at once, R5)."""
        log = self.log
        if record.kind == DATA and record.term == log.last_term and record.number == log.end + 1:
            self._put(record)
        else:
            log.append(record)
            self.apply(record)

    def _put(self, record: Record) -> None:
        """Log and apply the next write of the term that the log is in: the hot path, in one call.

        Does what :meth:`Log.append` and :meth:`apply` do; benchmarks/commit.py is why.
        """
        log = self.log
        _, number, _, sid, seq, key, verb, value, hlc, _, expires = record
        log.records.append(record)
        log.end = number
        log.bytes += len(value) + OVERHEAD
        if key.__class__ is not tuple and not expires and verb in WHOLE:
            self.state.parts[key] = record  # pyright: ignore[reportArgumentType]
        else:
            self.state.apply(record)
        if not self.sessions.take(sid, seq, number, hlc):
            self.sessions.note(sid, seq, number, hlc)

    def write(
        self, sid: str, seq: int, key: str | int, verb: str, value: bytes, hlc: int
    ) -> Record | None:
        """Log and apply an owner's write of a whole key if it is its session's next; else None.

        Does what :meth:`Sessions.take` and :meth:`append` do; benchmarks/commit.py is why.
        """
        log = self.log
        number = log.end + 1
        if not self.sessions.take(sid, seq, number, hlc):
            return None
        record: Any = _new(
            Record, (self.term, number, DATA, sid, seq, key, verb, value, hlc, None, 0)
        )
        log.records.append(record)
        log.end = number
        log.bytes += len(value) + OVERHEAD
        self.state.parts[key] = record
        return record

    def follow(self, record: Record) -> int:
        """Take a record from the owner or feed.

        Returns:
            GREW, KNOWN (a duplicate), MISSES (something before it is not here: answer NACK), or
            DIVERGED (another record stands there: answer NACK, a snapshot will come).
        """
        log = self.log
        number = record.number
        if number == log.end + 1:
            if record.kind == DATA and record.term == log.last_term:
                self._put(record)
                return GREW
            if record.term == log.last_term if record.kind != TERM else (
                record.origin == (log.last_term, log.end) and record.term > log.last_term
            ):
                log.append(record)
                self.apply(record)
                return GREW
            return DIVERGED
        if number > log.end:
            return MISSES
        if number <= log.base or log.term_at(number) == record.term:
            return KNOWN
        return DIVERGED

    def follow_run(self, records: Sequence[Record]) -> bool:
        """Take records that plainly continue the log, all in one go; False: none was taken.

        Does what :meth:`follow` does with each; whoever joins gets its records so.
        """
        log, count = self.log, len(records)
        terms, numbers, kinds, sids, seqs, keys, verbs, values, stamps, _, expires = zip(
            *records, strict=True
        )
        first = log.end + 1
        if (
            numbers != tuple(range(first, first + count))
            or terms.count(log.last_term) != count
            or any(kinds)
            or any(expires)
            or not WHOLE.issuperset(verbs)
            or tuple in set(map(type, keys))
        ):
            return False
        log.records += records
        log.end += count
        log.bytes += sum(map(len, values)) + OVERHEAD * count
        self.state.parts.update(zip(keys, records, strict=True))
        self.sessions.note_run(sids, seqs, numbers, stamps)
        return True

    def apply(self, record: Record) -> None:
        """Let a logged record take effect; a pure function of the log."""
        kind = record.kind
        if kind == DATA:
            self.state.apply(record)
            self.sessions.note(record.sid, record.seq, record.number, record.hlc)
        elif kind in (VOID, LOST):
            self.sessions.note(record.sid, record.seq, record.number, record.hlc)
        elif kind == COUNT:
            self._count(record)
        elif kind == MERGE:
            self.cover(read_intervals(record.value))

    def _count(self, record: Record) -> None:
        if record.sid:
            self.sessions.note(record.sid, record.seq, record.number, record.hlc)
        match record.verb, _told(record.value):
            case "mark", str(mark):
                self.marks.add(mark)
            case _, int(count):
                self.count = max(self.count, count)
            case _:
                pass  # without effect, here as on every other server

    # --- covers

    def cover(self, intervals: list[tuple[Term, int, int]]) -> None:
        """Remember that these foreign records have been merged (R8)."""
        for term, lo, hi in intervals:
            spans = self.covers.setdefault(term, [])
            insort(spans, [lo, hi])
            merged = [spans[0]]
            for span in spans[1:]:
                if span[0] <= merged[-1][1] + 1:
                    merged[-1] = [merged[-1][0], max(merged[-1][1], span[1])]
                else:
                    merged.append(span)
            self.covers[term] = merged
        while len(self.covers) > TERMS_COVERED:
            del self.covers[min(self.covers)]

    def covered(self, term: Term, number: int) -> bool:
        """Whether this log holds the record at that foreign position, or has merged it."""
        if any(lo <= number <= hi for lo, hi in self.covers.get(term, ())):
            return True
        log = self.log
        return log.base < number <= log.end and log.term_at(number) == term

    # --- whole state

    @property
    def seen(self) -> int:
        """How far readers see the log."""
        return self.log.end if self.prefix is None else self.prefix.number

    @property
    def shown(self) -> list[Record]:
        """The retained records that readers see."""
        log = self.log
        return log.records if self.prefix is None else log.records[: max(0, self.seen - log.base)]

    def dump(self, *, seen: bool = False) -> list[Any]:
        """Give what the log is folded to, as plain values for a snapshot.

        Args:
            seen: Whether the state is to be the one that readers see.
        """
        return [
            (self.view if seen else self.state).dump(),
            (self.prefix.sessions if seen and self.prefix else self.sessions).dump(),
            [[*term, spans] for term, spans in sorted(self.covers.items())],
            self.count,
            sorted(self.marks),
        ]

    def load(self, dump: Any) -> None:
        """Replace the folded state by a dump of :meth:`dump`.

        Raises:
            ProtocolError: it is none. Nothing changed.
        """
        self.adopt(read_fold(dump))

    def adopt(self, fold: Fold) -> None:
        """Replace the folded state, the log being what it is folded from already."""
        self.state, self.sessions, self.covers, self.count, self.marks = fold
        if self.prefix is None:
            self.view = self.state
        else:
            self.prefix.rebase(self.log, self.state, self.sessions)

    def invariants(self) -> None:
        """Check what must hold between any two events."""
        self.log.invariants()
        assert self.term <= self.promised, "I3: an owner above its own promise"
        if self.role == OWNER:
            assert self.term == self.promised, "I3: an owner that promised another"
            assert self.log.last_term == self.term, "R4: an owner without a TERM record"
        assert all(w.number <= self.log.end for w in self.waits), "a wait beyond the log"

    def __repr__(self) -> str:
        where = f"{self.log.base}..{self.log.end}"
        return f"<Shard {self.id} {ROLES[self.role]} term={self.term} log={where}>"


def follow_each(shards: Sequence[Shard], where: list[int], records: list[Record]) -> int:
    """Let shards take records that plainly continue their logs; give how many, from the first on.

    Does what :meth:`Shard.follow` does with each: a live frame has many shards, and a record each.
    """
    count = 0
    for of, record in zip(where, records, strict=True):
        shard = shards[of]
        log = shard.log
        term, number, kind, sid, seq, key, verb, value, hlc, _, expires = record
        if number != log.end + 1 or term != log.last_term or kind or expires:
            break
        if verb not in WHOLE or key.__class__ is tuple:
            break
        log.records.append(record)
        log.end = number
        log.bytes += len(value) + OVERHEAD
        shard.state.parts[key] = record  # pyright: ignore[reportArgumentType]
        if not shard.sessions.take(sid, seq, number, hlc):
            shard.sessions.note(sid, seq, number, hlc)
        count += 1
    return count


def _told(value: bytes) -> Any:
    try:
        return unpack(value)
    except ProtocolError:
        return None


def read_intervals(value: bytes) -> list[tuple[Term, int, int]]:
    """Read what a MERGE record covers; one that cannot be read covers nothing, on any server."""
    try:
        spans = [(Term.read((n, boot)), lo, hi) for n, boot, lo, hi in _told(value)]
    except (TypeError, ValueError, ProtocolError):
        return []
    return [s for s in spans if type(s[1]) is int and type(s[2]) is int]
