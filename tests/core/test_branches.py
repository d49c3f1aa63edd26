"""The branches: each foreign record once, the newer write stands, what is covered is forgotten."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.core.branches import MERGED_AT_ONCE, Draft, Merge, newer, numbered, uncovered
from rxfero.core.change import COUNT, DATA, LOST, MERGE, VOID, Record
from rxfero.core.path import overlaps, wire
from rxfero.core.position import Term
from rxfero.core.shard import Shard
from rxfero.core.value import pack, unpack
from rxfero.errors import ProtocolError
from tests.core.parts import NIL, begin, data, fill, shape

A, B, C = Term(1, 7), Term(2, 3), Term(3, 9)
OURS = Term(5, 5)


def owner(*records: Record) -> Shard:
    """Give an owner's shard with those writes in it."""
    shard = fill(Shard(0), OURS)
    for record in records:
        shard.append(record._replace(term=OURS, number=shard.log.end + 1))
    return shard


def log(shard: Shard, drafts: Iterable[Draft]) -> list[Draft]:
    """Do what the owner does with the outcome of a merge, and give it."""
    done: list[Draft] = []
    for draft in drafts:
        done.append(draft)
        kind, sid, seq, path, verb, value, hlc, origin, expires = draft
        shard.append(
            Record(OURS, shard.log.end + 1, kind, sid, seq, wire(path), verb, value, hlc or 1, origin,
                   expires)
        )  # fmt: skip
    return done


def write(sid: str, seq: int, hlc: int, key: Any = "k", value: Any = 0, **rest: Any) -> Record:
    return data(A, rest.pop("number", seq), key, value or hlc, sid=sid, seq=seq, hlc=hlc, **rest)


# --- which is newer, by R9


def test_of_one_session_the_later_number_is_newer_else_the_later_clock() -> None:
    assert newer(write("s", 2, hlc=1), write("s", 1, hlc=99))
    assert newer(write("s", 1, hlc=99), write("t", 2, hlc=1))
    assert newer(write("t", 1, hlc=5), write("s", 1, hlc=5)), "a tie goes by the session"


records = st.builds(
    write, st.sampled_from("ab"), st.integers(1, 5), st.integers(1, 5),
    st.sampled_from(["k", ("k", "x"), ("k", "y"), "l"]),
)  # fmt: skip


@given(records, records)
def test_of_two_writes_at_most_one_is_newer(one: Record, other: Record) -> None:
    assert not (newer(one, other) and newer(other, one))
    same = (one.sid, one.seq) == (other.sid, other.seq)
    alike = one.sid == other.sid and one.seq == other.seq
    assert newer(one, other) or newer(other, one) or same or alike


@settings(max_examples=200, deadline=None)
@given(st.lists(records, max_size=6), st.lists(records, min_size=1, max_size=6))
def test_a_write_is_lost_just_when_a_newer_one_stands_on_an_overlapping_path(
    held: list[Record], foreign: list[Record]
) -> None:
    held = [r._replace(sid="own", seq=i, verb="update") for i, r in enumerate(held, 1)]
    foreign = [r._replace(sid=f"f{i}", seq=1, number=i) for i, r in enumerate(foreign, 1)]
    shard = owner(*held)
    standing = [(r.path, r.hlc, r.sid) for r in held]
    *drafts, _ = log(shard, Merge(shard).records(foreign))
    assert len(drafts) == len(foreign)
    for draft, record in zip(drafts, foreign, strict=True):
        loses = any(
            overlaps(path, record.path) and (hlc, sid) > (record.hlc, record.sid)
            for path, hlc, sid in standing
        )
        assert draft.kind == (LOST if loses else DATA)
        assert draft.origin == (record.term, record.number)
        assert (draft.hlc, draft.value) == (record.hlc, record.value), "with its own stamp"
        if not loses:
            standing.append((record.path, record.hlc, record.sid))


def test_above_and_below_overlap() -> None:
    shard = owner(data(OURS, 1, ("k", "x"), 1, sid="s", hlc=9))
    outcome = Merge(shard).outcome
    assert outcome(write("f", 1, hlc=5, key="k")).kind == LOST
    assert outcome(write("f", 1, hlc=5, key=("k", "x", "y"))).kind == LOST
    assert outcome(write("f", 1, hlc=5, key=("k", "y"))).kind == DATA
    assert outcome(write("f", 1, hlc=10, key="k")).kind == DATA


def test_below_the_log_the_stamp_of_the_key_decides() -> None:
    shard = owner(data(OURS, 1, "k", 1, sid="s", seq=1, hlc=9))
    shard.log.compact(2)
    assert Merge(shard).outcome(write("f", 1, hlc=8)).kind == LOST
    assert Merge(shard).outcome(write("f", 1, hlc=10)).kind == DATA
    assert Merge(shard).outcome(write("s", 2, hlc=8)).kind == DATA, "its own session goes on"


def test_a_write_that_no_longer_applies_is_lost_but_not_a_remove() -> None:
    outcome = Merge(owner(data(OURS, 1, "k", [7], hlc=1))).outcome
    assert outcome(write("f", 1, hlc=5, key=("k", 9))).kind == LOST, "the list has one item"
    assert outcome(write("f", 1, hlc=5, key="none", verb="remove")).kind == DATA


