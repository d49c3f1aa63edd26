"""The takeover: how a node becomes the owner of shards, always by the same steps (R1, R2, R4).

Founding, join, leave, crash and heal are one procedure. The candidate makes a term that no other
node can make (its own boot is part of it), asks every member it believes alive to promise it, and
so fences all lower terms. The promises carry the heads of the logs; the candidate fetches what the
highest `(last term, end)` has beyond its own, logs a TERM record and serves. In the available mode
it waits for all that are alive, and who has not answered in `takeover.timeout` is left out; in
quorum mode for a majority of the voters, and without one it gives up (R4).

One takeover carries many shards in one round. Shards drop out of it one by one when somebody has
promised a higher term; the rest goes on.
"""

from __future__ import annotations

from collections.abc import Iterable

from rxfero.core.catchup import Head
from rxfero.core.position import Term
from rxfero.core.quorum import Quorum
from rxfero.core.shard import CANDIDATE, Shard
from rxfero.errors import ProtocolError


class Takeover:
    """One round of becoming the owner of some shards.

    Args:
        term: The candidate's term, unique by its boot.
        shards: The shards wanted; each must have promised `term` already.
        name: The candidate.
        voters: The members asked; those believed alive.
        deadline: Monotonic seconds at which the silent are left out.
        quorum: In quorum mode: a majority of its voters has to promise, whoever else is silent.
    """

    __slots__ = (
        "_best", "_chosen", "_given", "_quorum", "_waiting", "deadline", "donors", "name", "shards",
        "started", "term",
    )  # fmt: skip

    def __init__(
        self,
        term: Term,
        shards: list[Shard],
        name: str,
        voters: Iterable[str],
        now: float,
        deadline: float,
        quorum: Quorum | None = None,
    ) -> None:
        self.term, self.name = term, name
        self._quorum, self._given, self._chosen = quorum, set[str](), False
        self.started, self.deadline = now, deadline
        self.shards = {s.id: s for s in shards}
        self._waiting = set(voters)
        self._best = {s.id: (Head(s.log.last_term, s.log.end), name) for s in shards}
        self.donors: dict[str, set[int]] = {}

    @property
    def question(self) -> list[object]:
        """What the voters are asked: the term, and the shards that are still wanted."""
        return [self.term, list(self.shards)]

    @property
    def asking(self) -> bool:
        """Whether promises are still awaited."""
        return bool(self._waiting) if self._quorum is None else not self._chosen

    @property
    def silent(self) -> set[str]:
        """The members that have not promised yet."""
        return set(self._waiting)

    def promised(self, voter: str, told: list[tuple[int, Head]]) -> None:
        """Take the heads that a member promised with.

        Raises:
            ProtocolError: one of a term that is not below the promised one.
        """
        if any(head.last >= self.term for _, head in told):
            raise ProtocolError(f"a promise of {voter} for less than it has itself")
        for number, head in told:
            best = self._best.get(number)
            if best is not None and head > best[0]:
                self._best[number] = (head, voter)
        self._waiting.discard(voter)
        self._given.add(voter)

    def safe_here(self) -> None:
        """Note that the candidate's own promise cannot be forgotten any more."""
        self._given.add(self.name)

    def leave_out(self, voter: str) -> None:
        """Do not wait for a member that died or refused."""
        self._waiting.discard(voter)

    def drop(self, number: int) -> None:
        """Give up one shard: a higher term was promised for it."""
        self.shards.pop(number, None)
        for numbers in self.donors.values():
            numbers.discard(number)

    def enough(self) -> bool:
        """Whether the promises suffice: of all believed alive, or of a majority of the voters."""
        if self._quorum is None:
            return not self._waiting
        return self._quorum.heard(self._given) >= self._quorum.need

    def choose(self) -> tuple[list[Shard], dict[str, list[Shard]]]:
        """Give the shards to serve at once, and by donor those whose log must be fetched first."""
        ready: list[Shard] = []
        fetch: dict[str, list[Shard]] = {}
        self._waiting.clear()
        self._chosen = True
        for shard in list(self.shards.values()):
            if shard.role != CANDIDATE or shard.term != self.term:
                self.drop(shard.id)
                continue
            head, donor = self._best[shard.id]
            if donor == self.name or head <= (shard.log.last_term, shard.log.end):
                ready.append(shard)
            else:
                fetch.setdefault(donor, []).append(shard)
        self.donors = {donor: {s.id for s in shards} for donor, shards in fetch.items()}
        return ready, fetch

    def fetched(self, donor: str, numbers: Iterable[int]) -> list[Shard]:
        """Note that a donor has sent all it had of some shards; give those ready to serve."""
        wanted = self.donors.get(donor, set())
        ready: list[Shard] = []
        for number in numbers:
            shard = self.shards.get(number)
            if number not in wanted or shard is None:
                continue
            wanted.discard(number)
            if (shard.log.last_term, shard.log.end) >= self._best[number][0]:
                ready.append(shard)
        return ready

    @property
    def over(self) -> bool:
        """Whether nothing is left to wait for."""
        return not self.shards or not (self.asking or any(self.donors.values()))

    def __repr__(self) -> str:
        state = f"asking {len(self._waiting)}" if self._waiting else f"fetching {len(self.donors)}"
        return f"<Takeover {self.term} shards={len(self.shards)} {state}>"
