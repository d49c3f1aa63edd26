"""The quorum: what a majority is, and the prefix that readers see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.core.catchup import Cursor, Image, image, install, locate, tails
from rxfero.core.change import DATA, VOID
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.quorum import Prefix, Quorum
from rxfero.core.shard import Shard
from rxfero.core.value import unpack
from tests.core.parts import data, fill

ONE, TWO = Term(1, 7), Term(2, 9)


def written(*terms: Term) -> Shard:
    return fill(Shard(0, quorum=True), *terms)


def prefix_of(shard: Shard) -> Prefix:
    assert shard.prefix is not None
    return shard.prefix


def commit(shard: Shard, number: int) -> tuple[list[int], bool]:
    records, jumped = prefix_of(shard).advance(shard.log, number)
    shard.view = prefix_of(shard).state
    return [r.number for r in records], jumped


def test_what_a_client_is_told_of_sessions_goes_as_far_as_what_it_is_shown() -> None:
    shard = written(ONE)
    for number, seq in ((2, 1), (3, 2)):
        shard.append(data(ONE, number, sid="s", seq=seq))
    commit(shard, 2)
    _, _, _, _, end, dump = unpack(image(shard, ONE, 0, seen=True))
    assert end == 2
    _, ((sid, floor, top, last, *_),) = dump[1]
    assert (sid, floor, top, last) == ("s", 1, 1, 2), "its second write may be undone yet"
    commit(shard, 3)
    assert prefix_of(shard).sessions == shard.sessions


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=20), st.data())
def test_law_the_sessions_of_the_prefix_are_those_of_its_records(
    writes: list[tuple[str, bool]], drawn: st.DataObject
) -> None:
    shard, seqs = written(ONE), dict.fromkeys("ab", 0)
    for number, (sid, refused) in enumerate(writes, 2):
        seqs[sid] += 1
        kind = VOID if refused else DATA
        shard.append(data(ONE, number, sid=sid, seq=seqs[sid], kind=kind))
    for number in sorted(drawn.draw(st.lists(st.integers(1, len(writes) + 1), max_size=4))):
        commit(shard, number)
    again = written(ONE)
    for record in shard.log.records[1 : prefix_of(shard).number]:
        again.append(record)
    assert prefix_of(shard).sessions == again.sessions


@pytest.mark.parametrize(("voters", "need"), [("abc", 2), ("abcde", 3)])
def test_a_majority(voters: str, need: int) -> None:
    quorum = Quorum(tuple(voters))
    assert quorum.need == need
    assert quorum.heard([*"abx", "x", "a"]) == 2


@given(st.lists(st.integers(0, 100), min_size=3, max_size=5).filter(lambda e: len(e) != 4))
def test_a_majority_has_come_at_least_as_far(ends: list[int]) -> None:
    quorum = Quorum(tuple("abcde"[: len(ends)]))
    reached = quorum.reached(ends)
    assert sum(end >= reached for end in ends) >= quorum.need
    assert sum(end > reached for end in ends) < quorum.need


def test_readers_see_what_is_committed_and_owners_what_is_logged() -> None:
    shard = written(ONE, ONE, ONE)
    shard.append(data(ONE, 4, "k", "new"))
    assert (shard.seen, shard.shown, dict(shard.view.items())) == (0, [], {})
    assert commit(shard, 3) == ([1, 2, 3], False)
    assert shard.view.get("k") == 1
    assert shard.state.get("k") == "new"
    assert [r.number for r in shard.shown] == [1, 2, 3]
    assert commit(shard, 2) == ([], False), "it never goes back"
    assert commit(shard, 4) == ([4], False)
    assert shard.view.get("k") == "new"


def test_a_commit_beyond_the_log_counts_as_records_come() -> None:
    shard = written(ONE, ONE)
    assert commit(shard, 5) == ([1, 2], False)
    assert (prefix_of(shard).commit, prefix_of(shard).number) == (5, 2)
    shard.append(data(ONE, 3))
    assert commit(shard, 3) == ([3], False)


def test_readers_wait_for_a_snapshot_to_be_committed() -> None:
    ours, theirs = written(ONE, ONE), written(*[ONE] * 9)
    commit(ours, 2)
    theirs.log.compact(6)
    install(ours, Image(image(theirs, ONE, 2), 0))
    assert (ours.log.base, ours.log.end, ours.seen) == (6, 9, 2)
    assert commit(ours, 8) == ([], False), "the state at 8 is not known here"
    assert ours.seen == 2
    assert commit(ours, 9) == ([], True)
    assert (ours.seen, ours.view.dump()) == (9, theirs.state.dump())
    ours.append(data(ONE, 10, "later"))
    assert commit(ours, 10) == ([10], False)
    assert "later" not in theirs.state


def test_what_is_not_committed_is_replaced_without_a_branch() -> None:
    ours, theirs = written(ONE, ONE, ONE), written(ONE, ONE, TWO, TWO)
    commit(ours, 2)
    install(ours, Image(image(theirs, TWO, 2), 0))
    assert (ours.branches, ours.dumps) == ([], [])
    assert ours.log.records == theirs.log.records
    assert commit(ours, 4)[0] == [3, 4]


def test_what_is_committed_is_never_cut() -> None:
    ours, theirs = written(ONE, ONE, ONE), written(ONE, ONE, TWO, TWO)
    commit(ours, 3)
    with pytest.raises(AssertionError, match="I8"):
        install(ours, Image(image(theirs, TWO, 2), 0))


def test_clients_get_what_readers_see() -> None:
    shard = written(ONE, ONE, ONE, ONE)
    commit(shard, 2)
    cursor = Cursor(-1, "client")
    locate(cursor, shard, [], 0, client=True)
    assert cursor.behind == {0: 1}
    ((body, _),) = tails(cursor, [shard], ZERO_TERM, [0], 1 << 20)
    assert body[3] == (1, 2)
    assert cursor.live
    locate(cursor, shard, [(ONE, 1)], 4, client=True)
    assert cursor.live, "a client that knows more than this server waits for it"
    packed = Image(image(shard, ZERO_TERM, 0, seen=True), 0)
    assert (packed.end, len(packed.records)) == (2, 2)


@given(st.lists(st.integers(0, 30), max_size=20), st.lists(st.integers(1, 3), max_size=20))
def test_a_prefix_is_the_fold_of_its_records(commits: list[int], values: list[int]) -> None:
    shard = written(ONE)
    seen = 0
    steps = iter(commits)
    for number, value in enumerate(values, 2):
        shard.append(data(ONE, number, f"k{value}", number))
        commit(shard, min(next(steps, 0), shard.log.end))
        assert shard.seen >= seen
        seen = shard.seen
        expected = {
            r.path[0]: unpack(r.value) for r in shard.log.records[:seen] if r.path
        }
        assert dict(shard.view.items()) == expected
    assert repr(shard.prefix) == f"<Prefix to {seen} of {seen}>"