def pushed(seq: int, index: int, hlc: int, value: Any, sid: str = "f") -> Record:
    return write(sid, seq, hlc, ("k", index), value, verb="add")


def test_what_was_pushed_one_after_the_other_is_there_one_after_the_other() -> None:
    shard = owner(data(OURS, 1, "k", ["a"], sid="s", seq=1, hlc=1))
    branch = [pushed(n, n, 10 + n, f"f{n}") for n in (1, 2, 3)]
    drafts = log(shard, Merge(shard).records(branch))
    assert [d.kind for d in drafts] == [DATA, DATA, DATA, MERGE]
    assert shard.state.get("k") == ["a", "f1", "f2", "f3"]


def test_what_both_sides_pushed_is_all_there() -> None:
    shard = owner(
        data(OURS, 1, "k", [], sid="s", seq=1, hlc=1), pushed(2, 0, 99, "ours", sid="s"),
    )  # fmt: skip
    log(shard, Merge(shard).records([pushed(1, 0, 5, "theirs"), pushed(2, 1, 6, "too")]))
    assert shard.state.get("k") == ["ours", "theirs", "too"]


def test_what_was_pushed_to_a_list_that_was_written_later_is_lost() -> None:
    shard = owner(data(OURS, 1, "k", ["new"], sid="s", seq=1, hlc=50))
    outcome = Merge(shard).outcome
    late, lost = outcome(pushed(1, 4, 60, "late")), outcome(pushed(2, 5, 40, "lost"))
    assert (late.kind, late.path) == (DATA, ("k", 1))
    assert (lost.kind, lost.path) == (LOST, ("k", 5)), "as it was asked for"
    gone = owner(data(OURS, 1, "k", None, sid="s", seq=1, hlc=50, verb="remove"))
    assert Merge(gone).outcome(pushed(1, 0, 40, "lost")).kind == LOST


def test_an_item_of_a_map_is_none_of_a_list() -> None:
    shard = owner(data(OURS, 1, "k", {5: "ours"}, sid="s", seq=1, hlc=1))
    draft = Merge(shard).outcome(pushed(1, 7, 9, "theirs"))
    assert (draft.kind, draft.path) == (DATA, ("k", 7))


def test_an_added_record_never_replaces_another_of_its_id() -> None:
    shard = owner(data(OURS, 1, 7, "ours", hlc=1, verb="add"))
    theirs = write("f", 1, hlc=99, key=7, verb="add")
    assert numbered(theirs)
    assert not numbered(theirs._replace(key="k"))
    assert Merge(shard).outcome(theirs).kind == LOST
    assert Merge(shard).outcome(theirs._replace(key=8)).kind == DATA


def test_a_record_of_a_forgotten_session_is_never_a_second_effect() -> None:
    shard = owner()
    shard.sessions.evict_hlc = 50
    assert Merge(shard).outcome(write("gone", 3, hlc=50)).kind == LOST
    assert Merge(shard).outcome(write("gone", 3, hlc=51)).kind == DATA


# --- a branch into the log, by R8


def test_a_merge_ends_with_the_exact_intervals_and_those_inherited() -> None:
    inherited = Record(A, 4, MERGE, "", 0, (), "", pack([[1, 1, 3, 9]]), 4, None, 0)
    branch = [
        write("f", 1, 5, "a", number=2), write("f", 2, 6, "b", number=3), inherited,
        begin(B, 5, A), data(B, 6, "c", sid="f", seq=3), data(C, 9, "d", sid="f", seq=4),
    ]  # fmt: skip
    shard = owner()
    *drafts, merge = log(shard, Merge(shard).records(branch))
    assert [d.path for d in drafts] == [("a",), ("b",), ("c",), ("d",)]
    assert merge.kind == MERGE
    assert unpack(merge.value) == [[1, 1, 3, 9], [1, 7, 2, 4], [2, 3, 5, 6], [3, 9, 9, 9]]


@settings(max_examples=100, deadline=None)
@given(st.permutations(range(1, 9)), st.lists(st.integers(0, 8), max_size=4))
def test_a_branch_has_one_effect_however_often_and_in_what_parts_it_comes(
    order: list[int], cuts: list[int]
) -> None:
    branch = [write("f", n, 10 + n, "abc"[n % 3], n, number=n) for n in order]
    shard = owner()
    edges = sorted({0, 8, *cuts})
    parts = [branch[lo:hi] for lo, hi in itertools.pairwise(edges)]
    for part in [*parts, *parts, branch]:
        log(shard, Merge(shard).records(part))
    merged = [r.seq for r in shard.log.records if r.kind in (DATA, LOST)]
    assert sorted(merged) == list(range(1, 9))
    assert [shard.state.get(key) for key in "abc"] == [6, 7, 8]
    assert list(Merge(shard).records(branch)) == []
    shard.invariants()


