"""conflate: the latest of each key, at most so often."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

from rxfero import operators as fop
from tests.operators.fake import Seen, refused

PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.integers()))


def first(item: Any) -> Any:
    return item[0]


def test_table_in_virtual_time() -> None:
    scheduler, source = TestScheduler(), Subject[Any]()
    seen = Seen(source.pipe(fop.conflate(first, every=10.0)), scheduler=scheduler)
    for item in [("a", 1), ("a", 2), ("b", 1), ("a", 3)]:
        source.on_next(item)
    scheduler.advance_to(9.0)
    assert seen.values == []
    scheduler.advance_to(11.0)
    assert seen.values == [("a", 3), ("b", 1)]
    source.on_next(("c", 1))
    scheduler.advance_to(30.0)
    assert seen.values[2:] == [("c", 1)]


@given(st.lists(st.one_of(st.none(), st.tuples(st.sampled_from("abc"), st.integers()))))
def test_law_of_each_time_and_key_the_latest(script: list[Any]) -> None:
    scheduler, source = TestScheduler(), Subject[Any]()
    seen = Seen(source.pipe(fop.conflate(first, every=1.0)), scheduler=scheduler)
    expected: list[Any] = []
    kept: dict[str, Any] = {}
    now = 0.0
    for item in [*script, None]:
        if item is None:
            now += 2.0
            scheduler.advance_to(now)
            expected += kept.values()
            kept = {}
        else:
            source.on_next(item)
            kept[item[0]] = item
    assert seen.values == expected


@given(PAIRS)
def test_law_the_last_of_each_key_always_comes(pairs: list[Any]) -> None:
    source: Subject[Any] = Subject()
    seen = Seen(source.pipe(fop.conflate(first, every=5.0)), scheduler=TestScheduler())
    for pair in pairs:
        source.on_next(pair)
    source.on_completed()
    assert dict(seen.values) == dict(pairs)
    assert seen.completed


async def test_without_seconds_it_is_the_next_turn_of_the_loop() -> None:
    source: Subject[Any] = Subject()
    seen = Seen(source.pipe(fop.conflate(first)))
    for n in range(5):
        source.on_next(("a", n))
    assert seen.values == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen.values == [("a", 4)]


def test_errors_and_unsubscribing_drop_what_is_kept() -> None:
    scheduler, source = TestScheduler(), Subject[Any]()
    seen = Seen(source.pipe(fop.conflate(first, every=1.0)), scheduler=scheduler)
    source.on_next(("a", 1))
    source.on_error(ValueError("no"))
    scheduler.advance_to(5.0)
    assert seen.values == []
    assert str(seen.error) == "no"
    source = Subject()
    seen = Seen(source.pipe(fop.conflate(first, every=1.0)), scheduler=scheduler)
    source.on_next(("a", 1))
    seen.subscription.dispose()
    scheduler.advance_to(9.0)
    assert seen.values == []


def test_a_key_that_raises_fails_and_isolated_goes_on() -> None:
    source, scheduler = Subject[Any](), TestScheduler()
    plain = Seen(source.pipe(fop.conflate(first, every=1.0)), scheduler=scheduler)
    chain = fop.isolate(fop.conflate(first, every=1.0), errors=lambda _: None)
    isolated = Seen(source.pipe(chain), scheduler=scheduler)
    source.on_next(5)
    source.on_next(("a", 1))
    scheduler.advance_to(2.0)
    assert plain.error is not None
    assert isolated.values == [("a", 1)]


@given(PAIRS)
def test_law_keys_come_in_the_order_in_which_they_were_first_seen(pairs: list[Any]) -> None:
    source: Subject[Any] = Subject()
    seen = Seen(source.pipe(fop.conflate(first, every=5.0)), scheduler=TestScheduler())
    for pair in pairs:
        source.on_next(pair)
    source.on_completed()
    assert [pair[0] for pair in seen.values] == list(dict.fromkeys(pair[0] for pair in pairs))


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    refused("conflate.key", lambda: fop.conflate(5))  # type: ignore[arg-type]
    refused("conflate.every", lambda: fop.conflate("key", every=0))
