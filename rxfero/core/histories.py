"""The histories: what each side of following has, told and heard, and the cursors set by it.

Who follows tells the heads of its logs, or the history of one that the other does not know; who
sends finds the point in common and sends what is missing (:mod:`rxfero.core.catchup`), until it
can say that this is all.
"""

from __future__ import annotations

from typing import Any

from rxfero.core import catchup, columns, frame
from rxfero.core.catchup import Cursor
from rxfero.core.cluster import Cluster
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.shard import OWNER, Shard
from rxfero.errors import ProtocolError

ASK, DONE, TELL, TOLD = range(4)  # the forms of HEADS
AGAIN_S = 1.0  # before histories are asked for again: what a third server passes on may be lost


class Histories:
    """What this node tells others that it has, and what it hears of theirs.

    Attributes:
        asked: Servers that were told, by this node, what it has.
        synced: Those that have said since that they have sent all they owed.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.asked: set[str] = set()
        self.synced: set[str] = set()

    def ask(self, source: str) -> None:
        """Tell a server what this node has, so that it sends what is missing."""
        cluster = self._cluster
        # Also of what is owned here but should not be: the ring's owner fences it, or is fenced.
        mine = [
            s
            for s, due in zip(cluster.shards, cluster.ring.owners, strict=True)
            if s.log.end and (s.role != OWNER or due != cluster.name)
        ]
        self.asked.add(source)
        follows = cluster.follows
        only = [] if follows is None else [sorted(follows)]
        cluster.say(source, frame.HEADS, [ASK, catchup.heads(mine), *only])
        self._follow_on(source, mine)

    def _follow_on(self, source: str, mine: list[Shard]) -> None:
        """Tell an owner how far it is followed already: nothing is sent of what is not behind.

        A log that ends in the term promised is the owner's up to there, as one owner makes a term.
        """
        cluster = self._cluster
        member = cluster.members.table.get(source)
        if member is None or cluster.client:
            return
        ends: dict[Term, dict[int, int]] = {}
        for shard in mine:
            term = shard.promised
            if term.boot == member.boot and shard.log.last_term == term:
                ends.setdefault(term, {})[shard.id] = shard.log.end
        for term, known in ends.items():
            cluster.acknowledge(source, term, known)

    def fence(self, source: str) -> None:
        """Tell a server of what is promised here beyond it, of shards it should own.

        A candidate that came to nothing may have left a promise that the owner never heard of.
        While nothing is written nobody would tell it, and this node would know of no owner. Nor
        would it of one that it took for dead for a while: then the log ends in a term of its.
        """
        cluster = self._cluster
        member = cluster.members.table.get(source)
        rows: list[list[Any]] = []
        for shard, due in zip(cluster.shards, cluster.ring.owners, strict=True):
            if due != source or shard.owner is not None:
                continue
            if shard.promised > shard.log.last_term:
                rows.append([shard.id, shard.promised])
            elif member is not None and shard.promised.boot == member.boot:
                shard.owner = source  # R1: nobody else is the owner in this term
        if rows:
            cluster.say(source, frame.FENCED, rows)

    def on_heads(self, source: str, body: list[Any]) -> None:
        """Hear what a follower has, or that a server has sent all it owed (DONE).

        The heads of its logs say it (ASK), and of a client, which shards it follows if not all; of
        those that end in a term unknown here the histories are asked for (TELL) and given (TOLD).
        """
        form, said, *only = body
        if form not in (ASK, DONE, TELL, TOLD) or len(only) > (form == ASK):
            raise ProtocolError("a HEADS that cannot be read")
        if form == DONE:
            self.synced.add(source)
        elif form == ASK:
            self._follows(source, *only)
            self._locate_heads(source, catchup.read_heads(said, self._cluster.count))
        elif form == TELL:
            self._check(said)
            wanted: list[int] = said
            rows = [catchup.history(self._cluster.shards[n]) for n in wanted]
            self._cluster.say(source, frame.HEADS, [TOLD, rows])
        else:
            self._locate(source, [catchup.read_history(row, self._cluster.count) for row in said])

    def _follows(self, source: str, only: Any = None) -> None:
        """Learn which shards a client follows."""
        if source not in self._cluster.clients:
            if only is not None:
                raise ProtocolError("a server that follows only some shards")
            return
        if only is not None:
            self._check(only)
        self.cursor(source, True).only = None if only is None else frozenset(only)

    def _locate_heads(self, source: str, heads: list[tuple[int, catchup.Head]]) -> None:
        cluster = self._cluster
        client = source in cluster.clients
        cursor = self.cursor(source, client)
        cursor.synced = False
        told, nothing = dict(heads), catchup.Head(ZERO_TERM, 0)
        cursor.untold.clear()
        for shard in cluster.shards:
            if not (client or shard.role == OWNER):
                continue
            if cursor.only is not None and shard.id not in cursor.only:
                continue
            head = told.get(shard.id, nothing)  # of what it does not name it has nothing
            if not catchup.locate_head(cursor, shard, head, client=client):
                cursor.untold.add(shard.id)
                cursor.match[shard.id] = cursor.durable[shard.id] = 0
            if not client:
                cluster.touched.add(shard.id)
        self._ask_histories(cursor)
        cluster.pump(cursor, frame.FEED if client else frame.APPEND)

    def _ask_histories(self, cursor: Cursor) -> None:
        if cursor.untold:
            cursor.asked = self._cluster.now
            self._cluster.say(cursor.name, frame.HEADS, [TELL, sorted(cursor.untold)])

    def _locate(self, source: str, histories: list[catchup.History]) -> None:
        cluster = self._cluster
        client = source in cluster.clients
        cursor = self.cursor(source, client)
        for number, hist, end, _ in histories:
            shard = cluster.shards[number]
            if client or shard.role == OWNER:
                catchup.locate(cursor, shard, hist, end, client=client)
                if not client:
                    cluster.touched.add(number)
            cursor.untold.discard(number)
        cluster.pump(cursor, frame.FEED if client else frame.APPEND)

    def cursor(self, name: str, client: bool) -> Cursor:
        """Give the cursor of a follower, made at first use."""
        table = self._cluster.feeds if client else self._cluster.cursors
        found = table.get(name)
        if found is None:
            self._cluster.flush_log()
            found = table[name] = Cursor(-1, name)
        return found

    def on_nack(self, source: str, body: list[Any]) -> None:
        """Hear that a follower could not match, and go back to the common point (R3)."""
        cluster = self._cluster
        try:
            fence, rows = body
            term = Term.read(fence)
            histories = [catchup.read_history(row, cluster.count) for row in rows]
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a NACK that cannot be read: {error}") from error
        client = source in cluster.clients
        cursor = self.cursor(source, client)
        cluster.flush_log()
        for number, hist, end, _ in histories:
            shard = cluster.shards[number]
            if client or (shard.role == OWNER and shard.term == term):
                catchup.locate(cursor, shard, hist, end, client=client)
        cluster.pump(cursor, frame.FEED if client else frame.APPEND)

    def on_appended(
        self, body: list[Any]
    ) -> tuple[Term, list[int], list[int], list[int] | None]:
        """Read how far a follower has come."""
        try:
            fence, numbers, ends, synced = body
            given = [numbers, ends] if synced is None else [numbers, ends, synced]
            if not all(columns.is_column(column, len(ends)) for column in given):
                raise ProtocolError("an APPENDED of unequal columns")
            if ends and not columns.whole_numbers(given):
                raise ProtocolError("an APPENDED with an end that can be none")
            term = Term.read(fence)
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"an APPENDED that cannot be read: {error}") from error
        self._check(numbers)
        return term, numbers, ends, synced

    def flush(self) -> None:
        """Stream to those behind; tell those who asked that they have it all."""
        cluster = self._cluster
        cluster.more = False
        for table, kind in ((cluster.cursors, frame.APPEND), (cluster.feeds, frame.FEED)):
            for cursor in table.values():
                if not cursor.live:
                    cluster.pump(cursor, kind)
                    if cluster.now - cursor.asked >= AGAIN_S:
                        self._ask_histories(cursor)
                if not cursor.synced and cursor.live:
                    cursor.synced = cluster.say(cursor.name, frame.HEADS, [DONE, None])
                    if kind == frame.APPEND and cluster.quorum is not None:
                        for shard in cluster.shards:
                            if shard.role == OWNER:
                                cluster.tell_commit(shard)

    def forget(self, name: str) -> None:
        """Drop what was known of a peer that is gone."""
        self.asked.discard(name)
        self.synced.discard(name)

    def _check(self, numbers: Any) -> None:
        columns.check_shards(numbers, self._cluster.count)

    def __repr__(self) -> str:
        return f"<Histories {self._cluster.name} synced={sorted(self.synced)}>"
