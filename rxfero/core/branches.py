"""The branches: what a heal undid, offered to the owner until it is merged into the log (R6-R9).

A follower whose log diverged keeps its suffix (a branch), or its whole state when the point of
divergence is older than its log (a dump), and offers both to the owner until a MERGE record that
covers them comes back through the log. Only the owner merges, and it logs each outcome: the record
again with its original stamp, or a LOST record, then MERGE with the exact intervals. So every
replica sees the same outcome, and nothing acknowledged disappears without a trace.

Which of two writes is newer: of one session the later number, else the later hybrid logical clock,
ties by session id. A write loses if a newer one stands on an overlapping path: equal, above or
below. A write that its session sent again, because the log that had it was gone, counts from when
it was logged first. What was pushed to a list loses only to a newer write of the whole list: it
comes to its end, whatever stands at its old index. The rules were checked on the executable model
of the protocol; a covered interval is exact because "all up to n" loses records when two branches
of one term arrive apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from rxfero.core.change import COUNT, DATA, LOST, MERGE, TERM, Record
from rxfero.core.path import overlaps
from rxfero.core.position import Term
from rxfero.core.shard import Fold, Shard, read_fold, read_intervals
from rxfero.core.value import pack
from rxfero.errors import ProtocolError, RxferoError

MERGED_AT_ONCE = 256  # records of a branch in one frame, merged in one turn


class Draft(NamedTuple):
    """A record to be logged by the owner: everything but its position."""

    kind: int
    sid: str
    seq: int
    path: tuple[Any, ...]
    verb: str
    value: bytes
    hlc: int
    origin: tuple[Term, int] | None
    expires: int


def uncovered(shard: Shard) -> list[Record]:
    """Give the next records of this shard's branches to offer, and forget what is merged (R7)."""
    kept: list[list[Record]] = []
    for branch in shard.branches:
        rest = [r for r in branch if not shard.covered(r.term, r.number)]
        if rest:
            kept.append(rest)
    shard.branches = kept
    shard.dumps = [
        dump
        for dump in shard.dumps
        if not all(shard.covered(Term(n, boot), number) for n, boot, number in dump[1])
    ]
    return kept[0][:MERGED_AT_ONCE] if kept else []


