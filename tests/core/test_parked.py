"""The parked requests: in order, and no more than their limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rxfero.core.call import AUTO, CALL_BYTES
from rxfero.core.messages import Dest
from rxfero.core.parked import Parked, Waiting
from rxfero.core.rows import Row

DEST = Dest("link", "client", "session")


def waiting(number: int, size: int) -> Waiting:
    return Waiting(DEST, 1, Row(number, "update", "k", bytes(size), number, AUTO, None, 0), 9.0)


@given(st.lists(st.integers(0, 300), max_size=12), st.integers(0, 1000))
def test_what_has_room_waits_in_its_order(sizes: list[int], limit: int) -> None:
    parked, kept, held = Parked(limit), list[Waiting](), 0
    for number, size in enumerate(sizes):
        one, weight = waiting(number, size), size + CALL_BYTES
        assert parked.put(one) is (held + weight <= limit)
        if held + weight <= limit:
            kept.append(one)
            held += weight
    assert len(parked) == len(kept)
    assert repr(parked) == f"<Parked {len(kept)} requests of {held} bytes>"
    assert parked.take() == kept
    assert parked.take() == []
    assert parked.put(waiting(0, limit - CALL_BYTES)) is True if limit >= CALL_BYTES else True
