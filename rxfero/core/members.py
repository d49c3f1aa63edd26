"""The members: who belongs to the cluster, who is alive, and the table that all come to share.

After SWIM (Das, Gupta, Motivala 2002) with suspicion and refutation, over a full mesh of links:
any frame counts as life. A member that has been silent for `heartbeat.suspect` is suspected at
once locally, and so is one whose link closed and whose port refuses connections (its process is
gone); three peers are asked whether they hear it. If one does, the member stays and frames travel
by relay; if none does it is declared dead: after `heartbeat.dead` more of silence, or after
`REFUSED_S` when its port refused. An accused member refutes with a higher incarnation.

The table merges by three rules: for one name the newer boot wins (boots start with the wall
clock), for one boot the higher incarnation, for one incarnation D > L > A > J. A client has no say
in it and takes the last table it was told as it is: nobody would refute to it what a server that is
gone has told it of the others. Suspicion is never told to others. The module knows no sockets and
no shards: :meth:`Members.wake` returns what to ask of whom, and the ring is a function of
:meth:`Members.ring`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from rxfero.errors import ProtocolError

JOINING, ALIVE, LEAVING, DEAD = 0, 1, 2, 3
STATES = ("joining", "alive", "leaving", "dead")

REFUSED_S = 0.15  # how long three peers have to vouch for a member whose port refuses
INC_MAX = 1 << 62  # what every incarnation stays below
ASKED = 3  # peers asked about one suspect (SWIM's k)


class Member:
    """One server of the cluster as this node sees it."""

    __slots__ = (
        "boot",
        "heard",
        "host",
        "inc",
        "linked",
        "name",
        "port",
        "refused",
        "since",
        "state",
        "suspected",
        "via",
    )

    def __init__(
        self, name: str, boot: int, host: str, port: int, state: int, inc: int, now: float
    ) -> None:
        self.name, self.boot, self.host, self.port = name, boot, host, port
        self.state, self.inc = state, inc
        self.heard = self.since = now
        self.linked = False
        self.refused = False
        self.suspected: float | None = None
        self.via: str | None = None

    def row(self) -> tuple[Any, ...]:
        return (self.name, self.boot, self.host, self.port, self.state, self.inc)

    def become(self, boot: int, host: str, port: int, state: int, inc: int, now: float) -> None:
        """Be as a table says; one that is new, or alive again, has its time anew."""
        if boot != self.boot or (self.state == DEAD and state != DEAD):
            self.heard, self.suspected, self.refused = now, None, False
        self.boot, self.host, self.port, self.inc = boot, host, port, inc
        if self.state != state:
            self.state, self.since = state, now

    def __repr__(self) -> str:
        where = f"{self.host}:{self.port}"
        return f"<Member {self.name} {where} {STATES[self.state]} inc={self.inc}>"


class Verdicts(NamedTuple):
    """What :meth:`Members.wake` concluded: whom to ask about whom, and who died."""

    ask: list[tuple[str, str]]
    died: list[str]


class Members:
    """The table of all servers, and the failure detector over it.

    Args:
        me: This node's own member, or None on a client (which only reads the table).
        suspect_s: Silence in seconds after which a member is suspected.
        dead_s: Further silence in seconds after which it is declared dead.
    """

    def __init__(self, me: Member | None, suspect_s: float, dead_s: float) -> None:
        self.me = me
        self.suspect_s, self.dead_s = suspect_s, dead_s
        self.table: dict[str, Member] = {} if me is None else {me.name: me}
        self.version = 0
        self._digest: tuple[int, int] = (-1, 0)

    # --- reading

    def ring(self) -> tuple[str, ...]:
        """Give the names that own shards: those alive, in order."""
        return tuple(sorted(m.name for m in self.table.values() if m.state == ALIVE))

    def others(self) -> list[Member]:
        """Give every member that may still answer, without this node."""
        return [m for m in self.table.values() if m.state != DEAD and m is not self.me]

    @property
    def dead(self) -> bool:
        """Whether some member is believed dead and not forgotten yet."""
        return any(m.state == DEAD for m in self.table.values())

    def rows(self) -> list[tuple[Any, ...]]:
        """Give the table as it travels, in order of names."""
        return [self.table[name].row() for name in sorted(self.table)]

    @property
    def digest(self) -> int:
        """A checksum (u32) of the table; equal tables have equal digests."""
        if self._digest[0] != self.version:
            self._digest = (self.version, zlib.crc32(repr(self.rows()).encode()))
        return self._digest[1]

    # --- changing

    def merge(self, rows: Iterable[Any], now: float) -> list[Member]:
        """Take another's table; give the members that changed (R: boot, incarnation, state).

        Raises:
            ProtocolError: a row that is not ``[name, boot, host, port, state, inc]``. Nothing
                changed.
        """
        taken = [self._take(*row, now) for row in _read(rows)]
        changed = [member for member in taken if member is not None]
        if changed:
            self.version += 1
        return changed

    def adopt(self, rows: Iterable[Any], now: float) -> list[Member]:
        """Take a server's table in place of one's own, as a client; give what changed in it.

        A member that it does not name stays while there is a link to it.

        Raises:
            ProtocolError: as :meth:`merge`.
        """
        assert self.me is None, "a server has a say"
        told = {row[0]: row for row in _read(rows)}
        before = {member.name: member.row() for member in self.table.values()}
        for name in before:
            if name not in told and not self.table[name].linked:
                del self.table[name]
        for name, row in told.items():
            mine = self.table.setdefault(name, Member(*row, now))
            mine.become(*row[1:], now)
        changed = [m for name, m in self.table.items() if before.get(name) != m.row()]
        if changed or len(before) != len(self.table):
            self.version += 1
        return changed

    def _take(
        self, name: str, boot: int, host: str, port: int, state: int, inc: int, now: float
    ) -> Member | None:
        mine = self.table.get(name)
        if mine is None:
            self.table[name] = Member(name, boot, host, port, state, inc, now)
            return self.table[name]
        if mine is self.me:
            accused = boot == mine.boot and (inc, state) > (mine.inc, mine.state)
            if not accused:
                return None
            mine.inc = inc + 1  # refuted: I am as I say
            return mine
        if (boot, inc, state) <= (mine.boot, mine.inc, mine.state):
            return None
        mine.become(boot, host, port, state, inc, now)
        return mine

    def become(self, state: int, now: float) -> None:
        """Change this node's own state."""
        assert self.me is not None, "a client has no state in the table"
        self.me.state, self.me.since = state, now
        self.me.inc += 1
        self.version += 1

    def declare_dead(self, name: str, now: float) -> bool:
        """Mark a member dead; give whether that is news."""
        member = self.table.get(name)
        if member is None or member.state == DEAD or member is self.me:
            return False
        member.state, member.since, member.linked = DEAD, now, False
        self.version += 1
        return True

    def linked(self, name: str, up: bool, now: float) -> None:
        """Note that a direct link to a member opened or closed."""
        member = self.table.get(name)
        if member is None:
            return
        member.linked = up
        if up:
            member.heard, member.suspected, member.refused, member.via = now, None, False, None

    def refused(self, name: str) -> None:
        """Note that a member's port refuses connections: its process is gone."""
        member = self.table.get(name)
        if member is not None and not member.linked:
            member.refused = True

    def hears(self, name: str, now: float, via: str | None = None) -> None:
        """Note life of a member, heard directly or through another (`via`)."""
        member = self.table.get(name)
        if member is None:
            return
        member.heard = max(member.heard, now)
        if now > (member.suspected or 0.0):
            member.suspected = None
            if via is not None:
                member.via, member.refused = via, False

    def shift(self, stall: float) -> None:
        """Forgive a silence that was this node's own (R15)."""
        for member in self.table.values():
            member.heard += stall
            if member.suspected is not None:
                member.suspected += stall

    def wake(self, now: float) -> Verdicts:
        """Suspect the silent, give up on the dead."""
        verdicts = Verdicts([], [])
        helpers = [m.name for m in self.table.values() if m.linked and m.state != DEAD]
        for member in self.others():
            silent = now - member.heard
            if member.linked and silent < self.suspect_s:
                member.suspected = None
                continue
            if member.suspected is None:
                if not (silent >= self.suspect_s or member.refused):
                    continue
                member.suspected = now
            limit = REFUSED_S if member.refused else self.dead_s
            if now - member.suspected >= limit:
                self.declare_dead(member.name, now)
                verdicts.died.append(member.name)
                continue
            asked = [name for name in helpers if name != member.name][:ASKED]
            verdicts.ask.extend((name, member.name) for name in asked)
        return verdicts

    def forget(self, now: float, after_s: float) -> list[str]:
        """Drop the members dead for longer than `after_s`; give their names."""
        old = [m.name for m in self.table.values() if m.state == DEAD and now - m.since > after_s]
        for name in old:
            del self.table[name]
        if old:
            self.version += 1
        return old

    def __repr__(self) -> str:
        states = ", ".join(f"{m.name} {STATES[m.state]}" for m in self.table.values())
        return f"<Members {states}>"


def _read(rows: Iterable[Any]) -> list[tuple[str, int, str, int, int, int]]:
    try:
        return [_read_row(row) for row in rows]
    except TypeError as error:
        raise ProtocolError(f"a table of members that cannot be read: {error}") from error


def _read_row(row: Any) -> tuple[str, int, str, int, int, int]:
    try:
        name, boot, host, port, state, inc = row
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"a member row that cannot be read: {row!r:.200}") from error
    if not (
        type(name) is str
        and name
        and type(host) is str
        and all(type(x) is int for x in (boot, port, state, inc))
        and 0 <= boot < 1 << 64
        and 0 <= port < 1 << 16
        and JOINING <= state <= DEAD
        and 0 <= inc < INC_MAX
    ):
        raise ProtocolError(f"a member row that cannot be read: {row!r:.200}")
    return name, boot, host, port, state, inc
