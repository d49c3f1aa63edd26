"""The position: order, and text that reads back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.core.position import HIGHEST, ZERO_TERM, Offset, Position, Term
from rxfero.core.value import pack_body, unpack_body
from rxfero.errors import ProtocolError, ValueRefused

u64 = st.integers(0, (1 << 64) - 1)
terms = st.builds(Term, u64, u64)
offsets = st.builds(Offset, st.integers(0, 1 << 16), terms, u64)


@given(offsets)
def test_an_offset_reads_back_from_its_text(offset: Offset) -> None:
    back = Offset.parse(str(offset))
    assert back == offset
    assert type(back.term) is Term


def test_how_it_is_written() -> None:
    assert str(Offset(7, Term(3, 99), 12)) == "7:3.99:12"
    assert f"{Term(3, 99)}" == "3.99"


@pytest.mark.parametrize(
    "text",
    ["", "7", "7:3:12", "7:3.99", "7:3.99:12:1", "7:3.99:-1", " 7:3.99:12", "7:3.99:1_2",
     "7:3.99:x", "\u0667:3.99:12", "7:3.99:12\n", "1:1.1:" + "9" * 21, None, 7, b"7:3.99:12",
     "x" * 500],
    ids=lambda v: repr(v)[:20],
)  # fmt: skip
def test_what_is_no_offset_is_refused_and_shown(text: Any) -> None:
    with pytest.raises(ValueRefused, match=r"looks like 'shard:n\.boot:number'") as caught:
        Offset.parse(text)
    assert caught.value.path.startswith("offset ")
    assert len(str(caught.value)) < 150


@given(terms, terms)
def test_terms_are_ordered_by_counter_then_process(one: Term, other: Term) -> None:
    assert (one < other) is ((one.n, one.boot) < (other.n, other.boot))
    assert one >= ZERO_TERM


@given(offsets, offsets)
def test_offsets_of_one_shard_are_ordered_by_term_then_number(one: Offset, other: Offset) -> None:
    other = other._replace(shard=one.shard)
    assert (one < other) is ((one.term, one.number) < (other.term, other.number))


@given(st.builds(Term, st.integers(0, HIGHEST - 1), u64))
def test_a_term_is_read_as_it_travels(term: Term) -> None:
    read = Term.read(unpack_body(pack_body(term)))
    assert read == term
    assert type(read) is Term


@pytest.mark.parametrize(
    "pair",
    [None, 7, "ab", b"ab", [], [1], [1, 2, 3], ["1", 2], [1, None], [1.0, 2], [True, 2], [-1, 2],
     [1, -2], [HIGHEST, 0], [0, 1 << 64], {1: 2, 3: 4}],
    ids=repr,
)  # fmt: skip
def test_what_is_no_term_is_refused(pair: Any) -> None:
    with pytest.raises(ProtocolError, match="a term that cannot be read"):
        Term.read(pair)


@given(st.lists(offsets), st.sampled_from(["", "rxfero/users", "a b/c d", "ä:1/1:2.3:4", "*/*"]))
def test_a_position_reads_back_from_its_text(some: list[Offset], of: str) -> None:
    position = Position(some, of)
    back = Position.parse(str(position))
    assert back == position
    assert back.of == of
    assert hash(back) == hash(position)
    assert [o.shard for o in back.offsets] == sorted({o.shard for o in some})


@given(st.lists(st.builds(Offset, st.integers(0, 3), st.builds(Term, st.integers(1, 3), st.just(1)),
                          st.integers(1, 5))))  # fmt: skip
def test_a_position_has_seen_what_came_and_what_was_before_it(some: list[Offset]) -> None:
    position = Position()
    for offset in some:
        position = position.after(offset)
        assert position.has(offset)
    assert all(position.has(offset) for offset in some)
    for shard in range(4):
        own = [offset for offset in some if offset.shard == shard]
        assert position.get(shard) == (max(own) if own else None)
    assert len(position) == len({offset.shard for offset in some})


@pytest.mark.parametrize("text", ["7", "7:3.99:12 x", None, 5])
def test_what_is_no_position_is_refused(text: Any) -> None:
    with pytest.raises(ValueRefused):
        Position.parse(text)
