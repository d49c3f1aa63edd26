"""The journal: what it writes is what a replay finds, also from the middle of a new beginning."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.core import columns
from rxfero.core.journal import (
    BEGIN,
    BRANCHES,
    IMAGES_BYTES,
    PROMISES,
    RECORDS,
    SHARD,
    WHOLE,
    Entry,
    Journal,
    Replay,
)
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.shard import Shard
from rxfero.core.value import pack_body
from rxfero.errors import ProtocolError
from tests.core.parts import begin, data, fill

COUNT = 4
ONE, TWO = Term(1, 7), Term(2, 9)


class Node:
    """Shards with a journal, and what is on the disk."""

    def __init__(self) -> None:
        self.shards = [Shard(i) for i in range(COUNT)]
        self.journal = Journal(self.shards)
        self.disk: list[Entry] = []

    def log(self, number: int, term: Term) -> None:
        shard = self.shards[number]
        last = shard.log.end
        fill(shard, term)
        records = shard.log.records[last - shard.log.base :]
        where = [number] * len(records)
        self.journal.grown(where, records, pack_body(columns.write(ZERO_TERM, where, records)))

    def promise(self, number: int, term: Term) -> None:
        self.shards[number].promise(term)
        self.journal.promised(self.shards[number])

    def turn(self) -> None:
        """Write a turn, and learn that it is safe."""
        self.disk += self.journal.take()
        self.journal.wrote(synced=True)

    def found(self) -> list[Shard]:
        """Restart: from the last beginning that is whole."""
        kinds = [kind for kind, _ in self.disk]
        start, whole = 0, True
        if WHOLE in kinds:
            start = len(kinds) - 1 - kinds[::-1].index(WHOLE)
            start = start - kinds[: start + 1][::-1].index(BEGIN)
            whole = False
        return replayed(self.disk[start:], whole=whole)


def replayed(entries: list[Entry], *, whole: bool = True) -> list[Shard]:
    shards = [Shard(i) for i in range(COUNT)]
    replay = Replay(shards, whole=whole)
    for kind, body in entries:
        replay.take(kind, body)
    replay.done()
    return shards


def kept(shard: Shard) -> Any:
    log = shard.log
    return (
        shard.promised, log.end, log.last_term, log.records, list(log.hist), shard.dump(),
        shard.branches, shard.dumps,
    )  # fmt: skip


def test_records_and_promises_come_back() -> None:
    node = Node()
    for _ in range(3):
        node.log(1, ONE)
    node.promise(2, TWO)
    node.turn()
    found = node.found()
    assert [kept(s) for s in found] == [kept(s) for s in node.shards]
    assert found[1].synced == 3
    assert found[2].promised == TWO
    assert [s.log.end for s in found] == [0, 3, 0, 0]


def test_a_term_record_is_a_promise() -> None:
    record = begin(ONE)
    body = pack_body(columns.write(ZERO_TERM, [0], [record]))
    assert replayed([(RECORDS, body)])[0].promised == ONE


def test_branches_and_dumps_come_back() -> None:
    node = Node()
    shard = fill(node.shards[0], ONE, ONE)
    shard.branches = [[data(TWO, 2, "x")], [data(TWO, 3, "y")]]
    shard.dumps = [[shard.dump(), [[*ONE, -1]]]]
    node.journal.replaced(shard)
    node.turn()
    assert kept(node.found()[0]) == kept(shard)
    shard.branches, shard.dumps = [], []
    node.journal.branched(shard)
    node.turn()
    assert kept(node.found()[0]) == kept(shard)


def test_what_is_synced_follows_the_disk_in_order() -> None:
    node = Node()
    node.log(0, ONE)
    first = node.journal.take()
    node.log(0, ONE)
    second = node.journal.take()
    assert [kind for kind, _ in (*first, *second)] == [RECORDS, RECORDS]
    assert node.shards[0].synced == 0
    assert node.journal.wrote(synced=True) == {0: 1}
    assert node.shards[0].synced == 1
    assert node.journal.wrote(synced=False) == {}
    assert node.shards[0].synced == 1, "what is not fsynced does not count"


def test_a_snapshot_takes_back_what_was_on_its_way() -> None:
    node = Node()
    for _ in range(3):
        node.log(0, ONE)
    node.journal.take()
    node.shards[0].log.cut(1)
    node.shards[0].synced = 0
    node.journal.replaced(node.shards[0])
    assert node.journal.wrote(synced=True) == {}, "record 3 is not part of this log any more"
    assert node.shards[0].synced == 0
    node.turn()
    assert node.shards[0].synced == 1


def test_what_waits_for_the_disk_happens_in_its_turn() -> None:
    node, done = Node(), list[int]()
    node.journal.then(lambda: done.append(1))
    assert done == [1], "all is written that there is"
    node.log(0, ONE)
    assert node.journal.waiting
    node.journal.then(lambda: done.append(2))
    node.journal.take()
    node.journal.then(lambda: done.append(3))
    assert node.journal.take() == []
    assert done == [1]
    node.journal.then(lambda: done.append(4))
    node.log(0, ONE)
    node.journal.take()
    node.journal.wrote(synced=True)
    assert done == [1, 2, 3]
    node.journal.then(lambda: done.append(5))
    node.journal.wrote(synced=True)
    assert done == [1, 2, 3, 4, 5]


def test_a_new_beginning_goes_on_some_shards_a_turn() -> None:
    node = Node()
    for number in range(COUNT - 1):
        node.log(number, ONE)
        fat = data(ONE, 2, "fat", "x" * IMAGES_BYTES)
        node.shards[number].append(fat)
        body = pack_body(columns.write(ZERO_TERM, [number], [fat]))
        node.journal.grown([number], [fat], body)
    node.turn()
    node.journal.begin()
    assert node.journal.beginning
    turns = 0
    while node.journal.beginning:
        node.log(turns % COUNT, ONE)
        node.turn()
        turns += 1
        assert [kept(s) for s in node.found()] == [kept(s) for s in node.shards]
    assert turns == COUNT - 1
    assert [s.synced for s in node.found()] == [s.log.end for s in node.shards]


def test_a_beginning_of_nothing_is_whole_at_once() -> None:
    node = Node()
    node.journal.begin()
    assert [kind for kind, _ in node.journal.take()][::2] == [BEGIN, WHOLE]
    node.journal.wrote(synced=True)
    assert not node.journal.beginning


def test_after_a_fault_nothing_counts_until_a_beginning_is_whole() -> None:
    node, done = Node(), list[str]()
    node.log(0, ONE)
    node.turn()
    node.log(0, ONE)
    node.journal.take()
    node.journal.then(lambda: done.append("lost"))
    node.journal.failed()
    node.log(0, ONE)
    assert node.journal.take() == [], "there is nowhere to write to"
    assert node.shards[0].synced == 1
    node.journal.begin()
    node.log(1, ONE)
    node.journal.then(lambda: done.append("kept"))
    node.turn()
    assert not node.journal.suspended
    assert [s.synced for s in node.shards] == [3, 1, 0, 0]
    assert done == ["kept"]
    assert [kept(s) for s in node.found()] == [kept(s) for s in node.shards]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (RECORDS, [1, 2]),
        (RECORDS, None),
        (PROMISES, [0]),
        (PROMISES, [0, "x"]),
        (PROMISES, [99, [1, 1]]),
        (SHARD, [0, [1, 1], b"x", [], []]),
        (SHARD, 7),
        (BRANCHES, [0, [[1]], []]),
        (99, []),
    ],
)
def test_what_cannot_be_read_is_refused(kind: int, content: Any) -> None:
    with pytest.raises(ProtocolError):
        replayed([(kind, pack_body(content))])


def test_a_record_that_does_not_follow_is_refused() -> None:
    body = pack_body(columns.write(ZERO_TERM, [0], [data(ONE, 5)]))
    with pytest.raises(ProtocolError, match="does not follow"):
        replayed([(RECORDS, body)])


def test_a_journal_without_some_shards_is_refused() -> None:
    with pytest.raises(ProtocolError, match="without 4"):
        replayed([], whole=False)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("log"), st.integers(0, COUNT - 1)),
            st.tuples(st.just("promise"), st.integers(0, COUNT - 1)),
            st.tuples(st.sampled_from(("turn", "turn", "begin", "fail", "compact")), st.just(0)),
        ),
        max_size=40,
    )
)
def test_a_replay_finds_what_was_safe(steps: list[tuple[str, int]]) -> None:
    node = Node()
    node.journal.begin()
    node.turn()
    terms = [1] * COUNT
    for what, number in steps:
        shard = node.shards[number]
        if what == "log":
            node.log(number, max(Term(terms[number], 7), shard.log.last_term))
        elif what == "promise":
            terms[number] = shard.promised.n + 1
            node.promise(number, Term(terms[number], 7))
        elif what == "turn":
            entries = node.journal.take()
            node.disk += entries
            if entries:
                node.journal.wrote(synced=True)
        elif what == "begin":
            if not node.journal.beginning:
                node.journal.begin()
        elif what == "fail":
            node.journal.failed()
            node.journal.begin()
            node.turn()
        else:
            for one in node.shards:
                one.log.compact(one.log.end - 1)
        found = node.found()
        for mine, theirs in zip(node.shards, found, strict=True):
            assert mine.synced <= theirs.log.end
            assert theirs.log.end <= mine.log.end
            assert theirs.promised <= mine.promised
    if node.journal.waiting:
        node.turn()
    assert [s.log.end for s in node.found()] == [s.log.end for s in node.shards]
    assert [s.dump() for s in node.found()] == [s.dump() for s in node.shards]
