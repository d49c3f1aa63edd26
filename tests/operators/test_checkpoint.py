"""checkpoint: killed at any point, each change counts once."""

from __future__ import annotations

import os
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

from rxfero import operators as fop
from rxfero.core.change import Change
from rxfero.errors import CompareFailed, ValueRefused
from rxfero.testing import FakeCache
from tests.operators.crashing import Input, Store
from tests.operators.fake import Seen, refused

SEEDS = int(os.environ.get("RXFERO_SEEDS", "200"))
FATES = ("fine", "lost", "unheard", "delayed", "late")
STEPS = st.one_of(
    st.tuples(st.integers(0, 2), st.integers(-9, 9)),  # a change of a shard
    st.sampled_from(FATES),
    st.sampled_from(["fine", "crash", "failover"]),
)


def tally(value: dict[str, list[int]], change: Change) -> dict[str, list[int]]:
    """Keep what each key was: not twice, not in another order, nothing missing."""
    key = str(change.key)
    return {**value, key: [*value.get(key, ()), change.value]}


def expected(source: Input) -> dict[str, list[int]]:
    value: dict[str, list[int]] = {}
    for change in source.history:
        value = tally(value, change)
    return value


class Run:
    """A derived service that is killed and begun anew."""

    def __init__(self) -> None:
        self.source, self.store = Input(), Store()
        self.begin()

    def begin(self) -> None:
        self.clock = TestScheduler()
        chain = fop.resume(self.source, self.store, "tally").pipe(  # type: ignore[arg-type]
            fop.checkpoint(self.store, "tally", tally, {}),
            fop.supervise(1, 1, jitter=0, errors=lambda _: None),
        )
        self.seen = Seen(chain, scheduler=self.clock)

    def kill(self) -> None:
        self.seen.subscription.dispose()
        self.store.crash()

    def step(self, step: Any) -> None:
        if isinstance(step, tuple):
            self.source.write(*step)
        elif step == "crash":
            self.kill()
            self.begin()
        elif step == "failover":
            self.clock.advance_by(2)
        else:
            self.store.fate(step)

    def finish(self) -> None:
        while self.store.delayed:
            self.store.fate("late")
        for _ in range(4):
            self.clock.advance_by(2)
            while self.store.waiting:
                self.store.fate("fine")


@settings(max_examples=600)
@given(st.lists(STEPS, max_size=40))
def test_law_the_derived_state_is_that_of_a_run_without_faults(steps: list[Any]) -> None:
    run = Run()
    for step in steps:
        run.step(step)
    run.finish()
    found = run.store.records.get("tally", {"value": {}})["value"]
    assert found == expected(run.source)


def test_a_crash_at_a_random_step_of_every_seed_leaves_the_state_of_a_run_without() -> None:
    for seed in range(SEEDS):
        rng = random.Random(seed)
        steps: list[Any] = [
            (rng.randrange(3), rng.randrange(100)) if rng.random() < 0.5 else rng.choice(FATES)
            for _ in range(30)
        ]
        steps.insert(rng.randrange(len(steps)), "crash")
        run = Run()
        for step in steps:
            run.step(step)
        run.finish()
        found = run.store.records.get("tally", {"value": {}})["value"]
        assert found == expected(run.source), f"seed {seed}: {steps}"


@given(st.lists(STEPS, max_size=40))
def test_law_value_and_offsets_are_never_apart(steps: list[Any]) -> None:
    run = Run()
    for step in steps:
        run.step(step)
        record = run.store.records.get("tally")
        counts = {
            f"k{shard}": number
            for numbers in (record["after"].values() if record else ())
            for shard, number in zip(numbers[::2], numbers[1::2], strict=True)
        }
        assert counts == {k: len(v) for k, v in (record["value"] if record else {}).items()}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-9, 9)), max_size=20), st.integers(0, 20))
