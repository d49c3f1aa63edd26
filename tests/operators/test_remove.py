"""remove: one removal an item, of its key or of the item itself."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st

from rxfero import operators as fop
from rxfero.core.change import Change
from tests.operators.fake import FakeCache, Seen, refused

TABLE: list[tuple[dict[str, Any], Any, Any]] = [
    ({}, "alice", "alice"),
    ({}, 5, 5),
    ({}, ("k", 1), "k"),
    ({}, Change("add", "a.b", 7), "a.b"),
    ({}, {"type": "logout", "key": "alice"}, "alice"),
    ({"key": lambda i: (i, "email")}, "alice", ("alice", "email")),
]


@pytest.mark.parametrize(("options", "item", "key"), TABLE)
def test_table(options: dict[str, Any], item: Any, key: Any) -> None:
    cache = FakeCache()
    seen = Seen(reactivex.just(item).pipe(fop.remove(cache, **options)))
    assert cache.what == [("remove", key)]
    assert seen.values == cache.asked


@given(st.lists(st.text()))
def test_law_one_removal_an_item_in_order(keys: list[str]) -> None:
    cache = FakeCache()
    Seen(reactivex.from_iterable(keys).pipe(fop.remove(cache)))
    assert [what[1] for what in cache.what] == keys


@given(st.lists(st.tuples(st.text(), st.integers())))
def test_law_what_update_writes_remove_removes(pairs: list[tuple[str, int]]) -> None:
    cache, other = FakeCache(), FakeCache()
    Seen(reactivex.from_iterable(pairs).pipe(fop.update(cache)))
    Seen(reactivex.from_iterable(pairs).pipe(fop.remove(other)))
    assert [what[1] for what in cache.what] == [what[1] for what in other.what]


@given(st.lists(st.text()))
def test_law_each_subscription_removes(keys: list[str]) -> None:
    cache = FakeCache()
    chain = reactivex.from_iterable(keys).pipe(fop.remove(cache))
    assert cache.asked == []
    assert Seen(chain).values + Seen(chain).values == cache.asked
    assert len(cache.asked) == 2 * len(keys)


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    refused("remove.cache", lambda: fop.remove(None))  # type: ignore[arg-type]
    refused("remove.key", lambda: fop.remove(FakeCache(), key="k"))  # type: ignore[arg-type]
