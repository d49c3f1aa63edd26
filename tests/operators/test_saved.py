"""The saved: records read back, say what is wrong where there is none, and count each write once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.core.change import DATA, Change, Record
from rxfero.core.position import ZERO_TERM, Offset, Position, Term
from rxfero.errors import ValueRefused
from rxfero.operators.saved import TERMS, Counted, place, record
from tests.operators.fake import FakeCache, refused

GROWS = st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=40)
SIDES = st.lists(st.integers(1, TERMS // 2), min_size=1, max_size=TERMS // 2)


def change(offset: Offset, origin: tuple[Term, int] | None = None) -> Change:
    return Change.of(
        offset.shard,
        Record(offset.term, offset.number, DATA, "", 0, "k", "update", b"\xc0", 0, origin, 0),
    )


def again(counted: Counted) -> Counted:
    """Give it as it is read after a restart."""
    return Counted("sum", record(0, counted))


@given(st.dictionaries(st.integers(0, 9), st.tuples(st.integers(0, 9), st.integers(1, 1 << 40))))
def test_a_position_reads_back_from_its_record(ends: dict[int, tuple[int, int]]) -> None:
    offsets = [Offset(shard, Term(n, 7), number) for shard, (n, number) in ends.items()]
    counted = Counted()
    assert all(counted.take(change(offset)) for offset in offsets)
    assert record(5, counted)["value"] == 5
    assert again(counted).position() == counted.position() == Position(offsets)
    assert Counted("k", None).position() == Position()
    assert repr(counted) == f"<Counted of {len(ends)} shards>"


@given(GROWS, st.integers(0, 40))
def test_law_of_one_log_each_is_counted_once_whatever_comes_again(
    grows: list[tuple[int, bool]], restart: int
) -> None:
    """Over more terms than are told apart, too."""
    offsets: list[Offset] = []
    heads: dict[int, Offset] = {}
    for shard, takeover in grows:
        head = heads.get(shard, Offset(shard, Term(1, 0), 0))
        term = Term(head.term.n + 1, 0) if takeover else head.term
        heads[shard] = Offset(shard, term, head.number + 1)
        offsets.append(heads[shard])
    counted = Counted()
    for at, offset in enumerate(offsets):
        assert counted.take(change(offset))
        if at == restart:
            counted = again(counted)
        assert not any(counted.take(change(past)) for past in offsets[: at + 1])
    assert again(counted).position() == Position(heads.values())


@given(SIDES, SIDES, st.booleans(), st.data())
def test_law_over_a_heal_each_write_is_counted_once(
    ours: list[int], theirs: list[int], higher: bool, data: Any
) -> None:
    """The log of either side may go on, whatever the terms; the other's is merged with its origin.

    Over more terms than are told apart none is lost, but one that is merged may count again.
    """
    counters = data.draw(st.permutations(range(2, 2 + len(ours) + len(theirs))))
    sides: list[list[Offset]] = []
    for side, counts in enumerate((ours, theirs)):
        terms = [Term(n, side) for n in sorted(counters[: len(counts)])]
        counters = counters[len(counts) :]
        number, log = 3, []
        for term, count in zip(terms, counts, strict=True):
            for _ in range(count):
                number += 1
                log.append(Offset(0, term, number))
            number += 1  # of the next TERM
        sides.append(log)
    common = [Offset(0, Term(1, 0), n) for n in (1, 2)]
    seen = sides[0]
    goes_on, merged = (sides[1], sides[0]) if higher else (sides[0], sides[1])
    end, healed = goes_on[-1].number, Term(99, 0)
    moved = [
        (Offset(0, healed, end + at), (old.term, old.number)) for at, old in enumerate(merged, 2)
    ]
    counted = Counted()
    assert all(counted.take(change(offset)) for offset in (*common, *seen))
    if data.draw(st.booleans()):
        counted = again(counted)
    told = [*(change(o) for o in (*common, *goes_on)), *(change(o, old) for o, old in moved)]
    fresh = [one.record for one in told if counted.take(one)]
    written = {(r.term, r.number) if r.origin is None else r.origin for r in fresh}
    theirs_alone = {(o.term, o.number) for o in sides[1]}
    assert written >= theirs_alone
    if 2 + len(ours) + len(theirs) <= TERMS:  # those, that before the split, and that after it
        assert written == theirs_alone
        assert len(fresh) == len(written)
        assert not any(counted.take(one) for one in told)


def test_what_is_merged_counts_unless_it_was_counted_for_certain() -> None:
    counted, last = Counted(), 2 * TERMS
    for n in range(1, last + 1):
        assert counted.take(change(Offset(0, Term(n, 0), n)))
    for at, (term, number, fresh) in enumerate(
        [
            (Term(last, 0), last, False),
            (Term(last, 0), last + 1, True),
            (Term(last, 0), 0, True),  # of a whole state
            (Term(1, 0), 1, True),  # forgotten
            (Term(1, 7), 1, True),  # another side's
        ],
        last + 1,
    ):
        assert counted.take(change(Offset(0, Term(99, 0), at), (term, number))) is fresh
    assert not counted.take(change(Offset(0, Term(1, 0), 1))), "told again, not merged"


def test_what_was_not_logged_is_refused() -> None:
    with pytest.raises(ValueRefused, match="no change of a cache"):
        Counted().take(Change("update", "k", 1))
    assert Counted().take(change(Offset(0, ZERO_TERM, 0)))


def test_a_name_is_a_top_level_key() -> None:
    cache = FakeCache()
    assert place("x", cache, "sum") == "sum"
    assert place("x", cache, 5) == 5
    refused("x.name", lambda: place("x", cache, ("a", "b")))