class Merge:
    """The merge of foreign records into the owner's log.

    Built once a branch: the index of what this log holds by top-level key makes each comparison
    cost the writes of that key, not the log.
    """

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._index: dict[Any, list[Record]] = {}
        self._first: dict[tuple[str, int], int] = {}  # the stamps of writes that were sent again
        for record in shard.log.records:
            if record.kind == DATA and record.path:
                self._index.setdefault(record.path[0], []).append(record)

    def records(self, branch: list[Record]) -> Iterator[Draft]:
        """Give what to log for a branch, in order, ending with its MERGE record (R8).

        Each has to be logged before the next is taken, which may build on it.
        """
        shard = self._shard
        fresh = [r for r in branch if not shard.covered(r.term, r.number)]
        fresh.sort(key=_position)
        inherited: list[Any] = []
        for record in fresh:
            if record.kind == MERGE:
                inherited += [[*term, lo, hi] for term, lo, hi in read_intervals(record.value)]
                continue
            if record.kind == TERM:
                continue
            if record.sid and shard.sessions.has(record.sid, record.seq):
                self._first[record.sid, record.seq] = record.hlc
                continue
            yield self.outcome(record)
        if fresh:
            yield _merge_draft(_intervals(fresh), inherited)

    def dump(self, dump: Any) -> Iterator[Draft]:
        """Give what to log for the state of a log that diverged below its base.

        Each has to be logged before the next is taken.

        Raises:
            ProtocolError: it is no such thing.
        """
        shard = self._shard
        fold, positions = read_dump(dump)
        if all(shard.covered(*p) for p in positions):
            return
        records = [part for part in fold.state.parts.values() if isinstance(part, Record)]
        for record in sorted(records, key=_stamp):
            if record.sid and shard.sessions.has(record.sid, record.seq):
                continue
            yield self.outcome(record._replace(term=positions[-1][0], number=0))
        if fold.counter > shard.count:
            yield Draft(COUNT, "", 0, (), "count", pack(fold.counter), 0, None, 0)
        for mark in sorted(fold.marks - shard.marks):
            yield Draft(COUNT, "", 0, (), "mark", pack(mark), 0, None, 0)
        inherited = [[*term, lo, hi] for term, spans in fold.covers.items() for lo, hi in spans]
        yield _merge_draft([[*t, n, n] for t, n in positions], inherited)

    def outcome(self, record: Record) -> Draft:
        """Give what becomes of one foreign record: applied again, or lost (R9)."""
        kind, path = record.kind, record.path
        if kind == DATA:
            items = self._items(record)
            if items is not None:
                path = (*path[:-1], items)
            if (
                self._outdated(record, whole=items is not None)
                or (numbered(record) and path[0] in self._shard.state)
                or not self._applies(record, path)
            ):
                kind, path = LOST, record.path
        origin = (record.term, record.number)
        if kind == DATA and path:
            self._index.setdefault(path[0], []).append(record)
        return Draft(
            kind, record.sid, record.seq, path, record.verb, record.value, record.hlc, origin,
            record.expires,
        )

    def _items(self, record: Record) -> int | None:
        """Give the length of the list that a record was pushed to; None of any other record."""
        path = record.path
        if record.verb != "add" or len(path) < 2 or type(path[-1]) is not int:
            return None
        return self._shard.state.length(path[:-1])

    def _outdated(self, record: Record, *, whole: bool) -> bool:
        shard = self._shard
        sessions = shard.sessions
        if not sessions.knows(record.sid) and record.hlc <= sessions.evict_hlc:
            return True  # cannot be told from one applied before its session was evicted (R10)
        path = record.path[:-1] if whole else record.path
        for other in self._index.get(path[0], ()) if path else ():
            if whole and len(other.path) > len(path):
                continue
            if overlaps(other.path, path) and newer(self._dated(other), record):
                return True
        stamp = shard.state.stamp(path)
        if stamp is None:
            return False
        hlc, sid, seq, number = stamp
        if number > shard.log.base:
            return False  # that write is in the index
        if sid == record.sid:
            return seq > record.seq
        return (self._first.get((sid, seq), hlc), sid) > (record.hlc, record.sid)

    def _dated(self, record: Record) -> Record:
        """Give a record with the stamp it had when it was logged first."""
        first = self._first.get((record.sid, record.seq))
        return record if first is None or first >= record.hlc else record._replace(hlc=first)

    def _applies(self, record: Record, path: tuple[Any, ...]) -> bool:
        try:
            self._shard.state.resolve(record.verb, path, record.value, expect=None)
        except RxferoError:
            return record.verb == "remove"
        return True

    def __repr__(self) -> str:
        return f"<Merge into {self._shard!r}>"


def read_dump(dump: Any) -> tuple[Fold, list[tuple[Term, int]]]:
    """Read a state and the positions under which its merge is covered.

    Raises:
        ProtocolError: it is no such thing.
    """
    try:
        image, ranges = dump
        positions = [(Term.read((n, boot)), number) for n, boot, number in ranges]
    except (TypeError, ValueError) as error:
        raise ProtocolError("a dump of a state that cannot be read") from error
    if {type(number) for _, number in positions} != {int}:
        raise ProtocolError("a dump of a state without its position")
    return read_fold(image), positions


def numbered(record: Record) -> bool:
    """Whether a record was added under an id: it never replaces another, it gets the next id."""
    path = record.path
    return record.verb == "add" and len(path) == 1 and type(path[0]) is int


def newer(one: Record, other: Record) -> bool:
    """Whether `one` is the later write (R9)."""
    if one.sid == other.sid:
        return one.seq > other.seq
    return (one.hlc, one.sid) > (other.hlc, other.sid)


def _position(record: Record) -> tuple[Term, int]:
    return (record.term, record.number)


def _stamp(record: Record) -> int:
    return record.hlc


def _intervals(records: list[Record]) -> list[list[int]]:
    spans: list[list[int]] = []
    for record in records:
        last = spans[-1] if spans else None
        if last and last[:2] == [*record.term] and last[3] == record.number - 1:
            last[3] = record.number
        else:
            spans.append([*record.term, record.number, record.number])
    return spans


def _merge_draft(intervals: list[list[int]], inherited: list[Any]) -> Draft:
    spans = sorted([list(s) for s in inherited] + intervals)
    return Draft(MERGE, "", 0, (), "", pack(spans), 0, None, 0)


