"""The reads: an owner answers when its answer is sure, and says when it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from rxfero.core import frame
from rxfero.core.call import MISSING, NO_QUORUM, OK, RETRY
from rxfero.core.cluster import Cluster
from rxfero.core.messages import Dest
from rxfero.core.position import Term
from rxfero.core.quorum import Quorum
from rxfero.core.reads import Reads
from rxfero.core.shard import FOLLOWER, Shard
from rxfero.core.value import unpack
from rxfero.errors import ProtocolError
from tests.core.parts import bodies, cluster_of, data, own

DEST = Dest("client", "client", "sid")


class Asked:
    """A node that owns shard 3 among the voters me, a, b; what it answered."""

    def __init__(self, *, quorum: bool = True, committed: int = 2) -> None:
        voters = Quorum(("a", "b", "me")) if quorum else None
        self.cluster: Cluster = cluster_of("a", "b", quorum=voters)
        self.shard: Shard = own(self.cluster, 3)
        self.shard.append(data(self.shard.term, 2, "k", "v"))
        if quorum:
            self.cluster.commit(self.shard, committed)
        self.answers: list[Any] = []
        self.reads = Reads(self.cluster, lambda *given: self.answers.append(given))

    def ask(self, key: str = "k") -> None:
        self.reads.ask(DEST, 1, (key,), self.shard)
        self.reads.flush()

    @property
    def told(self) -> list[tuple[int, Any]]:
        return [(status, value and unpack(value)) for _, _, status, _, _, value in self.answers]


def test_in_the_available_mode_it_answers_at_once() -> None:
    asked = Asked(quorum=False)
    asked.ask()
    asked.ask("nothing")
    assert asked.told == [(OK, "v"), (MISSING, "('nothing',)")]
    assert bodies(asked.cluster, frame.ROUND) == []


def test_it_asks_the_voters_and_answers_with_a_majority() -> None:
    asked = Asked()
    asked.ask()
    term = [*asked.shard.term]
    assert bodies(asked.cluster, frame.ROUND) == [[1, [3], [term]]] * 2
    assert asked.told == []
    asked.reads.on_rounded("stranger", [1, [3]])
    asked.reads.on_rounded("a", [1, [4]])
    asked.reads.on_rounded("a", [0, [3]])
    assert asked.told == [], "of no voter, of another shard, of an earlier round"
    asked.reads.on_rounded("a", [1, [3]])
    assert asked.told == [(OK, "v")]


def test_a_later_round_counts_for_earlier_reads() -> None:
    asked = Asked()
    asked.ask()
    asked.ask()
    asked.reads.on_rounded("b", [2, [3]])
    assert len(asked.told) == 2


def test_it_waits_for_a_record_of_its_own_term() -> None:
    asked = Asked(committed=0)
    asked.ask()
    asked.reads.on_rounded("a", [1, [3]])
    assert asked.told == []
    asked.cluster.commit(asked.shard, 2)
    asked.reads.look()
    assert asked.told == [(OK, "v")]


def test_what_is_not_committed_is_not_told() -> None:
    asked = Asked()
    asked.shard.append(data(asked.shard.term, 3, "k", "newer"))
    asked.ask()
    asked.reads.on_rounded("a", [1, [3]])
    assert asked.told == [(OK, "v")]


def test_a_shard_that_was_lost_is_asked_for_elsewhere() -> None:
    asked = Asked()
    asked.ask()
    asked.shard.promise(Term(9, 9))
    assert asked.shard.role == FOLLOWER
    asked.reads.look()
    assert asked.told == [(RETRY, None)]


def test_without_a_majority_it_says_so() -> None:
    asked = Asked()
    asked.ask()
    asked.cluster.servers.clear()
    asked.cluster.now += asked.cluster.constants.requests.timeout / 1000
    asked.reads.look()
    assert asked.told == [(NO_QUORUM, [1, 2])]
    assert repr(asked.reads) == "<Reads 0 waiting, round 1>"


@pytest.mark.parametrize("body", [[], [1], [1, 2], [1, [[]]]])
def test_an_answer_that_cannot_be_read(body: list[Any]) -> None:
    asked = Asked()
    with pytest.raises(ProtocolError):
        asked.reads.on_rounded("a", body)
