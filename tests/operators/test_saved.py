"""The saved: records read back, and say what is wrong where there is none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rxfero.core.position import Offset, Position, Term
from rxfero.operators.saved import place, position_of, record
from tests.operators.fake import FakeCache, refused

OFFSETS = st.lists(
    st.builds(
        Offset,
        st.integers(0, 9),
        st.builds(Term, st.integers(0, 3), st.integers(0, (1 << 64) - 1)),
        st.integers(0, 1 << 40),
    ),
    unique_by=lambda offset: offset.shard,
)


@given(OFFSETS, st.integers())
def test_a_position_reads_back_from_its_record(offsets: list[Offset], value: int) -> None:
    kept = record(value, offsets)
    assert kept["value"] == value
    assert position_of("k", kept) == Position(offsets)
    assert position_of("k", None) == Position()


def test_a_name_is_a_top_level_key() -> None:
    cache = FakeCache()
    assert place("x", cache, "sum") == "sum"
    assert place("x", cache, 5) == 5
    refused("x.name", lambda: place("x", cache, ("a", "b")))