def test_law_what_comes_while_a_write_is_on_its_way_is_committed_by_the_next(
    changes: list[Any], before: int
) -> None:
    run = Run()
    for change in changes[:before]:
        run.step(change)
        run.step("fine")
    for change in changes[before:]:
        run.step(change)
        assert len(run.store.waiting) == 1
    run.finish()
    rest = len(changes[before:])
    assert len(run.store.asked) == len(changes[:before]) + min(rest, 2)
    if changes:
        assert run.seen.values[-1] == expected(run.source)


@given(st.lists(STEPS, max_size=30), st.lists(STEPS, max_size=30))
def test_law_of_two_that_run_at_once_no_change_counts_twice(
    steps: list[Any], more: list[Any]
) -> None:
    run = Run()
    for step in steps:
        run.step(step)
    first = run.seen, run.clock
    run.begin()
    for step in more:
        run.step(step)
        first[1].advance_by(1)
    first[0].subscription.dispose()
    run.finish()
    found = run.store.records.get("tally", {"value": {}})["value"]
    assert found == expected(run.source)


def test_on_a_cache() -> None:
    users, totals = FakeCache({"ann": 1}), FakeCache()

    def total(value: int, change: Change) -> int:
        return value + change.value

    for number in (2, 3):
        seen = Seen(fop.resume(users, totals, "sum").pipe(fop.checkpoint(totals, "sum", total, 0)))
        users.update("bob", number)
        assert seen.error is None
        seen.subscription.dispose()
        users.update("eve", 10 * number)
    assert totals["sum"]["value"] == 1 + 2 + 20 + 3


def test_a_value_changed_in_place_is_kept_too() -> None:
    def collect(value: list[int], change: Change) -> list[int]:
        value.append(change.value)
        return value

    source, store = Input(), Store()
    chain = fop.resume(source, store, "all").pipe(fop.checkpoint(store, "all", collect, []))  # type: ignore[arg-type]
    seen = Seen(chain)
    for number in range(3):
        source.write(0, number)
        store.fate("fine")
    assert seen.error is None
    assert seen.values == [[0], [0, 1], [0, 1, 2]]


def test_it_completes_when_all_is_committed() -> None:
    source, store = Subject[Any](), Store()
    inputs = Input()
    seen = Seen(source.pipe(fop.checkpoint(store, "tally", tally, {})))
    inputs.write(0, 1)
    source.on_next(inputs.history[0])
    source.on_completed()
    assert not seen.completed
    store.fate("fine")
    assert seen.completed


def test_a_failure_ends_it_and_nothing_more_is_written() -> None:
    def raises(value: int, change: Change) -> int:
        raise KeyError(change.key)

    source, store, inputs = Subject[Any](), Store(), Input()
    inputs.write(0, 1)
    seen = Seen(source.pipe(fop.checkpoint(store, "sum", raises, 0)))
    source.on_next(inputs.history[0])
    assert isinstance(seen.error, KeyError)
    source = Subject()
    seen = Seen(source.pipe(fop.checkpoint(store, "sum", tally, {})))
    source.on_next(inputs.history[0])
    store.records["sum"] = "what somebody else wrote"
    store.fate("fine")
    assert isinstance(seen.error, CompareFailed)
    assert source.observers == []
    assert not store.waiting


def test_what_is_no_change_of_a_cache_and_what_is_no_record_is_refused() -> None:
    for wrong in (5, Change("add", "k", 1)):
        source: Subject[Any] = Subject()
        seen = Seen(source.pipe(fop.checkpoint(Store(), "sum", tally, {})))
        source.on_next(wrong)
        assert isinstance(seen.error, ValueRefused)
    store = Store()
    store.records["sum"] = 5
    seen = Seen(Subject[Any]().pipe(fop.checkpoint(store, "sum", tally, {})))
    assert isinstance(seen.error, ValueRefused)


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    store = Store()
    refused("checkpoint.cache", lambda: fop.checkpoint(None, "k", tally, {}))  # type: ignore[arg-type]
    refused("checkpoint.fn", lambda: fop.checkpoint(store, "k", 5, {}))  # type: ignore[arg-type]
    refused("checkpoint.name", lambda: fop.checkpoint(store, "a.b", tally, {}))
    refused("checkpoint.name", lambda: fop.checkpoint(store, None, tally, {}))  # type: ignore[arg-type]
