"""The succession: which shards this node should own, and the rounds by which it comes to.

The ring says who should own a shard; a takeover (:mod:`rxfero.core.takeover`) makes it so. This
module starts takeovers when the ring gives this node shards it does not own, answers those of
others (R1, R2), and does the owner's first acts: the TERM record, and the merge of branches.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, cast

from rxfero.core import catchup, columns, frame
from rxfero.core.branches import MERGED_AT_ONCE, Draft, Merge, numbered, uncovered
from rxfero.core.catchup import Cursor, Image, install
from rxfero.core.change import DATA, LOST, TERM, Record
from rxfero.core.cluster import Cluster
from rxfero.core.path import wire
from rxfero.core.position import Term
from rxfero.core.shard import CANDIDATE, FOLLOWER, GREW, OWNER, Shard
from rxfero.core.takeover import Takeover
from rxfero.errors import ProtocolError

NIL = b"\xc0"  # the packed None
BACKOFF_S = 0.2  # before trying again for a shard that another has promised away
OFFER_S = 1.0  # between offers of what is not merged yet (R7)


class Succession:
    """The takeovers of one server."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.rounds: list[Takeover] = []
        self._counter = 0
        self._again: dict[int, float] = {}
        self.stale = True  # whether the ring or a role has changed since the last look
        self._look_at = float("inf")
        self._offered = 0.0
        self.became: list[Shard] = []
        self.lost: list[Shard] = []
        self.readd: list[Record] = []
        self._parts: dict[str, catchup.Gathering] = {}

    # --- wanting

    def wanted(self) -> list[Shard]:
        """Give the shards that the ring gives to this node and that it does not serve."""
        cluster = self._cluster
        me, now = cluster.name, cluster.now
        return [
            s
            for s, owner in zip(cluster.shards, cluster.ring.owners, strict=True)
            if owner == me and s.role == FOLLOWER and self._again.get(s.id, 0.0) <= now
        ]

    def advance(self) -> None:
        """Start what is wanted, finish what is due."""
        cluster = self._cluster
        for takeover in list(self.rounds):
            if takeover.over:
                self.rounds.remove(takeover)
            elif cluster.now >= takeover.deadline:
                self._late(takeover)
        if (self.stale or cluster.now >= self._look_at) and not cluster.short_of_voters():
            self.stale, self._look_at = False, float("inf")
            wanted = self.wanted()
            if wanted:
                self._start(wanted)

    def _start(self, wanted: list[Shard]) -> None:
        cluster = self._cluster
        highest = max(s.promised.n for s in wanted)
        self._counter = max(self._counter, highest) + 1
        term = Term(self._counter, cluster.boot)
        for shard in wanted:
            cluster.promise(shard, term)
            shard.role, shard.term = CANDIDATE, term
        voters = [m.name for m in cluster.members.others() if cluster.reaches(m.name)]
        limit, quorum = cluster.now + cluster.constants.takeover.timeout / 1000, cluster.quorum
        takeover = Takeover(term, wanted, cluster.name, voters, cluster.now, limit, quorum)
        self.rounds.append(takeover)
        if quorum is not None and cluster.journal is not None:
            cluster.flush_log()
            cluster.journal.then(partial(self._safe_here, takeover))
        for name in voters:
            cluster.say(name, frame.PREPARE, takeover.question)
        if takeover.enough():
            self._choose(takeover)

    def ask_again(self, name: str) -> None:
        """Ask over a new link: what went by the one before may have come to nothing."""
        for takeover in self.rounds:
            if takeover.asking and name in takeover.silent:
                self._cluster.say(name, frame.PREPARE, takeover.question)

    def _safe_here(self, takeover: Takeover) -> None:
        """The own promise is on the disk: it counts from now on (quorum mode)."""
        takeover.safe_here()
        if takeover in self.rounds and takeover.asking and takeover.enough():
            self._choose(takeover)

    def _late(self, takeover: Takeover) -> None:
        cluster = self._cluster
        takeover.deadline = cluster.now + cluster.constants.takeover.timeout / 1000
        if takeover.asking and cluster.quorum is None:
            self._choose(takeover)
            return
        if takeover.asking:
            for number in list(takeover.shards):
                self._give_up(takeover, number)
        for number in [n for numbers in takeover.donors.values() for n in numbers]:
            self._give_up(takeover, number)
        self.rounds.remove(takeover)

    def _give_up(self, takeover: Takeover, number: int) -> None:
        shard = self._cluster.shards[number]
        takeover.drop(number)
        if shard.role == CANDIDATE and shard.term == takeover.term:
            shard.role = FOLLOWER
        self._yield(number)

    def gone(self, name: str) -> None:
        """A member died: stop waiting for it."""
        for takeover in list(self.rounds):
            asking = takeover.asking
            takeover.leave_out(name)
            for number in list(takeover.donors.pop(name, ())):
                self._give_up(takeover, number)
            if asking and takeover.enough():
                self._choose(takeover)

    # --- the others' side

    def on_prepare(self, source: str, body: list[Any]) -> None:
        """Promise what is higher than all before, and tell the heads (R2)."""
        cluster = self._cluster
        numbers: Any
        fence, numbers = body
        term = Term.read(fence)
        columns.check_shards(numbers, cluster.count)
        if term.boot == cluster.boot:
            raise ProtocolError(f"another candidate in a term of this node: {term}")  # R1
        granted: list[Shard] = []
        fenced: list[list[Any]] = []
        self._counter = max(self._counter, term.n)
        cluster.flush_log()
        for number in cast("list[int]", numbers):
            shard = cluster.shards[number]
            if term < shard.promised:
                fenced.append([number, shard.promised])
                continue
            if cluster.ring.owners[number] == cluster.name:
                self._yield(number)  # two rings for the moment: no race between them
            if term > shard.promised and cluster.promise(shard, term):
                self.lost.append(shard)
            shard.owner = None
            granted.append(shard)
        promise = [term, catchup.heads(granted), fenced]
        if cluster.quorum is None or cluster.journal is None:
            cluster.say(source, frame.PROMISE, promise)
        else:  # what is promised there may not be forgotten over a restart
            cluster.journal.then(partial(cluster.say, source, frame.PROMISE, promise))

    def on_promise(self, source: str, body: list[Any]) -> None:
        """Count a promise; with the last one, choose whose log to go on from."""
        try:
            term, heads, fenced = body
            takeover = self._round(Term.read(term))
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a PROMISE that cannot be read: {error}") from error
        told = catchup.read_heads(heads, self._cluster.count)
        self.on_fenced(source, fenced)
        if takeover is None or not takeover.asking:
            return
        takeover.promised(source, told)
        if takeover.enough():
            self._choose(takeover)

    def on_fenced(self, source: str, rows: Any) -> None:
        """Learn of higher terms: step down and leave those shards for a while."""
        del source
        cluster = self._cluster
        try:
            pairs: list[tuple[Any, Term]] = [(number, Term.read(term)) for number, term in rows]
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a FENCED that cannot be read: {error}") from error
        columns.check_shards([number for number, _ in pairs], cluster.count)
        for number, term in cast("list[tuple[int, Term]]", pairs):
            shard = cluster.shards[number]
            self._counter = max(self._counter, term.n)
            if term <= shard.promised:
                continue
            for takeover in self.rounds:
                takeover.drop(number)
            if cluster.promise(shard, term):
                self.lost.append(shard)
            self._yield(number)

    def _yield(self, number: int) -> None:
        cluster = self._cluster
        due = self._again[number] = cluster.now + BACKOFF_S * (1 + cluster.rng.random())
        self._look_at = min(self._look_at, due)

    def _round(self, term: Term) -> Takeover | None:
        return next((t for t in self.rounds if t.term == term), None)

    # --- choosing and fetching

    def _choose(self, takeover: Takeover) -> None:
        ready, fetch = takeover.choose()
        for donor, shards in fetch.items():
            rows = [catchup.history(s) for s in shards]
            if not self._cluster.say(donor, frame.FETCH, [takeover.term, rows]):
                for shard in shards:
                    self._give_up(takeover, shard.id)
        self._serve(takeover, ready)

    def on_fetch(self, source: str, body: list[Any]) -> None:
        """Send a candidate what this log has beyond its own."""
        cluster = self._cluster
        try:
            fence, rows = body
            term = Term.read(fence)
            histories = [catchup.read_history(row, cluster.count) for row in rows]
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a FETCH that cannot be read: {error}") from error
        cursor = Cursor(-1, source)
        sent: list[int] = []
        for number, hist, end, _ in histories:
            shard = cluster.shards[number]
            if shard.promised != term:
                cluster.say(source, frame.FENCED, [[number, shard.promised]])
                continue
            catchup.locate(cursor, shard, hist, end)
            sent.append(number)
        tails = catchup.tails(
            cursor, cluster.shards, term, list(cursor.behind), cluster.constants.outbox.max
        )
        for records, _ in tails:
            cluster.say(source, frame.FETCHED, [term, 0, records])
        for number, point in cursor.snaps.items():
            for part in catchup.snapshot(cluster.shards[number], term, point):
                cluster.say(source, frame.FETCHED, [term, 1, part])
        cluster.say(source, frame.FETCHED, [term, 2, sent])

    def on_fetched(self, source: str, body: list[Any]) -> None:
        """Take what a donor sends; when it is all, serve."""
        cluster = self._cluster
        try:
            fence, what, rest = body
            takeover = self._round(Term.read(fence))
            if what not in (0, 1, 2):
                raise ProtocolError(f"a FETCHED of form {what!r:.80}")
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a FETCHED that cannot be read: {error}") from error
        if takeover is None or source not in takeover.donors:
            return
        if what == 0:
            batch = columns.read(rest, cluster.constants.limits.records)
            if batch.highest >= takeover.term:
                raise ProtocolError(f"records of {batch.highest} for {takeover.term}")
            for number, record in zip(batch.shards, batch.records, strict=True):
                if number not in takeover.donors[source]:
                    continue
                if cluster.shards[number].follow(record) == GREW:
                    cluster.clock.observe(record.hlc)
                    cluster.followed([number], [record])
        elif what == 1:
            _, number, whole = self._parts.setdefault(source, catchup.Gathering()).take(rest)
            if whole is not None and number in takeover.donors[source]:
                self.adopt(cluster.shards[number], Image(whole, number, takeover.term))
        else:
            columns.check_shards(rest, cluster.count)
            ready = takeover.fetched(source, rest)
            done = {s.id for s in ready}
            for number in list(rest):
                if number in takeover.shards and number not in done:
                    self._give_up(takeover, number)
            self._serve(takeover, ready)

    def adopt(self, shard: Shard, image: Image) -> None:
        """Install a snapshot, and tell the program what it undid."""
        cluster = self._cluster
        cluster.flush_log()
        cluster.touched.add(shard.id)
        before = shard.log.end
        undone = install(shard, image)
        if cluster.client:
            shard.branches, shard.dumps = [], []  # only servers offer what was undone (R7)
        if cluster.journal is not None:
            cluster.journal.replaced(shard)
        if shard.prefix is not None:
            return  # readers and clients see what is committed, and that has not changed
        for feed in cluster.feeds.values():
            feed.renew(shard.id, shard.log.base)
        if undone:
            cluster.note("rollback", (shard.id, undone))
        if before:
            cluster.note("reset", shard.id)

    # --- serving

    def _serve(self, takeover: Takeover, ready: list[Shard]) -> None:
        cluster = self._cluster
        for shard in ready:
            takeover.drop(shard.id)
            if shard.role != CANDIDATE or shard.term != takeover.term:
                continue
            shard.role, shard.owner, shard.safe = OWNER, cluster.name, 0
            for cursor in cluster.cursors.values():
                cursor.match[shard.id] = cursor.durable[shard.id] = 0
                cursor.behind.pop(shard.id, None)
                cursor.snaps.pop(shard.id, None)
            log = shard.log
            stamp = cluster.clock.tick(cluster.wall_ms)
            record = Record(
                shard.term, log.end + 1, TERM, "", 0, (), "", NIL, stamp,
                (log.last_term, log.end), 0,
            )
            shard.append(record)
            cluster.logged(shard, record)
            self.became.append(shard)
            self.merge_own(shard)
        if takeover.over and takeover in self.rounds:
            self.rounds.remove(takeover)

    # --- branches

    def merge_own(self, shard: Shard) -> None:
        """Merge what this node itself had to undo before it became the owner."""
        branches, shard.branches = shard.branches, []
        dumps, shard.dumps = shard.dumps, []
        for dump in dumps:
            self._log(shard, Merge(shard).dump(dump))
        for branch in sorted(branches, key=lambda b: (b[0].term, b[0].number)):
            self._log(shard, Merge(shard).records(branch))
        if (branches or dumps) and self._cluster.journal is not None:
            self._cluster.flush_log()  # what they came to first, then that they are no more
            self._cluster.journal.branched(shard)

    def offer(self) -> None:
        """Offer to the owners, once a second, what is not merged yet (R7)."""
        cluster = self._cluster
        if cluster.now - self._offered < OFFER_S:
            return
        self._offered = cluster.now
        for shard in cluster.shards:
            if not (shard.branches or shard.dumps):
                continue
            if shard.role == OWNER:
                self.merge_own(shard)
                continue
            before = (sum(map(len, shard.branches)), len(shard.dumps))
            records = uncovered(shard)
            if before != (sum(map(len, shard.branches)), len(shard.dumps)) and cluster.journal:
                cluster.journal.branched(shard)
            if shard.owner is None:
                continue
            if records:
                body = columns.write(shard.promised, [shard.id] * len(records), records)
                cluster.say(shard.owner, frame.BRANCH, body)
            for dump in shard.dumps:
                cluster.say(shard.owner, frame.SBRANCH, [shard.id, dump])

    def on_branch(self, source: str, body: list[Any]) -> None:
        """Merge a branch that a follower offers, if this node is the owner (R8)."""
        batch = columns.read(body, MERGED_AT_ONCE)
        columns.check_shards(batch.shards, self._cluster.count)
        (number,) = set(batch.shards)
        shard = self._cluster.shards[number]
        if shard.role != OWNER or source == self._cluster.name:
            return
        self._log(shard, Merge(shard).records(batch.records))

    def on_dump(self, source: str, body: list[Any]) -> None:
        """Merge the state of a follower whose log diverged below its base."""
        del source
        number: Any
        number, dump = body
        columns.check_shards([number], self._cluster.count)
        shard = self._cluster.shards[cast("int", number)]
        if shard.role == OWNER:
            self._log(shard, Merge(shard).dump(dump))

    def _log(self, shard: Shard, drafts: Iterable[Draft]) -> None:
        cluster = self._cluster
        for draft in drafts:
            stamp = draft.hlc or cluster.clock.tick(cluster.wall_ms)
            cluster.clock.observe(stamp)
            record = Record(
                shard.term, shard.log.end + 1, draft.kind, draft.sid, draft.seq,
                wire(draft.path),
                draft.verb, draft.value, stamp, draft.origin, draft.expires,
            )
            shard.append(record)
            cluster.logged(shard, record)
            if record.kind == LOST:
                cluster.conflict(shard.id, [record])
                if numbered(record):
                    self.readd.append(record)
            elif record.kind == DATA and record.expires:
                cluster.expiring.add(shard.id)

    def __repr__(self) -> str:
        return f"<Succession of {self._cluster.name} rounds={self.rounds}>"
