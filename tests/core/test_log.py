"""The log: dense, matched by terms, cut, compacted, and compared by histories."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.core.change import DATA, Record
from rxfero.core.log import OVERHEAD, TERMS_KEPT, Gap, Log, common
from rxfero.core.position import ZERO_TERM, Term

A, B, C = Term(1, 7), Term(2, 3), Term(3, 9)


def record(number: int, term: Term = A, value: bytes = b"\xc0", sid: str = "s") -> Record:
    return Record(term, number, DATA, sid, number, "k", "update", value, number, None, 0)


def log_of(*terms: Term) -> Log:
    log = Log()
    for number, term in enumerate(terms, 1):
        log.append(record(number, term))
    log.invariants()
    return log


def shape(log: Log) -> tuple[object, ...]:
    return (log.base, log.base_term, log.end, log.last_term, log.bytes, list(log.hist),
            list(log.records))  # fmt: skip


def test_an_empty_log_matches_its_start() -> None:
    log = Log()
    assert (log.base, log.end, log.last_term, len(log)) == (0, 0, ZERO_TERM, 0)
    assert log.matches(ZERO_TERM, 0)
    assert not log.matches(A, 0)
    assert not log.matches(A, 1)
    assert not log.matches(ZERO_TERM, -1)
    assert log.slice(1, 10, 100) == []
    assert log.cut(0) == []
    assert log.compact(5) == 0
    log.invariants()


def test_records_are_appended_densely() -> None:
    log = log_of(A, A, B)
    assert (log.end, log.last_term, log.hist) == (3, B, [(A, 1), (B, 3)])
    assert [log.term_at(n) for n in range(4)] == [ZERO_TERM, A, A, B]
    assert log.matches(A, 2)
    assert not log.matches(A, 3)
    assert not log.matches(B, 4)
    assert log[3].term == B
    assert repr(log) == "<Log 0..3 of 2.3>"
    with pytest.raises(IndexError):
        log.term_at(4)
    with pytest.raises(IndexError):
        log[0]


@pytest.mark.parametrize(
    ("bad", "error"), [(5, Gap), (3, Gap), (0, Gap), (4, AssertionError)]
)  # fmt: skip
def test_a_refused_record_changes_nothing(bad: int, error: type[Exception]) -> None:
    log = log_of(A, A, B)
    before = shape(log)
    with pytest.raises(error):
        log.append(record(bad, A))  # record 4 is dense, but of an older term
    assert shape(log) == before


def test_slices_are_limited_by_count_and_size() -> None:
    log = Log()
    for number in range(1, 7):
        log.append(record(number, value=bytes(100)))
    one = 100 + OVERHEAD
    assert [r.number for r in log.slice(2, 3, 10**6)] == [2, 3, 4]
    assert [r.number for r in log.slice(2, 9, 2 * one)] == [2, 3]
    assert [r.number for r in log.slice(2, 9, 1)] == [2], "one record always goes"
    assert log.slice(7, 9, 10**6) == []
    assert log.slice(2, 0, 10**6) == []
    log.compact(2)
    assert [r.number for r in log.slice(3, 1, 10**6)] == [3]
    with pytest.raises(IndexError):
        log.slice(2, 1, 10**6)


def test_a_cut_gives_what_it_removes() -> None:
    log = log_of(A, A, B, B, C)
    assert [r.number for r in log.cut(3)] == [4, 5]
    assert (log.end, log.last_term, log.hist) == (3, B, [(A, 1), (B, 3)])
    log.append(record(4, C))
    assert [r.number for r in log.cut(2)] == [3, 4]
    assert log.hist == [(A, 1)]
    log.compact(1)
    log.cut(1)
    assert (log.end, log.last_term, log.hist) == (1, A, [(A, 1)])
    log.invariants()
    with pytest.raises(AssertionError, match="I15"):
        log.cut(0)


def test_compaction_keeps_the_term_at_the_base() -> None:
    log = log_of(A, A, B, B, C)
    assert log.compact(3) == 3
    assert (log.base, log.base_term, log.end) == (3, B, 5)
    assert log.term_at(3) == B
    assert log.term_at(2) == A, "the history still knows"
    assert log.matches(B, 3)
    assert log.compact(2) == 0
    assert log.compact(99) == 2
    assert (log.base, log.base_term, log.end, log.bytes) == (5, C, 5, 0)
    log.append(record(6, C))
    log.invariants()


def test_histories_stay_bounded() -> None:
    log = Log()
    for number in range(1, TERMS_KEPT + 50):
        log.append(record(number, Term(number, 1)))
    log.compact(TERMS_KEPT + 40)
    assert len(log.hist) == TERMS_KEPT + 9
    assert log.hist[TERMS_KEPT - 1] == (log.base_term, log.base)
    assert log.term_at(1) == ZERO_TERM, "older than the history"
    log.invariants()


def test_a_reset_begins_above_a_snapshot() -> None:
    log = log_of(A, A)
    log.reset(10, B, [(A, 1), (B, 6), (C, 12)])
    assert (log.base, log.end, log.last_term, log.bytes) == (10, 10, B, 0)
    assert log.hist == [(A, 1), (B, 6)]
    log.append(record(11, B))
    log.append(record(12, C))
    log.invariants()
    log.reset(10, B, [(A, 1)])
    assert log.hist == [(B, 10)], "a history with a hole claims nothing"
    log.reset(0, ZERO_TERM, [(ZERO_TERM, 0)])
    assert shape(log) == shape(Log())
    log.reset(0, A)
    assert shape(log) == shape(Log())


@pytest.mark.parametrize("broken", ["end", "bytes", "hist", "last_term", "base", "records"])
def test_invariants_tell_a_broken_log(broken: str) -> None:
    log = log_of(A, A, B)
    match broken:
        case "end":
            log.end = 4
        case "bytes":
            log.bytes += 1
        case "hist":
            log.hist = [(A, 1), (C, 2), (B, 3)]
        case "last_term":
            log.last_term = A
        case "base":
            log.compact(1)
            log.base_term = C
        case _:
            log.records[1] = record(2, C)
    with pytest.raises(AssertionError):
        log.invariants()


# --- two logs


def grow(rng: random.Random, log: Log, boot: int, count: int, highest: int) -> int:
    """Append as owners of ever higher terms would; give the highest term counter used."""
    term = log.last_term
    for _ in range(count):
        if term == ZERO_TERM or term.boot != boot or rng.random() < 0.3:
            highest += 1
            term = Term(highest, boot)
        log.append(record(log.end + 1, term))
    return highest


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12),
       st.integers(0, 30), st.integers(0, 30))  # fmt: skip
def test_the_common_point_is_where_the_terms_last_agree(
    seed: int, shared: int, mine: int, theirs: int, base: int, other_base: int
) -> None:
    rng = random.Random(seed)
    one, other = Log(), Log()
    highest = grow(rng, one, 1, shared, 0)
    for r in one.records:
        other.append(r)
    highest = grow(rng, one, 2, mine, highest)
    grow(rng, other, 3, theirs, highest - rng.randint(0, min(mine, 1)))
    expected = max(
        (n for n in range(1, min(one.end, other.end) + 1) if one.term_at(n) == other.term_at(n)),
        default=0,
    )
    assert expected == shared
    one.compact(base)
    other.compact(other_base)
    one.invariants()
    other.invariants()
    assert common(one.hist, one.end, other.hist, other.end) == expected
    assert common(other.hist, other.end, one.hist, one.end) == expected
    point = max(expected, one.base)
    removed = one.cut(point)
    assert [r.number for r in removed] == list(range(point + 1, point + 1 + len(removed)))
    one.invariants()
    if point == expected and other.base <= point:
        for r in other.slice(point + 1, 100, 1 << 30):
            one.append(r)
        one.invariants()
        assert one.last_term == other.last_term
        assert common(one.hist, one.end, other.hist, other.end) == other.end


def test_logs_without_a_shared_term_have_nothing_in_common() -> None:
    assert common([(A, 1)], 5, [(B, 1)], 9) == 0
    assert common([], 0, [(B, 1)], 9) == 0
    assert common([(A, 1), (B, 4)], 6, [(A, 1), (C, 3)], 9) == 2


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["append", "cut", "compact", "reset"]),
                          st.integers(0, 20), st.integers(0, 2))))  # fmt: skip
def test_a_log_is_its_list_of_records(steps: list[tuple[str, int, int]]) -> None:
    log = Log()
    model: dict[int, Record] = {}
    base, n = 0, 1
    for what, number, bump in steps:
        end = max(model, default=base)
        if what == "append":
            n += bump == 2
            fresh = record(end + 1, Term(n, 0), bytes(bump))
            log.append(fresh)
            model[end + 1] = fresh
        elif what == "cut":
            at = max(base, number)
            removed = log.cut(at)
            assert removed == [model.pop(i) for i in range(at + 1, end + 1)]
        elif what == "compact":
            at = min(number, end)
            log.compact(at)
            for i in range(base + 1, at + 1):
                del model[i]
            base = max(base, at)
        else:
            n += 1
            log.reset(number, Term(n, 0), [(Term(n, 0), max(number - 1, 1))])
            model, base = {}, number
        log.invariants()
        assert log.base == base
        assert log.records == [model[i] for i in sorted(model)]
        assert log.bytes == sum(len(r.value) + OVERHEAD for r in model.values())
        assert all(log[i] is r and log.matches(r.term, i) for i, r in model.items())
