"""window_by: windows of each key, closed by time, silence or size."""

from __future__ import annotations

from typing import Any

import reactivex
from hypothesis import given
from hypothesis import strategies as st
from reactivex.subject import Subject
from reactivex.testing import TestScheduler
from reactivex.testing.marbles import marbles_testing

from rxfero import operators as fop
from rxfero.operators import Window
from tests.operators.fake import Seen, refused

PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.integers()))
SCRIPT = st.lists(st.one_of(st.none(), st.tuples(st.sampled_from("abc"), st.integers())))


def first(item: Any) -> Any:
    return item[0]


def test_marbles() -> None:
    values = {"w": Window("a", ["a", "a"]), "x": Window("b", ["b"]), "y": Window("a", ["a"])}
    with marbles_testing() as (start, cold, _, exp):
        source = cold("a-b-a----a|", None, None)
        chain = source.pipe(fop.window_by(lambda item: item, every=5.0))
        assert start(chain) == exp("-----w-x--(y,|)", values, None)


def test_table_in_virtual_time() -> None:
    scheduler, source = TestScheduler(), Subject[Any]()
    seen = Seen(source.pipe(fop.window_by(first, idle=1.0)), scheduler=scheduler)
    source.on_next("a1")
    scheduler.advance_to(0.8)
    source.on_next("a2")
    source.on_next("b1")
    scheduler.advance_to(1.5)
    source.on_next("b2")
    assert seen.values == []
    scheduler.advance_to(2.0)
    assert seen.values == [("a", ["a1", "a2"])]
    scheduler.advance_to(3.0)
    assert seen.values[1:] == [("b", ["b1", "b2"])]


@given(PAIRS, st.integers(1, 4))
def test_law_the_windows_of_a_key_are_its_items_in_order(pairs: list[Any], size: int) -> None:
    seen = Seen(reactivex.from_iterable(pairs).pipe(fop.window_by(first, size=size)))
    for key in "abc":
        together = [item for window in seen.values if window.key == key for item in window.items]
        assert together == [pair for pair in pairs if pair[0] == key]
    assert seen.completed


@given(PAIRS, st.integers(1, 4))
def test_law_a_window_is_never_empty_and_never_too_long(pairs: list[Any], size: int) -> None:
    source: Subject[Any] = Subject()
    seen = Seen(source.pipe(fop.window_by(first, size=size)))
    for pair in pairs:
        source.on_next(pair)
    assert all(len(window.items) == size for window in seen.values)
    source.on_completed()
    assert all(1 <= len(window.items) <= size for window in seen.values)


@given(SCRIPT)
def test_law_no_item_waits_longer_than_said(script: list[Any]) -> None:
    scheduler, source = TestScheduler(), Subject[Any]()
    seen = Seen(source.pipe(fop.window_by(first, every=1.0)), scheduler=scheduler)
    so_far: list[Any] = []
    now = 0.0
    for item in script:
        if item is None:
            now += 1.5
            scheduler.advance_to(now)
            assert sorted(i for w in seen.values for i in w.items) == sorted(so_far)
        else:
            source.on_next(item)
            so_far.append(item)


@given(SCRIPT)
def test_law_after_silence_there_is_one_window_a_key(script: list[Any]) -> None:
    scheduler, source = TestScheduler(), Subject[Any]()
    seen = Seen(source.pipe(fop.window_by(first, idle=1.0)), scheduler=scheduler)
    expected: list[Any] = []
    kept: dict[str, list[Any]] = {}
    now = 0.0
    for item in [*script, None]:
        if item is None:
            now += 1.5
            scheduler.advance_to(now)
            expected += kept.items()
            kept = {}
        else:
            source.on_next(item)
            kept.setdefault(item[0], []).append(item)
    assert sorted(seen.values, key=str) == sorted(expected, key=str)


def test_errors_and_unsubscribing_drop_what_is_open() -> None:
    scheduler, source = TestScheduler(), Subject[Any]()
    seen = Seen(source.pipe(fop.window_by(first, every=1.0)), scheduler=scheduler)
    source.on_next("a")
    source.on_error(ValueError("no"))
    scheduler.advance_to(5.0)
    assert seen.values == []
    assert str(seen.error) == "no"
    source = Subject()
    seen = Seen(source.pipe(fop.window_by(first, every=1.0, idle=0.5)), scheduler=scheduler)
    source.on_next("a")
    seen.subscription.dispose()
    scheduler.advance_to(9.0)
    assert seen.values == []
    assert source.observers == []


def test_a_key_that_raises_fails_and_isolated_goes_on() -> None:
    failed: list[Any] = []
    source = reactivex.of(5, "a")
    assert Seen(source.pipe(fop.window_by(first, size=1))).error is not None
    chain = fop.isolate(fop.window_by(first, size=1), errors=failed.append)
    assert Seen(source.pipe(chain)).values == [("a", ["a"])]
    assert [f.item for f in failed] == [5]


async def test_without_a_scheduler_it_runs_on_the_loop() -> None:
    source: Subject[Any] = Subject()
    windows = source.pipe(fop.window_by(first, every=0.001), fop.to_async_iter())
    source.on_next("a1")
    source.on_next("a2")
    assert await anext(windows) == ("a", ["a1", "a2"])


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    refused("window_by", lambda: fop.window_by(first))
    refused("window_by.key", lambda: fop.window_by(5, size=1))  # type: ignore[arg-type]
    refused("window_by.every", lambda: fop.window_by(first, every=0))
    refused("window_by.idle", lambda: fop.window_by(first, idle=-1))
    refused("window_by.size", lambda: fop.window_by(first, size=0))
