"""supervise: failed chains begin anew, later and later."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler

from rxfero import operators as fop
from tests.operators.fake import Seen, refused


def failing(fails: int, begun: list[float], clock: Any) -> reactivex.Observable[int]:
    """Give 1, 2 and an error so many times, then 1, 2 and the end."""

    def made(_: Any) -> reactivex.Observable[int]:
        begun.append(clock.to_seconds(clock.now))
        end = reactivex.throw(ValueError("no")) if len(begun) <= fails else reactivex.empty()
        return reactivex.concat(reactivex.of(1, 2), end)

    return reactivex.defer(made)


def ran(fails: int, **options: Any) -> tuple[Seen, list[float], list[Exception]]:
    clock, begun, told = TestScheduler(), list[float](), list[Exception]()
    chain = failing(fails, begun, clock).pipe(
        fop.supervise(jitter=0, errors=told.append, **options)
    )
    seen = Seen(chain, scheduler=clock)
    clock.start()
    return seen, begun, told


def test_marbles() -> None:
    clock = TestScheduler()
    on = ReactiveTest
    source = clock.create_cold_observable(on.on_next(10, "a"), on.on_error(20, ValueError("no")))
    chain = source.pipe(fop.supervise(50, 50, jitter=0, retries=1, errors=lambda _: None))
    results = clock.start(lambda: chain, created=100, subscribed=200, disposed=900)
    assert [(m.time, m.value.kind) for m in results.messages] == [
        (210, "N"),
        (280, "N"),
        (290, "E"),
    ]
    assert [(s.subscribe, s.unsubscribe) for s in source.subscriptions] == [(200, 220), (270, 290)]


@given(st.integers(0, 6))
def test_law_it_begins_once_more_than_it_fails(fails: int) -> None:
    seen, begun, told = ran(fails)
    assert seen.values == [1, 2] * (fails + 1)
    assert len(begun) == fails + 1
    assert len(told) == fails
    assert seen.completed


@given(st.integers(0, 5), st.integers(0, 5))
def test_law_after_so_many_restarts_the_failure_is_passed_on(fails: int, retries: int) -> None:
    seen, begun, told = ran(fails, retries=retries)
    assert len(begun) == min(fails, retries) + 1
    assert (seen.error is not None) == (fails > retries)
    assert len(told) == min(fails, retries + 1)


@given(st.integers(1, 12), st.integers(1, 8), st.integers(8, 64))
def test_law_waits_double_up_to_the_cap(fails: int, base: int, cap: int) -> None:
    _, begun, _ = ran(fails, base=base, cap=cap, calm=1000)
    waits = [later - earlier for earlier, later in pairwise(begun)]
    assert waits == [min(cap, base * 2**n) for n in range(fails)]


@given(st.floats(0, 1))
def test_law_chance_only_shortens_a_wait(jitter: float) -> None:
    clock, begun = TestScheduler(), list[float]()
    chain = failing(1, begun, clock).pipe(fop.supervise(10, jitter=jitter, errors=lambda _: None))
    Seen(chain, scheduler=clock)
    clock.start()
    assert 10 * (1 - jitter) - 1e-6 <= begun[1] - begun[0] <= 10 + 1e-6


def test_after_a_calm_while_counting_begins_anew() -> None:
    clock, sources = TestScheduler(), list[Subject[Any]]()

    def made(_: Any) -> Subject[Any]:
        sources.append(Subject())
        return sources[-1]

    chain = reactivex.defer(made).pipe(
        fop.supervise(1, retries=1, calm=10, jitter=0, errors=lambda _: None)
    )
    seen = Seen(chain, scheduler=clock)
    for n in range(3):
        sources[-1].on_error(ValueError("no"))
        clock.advance_to(20.0 * (n + 1))
    assert len(sources) == 4
    assert seen.error is None
    sources[-1].on_error(ValueError("no"))
    clock.advance_by(2)
    sources[-1].on_error(ValueError("twice"))
    assert str(seen.error) == "twice"


def test_operators_above_begin_with_nothing_kept() -> None:
    clock, source = TestScheduler(), Subject[Any]()
    counted = source.pipe(ops.map(lambda n: 6 // n), fop.count_by(lambda _: "all"))
    seen = Seen(counted.pipe(fop.supervise(1, errors=lambda _: None)), scheduler=clock)
    for item in (1, 2, 0, 3):
        source.on_next(item)
    clock.advance_by(5)
    source.on_next(1)
    assert seen.values == [("all", 1), ("all", 2), ("all", 1)]


def test_unsubscribing_ends_it_also_while_it_waits() -> None:
    clock, begun = TestScheduler(), list[float]()
    seen = Seen(
        failing(9, begun, clock).pipe(fop.supervise(5, errors=lambda _: None)), scheduler=clock
    )
    assert len(begun) == 1
    seen.subscription.dispose()
    clock.start()
    assert len(begun) == 1


def test_without_a_cache_or_a_function_failures_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        source: Subject[Any] = Subject()
        Seen(source.pipe(fop.supervise()), scheduler=TestScheduler())
        source.on_error(ValueError("no"))
    assert "a supervised chain" in caplog.text


def test_what_the_function_of_errors_raises_ends_it() -> None:
    def raises(_: Exception) -> None:
        raise KeyError("told")

    source: Subject[Any] = Subject()
    seen = Seen(source.pipe(fop.supervise(errors=raises)), scheduler=TestScheduler())
    source.on_error(ValueError("no"))
    assert isinstance(seen.error, KeyError)


async def test_without_a_scheduler_it_runs_on_the_loop() -> None:
    begun: list[int] = []

    def made(_: Any) -> reactivex.Observable[int]:
        begun.append(1)
        return reactivex.throw(ValueError("no")) if len(begun) == 1 else reactivex.of(7)

    assert await reactivex.defer(made).pipe(fop.supervise(0.001, errors=lambda _: None)) == 7


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    for wrong in (0, -1, None, True, "5"):
        for name in ("base", "cap", "calm"):
            refused(f"supervise.{name}", lambda n=name, w=wrong: fop.supervise(**{n: w}))  # type: ignore[arg-type]
    refused("supervise.retries", lambda: fop.supervise(retries=-1))
    refused("supervise.cap", lambda: fop.supervise(base=2, cap=1))
    refused("supervise.jitter", lambda: fop.supervise(jitter=1.5))
    refused("supervise.errors", lambda: fop.supervise(errors=5))  # type: ignore[arg-type]
