"""buffer_bounded: lists bounded in size and in time."""

from __future__ import annotations

from typing import Any

import reactivex
from hypothesis import given
from hypothesis import strategies as st
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

from rxfero import operators as fop
from tests.operators.fake import Seen, refused


def test_table_in_virtual_time() -> None:
    scheduler, source = TestScheduler(), Subject[Any]()
    seen = Seen(source.pipe(fop.buffer_bounded(3, within=1.0)), scheduler=scheduler)
    for n in (1, 2, 3, 4):
        source.on_next(n)
    assert seen.values == [[1, 2, 3]]
    scheduler.advance_to(1.5)
    assert seen.values == [[1, 2, 3], [4]]
    source.on_next(5)
    scheduler.advance_to(2.0)
    source.on_completed()
    assert seen.values == [[1, 2, 3], [4], [5]]
    assert seen.completed


def test_the_time_counts_from_the_first_item_of_a_list() -> None:
    scheduler, source = TestScheduler(), Subject[Any]()
    seen = Seen(source.pipe(fop.buffer_bounded(2, within=1.0)), scheduler=scheduler)
    source.on_next(1)
    scheduler.advance_to(0.9)
    source.on_next(2)
    source.on_next(3)
    scheduler.advance_to(1.5)
    assert seen.values == [[1, 2]]
    scheduler.advance_to(2.0)
    assert seen.values == [[1, 2], [3]]


@given(st.lists(st.integers()), st.integers(1, 5))
def test_law_no_item_is_lost_and_no_list_is_empty_or_too_long(items: list[int], size: int) -> None:
    seen = Seen(reactivex.from_iterable(items).pipe(fop.buffer_bounded(size)))
    assert [item for part in seen.values for item in part] == items
    assert all(0 < len(part) <= size for part in seen.values)
    assert seen.completed


@given(st.lists(st.one_of(st.none(), st.integers())), st.integers(1, 4))
def test_law_no_item_waits_longer_than_said(script: list[int | None], size: int) -> None:
    scheduler, source = TestScheduler(), Subject[Any]()
    seen = Seen(source.pipe(fop.buffer_bounded(size, within=1.0)), scheduler=scheduler)
    given_so_far: list[int] = []
    now = 0.0
    for item in script:
        if item is None:
            now += 1.5
            scheduler.advance_to(now)
            assert [i for part in seen.values for i in part] == given_so_far
        else:
            source.on_next(item)
            given_so_far.append(item)


def test_an_error_drops_the_rest() -> None:
    source: Subject[Any] = Subject()
    seen = Seen(source.pipe(fop.buffer_bounded(3)))
    source.on_next(1)
    source.on_error(ValueError("no"))
    assert seen.values == []
    assert str(seen.error) == "no"


@given(st.lists(st.integers()), st.integers(1, 5))
def test_law_without_time_only_the_last_list_may_be_short(items: list[int], size: int) -> None:
    source: Subject[Any] = Subject()
    seen = Seen(source.pipe(fop.buffer_bounded(size)))
    for item in items:
        source.on_next(item)
    assert all(len(part) == size for part in seen.values)
    source.on_completed()
    assert len(seen.values) == -(-len(items) // size)


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    refused("buffer_bounded.maxsize", lambda: fop.buffer_bounded(0))
    refused("buffer_bounded.within", lambda: fop.buffer_bounded(1, within=-1))
