"""The sessions: which numbered writes of each session have taken effect in one shard, exactly.

A session (a writing process) numbers its log writes of a shard densely from 1. The table is called
for every record that carries a session's number, in log order, so it is a pure function of the
log: it survives a failover because the log does, and equal logs have equal tables (R8, R10).

Exact means a set, not a highest number: a merge may apply number 7 while 5 and 6 are still in
another branch. Kept are `floor` (all up to it applied) and the numbers above the floor. At most
`cap` sessions are remembered; the one whose last record is oldest in the log is forgotten first.
What is left of it is `evict_hlc`: a record of an unknown session that is not newer cannot be told
from one that was applied.

The module does not know what a record does, and it never answers anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

CAP = 256  # sessions remembered a shard
NONE: frozenset[int] = frozenset()
WINDOW = 64  # newest numbers of a session whose places in the log are remembered

Verdict = Literal["next", "duplicate", "gap", "hole", "unknown"]


class Session:
    """What one session has written to one shard.

    Invariant: `top` is the highest number applied; `sparse` is empty or holds only numbers above
    `floor + 1`, `top` among them; `places[seq % WINDOW]`, as far as it goes, is the place in the
    log of a number above `top - WINDOW` that has been applied, else 0. It grows with the numbers,
    as most sessions write little to a shard.
    """

    __slots__ = ("floor", "hlc", "last", "places", "sparse", "top")

    def __init__(self) -> None:
        self.floor = 0
        self.top = 0
        self.last = 0  # the place in the log of the newest record of this session
        self.hlc = 0
        self.sparse: set[int] | frozenset[int] = NONE  # nearly always empty, and an own set is dear
        self.places: list[int] = [0]

    def note(self, seq: int, number: int) -> None:
        """Take a number, also one that is not the next: a merge applies them in another order."""
        if self.has(seq):
            return
        sparse: set[int] = self.sparse if isinstance(self.sparse, set) else set()
        sparse.add(seq)
        while self.floor + 1 in sparse:
            self.floor += 1
            sparse.discard(self.floor)
        self.sparse = sparse or NONE
        if seq > self.top:
            for passed in range(max(self.top + 1, seq - WINDOW + 1), seq):
                self.put(passed, 0)
            self.top = seq
        if seq > self.top - WINDOW:
            self.put(seq, number)

    def put(self, seq: int, place: int) -> None:
        """Note the place in the log of a number within the window; 0: it is not applied."""
        at, places = seq % WINDOW, self.places
        if at >= len(places):
            places += [0] * (at + 1 - len(places))
        places[at] = place

    def place_of(self, seq: int) -> int | None:
        """Give the place in the log of one of the last `WINDOW` numbers, if it is applied."""
        at = seq % WINDOW
        if not self.top - WINDOW < seq <= self.top or at >= len(self.places):
            return None
        return self.places[at] or None

    def has(self, seq: int) -> bool:
        """Whether this number has taken effect."""
        return 0 < seq <= self.floor or seq in self.sparse

    def dump(self) -> list[Any]:
        """Give plain values, equal for equal sessions."""
        recent = range(max(1, self.top - WINDOW + 1), self.top + 1)
        places = [value for seq in recent if (at := self.place_of(seq)) for value in (seq, at)]
        return [self.floor, self.top, self.last, self.hlc, sorted(self.sparse), places]

    @classmethod
    def load(cls, dump: list[Any]) -> Session:
        """Make a session from what :meth:`dump` gave."""
        session = cls()
        session.floor, session.top, session.last, session.hlc, sparse, places = dump
        session.sparse = set(sparse) or NONE
        for seq, place in zip(places[::2], places[1::2], strict=True):
            session.put(seq, place)
        return session


class Sessions:
    """The sessions of one shard.

    Use: the owner asks `check` before it logs a write; every replica calls `note` for every record
    it applies.
    Invariant: never more than `cap` sessions; `evict_hlc` never decreases.
    """

    __slots__ = ("_cap", "_table", "evict_hlc")

    def __init__(self, cap: int = CAP) -> None:
        self._cap = cap
        self._table: dict[str, Session] = {}
        self.evict_hlc = 0

    # --- the owner's questions

    def check(self, sid: str, seq: int) -> Verdict:
        """Say what a write with this number is (R10).

        Returns:
            "next": log it. "duplicate": it is in the log, answer again. "gap": numbers before it
            are missing, see :meth:`expected`. "hole": a merge skipped it, it goes through the
            merge and never through a plain append. "unknown": not the first write of a session
            that is not known here.
        """
        session = self._table.get(sid)
        if session is None:
            return "next" if seq == 1 else "unknown"
        if seq == session.top + 1:
            return "next"
        if seq > session.top:
            return "gap"
        return "duplicate" if session.has(seq) else "hole"

    def is_next(self, sid: str, seq: int) -> bool:
        """Whether :meth:`check` would say "next"; the hot path's question."""
        session = self._table.get(sid)
        return seq == 1 if session is None else seq == session.top + 1

    def expected(self, sid: str) -> int:
        """Give the number that the session's next write must carry."""
        session = self._table.get(sid)
        return 1 if session is None else session.top + 1

    def has(self, sid: str, seq: int) -> bool:
        """Whether this write has taken effect in the shard."""
        session = self._table.get(sid)
        return session is not None and session.has(seq)

    def knows(self, sid: str) -> bool:
        """Whether the session is in the table."""
        return sid in self._table

    def number_of(self, sid: str, seq: int) -> int | None:
        """Give the place in the log of a write, for the last `WINDOW` numbers of a session.

        None says that it is not known here, not that the write is not in the log: the owner reads
        the log for it, and if it has been compacted away, every server has it.
        """
        session = self._table.get(sid)
        return None if session is None else session.place_of(seq)

    # --- the log's course

    def note(self, sid: str, seq: int, number: int, hlc: int) -> None:
        """Take note of a record as it is applied.

        Records that no session numbered (`seq` 0) are of no concern. Where it is nearly always the
        next of its session, :meth:`take` is asked first: the hot path.
        """
        session = self._table.get(sid)
        if session is None:
            if not seq:
                return
            session = self._begin(sid, number)
        if seq:
            session.note(seq, number)
        session.last = number
        if hlc > session.hlc:
            session.hlc = hlc

    def take(self, sid: str, seq: int, number: int, hlc: int) -> bool:
        """Take note of a record if it is the next of its session; whether it was. Costs O(1).

        Does what :meth:`is_next` and :meth:`note` do, in one call.
        """
        session = self._table.get(sid)
        if session is None or session.sparse:
            if not self.is_next(sid, seq):
                return False
            self.note(sid, seq, number, hlc)
            return True
        if seq != session.top + 1:
            return False
        session.floor = session.top = seq
        places = session.places
        if (at := seq % WINDOW) < len(places):
            places[at] = number
        elif at == len(places):
            places.append(number)
        else:
            session.put(seq, number)
        session.last = number
        if hlc > session.hlc:
            session.hlc = hlc
        return True

    def note_run(
        self, sids: Sequence[str], seqs: Sequence[int], numbers: Sequence[int],
        stamps: Sequence[int],
    ) -> None:
        """Do as :meth:`note` for each of several records, given as columns."""
        count, sid, last = len(seqs), sids[0], seqs[-1]
        session = self._table.get(sid) or Session()
        due = session.floor + 1
        if session.sparse or sids.count(sid) < count or seqs != tuple(range(due, due + count)):
            for sid, seq, number, stamp in zip(sids, seqs, numbers, stamps, strict=True):
                self.note(sid, seq, number, stamp)
            return
        session.floor = session.top = last
        if last == count < WINDOW:
            session.places = [0, *numbers]
        else:
            for seq, number in zip(seqs[-WINDOW:], numbers[-WINDOW:], strict=True):
                session.put(seq, number)
        session.last = numbers[-1]
        session.hlc = max(session.hlc, *stamps)
        self._table[sid] = session
        if len(self._table) > self._cap:
            self._evict()

    def _begin(self, sid: str, number: int) -> Session:
        session = self._table[sid] = Session()
        session.last = number
        if len(self._table) > self._cap:
            self._evict()
        return session

    def _evict(self) -> None:
        oldest = min(self._table, key=self._last_of)
        self.evict_hlc = max(self.evict_hlc, self._table.pop(oldest).hlc)

    def _last_of(self, sid: str) -> int:
        return self._table[sid].last

    # --- the whole

    def dump(self) -> list[Any]:
        """Give the table as plain values, equal for equal tables."""
        rows = [[sid, *session.dump()] for sid, session in sorted(self._table.items())]
        return [self.evict_hlc, rows]

    def load(self, dump: list[Any]) -> None:
        """Replace the table by what :meth:`dump` gave."""
        evict_hlc, rows = dump
        self._table = {row[0]: Session.load(row[1:]) for row in rows}
        self.evict_hlc = evict_hlc

    def clear(self) -> None:
        """Forget everything, as before the first record."""
        self._table.clear()
        self.evict_hlc = 0

    def invariants(self) -> None:
        """Check what must hold between any two events."""
        assert len(self._table) <= self._cap, "I14: more sessions than the cap"
        for session in self._table.values():
            above = session.sparse
            assert session.floor + 1 not in above, "the floor is too low"
            assert all(seq > session.floor for seq in above), "a number below the floor"
            assert session.top == max(above, default=session.floor), "top is not the highest"
            recent = range(max(1, session.top - WINDOW + 1), session.top + 1)
            assert all(session.has(s) for s in recent if session.place_of(s)), "a stray place"

    def __len__(self) -> int:
        return len(self._table)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sessions) and self.dump() == other.dump()

    def __repr__(self) -> str:
        return f"<Sessions of {len(self._table)}>"