def test_what_its_session_has_in_the_log_already_is_covered_without_effect() -> None:
    shard = owner(data(OURS, 1, "k", "new", sid="f", seq=1, hlc=3))
    (merge,) = Merge(shard).records([write("f", 1, 5)])
    assert unpack(merge.value) == [[1, 7, 1, 1]]
    refused = write("g", 1, 5, kind=VOID)
    assert [d.kind for d in Merge(shard).records([refused])] == [VOID, MERGE]


@pytest.mark.parametrize("base", [0, 1], ids=["in the log", "compacted"])
def test_a_write_that_was_sent_again_is_as_old_as_it_was(base: int) -> None:
    """Its session has it logged anew; what another wrote after it, on the same branch, is newer."""
    shard = owner(data(OURS, 1, "k", "again", sid="f", seq=1, hlc=50))
    shard.log.compact(2 * base)
    branch = [write("f", 1, 5, "k", "again"), write("g", 1, 6, "k", "later", number=2)]
    log(shard, Merge(shard).records(branch))
    assert shard.state.get("k") == "later"
    earlier = [write("f", 1, 5, "k", "again", number=3), write("h", 1, 4, "k", "earlier", number=4)]
    log(shard, Merge(shard).records(earlier))
    assert shard.state.get("k") == "later"


@pytest.mark.parametrize("value", [b"", NIL, pack(7), pack([[1, 2]]), pack([["a", 1, 1, 1]])])
def test_an_inherited_merge_that_cannot_be_read_covers_nothing(value: bytes) -> None:
    broken = Record(A, 1, MERGE, "", 0, (), "", value, 4, None, 0)
    (merge,) = Merge(owner()).records([broken])
    assert unpack(merge.value) == [[1, 7, 1, 1]]


# --- a state whose log is gone


def test_a_state_is_merged_key_by_key_and_then_covered() -> None:
    theirs = fill(Shard(0), A)
    for record in (
        data(A, 2, "old", 1, sid="f", seq=1, hlc=2), data(A, 3, "new", 2, sid="f", seq=2, hlc=9),
        Record(A, 4, COUNT, "", 0, (), "count", pack(12), 4, None, 0),
        Record(A, 5, COUNT, "", 0, (), "mark", pack("m"), 4, None, 0),
        Record(A, 6, MERGE, "", 0, (), "", pack([[1, 1, 3, 9]]), 4, None, 0),
    ):  # fmt: skip
        theirs.append(record)
    shard = owner(data(OURS, 1, "old", "ours", hlc=5), data(OURS, 1, "new", "ours", seq=2, hlc=5))
    dump = [theirs.dump(), [[*A, -6]]]
    log(shard, Merge(shard).dump(dump))
    assert (shard.state.get("old"), shard.state.get("new")) == ("ours", 2)
    assert (shard.count, shard.marks) == (12, {"m"})
    assert shard.covered(A, -6)
    assert shard.covered(Term(1, 1), 5)
    assert list(Merge(shard).dump(dump)) == []


@pytest.mark.parametrize(
    "dump",
    [
        None, 7, [], [[], []], [Shard(0).dump()], [Shard(0).dump(), None],
        [Shard(0).dump(), []], [Shard(0).dump(), [[1, 7]]], [Shard(0).dump(), [["a", 7, 1]]],
        [Shard(0).dump(), [[1, 7, "x"]]], [[[["k"]], [0, []], [], 0, []], [[1, 7, -1]]],
        [[[["k", "text", 1, 1, "s", 1, 0]], [0, []], [], 0, []], [[1, 7, -1]]],
        [[[["k", b"\xc1", 1, 1, "s", 1, 0]], [0, []], [], 0, []], [[1, 7, -1]]],
        [[[], [0, []], [], "9", []], [[1, 7, -1]]],
    ],
    ids=repr,
)  # fmt: skip
def test_a_dump_that_is_none_is_refused(dump: Any) -> None:
    shard = owner()
    before = shape(shard)
    with pytest.raises(ProtocolError):
        list(Merge(shard).dump(dump))
    assert shape(shard) == before


# --- what is still to offer, by R7


def test_branches_are_offered_until_they_are_covered() -> None:
    shard = owner()
    branch = [write("f", n, n, number=n) for n in range(1, MERGED_AT_ONCE + 4)]
    shard.branches = [branch, [data(B, 1)]]
    shard.dumps = [[Shard(0).dump(), [[*C, -5]]]]
    assert uncovered(shard) == branch[:MERGED_AT_ONCE]
    assert uncovered(shard) == branch[:MERGED_AT_ONCE], "until they come back through the log"
    shard.cover([(A, 2, MERGED_AT_ONCE)])
    assert uncovered(shard) == [branch[0], *branch[MERGED_AT_ONCE:]]
    shard.cover([(A, 1, MERGED_AT_ONCE + 3)])
    assert uncovered(shard) == [data(B, 1)]
    shard.cover([(B, 1, 1)])
    assert (uncovered(shard), shard.branches) == ([], [])
    assert len(shard.dumps) == 1
    shard.cover([(C, -5, -5)])
    assert (uncovered(shard), shard.dumps) == ([], [])
