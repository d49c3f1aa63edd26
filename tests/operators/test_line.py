"""The line: results in the order of their places, whatever observers do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex.observer import Observer

from rxfero.operators.line import Line


@given(st.permutations(range(6)))
def test_law_order(order: list[int]) -> None:
    seen: list[Any] = []
    line = Line(Observer(seen.append, None, lambda: seen.append("end")))
    places = [line.enter() for _ in order]
    line.end()
    for n in order:
        line.give(places[n], n)
        line.leave(places[n])
        line.leave(places[n])
    assert seen == [*range(6), "end"]
    assert len(line) == 0


def test_an_observer_that_raises_does_not_stop_the_line() -> None:
    seen: list[int] = []

    def take(value: int) -> None:
        seen.append(value)
        if value != 1:
            raise ValueError(value)

    line = Line(Observer(take))
    places = [line.enter() for _ in range(3)]
    for n in (1, 2):
        line.give(places[n], n)
        line.leave(places[n])
    places[0].values.append(0)
    with pytest.raises(ExceptionGroup) as caught:
        line.leave(places[0])
    assert seen == [0, 1, 2]
    assert [str(e) for e in caught.value.exceptions] == ["0", "2"]


def test_one_error_is_raised_as_it_is() -> None:
    def take(value: int) -> None:
        raise ValueError(value)

    line = Line(Observer(take))
    place = line.enter()
    with pytest.raises(ValueError, match="7"):
        line.give(place, 7)


def test_an_observer_may_settle_the_next_place() -> None:
    seen: list[int] = []

    def take(value: int) -> None:
        seen.append(value)
        if value == 0:
            line.give(second, 1)
            line.leave(second)

    line = Line(Observer(take))
    first, second = line.enter(), line.enter()
    line.give(first, 0)
    assert seen == [0]
    line.leave(first)
    assert seen == [0, 1]
