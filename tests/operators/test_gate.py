"""The gate: so many inside, the others in their order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.errors import Overloaded
from rxfero.operators.gate import Gate

SCRIPT = st.lists(st.booleans(), max_size=30)  # an item comes, or one leaves


@given(SCRIPT, st.integers(1, 4))
def test_law_never_more_than_so_many_are_inside(script: list[bool], room: int) -> None:
    begun: list[int] = []
    gate = Gate(room, None, begun.append, "test")
    came = 0
    for comes in script:
        if comes:
            gate.enter(came)
            came += 1
        elif gate.count:
            gate.leave()
        assert gate.count <= room
        assert len(gate) == came - len(begun)
        assert not gate or gate.count == room


@given(SCRIPT, st.integers(1, 4))
def test_law_they_come_in_in_their_order(script: list[bool], room: int) -> None:
    begun: list[int] = []
    gate = Gate(room, None, begun.append, "test")
    for n, comes in enumerate(script):
        if comes:
            gate.enter(n)
        elif gate.count:
            gate.leave()
    assert begun == sorted(begun)


@given(st.integers(0, 5), st.integers(0, 9))
def test_law_one_more_than_may_wait_is_refused(outside: int, items: int) -> None:
    begun: list[Any] = []
    gate = Gate(1, outside, begun.append, "send.waiting")
    for n in range(items):
        if n <= outside:
            gate.enter(n)
        else:
            with pytest.raises(Overloaded, match=r"send\.waiting"):
                gate.enter(n)
    assert len(gate) == max(0, min(items - 1, outside))


def test_leaving_at_once_does_not_pile_up() -> None:
    gate: Gate
    begun: list[int] = []

    def begin(item: int) -> None:
        begun.append(item)
        if item:
            gate.leave()

    gate = Gate(1, None, begin, "test")
    for n in range(5000):
        gate.enter(n)
    assert begun == [0]
    gate.leave()
    assert begun == list(range(5000))
    assert gate.count == 0
