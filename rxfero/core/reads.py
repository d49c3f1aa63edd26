"""The reads: questions to the owner, answered when the answer is sure to be the latest (R16).

In quorum mode that is when everything committed so far is applied, and a majority of the voters has
said, asked after the read came, that it still follows this owner (ReadIndex, Raft 6.4): no record,
no fsync, no clock. In the available mode the owner answers what it has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rxfero.core import frame
from rxfero.core.call import MISSING, NO_QUORUM, OK, RETRY
from rxfero.core.cluster import Cluster
from rxfero.core.messages import Dest
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.shard import OWNER, Shard
from rxfero.core.tree import ABSENT
from rxfero.core.value import pack
from rxfero.errors import ProtocolError

Answer = Callable[[Dest, int, int, Term, int, Any], None]


class Read(NamedTuple):
    """A read that waits until it is sure to be the latest."""

    shard: Shard
    term: Term
    least: int  # what has to be applied
    round: int  # of asking the voters
    dest: Dest
    number: int
    path: Any
    limit: float  # monotonic seconds
    voices: set[str]  # voters that still follow


class Reads:
    """The reads of an owner.

    Args:
        answer: :meth:`Owner.answer`.
    """

    def __init__(self, cluster: Cluster, answer: Answer) -> None:
        self._cluster, self._answer = cluster, answer
        self._waiting: list[Read] = []
        self._round = 0
        self.asked: dict[int, Shard] = {}  # of the reads of this turn

    def ask(self, dest: Dest, number: int, path: Any, shard: Shard) -> None:
        """Answer what is at a path of an owned shard, at once or when it is sure."""
        if shard.prefix is None:
            self._tell(dest, number, path, shard)
            return
        if not self.asked:
            self._round += 1
        self.asked[shard.id] = shard
        least = max(shard.prefix.commit, shard.log.hist[-1][1])  # and a record of the own term
        limit = self._cluster.now + self._cluster.constants.requests.timeout * 0.0008
        self._waiting.append(
            Read(shard, shard.term, least, self._round, dest, number, path, limit, set())
        )

    def flush(self) -> None:
        """Ask the voters about the shards of this turn's reads."""
        if not self.asked:
            return
        asked, self.asked = self.asked, {}
        cluster, quorum = self._cluster, self._cluster.quorum
        assert quorum is not None, "a round without voters"
        body = [self._round, list(asked), [shard.term for shard in asked.values()]]
        for voter in quorum.voters:
            if voter != cluster.name:
                cluster.say(voter, frame.ROUND, body)

    def on_rounded(self, source: str, body: list[Any]) -> None:
        """Hear which shards a voter still follows this owner in."""
        try:
            number: Any
            number, still = body
            shards: set[int] = set(still)
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a ROUNDED that cannot be read: {error}") from error
        for read in self._waiting:
            if read.round <= number and read.shard.id in shards:
                read.voices.add(source)
        self.look()

    def look(self) -> None:
        """Answer the reads that are sure by now, are late, or are of a shard that was lost."""
        if not self._waiting:
            return
        cluster, quorum = self._cluster, self._cluster.quorum
        assert quorum is not None, "reads that wait without voters"
        kept: list[Read] = []
        for read in self._waiting:
            shard, prefix = read.shard, read.shard.prefix
            if shard.role != OWNER or shard.term != read.term or prefix is None:
                self._answer(read.dest, read.number, RETRY, ZERO_TERM, 0, None)
            elif cluster.now > read.limit:
                told = cluster.no_quorum()
                self._answer(read.dest, read.number, NO_QUORUM, shard.term, 0, told)
            elif (
                prefix.number >= read.least
                and quorum.heard((*read.voices, cluster.name)) >= quorum.need
            ):
                self._tell(read.dest, read.number, read.path, shard)
            else:
                kept.append(read)
        self._waiting = kept

    def _tell(self, dest: Dest, number: int, path: Any, shard: Shard) -> None:
        found = shard.view.at(path, ABSENT)
        if found is ABSENT:
            self._answer(dest, number, MISSING, shard.term, 0, pack(str(path)))
        else:
            self._answer(dest, number, OK, shard.term, 0, pack(found))

    def __repr__(self) -> str:
        return f"<Reads {len(self._waiting)} waiting, round {self._round}>"
