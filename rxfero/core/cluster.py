"""The cluster: what one process knows of it and holds of it, and what it has to say this turn.

The common ground of the machines that make up a node: the shards, the members, the ring, the
cursors of those that follow, the clock; and the outboxes that :class:`~rxfero.core.replica.Replica`
drains once a loop turn. Records logged in a turn are packed once and leave as one frame for all
followers that keep up (DESIGN 3); who cannot take it is remembered by its cursor.

It decides nothing about ownership and sends nothing itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rxfero.core import catchup, columns, frame
from rxfero.core.catchup import Cursor
from rxfero.core.change import LOST, Record
from rxfero.core.clock import Clock
from rxfero.core.members import DEAD, Members
from rxfero.core.path import KEY_BYTES_MAX
from rxfero.core.position import ZERO_TERM, Offset, Term
from rxfero.core.ring import Ring, shard_of
from rxfero.core.settings import Settings
from rxfero.core.shard import OWNER, Shard
from rxfero.core.value import pack, pack_body
from rxfero.errors import NotFollowed

if TYPE_CHECKING:
    from rxfero.core.journal import Journal
    from rxfero.core.quorum import Quorum

RELAYED = 1 << 1  # flag of a frame that came through a third server
RECORD_BYTES = 64  # most that a record costs on the wire beside its key and value, roughly
ROW_BYTES_MAX = RECORD_BYTES + KEY_BYTES_MAX
COUNTER = ""  # the key whose shard allocates ids; no user key is empty


class Cluster:
    """The shared nouns of one process.

    Use: machines read and change the shards through it; `say`, `log` and `note` fill the outboxes.
    """

    def __init__(self, settings: Settings, members: Members) -> None:
        constants = settings.constants
        self.settings, self.constants = settings, constants
        self.name, self.boot, self.client = settings.name, settings.boot, settings.client
        self.rng = settings.rng
        self.members = members
        self.count = constants.shards
        self.quorum = settings.quorum
        quorum = settings.quorum is not None
        self.shards = [Shard(i, quorum=quorum) for i in range(self.count)]
        follow = settings.follow  # the shards that a client is fed; None: all
        self.follows = None if follow is None else frozenset(map(self.shard_of, follow))
        self.clock = Clock(max_clock_skew_ms=int(constants.clock.skew))
        self.now = 0.0
        self.wall_offset = 0.0
        self.ring = Ring((), vnodes=constants.dht.vnodes, shards=self.count, hash=settings.hash)
        self.servers: dict[str, int] = {}  # open links to servers, by name
        self.clients: dict[str, int] = {}  # open links of clients, by name
        self.cursors: dict[str, Cursor] = {}
        self.feeds: dict[str, Cursor] = {}
        self.touched: set[int] = set()  # owned shards whose stable point may have moved
        self.waiting: set[int] = set()  # owned shards with replies that wait for replicas
        self.expiring: set[int] = set()
        self.more = False  # whether there is more to stream to a follower than this turn took
        self.index: dict[str | int, int] = {}  # shard of each key, with a partition function
        self.frames: list[tuple[int, bytes]] = []
        self.changes: list[tuple[list[int], list[Record]]] = []
        self.notices: list[tuple[str, Any]] = []
        self._where: list[int] = []
        self.fresh: list[Record] = []
        self._fresh_bytes = 0
        self.room = constants.outbox.frag // 2  # bytes of values in a frame; the rest is for keys
        self.rows = max(1, self.room // ROW_BYTES_MAX)  # records or requests in a frame
        self._flush_at = min(constants.outbox.max, self.room)
        self.acks: dict[tuple[str, Term], dict[int, int]] = {}
        self.journal: Journal | None = None  # of a server with a disk
        self._seen_where: list[int] = []
        self.seen: list[Record] = []
        self.commits: dict[Term, dict[int, int]] = {}

    # --- keys and owners

    @property
    def wall_ms(self) -> int:
        """Wall clock in milliseconds at the start of this step."""
        return int((self.now + self.wall_offset) * 1000)

    def shard_of(self, key: str | int) -> int:
        """Give the shard of a top-level key."""
        return shard_of(key, self.count, self.settings.hash)

    def find(self, key: str | int) -> int:
        """Give the shard that holds a key's value, also with a partition function."""
        if self.settings.partition is not None:
            known = self.index.get(key)
            if known is not None:
                return known
        return shard_of(key, self.count, self.settings.hash)

    def held(self, key: str | int) -> Shard:
        """Give the shard that a key is read from.

        Raises:
            NotFollowed: this client is not fed it.
        """
        number = self.find(key)
        if self.follows is not None and number not in self.follows:
            raise NotFollowed(key)
        return self.shards[number]

    def owner_of(self, number: int) -> str | None:
        """Give who should own a shard: the one believed to serve it, else the ring's choice."""
        return self.ring.owners[number]

    # --- saying

    def say(self, name: str, kind: int, body: Any) -> bool:
        """Send a frame to a server or client, by relay when only a third hears it."""
        return self.say_packed(name, kind, pack_body(body))

    def say_packed(self, name: str, kind: int, packed: bytes, blob: bytes = b"") -> bool:
        """As :meth:`say`, with a body packed already, maybe but for a large last part."""
        link = self.servers.get(name)
        if link is None:
            link = self.clients.get(name)
        if link is not None:
            self.frames.append((link, frame.encode_raw(kind, packed, blob=blob)))
            return True
        member = self.members.table.get(name)
        if member is None or member.state == DEAD or member.via is None:
            return False
        link = self.servers.get(member.via)
        if link is None:
            return False
        envelope = pack_body([name, self.name, kind, packed + blob])
        self.frames.append((link, frame.encode_raw(frame.RELAY, envelope)))
        return True

    def reaches(self, name: str) -> bool:
        """Whether :meth:`say` has a way to somebody: a link, or a third server that hears it."""
        if name in self.servers or name in self.clients:
            return True
        member = self.members.table.get(name)
        return member is not None and member.state != DEAD and member.via in self.servers

    def say_link(self, link: int, kind: int, body: Any) -> None:
        """Send a frame on one link."""
        self.frames.append((link, frame.encode_raw(kind, pack_body(body))))

    def tell_all(self, kind: int, body: Any, *, clients: bool = False) -> None:
        """Send one frame to every server heard (and every client)."""
        packed = pack_body(body)
        names = dict.fromkeys(m.name for m in self.members.others())
        names.update(dict.fromkeys(self.servers))  # also one that this node takes for dead
        for name in names:
            self.say_packed(name, kind, packed)
        if clients:
            encoded = frame.encode_raw(kind, packed)
            self.frames.extend((link, encoded) for link in self.clients.values())

    def note(self, event: str, payload: Any) -> None:
        """Tell the program of something."""
        self.notices.append((event, payload))

    # --- logging

    def logged(self, shard: Shard, record: Record) -> None:
        """Note a record that this node, the owner, has just appended and applied."""
        self._add(shard.id, record)

    def _add(self, number: int, record: Record) -> None:
        size = len(record.value) + RECORD_BYTES
        if size > self._flush_at:
            self.flush_log()  # with others it might be more than a frame
        self._where.append(number)
        self.fresh.append(record)
        self._fresh_bytes += size
        if self._fresh_bytes >= self._flush_at or len(self.fresh) >= self.rows:
            self.flush_log()

    def followed(self, numbers: list[int], records: list[Record]) -> None:
        """Note several records that this node has just applied."""
        size = sum([len(r.value) for r in records]) + RECORD_BYTES * len(records)
        if self._fresh_bytes + size > self.room or len(self.fresh) + len(records) > self.rows:
            self.flush_log()
            if size > self.room or len(records) > self.rows:
                for number, record in zip(numbers, records, strict=True):
                    self._add(number, record)
                return
        self._where += numbers
        self.fresh += records
        self._fresh_bytes += size
        if self._fresh_bytes >= self._flush_at:
            self.flush_log()

    def flush_log(self) -> None:
        """Pack the fresh records once and hand them to every follower."""
        if self.seen:
            where, fresh = self._seen_where, self.seen
            self._seen_where, self.seen = [], []
            self._show(where, fresh, None)
        if not self.fresh:
            return
        where, fresh = self._where, self.fresh
        self._where, self.fresh, self._fresh_bytes = [], [], 0
        self.touched.update(where)
        packed = None
        if self.journal is not None:
            packed = pack_body(columns.write(ZERO_TERM, where, fresh))
            self.journal.grown(where, fresh, packed)
        if self.quorum is None:
            self._show(where, fresh, packed)
        if not self.cursors:
            return
        by_fence: dict[Term, tuple[list[int], list[Record]]] = {}
        for number, record in zip(where, fresh, strict=True):
            shard = self.shards[number]
            if shard.role == OWNER and record.term == shard.term:
                group = by_fence.setdefault(shard.term, ([], []))
                group[0].append(number)
                group[1].append(record)
        for fence, (numbers, records) in by_fence.items():
            packed = pack_body(columns.write(fence, numbers, records))
            for cursor in self.cursors.values():
                self._hand(cursor, frame.APPEND, packed, numbers, records)

    def _show(self, where: list[int], fresh: list[Record], packed: bytes | None) -> None:
        """Show records to the program and to the clients."""
        self.changes.append((where, fresh))
        if self.settings.partition is not None:
            written = zip(where, fresh, strict=True)
            self.index.update((r.path[0], number) for number, r in written if r.path)
        parts: dict[Any, tuple[bytes, list[int], list[Record]]] = {}
        if packed is not None:
            parts[None] = packed, where, fresh
        for cursor in self.feeds.values():
            part = parts.get(cursor.only)
            if part is None:  # packed once for all that follow the same
                numbers, records = columns.of_shards(cursor.only, where, fresh)
                body = pack_body(columns.write(ZERO_TERM, numbers, records)) if numbers else b""
                part = parts[cursor.only] = body, numbers, records
            if part[0]:
                self._hand(cursor, frame.FEED, *part)

    def _hand(
        self, cursor: Cursor, kind: int, packed: bytes, where: list[int], fresh: list[Record]
    ) -> None:
        if cursor.live and self.say_packed(cursor.name, kind, packed):
            return
        for number, record in zip(where, fresh, strict=True):
            cursor.miss(number, record.number)

    # --- catching up

    def pump(self, cursor: Cursor, kind: int) -> None:
        """Stream to a follower what it is behind, as far as its link takes it (3.7).

        No more in a turn than pauses a link (`credit.log`): so the follower reads what is sent
        while the next is made, and little waits for one that is slow. `more` tells of a rest.
        """
        if cursor.paused or cursor.live or not self.reaches(cursor.name):
            return
        room, most = min(self.constants.outbox.max, self.room), min(catchup.RECORDS, self.rows)
        left = self.constants.credit.log
        by_fence: dict[Term, list[int]] = {}
        for number in list(cursor.behind):
            shard = self.shards[number]
            if kind == frame.APPEND and shard.role != OWNER:
                del cursor.behind[number]
                continue
            fence = shard.term if kind == frame.APPEND else ZERO_TERM
            by_fence.setdefault(fence, []).append(number)
        for fence, numbers in by_fence.items():
            for body, size in catchup.tails(cursor, self.shards, fence, numbers, room, most):
                self.say(cursor.name, kind, body)
                left -= size
                if left <= 0:
                    self.more = True
                    return
        for number, point in list(cursor.snaps.items()):
            if left <= 0:
                self.more = True
                return
            shard = self.shards[number]
            if kind == frame.FEED and shard.seen < shard.log.base:
                continue  # what its state will be is not known to be committed yet
            del cursor.snaps[number]
            if kind == frame.APPEND and shard.role != OWNER:
                continue
            fence = shard.term if kind == frame.APPEND else ZERO_TERM
            for body in catchup.snapshot(shard, fence, point, seen=kind == frame.FEED):
                self.say(cursor.name, frame.SNAP, body)
                left -= len(body[-1])

    def acknowledge(self, owner: str, fence: Term, ends: dict[int, int]) -> None:
        """Remember to tell an owner how far this node follows its shards."""
        if self.journal is not None or self.quorum is not None:
            for number, end in ends.items():
                shard = self.shards[number]
                if fence == shard.promised and end > shard.matched:
                    shard.matched = end
                    if shard.prefix is not None and shard.prefix.heard > shard.prefix.commit:
                        self.commit(shard, min(shard.prefix.heard, end))
        known = self.acks.get((owner, fence))
        if known is None:
            self.acks[owner, fence] = ends
        else:
            known.update(ends)

    def flush_acks(self) -> None:
        """Send the acknowledgements of this turn, one frame an owner."""
        acks, self.acks = self.acks, {}
        for (owner, fence), ends in acks.items():
            synced = None if self.journal is None else [
                min(shard.synced, shard.matched) for shard in map(self.shards.__getitem__, ends)
            ]
            self.say(owner, frame.APPENDED, [fence, list(ends), list(ends.values()), synced])

    # --- quorum mode

    def commit(self, shard: Shard, number: int) -> None:
        """Let records count that a majority of the voters has on disk."""
        prefix = shard.prefix
        assert prefix is not None, "a commit without a quorum"
        if number <= prefix.commit and prefix.number == prefix.commit:
            return
        records, jumped = prefix.advance(shard.log, number)
        shard.view = prefix.state
        if jumped:
            self.note("reset", shard.id)
            for feed in self.feeds.values():
                feed.renew(shard.id, 0)
        self._seen_where += [shard.id] * len(records)
        self.seen += records

    def tell_commit(self, shard: Shard) -> None:
        """Remember to tell the followers how far an owned shard is committed."""
        assert shard.prefix is not None, "a commit without a quorum"
        self.commits.setdefault(shard.term, {})[shard.id] = shard.prefix.commit

    def flush_commits(self) -> None:
        """Tell what this turn has committed."""
        commits, self.commits = self.commits, {}
        for term, numbers in commits.items():
            self.tell_all(frame.COMMITTED, [term, list(numbers), list(numbers.values())])

    def short_of_voters(self) -> bool:
        """Whether less than a majority of the voters can be reached, this node included."""
        return self.quorum is not None and self._voters(self.quorum) < self.quorum.need

    def no_quorum(self) -> bytes:
        """Give what a NO_QUORUM answer tells: voters that can be reached, voters needed."""
        quorum = self.quorum
        assert quorum is not None, "voters that do not answer, without voters"
        return pack([self._voters(quorum), quorum.need])

    def _voters(self, quorum: Quorum) -> int:
        return sum(v == self.name or self.reaches(v) for v in quorum.voters)

    # --- the disk

    def safe_on_disk(self, ends: dict[int, int]) -> list[Shard]:
        """Tell owners how far their shards are on this node's disk; give those owned here."""
        own: list[Shard] = []
        for number in ends:
            shard = self.shards[number]
            if shard.role == OWNER:
                own.append(shard)
            elif shard.owner is not None and shard.matched:
                self.acknowledge(shard.owner, shard.promised, {number: shard.matched})
        return own

    # --- promises

    def promise(self, shard: Shard, term: Term) -> bool:
        """As :meth:`Shard.promise`, not to be forgotten over a restart."""
        if term == shard.promised:
            return False
        lost = shard.promise(term)
        if self.journal is not None:
            self.journal.promised(shard)
        return lost

    # --- digests

    def digest(self, owner: str | None) -> int:
        """Checksum (u32) of the heads of the shards that `owner` serves, or of all (None)."""
        heads = [
            (s.id, s.log.end, s.log.last_term)
            for s in self.shards
            if owner is None or (s.owner == owner and s.log.end)
        ]
        return zlib.crc32(pack_body(heads))

    def offset(self, number: int, record: Record) -> Offset:
        """Give a record's public position."""
        return Offset(number, record.term, record.number)

    def conflict(self, number: int, records: Iterable[Record]) -> None:
        """Tell of the writes that lost a merge, as they are applied (3.8)."""
        for record in records:
            if record.kind == LOST:
                self.note("conflict", (number, record))

    def __repr__(self) -> str:
        role = "client" if self.client else "server"
        return f"<Cluster {self.name} {role} {self.members!r}>"
