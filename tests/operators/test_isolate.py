"""isolate: one bad item, and everything else goes on."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops
from reactivex.subject import Subject
from reactivex.testing.marbles import marbles_testing

from rxfero import operators as fop
from rxfero.errors import Refused
from tests.operators.fake import FakeCache, Seen, refused

ITEMS = st.lists(st.integers(-2, 3))


def inverse(item: int) -> int:
    return 6 // item


def test_marbles() -> None:
    values = {"x": 0, "1": 1, "2": 2, "6": 6, "3": 3}
    with marbles_testing() as (start, cold, _, exp):
        source = cold("1-x-2-|", values, None)
        chain = fop.isolate(ops.map(inverse), errors=lambda _: None)
        assert start(source.pipe(chain)) == exp("6---3-|", values, None)


@given(ITEMS)
def test_law_results_are_those_of_the_good_items(items: list[int]) -> None:
    failed: list[fop.Isolated] = []
    source = reactivex.from_iterable(items)
    seen = Seen(source.pipe(fop.isolate(ops.map(inverse), errors=failed.append)))
    assert seen.values == [6 // i for i in items if i]
    assert [f.item for f in failed] == [i for i in items if not i]
    assert all(isinstance(f.error, ZeroDivisionError) for f in failed)
    assert seen.completed


@given(ITEMS)
def test_law_where_nothing_fails_it_changes_nothing(items: list[int]) -> None:
    source = reactivex.from_iterable(items)
    chain = [ops.map(lambda i: i + 1), ops.filter(lambda i: i > 0), ops.scan(lambda a, b: a + b)]
    isolated = Seen(source.pipe(fop.isolate(*chain)))
    plain = Seen(source.pipe(*chain))  # type: ignore[arg-type]
    assert isolated.values == plain.values
    assert isolated.completed


@given(ITEMS)
def test_law_ours_keep_their_memory(items: list[int]) -> None:
    fold = fop.fold_by(lambda _: "all", lambda total, i: total + 6 // i, 0)
    source = reactivex.from_iterable(items)
    seen = Seen(source.pipe(fop.isolate(fold, errors=lambda _: None)))
    total, totals = 0, []
    for item in items:
        if item:
            total += 6 // item
            totals.append(("all", total))
    assert seen.values == totals


@given(ITEMS)
def test_law_an_operator_that_ends_itself_begins_anew(items: list[int]) -> None:
    failed: list[Any] = []
    source: Subject[int] = Subject()
    count = ops.scan(lambda count, i: count + (6 // i) * 0 + 1, 0)
    seen = Seen(source.pipe(fop.isolate(count, errors=failed.append)))
    count_now, expected = 0, []
    for item in items:
        source.on_next(item)
        count_now = count_now + 1 if item else 0
        expected += [count_now] if item else []
    source.on_completed()
    assert seen.values == expected
    assert len(failed) == items.count(0)
    assert seen.completed


@given(st.lists(st.booleans(), max_size=6))
def test_law_writes_and_their_outcomes_fail_one_by_one(fates: list[bool]) -> None:
    cache, failed = FakeCache(), []
    chain = fop.isolate(fop.update(cache), fop.await_commit(), errors=failed.append)
    seen = Seen(reactivex.from_iterable(list(enumerate(fates))).pipe(chain))
    for n, fine in enumerate(fates):
        if fine:
            cache.asked[n].settle(n)
        else:
            cache.asked[n].fail(Refused("no"))
    assert seen.values == [n for n, fine in enumerate(fates) if fine]
    assert len(failed) == fates.count(False)
    assert seen.completed


def test_errors_may_be_a_subject() -> None:
    side: Subject[Any] = Subject()
    told = Seen(side)
    Seen(reactivex.of(0, 1).pipe(fop.isolate(ops.map(inverse), errors=side)))
    assert [f.item for f in told.values] == [0]
    assert not told.completed


def test_without_a_cache_or_a_side_stream_errors_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        Seen(reactivex.of(0, 1).pipe(fop.isolate(ops.map(inverse))))
    assert "isolated operator: 0" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_the_error_of_the_source_is_passed_on() -> None:
    failed: list[Any] = []
    source = reactivex.of(1).pipe(ops.concat(reactivex.throw(Refused("source"))))
    seen = Seen(source.pipe(fop.isolate(ops.map(inverse), errors=failed.append)))
    assert str(seen.error) == "source"
    assert failed == []


@pytest.mark.parametrize("operator", [ops.map(inverse), ops.flat_map(lambda i: [6 // i])])
def test_source_errors_and_ends_pass_also_after_a_failure(operator: Any) -> None:
    source: Subject[Any] = Subject()
    one = Seen(source.pipe(fop.isolate(operator, errors=lambda _: None)))
    source.on_next(0)
    source.on_completed()
    assert one.completed
    source = Subject()
    two = Seen(source.pipe(fop.isolate(operator, errors=lambda _: None)))
    source.on_next(0)
    source.on_error(Refused("source"))
    assert str(two.error) == "source"


def test_what_is_raised_below_is_no_failure_of_the_item() -> None:
    failed: list[Any] = []
    source: Subject[Any] = Subject()
    chain = source.pipe(fop.isolate(ops.map(inverse), ops.filter(bool), errors=failed.append))

    def raises(_: Any) -> None:
        raise ValueError("below")

    chain.subscribe(raises)
    with pytest.raises(ValueError, match="below"):
        source.on_next(1)
    assert failed == []
    with pytest.raises(ValueError, match="below"):
        source.on_next(2)


def test_an_operator_that_completes_completes() -> None:
    failed: list[Any] = []
    chain = fop.isolate(ops.map(inverse), ops.take(2), errors=failed.append)
    seen = Seen(reactivex.of(0, 1, 0, 2, 3, 0).pipe(chain))
    assert seen.values == [6, 3]
    assert seen.completed


def test_unsubscribing_leaves_the_source_alone() -> None:
    source: Subject[Any] = Subject()
    seen = Seen(source.pipe(fop.isolate(ops.map(inverse), ops.flat_map(lambda i: [i]))))
    source.on_next(1)
    seen.subscription.dispose()
    source.on_next(2)
    assert seen.values == [6]
    assert source.observers == []


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    refused("isolate.operators", fop.isolate)
    refused("isolate.operators", lambda: fop.isolate(lambda change: change.value["email"]))
    refused("isolate.operators", lambda: fop.isolate(str))  # type: ignore[arg-type]
    refused("isolate.operators", lambda: fop.isolate(5))  # type: ignore[arg-type]
    refused("isolate.errors", lambda: fop.isolate(ops.map(inverse), errors=5))  # type: ignore[arg-type]
