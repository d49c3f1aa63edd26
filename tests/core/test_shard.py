"""The shard: fenced, matched, log first and state after; the fold is a function of the log."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.core.change import COUNT, LOST, MERGE, VOID, Record
from rxfero.core.columns import pieces
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.shard import (
    CANDIDATE,
    DIVERGED,
    FOLLOWER,
    GREW,
    KNOWN,
    MISSES,
    OWNER,
    TERMS_COVERED,
    Shard,
    Wait,
    follow_each,
    read_fold,
)
from rxfero.core.value import pack, pack_body, unpack_body
from rxfero.errors import ProtocolError
from tests.core.parts import NIL, begin, data, fill, shape

A, B, C = Term(1, 7), Term(2, 3), Term(3, 9)


# --- the fence (R2)


def test_a_promise_refuses_what_is_lower_and_takes_the_role() -> None:
    shard = Shard(3)
    assert not shard.promise(B), "a follower has no role to lose"
    shard.role, shard.owner, shard.term = OWNER, "me", B
    assert not shard.promise(B), "its own term"
    assert (shard.role, shard.owner) == (OWNER, "me")
    assert shard.promise(C)
    assert (shard.role, shard.owner, shard.promised) == (FOLLOWER, None, C)
    shard.role = CANDIDATE
    assert shard.promise(Term(4, 1))
    before = shape(shard)
    with pytest.raises(AssertionError, match="I3"):
        shard.promise(A)
    assert shape(shard) == before


# --- the match (R3)


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        (data(B, 5), GREW),
        (begin(C, 5, B), GREW),
        (data(B, 4), KNOWN),
        (data(A, 2), KNOWN),
        (data(A, 1), KNOWN),  # compacted away: only the state has it
        (data(B, 6), MISSES),
        (begin(C, 9, B), MISSES),
        (data(A, 5), DIVERGED),
        (data(C, 5), DIVERGED),
        (begin(C, 5, A), DIVERGED),
        (begin(C, 5, B)._replace(origin=(B, 3)), DIVERGED),
        (begin(A, 5, B), DIVERGED),  # no owner begins with a term that is not the highest
        (begin(B, 5, B), DIVERGED),
        (begin(C, 5, B)._replace(origin=None), DIVERGED),
        (data(C, 4), DIVERGED),
        (data(A, 3), DIVERGED),
    ],
)
def test_a_record_is_followed_only_where_the_log_matches(record: Record, verdict: int) -> None:
    shard = fill(Shard(0), A, A, B, B)
    shard.log.compact(1)
    before = shape(shard)
    assert shard.follow(record) == verdict
    if verdict == GREW:
        assert shard.log.records[-1] == record
    else:
        assert shape(shard) == before
    shard.invariants()


keys = st.sampled_from(["a", "b", ("a", "x"), ("b", 0)])
verbs = st.sampled_from(["update", "add", "remove", "push", "patch"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("term")),
        st.tuples(st.just("data"), keys, verbs, st.integers(0, 3), st.sampled_from("pq")),
        st.tuples(st.just("count"), st.integers(0, 9)),
        st.tuples(st.just("mark"), st.sampled_from("xy")),
        st.tuples(st.just("lost"), keys),
        st.tuples(st.just("merge"), st.integers(1, 3), st.integers(1, 9), st.integers(0, 3)),
    ),
    max_size=25,
)


def lead(moves: list[Any]) -> Shard:
    """Make a shard as owners would write it."""
    shard = Shard(0)
    seqs = dict.fromkeys("pq", 0)
    term = ZERO_TERM
    for what, *rest in [("term",), *moves]:
        log = shard.log
        number = log.end + 1
        if what == "term":
            last, term = term, Term(term.n + 1, 5)
            shard.append(begin(term, number, last))
            continue
        blank = Record(term, number, COUNT, "", 0, (), "", NIL, number, None, 0)
        match what, rest:
            case "data", (key, verb, value, sid):
                seqs[sid] += 1
                record = data(term, number, key, {"x": value}, sid=sid, seq=seqs[sid], verb=verb)
            case "lost", (key,):
                seqs["p"] += 1
                record = data(term, number, key, 1, sid="p", seq=seqs["p"], kind=LOST)
            case "merge", (n, lo, more):
                record = blank._replace(kind=MERGE, value=pack([[n, 1, lo, lo + more]]))
            case "mark", (mark,):
                record = blank._replace(verb="mark", value=pack(mark))
            case _, (count,):
                record = blank._replace(verb="count", value=pack(count))
        shard.append(record)
    shard.promised = shard.term = term
    return shard


@pytest.mark.parametrize(
    "changed",
    [{"number": 4}, {"number": 6}, {"term": Term(2, 5)}, {"kind": LOST}, {"expires": 9},
     {"verb": "remove"}, {"key": ("k", "x")}],
    ids=repr,
)  # fmt: skip
def test_only_plain_records_that_follow_are_taken_as_a_run(changed: dict[str, Any]) -> None:
    shard = fill(Shard(0), *[Term(1, 5)] * 3)
    plain = [data(Term(1, 5), number, sid="r", seq=number - 3) for number in (4, 5, 6)]
    before = shape(shard)
    broken = [plain[0], plain[1]._replace(**changed), plain[2]]
    assert not shard.follow_run(broken)
    assert shape(shard) == before
    assert shard.follow_run(plain)
    assert shard.log.records[-3:] == plain
    assert shard.sessions.number_of("r", 3) == 6
    shard.invariants()


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize(
    "changed",
    [{"number": 3}, {"number": 6}, {"term": Term(2, 5)}, {"kind": LOST}, {"expires": 9},
     {"verb": "remove"}, {"verb": "patch"}, {"key": ("k", "x")}],
    ids=repr,
)  # fmt: skip
def test_of_several_shards_the_first_that_is_not_plain_and_all_after_it_are_left(
    changed: dict[str, Any], at: int
) -> None:
    shards = [fill(Shard(number), *[Term(1, 5)] * 3) for number in range(3)]
    where, last = [2, 0, 1, 2], dict.fromkeys(range(3), 3)
    plain: list[Record] = []
    for seq, number in enumerate(where, 1):
        last[number] += 1
        plain.append(data(Term(1, 5), last[number], f"k{seq}", seq, sid=f"r{seq}", seq=1))
    broken = [*plain[:at], plain[at]._replace(**changed), *plain[at + 1 :]]
    assert follow_each(shards, where, broken) == at
    taken = [record for shard in shards for record in shard.log.records[3:]]
    assert sorted(taken) == sorted(plain[:at])
    assert follow_each(shards, where[at:], plain[at:]) == 4 - at
    for shard in shards:
        shard.invariants()
    assert {k: v for shard in shards for k, v in shard.state.items() if k != "k"} == {
        "k1": 1, "k2": 2, "k3": 3, "k4": 4,
    }  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from("pq"), st.integers(0, 2), st.sampled_from("ab"))))
def test_an_owner_writes_what_is_next_and_that_is_to_append_it(
    asked: list[tuple[str, int, str]],
) -> None:
    one, other, term = Shard(0), Shard(0), Term(1, 5)
    for shard in (one, other):
        fill(shard, term).term = term
    for stamp, (sid, ahead, key) in enumerate(asked, 10):
        seq = one.sessions.expected(sid) - 1 + ahead
        due = data(term, one.log.end + 1, key, stamp, sid=sid, seq=seq or 99, hlc=stamp)
        written = other.write(sid, due.seq, key, "update", due.value, stamp)
        if one.sessions.is_next(sid, due.seq):
            assert written == due
            one.append(due)
        else:
            assert written is None
    assert (shape(one), one.log.bytes) == (shape(other), other.log.bytes)
    other.invariants()


@settings(max_examples=150, deadline=None)
@given(steps, st.integers(0, 25))
def test_the_fold_is_a_function_of_the_log(moves: list[Any], at: int) -> None:
    owner = lead(moves)
    records = owner.log.records
    follower = Shard(0)
    assert [follower.follow(r) for r in records] == [GREW] * len(records)
    assert [follower.follow(r) for r in records] == [KNOWN] * len(records)
    assert follower.dump() == owner.dump()
    for shard in (owner, follower):
        shard.invariants()
    slow = Shard(0)  # without the short way for plain writes
    for record in records:
        slow.log.append(record)
        slow.apply(record)
    assert slow.dump() == owner.dump()
    joined = Shard(0)  # in runs, as whoever catches up gets them
    for _, run in pieces([0] * len(records), records):
        if not joined.follow_run(list(run)):
            assert [joined.follow(record) for record in run] == [GREW] * len(run)
    joined.invariants()
    assert (joined.dump(), joined.log.records) == (owner.dump(), records)
    lone, done = Shard(0), 0  # a record each, as a live frame brings them
    while done < len(records):
        done += follow_each([lone], [0] * (len(records) - done), records[done:])
        if done < len(records):
            assert lone.follow(records[done]) == GREW
            done += 1
    lone.invariants()
    assert (lone.dump(), lone.log.records) == (owner.dump(), records)
    early = Shard(0)
    for record in records[:at]:
        early.follow(record)
    late = Shard(0)
    late.load(unpack_body(pack_body(early.dump())))
    for record in records[at:]:
        late.apply(record)
    assert late.dump() == owner.dump()


def test_what_a_refused_write_takes_is_its_number() -> None:
    shard = fill(Shard(0), A)
    shard.append(data(A, 2, seq=1, kind=VOID))
    assert shard.sessions.has("s", 1)
    assert len(shard.state) == 0


@pytest.mark.parametrize(
    "record",
    [
        *[
            Record(A, 2, COUNT, "", 0, (), verb, value, 2, None, 0)
            for verb in ("mark", "count") for value in (b"", b"\xc1", pack([1]), pack(1.5), NIL)
        ],
        *[
            Record(A, 2, MERGE, "", 0, (), "", value, 2, None, 0)
            for value in (b"", NIL, pack(7), pack([7]), pack([[1, 2, 3]]), pack([["a", 2, 3, 4]]),
                          pack([[1, 2, 3, "4"]]), pack([[1, 2, None, 4]]), pack([[-1, 2, 3, 4]]))
        ],
    ],
    ids=lambda r: f"{r.kind} {r.verb} {r.value!r}",
)  # fmt: skip
def test_a_record_that_cannot_be_read_has_no_effect(record: Record) -> None:
    shard = fill(Shard(0), A)
    before = shard.dump()
    assert shard.follow(record) == GREW
    assert shard.dump() == before
    shard.invariants()


# --- covers, by R8


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.integers(1, 20), st.integers(0, 5))))
def test_covers_are_the_set_of_what_was_merged(spans: list[tuple[Term, int, int]]) -> None:
    shard, model = Shard(0), set[tuple[Term, int]]()
    for term, lo, more in spans:
        shard.cover([(term, lo, lo + more)])
        model |= {(term, n) for n in range(lo, lo + more + 1)}
    for term in (A, B, C):
        assert {n for n in range(30) if shard.covered(term, n)} == {n for t, n in model if t == term}
        kept = shard.covers.get(term, [])
        assert all(one[1] + 1 < two[0] for one, two in pairwise(kept))


def test_the_newest_terms_stay_covered() -> None:
    shard = Shard(0)
    shard.cover([(Term(n, 1), 1, 1) for n in range(1, TERMS_COVERED + 3)])
    assert len(shard.covers) == TERMS_COVERED
    assert not shard.covered(Term(2, 1), 1)
    assert shard.covered(Term(3, 1), 1)


def test_the_log_covers_what_it_holds() -> None:
    shard = fill(Shard(0), A, A, B)
    shard.log.compact(1)
    assert [shard.covered(A, n) for n in range(5)] == [False, False, True, False, False]
    assert shard.covered(B, 3)


# --- the whole


def whole() -> Any:
    shard = lead(
        [("data", "a", "update", 1, "p"), ("data", ("b", 0), "update", 1, "q"), ("count", 3),
         ("mark", "x"), ("merge", 2, 1, 4)]
    )  # fmt: skip
    return unpack_body(pack_body(shard.dump()))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((), None), ((), []), ((), "abcde"), ((0,), 7), ((0, 0), ["a"]), ((0, 0, 0), None),
        ((0, 0, 0), ""), ((0, 0, 0), ["a", "b"]), ((0, 0, 1), "text"), ((0, 0, 2), -1),
        ((0, 0, 3), "x"), ((0, 0, 4), 5), ((0, 0, 5), 1.5), ((0, 0, 6), None), ((1,), None),
        ((1, 0), "x"), ((1, 0), -1), ((1, 1), 7), ((1, 1), {"a": 1}), ((1, 1, 0), []),
        ((1, 1, 0, 0), 7), ((1, 1, 0, 1), "1"), ((1, 1, 0, 4), None), ((1, 1, 0, 5), [None]),
        ((1, 1, 0, 6), [1]), ((1, 1, 0, 6), ["a", "b"]), ((2,), 7), ((2, 0), [1, 2]),
        ((2, 0, 0), "x"), ((2, 0, 0), -1), ((2, 0, 2), [[1]]), ((2, 0, 2), [["a", "b"]]),
        ((3,), "x"), ((3,), -1), ((4,), 7), ((4,), [7]),
    ],
    ids=repr,
)  # fmt: skip
def test_a_dump_that_is_none_is_refused_and_nothing_changes(place: Any, value: Any) -> None:
    dump = whole()
    assert read_fold(dump).counter == 3
    if place:
        node = dump
        for step in place[:-1]:
            node = node[step]
        node[place[-1]] = value
    else:
        dump = value
    shard = fill(Shard(0), A, A)
    before = shape(shard)
    with pytest.raises(ProtocolError):
        shard.load(dump)
    assert shape(shard) == before


@pytest.mark.parametrize("broken", ["term", "promise", "record", "wait"])
def test_invariants_tell_a_broken_shard(broken: str) -> None:
    shard = fill(Shard(0), A, B)
    shard.role, shard.term = OWNER, B
    shard.invariants()
    match broken:
        case "term":
            shard.role, shard.term = FOLLOWER, C
        case "promise":
            shard.promised = C
        case "record":
            shard.promised = shard.term = C
        case _:
            shard.waits.append(Wait(3, 1, None, 0.0))
    with pytest.raises(AssertionError):
        shard.invariants()
    assert repr(shard).startswith("<Shard 0 ")
