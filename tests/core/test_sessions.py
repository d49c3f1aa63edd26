"""The sessions: the exact set of applied numbers, as a pure function of the log."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.core.sessions import WINDOW, Session, Sessions
from rxfero.core.value import pack, unpack

Note = tuple[str, int, int]  # session, number, clock


def noted(notes: Iterable[Note], cap: int = 256) -> Sessions:
    sessions = Sessions(cap)
    for place, (sid, seq, hlc) in enumerate(notes, 1):
        sessions.note(sid, seq, place, hlc)
    sessions.invariants()
    return sessions


def test_the_first_contact_starts_at_one() -> None:
    sessions = Sessions()
    assert sessions.check("a", 1) == "next"
    assert sessions.check("a", 2) == "unknown"
    assert sessions.expected("a") == 1
    assert sessions.number_of("a", 1) is None
    assert not sessions.knows("a")
    assert not sessions.has("a", 1)


def test_dense_numbers() -> None:
    sessions = noted([("a", 1, 5), ("b", 1, 6), ("a", 2, 7)])
    assert [sessions.check("a", n) for n in (1, 2, 3, 4)] == [
        "duplicate", "duplicate", "next", "gap",
    ]  # fmt: skip
    assert sessions.expected("a") == 3
    assert [sessions.number_of("a", n) for n in (1, 2, 3)] == [1, 3, None]
    assert sessions.knows("a")
    assert len(sessions) == 2
    assert repr(sessions) == "<Sessions of 2>"


def test_a_merge_leaves_holes_that_are_no_duplicates() -> None:
    sessions = noted([("a", 1, 1), ("a", 4, 2), ("a", 6, 3)])
    assert [sessions.check("a", n) for n in range(1, 9)] == [
        "duplicate", "hole", "hole", "duplicate", "hole", "duplicate", "next", "gap",
    ]  # fmt: skip
    for seq in (3, 2, 5):
        sessions.note("a", seq, 10 + seq, 1)
    sessions.invariants()
    assert sessions.check("a", 5) == "duplicate"
    assert sessions.expected("a") == 7
    assert [sessions.number_of("a", n) for n in range(1, 7)] == [1, 12, 13, 2, 15, 3]
    sessions.note("a", 7, 20, 1)
    sessions.invariants()
    assert sessions.dump() == noted_dump(sessions)


def noted_dump(sessions: Sessions) -> list[object]:
    again = Sessions()
    again.load(unpack(pack(sessions.dump())))
    again.invariants()
    assert again == sessions
    return again.dump()


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 2 * WINDOW)), min_size=1, max_size=8),
    st.integers(1, 3),
)
def test_a_run_is_noted_as_its_numbers_are_one_by_one(
    runs: list[tuple[str, int]], cap: int
) -> None:
    last, place = dict.fromkeys("abc", 0), 0
    one, other = Sessions(cap), Sessions(cap)
    for sid, count in runs:
        seqs = tuple(range(last[sid] + 1, last[sid] + 1 + count))
        numbers = tuple(range(place + 1, place + 1 + count))
        last[sid], place = seqs[-1], numbers[-1]
        for seq, number in zip(seqs, numbers, strict=True):
            one.note(sid, seq, number, 7 * number % 5)
        other.note_run([sid] * count, seqs, numbers, [7 * number % 5 for number in numbers])
        other.invariants()
        assert one == other


def test_a_run_of_several_sessions_or_with_holes_is_noted_too() -> None:
    for sids, seqs in ((["a", "b", "a"], (1, 1, 2)), (["a"] * 3, (1, 3, 2)), (["a"] * 2, (0, 0))):
        one, other = Sessions(), Sessions()
        for number, (sid, seq) in enumerate(zip(sids, seqs, strict=True), 1):
            one.note(sid, seq, number, number)
        other.note_run(sids, seqs, range(1, len(seqs) + 1), range(1, len(seqs) + 1))
        assert one == other


@given(
    st.lists(
        st.tuples(st.sampled_from(["take", "note"]), st.sampled_from("abc"), st.integers(-1, 2)),
        max_size=3 * WINDOW,
    ),
    st.integers(1, 3),
)
def test_what_is_next_is_taken_and_noted_and_nothing_else(
    steps: list[tuple[str, str, int]], cap: int
) -> None:
    """Also of one that a merge has left holes in, and of one that was forgotten."""
    one, other = Sessions(cap), Sessions(cap)
    for number, (what, sid, ahead) in enumerate(steps, 1):
        seq = max(1, one.expected(sid) + ahead)
        stamp = 7 * number % 5
        due = what == "note" or one.is_next(sid, seq)
        if due:
            one.note(sid, seq, number, stamp)
        if what == "note":
            other.note(sid, seq, number, stamp)
        else:
            assert other.take(sid, seq, number, stamp) == due
        assert one == other
    other.invariants()


def test_a_number_noted_twice_counts_once() -> None:
    sessions = noted([("a", 1, 1), ("a", 3, 2), ("a", 3, 9), ("a", 1, 9)])
    assert sessions.number_of("a", 3) == 2
    assert sessions.number_of("a", 1) == 1
    assert sessions.check("a", 2) == "hole"


def test_records_of_no_session_leave_no_trace() -> None:
    assert len(noted([("", 0, 4), ("x", 0, 5)])) == 0
    assert noted([("a", 1, 1), ("a", 0, 2)]).expected("a") == 2


def test_only_the_last_places_are_kept() -> None:
    sessions = noted([("a", n, n) for n in range(1, 2 * WINDOW + 1)])
    assert sessions.number_of("a", WINDOW) is None
    assert sessions.number_of("a", WINDOW + 1) == WINDOW + 1
    sessions.note("a", 3 * WINDOW, 999, 1)
    sessions.invariants()
    assert sessions.number_of("a", 2 * WINDOW) is None
    assert sessions.number_of("a", 3 * WINDOW) == 999
    sessions.note("a", 2 * WINDOW, 1000, 1)
    sessions.note("a", 2 * WINDOW + 1, 1001, 1)
    assert sessions.number_of("a", 2 * WINDOW) is None
    assert sessions.number_of("a", 2 * WINDOW + 1) == 1001
    sessions.invariants()


def test_the_session_whose_last_record_is_oldest_is_forgotten_first() -> None:
    notes = [("a", 1, 50), ("b", 1, 10), ("a", 2, 20), ("c", 1, 5), ("d", 1, 6)]
    sessions = noted(notes, cap=3)
    assert not sessions.knows("b")
    assert sessions.evict_hlc == 10
    assert sessions.check("b", 2) == "unknown"
    sessions.note("e", 1, 6, 7)
    assert not sessions.knows("a")
    assert sessions.evict_hlc == 50, "the newest clock of what was forgotten"
    sessions.note("f", 1, 7, 7)
    assert sessions.evict_hlc == 50, "never lower"
    sessions.clear()
    assert len(sessions) == 0
    assert sessions.evict_hlc == 0
    assert sessions == Sessions()
    assert sessions != "sessions"


notes = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(1, 9), st.integers(0, 99)), max_size=60
)


@settings(max_examples=200, deadline=None)
@given(notes)
def test_the_table_is_the_set_of_what_was_noted(done: list[Note]) -> None:
    sessions = noted(done)
    for sid in "abcdef":
        applied = {seq for s, seq, _ in done if s == sid}
        top = max(applied, default=0)
        assert sessions.expected(sid) == top + 1
        for seq in range(1, 12):
            assert sessions.has(sid, seq) == (seq in applied)
            expected = (
                "duplicate" if seq in applied
                else "next" if seq == top + 1
                else "unknown" if not applied
                else "gap" if seq > top
                else "hole"
            )  # fmt: skip
            assert sessions.check(sid, seq) == expected
            first = next((i for i, (s, q, _) in enumerate(done, 1) if (s, q) == (sid, seq)), None)
            assert sessions.number_of(sid, seq) == first


@settings(max_examples=200, deadline=None)
@given(notes, st.integers(0, 60), st.integers(1, 4))
def test_a_snapshot_in_the_middle_changes_nothing(done: list[Note], at: int, cap: int) -> None:
    whole = noted(done, cap)
    early = noted(done[:at], cap)
    late = Sessions(cap)
    late.load(unpack(pack(early.dump())))
    for place, (sid, seq, hlc) in enumerate(done[at:], len(done[:at]) + 1):
        late.note(sid, seq, place, hlc)
        late.invariants()
    assert late == whole
    assert late.dump() == whole.dump()


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(1, 2 * WINDOW)), st.integers(0, WINDOW))
def test_any_order_comes_to_the_same_set(order: list[int], dense: int) -> None:
    sessions = noted([("a", n, 1) for n in range(1, dense + 1)])
    for place, seq in enumerate(order, dense + 1):
        sessions.note("a", seq, place, 1)
        sessions.invariants()
    assert sessions.expected("a") == 2 * WINDOW
    assert all(sessions.has("a", n) for n in range(1, 2 * WINDOW))


@pytest.mark.parametrize("broken", ["floor", "below", "top", "places", "cap"])
def test_invariants_tell_a_broken_table(broken: str) -> None:
    sessions = noted([("a", 1, 1), ("a", 3, 2)])
    dump = sessions.dump()
    row = dump[1][0]
    match broken:
        case "floor":
            row[5] = [2, 3]
        case "below":
            row[5] = [1, 3]
        case "top":
            row[2] = 4
        case "places":
            row[6] = [2, 9]
        case _:
            dump[1] = [[f"s{i}", *Session().dump()] for i in range(300)]
    sessions.load(dump)
    with pytest.raises(AssertionError):
        sessions.invariants()
