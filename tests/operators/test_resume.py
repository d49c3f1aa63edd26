"""resume: from where a checkpoint left off, each time it is subscribed to."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rxfero import operators as fop
from rxfero.core.change import Change
from rxfero.errors import ValueRefused
from rxfero.operators.saved import Counted, record
from rxfero.testing import FakeCache
from tests.operators.crashing import Input, Store
from tests.operators.fake import Seen, refused

SHARDS = st.lists(st.integers(0, 2), max_size=20)


def resumed(source: Input, store: Store) -> Seen:
    return Seen(fop.resume(source, store, "sum"))  # type: ignore[arg-type]


def after(changes: list[Change]) -> Any:
    """Give the record of who has counted these."""
    counted = Counted()
    for change in changes:
        counted.take(change)
    return record(0, counted)


def written(shards: list[int]) -> Input:
    source = Input()
    for number, shard in enumerate(shards):
        source.write(shard, number)
    return source


@given(SHARDS)
def test_law_without_a_record_it_begins_with_the_first_change(shards: list[int]) -> None:
    source = written(shards)
    assert resumed(source, Store()).values == source.history


@given(SHARDS, st.integers(0, 20))
def test_law_what_was_counted_does_not_come_and_the_rest_does(shards: list[int], n: int) -> None:
    source, store = written(shards), Store()
    store.records["sum"] = after(source.history[:n])
    seen = resumed(source, store)
    assert seen.values == source.history[n:]
    source.write(0, -1)
    assert seen.values[-1].value == -1


@given(SHARDS, st.lists(st.integers(0, 20), max_size=4))
def test_law_the_record_is_read_with_each_subscription(shards: list[int], at: list[int]) -> None:
    source, store = written(shards), Store()
    chain = fop.resume(source, store, "sum")  # type: ignore[arg-type]
    for n in at:
        store.records["sum"] = after(source.history[:n])
        assert Seen(chain).values == source.history[n:]


def test_what_is_no_record_fails() -> None:
    store = Store()
    for wrong in (5, {}, {"value": 1}, {"value": 1, "after": {"x": [1, 2]}},
                  {"value": 1, "after": {"1.1": [1]}}, {"value": 1, "after": 7}):  # fmt: skip
        store.records["sum"] = wrong
        assert isinstance(resumed(Input(), store).error, ValueRefused)


def test_unsubscribing_leaves_the_source() -> None:
    source = Input()
    seen = resumed(source, Store())
    seen.subscription.dispose()
    source.write(0, 1)
    assert seen.values == []


def test_operators_of_time_below_run_on_the_loop_of_the_source() -> None:
    users, sums = FakeCache({"ann": 1}), FakeCache()
    seen: list[Any] = []
    chain = fop.resume(users, sums, "sum").pipe(fop.window_by(lambda c: c.key, every=5))
    chain.subscribe(seen.append)
    users.advance(6)
    assert [window.key for window in seen] == ["ann"]


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    store: Any = Store()
    refused("resume.source", lambda: fop.resume(None, store, "k"))  # type: ignore[arg-type]
    refused("resume.cache", lambda: fop.resume(store, None, "k"))  # type: ignore[arg-type]
    refused("resume.name", lambda: fop.resume(store, store, "a.b"))
