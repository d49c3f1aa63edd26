"""The follower: records taken from owners (or from the server that feeds this client).

Every record must match this log (R3); what does not is answered with this log's history, once a
frame, and the sender decides what brings it together again (:mod:`rxfero.core.catchup`). A frame
below a promise is fenced off (R2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rxfero.core import catchup, columns, frame
from rxfero.core.catchup import Gathering, Image
from rxfero.core.change import DATA, LOST, TERM, Record
from rxfero.core.cluster import Cluster
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.shard import GREW, KNOWN, OWNER, follow_each
from rxfero.core.succession import Succession
from rxfero.errors import ProtocolError


class Follower:
    """What this node takes from owners, or from the server that feeds it."""

    def __init__(self, cluster: Cluster, succession: Succession) -> None:
        self._cluster, self._succession = cluster, succession
        self._parts: dict[str, Gathering] = {}

    # --- taking records

    def on_append(self, source: str, body: list[Any]) -> None:
        """Follow an owner (servers)."""
        cluster = self._cluster
        batch = columns.read(body, cluster.constants.limits.records)
        fence, shards = batch.fence, cluster.shards
        self._check(batch.shards, fence)
        if batch.highest > fence:
            raise ProtocolError(f"records of {batch.highest}, from the owner in {fence}")
        fenced: dict[int, Term] = {}
        missing: dict[int, None] = {}
        where, grown, rest = self._plain(batch, source)
        known = {number: record.number for number, record in zip(where, grown, strict=True)}
        for number, run in rest:
            shard = shards[number]
            if fence != shard.promised:
                if fence < shard.promised:
                    fenced[number] = shard.promised
                    continue
                if cluster.promise(shard, fence):
                    self._succession.lost.append(shard)
            shard.owner = source
            last = self._take(number, run, where, grown, missing)
            if last:
                known[number] = last
        cluster.clock.observe(batch.records[-1].hlc)
        if grown:
            cluster.followed(where, grown)
        if known:
            cluster.acknowledge(source, fence, known)
        if fenced:
            cluster.say(source, frame.FENCED, list(fenced.items()))
        if missing:
            rows = [catchup.history(shards[number]) for number in missing]
            cluster.say(source, frame.NACK, [fence, rows])

    def _plain(
        self, batch: columns.Batch, owner: str | None = None
    ) -> tuple[list[int], list[Record], Iterable[tuple[int, Sequence[Record]]]]:
        """Follow what plainly goes on, as nearly all does; give where, which, and what is left.

        Args:
            owner: Who has to be known as the owner of them all, in the batch's term.
        """
        shards, where, records, some = self._cluster.shards, batch.shards, batch.records, 0
        settled = owner is None or all(
            s.owner == owner and s.promised == batch.fence for s in map(shards.__getitem__, where)
        )
        if settled and not columns.in_runs(where):
            some = follow_each(shards, where, records)
        return where[:some], records[:some], columns.pieces(where[some:], records[some:])

    def _take(
        self, number: int, run: Sequence[Record], where: list[int], grown: list[Record],
        missing: dict[int, None],
    ) -> int:
        """Let a shard follow some records; give the number of the last that is here now, or 0."""
        shard, last = self._cluster.shards[number], 0
        if len(run) > 1 and shard.follow_run(run):
            where += [number] * len(run)
            grown += run
            return run[-1].number
        for record in run:
            verdict = shard.follow(record)
            if verdict == GREW:
                where.append(number)
                grown.append(record)
                if record.kind == LOST:
                    self._cluster.conflict(number, (record,))
                elif record.expires and record.kind == DATA:
                    self._cluster.expiring.add(number)
            elif verdict != KNOWN:
                missing[number] = None
                continue
            last = record.number
        return last

    def on_feed(self, source: str, body: list[Any]) -> None:
        """Follow the server that feeds this client."""
        cluster = self._cluster
        batch = columns.read(body, cluster.constants.limits.records)
        self._check(batch.shards)
        shards = cluster.shards
        missing: dict[int, None] = {}
        where, grown, rest = self._plain(batch)
        for number, run in rest:
            shard = shards[number]
            if len(run) > 1 and shard.follow_run(run):
                where += [number] * len(run)
                grown += run
                continue
            for record in run:
                verdict = shard.follow(record)
                if verdict == GREW:
                    where.append(number)
                    grown.append(record)
                    if record.kind == DATA:
                        continue
                    if record.kind == TERM and record.term > shard.promised:
                        shard.promised = record.term
                    if record.kind == LOST:
                        cluster.conflict(number, (record,))
                elif verdict != KNOWN:
                    missing[number] = None
        if grown:
            cluster.followed(where, grown)
        cluster.clock.observe(batch.records[-1].hlc)
        if missing:
            rows = [catchup.history(cluster.shards[number]) for number in missing]
            cluster.say(source, frame.NACK, [ZERO_TERM, rows])

    def on_snap(self, source: str, body: list[Any]) -> None:
        """Take a part of a snapshot; install it with the last."""
        cluster = self._cluster
        fence, number, whole = self._parts.setdefault(source, Gathering()).take(body)
        self._check((number,), fence)
        if whole is None:
            return
        shard = cluster.shards[number]
        if not cluster.client and fence < shard.promised:
            cluster.say(source, frame.FENCED, [[number, shard.promised]])
            return
        image = Image(whole, number, None if cluster.client else fence)
        if not cluster.client:
            if cluster.promise(shard, fence):
                self._succession.lost.append(shard)
            shard.owner = source
        if cluster.client or not image.known(shard.log):  # else it came late
            self._succession.adopt(shard, image)
        if not cluster.client:
            cluster.acknowledge(source, fence, {number: shard.log.end})

    def on_safe(self, source: str, body: list[Any]) -> tuple[Term, list[tuple[int, int]]]:
        """Learn which records every live server holds: history may be compacted to there (R13)."""
        del source
        cluster = self._cluster
        try:
            fence, numbers, points = body
            term = Term.read(fence)
            pairs: list[tuple[int, int]] = list(zip(numbers, points, strict=True))
            if pairs and not columns.whole_numbers([numbers, points]):
                raise ProtocolError("a SAFE with a point that can be none")
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a SAFE that cannot be read: {error}") from error
        self._check([number for number, _ in pairs])
        safe: list[tuple[int, int]] = []
        follows = cluster.follows
        for number, point in pairs:
            shard = cluster.shards[number]
            if not cluster.client and shard.promised != term:
                continue
            if follows is not None and number not in follows:
                safe.append((number, point))
            elif point <= shard.log.end:
                if not cluster.members.dead:
                    shard.stable = max(shard.stable, point)
                safe.append((number, point))
        return term, safe

    # --- quorum mode

    def on_committed(self, source: str, body: list[Any]) -> None:
        """Hear how far an owner's shards are committed; what matches here counts."""
        del source
        cluster = self._cluster
        try:
            fence, numbers, commits = body
            term = Term.read(fence)
            pairs: list[tuple[int, int]] = list(zip(numbers, commits, strict=True))
            if pairs and not columns.whole_numbers([numbers, commits]):
                raise ProtocolError("a COMMITTED with a number that can be none")
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a COMMITTED that cannot be read: {error}") from error
        self._check(numbers)
        for number, commit in pairs:
            shard = cluster.shards[number]
            if shard.prefix is None:
                raise ProtocolError("a COMMITTED outside of quorum mode")
            if term == shard.promised and shard.role != OWNER:
                shard.prefix.heard = max(shard.prefix.heard, commit)
                cluster.commit(shard, min(shard.prefix.heard, shard.matched))

    def on_round(self, source: str, body: list[Any]) -> None:
        """Tell an owner which of its shards this node still follows it in (R16)."""
        try:
            number, shards, terms = body
            self._check(shards)
            wanted: list[tuple[int, Term]] = [
                (s, Term.read(t)) for s, t in zip(shards, terms, strict=True)
            ]
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a ROUND that cannot be read: {error}") from error
        mine = self._cluster.shards
        still = [s for s, term in wanted if mine[s].promised == term]
        self._cluster.say(source, frame.ROUNDED, [number, still])

    def forget(self, name: str) -> None:
        """Drop what had come of a snapshot from a peer that is gone."""
        self._parts.pop(name, None)

    def _check(self, numbers: Any, fence: Term = ZERO_TERM) -> None:
        columns.check_shards(numbers, self._cluster.count)
        if fence.boot == self._cluster.boot:
            raise ProtocolError(f"another owner in a term of this node: {fence}")  # R1

    def __repr__(self) -> str:
        return f"<Follower {self._cluster.name}>"


