"""Tests of marbles."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from rxfero import operators as fop
from rxfero.testing import FakeCache, Marbles


def test_what_comes_out_is_compared_with_a_diagram() -> None:
    marbles = Marbles()
    marbles.expect(marbles.hot("a-b---c|").pipe(ops.debounce(2.0)), "----b--(c,|)")


def test_a_cold_source_begins_for_each_who_listens() -> None:
    marbles = Marbles(timespan=0.5)
    source = marbles.cold("1-2|")
    assert marbles.seen(source, until=10.0) == [
        (0.0, "next", 1), (1.0, "next", 2), (1.5, "completed", None),
    ]  # fmt: skip
    again = marbles.seen(source, until=20.0)
    assert [message.at for message in again] == [10.0, 11.0, 11.5]


def test_letters_are_looked_up_and_errors_compared() -> None:
    marbles = Marbles()
    source = marbles.cold("x-#", {"x": {"deep": 1}}, ValueError("no"))
    marbles.expect(source, "y-#", {"y": {"deep": 1}}, ValueError("no"))
    other = Marbles()
    source = other.cold("x-#", error=ValueError("no"))
    with pytest.raises(AssertionError, match=r"2s error ValueError\('no'\)"):
        other.expect(source, "x-#", error=ValueError("yes"))
    third = Marbles()
    third.expect(third.cold("x-#", error=ValueError("no")), "x-#")


def test_a_difference_says_both() -> None:
    marbles = Marbles()
    with pytest.raises(AssertionError, match="wanted: 0s next 1, 1s completed\n  seen:   nothing"):
        marbles.expect(marbles.hot("------1"), "1|", until=3.0)
    assert repr(marbles) == "<Marbles at 3 s>"


def test_a_pipeline_of_a_cache_is_driven_by_diagrams() -> None:
    marbles = Marbles()
    cache = marbles.cache({"a": 0})
    marbles.play("-x--y-z", lambda value: cache.update(*value),
                 {"x": ("a", 1), "y": ("b", 2), "z": ("a", 3)})  # fmt: skip
    values = cache.on("change").pipe(fop.under("a"), ops.map(lambda c: c.value), ops.delay(2.0))
    marbles.expect(values, "---1----3")


def test_a_pipeline_into_a_cache() -> None:
    marbles = Marbles()
    cache = marbles.cache()
    source = marbles.hot("a--b|", {"a": ("k", 1), "b": ("k", 2)})
    done = source.pipe(fop.update(cache), fop.await_commit(), ops.map(lambda offset: offset.number))
    numbers = [message.value for message in marbles.seen(done)]
    assert len(numbers) == 3
    assert cache["k"] == 2
    assert [change.value for change in cache.changes] == [1, 2]


@pytest.mark.parametrize("diagram", ["a|", "a#"])
def test_only_values_can_be_played(diagram: str) -> None:
    with pytest.raises(ValueError, match="no value"):
        Marbles().play(diagram, print)


def test_what_was_recorded_comes_at_its_times() -> None:
    cache = FakeCache()
    for wait in (1.0, 2.5, 0.0):
        cache.update("a", wait)
        cache.advance(wait)
    marbles = Marbles()
    seen = marbles.seen(marbles.recorded(cache.history()).pipe(ops.map(lambda c: c.value)))
    assert [(m.at, m.value) for m in seen] == [(0.0, 1.0), (1.0, 2.5), (3.5, 0.0), (3.5, None)]
    assert marbles.rerun([], lambda changes: changes) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=12))
def test_law_a_pipeline_gives_of_what_was_recorded_what_it_gave_live(
    steps: list[tuple[str, int]],
) -> None:
    def busy(changes: Any) -> Any:
        return changes.pipe(
            fop.window_by(lambda change: change.key, every=3.5),
            ops.map(lambda window: (window.key, [change.value for change in window.items])),
        )

    cache, live = FakeCache(), list[Any]()
    busy(cache.on("change")).subscribe(live.append)
    for number, (key, wait) in enumerate(steps):
        cache.update(key, number)
        cache.advance(wait)
    cache.advance(10)
    again = Marbles().rerun(cache.history(), busy)
    assert sorted(again) == sorted(live)


def test_what_a_pipeline_ends_with_is_raised() -> None:
    cache = FakeCache()
    cache.update("a", 0)
    with pytest.raises(ZeroDivisionError):
        Marbles().rerun(cache.history(), lambda changes: changes.pipe(ops.map(lambda c: 1 / c.value)))
