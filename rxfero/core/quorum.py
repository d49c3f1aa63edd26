"""The quorum: a fixed set of voters, and what of a shard a majority of them has made safe.

In quorum mode a record counts once a majority of the voters has it on disk, in the term of an owner
that a majority has promised (R4, R5; Raft 5.4.2). The fold of a log runs ahead of that, so that
owners resolve writes against what they have logged; readers see the :class:`Prefix`, the state at
the last record that is committed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rxfero.core.change import COUNT, DATA, LOST, VOID, Record
from rxfero.core.log import Log
from rxfero.core.sessions import Sessions
from rxfero.core.state import State

NUMBERED = (DATA, VOID, LOST, COUNT)  # kinds of records that a session may have numbered


class Quorum(NamedTuple):
    """The voters, by name: 3 or 5 servers with a disk, fixed for the cluster's life."""

    voters: tuple[str, ...]

    @property
    def need(self) -> int:
        """How many of them are a majority."""
        return len(self.voters) // 2 + 1

    def heard(self, names: Iterable[str]) -> int:
        """Give how many of these names are voters."""
        return len(set(self.voters).intersection(names))

    def reached(self, ends: Iterable[int]) -> int:
        """Give how far a majority has come: one end a voter."""
        return sorted(ends, reverse=True)[self.need - 1]


class Prefix:
    """The committed prefix of one shard's log, and what it comes to.

    Use: `commit` is the highest number known to be committed, `number` how far `state` and
    `sessions` go: they differ while records in between are not here.
    Invariant: neither decreases (I8, I13).
    """

    __slots__ = ("_later", "commit", "heard", "number", "sessions", "state")

    def __init__(self) -> None:
        self.state, self.sessions = State(), Sessions()
        self.number = self.commit = 0
        self.heard = 0  # what owners have told, though it may not be here yet
        self._later: tuple[int, State, Sessions] | None = None

    def advance(self, log: Log, commit: int) -> tuple[list[Record], bool]:
        """Commit up to a number; give the records that count now, and whether some were jumped."""
        self.commit = max(self.commit, commit)
        jumped = False
        if self._later is not None and self.commit >= self._later[0]:
            self.number, self.state, self.sessions = self._later
            self._later, jumped = None, True
        if self.number >= self.commit or self.number < log.base:
            return [], jumped
        records = log.slice(self.number + 1, self.commit - self.number, 1 << 62)
        for record in records:
            if record.kind == DATA:
                self.state.apply(record)
            if record.sid and record.kind in NUMBERED:
                noted = (record.sid, record.seq, record.number, record.hlc)
                if not self.sessions.take(*noted):
                    self.sessions.note(*noted)
        self.number += len(records)
        return records, jumped

    def rebase(self, log: Log, state: State, sessions: Sessions) -> None:
        """Note that the log has begun anew, with this state and these sessions at its end."""
        self._later = None
        if self.number < log.base:
            later, known = State(), Sessions()
            later.load(state.dump())
            known.load(sessions.dump())
            self._later = (log.end, later, known)

    def __repr__(self) -> str:
        return f"<Prefix to {self.number} of {self.commit}>"
