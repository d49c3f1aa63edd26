"""The levels: how far a shard's log has come on other servers and disks, and who waits for it.

A write is answered at its level: COMMIT at once, replicated(n) when n other servers acknowledged
the record, durable(n) when it is on n disks; in quorum mode never before a majority of the voters
has it on disk (R5). What waits is answered in time with how far it came, or to ask the new owner.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from rxfero.core import frame
from rxfero.core.call import (
    ALL,
    AUTO,
    COMMIT,
    DURABLE,
    MAJORITY,
    NO_QUORUM,
    NOT_REPLICATED,
    OK,
    REFUSED,
    RETRY,
)
from rxfero.core.catchup import Cursor
from rxfero.core.cluster import Cluster
from rxfero.core.members import ALIVE, JOINING
from rxfero.core.messages import Dest
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.shard import OWNER, Shard, Wait
from rxfero.core.value import pack, unpack

ONE = (AUTO, 1)  # levels that any one other server fulfils


class Levels:
    """What waits on the shards that this node owns.

    Args:
        cluster: The cluster.
        answer: Puts an answer into this turn's columns: see :meth:`Owner.answer`.
        look: Called when reads that wait may be answered.
    """

    def __init__(
        self, cluster: Cluster, answer: Callable[[Dest, int, int, Term, int, Any], None],
        look: Callable[[], None],
    ) -> None:
        self._cluster, self._answer, self._look = cluster, answer, look
        self._commit_waits = cluster.quorum is not None

    def tell_holders(self, dest: Dest, number: int, asked: bytes, shard: Shard) -> None:
        """Answer which servers hold the write with a sequence number of the asker's session."""
        seq = unpack(asked)
        if type(seq) is not int:
            self._answer(dest, number, REFUSED, shard.term, 0, pack("no sequence number"))
            return
        at = shard.sessions.number_of(dest.sid, seq) or shard.log.base
        cursors = self._cluster.cursors
        names = [name for name, c in cursors.items() if c.match.get(shard.id, 0) >= at]
        self._answer(dest, number, OK, shard.term, 0, pack([self._cluster.name, *names]))

    def settle(
        self, dest: Dest, number: int, shard: Shard, at: int, level: int, value: Any,
        status: int = OK, offset: int | None = None,
    ) -> None:
        """Answer when the log is as far as `at` at a level: also that something was refused.

        In quorum mode what a refusal saw may still come to nothing, so it waits as a write does.
        """
        if (self._commit_waits or level != COMMIT) and self.reach(shard, level) < at:
            # sooner than its caller gives up, who learns then how far it came
            limit = self._cluster.now + self._cluster.constants.requests.timeout * 0.0008
            reply = (dest, number, status, at if offset is None else offset, value)
            shard.waits.append(Wait(at, level, reply, limit))
            self._cluster.waiting.add(shard.id)
            return
        self._answer(dest, number, status, shard.term, at if offset is None else offset, value)

    def reach(self, shard: Shard, level: int) -> int:
        """Give how far into a shard's log a level of acknowledgement has come."""
        if shard.prefix is not None:
            end = shard.prefix.commit
            if level in (COMMIT, AUTO, MAJORITY):
                return end
            return min(end, self._reach(shard, level))
        return self._reach(shard, level)

    def _reach(self, shard: Shard, level: int) -> int:
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
        if level < DURABLE:
            return self._safe(shard, DURABLE - level)
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

    def _safe(self, shard: Shard, disks: int) -> int:
        """Give how far a shard's log is on so many disks, this node's included."""
        cluster = self._cluster
        ends = [c.durable.get(shard.id, 0) for c in cluster.cursors.values()]
        if cluster.journal is not None:
            ends.append(shard.synced)
        ends.sort(reverse=True)
        return ends[disks - 1] if len(ends) >= disks else 0

    def acknowledged(
        self, name: str, fence: Term, numbers: list[int], ends: list[int],
        synced: list[int] | None = None,
    ) -> None:
        """Raise what a follower has (and has on its disk), and answer what waited for it."""
        cluster = self._cluster
        cursor = cluster.cursors.get(name)
        if cursor is None:
            return
        match, shards, touched = cursor.match, cluster.shards, cluster.touched
        if self._commit_waits:
            self._tell_commits(cursor, fence, numbers)
        for number, end in zip(numbers, ends, strict=True):
            shard = shards[number]
            if shard.role != OWNER or shard.term != fence:
                continue
            if end > match.get(number, 0):
                match[number] = min(end, shard.log.end)
                touched.add(number)
                waits = shard.waits
                if self._commit_waits:
                    if waits:
                        self.resolve(shard)
                    continue
                while waits and waits[0].level in ONE and waits[0].number <= end:
                    wait = waits.popleft()
                    dest, request, status, at, value = wait.reply
                    self._answer(dest, request, status, fence, at, value)
                if waits:
                    self.resolve(shard)
                else:
                    cluster.waiting.discard(number)
        if synced is not None:
            self._on_disk(cursor, fence, numbers, synced)

    def _tell_commits(self, cursor: Cursor, fence: Term, numbers: list[int]) -> None:
        """Tell who begins to follow what is committed: of a quiet shard nothing else tells it."""
        shards = self._cluster.shards
        commits = {
            number: prefix.commit
            for number in numbers
            if not cursor.match.get(number) and (prefix := shards[number].prefix) is not None
            and prefix.commit and shards[number].role == OWNER and shards[number].term == fence
        }  # fmt: skip
        if commits:
            body = [fence, list(commits), list(commits.values())]
            self._cluster.say(cursor.name, frame.COMMITTED, body)

    def _on_disk(
        self, cursor: Cursor, fence: Term, numbers: list[int], synced: list[int]
    ) -> None:
        durable, shards = cursor.durable, self._cluster.shards
        for number, end in zip(numbers, synced, strict=True):
            shard = shards[number]
            if shard.role == OWNER and shard.term == fence and end > durable.get(number, 0):
                durable[number] = min(end, shard.log.end)
                self.safer(shard)

    def safer(self, shard: Shard) -> None:
        """Look at what waits for disks: one has more of an owned shard than before (R5)."""
        cluster, quorum, prefix = self._cluster, self._cluster.quorum, shard.prefix
        if quorum is not None and prefix is not None:
            number, cursors = shard.id, cluster.cursors
            to = min(shard.log.end, quorum.reached([
                shard.synced if voter == cluster.name
                else cursors[voter].durable.get(number, 0) if voter in cursors else 0
                for voter in quorum.voters
            ]))
            # Of an earlier term only together with one of the own: else it could be undone yet.
            if to > prefix.commit and to >= shard.log.hist[-1][1]:
                cluster.commit(shard, to)
                cluster.tell_commit(shard)
                self._look()
        if shard.waits:
            self.resolve(shard)

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
                dest, number, status, at, value = wait.reply
                self._answer(dest, number, status, shard.term, at, value)
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
        self._look()
        for number in list(cluster.waiting):
            shard = cluster.shards[number]
            kept: deque[Wait] = deque()
            for wait in shard.waits:
                if wait.deadline > cluster.now:
                    kept.append(wait)
                    continue
                if wait.level < DURABLE:
                    got = next(
                        n for n in range(len(cluster.cursors) + 2)
                        if self._safe(shard, n + 1) < wait.number
                    )
                else:
                    got = sum(
                        c.match.get(number, 0) >= wait.number for c in cluster.cursors.values()
                    )
                dest, request, _, _, _ = wait.reply
                if shard.prefix is not None and shard.prefix.commit < wait.number:
                    self._answer(dest, request, NO_QUORUM, shard.term, 0, cluster.no_quorum())
                    continue
                self._answer(
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
            dest, number, _, _, _ = wait.reply
            self._answer(dest, number, RETRY, ZERO_TERM, 0, None)
        self._look()

    def __repr__(self) -> str:
        return f"<Levels {self._cluster.name} waiting={len(self._cluster.waiting)}>"
