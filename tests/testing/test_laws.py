"""The laws hold for what was seen whole, and name the first change of what was not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.core.change import Change
from rxfero.testing import (
    FakeCache,
    assert_exactly_once,
    assert_gap_free,
    assert_prefix_consistent,
)
from rxfero.testing.checkers import Violation
from rxfero.testing.strategies import logs


def position(change: Change) -> Any:
    assert change.offset is not None
    return change.offset


@given(logs(), st.integers(0, 30), st.integers(0, 30))
def test_a_part_of_a_log_has_no_gap(log: list[Change], first: int, last: int) -> None:
    assert_gap_free(log[first:last], log)


@given(logs().filter(len), st.data())
def test_a_change_twice_is_told(log: list[Change], drawn: st.DataObject) -> None:
    at = drawn.draw(st.integers(0, len(log) - 1))
    with pytest.raises(Violation, match=f"{position(log[at]).number} after"):
        assert_gap_free([*log[: at + 1], log[at]], log)


@given(logs(keys=st.just("k")).filter(lambda log: len(log) > 2), st.data())
def test_a_change_left_out_is_told_but_not_after_a_reset(
    log: list[Change], drawn: st.DataObject
) -> None:
    at = drawn.draw(st.integers(1, len(log) - 2))
    with pytest.raises(Violation, match=f"{position(log[at]).number} was due"):
        assert_gap_free([*log[:at], *log[at + 1 :]], log)
    assert_gap_free([*log[:at], position(log[at]), *log[at + 1 :]], log)


def test_a_change_of_another_log_is_told() -> None:
    one, other = FakeCache(), FakeCache()
    one.update("a", 1)
    other.update("a", 1)
    other.update("a", 2)
    with pytest.raises(Violation, match="is in no log"):
        assert_gap_free(other.changes, one.changes)


@given(logs(), st.data())
def test_what_a_log_went_through_is_consistent(log: list[Change], drawn: st.DataObject) -> None:
    state: dict[Any, Any] = {}
    shards = {position(c).shard for c in log}
    kept = {shard: drawn.draw(st.integers(0, len(log))) for shard in sorted(shards)}
    for index, change in enumerate(log):
        if index < kept[position(change).shard]:
            if change.type == "remove":
                state.pop(change.key[0], None)
            else:
                state[change.key[0]] = change.value
    assert_prefix_consistent(state, log)


@pytest.mark.parametrize("value", [float("nan"), [{"x": float("nan")}]])
def test_a_value_that_is_not_equal_to_itself_is_still_what_was_written(value: Any) -> None:
    cache = FakeCache()
    cache.update("a", value)
    assert_prefix_consistent({"a": copy.deepcopy(cache["a"])}, cache.changes)


def test_what_a_log_never_was_at_is_told() -> None:
    cache = FakeCache()
    cache.update("a", {"x": 1})
    cache.update(("a", "y"), 2)
    cache.push("list", 1)
    for state in ({}, {"a": {"x": 1}}, {"a": {"x": 1, "y": 2}, "list": [1]}):
        assert_prefix_consistent(state, cache.changes)
    with pytest.raises(Violation, match="was never at"):
        assert_prefix_consistent({"a": {"y": 2}}, cache.changes)
    with pytest.raises(Violation, match="'b' was written by no change"):
        assert_prefix_consistent({"b": 1}, cache.changes)


@given(logs())
def test_an_effect_for_each_change_is_exactly_once(log: list[Change]) -> None:
    assert_exactly_once([position(c) for c in log], log)
    names = {position(c): n for n, c in enumerate(log)}
    assert_exactly_once(range(len(log)), log, by=lambda change: names[position(change)])


def test_an_effect_missing_doubled_or_for_nothing_is_told() -> None:
    cache = FakeCache()
    for name in ("ann", "bob"):
        cache.add(name, 1)
    names = ["ann", "bob"]
    by = lambda change: change.key[0]  # noqa: E731
    assert_exactly_once(names, cache.changes, by)
    for wrong, told in (
        (["ann"], "1 missing"), (["ann", "bob", "bob"], "2 times"), (["ann", "bob", "eve"], "eve"),
    ):  # fmt: skip
        with pytest.raises(Violation, match=told):
            assert_exactly_once(wrong, cache.changes, by)


def test_changes_that_were_never_committed_are_refused() -> None:
    draft = Change("update", "a", 1)
    for law in (assert_gap_free, assert_exactly_once):
        with pytest.raises(ValueError, match="has no offset"):
            law([], [draft])
    with pytest.raises(ValueError, match="has no offset"):
        assert_prefix_consistent({}, [draft])
