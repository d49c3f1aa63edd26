"""add: one new value an item, under the next integer or under a key."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st

from rxfero import operators as fop
from rxfero.core.change import Change
from tests.operators.fake import FakeCache, Seen, refused

TABLE: list[tuple[dict[str, Any], Any, tuple[Any, ...]]] = [
    ({}, 5, (5,)),
    ({}, (1, 2), ((1, 2),)),
    ({}, Change("add", "k", 7), (7,)),
    ({"value": str}, 5, ("5",)),
    ({"key": lambda i: i[0]}, ("k", 1), ("k", 1)),
    ({"key": lambda _: "k"}, 5, ("k", 5)),
    ({"key": lambda c: c.key}, Change("add", "k", 7), ("k", 7)),
]


@pytest.mark.parametrize(("options", "item", "written"), TABLE)
def test_table(options: dict[str, Any], item: Any, written: Any) -> None:
    cache = FakeCache()
    seen = Seen(reactivex.just(item).pipe(fop.add(cache, **options)))
    assert cache.what == [("add", *written)]
    assert seen.values == cache.asked


@given(st.lists(st.integers()))
def test_law_one_add_an_item_in_order(items: list[int]) -> None:
    cache = FakeCache()
    seen = Seen(reactivex.from_iterable(items).pipe(fop.add(cache)))
    assert [what[1] for what in cache.what] == items
    assert seen.values == cache.asked


@given(st.lists(st.integers()))
def test_law_a_key_that_raises_adds_nothing_more(items: list[int]) -> None:
    cache = FakeCache()
    seen = Seen(reactivex.from_iterable(items).pipe(fop.add(cache, key=lambda i: 1 // i)))
    good = items[: items.index(0)] if 0 in items else items
    assert len(cache.asked) == len(good)
    assert isinstance(seen.error, ZeroDivisionError) is (0 in items)


@given(st.lists(st.integers()))
def test_law_a_value_of_its_own_is_a_map_before(items: list[int]) -> None:
    own, mapped = FakeCache(), FakeCache()
    Seen(reactivex.from_iterable(items).pipe(fop.add(own, value=str)))
    Seen(reactivex.from_iterable(map(str, items)).pipe(fop.add(mapped)))
    assert own.what == mapped.what


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    cache = FakeCache()
    refused("add.cache", lambda: fop.add({}))  # type: ignore[arg-type]
    refused("add.key", lambda: fop.add(cache, key=1))  # type: ignore[arg-type]
    refused("add.value", lambda: fop.add(cache, value=1))  # type: ignore[arg-type]
